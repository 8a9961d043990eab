//! The configuration file and what follows from it. Arguments, help and examples.
//!
//! Must never: do what is asked.

use argh::{ArgsInfo, FromArgs};

/// Show every process of the configuration and whether it is in use.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "avail",
    help_triggers("-h", "--help"),
    example = "appctl avail\nappctl avail --json"
)]
pub struct Avail {
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// Read the configuration again and show which groups differ; change nothing.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "reread",
    help_triggers("-h", "--help"),
    example = "appctl reread\nappctl reread --json"
)]
pub struct Reread {
    /// print JSON
    #[argh(switch)]
    pub json: bool,
}

/// Show what `update` would do to which process, option by option; changes nothing.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "plan",
    help_triggers("-h", "--help"),
    example = "appctl plan\nappctl plan --json web"
)]
pub struct Plan {
    /// print JSON
    #[argh(switch)]
    pub json: bool,

    /// a group of which anything differs restarts as a whole
    #[argh(switch)]
    pub whole_groups: bool,

    /// groups; none: all
    #[argh(positional, arg_name = "group")]
    pub groups: Vec<String>,
}

/// Read the configuration again and follow it: touch only the processes that differ.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "update",
    help_triggers("-h", "--help"),
    example = "appctl update\nappctl update web"
)]
pub struct Update {
    /// a group of which anything differs restarts as a whole
    #[argh(switch)]
    pub whole_groups: bool,

    /// groups; none: all
    #[argh(positional, arg_name = "group")]
    pub groups: Vec<String>,
}

/// Add groups of the configuration last read.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "add",
    help_triggers("-h", "--help"),
    example = "appctl reread && appctl add web"
)]
pub struct Add {
    /// groups
    #[argh(positional, arg_name = "group")]
    pub groups: Vec<String>,
}

/// Remove groups whose processes have stopped.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "remove",
    help_triggers("-h", "--help"),
    example = "appctl stop 'web:*' && appctl remove web"
)]
pub struct Remove {
    /// groups
    #[argh(positional, arg_name = "group")]
    pub groups: Vec<String>,
}

/// Read the configuration again and follow it, the daemon's own settings included.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "reload",
    help_triggers("-h", "--help"),
    example = "appctl reload\nappctl reload --all"
)]
pub struct Reload {
    /// stop everything and start over
    #[argh(switch)]
    pub all: bool,
}
