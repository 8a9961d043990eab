//! Every sentence that `supervisorctl` prints, and its exit statuses: scripts and playbooks match
//! on them. Pure.
//!
//! The words are those of Supervisor 4.3.0 and must stay so; what we say better, we say in
//! `appctl`. Outcomes come in as the codes of our line protocol.
//!
//! Must never: talk to a daemon, print.

use super::dialogue::Refused;
use super::render::difference_word;
use super::supervisorctl_help::help;
use crate::control::DifferenceKind;
use crate::control::codes::Code;

/// The version of Supervisor whose configuration, words and exit statuses these are. Scripts that
/// ask for a version compare it with Supervisor's.
pub const SUPERVISOR_VERSION: &str = "4.3.0";

/// Exit statuses of `supervisorctl` (Supervisor follows the LSB's numbers loosely).
pub mod exit {
    /// Anything without a number of its own.
    pub const GENERIC: u8 = 1;
    /// A name or argument that cannot be used, in `start`.
    pub const INVALID_ARGUMENT: u8 = 2;
    /// `status`: at least one of the processes shown is not running.
    pub const SOME_STOPPED: u8 = 3;
    /// `status`: a name is unknown, or nobody answers. Elsewhere: the connection was refused.
    pub const UNKNOWN: u8 = 4;
    /// The server does not serve `supervisorctl`.
    pub const NO_INTERFACE: u8 = 3;
    /// The server has another version of the interface.
    pub const OTHER_VERSION: u8 = 5;
    /// There is no socket, or a process is not (or did not get to be) running.
    pub const NOT_RUNNING: u8 = 7;
}

/// Something to print on one or more lines, and what it means for the exit status (0: nothing).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Without the newline at its end.
    pub text: String,
    /// Exit status, if this turns out to be the last failure.
    pub status: u8,
}

impl Said {
    /// A sentence about success.
    pub fn well(text: impl Into<String>) -> Said {
        Said {
            text: text.into(),
            status: 0,
        }
    }

    /// A sentence about failure.
    pub fn badly(text: impl Into<String>, status: u8) -> Said {
        Said {
            text: text.into(),
            status,
        }
    }
}

/// Commands that report on one process after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// `start`
    Start,
    /// `stop`
    Stop,
    /// `signal`
    Signal,
    /// `clear`
    Clear,
}

impl Deed {
    /// Its verb in the line protocol.
    pub fn verb(self) -> &'static str {
        match self {
            Deed::Start => "start",
            Deed::Stop => "stop",
            Deed::Signal => "signal",
            Deed::Clear => "clear",
        }
    }

    /// Success in Supervisor's word.
    fn done(self) -> &'static str {
        match self {
            Deed::Start => "started",
            Deed::Stop => "stopped",
            Deed::Signal => "signalled",
            Deed::Clear => "cleared",
        }
    }

    /// What is said when no process is named.
    pub fn nothing_named(self) -> Said {
        match self {
            Deed::Start => misuse(
                "Error: start requires a process name",
                "start",
                exit::INVALID_ARGUMENT,
            ),
            Deed::Stop => misuse("Error: stop requires a process name", "stop", exit::GENERIC),
            Deed::Signal => misuse(
                "Error: signal requires a signal name and a process name",
                "signal",
                exit::GENERIC,
            ),
            Deed::Clear => misuse(
                "Error: clear requires a process name",
                "clear",
                exit::GENERIC,
            ),
        }
    }
}

/// `restart` without a name.
pub fn restart_nothing_named() -> Said {
    misuse(
        "Error: restart requires a process name",
        "restart",
        exit::GENERIC,
    )
}

/// What was done to a process.
pub fn done(deed: Deed, subject: &str) -> Said {
    Said::well(format!("{}: {}", shown_name(subject), deed.done()))
}

/// Why it was not done.
pub fn refused(deed: Deed, subject: &str, refused: &Refused) -> Said {
    use Deed::{Clear, Signal, Start, Stop};
    let (why, status) = match (deed, refused.code) {
        (Start, Code::NoSuchGroup) => ("no such group", exit::INVALID_ARGUMENT),
        (_, Code::NoSuchGroup) => ("no such group", exit::GENERIC),
        (_, Code::NoSuchProcess) => ("no such process", exit::GENERIC),
        (Start, Code::NoFile) => ("no such file", exit::GENERIC),
        (Start, Code::NotExecutable) => ("file is not executable", exit::GENERIC),
        (Start, Code::AlreadyStarted) => ("already started", 0),
        (Start, Code::SpawnError) => ("spawn error", exit::NOT_RUNNING),
        (Start, Code::AbnormalTermination) => ("abnormal termination", exit::NOT_RUNNING),
        (Stop, Code::NotRunning) => ("not running", 0),
        (Signal, Code::NotRunning) => ("not running", exit::NOT_RUNNING),
        (Signal, Code::BadSignal) => ("bad signal name", exit::GENERIC),
        (Clear, Code::Failed) => ("failed", exit::GENERIC),
        (Stop | Signal, Code::Failed | Code::SignalFailed) => {
            return Said::badly(refused.text.clone(), exit::GENERIC);
        }
        _ => return failed(refused),
    };
    let name = match refused.code {
        Code::NoSuchGroup => group_of(subject),
        _ => shown_name(subject),
    };
    Said::badly(format!("{name}: ERROR ({why})"), status)
}

/// A failure for which Supervisor has no words of its own: it shows the fault.
pub fn failed(refused: &Refused) -> Said {
    let text = match refused.code {
        Code::ShuttingDown => format!("error: SHUTDOWN_STATE: {}", refused.text),
        _ => format!("error: {}", refused.text),
    };
    Said::badly(text, exit::GENERIC)
}

/// `a:a` is shown as `a`.
pub fn shown_name(name: &str) -> &str {
    match name.split_once(':') {
        Some((group, process)) if group == process => group,
        _ => name,
    }
}

/// The group of `group:*`, `group:` or `group:process`.
pub fn group_of(name: &str) -> &str {
    name.split_once(':').map_or(name, |(group, _)| group)
}

/// Whether a word names a whole group: `group:*` or `group:`.
pub fn names_group(name: &str) -> bool {
    matches!(name.split_once(':'), Some((_, "" | "*")))
}

/// `status` of a name nobody has.
pub fn status_unknown(name: &str) -> Said {
    if names_group(name) {
        let group = group_of(name);
        Said::badly(format!("{group}: ERROR (no such group)"), exit::UNKNOWN)
    } else {
        Said::badly(format!("{name}: ERROR (no such process)"), exit::UNKNOWN)
    }
}

/// `pid` of a name nobody has.
pub fn pid_unknown(name: &str) -> Said {
    Said::badly(format!("No such process {name}"), exit::GENERIC)
}

/// A command that takes no arguments was given some.
pub fn no_arguments(command: &str) -> Said {
    misuse(
        &format!("Error: {command} accepts no arguments"),
        command,
        exit::GENERIC,
    )
}

/// What `tail` and `maintail` were asked wrongly.
pub fn tail_misuse(problem: &str, command: &str) -> Said {
    misuse(&format!("Error: {problem}"), command, exit::GENERIC)
}

/// `tail NAME CHANNEL` with another channel than stdout or stderr.
pub fn bad_channel(channel: &str) -> Said {
    Said::badly(format!("Error: bad channel '{channel}'"), exit::GENERIC)
}

/// `tail -5`
pub fn tail_nameless() -> Said {
    Said::badly("Error: tail requires process name", exit::GENERIC)
}

/// `tail -x NAME`
pub fn bad_argument(argument: &str) -> Said {
    Said::badly(format!("Error: bad argument {argument}"), exit::GENERIC)
}

/// `tail` did not work. The main log's name is `supervisord`.
pub fn tail_refused(name: &str, refused: &Refused) -> Said {
    let why = match refused.code {
        Code::NoLogFile => "no log file",
        Code::NoSuchProcess | Code::NoSuchGroup | Code::BadArguments => "no such process name",
        Code::ShuttingDown => return failed(refused),
        _ => "unknown error reading log",
    };
    Said::badly(format!("{name}: ERROR ({why})"), exit::GENERIC)
}

/// `tail -f` did not work; Supervisor's client names the address it asked, and so do we.
pub fn follow_refused(url: &str, path: &str, status: u16) -> String {
    format!("{url}{path} Cannot read, status code {status}")
}

/// The line before output that goes on until Ctrl-C.
pub const PRESS_CTRL_C: &str = "==> Press Ctrl-C to exit <==";

/// `fg` was asked wrongly or does not work.
pub fn fg_misuse(names: usize) -> Said {
    match names {
        0 => misuse("ERROR: no process name supplied", "fg", exit::GENERIC),
        _ => Said::badly("ERROR: too many process names supplied", exit::GENERIC),
    }
}

/// `fg` of a name nobody has.
pub fn fg_unknown() -> Said {
    Said::badly("ERROR: bad process name supplied", exit::GENERIC)
}

/// `fg` of a process that does not run.
pub fn fg_not_running() -> Said {
    Said::badly("ERROR: process not running", exit::GENERIC)
}

/// `fg` ends because its process did.
pub const FG_KILLED: &str = "Process got killed";

/// `fg` ends.
pub const FG_EXIT: &str = "Exiting foreground";

/// A group that `reread` found to differ.
pub fn difference(group: &str, kind: DifferenceKind) -> String {
    let word = difference_word(kind);
    format!("{group}: {word}")
}

/// `reread` found nothing.
pub const NO_UPDATES: &str = "No config updates to processes";

/// `reread`, `avail` or `update` did not work.
pub fn reread_refused(command: &str, refused: &Refused) -> Said {
    let why = &refused.text;
    let text = match (command, refused.code) {
        ("update", Code::ShuttingDown) => "ERROR: already shutting down".to_string(),
        (_, Code::ShuttingDown) => "ERROR: supervisor shutting down".to_string(),
        ("update", Code::CannotReread) => format!("error: CANT_REREAD: {why}"),
        (_, Code::CannotReread) => format!("ERROR: CANT_REREAD: {why}"),
        _ => return failed(refused),
    };
    Said::badly(text, exit::GENERIC)
}

/// What `add`, `remove` or `update` did to a group: followed this difference.
pub fn group_done(group: &str, followed: DifferenceKind) -> String {
    let done = match followed {
        DifferenceKind::Available => "added",
        DifferenceKind::Changed => "updated",
        DifferenceKind::Disappeared => "removed",
    };
    format!("{group}: {done} process group")
}

/// Before `update` removes or replaces a group it stops it, and says so even if nothing ran.
pub fn group_stopped(group: &str) -> String {
    format!("{group}: stopped")
}

/// `update` of a group nobody knows.
pub fn update_unknown(group: &str) -> Said {
    Said::badly(format!("ERROR: no such group: {group}"), exit::GENERIC)
}

/// `update` cannot stop a group.
pub fn update_stuck(group: &str) -> Said {
    Said::badly(
        format!("{group}: has problems; not removing"),
        exit::GENERIC,
    )
}

/// Why `add`, `remove` or `update` left a group alone.
pub fn group_refused(command: &str, group: &str, refused: &Refused) -> Said {
    let sentence = match (command, refused.code) {
        ("add", Code::AlreadyAdded) => {
            return Said::well("ERROR: process group already active");
        }
        (_, Code::NoSuchGroup | Code::NoSuchProcess) => {
            format!("ERROR: no such process/group: {group}")
        }
        (_, Code::StillRunning) => format!("ERROR: process/group still running: {group}"),
        ("update", Code::ShuttingDown) => "ERROR: already shutting down".to_string(),
        ("add", Code::ShuttingDown) => "ERROR: shutting down".to_string(),
        _ => return failed(refused),
    };
    Said::badly(sentence, exit::GENERIC)
}

/// `shutdown` was accepted, or not.
pub fn shut_down(outcome: Result<(), Refused>) -> Said {
    match outcome {
        Ok(_) => Said::well("Shut down"),
        Err(refused) if refused.code == Code::ShuttingDown => {
            Said::well("ERROR: already shutting down")
        }
        Err(refused) => failed(&refused),
    }
}

/// `reload` was accepted, or not.
pub fn reloaded(outcome: Result<(), Refused>) -> Said {
    match outcome {
        Ok(_) => Said::well("Restarted supervisord"),
        Err(refused) if refused.code == Code::ShuttingDown => {
            Said::badly("ERROR: already shutting down", exit::GENERIC)
        }
        Err(refused) => failed(&refused),
    }
}

/// Questions asked before, in a shell; only an answer that begins with `y` or `Y` is a yes.
pub const REALLY_SHUT_DOWN: &str = "Really shut the remote supervisord process down y/N? ";
/// The same for `reload`.
pub const REALLY_RELOAD: &str = "Really restart the remote supervisord process y/N? ";

/// `open` of something else than a URL that can be used.
pub fn open_refused() -> Said {
    Said::badly("ERROR: url must be http:// or unix://", exit::GENERIC)
}

/// Why a daemon cannot be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreached {
    /// There is no socket.
    NoSuchFile,
    /// Nobody listens on it.
    Refused,
    /// Anything else.
    Other(String),
}

/// Nobody answers at `url`. `shutdown` has words of its own, `status` an exit status of its own.
pub fn unreached(command: &str, url: &str, why: &Unreached) -> Said {
    let already = if command == "shutdown" {
        ("ERROR: ", " (already shut down?)")
    } else {
        ("", "")
    };
    let (text, status) = match why {
        Unreached::NoSuchFile => (format!("{url} no such file"), exit::NOT_RUNNING),
        Unreached::Refused => (format!("{url} refused connection"), exit::UNKNOWN),
        Unreached::Other(text) => return Said::badly(format!("error: {text}"), exit::GENERIC),
    };
    let status = match command {
        "status" => exit::UNKNOWN,
        // Supervisor's client falls over these; its exit status stays.
        "add" | "avail" | "reload" | "remove" | "reread" | "shutdown" | "update" => exit::GENERIC,
        _ => status,
    };
    Said::badly(format!("{}{text}{}", already.0, already.1), status)
}

/// The server wants a user name and a password.
pub fn login_needed() -> Said {
    Said::badly("Server requires authentication", exit::GENERIC)
}

/// The server runs without `[rpcinterface:supervisor]`.
pub fn no_interface(command: &str) -> Said {
    let status = match command {
        "status" => exit::UNKNOWN,
        _ => exit::NO_INTERFACE,
    };
    Said::badly(
        "Sorry, supervisord responded but did not recognize the supervisor namespace commands \
         that supervisorctl uses to control it.  Please check that the [rpcinterface:supervisor] \
         section is enabled in the configuration file (see sample.conf).",
        status,
    )
}

/// The server has another version of the interface than Supervisor 4.
pub fn other_version(command: &str, version: &str) -> Said {
    let status = match command {
        "status" => exit::UNKNOWN,
        _ => exit::OTHER_VERSION,
    };
    Said::badly(
        format!(
            "Sorry, this version of supervisorctl expects to talk to a server with API version \
             3.0, but the remote version is {version}."
        ),
        status,
    )
}

/// A command nobody knows.
pub fn unknown_syntax(line: &str) -> Said {
    Said::badly(format!("*** Unknown syntax: {line}"), exit::GENERIC)
}

/// A complaint followed by the command's help.
fn misuse(complaint: &str, command: &str, status: u8) -> Said {
    Said::badly(format!("{complaint}\n{}", help(command)), status)
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
