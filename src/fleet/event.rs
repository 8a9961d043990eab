//! The vocabulary of the core: everything that can wake it and everything it can decide.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::name::{ProcessId, ProcessName, Selector};
use super::state::State;
use crate::config::{Policy, Signal};

/// A point on the monotonic clock (`CLOCK_MONOTONIC`), in nanoseconds: the only time that
/// decides anything. It is the same clock for every brain of one boot.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Stamp(pub u64);

impl Stamp {
    /// The stamp `by` later.
    pub fn after(self, by: Duration) -> Stamp {
        Stamp(
            self.0
                .saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// Time from `earlier` to here; zero if it is not earlier.
    pub fn since(self, earlier: Stamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A moment: the stamp that decides and the wall clock (seconds since 1970) that is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Moment {
    /// Monotonic.
    pub stamp: Stamp,
    /// Seconds since 1970, UTC.
    pub wall: i64,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitStatus {
    /// `exit(code)`.
    Code(u8),
    /// Killed by a signal.
    Signal {
        /// Number.
        number: u8,
        /// With a core dump.
        core: bool,
    },
    /// It ended when nobody could see it. Never made up, always shown as unknown.
    Unknown,
}

/// Why a process could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpawnFailure {
    /// Which of Supervisor's classes (and RPC faults) it belongs to.
    pub kind: SpawnFailureKind,
    /// What failed, on what, why: shown in `status`.
    pub text: String,
}

/// Supervisor's classes of spawn failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpawnFailureKind {
    /// The command does not exist (fault 20).
    NoFile,
    /// It is a directory, not executable, or cannot be split into words (fault 21).
    NotExecutable,
    /// Anything else (fault 50).
    Other,
}

/// A request in flight; its reports and its end carry the same ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A group as the core knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPolicy {
    /// Its name.
    pub name: String,
    /// Lower starts first and stops last.
    pub priority: i64,
    /// Its processes in starting order: name within the group, and policy.
    pub processes: Vec<(String, Policy)>,
}

/// A new configuration, as far as it differs from the one in force.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Names of the groups that disappeared.
    pub removed: Vec<String>,
    /// Groups that are replaced as a whole, with their new policy.
    pub changed: Vec<GroupPolicy>,
    /// Groups of which only some processes differ.
    pub revised: Vec<Revision>,
    /// Groups that are new.
    pub added: Vec<GroupPolicy>,
}

/// A group that stays while some of its processes come, go or change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The group as it is to be. Processes that it does not list leave, those that are new join.
    pub group: GroupPolicy,
    /// Processes that differ in what only a new start can change.
    pub replaced: BTreeSet<String>,
    /// Processes that differ in what they can be given while they run.
    pub adjusted: BTreeSet<String>,
}

/// What an update means for one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// It is stopped and leaves.
    Stop,
    /// It is at rest and leaves.
    Remove,
    /// It is stopped, and started with its new configuration.
    Restart,
    /// It is at rest, and is started with its new configuration.
    Start,
    /// It goes on as it is, and has its new configuration at once.
    Adjust,
    /// It is at rest and stays so, with its new configuration.
    Change,
    /// It is new, and is not to be started.
    Add,
}

/// Everything that can wake the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Time has passed. Harmless at any moment, early, late or twice.
    Tick,
    /// The start that [`Action::Start`] asked for worked.
    Spawned {
        /// Which process.
        process: ProcessId,
        /// Its process id.
        pid: i32,
    },
    /// The start that [`Action::Start`] asked for did not.
    SpawnFailed {
        /// Which process.
        process: ProcessId,
        /// Why.
        failure: SpawnFailure,
    },
    /// A process ended and its output is drained.
    Exited {
        /// Which process.
        process: ProcessId,
        /// The pid that ended; an event for another pid than the current one is ignored.
        pid: i32,
        /// How.
        status: ExitStatus,
    },
    /// A signal could not be delivered for another reason than "no such process".
    SignalFailed {
        /// Which process.
        process: ProcessId,
        /// The reason, ready for the log.
        reason: String,
    },
    /// Somebody asks for something.
    Asked {
        /// Names the request in the answers.
        ticket: Ticket,
        /// What is asked.
        request: Request,
    },
    /// The client of this request went away; its effects go on, its answers are not wanted.
    Abandoned {
        /// The request.
        ticket: Ticket,
    },
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Start the selected processes; answered when each is RUNNING or has failed, or at once
    /// when `wait` is false.
    Start {
        /// Which.
        selectors: Vec<Selector>,
        /// Answer when done, or at once.
        wait: bool,
    },
    /// Stop them; answered when each has stopped, or at once.
    Stop {
        /// Which.
        selectors: Vec<Selector>,
        /// Answer when done, or at once.
        wait: bool,
    },
    /// Stop those that run, then start all selected.
    Restart {
        /// Which.
        selectors: Vec<Selector>,
    },
    /// Send a signal to those that run.
    Signal {
        /// Which.
        selectors: Vec<Selector>,
        /// What.
        signal: Signal,
    },
    /// Add groups and start what is to be autostarted.
    Add {
        /// The groups.
        groups: Vec<GroupPolicy>,
    },
    /// Remove groups that have stopped.
    Remove {
        /// Their names.
        groups: Vec<String>,
    },
    /// Make the fleet follow a new configuration: stop and remove, stop and replace, add.
    Update(Changes),
    /// Stop everything in shutdown order, then [`Action::Finished`].
    Shutdown,
    /// The same, to start over with a new configuration (Supervisor's reload).
    StartOver,
}

/// Everything the core can decide. They are performed in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start this process; answer with [`Event::Spawned`] or [`Event::SpawnFailed`].
    Start {
        /// Which.
        process: ProcessId,
    },
    /// Send a signal.
    Kill {
        /// Which process.
        process: ProcessId,
        /// Its pid.
        pid: i32,
        /// What.
        signal: Signal,
        /// To its process group instead of itself.
        group: bool,
        /// Why.
        purpose: KillPurpose,
    },
    /// A process changed state: to be logged, recorded and published.
    Changed(Change),
    /// A group joined the fleet with these processes.
    GroupAdded {
        /// Its name.
        group: String,
        /// Ids given to its processes, in their order.
        processes: Vec<(ProcessId, ProcessName)>,
    },
    /// A group left the fleet.
    GroupRemoved {
        /// Its name.
        group: String,
        /// The ids that are gone.
        processes: Vec<ProcessId>,
    },
    /// Processes joined a group of the fleet.
    Joined {
        /// The group's name.
        group: String,
        /// Ids given to them, in their order.
        processes: Vec<(ProcessId, ProcessName)>,
    },
    /// A process left its group, which stays.
    Left {
        /// Which.
        process: ProcessId,
    },
    /// A process has its new configuration from now on.
    Revised {
        /// Which.
        process: ProcessId,
    },
    /// A group is as its new configuration wants it.
    GroupRevised {
        /// Its name.
        group: String,
    },
    /// One line of the answer to a request.
    Report {
        /// The request.
        ticket: Ticket,
        /// The line.
        report: Report,
    },
    /// The request is answered in full.
    Answered {
        /// The request.
        ticket: Ticket,
    },
    /// While leaving: these still live. Repeated at most every three seconds.
    Waiting {
        /// Names of the living.
        living: Vec<ProcessName>,
    },
    /// The fleet leaves without having been asked.
    Ending {
        /// Because of this process, if it was one.
        process: Option<ProcessId>,
        /// The exit code of the daemon.
        code: u8,
    },
    /// Nothing lives any more after [`Request::Shutdown`] or [`Request::StartOver`].
    Finished {
        /// True after [`Request::StartOver`].
        start_over: bool,
        /// The exit code of the daemon.
        code: u8,
    },
}

/// Why a signal is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillPurpose {
    /// `stopsignal`: it is asked to stop.
    Stop,
    /// It did not stop in time.
    Overdue,
    /// Somebody asked for this signal.
    Asked,
}

/// A change of state with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which process.
    pub process: ProcessId,
    /// State before.
    pub from: State,
    /// State after.
    pub to: State,
    /// Its pid before the change, 0 if it had none.
    pub pid: i32,
    /// Attempts to start it that have failed so far, where it is STARTING or in BACKOFF.
    pub tries: u32,
    /// Why.
    pub cause: Cause,
}

/// Why a process changed state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// `autostart`.
    Autostart,
    /// `autorestart`, after this exit.
    Autorestart(ExitStatus),
    /// A retry; the number counts from 1.
    Retry(u32),
    /// Somebody asked.
    Asked,
    /// It stayed up for this many seconds (`startsecs`).
    StayedUp(i64),
    /// It could not be started.
    SpawnFailed(SpawnFailure),
    /// It ended before `startsecs`.
    ExitedTooQuickly(ExitStatus),
    /// It ended by itself; `expected` says whether `exitcodes` lists the code.
    Exited {
        /// How it ended.
        status: ExitStatus,
        /// Listed in `exitcodes`.
        expected: bool,
    },
    /// It ended after it was asked to stop.
    Stopped(ExitStatus),
    /// More than `startretries` attempts failed.
    GaveUp,
    /// The daemon is leaving.
    Leaving,
    /// A signal could not be delivered.
    SignalFailed(String),
}

/// One line of the answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it is about, as shown: a process name, a group name, a pattern as typed; empty if it
    /// is about the daemon.
    pub subject: String,
    /// What was done, or why not.
    pub result: Result<Done, Refusal>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It is RUNNING (or STARTING, if nobody waits).
    Started,
    /// It is not running any more (or STOPPING, if nobody waits).
    Stopped,
    /// The signal was sent.
    Signalled,
    /// The group is in the fleet.
    Added,
    /// The group left the fleet.
    Removed,
    /// The group was replaced; the process, at rest, has its new configuration.
    Updated,
    /// The process was stopped and is started with its new configuration.
    Restarted,
    /// The process has its new configuration and went on.
    Adjusted,
    /// Accepted: the daemon is leaving.
    Leaving,
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No process has that name.
    NoSuchProcess,
    /// No group has that name.
    NoSuchGroup,
    /// It is started already.
    AlreadyStarted,
    /// It is not running.
    NotRunning,
    /// It could not be started.
    SpawnFailed(SpawnFailure),
    /// It ended before it was RUNNING, or is being stopped.
    AbnormalTermination,
    /// It is in state UNKNOWN.
    UnknownState,
    /// The daemon is leaving.
    ShuttingDown,
    /// A process of the group still runs.
    StillRunning,
    /// A group of that name is in the fleet.
    AlreadyAdded,
    /// The signal could not be delivered.
    SignalFailed(String),
}
