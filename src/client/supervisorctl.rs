//! The commands of `supervisorctl`, one process after the other as Supervisor does them. What is
//! asked goes through [`Server`], what is said comes from [`words`](super::words).
//!
//! Must never: word a sentence itself, know what a server speaks.

use std::rc::Rc;

use super::connect::Address;
use super::dialogue;
use super::input::{Input, Line};
use super::interrupt::Interrupts;
use super::output;
use super::questions::{ask, ask_hidden, ask_yes_no};
use super::render;
use super::server::{self, Asked, Login, Server, Trouble};
use super::shell::{Completion, Dialect, Flow};
use super::supervisorctl_help as help;
use super::words::{self, Deed, Said};
use crate::control::ProcessView;

/// A `supervisorctl` with its server and its exit status so far.
#[derive(Debug)]
pub struct Supervisorctl {
    address: Address,
    login: Login,
    interrupts: Option<Rc<Interrupts>>,
    server: Option<Box<dyn Server>>,
    prompt: String,
    /// There is somebody to be asked: for a password, and before `shutdown` and `reload`.
    interactive: bool,
    pub(super) status: u8,
}

/// Why a command was given up; it has been said already.
pub(super) enum Stop {
    /// The server wants a user name and a password.
    LoginNeeded,
    /// Ctrl-C at a question: the shell is left.
    Interrupted,
    /// Anything else.
    Said,
}

/// What a command comes to. `Err`: it was given up before its end.
pub(super) type Outcome = Result<(), Stop>;

impl Supervisorctl {
    /// A `supervisorctl` for the server at this address.
    pub fn new(address: Address, login: Login, prompt: String, interactive: bool) -> Supervisorctl {
        Supervisorctl {
            address,
            login,
            interrupts: None,
            server: None,
            prompt,
            interactive,
            status: 0,
        }
    }

    /// The last failure's exit status, or 0.
    pub fn status(&self) -> u8 {
        self.status
    }

    /// Runs one command line.
    pub fn command(&mut self, line: &str, input: &mut Input) -> Flow {
        let line = line.trim();
        let Some((command, argument)) = split_command(line) else {
            if !line.is_empty() {
                self.say(words::unknown_syntax(line));
            }
            return Flow::Continue;
        };
        let names: Vec<&str> = argument.split_whitespace().collect();
        match command {
            "exit" | "quit" | "EOF" => {
                output::line("");
                return Flow::Leave;
            }
            "help" => output::line(&help::help(argument)),
            _ => loop {
                let outcome = match self.run(command, argument, &names, input) {
                    Some(Err(Stop::LoginNeeded)) if self.interactive => self.ask_login(input),
                    None => {
                        self.say(words::unknown_syntax(line));
                        break;
                    }
                    Some(Err(Stop::Interrupted)) => return Flow::Leave,
                    Some(_) => break,
                };
                match outcome {
                    Ok(()) => {}
                    Err(Stop::Interrupted) => return Flow::Leave,
                    Err(_) => break,
                }
            },
        }
        Flow::Continue
    }

    /// Runs a command that needs a server; `None` if there is no such command.
    fn run(
        &mut self,
        command: &str,
        argument: &str,
        names: &[&str],
        input: &mut Input,
    ) -> Option<Outcome> {
        Some(match command {
            "status" => self.show_status(names),
            "start" => self.deed(Deed::Start, names),
            "stop" => self.deed(Deed::Stop, names),
            "restart" => self.restart(names),
            "signal" => self.signal(names),
            "clear" => self.deed(Deed::Clear, names),
            "pid" => self.pid(names),
            "tail" => self.tail(names),
            "maintail" => self.maintail(names),
            "fg" => self.foreground(names, input),
            "avail" | "reread" | "reload" | "shutdown" | "version" if !names.is_empty() => {
                self.say(words::no_arguments(command));
                Ok(())
            }
            "avail" => self.avail(),
            "reread" => self.reread(),
            "reload" => self.reload(input),
            "shutdown" => self.shutdown(input),
            "version" => self.version(),
            "update" => self.update(names),
            "add" => self.add(names),
            "remove" => self.remove(names),
            "open" => self.open(argument),
            _ => return None,
        })
    }

    pub(super) fn say(&mut self, said: Said) {
        output::line(&said.text);
        if said.status != 0 {
            self.status = said.status;
        }
    }

    /// The server, reached if it was not yet.
    pub(super) fn server(&mut self, command: &str) -> Result<&mut dyn Server, Stop> {
        if self.server.is_none() {
            match server::reach(&self.address, &self.login, self.interrupts.clone()) {
                Ok(server) => self.server = Some(server),
                Err(trouble) => return Err(self.give_up(command, trouble)),
            }
        }
        match &mut self.server {
            Some(server) => Ok(server.as_mut()),
            None => Err(Stop::Said),
        }
    }

    /// Makes sure of the server before anything is said about arguments, as Supervisor does.
    pub(super) fn check(&mut self, command: &str) -> Result<&mut dyn Server, Stop> {
        let checked = self.server(command)?.check();
        if let Err(trouble) = checked {
            return Err(self.give_up(command, trouble));
        }
        self.server(command)
    }

    /// What a server answered, unless it did not.
    pub(super) fn answer<T>(
        &mut self,
        command: &str,
        ask: impl FnOnce(&mut dyn Server) -> Asked<T>,
    ) -> Result<Result<T, dialogue::Refused>, Stop> {
        let answer = ask(self.server(command)?);
        answer.map_err(|trouble| self.give_up(command, trouble))
    }

    /// Where the server is, as Supervisor shows it.
    pub(super) fn url(&self) -> String {
        self.address.url()
    }

    pub(super) fn give_up(&mut self, command: &str, trouble: Trouble) -> Stop {
        self.server = None;
        let said = match trouble {
            Trouble::LoginNeeded => {
                self.say(words::login_needed());
                return Stop::LoginNeeded;
            }
            Trouble::Unreached(why) => words::unreached(command, &self.url(), &why),
            Trouble::NoInterface => words::no_interface(command),
            Trouble::OtherVersion(version) => words::other_version(command, &version),
            Trouble::Refused(refused) => words::failed(&refused),
            Trouble::Lost(lost) => {
                let trouble = dialogue::Trouble::Lost(lost);
                Said::badly(format!("error: {trouble}"), words::exit::GENERIC)
            }
        };
        self.say(said);
        Stop::Said
    }

    /// Asks for a user name and a password.
    fn ask_login(&mut self, input: &mut Input) -> Outcome {
        let interrupts = self.interrupts.clone();
        let user = answered(ask("Username:", input, interrupts.as_deref()))?;
        let password = answered(ask_hidden("Password:", input, interrupts.as_deref()))?;
        output::line("");
        self.login = Login { user, password };
        Ok(())
    }

    /// From here on Ctrl-C ends the waiting for an answer instead of this process. Without SIGINT
    /// to be had, it goes on ending the process.
    pub(super) fn watch_interrupts(&mut self) {
        if self.interrupts.is_none() {
            self.interrupts = Interrupts::watch().ok().map(Rc::new);
            self.server = None;
        }
    }

    /// Asks before something that cannot be undone, in a shell.
    pub(super) fn sure(&self, question: &str, input: &mut Input) -> Result<bool, Stop> {
        if !self.interactive {
            return Ok(true);
        }
        ask_yes_no(question, input, self.interrupts.as_deref()).ok_or(Stop::Interrupted)
    }

    /// All processes, by group and name.
    pub(super) fn processes(&mut self, command: &str) -> Result<Vec<ProcessView>, Stop> {
        self.check(command)?;
        match self.answer(command, |server| server.processes())? {
            Ok(views) => Ok(views),
            Err(refused) => {
                self.say(words::failed(&refused));
                Err(Stop::Said)
            }
        }
    }

    fn show_status(&mut self, names: &[&str]) -> Outcome {
        let all = self.processes("status")?;
        let mut shown = Vec::new();
        if names.is_empty() || names.contains(&"all") {
            shown = all;
        } else {
            for name in names {
                let found = named(&all, name);
                if found.is_empty() {
                    self.say(words::status_unknown(name));
                }
                shown.extend(found.into_iter().cloned());
            }
        }
        output::text(&render::status(&shown, output::target()));
        if shown.iter().any(|view| view.state.is_stopped()) {
            self.status = words::exit::SOME_STOPPED;
        }
        Ok(())
    }

    fn pid(&mut self, names: &[&str]) -> Outcome {
        if names.is_empty() {
            self.check("pid")?;
            match self.answer("pid", |server| server.pid())? {
                Ok(pid) => output::line(&pid),
                Err(refused) => self.say(words::failed(&refused)),
            }
            return Ok(());
        }
        let all = self.processes("pid")?;
        if names.contains(&"all") {
            for view in &all {
                output::line(&view.pid.to_string());
            }
            return Ok(());
        }
        for name in names {
            match one(&all, name) {
                None => self.say(words::pid_unknown(name)),
                Some(view) if view.pid == 0 => {
                    self.say(Said::badly("0", words::exit::NOT_RUNNING));
                }
                Some(view) => output::line(&view.pid.to_string()),
            }
        }
        Ok(())
    }

    fn version(&mut self) -> Outcome {
        self.check("version")?;
        match self.answer("version", |server| server.version())? {
            Ok(version) => output::line(&version),
            Err(refused) => self.say(words::failed(&refused)),
        }
        Ok(())
    }

    fn open(&mut self, url: &str) -> Outcome {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        let (Some("unix" | "http"), Some(address)) = (scheme, Address::of_url(url)) else {
            self.say(words::open_refused());
            return Ok(());
        };
        let before = self.status;
        self.server = None;
        self.address = address;
        let outcome = self.show_status(&[]);
        // What `status` thinks of the processes is not what became of `open`.
        let failed = outcome.is_err() && self.status == words::exit::GENERIC;
        if !failed {
            self.status = before;
        }
        outcome
    }
}

impl Dialect for Supervisorctl {
    fn prompt(&self) -> String {
        format!("{}> ", self.prompt)
    }

    fn enter(&mut self) -> Option<Rc<Interrupts>> {
        self.watch_interrupts();
        self.interrupts.clone()
    }

    fn run(&mut self, line: &str, input: &mut Input) -> Flow {
        let flow = self.command(line, input);
        // The server may be replaced before the next one.
        self.server = None;
        flow
    }

    fn commands(&self) -> Vec<String> {
        help::commands().map(str::to_string).collect()
    }

    fn completion(&self, command: &str) -> Completion {
        match command {
            "add" | "remove" | "update" => Completion::Groups,
            "clear" | "fg" | "pid" | "restart" | "signal" | "start" | "status" | "stop"
            | "tail" => Completion::Processes,
            "help" => Completion::Commands,
            _ => Completion::Nothing,
        }
    }

    fn names(&mut self) -> Vec<crate::fleet::ProcessName> {
        let server = server::reach(&self.address, &self.login, self.interrupts.clone());
        let views = server.and_then(|mut server| server.processes());
        let views = views.ok().and_then(Result::ok).unwrap_or_default();
        views.into_iter().map(|view| view.name).collect()
    }
}

/// What somebody typed, unless nobody did.
fn answered(line: Line) -> Result<String, Stop> {
    match line {
        Line::Text(text) => Ok(text),
        Line::End => Err(Stop::Said),
        Line::Interrupted => Err(Stop::Interrupted),
    }
}

/// A command line divided as Python's `cmd` divides it: letters, digits and underscores are the
/// command, the rest its argument; `?` is `help`.
fn split_command(line: &str) -> Option<(&str, &str)> {
    if let Some(topic) = line.strip_prefix('?') {
        return Some(("help", topic.trim()));
    }
    let end = line
        .find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
        .unwrap_or(line.len());
    let (command, argument) = line.split_at(end);
    (!command.is_empty()).then(|| (command, argument.trim()))
}

/// The processes a word names: one, or all of a group.
pub(super) fn named<'a>(all: &'a [ProcessView], name: &str) -> Vec<&'a ProcessView> {
    let (group, process) = name.split_once(':').unwrap_or((name, name));
    let whole = words::names_group(name);
    all.iter()
        .filter(|view| view.name.group == group && (whole || view.name.process == process))
        .collect()
}

/// The process a word names, if it names exactly one.
pub(super) fn one<'a>(all: &'a [ProcessView], name: &str) -> Option<&'a ProcessView> {
    if words::names_group(name) {
        return None;
    }
    named(all, name).into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_divide_as_in_pythons_cmd() {
        let table: &[(&str, Option<(&str, &str)>)] = &[
            ("status", Some(("status", ""))),
            ("status a  b", Some(("status", "a  b"))),
            ("tail -f a", Some(("tail", "-f a"))),
            ("tail-f a", Some(("tail", "-f a"))),
            ("? start", Some(("help", "start"))),
            ("?", Some(("help", ""))),
            ("!ls", None),
            ("", None),
            ("-x", None),
        ];
        for (line, expected) in table {
            assert_eq!(&split_command(line), expected, "{line}");
        }
    }
}
