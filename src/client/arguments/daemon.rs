//! The daemon as a whole: start it, look at its file, replace it, end it. Arguments, help and examples.
//!
//! Must never: do what is asked.

use std::path::PathBuf;

use argh::{ArgsInfo, FromArgs};

use crate::config::Autorestart;
use crate::fleet::EndWhen;

/// Start the daemon, in the foreground unless told otherwise.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "daemon",
    help_triggers("-h", "--help"),
    example = "appctl daemon -c /etc/supervisord.conf\nappctl daemon --detach"
)]
pub struct DaemonCommand {
    /// configuration file
    #[argh(option, short = 'c', arg_name = "file")]
    pub config: Option<PathBuf>,
    /// go to the background once everything listens
    #[argh(switch, short = 'd')]
    pub detach: bool,
    /// end when a program is FATAL (fatal), or when none runs or will run (done)
    #[argh(option, arg_name = "event", from_str_fn(end_when))]
    pub exit_when: Option<EndWhen>,
}

/// Supervise one command without a configuration; its exit code is the exit code.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "run",
    help_triggers("-h", "--help"),
    example = "appctl run -- /srv/app --port 80\nappctl run --restart=on-failure -- worker"
)]
pub struct Run {
    /// start it again: no, on-failure, always (default: no)
    #[argh(
        option,
        arg_name = "when",
        default = "Autorestart::Never",
        from_str_fn(restart)
    )]
    pub restart: Autorestart,
    /// signal that asks it to stop (default: TERM)
    #[argh(option, arg_name = "signal")]
    pub stop_signal: Option<String>,
    /// seconds from there to SIGKILL (default: 10)
    #[argh(option, arg_name = "seconds")]
    pub stop_wait: Option<u32>,
    /// run it as this user
    #[argh(option, arg_name = "name")]
    pub user: Option<String>,
    /// the command and its arguments, after --
    #[argh(positional, greedy, arg_name = "command")]
    pub command: Vec<String>,
}

/// Check a configuration file and start nothing.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "check",
    help_triggers("-h", "--help"),
    example = "appctl check -c new.conf\nappctl check --strict"
)]
pub struct Check {
    /// configuration file
    #[argh(option, short = 'c', arg_name = "file")]
    pub config: Option<PathBuf>,
    /// take warnings for errors
    #[argh(switch)]
    pub strict: bool,
}

/// Go on under another binary of appctl: same programs, same sockets, nobody refused.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "upgrade",
    help_triggers("-h", "--help"),
    example = "appctl upgrade\nappctl upgrade ./appctl-new",
    note = "A binary that is missing, broken, older, or does not serve within 10 seconds is given up: the daemon goes on as it was, and the exit status is 1."
)]
pub struct Upgrade {
    /// the binary; unless given, the file the daemon was started from, as it is now
    #[argh(positional)]
    pub path: Option<PathBuf>,
}

/// Stop everything and end the daemon.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "shutdown",
    help_triggers("-h", "--help"),
    example = "appctl shutdown"
)]
pub struct Shutdown {}

/// Show the version of the daemon; -v before a command shows that of this program.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "version",
    help_triggers("-h", "--help"),
    example = "appctl version\nappctl -v"
)]
pub struct Version {}

/// Type commands one after the other, with completion and a history.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "shell",
    help_triggers("-h", "--help"),
    example = "appctl shell"
)]
pub struct Shell {}

fn restart(word: &str) -> Result<Autorestart, String> {
    match word {
        "no" => Ok(Autorestart::Never),
        "on-failure" => Ok(Autorestart::Unexpected),
        "always" => Ok(Autorestart::Always),
        _ => Err(format!("restart is no, on-failure or always, not {word}")),
    }
}

fn end_when(word: &str) -> Result<EndWhen, String> {
    match word {
        "fatal" => Ok(EndWhen::Fatal),
        "done" => Ok(EndWhen::Done),
        _ => Err(format!("the event is fatal or done, not {word}")),
    }
}
