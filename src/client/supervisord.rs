//! The command line of `supervisord`.
//!
//! Values are checked where the configuration is: they mean what the same options of
//! `[supervisord]` mean.

use std::path::PathBuf;
use std::process::ExitCode;

use super::getopt::Parsed;
use super::output;
use super::personality::{self, Described, switch, valued};
use crate::config::Override;
use crate::daemon::{self, BootOptions, Personality};

/// Every option but `-h`, which [`getopt`](super::getopt) knows by itself.
const OPTIONS: &[Described] = &[
    valued(
        Some('c'),
        "configuration",
        "FILENAME",
        "read this configuration file (default: search for one)",
    ),
    switch('n', "nodaemon", "stay in the foreground (as nodaemon=true)"),
    switch(
        's',
        "silent",
        "do not log to stdout as well (as silent=true)",
    ),
    switch(
        'v',
        "version",
        "print the version of Supervisor this stands in for and exit",
    ),
    valued(
        Some('u'),
        "user",
        "USER",
        "run as this user, by name or number",
    ),
    valued(
        Some('m'),
        "umask",
        "UMASK",
        "file mode creation mask (default 022)",
    ),
    valued(
        Some('d'),
        "directory",
        "DIRECTORY",
        "change to this directory when going to the background",
    ),
    valued(Some('l'), "logfile", "FILENAME", "path of the log"),
    valued(
        Some('y'),
        "logfile_maxbytes",
        "BYTES",
        "rotate the log when it has this size",
    ),
    valued(Some('z'), "logfile_backups", "NUM", "rotated logs to keep"),
    valued(
        Some('e'),
        "loglevel",
        "LEVEL",
        "lowest level that is logged: critical, error, warn, info, debug, trace or blather",
    ),
    valued(
        Some('j'),
        "pidfile",
        "FILENAME",
        "write the process id to this file",
    ),
    valued(Some('i'), "identifier", "STR", "name of this instance"),
    valued(
        Some('q'),
        "childlogdir",
        "DIRECTORY",
        "directory of automatic program logs",
    ),
    switch(
        'k',
        "nocleanup",
        "keep automatic program logs of earlier runs",
    ),
    valued(
        Some('a'),
        "minfds",
        "NUM",
        "file descriptors that must be available",
    ),
    switch(
        't',
        "strip_ansi",
        "remove ANSI escape sequences from program logs",
    ),
    valued(None, "minprocs", "NUM", "processes that must be available"),
    valued(
        None,
        "profile_options",
        "OPTIONS",
        "accepted and ignored: there is no Python to profile",
    ),
];

/// What a command line comes to.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Help,
    Version,
    Boot(BootOptions),
}

/// Runs `supervisord`.
pub fn main(argv0: &str, arguments: &[String]) -> ExitCode {
    let parsed = match personality::read(arguments, OPTIONS, argv0) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    match wanted(parsed, argv0) {
        Ok(Wanted::Help) => output::text(&help(argv0)),
        Ok(Wanted::Version) => output::line(super::words::SUPERVISOR_VERSION),
        Ok(Wanted::Boot(options)) => return daemon::boot(options),
        Err(problem) => return personality::misused(&problem, argv0),
    }
    ExitCode::SUCCESS
}

fn wanted(parsed: Parsed, argv0: &str) -> Result<Wanted, String> {
    if !parsed.words.is_empty() {
        let quoted: Vec<String> = parsed
            .words
            .iter()
            .map(|word| python_quoted(word))
            .collect();
        let list = quoted.join(", ");
        return Err(format!("positional arguments are not supported: [{list}]"));
    }
    if let Some(given) = personality::conflicting(&parsed) {
        return Err(format!("conflicting command line option '{}'", given.typed));
    }
    let mut boot = BootOptions {
        argv0: argv0.to_string(),
        personality: Personality::Supervisord,
        config: None,
        detach: None,
        overrides: Vec::new(),
        exit_when: None,
        single: None,
    };
    // In the order given, as the first of -h and -v decides.
    for (index, given) in parsed.options.into_iter().enumerate() {
        if parsed.help_before == Some(index) {
            break;
        }
        let value = given.value.unwrap_or_else(|| "true".to_string());
        let names = OPTIONS.iter().map(|option| option.long);
        let option = names
            .into_iter()
            .find(|name| name.replace('_', "-") == given.long);
        match option {
            Some("version") => return Ok(Wanted::Version),
            Some("configuration") => boot.config = Some(PathBuf::from(value)),
            Some("profile_options") | None => {}
            Some(option) => boot.overrides.push(Override {
                option: option.to_owned(),
                flag: given.typed,
                value,
            }),
        }
    }
    match parsed.help_before {
        Some(_) => Ok(Wanted::Help),
        None => Ok(Wanted::Boot(boot)),
    }
}

/// A text as Python's `repr` shows it, for texts without control characters.
fn python_quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\");
    if text.contains('\'') && !text.contains('"') {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', "\\'"))
    }
}

fn help(argv0: &str) -> String {
    format!(
        "supervisord -- starts programs and keeps them running.\n\n\
         Usage: {argv0} [options]\n\n\
         Options:\n{}\
         -h/--help -- print this text and exit\n",
        personality::help(OPTIONS)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Wanted, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        wanted(
            personality::read(&words, OPTIONS, "supervisord").unwrap(),
            "supervisord",
        )
    }

    #[test]
    fn options_become_overrides_in_order() {
        let Ok(Wanted::Boot(boot)) = read("-nc f --loglev=debug -y5MB --profile_options=calls")
        else {
            panic!("not to be started");
        };
        assert_eq!(boot.config, Some(PathBuf::from("f")));
        let overrides: Vec<_> = boot
            .overrides
            .iter()
            .map(|one| (one.option.as_str(), one.flag.as_str(), one.value.as_str()))
            .collect();
        assert_eq!(
            overrides,
            [
                ("nodaemon", "-n", "true"),
                ("loglevel", "--loglevel", "debug"),
                ("logfile_maxbytes", "-y", "5MB")
            ]
        );
    }

    #[test]
    fn help_and_version_win_in_the_order_given() {
        assert_eq!(read("-v"), Ok(Wanted::Version));
        assert_eq!(read("-n -v -h"), Ok(Wanted::Version));
        assert_eq!(read("-h -v"), Ok(Wanted::Help));
        assert_eq!(read("-n -h"), Ok(Wanted::Help));
    }

    #[test]
    fn mistakes_are_worded_as_supervisors() {
        let table = [
            (
                "foo it's",
                "positional arguments are not supported: ['foo', \"it's\"]",
            ),
            ("-l a -l b", "conflicting command line option '-l'"),
            ("-v foo", "positional arguments are not supported: ['foo']"),
        ];
        for (line, problem) in table {
            assert_eq!(read(line), Err(problem.to_string()), "{line}");
        }
    }

    #[test]
    fn there_are_as_many_options_as_in_supervisor() {
        // 21 flags, of which -h and -? are not in the table.
        assert_eq!(OPTIONS.len(), 19);
        assert!(help("x").contains("-y/--logfile_maxbytes BYTES -- "));
    }
}
