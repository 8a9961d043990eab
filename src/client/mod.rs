//! The command line: finds out which role this process plays, and plays the client's.
//!
//! Called as `supervisord`, `supervisorctl`, `pidproxy` or `echo_supervisord_conf` it behaves as
//! those do; as anything else it is `appctl`. The client is synchronous: one request, one answer,
//! one exit status.
//!
//! Must never: start a thread or a runtime before it is known that a daemon is wanted.

use std::path::Path;
use std::process::ExitCode;

use crate::daemon::{self, BootOptions, Personality};
use crate::keeper;
use arguments::{Appctl, Command, DaemonCommand};
use command_line::Line;
use commands::Commands;
use connect::Address;
use input::Input;

mod arguments;
mod command_line;
mod commands;
mod configuration;
mod connect;
mod dialogue;
mod escape;
mod events;
mod fg;
mod follow;
mod getopt;
mod history;
mod http;
mod input;
mod interrupt;
mod line_server;
mod logs;
mod output;
mod personality;
mod pidproxy;
mod plain_terminal;
mod questions;
mod render;
mod rpc_fg;
mod rpc_server;
mod run;
mod server;
mod session;
mod settings;
mod shell;
mod supervisorctl;
mod supervisorctl_deeds;
mod supervisorctl_help;
mod supervisorctl_logs;
mod supervisorctl_options;
mod supervisord;
mod words;

/// Runs the role that the environment or the command line names.
pub fn main() -> ExitCode {
    if let Some(code) = keeper::run_if_keeper() {
        return code;
    }
    if let Some(code) = keeper::run_if_holder() {
        return code;
    }
    if let Some(code) = daemon::answer_if_candidate() {
        return code;
    }
    match keeper::link_if_brain() {
        None => {}
        Some(Ok((link, inheritance))) => return daemon::run_brain(link, inheritance),
        Some(Err(error)) => {
            output::complain(&format!("appctl: the keeper cannot be reached: {error}"));
            return ExitCode::FAILURE;
        }
    }
    let mut words = Vec::new();
    for word in std::env::args_os() {
        match word.into_string() {
            Ok(word) => words.push(word),
            Err(word) => {
                let shown = word.to_string_lossy();
                output::complain(&format!("appctl: the argument {shown} is not UTF-8"));
                return ExitCode::from(commands::exit::USAGE);
            }
        }
    }
    let (argv0, arguments) = match words.split_first() {
        Some((argv0, arguments)) => (argv0.as_str(), arguments),
        None => ("appctl", &[][..]),
    };
    match personality::base_name(argv0) {
        "supervisord" => supervisord::main(argv0, arguments),
        "supervisorctl" => supervisorctl_options::main(argv0, arguments),
        "pidproxy" => pidproxy::main(argv0, arguments),
        "echo_supervisord_conf" => {
            output::text(&settings::sample());
            ExitCode::SUCCESS
        }
        _ => appctl(argv0, arguments),
    }
}

fn appctl(argv0: &str, arguments: &[String]) -> ExitCode {
    let appctl = match command_line::read(arguments) {
        Line::Do(appctl) => *appctl,
        Line::Show(text) => {
            output::text(&text);
            return ExitCode::SUCCESS;
        }
        Line::Wrong(text) => {
            output::complain(&format!("appctl: {text}"));
            return ExitCode::from(commands::exit::USAGE);
        }
    };
    if appctl.version {
        output::line(concat!("appctl ", env!("CARGO_PKG_VERSION")));
        return ExitCode::SUCCESS;
    }
    let Appctl {
        config,
        socket,
        command,
        ..
    } = appctl;
    match command {
        Some(Command::Daemon(own)) => boot(argv0, own, config.as_deref()),
        Some(Command::Run(own)) => run::run(argv0, &own),
        Some(Command::Check(own)) => {
            let file = own.config.as_deref().or(config.as_deref());
            ExitCode::from(settings::check(file, argv0, own.strict))
        }
        command => with_daemon(argv0, config.as_deref(), socket.as_deref(), command),
    }
}

fn boot(argv0: &str, own: DaemonCommand, config: Option<&Path>) -> ExitCode {
    daemon::boot(BootOptions {
        argv0: argv0.to_string(),
        personality: Personality::Appctl,
        config: own.config.or(config.map(Path::to_path_buf)),
        detach: Some(own.detach),
        overrides: Vec::new(),
        exit_when: own.exit_when,
        single: None,
    })
}

fn with_daemon(
    argv0: &str,
    config: Option<&Path>,
    socket: Option<&str>,
    command: Option<Command>,
) -> ExitCode {
    let address = match socket {
        Some(socket) => Ok(Address::of_text(socket)),
        None => settings::address(config, argv0),
    };
    let mut commands = match address {
        Ok(address) => Commands::new(address),
        Err(problem) => {
            output::complain(&format!("appctl: {problem}"));
            return ExitCode::from(commands::exit::USAGE);
        }
    };
    match command {
        None | Some(Command::Shell(_)) => {
            shell::run(&mut commands, settings::history().as_deref());
            ExitCode::SUCCESS
        }
        Some(command) => ExitCode::from(commands.run(command, &mut Input::default())),
    }
}
