//! Reads the command line of `appctl`.
//!
//! The normaliser of [`getopt`](super::getopt) puts it into plain form by what argh knows of each
//! command's options; argh then checks and types it, and writes the help of each command. The list
//! of all commands, by purpose, is ours.
//!
//! Must never: do what is asked.

use argh::{ArgsInfo, CommandInfoWithArgs, FlagInfoKind, FromArgs};

use super::arguments::Appctl;
use super::getopt::{Flag, Grammar};
use crate::config::nearest;

/// The commands by purpose, in the order of help.
const PURPOSES: &[(&str, &[&str])] = &[
    (
        "Processes",
        &[
            "status", "start", "stop", "restart", "signal", "pid", "fg", "events", "history",
            "enable", "disable",
        ],
    ),
    (
        "Logs",
        &["logs", "tail", "maintail", "clear", "rotate", "reopen"],
    ),
    (
        "Configuration",
        &[
            "check", "avail", "reread", "plan", "update", "add", "remove", "reload",
        ],
    ),
    (
        "Daemon",
        &["daemon", "run", "upgrade", "shutdown", "version"],
    ),
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

/// How the options of a command are to be read. Of `tail`, `-100` says how many
/// bytes, of `logs` how many lines.
fn grammar(info: &CommandInfoWithArgs, permute: bool) -> Grammar {
    let own = info.flags.iter().filter(|flag| flag.long != "--help");
    let flags: Vec<Flag> = own
        .map(|flag| Flag {
            short: flag.short,
            long: flag.long.trim_start_matches('-').to_string(),
            takes_value: matches!(flag.kind, FlagInfoKind::Option { .. }),
        })
        .collect();
    let mut counts = ["bytes", "lines"].into_iter();
    let number = counts.find(|count| flags.iter().any(|flag| flag.long == *count));
    Grammar {
        flags,
        permute,
        number,
    }
}

fn unknown_command(name: &str) -> String {
    let longer = names().into_iter().find(|known| known.starts_with(name));
    match longer.or_else(|| nearest(name, names())) {
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
                "None None Some(Daemon(DaemonCommand { config: Some(\"f\"), detach: true, exit_when: None }))",
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
            (
                "strat web",
                "there is no command strat; did you mean start?",
            ),
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
