//! What a session asks the daemon's turn, and what it is answered.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use async_std::channel::Sender;

use super::measures::Measures;
use super::runs::RunView;
use crate::config::{ProcessConfig, Signal};
use crate::events::Bulletin;
use crate::fleet::{Deed, ProcessName, Refusal, Report, Selector, State};
use crate::logs::Timeline;

pub use crate::config::Channel;
pub use crate::launch::Peer;

/// A request with its way back. Dropping the receiver abandons it.
#[derive(Debug)]
pub struct Question {
    /// What is asked.
    pub ask: Ask,
    /// Who asks.
    pub peer: Option<Peer>,
    /// The connection itself, for an answer that only the next brain can give.
    pub connection: Option<OwnedFd>,
    /// The way back; bounded, so answers wait for slow readers nowhere but in the session.
    pub reply: Sender<Answer>,
}

/// Everything a session cannot answer by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Processes as they are. No selector: all.
    Status(Vec<Selector>),
    /// Start processes.
    Start {
        /// Which.
        selectors: Vec<Selector>,
        /// Answer when RUNNING, or at once.
        wait: bool,
    },
    /// Stop processes.
    Stop {
        /// Which.
        selectors: Vec<Selector>,
        /// Answer when stopped, or at once.
        wait: bool,
    },
    /// Stop, then start.
    Restart(Vec<Selector>),
    /// Signal processes.
    Signal {
        /// What.
        signal: Signal,
        /// Which.
        selectors: Vec<Selector>,
    },
    /// The daemon's pid (the keeper's).
    Pid,
    /// Every process in the configuration file and whether it is in use.
    Avail,
    /// Read the configuration again and tell what differs; changes nothing.
    Reread,
    /// Read it again and tell what an update would do to which process; changes nothing.
    Plan(Following),
    /// Read it again and follow it.
    Update(Following),
    /// Add groups of the configuration last read.
    Add(Vec<String>),
    /// Remove stopped groups.
    Remove(Vec<String>),
    /// Read it again and follow it in everything that can change at run time: all groups, and the
    /// daemon's own settings.
    Reload,
    /// Read the configuration again and start over with it: stop everything, start everything.
    StartOver,
    /// Go on under another binary; `None`: under the file the daemon was started from.
    Upgrade(Option<PathBuf>),
    /// Stop everything and end.
    Shutdown,
    /// Version of the daemon.
    Version,
    /// The daemon as it is.
    Daemon,
    /// Every process of the configuration last read, with all its options.
    Configuration,
    /// Delete the current log files of processes.
    Clear(Vec<Selector>),
    /// Delete the current main log file.
    ClearMain,
    /// Close and open all log files.
    Reopen,
    /// Rotate log files now.
    Rotate(Vec<Selector>),
    /// Rotate the daemon's own log now.
    RotateMain,
    /// The log file of one process.
    LogOf {
        /// Which process.
        name: ProcessName,
        /// Which output.
        channel: Channel,
    },
    /// The log files of processes. No selector: all.
    Logs(Vec<Selector>),
    /// The main log file.
    MainLog,
    /// Write to a program's standard input.
    Stdin {
        /// Which process.
        name: ProcessName,
        /// What.
        bytes: Vec<u8>,
    },
    /// The last runs of processes. No selector: of all.
    History(Vec<Selector>),
    /// Start processes with the daemon, or do not.
    Enable {
        /// Do.
        enabled: bool,
        /// Which.
        selectors: Vec<Selector>,
    },
    /// The events.
    Events,
    /// Everything that is counted and measured.
    Measures,
    /// Tell listeners of an event that somebody made up (`REMOTE_COMMUNICATION`).
    Remote {
        /// Its type.
        kind: String,
        /// Its text.
        data: String,
    },
}

/// How to follow a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Following {
    /// Only these groups; none: all.
    pub groups: Vec<String>,
    /// A group of which anything differs is replaced as a whole, as Supervisor does.
    pub whole_groups: bool,
}

/// One item of an answer; the last is `Done` or `Failed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A process as it is.
    Process(Box<ProcessView>),
    /// What was done to one process or group, or why not.
    Report(Report),
    /// What was done to the log files of one process, or why not.
    LogReport {
        /// Which process.
        name: ProcessName,
        /// What was done, or why not.
        result: Result<LogDone, Failure>,
    },
    /// A run of a process.
    Run(Box<RunView>),
    /// Whether a process is started with the daemon from now on.
    Enabled {
        /// Which.
        name: ProcessName,
        /// Whether.
        enabled: bool,
    },
    /// A process of the configuration file.
    Available(AvailView),
    /// A group that differs from what runs.
    Difference {
        /// Its name.
        group: String,
        /// How.
        kind: DifferenceKind,
    },
    /// What an update means for a process or a group.
    Planned {
        /// The process, or `group:*`.
        subject: String,
        /// What happens to it.
        deed: Deed,
    },
    /// An option that differs.
    Different(OptionView),
    /// A log file.
    Log(PathBuf),
    /// A log file of a process, to be read with others.
    LogOf(Box<LogView>),
    /// What happened, to be read by number.
    Events(Bulletin),
    /// What is counted and measured.
    Measures(Box<Measures>),
    /// A value: version, pid.
    Value(String),
    /// The daemon as it is.
    Daemon(Box<DaemonView>),
    /// A process of the configuration last read.
    Configured(Box<ConfiguredView>),
    /// A diagnostic of the configuration, with file:line.
    Diagnostic(String),
    /// The end: done.
    Done,
    /// The end: not done.
    Failed(Failure),
}

/// What was done to log files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogDone {
    /// Deleted and begun anew.
    Cleared,
    /// Rotated.
    Rotated,
}

/// How a group differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceKind {
    /// New in the file.
    Available,
    /// Different in the file.
    Changed,
    /// Not in the file any more.
    Disappeared,
}

/// Why a whole request failed. Each has a stable code (docs/protocol.md).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Refused for a reason that processes have too.
    Refused(Refusal),
    /// The configuration is broken; the diagnostics were sent before.
    CannotReread(String),
    /// There is no such log file.
    NoLogFile,
    /// The process takes no input: it closed it, or has a socket in its place.
    NoInput,
    /// Something else.
    Other(String),
}

/// A process as it is: the fields of Supervisor's `getProcessInfo` and ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessView {
    /// Its name.
    pub name: ProcessName,
    /// Its state.
    pub state: State,
    /// Supervisor's description: `pid 12, uptime 0:01:02`, a time of death, a spawn error.
    pub description: String,
    /// Its pid, 0 if it has none.
    pub pid: i32,
    /// Wall clock of the last start, 0 if never.
    pub start: i64,
    /// Wall clock of the last end, 0 if never.
    pub stop: i64,
    /// Wall clock now.
    pub now: i64,
    /// Seconds since it started, on the monotonic clock; 0 if it does not run.
    pub uptime: u64,
    /// Exit code of the last end; -1 after death by signal; 0 if none.
    pub exit_status: i32,
    /// How its last run ended, in words; empty if it has not ended yet.
    pub ended: String,
    /// Why it could not be started, or empty.
    pub spawn_error: String,
    /// Standard output's file, or empty.
    pub stdout_logfile: String,
    /// Standard error's file, or empty.
    pub stderr_logfile: String,
    /// A log that cannot be written at the moment: what fails, or empty.
    pub log_trouble: String,
    /// Processes that are left of its earlier runs, in words, or empty.
    pub left_behind: String,
    /// It is not started with the daemon, for somebody has disabled it.
    pub disabled: bool,
}

/// The daemon as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonView {
    /// `[supervisord] identifier`.
    pub identifier: String,
    /// Its pid (the keeper's).
    pub pid: i32,
    /// What it is about.
    pub state: DaemonState,
    /// Supervisor's clients are served: as `supervisord` only with `[rpcinterface:supervisor]`.
    pub serves_supervisor: bool,
}

/// What the daemon is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DaemonState {
    /// It supervises.
    Running,
    /// It stops everything, to start over.
    Restarting,
    /// It stops everything, to end.
    Leaving,
}

/// A process of the configuration last read, with all its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredView {
    /// Its group.
    pub group: String,
    /// Priority of its group.
    pub group_priority: i64,
    /// Its group is in the fleet.
    pub in_use: bool,
    /// Its options.
    pub config: Arc<ProcessConfig>,
    /// The file of its standard output while it is in use, or empty.
    pub stdout_logfile: String,
    /// The file of its standard error while it is in use, or empty.
    pub stderr_logfile: String,
}

/// A log file of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogView {
    /// Whose.
    pub name: ProcessName,
    /// Which output.
    pub channel: Channel,
    /// Where.
    pub path: PathBuf,
    /// When what of it was written.
    pub timeline: Timeline,
}

/// A process of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvailView {
    /// Its name.
    pub name: ProcessName,
    /// Its group is in the fleet.
    pub in_use: bool,
    /// `autostart`.
    pub autostart: bool,
    /// Priority of its group.
    pub group_priority: i64,
    /// Its own priority.
    pub process_priority: i64,
}

/// An option of a process or a group that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionView {
    /// The process, or `group:*`.
    pub subject: String,
    /// The option.
    pub option: String,
    /// As it is in force, or empty.
    pub old: String,
    /// As it is to be, or empty.
    pub new: String,
    /// `file:line`, or empty.
    pub place: String,
}
