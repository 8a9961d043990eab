//! Processes: what they do, what they did, what they are to do. Arguments, help and examples.
//!
//! Must never: do what is asked.

use argh::{ArgsInfo, FromArgs};

/// Show processes.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "status",
    help_triggers("-h", "--help"),
    example = "appctl status\nappctl status web 'pool:*' 'worker_*'\nappctl status --json",
    note = "Exit status: 0 all RUNNING, 3 some are not, 4 no such process or no daemon."
)]
pub struct Status {
    /// print JSON
    #[argh(switch)]
    pub json: bool,
    /// processes (`name`, `group:name`), groups (`group:*`) or patterns; none: all
    #[argh(positional, arg_name = "name")]
    pub names: Vec<String>,
}

/// Start processes and wait until they are RUNNING.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "start",
    help_triggers("-h", "--help"),
    example = "appctl start web\nappctl start 'pool:*'\nappctl start all"
)]
pub struct Start {
    /// do not wait until they are RUNNING
    #[argh(switch)]
    pub no_wait: bool,
    /// processes, groups, patterns, or `all`
    #[argh(positional, arg_name = "name")]
    pub names: Vec<String>,
}

/// Stop processes and wait until they have stopped.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "stop",
    help_triggers("-h", "--help"),
    example = "appctl stop web\nappctl stop 'pool:*'\nappctl stop all"
)]
pub struct Stop {
    /// do not wait until they have stopped
    #[argh(switch)]
    pub no_wait: bool,
    /// processes, groups, patterns, or `all`
    #[argh(positional, arg_name = "name")]
    pub names: Vec<String>,
}

/// Stop processes that run, then start them all.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "restart",
    help_triggers("-h", "--help"),
    example = "appctl restart web worker\nappctl restart all",
    note = "The configuration is not read again; see reread and update."
)]
pub struct Restart {
    /// processes, groups, patterns, or `all`
    #[argh(positional, arg_name = "name")]
    pub names: Vec<String>,
}

/// Send a signal to processes.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "signal",
    help_triggers("-h", "--help"),
    example = "appctl signal HUP web\nappctl signal 10 'pool:*'"
)]
pub struct Signal {
    /// signal by name, with or without SIG, or by number
    #[argh(positional)]
    pub signal: String,
    /// processes, groups, patterns, or `all`
    #[argh(positional, arg_name = "name")]
    pub names: Vec<String>,
}

/// Show the daemon's process id, or those of processes.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "pid",
    help_triggers("-h", "--help"),
    example = "appctl pid\nappctl pid web\nappctl pid all"
)]
pub struct Pid {
    /// processes, groups, patterns, or `all`; none: the daemon
    #[argh(positional, arg_name = "name")]
    pub names: Vec<String>,
}

/// Connect this terminal to a process: see both outputs, type its input. Ctrl-C leaves it running.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "fg",
    help_triggers("-h", "--help"),
    example = "appctl fg console"
)]
pub struct Fg {
    /// the process
    #[argh(positional)]
    pub name: String,
}

/// Show what happened: changes of state, groups that came and went, events that were sent.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "events",
    help_triggers("-h", "--help"),
    example = "appctl events\nappctl events -f --json\nappctl events --since 4711",
    note = "Events are numbered. -f alone begins now; with --since it goes on after that number."
)]
pub struct Events {
    /// go on with what happens from now on, until Ctrl-C
    #[argh(switch, short = 'f')]
    pub follow: bool,
    /// only what followed the event of this number
    #[argh(option, arg_name = "sequence")]
    pub since: Option<u64>,
    /// print JSON, one object per line
    #[argh(switch)]
    pub json: bool,
}

/// Show the last runs of processes: when, why and by whom each was started, and how it ended.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "history",
    help_triggers("-h", "--help"),
    example = "appctl history\nappctl history web --json"
)]
pub struct History {
    /// print JSON
    #[argh(switch)]
    pub json: bool,
    /// processes, groups, patterns; unless given: all
    #[argh(positional, arg_name = "name")]
    pub names: Vec<String>,
}

/// Start processes with the daemon again, as their autostart says. Starts none now.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "enable",
    help_triggers("-h", "--help"),
    example = "appctl enable web"
)]
pub struct Enable {
    /// processes, groups, patterns, or `all`
    #[argh(positional, arg_name = "name")]
    pub names: Vec<String>,
}

/// Do not start processes with the daemon any more. Stops none now.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "disable",
    help_triggers("-h", "--help"),
    example = "appctl disable web"
)]
pub struct Disable {
    /// processes, groups, patterns, or `all`
    #[argh(positional, arg_name = "name")]
    pub names: Vec<String>,
}
