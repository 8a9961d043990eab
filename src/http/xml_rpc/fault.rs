//! The faults of XML-RPC, as Supervisor numbers and names them (its `xmlrpc.Faults`).
//!
//! Must never: change a number or a name; clients compare both.

use super::value::Value;
use crate::control::Failure;
use crate::control::codes::Trouble;
use crate::fleet::{Refusal, SpawnFailureKind};

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The number.
    pub code: u16,
    /// More about it.
    extra: Option<String>,
}

/// No method of that name.
pub const UNKNOWN_METHOD: u16 = 1;
/// The arguments are too many, too few, or of the wrong type.
pub const INCORRECT_PARAMETERS: u16 = 2;
/// The arguments make no sense.
pub const BAD_ARGUMENTS: u16 = 3;
/// There is no signature of that method.
pub const SIGNATURE_UNSUPPORTED: u16 = 4;
/// The daemon is leaving.
pub const SHUTDOWN_STATE: u16 = 6;
/// No process or group has that name.
pub const BAD_NAME: u16 = 10;
/// No signal has that name or number.
pub const BAD_SIGNAL: u16 = 11;
/// There is no such file.
pub const NO_FILE: u16 = 20;
/// Its command cannot be executed.
pub const NOT_EXECUTABLE: u16 = 21;
/// Something else went wrong.
pub const FAILED: u16 = 30;
/// It ended before it counted as running.
pub const ABNORMAL_TERMINATION: u16 = 40;
/// A process could not be started.
pub const SPAWN_ERROR: u16 = 50;
/// It is started already.
pub const ALREADY_STARTED: u16 = 60;
/// It is not running.
pub const NOT_RUNNING: u16 = 70;
/// No fault: the status of a success in a list of results.
pub const SUCCESS: u16 = 80;
/// The configuration is broken.
const CANT_REREAD: u16 = 92;

const NAMES: [(u16, &str); 19] = [
    (UNKNOWN_METHOD, "UNKNOWN_METHOD"),
    (INCORRECT_PARAMETERS, "INCORRECT_PARAMETERS"),
    (BAD_ARGUMENTS, "BAD_ARGUMENTS"),
    (SIGNATURE_UNSUPPORTED, "SIGNATURE_UNSUPPORTED"),
    (SHUTDOWN_STATE, "SHUTDOWN_STATE"),
    (BAD_NAME, "BAD_NAME"),
    (BAD_SIGNAL, "BAD_SIGNAL"),
    (NO_FILE, "NO_FILE"),
    (NOT_EXECUTABLE, "NOT_EXECUTABLE"),
    (FAILED, "FAILED"),
    (ABNORMAL_TERMINATION, "ABNORMAL_TERMINATION"),
    (SPAWN_ERROR, "SPAWN_ERROR"),
    (ALREADY_STARTED, "ALREADY_STARTED"),
    (NOT_RUNNING, "NOT_RUNNING"),
    (SUCCESS, "SUCCESS"),
    (90, "ALREADY_ADDED"),
    (91, "STILL_RUNNING"),
    (CANT_REREAD, "CANT_REREAD"),
    (0, "UNKNOWN"),
];

impl Fault {
    /// A fault that its number says all about.
    pub fn bare(code: u16) -> Fault {
        Fault { code, extra: None }
    }

    /// A fault with more about it, usually the name that was given.
    pub fn new(code: u16, extra: impl Into<String>) -> Fault {
        Fault {
            code,
            extra: Some(extra.into()),
        }
    }

    /// Why a process or group was refused, under the name it was asked for.
    pub fn refused(refusal: &Refusal, name: &str) -> Fault {
        let code = Trouble::from(refusal).code.fault();
        match refusal {
            Refusal::SpawnFailed(failure) if failure.kind != SpawnFailureKind::Other => {
                Fault::new(code, failure.text.clone())
            }
            Refusal::UnknownState => {
                Fault::new(code, format!("{name} is in an unknown process state"))
            }
            Refusal::SignalFailed(reason) => Fault::new(code, reason.clone()),
            Refusal::ShuttingDown => Fault::bare(SHUTDOWN_STATE),
            _ => Fault::new(code, name),
        }
    }

    /// Why a whole request failed.
    pub fn failed(failure: &Failure, name: &str) -> Fault {
        match failure {
            Failure::Refused(refusal) => Fault::refused(refusal, name),
            Failure::CannotReread(text) => Fault::new(CANT_REREAD, text.clone()),
            Failure::NoLogFile => Fault::bare(NO_FILE),
            Failure::NoInput => Fault::new(NO_FILE, name),
            Failure::Other(text) => Fault::new(FAILED, text.clone()),
        }
    }

    /// `NAME`, or `NAME: more`.
    pub fn text(&self) -> String {
        let named = NAMES.iter().find(|(code, _)| *code == self.code);
        let name = named.map_or("UNKNOWN", |(_, name)| name);
        match &self.extra {
            None => name.to_owned(),
            Some(extra) => format!("{name}: {extra}"),
        }
    }

    /// As a struct, the way calls within a call and responses have it.
    pub fn as_value(&self) -> Value {
        Value::Struct(vec![
            ("faultCode".to_owned(), Value::Int(self.code.into())),
            ("faultString".to_owned(), Value::Text(self.text())),
        ])
    }
}
