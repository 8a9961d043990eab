//! The stable codes of the line protocol, all of them in one table.
//!
//! A code stands in `err CODE TEXT` and in rows, `NAME error code=CODE text=TEXT`. Programs read
//! the code, people read the text. Beside each code stands the number of Supervisor's XML-RPC
//! fault for the same thing (its `xmlrpc.Faults`), so that every front door answers alike.
//!
//! Must never: change the name of a code that was released.

use crate::fleet::{Refusal, SpawnFailureKind};

use super::question::Failure;

/// A stable code; [`Code::meaning`] explains each.
#[allow(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    NoSuchProcess,
    NoSuchGroup,
    AlreadyStarted,
    NotRunning,
    NoFile,
    NotExecutable,
    SpawnError,
    AbnormalTermination,
    UnknownState,
    ShuttingDown,
    StillRunning,
    AlreadyAdded,
    SignalFailed,
    BadSignal,
    CannotReread,
    NoLogFile,
    NoInput,
    Partial,
    Failed,
    UnknownVerb,
    BadArguments,
    UnsupportedVersion,
    LineTooLong,
    NotUtf8,
    Denied,
    Busy,
    Timeout,
}

/// What is known about a code.
struct Facts {
    name: &'static str,
    fault: u16,
    meaning: &'static str,
}

const fn facts(name: &'static str, fault: u16, meaning: &'static str) -> Facts {
    Facts {
        name,
        fault,
        meaning,
    }
}

impl Code {
    /// Every code, in the order of the documentation.
    pub const ALL: [Code; Code::Timeout as usize + 1] = [
        Code::NoSuchProcess,
        Code::NoSuchGroup,
        Code::AlreadyStarted,
        Code::NotRunning,
        Code::NoFile,
        Code::NotExecutable,
        Code::SpawnError,
        Code::AbnormalTermination,
        Code::UnknownState,
        Code::ShuttingDown,
        Code::StillRunning,
        Code::AlreadyAdded,
        Code::SignalFailed,
        Code::BadSignal,
        Code::CannotReread,
        Code::NoLogFile,
        Code::NoInput,
        Code::Partial,
        Code::Failed,
        Code::UnknownVerb,
        Code::BadArguments,
        Code::UnsupportedVersion,
        Code::LineTooLong,
        Code::NotUtf8,
        Code::Denied,
        Code::Busy,
        Code::Timeout,
    ];

    /// The table.
    const fn facts(self) -> Facts {
        match self {
            Code::NoSuchProcess => facts("no-such-process", 10, "no process has that name"),
            Code::NoSuchGroup => facts("no-such-group", 10, "no group has that name"),
            Code::AlreadyStarted => facts("already-started", 60, "it is started already"),
            Code::NotRunning => facts("not-running", 70, "it is not running"),
            Code::NoFile => facts("no-file", 20, "its command does not exist"),
            Code::NotExecutable => facts("not-executable", 21, "its command cannot be executed"),
            Code::SpawnError => facts("spawn-error", 50, "it could not be started"),
            Code::AbnormalTermination => facts(
                "abnormal-termination",
                40,
                "it ended before it counted as running",
            ),
            Code::UnknownState => facts("unknown-state", 30, "it is in state UNKNOWN"),
            Code::ShuttingDown => facts("shutting-down", 6, "the daemon is leaving"),
            Code::StillRunning => facts("still-running", 91, "a process of the group still runs"),
            Code::AlreadyAdded => facts("already-added", 90, "the group is in use already"),
            Code::SignalFailed => facts("signal-failed", 30, "the signal could not be delivered"),
            Code::BadSignal => facts("bad-signal", 11, "no signal has that name or number"),
            Code::CannotReread => facts(
                "cannot-reread",
                92,
                "the configuration is broken; rows before say where",
            ),
            Code::NoLogFile => facts("no-log-file", 20, "there is no such log file"),
            Code::NoInput => facts("no-input", 20, "it takes nothing on its standard input"),
            Code::Partial => facts(
                "partial",
                30,
                "some of several things could not be done; rows before say which",
            ),
            Code::Failed => facts(
                "failed",
                30,
                "something else went wrong; the text says what",
            ),
            Code::UnknownVerb => facts("unknown-verb", 1, "no verb has that name"),
            Code::BadArguments => facts("bad-arguments", 3, "the verb cannot be used like that"),
            Code::UnsupportedVersion => facts(
                "unsupported-version",
                4,
                "the daemon does not speak that version of the protocol",
            ),
            Code::LineTooLong => facts(
                "line-too-long",
                2,
                "the request is longer than a line may be; the connection is closed",
            ),
            Code::NotUtf8 => facts("not-utf8", 2, "the request is not UTF-8"),
            Code::Denied => facts("denied", 30, "this peer may not use that verb"),
            Code::Busy => facts(
                "busy",
                30,
                "too many connections, or the daemon does not take requests in time",
            ),
            Code::Timeout => facts(
                "timeout",
                30,
                "the rest of a request, or the next one, did not come in time; \
                 the connection is closed",
            ),
        }
    }

    /// As written on the line.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The number of Supervisor's fault.
    pub const fn fault(self) -> u16 {
        self.facts().fault
    }

    /// What it says, for the documentation.
    pub const fn meaning(self) -> &'static str {
        self.facts().meaning
    }

    /// The code of that name.
    pub fn named(name: &str) -> Option<Code> {
        Code::ALL.into_iter().find(|code| code.name() == name)
    }
}

/// A code and what it means in this case, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// For programs.
    pub code: Code,
    /// For people.
    pub text: String,
}

impl Trouble {
    /// Trouble in these words.
    pub fn new(code: Code, text: impl Into<String>) -> Trouble {
        Trouble {
            code,
            text: text.into(),
        }
    }
}

impl From<&Refusal> for Trouble {
    fn from(refusal: &Refusal) -> Trouble {
        let code = match refusal {
            Refusal::NoSuchProcess => Code::NoSuchProcess,
            Refusal::NoSuchGroup => Code::NoSuchGroup,
            Refusal::AlreadyStarted => Code::AlreadyStarted,
            Refusal::NotRunning => Code::NotRunning,
            Refusal::AbnormalTermination => Code::AbnormalTermination,
            Refusal::UnknownState => Code::UnknownState,
            Refusal::ShuttingDown => Code::ShuttingDown,
            Refusal::StillRunning => Code::StillRunning,
            Refusal::AlreadyAdded => Code::AlreadyAdded,
            Refusal::SpawnFailed(failure) => {
                let code = match failure.kind {
                    SpawnFailureKind::NoFile => Code::NoFile,
                    SpawnFailureKind::NotExecutable => Code::NotExecutable,
                    SpawnFailureKind::Other => Code::SpawnError,
                };
                return Trouble::new(code, failure.text.clone());
            }
            Refusal::SignalFailed(reason) => {
                return Trouble::new(Code::SignalFailed, reason.clone());
            }
        };
        Trouble::new(code, code.meaning())
    }
}

impl From<&Failure> for Trouble {
    fn from(failure: &Failure) -> Trouble {
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::CannotReread(text) => Trouble::new(Code::CannotReread, text.clone()),
            Failure::NoLogFile => Trouble::new(Code::NoLogFile, Code::NoLogFile.meaning()),
            Failure::NoInput => Trouble::new(Code::NoInput, Code::NoInput.meaning()),
            Failure::Other(text) => Trouble::new(Code::Failed, text.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete_and_its_names_are_unique() {
        for (at, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, at, "{code:?} is not at its place in ALL");
            assert_eq!(Code::named(code.name()), Some(code));
            assert!(
                code.name()
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "{code:?}"
            );
        }
        assert_eq!(Code::named("nonsense"), None);
    }
}
