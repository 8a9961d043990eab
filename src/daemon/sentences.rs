//! Every line the daemon writes into its own log, said in one place.
//!
//! Functions from facts to a [`Line`]; the wording of those that Supervisor has too is
//! Supervisor's (its message table), because scripts search for them. Pure: [`say`] is the only
//! effect and hands a line to the `log` facade.

use crate::config::{Diagnostic, LogLevel, Severity, Signal};
use crate::events::{ListenerState, Note};
use crate::fleet::{Cause, Change, ExitStatus, KillPurpose, ProcessName};

/// A line of the main log, without its time stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How important it is.
    pub level: LogLevel,
    /// The words.
    pub text: String,
}

fn line(level: LogLevel, text: String) -> Line {
    Line { level, text }
}

/// Writes a line to the main log.
pub fn say(line: Line) {
    crate::logs::mainlog::write(line.level, &line.text);
}

/// Says that something of ours went wrong but is survived.
pub fn trouble(text: impl std::fmt::Display) -> Line {
    line(LogLevel::Error, text.to_string())
}

/// Something an operator must know at once.
pub fn critical(text: impl std::fmt::Display) -> Line {
    line(LogLevel::Critical, text.to_string())
}

/// Something worth a line.
pub fn information(text: impl std::fmt::Display) -> Line {
    line(LogLevel::Info, text.to_string())
}

/// Something an operator should know.
pub fn warning(text: impl std::fmt::Display) -> Line {
    line(LogLevel::Warn, text.to_string())
}

/// Something the configuration reader noticed; an included file is only worth a line.
pub fn notice(notice: &Diagnostic) -> Line {
    let level = match notice.severity {
        Severity::Error => LogLevel::Error,
        Severity::Warning => LogLevel::Warn,
        Severity::Info => LogLevel::Info,
    };
    line(level, notice.for_supervisor())
}

/// The first line of every run.
pub fn started(pid: i32) -> Line {
    line(
        LogLevel::Info,
        format!("supervisord started with pid {pid}"),
    )
}

/// A brain took over from one that died.
pub fn took_over(incarnation: u32, adopted: usize) -> Line {
    let from = match incarnation {
        1 => "took over from a daemon that was killed".to_owned(),
        _ => format!("brain {incarnation} took over after its predecessor ended"),
    };
    line(
        LogLevel::Warn,
        format!("{from}; {adopted} running processes adopted"),
    )
}

/// Brains died in a row.
pub fn safe_mode() -> Line {
    critical(
        "safe mode, for this daemon's brains died again and again: programs are looked after as \
         they are, and nothing else is started or changed; `appctl upgrade` ends it",
    )
}

/// A turn is over: for those who want to see everything.
pub fn turned(taken: usize) -> Line {
    line(LogLevel::Blather, format!("a turn took {taken} things"))
}

/// A program ended by itself, and these did not.
pub fn left_behind(name: &str, members: &str) -> Line {
    warning(format!(
        "{name} ended and left behind: {members}; they end at its next start or with the daemon"
    ))
}

/// The main process of a program has ended, and the rest is asked to.
pub fn ending_tree(name: &str, members: &str) -> Line {
    information(format!("ending what {name} left behind: {members}"))
}

/// The rest did not end in time.
pub fn killing_tree(name: &str, members: &str) -> Line {
    warning(format!(
        "killing what {name} left behind with SIGKILL: {members}"
    ))
}

/// SIGKILL did not help.
pub fn tree_given_up(name: &str, members: &str) -> Line {
    critical(format!(
        "{name} left behind what could not be ended: {members}"
    ))
}

/// The last writer of an output closed it.
pub fn output_closed(stream: &str) -> Line {
    line(
        LogLevel::Debug,
        format!("{stream}: closed by its last writer"),
    )
}

/// Programs ended; how, their own lines say.
pub fn child_quit() -> Line {
    let text = "received SIGCHLD indicating a child quit".to_owned();
    line(LogLevel::Debug, text)
}

/// A program was started.
pub fn spawned(name: &str, pid: i32) -> Line {
    line(LogLevel::Info, format!("spawned: '{name}' with pid {pid}"))
}

/// What became of a process, in Supervisor's words; some changes have no line of their own.
pub fn changed(name: &ProcessName, change: &Change, exitcodes: &[u8]) -> Option<Line> {
    // Supervisor logs the bare process name here, not `group:process`.
    let name = name.process.as_str();
    let said = match &change.cause {
        Cause::Asked if change.to == crate::fleet::State::Stopping => {
            line(LogLevel::Info, format!("waiting for {name} to stop"))
        }
        Cause::StayedUp(seconds) => line(
            LogLevel::Info,
            format!(
                "success: {name} entered RUNNING state, process has stayed up for > than \
                 {seconds} seconds (startsecs)"
            ),
        ),
        Cause::SpawnFailed(failure) => line(LogLevel::Info, format!("spawnerr: {}", failure.text)),
        Cause::GaveUp => line(
            LogLevel::Info,
            format!("gave up: {name} entered FATAL state, too many start retries too quickly"),
        ),
        Cause::ExitedTooQuickly(status) => line(
            LogLevel::Warn,
            format!("exited: {name} ({}; not expected)", how_it_ended(*status)),
        ),
        Cause::Exited { status, expected } => line(
            if *expected {
                LogLevel::Info
            } else {
                LogLevel::Warn
            },
            format!(
                "exited: {name} ({}; {})",
                how_it_ended(*status),
                if *expected {
                    "expected"
                } else {
                    "not expected"
                }
            ),
        ),
        Cause::Stopped(status) => {
            let level = match status {
                ExitStatus::Code(code) if exitcodes.contains(code) => LogLevel::Info,
                _ => LogLevel::Warn,
            };
            line(
                level,
                format!("stopped: {name} ({})", how_it_ended(*status)),
            )
        }
        Cause::SignalFailed(reason) => line(
            LogLevel::Critical,
            format!("unknown problem killing {name} ({}): {reason}", change.pid),
        ),
        Cause::Autostart
        | Cause::Autorestart(_)
        | Cause::Retry(_)
        | Cause::Asked
        | Cause::Leaving => return None,
    };
    Some(said)
}

/// `exit status 3`, `terminated by SIGKILL`, `exit status unknown`.
pub fn how_it_ended(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("exit status {code}"),
        ExitStatus::Signal { number, core } => format!(
            "terminated by {}{}",
            signal_name(number),
            if core { " (core dumped)" } else { "" }
        ),
        ExitStatus::Unknown => "exit status unknown, it ended unseen".to_owned(),
    }
}

/// The same with what else is known of it.
pub fn how_it_ended_and_why(status: ExitStatus, out_of_memory: bool) -> String {
    let why = if out_of_memory {
        ", memory ran out"
    } else {
        ""
    };
    format!("{}{why}", how_it_ended(status))
}

/// `SIGTERM`, or `signal 40` for one without a name.
pub fn signal_name(number: u8) -> String {
    Signal(number).name()
}

/// Why a process changed state, for the event stream and the history.
pub fn why(change: &Change) -> String {
    match &change.cause {
        Cause::Autostart => "autostart".to_owned(),
        Cause::Autorestart(status) => format!("autorestart after {}", how_it_ended(*status)),
        Cause::Retry(number) => format!("retry {number}"),
        Cause::Asked => "asked".to_owned(),
        Cause::StayedUp(seconds) => format!("stayed up for more than {seconds} s"),
        Cause::SpawnFailed(failure) => failure.text.clone(),
        Cause::ExitedTooQuickly(status) => format!("{} too quickly", how_it_ended(*status)),
        Cause::Exited { status, .. } | Cause::Stopped(status) => how_it_ended(*status),
        Cause::GaveUp => "too many start retries too quickly".to_owned(),
        Cause::Leaving => "the daemon is leaving".to_owned(),
        Cause::SignalFailed(reason) => reason.clone(),
    }
}

/// A signal is about to be sent.
pub fn killing(
    name: &ProcessName,
    pid: i32,
    signal: Signal,
    group: bool,
    why: KillPurpose,
) -> Line {
    let name = name.process.as_str();
    let signal = signal_name(signal.0);
    match why {
        KillPurpose::Overdue => line(
            LogLevel::Warn,
            format!("killing '{name}' ({pid}) with {signal}"),
        ),
        KillPurpose::Stop => line(
            LogLevel::Debug,
            format!(
                "killing {name} (pid {pid}) {}with signal {signal}",
                if group { "process group " } else { "" }
            ),
        ),
        KillPurpose::Asked => line(
            LogLevel::Debug,
            format!("sending {name} (pid {pid}) sig {signal}"),
        ),
    }
}

/// The daemon ends without having been asked.
pub fn ending(process: Option<&ProcessName>, code: u8) -> Line {
    let why = match process {
        Some(name) => format!("{name} has ended for good"),
        None => "nothing runs any more, and nothing will be started".to_owned(),
    };
    line(
        LogLevel::Info,
        format!("{why}: everything is stopped, and the daemon ends with exit code {code}"),
    )
}

/// While leaving: these still live.
pub fn waiting_to_die(living: &[ProcessName]) -> Line {
    let names: Vec<&str> = living.iter().map(|name| name.process.as_str()).collect();
    line(
        LogLevel::Info,
        format!("waiting for {} to die", names.join(", ")),
    )
}

/// The daemon received a signal.
pub fn received(number: u8, leaving: bool) -> Line {
    let name = signal_name(number);
    match number {
        1 if leaving => line(
            LogLevel::Warn,
            format!("ignored {name} indicating restart request (shutdown in progress)"),
        ),
        1 => line(
            LogLevel::Warn,
            format!("received {name} indicating restart request"),
        ),
        2 | 3 | 15 => line(
            LogLevel::Warn,
            format!("received {name} indicating exit request"),
        ),
        12 => line(
            LogLevel::Info,
            format!("received {name} indicating log reopen request"),
        ),
        _ => line(LogLevel::Blather, format!("received {name} (ignored)")),
    }
}

/// All log files were closed and opened again.
pub fn reopened() -> Line {
    line(LogLevel::Info, "supervisord logreopen".to_owned())
}

/// What a pool of event listeners did with one of them, in Supervisor's words.
pub fn listener(name: &str, note: &Note) -> Vec<Line> {
    let debug = |text: String| vec![line(LogLevel::Debug, text)];
    match note {
        Note::Discarded { pool, serial } => vec![event_discarded(pool, *serial)],
        Note::State { from, to, .. } => {
            let mut lines = debug(format!("{name}: {} -> {}", from.word(), to.word()));
            if *to == ListenerState::Unknown {
                let text = format!(
                    "{name}: has entered the UNKNOWN state and will no longer receive events, \
                     this usually indicates the process violated the eventlistener protocol"
                );
                lines.push(line(LogLevel::Warn, text));
            }
            lines
        }
        Note::Result { accepted: true, .. } => debug(format!("{name}: event was processed")),
        Note::Result { .. } => vec![line(LogLevel::Warn, format!("{name}: event was rejected"))],
        Note::Broken { why, .. } => vec![line(LogLevel::Warn, format!("{name}: {why}"))],
        Note::Sent { serial, .. } => debug(format!("event {serial} sent to listener {name}")),
    }
}

/// A full buffer gave up an event.
pub fn event_discarded(pool: &str, serial: u64) -> Line {
    line(
        LogLevel::Error,
        format!("pool {pool} event buffer overflowed, discarding event {serial}"),
    )
}

/// A program wrote faster than events of it could be told.
pub fn output_untold(stream: &str, times: u64) -> Line {
    line(
        LogLevel::Error,
        format!("{stream}: written faster than it can be told, {times} events of it are lost"),
    )
}

/// Buffers gave up more events than are worth a line each.
pub fn events_discarded(count: u64) -> Line {
    line(
        LogLevel::Error,
        format!("event buffers overflowed, discarding {count} more events within a second"),
    )
}

/// A log file cannot be written for now.
pub fn log_stalled(what: &str, text: &str) -> Line {
    line(LogLevel::Error, format!("log of {what}: {text}"))
}

/// Rotated files cannot be compressed or removed; writing goes on.
pub fn log_untidy(what: &str, text: &str) -> Line {
    line(LogLevel::Warn, format!("log of {what}: {text}"))
}

/// Rotated logs had to go for a limit of all logs.
pub fn logs_removed(files: u64, bytes: u64, because: &str) -> Line {
    let ending = if files == 1 { " was" } else { "s were" };
    line(
        LogLevel::Info,
        format!("{files} rotated log{ending} removed ({bytes} bytes, the oldest): {because}"),
    )
}

/// It can again.
pub fn log_recovered(what: &str, dropped: Option<&str>) -> Line {
    match dropped {
        None => line(LogLevel::Info, format!("log of {what} is written again")),
        Some(dropped) => line(
            LogLevel::Warn,
            format!("log of {what} is written again; {dropped}"),
        ),
    }
}

/// A program was killed, and at that moment the kernel killed somebody because memory ran out.
pub fn out_of_memory(name: &ProcessName) -> Line {
    let text = "memory ran out, and the kernel killed it";
    line(LogLevel::Warn, format!("{name}: {text}"))
}

/// A program ended while its log cannot be written.
pub fn log_incomplete(what: &str, trouble: &str) -> Line {
    line(
        LogLevel::Warn,
        format!("log of {what} is not complete: {trouble}"),
    )
}

/// A turn took so long that clients could feel it.
pub fn slow_turn(milliseconds: u128, events: usize) -> Line {
    line(
        LogLevel::Debug,
        format!("slow turn: {milliseconds} ms for {events} events"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{ProcessId, SpawnFailure, SpawnFailureKind, State};

    fn said(cause: Cause) -> Option<(LogLevel, String)> {
        let name = ProcessName {
            group: "g".into(),
            process: "web".into(),
        };
        let change = Change {
            process: ProcessId(1),
            from: State::Running,
            to: State::Exited,
            pid: 7,
            tries: 0,
            cause,
        };
        changed(&name, &change, &[0]).map(|line| (line.level, line.text))
    }

    #[test]
    fn lines_are_supervisors() {
        let table = [
            (
                Cause::StayedUp(1),
                LogLevel::Info,
                "success: web entered RUNNING state, process has stayed up for > than 1 seconds \
                 (startsecs)",
            ),
            (
                Cause::Exited {
                    status: ExitStatus::Code(0),
                    expected: true,
                },
                LogLevel::Info,
                "exited: web (exit status 0; expected)",
            ),
            (
                Cause::Exited {
                    status: ExitStatus::Signal {
                        number: 9,
                        core: false,
                    },
                    expected: false,
                },
                LogLevel::Warn,
                "exited: web (terminated by SIGKILL; not expected)",
            ),
            (
                Cause::Stopped(ExitStatus::Signal {
                    number: 15,
                    core: false,
                }),
                LogLevel::Warn,
                "stopped: web (terminated by SIGTERM)",
            ),
            (
                Cause::SpawnFailed(SpawnFailure {
                    kind: SpawnFailureKind::NoFile,
                    text: "can't find command 'x'".into(),
                }),
                LogLevel::Info,
                "spawnerr: can't find command 'x'",
            ),
        ];
        for (cause, level, text) in table {
            assert_eq!(said(cause), Some((level, text.to_owned())));
        }
        assert_eq!(said(Cause::Asked), None);
    }
}
