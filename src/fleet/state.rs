//! The eight states of a process, with Supervisor's codes and sets.

use std::fmt;

use serde::{Deserialize, Serialize};

/// State of a process. The numbers are Supervisor's (its `ProcessStates`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// Not running: never started, or stopped by request.
    Stopped = 0,
    /// Started, not yet alive for `startsecs`.
    Starting = 10,
    /// Alive for longer than `startsecs`.
    Running = 20,
    /// Ended while STARTING; will be tried again.
    Backoff = 30,
    /// Asked to stop.
    Stopping = 40,
    /// Ended from RUNNING.
    Exited = 100,
    /// Could not be started, given up.
    Fatal = 200,
    /// A signal could not be delivered.
    Unknown = 1000,
}

impl State {
    /// Supervisor's number.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// Supervisor's word.
    pub fn word(self) -> &'static str {
        match self {
            State::Stopped => "STOPPED",
            State::Starting => "STARTING",
            State::Running => "RUNNING",
            State::Backoff => "BACKOFF",
            State::Stopping => "STOPPING",
            State::Exited => "EXITED",
            State::Fatal => "FATAL",
            State::Unknown => "UNKNOWN",
        }
    }

    /// STOPPED, EXITED, FATAL, UNKNOWN: the set in which a group may be removed.
    pub fn is_stopped(self) -> bool {
        matches!(
            self,
            State::Stopped | State::Exited | State::Fatal | State::Unknown
        )
    }

    /// STARTING, RUNNING, BACKOFF: the set that `start all` leaves alone and `stop all` stops.
    pub fn is_running(self) -> bool {
        matches!(self, State::Starting | State::Running | State::Backoff)
    }

    /// STARTING, RUNNING, STOPPING: the set that has a process to signal.
    pub fn is_signallable(self) -> bool {
        matches!(self, State::Starting | State::Running | State::Stopping)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
