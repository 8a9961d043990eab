//! The typed configuration: what the options of `supervisord.conf` mean once read.
//!
//! Plain data. Types here derive `Serialize` because the brain keeps what it applied in the
//! keeper, so that a successor continues with the configuration in force and not with whatever
//! the file says by then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::destination::{Destination, SyslogStyle};
use super::event_type::EventType;
use super::log_limits::LogBudget;
use super::logfile::LogFileConfig;

/// A whole configuration, as read from one root file and its includes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The root file, absolute; `None` when running on built-in defaults.
    pub file: Option<PathBuf>,
    /// `[supervisord]`.
    pub supervisord: SupervisordConfig,
    /// `[unix_http_server]` and `[inet_http_server]` sections, inet first, in file order.
    pub servers: Vec<ServerConfig>,
    /// `[rpcinterface:x]` namespaces (the text after the colon) that name the standard factory.
    pub rpc_interfaces: Vec<String>,
    /// Every group, sorted by (priority, name). An ungrouped program is a group of its own.
    pub groups: Vec<GroupConfig>,
    /// Groups that are never used, for an earlier one has the same name. Clients see them listed.
    pub shadowed: Vec<GroupConfig>,
}

/// `[supervisord]`: the daemon itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisordConfig {
    /// Where the daemon's own log goes.
    pub logfile: MainLogTarget,
    /// How that file is rotated and kept.
    pub logfile_config: LogFileConfig,
    /// Limits of all program logs together.
    pub log_budget: LogBudget,
    /// Lowest level that is written.
    pub loglevel: LogLevel,
    /// Pid file, absolute.
    pub pidfile: PathBuf,
    /// File mode creation mask.
    pub umask: u32,
    /// Stay in the foreground.
    pub nodaemon: bool,
    /// In the foreground: do not echo the main log on stdout.
    pub silent: bool,
    /// Wanted `RLIMIT_NOFILE`.
    pub minfds: u64,
    /// Wanted `RLIMIT_NPROC`.
    pub minprocs: u64,
    /// Keep AUTO logs of earlier runs.
    pub nocleanup: bool,
    /// Where AUTO logs live.
    pub childlogdir: PathBuf,
    /// Drop to this user at start.
    pub user: Option<UserSpec>,
    /// Change to this directory at start.
    pub directory: Option<PathBuf>,
    /// Remove ANSI escape sequences from program logs.
    pub strip_ansi: bool,
    /// Added to the environment of every program.
    pub environment: BTreeMap<String, String>,
    /// Name of this instance in events and AUTO log names.
    pub identifier: String,
    /// Where history and disabled programs are kept (our addition: `statedir`).
    pub statedir: StateDirectory,
}

/// `statedir=`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateDirectory {
    /// Beside the socket; as `supervisord` nowhere.
    #[default]
    Default,
    /// `NONE`: nowhere.
    None,
    /// There.
    At(PathBuf),
}

/// The daemon's own log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MainLogTarget {
    /// No file.
    None,
    /// The system log.
    Syslog,
    /// A file, absolute.
    File(PathBuf),
}

/// Level of a main log line, in Supervisor's order and words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogLevel {
    /// `blather`, BLAT.
    Blather,
    /// `trace`, TRAC.
    Trace,
    /// `debug`, DEBG.
    Debug,
    /// `info`, INFO.
    Info,
    /// `warn`, WARN.
    Warn,
    /// `error`, ERRO.
    Error,
    /// `critical`, CRIT.
    Critical,
}

/// A user named in the configuration and found in the user database at reading time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserSpec {
    /// Login name; the number as text where the database has no name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
}

/// One listening address from a `[unix_http_server]` or `[inet_http_server]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerConfig {
    /// The section's whole name, used in messages.
    pub section: String,
    /// What to listen on.
    pub address: ServerAddress,
    /// User name and password (clear text or `{SHA}` and 40 hex digits).
    pub credentials: Option<(String, String)>,
}

/// A listening address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerAddress {
    /// A unix socket.
    Unix {
        /// Absolute path.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
        /// Owner and group ids to set; `None` leaves that one.
        owner: (Option<u32>, Option<u32>),
    },
    /// A TCP port; an empty host means every interface.
    Inet {
        /// Host name or address, lower-cased.
        host: String,
        /// Port.
        port: u16,
        /// Serve beyond loopback without a password (our addition: `allow_unauthenticated`).
        allow_unauthenticated: bool,
    },
}

/// A group: what is started, stopped and replaced together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupConfig {
    /// Name before the colon in `group:process`.
    pub name: String,
    /// Lower starts first and stops last.
    pub priority: i64,
    /// What sort of group.
    pub kind: GroupKind,
    /// Its processes in starting order; shared with whoever runs them.
    pub processes: Vec<Arc<ProcessConfig>>,
}

/// What sort of group, with the options only that sort has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupKind {
    /// `[program:x]` or `[group:x]`.
    Program,
    /// `[fcgi-program:x]`, or a `[group:x]` with such: the socket of each of its programs.
    FastCgi(BTreeMap<String, FastCgiConfig>),
    /// `[eventlistener:x]`.
    EventListener(ListenerConfig),
}

/// Options only `[fcgi-program:x]` has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FastCgiConfig {
    /// The shared socket: `unix:///absolute/path` or `tcp://host:port`.
    pub socket: String,
    /// Accept queue length; `None` is the system's maximum.
    pub backlog: Option<u32>,
    /// Owner and group of a unix socket.
    pub owner: Option<(u32, Option<u32>)>,
    /// Mode of a unix socket.
    pub mode: u32,
}

impl FastCgiConfig {
    /// The path of a unix socket.
    pub fn path(&self) -> Option<&Path> {
        self.socket.strip_prefix("unix://").map(Path::new)
    }
}

/// Options only `[eventlistener:x]` has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerConfig {
    /// Types of events it gets.
    pub events: Vec<EventType>,
    /// How many undelivered events to keep.
    pub buffer_size: u32,
}

/// One process: an instance of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessConfig {
    /// Name after the colon in `group:process`.
    pub name: String,
    /// Name of the section it comes from.
    pub program: String,
    /// When to start, restart and stop it: all that the state machine knows of it.
    pub policy: Policy,
    /// How to start it.
    pub launch: LaunchConfig,
    /// Where its standard output goes.
    pub stdout: StreamConfig,
    /// Where its standard error goes (not used with `redirect_stderr`).
    pub stderr: StreamConfig,
}

/// When to start, restart and stop a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Lower starts first.
    pub priority: i64,
    /// Start with the daemon, and when added.
    pub autostart: bool,
    /// Start again after an exit.
    pub autorestart: Autorestart,
    /// Seconds alive that make it RUNNING; 0 or less: at once.
    pub startsecs: i64,
    /// Further attempts after the first one failed.
    pub startretries: i64,
    /// Exit codes that are expected.
    pub exitcodes: Vec<u8>,
    /// Signal that asks it to stop.
    pub stopsignal: Signal,
    /// Seconds from there to SIGKILL.
    pub stopwaitsecs: i64,
    /// Send `stopsignal` to the process group.
    pub stopasgroup: bool,
    /// Send SIGKILL to the process group.
    pub killasgroup: bool,
    /// Whether a stop ends everything that it started (our addition: `stop_tree`); `None`: as the
    /// name under which the daemon runs has it.
    pub stop_tree: Option<bool>,
    /// Its final end is the end of the daemon (our addition: `essential`).
    pub essential: bool,
}

/// `autorestart=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Autorestart {
    /// `false`.
    Never,
    /// `unexpected`: after an exit code that `exitcodes` does not list.
    Unexpected,
    /// `true`.
    Always,
}

/// A signal number, 1 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signal(pub u8);

/// How to start a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchConfig {
    /// The expanded `command=`; split into words only when it is started, for a command that
    /// cannot be split is a failure of that start.
    pub command: String,
    /// Working directory.
    pub directory: Option<PathBuf>,
    /// Run as this user.
    pub user: Option<UserSpec>,
    /// File mode creation mask.
    pub umask: Option<u32>,
    /// The merged `environment=` of `[supervisord]` and the program (the program's wins).
    pub environment: BTreeMap<String, String>,
    /// `SUPERVISOR_SERVER_URL` as configured; `None`: AUTO.
    pub serverurl: Option<String>,
    /// `SUPERVISOR_SERVER_URL` where that is AUTO: the first server's; `None`: unset.
    pub first_server: Option<String>,
    /// Standard error goes where standard output goes.
    pub redirect_stderr: bool,
}

/// Where one output stream of a process goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamConfig {
    /// The file.
    pub logfile: LogTarget,
    /// How it is rotated and kept.
    pub logfile_config: LogFileConfig,
    /// What to do while the file cannot be written (our addition: `stdout_on_full`).
    pub on_full: OnFull,
    /// Bytes between the capture tags to keep; 0 = no capture.
    pub capture_maxbytes: u64,
    /// Emit PROCESS_LOG events.
    pub events_enabled: bool,
    /// Send each line to syslog.
    pub syslog: bool,
    /// Where else it goes; with `syslog`, that is among these.
    pub also: Vec<Destination>,
    /// How its lines look in a syslog.
    pub style: SyslogStyle,
    /// In which form its lines are written.
    pub form: OutputForm,
}

/// In which form lines are written (our addition).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutputForm {
    /// `stdout_format`.
    pub line: LineFormat,
    /// `stdout_format_time`.
    pub time: FormatTime,
}

/// `stdout_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum LineFormat {
    /// `raw`: byte by byte.
    #[default]
    Raw,
    /// `prefix`: time, name and stream before each line.
    Prefix,
    /// `json`: an object for each line.
    Json,
}

impl LineFormat {
    /// As it is written in a file.
    pub fn word(self) -> &'static str {
        match self {
            LineFormat::Raw => "raw",
            LineFormat::Prefix => "prefix",
            LineFormat::Json => "json",
        }
    }
}

/// `stdout_format_time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum FormatTime {
    /// `utc`.
    #[default]
    Utc,
    /// `local`.
    Local,
}

impl FormatTime {
    /// As it is written in a file.
    pub fn word(self) -> &'static str {
        match self {
            FormatTime::Utc => "utc",
            FormatTime::Local => "local",
        }
    }
}

/// Which output of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Channel {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Channel {
    /// `stdout` or `stderr`.
    pub fn word(self) -> &'static str {
        match self {
            Channel::Stdout => "stdout",
            Channel::Stderr => "stderr",
        }
    }
}

/// What becomes of a program's output while its log cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum OnFull {
    /// It waits in the program's pipe, and the program with it, once the pipe is full.
    #[default]
    Block,
    /// Whole lines are dropped and counted.
    Drop,
}

impl OnFull {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            OnFull::Block => "block",
            OnFull::Drop => "drop",
        }
    }
}

/// A program's log file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogTarget {
    /// Read and discard.
    None,
    /// A file with a generated name in `childlogdir`.
    Auto,
    /// This file. A relative path is relative to the daemon's directory.
    File(PathBuf),
}

/// `[supervisorctl]`: what the client reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupervisorctlConfig {
    /// Where the daemon listens.
    pub serverurl: String,
    /// User name for it.
    pub username: Option<String>,
    /// Password for it.
    pub password: Option<String>,
    /// Prompt of the shell, without `> `.
    pub prompt: String,
    /// History of the shell.
    pub history_file: Option<PathBuf>,
}

impl Policy {
    /// How long a process must live to be RUNNING.
    pub fn start_time(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.startsecs).unwrap_or(0))
    }

    /// How long a process has to stop before SIGKILL.
    pub fn stop_time(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.stopwaitsecs).unwrap_or(0))
    }
}
