//! The command line of `supervisorctl`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::connect::Address;
use super::getopt::Parsed;
use super::input::Input;
use super::output;
use super::personality::{self, Described, switch, valued};
use super::server::Login;
use super::settings;
use super::shell::{self, Flow};
use super::supervisorctl::Supervisorctl;

/// Every option but `-h`, which [`getopt`](super::getopt) knows by itself.
const OPTIONS: &[Described] = &[
    valued(Some('c'), "configuration"),
    switch('i', "interactive"),
    valued(Some('s'), "serverurl"),
    valued(Some('u'), "username"),
    valued(Some('p'), "password"),
    valued(Some('r'), "history_file"),
];

/// What `-h` prints, in Supervisor's words.
const HELP: &str = "\
    supervisorctl -- control applications run by supervisord from the cmd line.\n\
    \n\
    Usage: PROGRAM [options] [action [arguments]]\n\
    \n\
    Options:\n\
    -c/--configuration FILENAME -- configuration file path (searches if not given)\n\
    -h/--help -- print usage message and exit\n\
    -i/--interactive -- start an interactive shell after executing commands\n\
    -s/--serverurl URL -- URL on which supervisord server is listening\n\
    \x20    (default \"http://localhost:9001\").\n\
    -u/--username USERNAME -- username to use for authentication with server\n\
    -p/--password PASSWORD -- password to use for authentication with server\n\
    -r/--history-file -- keep a readline history (if readline is available)\n\
    \n\
    action [arguments] -- see below\n\
    \n\
    Actions are commands like \"tail\" or \"stop\".  If -i is specified or no action is\n\
    specified on the command line, a \"shell\" interpreting actions typed\n\
    interactively is started.  Use the action \"help\" to find out about available\n\
    actions.\n\
    \n\
";

/// Runs `supervisorctl`.
pub fn main(argv0: &str, arguments: &[String]) -> ExitCode {
    let parsed = match personality::read(arguments, OPTIONS, argv0) {
        Ok(parsed) => parsed,
        Err(code) => return code,
    };
    if let Some(problem) = problem(&parsed) {
        return personality::misused(&problem, argv0);
    }
    if parsed.help_before.is_some() {
        output::text(&help(argv0));
        return ExitCode::SUCCESS;
    }
    let value = |long: &str| {
        let given = parsed.options.iter().find(|given| given.long == long);
        given.and_then(|given| given.value.clone())
    };
    let file = value("configuration").map(PathBuf::from);
    let config = match settings::supervisorctl(file.as_deref(), argv0) {
        Ok(config) => config,
        Err(problem) => return personality::misused(&problem, argv0),
    };
    let url = value("serverurl").unwrap_or(config.serverurl);
    // What the file says is judged when it is used: `help` needs no daemon.
    let address = Address::of_url(&url).unwrap_or(Address::Url(url));
    let line = parsed.words.join(" ");
    let asked = parsed
        .options
        .iter()
        .any(|given| given.long == "interactive");
    let interactive = asked || parsed.words.is_empty();
    let history = value("history-file")
        .map(PathBuf::from)
        .or(config.history_file);

    let login = Login {
        user: value("username").or(config.username).unwrap_or_default(),
        password: value("password").or(config.password).unwrap_or_default(),
    };

    let mut supervisorctl = Supervisorctl::new(address, login, config.prompt, interactive);
    if !parsed.words.is_empty() {
        let flow = supervisorctl.command(&line, &mut Input::default());
        if !interactive || flow == Flow::Leave {
            return ExitCode::from(supervisorctl.status());
        }
    }
    // That of the command, if there was one: the shell itself always ends well.
    let status = supervisorctl.status();
    shell::run(&mut supervisorctl, history.as_deref());
    ExitCode::from(status)
}

/// What is wrong with the options.
fn problem(parsed: &Parsed) -> Option<String> {
    let before = parsed.help_before.unwrap_or(usize::MAX);
    for (index, given) in parsed.options.iter().enumerate().take(before) {
        let earlier = &parsed.options[..index];
        let value = given.value.as_deref().unwrap_or_default();
        if given.long == "serverurl" && Address::of_url(value).is_none() {
            return Some(format!(
                "invalid value for {} '{value}': value '{value}' is not a URL",
                given.typed
            ));
        }
        if earlier.iter().any(|one| one.long == given.long) {
            return Some(format!("conflicting command line option '{}'", given.typed));
        }
    }
    None
}

fn help(argv0: &str) -> String {
    HELP.replace("PROGRAM", argv0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_worded_as_supervisors() {
        let table = [
            (
                "-s foo",
                Some("invalid value for -s 'foo': value 'foo' is not a URL"),
            ),
            (
                "--serverurl=unix://",
                Some("invalid value for --serverurl 'unix://': value 'unix://' is not a URL"),
            ),
            ("-c a -c b", Some("conflicting command line option '-c'")),
            ("-s foo:bar", None),
            ("-s unix:/a", None),
            (
                "-s 127.0.0.1:1",
                Some("invalid value for -s '127.0.0.1:1': value '127.0.0.1:1' is not a URL"),
            ),
            ("-h -s foo", None),
            ("-s unix:///a -r f --history-file", None),
            ("-s unix:///a status -s b", None),
        ];
        for (line, expected) in table {
            let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
            match personality::read(&words, OPTIONS, "supervisorctl") {
                Ok(parsed) => assert_eq!(problem(&parsed).as_deref(), expected, "{line}"),
                Err(_) => assert_eq!(expected, None, "{line}"),
            }
        }
    }
}
