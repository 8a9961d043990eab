//! The commands of `supervisorctl` over our line protocol, one process after the other as
//! Supervisor does them. What is said comes from [`words`](super::words).
//!
//! Must never: word a sentence itself.

use std::rc::Rc;

use super::connect::Address;
use super::dialogue::{Daemon, Item, Refused, Report, Trouble, first_word};
use super::input::{Input, ask_yes_no};
use super::interrupt::Interrupts;
use super::output;
use super::render;
use super::shell::{Completion, Dialect, Flow};
use super::supervisorctl_help as help;
use super::words::{self, Deed, Said};
use crate::control::ProcessView;
use crate::control::line::Row;

/// A `supervisorctl` with its daemon and its exit status so far.
#[derive(Debug)]
pub struct Supervisorctl {
    pub(super) daemon: Daemon,
    prompt: String,
    /// `shutdown` and `reload` ask first.
    confirm: bool,
    pub(super) status: u8,
}

/// Why a command was given up; it has been said already.
pub(super) struct Stop;

/// What a command comes to. `Err`: it was given up before its end.
pub(super) type Outcome = Result<(), Stop>;

impl Supervisorctl {
    /// A `supervisorctl` for the daemon at this address.
    pub fn new(address: Address, prompt: String, confirm: bool) -> Supervisorctl {
        Supervisorctl {
            daemon: Daemon::at(address),
            prompt,
            confirm,
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
            "open" => self.open(argument),
            _ => {
                if self.run(command, &names, input).is_none() {
                    self.say(words::unknown_syntax(line));
                }
            }
        }
        Flow::Continue
    }

    /// Runs a command that needs the daemon; `None` if there is no such command.
    fn run(&mut self, command: &str, names: &[&str], input: &mut Input) -> Option<()> {
        let outcome = match command {
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
            "add" | "remove" => self.each_group(command, names),
            _ => return None,
        };
        // A command that was given up has said why.
        let _ = outcome;
        Some(())
    }

    pub(super) fn say(&mut self, said: Said) {
        output::line(&said.text);
        if said.status != 0 {
            self.status = said.status;
        }
    }

    pub(super) fn give_up(&mut self, command: &str, trouble: Trouble) -> Stop {
        match &trouble {
            Trouble::Unreachable(unreachable) => {
                let url = self.daemon.address().url();
                self.say(words::unreached(command, &url, &unreachable.unreached()));
            }
            Trouble::Lost(_) => self.say(Said::badly(
                format!("error: {trouble}"),
                words::exit::GENERIC,
            )),
        }
        Stop
    }

    /// Makes sure of the daemon before anything is said about arguments, as Supervisor does.
    pub(super) fn reach(&mut self, command: &str) -> Outcome {
        let reached = self.daemon.reach();
        reached.map_err(|trouble| self.give_up(command, trouble))
    }

    pub(super) fn rows(
        &mut self,
        command: &str,
        words: &[&str],
    ) -> Result<Result<Vec<Row>, Refused>, Stop> {
        let answer = self.daemon.rows(words);
        answer.map_err(|trouble| self.give_up(command, trouble))
    }

    pub(super) fn ask(
        &mut self,
        command: &str,
        words: &[&str],
    ) -> Result<Result<String, Refused>, Stop> {
        let answer = self.daemon.ask(words, |_| {});
        answer.map_err(|trouble| self.give_up(command, trouble))
    }

    /// Asks before something that cannot be undone, in a shell.
    pub(super) fn sure(&self, question: &str, input: &mut Input) -> bool {
        !self.confirm || ask_yes_no(question, input, self.daemon.interrupts().as_deref())
    }

    /// Sends a request and says what became of each process or group as it is reported. What the
    /// last line refuses is handed back, unless the reports have told it already.
    pub(super) fn reports(
        &mut self,
        command: &str,
        words: &[&str],
        said: impl Fn(&Report) -> Option<Said>,
    ) -> Result<Option<Refused>, Stop> {
        let mut status = 0;
        let mut told = false;
        let answer = self.daemon.ask(words, |item| {
            let Item::Row(row) = item else { return };
            let Some(report) = Report::of(&row) else {
                return;
            };
            told |= report.result.is_err();
            if let Some(said) = said(&report) {
                output::line(&said.text);
                if said.status != 0 {
                    status = said.status;
                }
            }
        });
        if status != 0 {
            self.status = status;
        }
        match answer {
            Ok(ending) => Ok(ending.err().filter(|_| !told)),
            Err(trouble) => Err(self.give_up(command, trouble)),
        }
    }

    /// All processes, by group and name.
    pub(super) fn processes(&mut self, command: &str) -> Result<Vec<ProcessView>, Stop> {
        match self.rows(command, &["status"])? {
            Ok(rows) => {
                let mut views: Vec<ProcessView> =
                    rows.iter().filter_map(|row| row.try_into().ok()).collect();
                views.sort_by(|a, b| a.name.cmp(&b.name));
                Ok(views)
            }
            Err(refused) => {
                self.say(words::failed(&refused));
                Err(Stop)
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
            match self.rows("pid", &["pid"])? {
                Ok(rows) => output::line(first_word(&rows)),
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

    /// The daemon's own version is not what scripts that ask here compare with.
    fn version(&mut self) -> Outcome {
        self.reach("version")?;
        output::line(words::SUPERVISOR_VERSION);
        Ok(())
    }

    fn open(&mut self, url: &str) {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        let (Some("unix" | "http"), Some(address)) = (scheme, Address::of_url(url)) else {
            self.say(words::open_refused());
            return;
        };
        let before = self.status;
        self.daemon.move_to(address);
        let _ = self.show_status(&[]);
        self.status = before;
    }
}

impl Dialect for Supervisorctl {
    fn prompt(&self) -> String {
        format!("{}> ", self.prompt)
    }

    fn enter(&mut self) -> Option<Rc<Interrupts>> {
        self.daemon.watch_interrupts();
        self.daemon.interrupts()
    }

    fn run(&mut self, line: &str, input: &mut Input) -> Flow {
        let flow = self.command(line, input);
        self.daemon.hang_up();
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
        self.daemon.names()
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
