//! The command line of `appctl`: every command, its arguments and its help, in argh's form.
//!
//! argh checks and types what the normaliser of [`getopt`](super::getopt) has put into plain
//! form, and writes the help of each command. The list of all commands, by purpose, is ours.
//!
//! Must never: do what is asked.

use std::path::PathBuf;

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfoKind, FromArgs};

use super::getopt::{Flag, Grammar};

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
    Check(Check),
    Status(Status),
    Start(Start),
    Stop(Stop),
    Restart(Restart),
    Signal(Signal),
    Pid(Pid),
    Fg(Fg),
    Tail(Tail),
    Maintail(Maintail),
    Clear(Clear),
    Rotate(Rotate),
    Reopen(Reopen),
    Events(Events),
    Avail(Avail),
    Reread(Reread),
    Update(Update),
    Add(Add),
    Remove(Remove),
    Reload(Reload),
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
    example = "appctl rotate web\nappctl rotate all"
)]
pub struct Rotate {
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

/// Show changes of state as they happen, until Ctrl-C.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "events",
    help_triggers("-h", "--help"),
    example = "appctl events\nappctl events --json"
)]
pub struct Events {
    /// print JSON, one object per line
    #[argh(switch)]
    pub json: bool,
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

/// Read the configuration again and follow it: restart changed groups, add and remove others.
#[derive(Debug, FromArgs, ArgsInfo)]
#[argh(
    subcommand,
    name = "update",
    help_triggers("-h", "--help"),
    example = "appctl update\nappctl update web"
)]
pub struct Update {
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

/// The commands by purpose, in the order of help.
const PURPOSES: &[(&str, &[&str])] = &[
    (
        "Processes",
        &[
            "status", "start", "stop", "restart", "signal", "pid", "fg", "events",
        ],
    ),
    ("Logs", &["tail", "maintail", "clear", "rotate", "reopen"]),
    (
        "Configuration",
        &[
            "check", "avail", "reread", "update", "add", "remove", "reload",
        ],
    ),
    ("Daemon", &["daemon", "shutdown", "version"]),
    ("This program", &["shell", "help"]),
];

/// What `help` does; it is no command of argh's.
const HELP: &str = "Explain all commands, or one.";

/// What a command line comes to.
#[derive(Debug)]
pub enum Line {
    /// Something to do.
    Do(Box<Appctl>),
    /// Something to show.
    Show(String),
    /// It is wrong: why, and what to do.
    Wrong(String),
}

/// Reads a command line without the program's name.
pub fn read(arguments: &[String]) -> Line {
    let info = Appctl::get_args_info();
    let global = match grammar(&info, false).parse(arguments) {
        Ok(parsed) => parsed,
        Err(mistake) => return Line::Wrong(format!("{mistake}; see `appctl help`")),
    };
    if global.help_before.is_some() {
        return Line::Show(overview());
    }
    if let Some(("help", rest)) = split_first(&global.words) {
        return read_help(rest);
    }
    let mut plain = global.canonical_options();
    if let [name, rest @ ..] = global.words.as_slice() {
        let Some(command) = info.commands.iter().find(|known| known.name == name) else {
            return Line::Wrong(unknown_command(name));
        };
        let parsed = match grammar(&command.command, true).parse(rest) {
            Ok(parsed) => parsed,
            Err(mistake) => {
                return Line::Wrong(format!("{name}: {mistake}; see `appctl help {name}`"));
            }
        };
        if parsed.help_before.is_some() {
            return Line::Show(help(name));
        }
        plain.push(name.clone());
        plain.extend(parsed.canonical_options());
        plain.push("--".to_string());
        plain.extend(parsed.words);
    }
    typed(&plain)
}

fn split_first(words: &[String]) -> Option<(&str, &[String])> {
    let (first, rest) = words.split_first()?;
    Some((first, rest))
}

/// `help` and `help COMMAND`; argh reserves the word for itself.
fn read_help(topics: &[String]) -> Line {
    match topics {
        [] => Line::Show(overview()),
        [topic, ..] if topic.starts_with('-') || topic == "help" => Line::Show(overview()),
        [topic, ..] if names().contains(&topic.as_str()) => Line::Show(help(topic)),
        [topic, ..] => Line::Wrong(unknown_command(topic)),
    }
}

fn typed(plain: &[String]) -> Line {
    let words: Vec<&str> = plain.iter().map(String::as_str).collect();
    match Appctl::from_args(&["appctl"], &words) {
        Ok(appctl) => Line::Do(Box::new(appctl)),
        Err(exit) if exit.status.is_ok() => Line::Show(exit.output),
        Err(exit) => Line::Wrong(exit.output.trim_end().replace('\n', " ")),
    }
}

/// How the options of a command are to be read. Of `tail`, `-100` says how many bytes.
fn grammar(info: &CommandInfoWithArgs, permute: bool) -> Grammar {
    let own = info.flags.iter().filter(|flag| flag.long != "--help");
    let flags: Vec<Flag> = own
        .map(|flag| Flag {
            short: flag.short,
            long: flag.long.trim_start_matches('-').to_string(),
            takes_value: matches!(flag.kind, FlagInfoKind::Option { .. }),
        })
        .collect();
    let counts = flags.iter().any(|flag| flag.long == "bytes");
    Grammar {
        flags,
        permute,
        number: counts.then_some("bytes"),
    }
}

fn unknown_command(name: &str) -> String {
    let nearest = names().into_iter().find(|known| known.starts_with(name));
    match nearest {
        Some(known) => format!("there is no command {name}; did you mean {known}?"),
        None => format!("there is no command {name}; `appctl help` lists them"),
    }
}

/// Names of all commands.
pub fn names() -> Vec<&'static str> {
    let by_purpose = PURPOSES.iter().flat_map(|(_, names)| names.iter());
    by_purpose.copied().collect()
}

/// The help of one command.
fn help(name: &str) -> String {
    match Appctl::from_args(&["appctl"], &[name, "--help"]) {
        Err(exit) if exit.status.is_ok() => exit.output,
        _ => overview(),
    }
}

/// All commands by purpose, each with the first sentence of its help.
fn overview() -> String {
    let info = Appctl::get_args_info();
    let mut text = format!(
        "Usage: appctl [-c FILE] [-s SOCKET] [COMMAND …]\n\n{}\n",
        info.description
    );
    for (purpose, names) in PURPOSES {
        text.push_str(&format!("\n{purpose}:\n"));
        for name in *names {
            let described = info.commands.iter().find(|known| known.name == *name);
            let description = described.map_or(HELP, |known| known.command.description);
            let first = description
                .split(['.', ':', ';'])
                .next()
                .unwrap_or_default();
            text.push_str(&format!("  {name:<10} {first}\n"));
        }
    }
    text.push_str(
        "\nOptions, before the command:\n  \
         -c, --config FILE    configuration file\n  \
         -s, --socket SOCKET  socket of the daemon\n  \
         -v, --version        version of this program\n  \
         -h, --help           this text; after a command, its help\n\n\
         Called as supervisord, supervisorctl, pidproxy or echo_supervisord_conf it is that.\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(line: &str) -> String {
        let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        match read(&words) {
            Line::Do(appctl) => format!(
                "{:?} {:?} {:?}",
                appctl.config, appctl.socket, appctl.command
            ),
            Line::Show(text) => format!("show: {text}"),
            Line::Wrong(text) => format!("wrong: {text}"),
        }
    }

    #[test]
    fn lines_are_read_whatever_the_form_of_their_options() {
        let table = [
            (
                "tail -100 web",
                "None None Some(Tail(Tail { follow: false, bytes: Some(100), name: \"web\", channel: \"stdout\" }))",
            ),
            (
                "tail web stderr -f",
                "None None Some(Tail(Tail { follow: true, bytes: None, name: \"web\", channel: \"stderr\" }))",
            ),
            (
                "tail -fn5 web",
                "None None Some(Tail(Tail { follow: true, bytes: Some(5), name: \"web\", channel: \"stdout\" }))",
            ),
            (
                "tail --by=7 -- -odd",
                "None None Some(Tail(Tail { follow: false, bytes: Some(7), name: \"-odd\", channel: \"stdout\" }))",
            ),
            (
                "-cFILE -s/run/s status",
                "Some(\"FILE\") Some(\"/run/s\") Some(Status(Status { json: false, names: [] }))",
            ),
            (
                "status a help b --json",
                "None None Some(Status(Status { json: true, names: [\"a\", \"help\", \"b\"] }))",
            ),
            (
                "daemon -dc f",
                "None None Some(Daemon(DaemonCommand { config: Some(\"f\"), detach: true }))",
            ),
            (
                "start --no-w a",
                "None None Some(Start(Start { no_wait: true, names: [\"a\"] }))",
            ),
            ("", "None None None"),
        ];
        for (line, expected) in table {
            assert_eq!(show(line), expected, "{line}");
        }
    }

    #[test]
    fn mistakes_say_what_to_do() {
        let table = [
            ("stat", "there is no command stat; did you mean status?"),
            ("help sta", "there is no command sta; did you mean status?"),
            (
                "frobnicate",
                "there is no command frobnicate; `appctl help` lists them",
            ),
            ("-Z status", "option -Z not recognized; see `appctl help`"),
            (
                "status --jsonn",
                "status: option --jsonn not recognized; see `appctl help status`",
            ),
        ];
        for (line, expected) in table {
            assert_eq!(show(line), format!("wrong: {expected}"), "{line}");
        }
        assert!(show("tail").starts_with("wrong: ") && show("tail").contains("name"));
        assert!(show("tail -n x web").contains("bytes"));
    }

    #[test]
    fn every_command_has_one_purpose_a_description_and_examples() {
        let info = Appctl::get_args_info();
        let mut known: Vec<&str> = info.commands.iter().map(|command| command.name).collect();
        let mut listed = names();
        known.push("help");
        known.sort_unstable();
        listed.sort_unstable();
        assert_eq!(known, listed);
        for command in &info.commands {
            let help = help(command.name);
            assert!(help.contains("Examples:"), "{}", command.name);
            assert!(help.contains(&format!("appctl {}", command.name)), "{help}");
        }
        let overview = overview();
        assert!(
            overview.lines().all(|line| line.chars().count() <= 100),
            "{overview}"
        );
    }

    #[test]
    fn help_can_be_asked_for_anywhere() {
        for line in ["-h", "--help", "-?", "help", "help help", "help -h"] {
            assert!(show(line).contains("Processes:"), "{line}");
        }
        for line in ["tail -h", "tail web --help", "tail -f?", "help tail"] {
            assert!(show(line).contains("Usage: appctl tail"), "{line}");
        }
    }
}
