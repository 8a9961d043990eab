//! What the command lines of `supervisord` and `supervisorctl` have in common: options read with
//! `getopt`, and two lines on standard error for a mistake.

use std::path::Path;
use std::process::ExitCode;

use super::getopt::{Flag, Given, Grammar, Parsed};
use super::output;

/// Exit status after a wrong command line.
const USAGE: u8 = 2;

/// One option: its letter, its long name, and whether a value follows.
#[derive(Debug)]
pub struct Described {
    /// `-x`, if it has a letter.
    pub short: Option<char>,
    /// `--name` without dashes, with underscores as Supervisor writes it.
    pub long: &'static str,
    /// Whether it takes a value.
    pub takes_value: bool,
}

/// An option with a value.
pub const fn valued(short: Option<char>, long: &'static str) -> Described {
    Described {
        short,
        long,
        takes_value: true,
    }
}

/// An option that is there or not.
pub const fn switch(short: char, long: &'static str) -> Described {
    Described {
        short: Some(short),
        long,
        takes_value: false,
    }
}

/// A command line, or the exit status after what was said about it.
pub fn read(arguments: &[String], options: &[Described], argv0: &str) -> Result<Parsed, ExitCode> {
    let flags = options.iter().map(|option| Flag {
        short: option.short,
        long: option.long.replace('_', "-"),
        takes_value: option.takes_value,
    });
    let grammar = Grammar {
        flags: flags.collect(),
        ..Grammar::default()
    };
    let parsed = grammar.parse(arguments);
    parsed.map_err(|mistake| misused(&mistake.to_string(), argv0))
}

/// The first option that was given twice, before `-h` if there is one.
pub fn conflicting(parsed: &Parsed) -> Option<&Given> {
    let before = parsed.help_before.unwrap_or(parsed.options.len());
    let given = &parsed.options[..before.min(parsed.options.len())];
    let again = |index: &usize| {
        given[..*index]
            .iter()
            .any(|one| one.long == given[*index].long)
    };
    (0..given.len()).find(again).map(|index| &given[index])
}

/// Says what is wrong with a command line, or with the configuration.
pub fn misused(problem: &str, argv0: &str) -> ExitCode {
    output::complain(&format!("Error: {problem}\nFor help, use {argv0} -h"));
    ExitCode::from(USAGE)
}

/// The last part of the name this program was called by.
pub fn base_name(argv0: &str) -> &str {
    let name = Path::new(argv0).file_name().and_then(|name| name.to_str());
    name.unwrap_or(argv0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_given_twice_is_found_unless_help_comes_first() {
        let options = [valued(Some('l'), "logfile"), switch('n', "nodaemon")];
        let find = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_string).collect();
            let parsed = read(&words, &options, "x").unwrap();
            conflicting(&parsed).map(|given| given.typed.clone())
        };
        assert_eq!(find("-l a --logfile b"), Some("--logfile".into()));
        assert_eq!(find("--logfile b -n -l a"), Some("-l".into()));
        assert_eq!(find("-n -n"), Some("-n".into()));
        assert_eq!(find("-h -n -n"), None);
        assert_eq!(find("-l a -n"), None);
    }
}
