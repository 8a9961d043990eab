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
    valued(Some('c'), "configuration"),
    switch('n', "nodaemon"),
    switch('s', "silent"),
    switch('v', "version"),
    valued(Some('u'), "user"),
    valued(Some('m'), "umask"),
    valued(Some('d'), "directory"),
    valued(Some('l'), "logfile"),
    valued(Some('y'), "logfile_maxbytes"),
    valued(Some('z'), "logfile_backups"),
    valued(Some('e'), "loglevel"),
    valued(Some('j'), "pidfile"),
    valued(Some('i'), "identifier"),
    valued(Some('q'), "childlogdir"),
    switch('k', "nocleanup"),
    valued(Some('a'), "minfds"),
    switch('t', "strip_ansi"),
    valued(None, "minprocs"),
    valued(None, "profile_options"),
];

/// What `-h` prints, in Supervisor's words.
const HELP: &str = "\
    supervisord -- run a set of applications as daemons.\n\
    \n\
    Usage: PROGRAM [options]\n\
    \n\
    Options:\n\
    -c/--configuration FILENAME -- configuration file path (searches if not given)\n\
    -n/--nodaemon -- run in the foreground (same as 'nodaemon=true' in config file)\n\
    -s/--silent -- no logs to stdout (maps to 'silent=true' in config file)\n\
    -h/--help -- print this usage message and exit\n\
    -v/--version -- print supervisord version number and exit\n\
    -u/--user USER -- run supervisord as this user (or numeric uid)\n\
    -m/--umask UMASK -- use this umask for daemon subprocess (default is 022)\n\
    -d/--directory DIRECTORY -- directory to chdir to when daemonized\n\
    -l/--logfile FILENAME -- use FILENAME as logfile path\n\
    -y/--logfile_maxbytes BYTES -- use BYTES to limit the max size of logfile\n\
    -z/--logfile_backups NUM -- number of backups to keep when max bytes reached\n\
    -e/--loglevel LEVEL -- use LEVEL as log level (debug,info,warn,error,critical)\n\
    -j/--pidfile FILENAME -- write a pid file for the daemon process to FILENAME\n\
    -i/--identifier STR -- identifier used for this instance of supervisord\n\
    -q/--childlogdir DIRECTORY -- the log directory for child process logs\n\
    -k/--nocleanup --  prevent the process from performing cleanup (removal of\n\
    \x20                  old automatic child log files) at startup.\n\
    -a/--minfds NUM -- the minimum number of file descriptors for start success\n\
    -t/--strip_ansi -- strip ansi escape codes from process output\n\
    --minprocs NUM  -- the minimum number of processes available for start success\n\
    --profile_options OPTIONS -- run supervisord under profiler and output\n\
    \x20                            results based on OPTIONS, which  is a comma-sep'd\n\
    \x20                            list of 'cumulative', 'calls', and/or 'callers',\n\
    \x20                            e.g. 'cumulative,callers')\n\
    \n\
";

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
    HELP.replace("PROGRAM", argv0)
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
        for option in OPTIONS {
            assert!(HELP.contains(&format!("--{} ", option.long)), "{option:?}");
        }
        assert!(help("x").contains("\nUsage: x [options]\n"));
    }
}
