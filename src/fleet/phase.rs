//! The phases of a process: its eight states, some of them split by what is there to be known.
//!
//! Each phase carries exactly the data that exist in it: a pid where there is a process, a
//! deadline where time is awaited, the count of failed attempts while attempts are being counted.
//! So a forgotten reset cannot happen: leaving the phase is the reset.
//!
//! Must never: contain data that mean nothing in that phase.

use serde::{Deserialize, Serialize};

use super::event::Stamp;
use super::state::State;

/// A state with its own data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Phase {
    /// STOPPED.
    Stopped,
    /// STARTING: the start was asked for and not answered yet.
    Launching {
        /// Attempts that failed so far.
        failures: u32,
    },
    /// STARTING: alive.
    Starting { pid: i32, due: Stamp, failures: u32 },
    /// RUNNING.
    Running { pid: i32 },
    /// BACKOFF: tried again when due.
    Backoff { failures: u32, due: Stamp },
    /// STOPPING: stopped before its start was answered. It is signalled as soon as it has a pid.
    Aborting,
    /// STOPPING: killed when due.
    Stopping { pid: i32, due: Stamp },
    /// EXITED; started again at that time if there is one.
    Exited { again: Option<Stamp> },
    /// FATAL.
    Fatal,
    /// UNKNOWN: alive, but out of reach.
    Unknown { pid: i32 },
}

impl Phase {
    pub(super) fn state(self) -> State {
        match self {
            Phase::Stopped => State::Stopped,
            Phase::Launching { .. } | Phase::Starting { .. } => State::Starting,
            Phase::Running { .. } => State::Running,
            Phase::Backoff { .. } => State::Backoff,
            Phase::Aborting | Phase::Stopping { .. } => State::Stopping,
            Phase::Exited { .. } => State::Exited,
            Phase::Fatal => State::Fatal,
            Phase::Unknown { .. } => State::Unknown,
        }
    }

    pub(super) fn pid(self) -> Option<i32> {
        match self {
            Phase::Starting { pid, .. }
            | Phase::Running { pid }
            | Phase::Stopping { pid, .. }
            | Phase::Unknown { pid } => Some(pid),
            Phase::Stopped
            | Phase::Launching { .. }
            | Phase::Backoff { .. }
            | Phase::Aborting
            | Phase::Exited { .. }
            | Phase::Fatal => None,
        }
    }

    pub(super) fn deadline(self) -> Option<Stamp> {
        match self {
            Phase::Starting { due, .. }
            | Phase::Backoff { due, .. }
            | Phase::Stopping { due, .. } => Some(due),
            Phase::Exited { again } => again,
            Phase::Stopped
            | Phase::Launching { .. }
            | Phase::Running { .. }
            | Phase::Aborting
            | Phase::Fatal
            | Phase::Unknown { .. } => None,
        }
    }

    /// Counts no more failed attempts than these.
    pub(super) fn limit_failures(&mut self, most: u32) {
        match self {
            Phase::Launching { failures }
            | Phase::Starting { failures, .. }
            | Phase::Backoff { failures, .. } => *failures = (*failures).min(most),
            Phase::Stopped
            | Phase::Running { .. }
            | Phase::Aborting
            | Phase::Stopping { .. }
            | Phase::Exited { .. }
            | Phase::Fatal
            | Phase::Unknown { .. } => {}
        }
    }

    pub(super) fn failures(self) -> u32 {
        match self {
            Phase::Launching { failures }
            | Phase::Starting { failures, .. }
            | Phase::Backoff { failures, .. } => failures,
            Phase::Stopped
            | Phase::Running { .. }
            | Phase::Aborting
            | Phase::Stopping { .. }
            | Phase::Exited { .. }
            | Phase::Fatal
            | Phase::Unknown { .. } => 0,
        }
    }
}
