//! `appctl run -- COMMAND`: a daemon for one command that no file configures. It writes its output
//! where ours goes, and its end is ours.

use std::process::ExitCode;

use super::arguments::Run;
use super::commands::exit;
use super::output;
use crate::config::{Autorestart, Single};
use crate::daemon::{self, BootOptions, Personality};
use crate::fleet::EndWhen;

/// Supervises the command; returns only if that could not begin.
pub fn run(argv0: &str, own: &Run) -> ExitCode {
    let Some(program) = own.command.first() else {
        output::complain("appctl: run what? Give a command after --; see `appctl help run`");
        return ExitCode::from(exit::USAGE);
    };
    let words: Vec<String> = own.command.iter().map(|word| quoted(word)).collect();
    daemon::boot(BootOptions {
        argv0: argv0.to_string(),
        personality: Personality::Appctl,
        config: None,
        detach: None,
        overrides: Vec::new(),
        exit_when: Some(EndWhen::Single),
        single: Some(Single {
            text: configuration(own, program),
            command: words.join(" "),
        }),
    })
}

/// What a file would say. Every run counts as a start, for only its end matters.
fn configuration(own: &Run, program: &str) -> String {
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(mask);
    let autorestart = match own.restart {
        Autorestart::Never => "false",
        Autorestart::Unexpected => "unexpected",
        Autorestart::Always => "true",
    };
    let mut text = format!(
        "[supervisord]\nlogfile=NONE\nsilent=true\npidfile=/dev/null\nnocleanup=true\numask={:03o}\n\
         [program:{}]\ncommand=-\nstartsecs=0\nstartretries=0\nautorestart={autorestart}\n\
         stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=0\n\
         stderr_logfile=/dev/stderr\nstderr_logfile_maxbytes=0\n",
        mask.bits(),
        name(program),
    );
    let options = [
        ("stopsignal", own.stop_signal.clone()),
        ("stopwaitsecs", own.stop_wait.map(|wait| wait.to_string())),
        ("user", own.user.clone()),
    ];
    for (option, value) in options {
        if let Some(value) = value {
            text += &format!("{option}={}\n", value.replace('%', "%%"));
        }
    }
    text
}

/// The last part of a path, without what cannot be in the name of a section.
fn name(program: &str) -> String {
    let base = program.rsplit('/').next().unwrap_or(program);
    let name: String = base
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c))
        .collect();
    match name.as_str() {
        "" => "command".to_owned(),
        _ => name,
    }
}

/// A word as `command=` has to hold it.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\"'\"'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::split_command;

    #[test]
    fn words_come_out_as_they_went_in() {
        let words = ["a b", "it's", "\"", "", "%(x)s ; #", "two\nlines", "\\"];
        let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        assert_eq!(split_command(&line.join(" ")).unwrap(), words);
    }

    #[test]
    fn names() {
        let table = [
            ("/srv/app", "app"),
            ("a]:b\n", "ab"),
            ("/", "command"),
            ("", "command"),
        ];
        for (program, expected) in table {
            assert_eq!(name(program), expected);
        }
    }
}
