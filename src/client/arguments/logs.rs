//! Log files. Arguments, help and examples.
//!
//! Must never: do what is asked.

use argh::{ArgsInfo, FromArgs};

/// Show logs of programs line by line, merged in order of time, rotated files included.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "logs",
    help_triggers("-h", "--help"),
    example = "appctl logs -f\nappctl logs -f web 'worker:*'\nappctl logs --since 10m --grep 'timeout|refused'\nappctl logs -20 web"
)]
pub struct Logs {
    /// go on with what is written from now on, until Ctrl-C
    #[argh(switch, short = 'f')]
    pub follow: bool,
    /// the last lines of each log, or `all` (the default, but 10 with -f). -20 is short for -n 20
    #[argh(option, short = 'n', arg_name = "lines")]
    pub lines: Option<String>,
    /// only what was written since then: 10m, 2h30m, 2026-11-25, "2026-11-25 09:30"
    #[argh(option, arg_name = "time")]
    pub since: Option<String>,
    /// only lines in which this regular expression is found
    #[argh(option, arg_name = "pattern")]
    pub grep: Option<String>,
    /// leave out the names before the lines
    #[argh(switch)]
    pub no_prefix: bool,
    /// processes (`name`, `group:name`), groups (`group:*`) or patterns; none: all
    #[argh(positional, arg_name = "name")]
    pub names: Vec<String>,
}

/// Show the end of a program's log.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "tail",
    help_triggers("-h", "--help"),
    example = "appctl tail web\nappctl tail -f web stderr\nappctl tail -100 web"
)]
pub struct Tail {
    /// go on with what is written from now on, until Ctrl-C
    #[argh(switch, short = 'f')]
    pub follow: bool,
    /// how many bytes of the end; 0: all of it. -100 is short for --bytes 100
    #[argh(option, short = 'n', arg_name = "bytes")]
    pub bytes: Option<u64>,
    /// the process
    #[argh(positional)]
    pub name: String,
    /// which output, stdout or stderr (the default is stdout)
    #[argh(positional, default = "\"stdout\".to_string()")]
    pub channel: String,
}

/// Show the end of the daemon's log.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "maintail",
    help_triggers("-h", "--help"),
    example = "appctl maintail\nappctl maintail -f\nappctl maintail -5000"
)]
pub struct Maintail {
    /// go on with what is written from now on, until Ctrl-C
    #[argh(switch, short = 'f')]
    pub follow: bool,
    /// how many bytes of the end; 0: all of it. -100 is short for --bytes 100
    #[argh(option, short = 'n', arg_name = "bytes")]
    pub bytes: Option<u64>,
}

/// Delete the current log files of processes and begin new ones.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "clear",
    help_triggers("-h", "--help"),
    example = "appctl clear web\nappctl clear --main"
)]
pub struct Clear {
    /// clear the daemon's log
    #[argh(switch)]
    pub main: bool,
    /// processes, groups, patterns, or `all`
    #[argh(positional, arg_name = "name")]
    pub names: Vec<String>,
}

/// Rotate log files of processes now, whatever their size.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "rotate",
    help_triggers("-h", "--help"),
    example = "appctl rotate web\nappctl rotate all\nappctl rotate --main"
)]
pub struct Rotate {
    /// rotate the daemon's own log
    #[argh(switch)]
    pub main: bool,
    /// processes, groups, patterns, or `all`
    #[argh(positional, arg_name = "name")]
    pub names: Vec<String>,
}

/// Close and open all log files, after something else has moved them.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "reopen",
    help_triggers("-h", "--help"),
    example = "appctl reopen"
)]
pub struct Reopen {}
