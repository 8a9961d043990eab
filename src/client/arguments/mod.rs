//! Every command of `appctl`: its arguments, its help and its examples, in argh's form.
//!
//! Must never: do what is asked.

use std::path::PathBuf;

use argh::{ArgsInfo, FromArgs};

mod configuration;
mod daemon;
mod logs;
mod processes;

pub use configuration::{Add, Avail, Plan, Reload, Remove, Reread, Update};
pub use daemon::{Check, DaemonCommand, Run, Shell, Shutdown, Upgrade, Version};
pub use logs::{Clear, Logs, Maintail, Reopen, Rotate, Tail};
pub use processes::{
    Disable, Enable, Events, Fg, History, Pid, Restart, Signal, Start, Status, Stop,
};

/// Supervises programs as supervisord.conf says. Without a command: an interactive shell.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct Appctl {
    /// configuration file (looked for at the usual places unless given)
    #[argh(option, short = 'c', arg_name = "file")]
    pub config: Option<PathBuf>,
    /// socket of the daemon: a path, or unix:///path (from the configuration unless given)
    #[argh(option, short = 's', arg_name = "socket")]
    pub socket: Option<String>,
    /// show the version of this program
    #[argh(switch, short = 'v')]
    pub version: bool,
    #[argh(subcommand)]
    #[allow(missing_docs)]
    pub command: Option<Command>,
}

/// What is to be done.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(subcommand)]
#[allow(missing_docs)]
pub enum Command {
    Daemon(DaemonCommand),
    Run(Run),
    Check(Check),
    Status(Status),
    Start(Start),
    Stop(Stop),
    Restart(Restart),
    Signal(Signal),
    Pid(Pid),
    Fg(Fg),
    Logs(Logs),
    Tail(Tail),
    Maintail(Maintail),
    Clear(Clear),
    Rotate(Rotate),
    Reopen(Reopen),
    Events(Events),
    History(History),
    Enable(Enable),
    Disable(Disable),
    Avail(Avail),
    Reread(Reread),
    Plan(Plan),
    Update(Update),
    Add(Add),
    Remove(Remove),
    Reload(Reload),
    Upgrade(Upgrade),
    Shutdown(Shutdown),
    Version(Version),
    Shell(Shell),
}
