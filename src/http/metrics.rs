//! `/metrics`: OpenMetrics 1.0 text (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).
//!
//! CPU and memory are read from /proc when asked. Must never: keep anything between two requests.

use std::collections::BTreeMap;
use std::fmt::{Display, Write};

use hyper::StatusCode;

use super::asking::Asking;
use super::reply::{self, Reply, refusal};
use crate::control::measures::{Measures, ProcessMeasures, TURN_BOUNDS, TurnTimes};
use crate::control::{Answer, Ask};
use crate::fleet::{ExitStatus, State};
use crate::launch::ProcessStat;
use crate::ordered;

const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What /proc says of those that run.
type Stats = BTreeMap<i32, ProcessStat>;

/// Measures and tells.
pub async fn measured(asking: &Asking) -> Reply {
    let Ok(answers) = asking.ask(Ask::Measures).await else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE);
    };
    let found = answers.into_iter().find_map(|answer| match answer {
        Answer::Measures(measures) => Some(*measures),
        _ => None,
    });
    let Some(measures) = found else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE);
    };
    let text = blocking::unblock(move || {
        let brain = i32::try_from(std::process::id()).unwrap_or_default();
        let running = measures.processes.iter().map(|process| process.pid);
        let pids = running
            .chain([measures.keeper, brain])
            .filter(|pid| *pid != 0);
        let stats: Stats =
            ordered::map(pids.filter_map(|pid| Some((pid, ProcessStat::of(pid).ok()?))));
        exposition(&measures, brain, &stats)
    });
    reply::whole(StatusCode::OK, KIND, text.await)
}

/// The text being written.
#[derive(Default)]
struct Exposition(String);

/// Writing to a string does not fail.
macro_rules! line {
    ($to:expr, $($part:tt)*) => {
        let _ = writeln!($to.0, $($part)*);
    };
}

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        line!(self, "# TYPE {name} {kind}");
        line!(self, "# HELP {name} {help}");
    }

    fn of(&mut self, name: &str, process: &ProcessMeasures, more: &str, value: impl Display) {
        let (group, own) = (&process.name.group, &process.name.process);
        let (group, own) = (quoted(group), quoted(own));
        line!(
            self,
            "{name}{{group=\"{group}\",process=\"{own}\"{more}}} {value}"
        );
    }
}

/// A family of processes: its name, kind, help, and the value of each that has one.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    value: fn(&ProcessMeasures, Option<&ProcessStat>) -> Option<String>,
}

const FAMILIES: [Family; 10] = [
    Family {
        name: "appctl_process_up",
        kind: "gauge",
        help: "1 if the process is RUNNING.",
        value: |process, _| Some(u8::from(process.state == State::Running).to_string()),
    },
    Family {
        name: "appctl_process_state",
        kind: "gauge",
        help: "State, by the number Supervisor has for it: 0 STOPPED, 10 STARTING, 20 RUNNING, \
               30 BACKOFF, 40 STOPPING, 100 EXITED, 200 FATAL, 1000 UNKNOWN.",
        value: |process, _| Some(process.state.code().to_string()),
    },
    Family {
        name: "appctl_process_starts",
        kind: "counter",
        help: "Starts by this daemon; all but the first are restarts.",
        value: |process, _| Some(process.starts.to_string()),
    },
    Family {
        name: "appctl_process_start_time_seconds",
        kind: "gauge",
        help: "When it was last started, in seconds since 1970.",
        value: |process, _| (process.start != 0).then(|| process.start.to_string()),
    },
    Family {
        name: "appctl_process_uptime_seconds",
        kind: "gauge",
        help: "How long it has been running.",
        value: |process, _| (process.pid != 0).then(|| process.uptime.to_string()),
    },
    Family {
        name: "appctl_process_last_exit_code",
        kind: "gauge",
        help: "Exit code of its last run, if that ended with one.",
        value: |process, _| match process.ended {
            Some(ExitStatus::Code(code)) => Some(code.to_string()),
            _ => None,
        },
    },
    Family {
        name: "appctl_process_last_exit_signal",
        kind: "gauge",
        help: "Signal that ended its last run, if one did.",
        value: |process, _| match process.ended {
            Some(ExitStatus::Signal { number, .. }) => Some(number.to_string()),
            _ => None,
        },
    },
    Family {
        name: "appctl_process_cpu_seconds",
        kind: "counter",
        help: "CPU time of its process, user and system.",
        value: |_, stat| stat.map(|stat| stat.cpu().as_secs_f64().to_string()),
    },
    Family {
        name: "appctl_process_resident_memory_bytes",
        kind: "gauge",
        help: "Memory of its process.",
        value: |_, stat| stat.map(|stat| stat.resident().to_string()),
    },
    Family {
        name: "appctl_process_log_stalled",
        kind: "gauge",
        help: "1 if a log cannot be written at the moment, so that its output waits.",
        value: |process, _| Some(u8::from(process.log_trouble).to_string()),
    },
];

fn exposition(measures: &Measures, brain: i32, stats: &Stats) -> String {
    let mut text = Exposition::default();
    for family in &FAMILIES {
        text.family(family.name, family.kind, family.help);
        let suffix = if family.kind == "counter" {
            "_total"
        } else {
            ""
        };
        let sample = format!("{}{suffix}", family.name);
        for process in &measures.processes {
            if let Some(value) = (family.value)(process, stats.get(&process.pid)) {
                text.of(&sample, process, "", value);
            }
        }
    }
    let help = "Bytes that it wrote, since the daemon's brain started.";
    let bytes = measures.processes.iter().map(|it| (it, it.log_bytes));
    of_streams(&mut text, "appctl_process_log_bytes", help, bytes);
    let help = "Bytes of these that were dropped, because its log could not be written.";
    let dropped = measures.processes.iter().map(|it| (it, it.log_dropped));
    of_streams(&mut text, "appctl_process_log_dropped_bytes", help, dropped);
    of_the_daemon(&mut text, measures, brain, stats);
    line!(text, "# EOF");
    text.0
}

/// A counter of each stream of processes.
fn of_streams<'a>(
    text: &mut Exposition,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (&'a ProcessMeasures, [u64; 2])>,
) {
    text.family(name, "counter", help);
    let sample = format!("{name}_total");
    for (process, of_both) in values {
        for (stream, value) in ["stdout", "stderr"].into_iter().zip(of_both) {
            let more = format!(",stream=\"{stream}\"");
            text.of(&sample, process, &more, value);
        }
    }
}

fn of_the_daemon(text: &mut Exposition, measures: &Measures, brain: i32, stats: &Stats) {
    text.family("appctl", "info", "The daemon.");
    line!(
        text,
        "appctl_info{{version=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION")
    );
    let roles = [("keeper", measures.keeper), ("brain", brain)];
    let of_roles = roles.map(|(role, pid)| Some((role, stats.get(&pid)?)));
    let name = "appctl_daemon_resident_memory_bytes";
    text.family(name, "gauge", "Memory of the daemon's two processes.");
    for (role, stat) in of_roles.iter().flatten() {
        line!(text, "{name}{{role=\"{role}\"}} {}", stat.resident());
    }
    let name = "appctl_daemon_cpu_seconds";
    text.family(name, "counter", "CPU time of the daemon's two processes.");
    for (role, stat) in of_roles.iter().flatten() {
        line!(
            text,
            "{name}_total{{role=\"{role}\"}} {}",
            stat.cpu().as_secs_f64()
        );
    }
    of_turns(text, &measures.turns);
    of_events(text, measures);
    of_logs(text, measures);
}

fn of_turns(text: &mut Exposition, turns: &TurnTimes) {
    let name = "appctl_turn_seconds";
    text.family(name, "histogram", "How long the daemon's turns took.");
    let mut within = 0;
    for (bound, count) in TURN_BOUNDS.iter().zip(turns.within) {
        within += count;
        line!(
            text,
            "{name}_bucket{{le=\"{}\"}} {within}",
            bound.as_secs_f64()
        );
    }
    line!(text, "{name}_bucket{{le=\"+Inf\"}} {}", turns.count);
    line!(text, "{name}_count {}", turns.count);
    line!(text, "{name}_sum {}", turns.sum.as_secs_f64());
    let name = "appctl_turn_longest_seconds";
    text.family(name, "gauge", "The longest of the daemon's turns.");
    line!(text, "{name} {}", turns.longest.as_secs_f64());
}

fn of_events(text: &mut Exposition, measures: &Measures) {
    let name = "appctl_events";
    text.family(
        name,
        "counter",
        "Events so far: the number of the last one.",
    );
    line!(text, "{name}_total {}", measures.events);
    let name = "appctl_events_dropped";
    let help = "Events that a pool of listeners gave up, because its buffer was full.";
    text.family(name, "counter", help);
    for (pool, count) in &measures.discarded {
        let pool = quoted(pool);
        line!(text, "{name}_total{{pool=\"{pool}\"}} {count}");
    }
}

fn of_logs(text: &mut Exposition, measures: &Measures) {
    let name = "appctl_main_log_bytes";
    text.family(name, "counter", "Bytes of the main log.");
    line!(text, "{name}_total {}", measures.main_log_bytes);
    let name = "appctl_main_log_dropped_lines";
    text.family(
        name,
        "counter",
        "Lines of the main log that could not be written.",
    );
    line!(text, "{name}_total {}", measures.main_log_dropped);
    let name = "appctl_logs_held_bytes";
    text.family(
        name,
        "gauge",
        "Bytes of all program logs, where log_budget or log_min_free is set.",
    );
    line!(text, "{name} {}", measures.logs_held);
    let (files, bytes) = measures.logs_removed;
    let name = "appctl_logs_removed_files";
    let help = "Rotated logs removed because of log_budget or log_min_free.";
    text.family(name, "counter", help);
    line!(text, "{name}_total {files}");
    let name = "appctl_logs_removed_bytes";
    text.family(name, "counter", "Their bytes.");
    line!(text, "{name}_total {bytes}");
}

/// The value of a label: backslash, quote and newline are escaped.
fn quoted(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::measures::TurnTimes;
    use crate::fleet::ProcessName;

    #[test]
    fn values_are_told_of_those_that_have_them() {
        let process = |own: &str, state, ended| ProcessMeasures {
            name: ProcessName {
                group: "g\"\\".to_owned(),
                process: own.to_owned(),
            },
            state,
            pid: 0,
            start: 0,
            uptime: 0,
            starts: 2,
            ended,
            log_bytes: [7, 0],
            log_dropped: [0, 4],
            log_trouble: false,
        };
        let mut turns = TurnTimes::default();
        turns.note(std::time::Duration::from_millis(2));
        let measures = Measures {
            keeper: 0,
            turns,
            events: 9,
            main_log_bytes: 1,
            main_log_dropped: 0,
            discarded: vec![("p".to_owned(), 5)],
            logs_held: 5,
            logs_removed: (1, 4),
            processes: vec![
                process("a", State::Exited, Some(ExitStatus::Code(3))),
                process("b", State::Stopped, None),
            ],
        };
        let text = exposition(&measures, 0, &Stats::new());
        for line in [
            r#"appctl_process_up{group="g\"\\",process="a"} 0"#,
            r#"appctl_process_state{group="g\"\\",process="a"} 100"#,
            r#"appctl_process_starts_total{group="g\"\\",process="b"} 2"#,
            r#"appctl_process_last_exit_code{group="g\"\\",process="a"} 3"#,
            r#"appctl_process_log_bytes_total{group="g\"\\",process="a",stream="stdout"} 7"#,
            r#"appctl_turn_seconds_bucket{le="0.001"} 0"#,
            r#"appctl_turn_seconds_bucket{le="0.003"} 1"#,
            r#"appctl_process_log_dropped_bytes_total{group="g\"\\",process="a",stream="stderr"} 4"#,
            "appctl_events_total 9",
            r#"appctl_events_dropped_total{pool="p"} 5"#,
            "appctl_logs_held_bytes 5",
            "appctl_logs_removed_files_total 1",
            "appctl_logs_removed_bytes_total 4",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
        }
        assert!(!text.contains("last_exit_code{group=\"g\\\"\\\\\",process=\"b\""));
        assert!(!text.contains("last_exit_signal{"));
        assert!(text.ends_with("# EOF\n"));
    }
}
