//! Every command of `appctl`: its arguments, its help and its examples, in argh's form.
//!
//! Must never: do what is asked.

use std::path::PathBuf;

use argh::{ArgsInfo, FromArgs};

use crate::config::Autorestart;
use crate::fleet::EndWhen;

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
