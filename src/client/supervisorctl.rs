//! The commands of `supervisorctl` over our line protocol, one process after the other as
//! Supervisor does them. What is said comes from [`words`](super::words).
//!
//! Must never: word a sentence itself.

use std::rc::Rc;

use super::connect::Address;
use super::dialogue::{Daemon, Item, Refused, Report, Trouble, first_word, request};
use super::fg::{self, Ending};
use super::follow::{self, Followed};
use super::input::{Input, ask_yes_no};
use super::interrupt::Interrupts;
use super::output;
use super::render;
use super::session::Lost;
use super::shell::{Completion, Dialect, Flow};
use super::words::{self, Deed, Said};
use crate::control::answer::difference;
use crate::control::codes::Code;
use crate::control::line::Row;
use crate::control::{AvailView, DifferenceKind, ProcessView};
use crate::fleet::State;

/// A `supervisorctl` with its daemon and its exit status so far.
#[derive(Debug)]
pub struct Supervisorctl {
    daemon: Daemon,
    prompt: String,
    /// `shutdown` and `reload` ask first.
    confirm: bool,
    status: u8,
}

/// Why a command was given up; it has been said already.
struct Stop;

/// What a command comes to. `Err`: it was given up before its end.
type Outcome = Result<(), Stop>;

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
            "help" => output::line(&words::help(argument)),
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

    fn say(&mut self, said: Said) {
        output::line(&said.text);
        if said.status != 0 {
            self.status = said.status;
        }
    }

    fn give_up(&mut self, command: &str, trouble: Trouble) -> Stop {
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
    fn reach(&mut self, command: &str) -> Outcome {
        let reached = self.daemon.reach();
        reached.map_err(|trouble| self.give_up(command, trouble))
    }

    fn rows(&mut self, command: &str, words: &[&str]) -> Result<Result<Vec<Row>, Refused>, Stop> {
        let answer = self.daemon.rows(words);
        answer.map_err(|trouble| self.give_up(command, trouble))
    }

    fn ask(&mut self, command: &str, words: &[&str]) -> Result<Result<String, Refused>, Stop> {
        let answer = self.daemon.ask(words, |_| {});
        answer.map_err(|trouble| self.give_up(command, trouble))
    }

    /// All processes, by group and name.
    fn processes(&mut self, command: &str) -> Result<Vec<ProcessView>, Stop> {
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

    /// `start`, `stop` and `clear`: one request for each word, unless it is `all`.
    fn deed(&mut self, deed: Deed, names: &[&str]) -> Outcome {
        self.reach(deed.verb())?;
        if names.is_empty() {
            self.say(deed.nothing_named());
            return Ok(());
        }
        self.deed_on_each(deed, &[deed.verb()], names)
    }

    fn deed_on_each(&mut self, deed: Deed, verb: &[&str], names: &[&str]) -> Outcome {
        if names.contains(&"all") {
            return self.deed_on(deed, verb, "all");
        }
        for name in names {
            self.deed_on(deed, verb, name)?;
        }
        Ok(())
    }

    fn deed_on(&mut self, deed: Deed, verb: &[&str], name: &str) -> Outcome {
        let mut status = 0;
        let mut any_refused = false;
        let answer = self.daemon.ask(&request(verb, &[name]), |item| {
            let Item::Row(row) = item else { return };
            let Some(report) = Report::of(&row) else {
                return;
            };
            let said = match &report.result {
                Ok(_) => words::done(deed, &report.subject),
                Err(refused) => {
                    any_refused = true;
                    words::refused(deed, &report.subject, refused)
                }
            };
            output::line(&said.text);
            if said.status != 0 {
                status = said.status;
            }
        });
        if status != 0 {
            self.status = status;
        }
        match answer {
            Ok(Err(refused)) if !any_refused && refused.code == Code::BadSignal => {
                return self.bad_signal(name);
            }
            Ok(Err(refused)) if !any_refused => self.say(words::refused(deed, name, &refused)),
            Ok(_) => {}
            Err(trouble) => return Err(self.give_up(deed.verb(), trouble)),
        }
        Ok(())
    }

    /// Stops everything named, then starts everything named.
    fn restart(&mut self, names: &[&str]) -> Outcome {
        self.reach("restart")?;
        if names.is_empty() {
            self.say(words::restart_nothing_named());
            return Ok(());
        }
        self.deed_on_each(Deed::Stop, &["stop"], names)?;
        self.deed_on_each(Deed::Start, &["start"], names)
    }

    fn signal(&mut self, names: &[&str]) -> Outcome {
        self.reach("signal")?;
        let [signal, names @ ..] = names else {
            self.say(Deed::Signal.nothing_named());
            return Ok(());
        };
        if names.is_empty() {
            self.say(Deed::Signal.nothing_named());
            return Ok(());
        }
        self.deed_on_each(Deed::Signal, &["signal", signal], names)
    }

    /// Supervisor looks for the process before it looks at the signal, and reports a bad signal
    /// once for every process that it would have gone to.
    fn bad_signal(&mut self, name: &str) -> Outcome {
        let all = self.processes("signal")?;
        let several = name == "all" || words::names_group(name);
        let found = match name {
            "all" => all.iter().collect(),
            _ => named(&all, name),
        };
        if found.is_empty() && name != "all" {
            let code = if several {
                Code::NoSuchGroup
            } else {
                Code::NoSuchProcess
            };
            let unknown = Refused::new(code.name(), code.meaning());
            self.say(words::refused(Deed::Signal, name, &unknown));
        }
        let bad = Refused::new(Code::BadSignal.name(), Code::BadSignal.meaning());
        for view in found {
            if !several || view.state.is_signallable() {
                let subject = view.name.to_string();
                self.say(words::refused(Deed::Signal, &subject, &bad));
            }
        }
        Ok(())
    }

    fn avail(&mut self) -> Outcome {
        match self.rows("avail", &["avail"])? {
            Ok(rows) => {
                let mut views: Vec<AvailView> =
                    rows.iter().filter_map(|row| row.try_into().ok()).collect();
                views.sort_by(|a, b| a.name.process.cmp(&b.name.process));
                for view in &views {
                    output::line(&render::avail_line(view));
                }
            }
            Err(refused) => self.say(words::reread_refused("avail", &refused)),
        }
        Ok(())
    }

    fn reread(&mut self) -> Outcome {
        match self.rows("reread", &["reread"])? {
            Ok(rows) => {
                let mut differences: Vec<(String, DifferenceKind)> =
                    rows.iter().filter_map(|row| difference(row).ok()).collect();
                differences.sort_by(|a, b| a.0.cmp(&b.0));
                for (group, kind) in &differences {
                    output::line(&words::difference(group, *kind));
                }
                if differences.is_empty() {
                    output::line(words::NO_UPDATES);
                }
            }
            Err(refused) => self.say(words::reread_refused("reread", &refused)),
        }
        Ok(())
    }

    fn update(&mut self, names: &[&str]) -> Outcome {
        let names = if names.contains(&"all") {
            &[][..]
        } else {
            names
        };
        self.groups("update", names)
    }

    /// `add` and `remove`: one request for each word.
    fn each_group(&mut self, command: &str, names: &[&str]) -> Outcome {
        for name in names {
            self.groups(command, &[name])?;
        }
        Ok(())
    }

    fn groups(&mut self, command: &str, names: &[&str]) -> Outcome {
        let mut status = 0;
        let mut any_refused = false;
        let answer = self.daemon.ask(&request(&[command], names), |item| {
            let Item::Row(row) = item else { return };
            let Some(report) = Report::of(&row) else {
                return;
            };
            let said = match &report.result {
                Ok(word) if word == "stopped" => return,
                Ok(word) => words::group_done(command, &report.subject, word),
                Err(refused) => {
                    any_refused = true;
                    words::group_refused(command, &report.subject, refused)
                }
            };
            output::line(&said.text);
            if said.status != 0 {
                status = said.status;
            }
        });
        if status != 0 {
            self.status = status;
        }
        match answer {
            Ok(Err(refused)) if !any_refused => {
                let said = match (command, names) {
                    ("update", _) => words::reread_refused("update", &refused),
                    (_, [name]) => words::group_refused(command, name, &refused),
                    _ => words::failed(&refused),
                };
                self.say(said);
            }
            Ok(_) => {}
            Err(trouble) => return Err(self.give_up(command, trouble)),
        }
        Ok(())
    }

    fn reload(&mut self, input: &mut Input) -> Outcome {
        if self.confirm && !self.really(words::REALLY_RELOAD, input) {
            return Ok(());
        }
        let outcome = self.ask("reload", &["reload", "--all"])?;
        self.say(words::reloaded(outcome));
        Ok(())
    }

    fn shutdown(&mut self, input: &mut Input) -> Outcome {
        if self.confirm && !self.really(words::REALLY_SHUT_DOWN, input) {
            return Ok(());
        }
        let outcome = self.ask("shutdown", &["shutdown"])?;
        self.say(words::shut_down(outcome));
        Ok(())
    }

    fn really(&self, question: &str, input: &mut Input) -> bool {
        ask_yes_no(question, input, self.daemon.interrupts().as_deref())
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

    fn tail(&mut self, arguments: &[&str]) -> Outcome {
        self.reach("tail")?;
        let (modifier, name, channel) = match read_tail(arguments) {
            Ok(parts) => parts,
            Err(said) => {
                self.say(said);
                return Ok(());
            }
        };
        match modifier {
            Modifier::Follow => {
                let path = format!("/logtail/{name}/{channel}");
                self.follow(&request(&["tail", "-f"], &[name, &channel]), &path)
            }
            modifier => {
                let option = modifier.options();
                let verb = ["tail", option.0, &option.1];
                self.show_log(name, &request(&verb, &[name, &channel]))
            }
        }
    }

    fn maintail(&mut self, arguments: &[&str]) -> Outcome {
        self.reach("maintail")?;
        let modifier = match arguments {
            [] => Modifier::Last(TAIL_BYTES),
            [argument] => match Modifier::read(argument) {
                Some(modifier) => modifier,
                None => {
                    self.say(words::bad_argument(argument));
                    return Ok(());
                }
            },
            _ => {
                self.say(words::tail_misuse("too many arguments", "maintail"));
                return Ok(());
            }
        };
        match modifier {
            Modifier::Follow => self.follow(&["maintail", "-f"], "/mainlogtail"),
            modifier => {
                let option = modifier.options();
                self.show_log("supervisord", &["maintail", option.0, &option.1])
            }
        }
    }

    /// The end of a log, and a newline.
    fn show_log(&mut self, name: &str, request: &[&str]) -> Outcome {
        let mut log = output::LogOutput::new();
        let answer = self.daemon.ask(request, |item| {
            if let Item::Bytes(bytes) = item {
                log.write(&bytes);
            }
        });
        match answer {
            Ok(Ok(_)) => {
                log.finish();
                output::line("");
            }
            Ok(Err(refused)) => self.say(words::tail_refused(name, &refused)),
            Err(trouble) => return Err(self.give_up("tail", trouble)),
        }
        Ok(())
    }

    fn follow(&mut self, request: &[&str], path: &str) -> Outcome {
        output::line(words::PRESS_CTRL_C);
        self.daemon.watch_interrupts();
        match follow::run(&self.daemon, request) {
            Ok(Followed::Interrupted) => output::line(""),
            Ok(Followed::Ended) | Err(Trouble::Lost(Lost::Closed)) => {}
            Ok(Followed::Refused(_)) => {
                let said = words::follow_refused(&self.daemon.address().url(), path);
                output::complain(&said.text);
                self.status = said.status;
            }
            Err(trouble) => return Err(self.give_up("tail", trouble)),
        }
        Ok(())
    }

    fn foreground(&mut self, names: &[&str], input: &mut Input) -> Outcome {
        self.reach("fg")?;
        let [name] = names else {
            self.say(words::fg_misuse(names.len()));
            return Ok(());
        };
        let all = self.processes("fg")?;
        match one(&all, name) {
            None => self.say(words::fg_unknown()),
            Some(view) if view.state != State::Running => self.say(words::fg_not_running()),
            Some(view) => {
                output::line(words::PRESS_CTRL_C);
                match fg::run(&mut self.daemon, &view.name, input) {
                    Ok(Ending::Left) => {}
                    Ok(Ending::ProcessEnded) => output::line(words::FG_KILLED),
                    Err(trouble) => return Err(self.give_up("fg", trouble)),
                }
                output::line(words::FG_EXIT);
            }
        }
        Ok(())
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
        words::commands().map(str::to_string).collect()
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

/// Bytes that `tail` shows unless told otherwise.
const TAIL_BYTES: u64 = crate::control::request::TAIL_BYTES;

/// `-f`, `-100`, `-0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Modifier {
    Follow,
    /// The last so many bytes.
    Last(u64),
    /// Everything from this offset on: `-0` is the whole log.
    From(u64),
}

impl Modifier {
    fn read(argument: &str) -> Option<Modifier> {
        let what = argument.strip_prefix('-')?;
        if what == "f" {
            return Some(Modifier::Follow);
        }
        match what.parse::<i64>().ok()? {
            bytes if bytes > 0 => Some(Modifier::Last(bytes.unsigned_abs())),
            offset => Some(Modifier::From(offset.unsigned_abs())),
        }
    }

    /// As options of the line protocol.
    fn options(self) -> (&'static str, String) {
        match self {
            Modifier::Last(bytes) => ("-c", bytes.to_string()),
            Modifier::From(offset) => ("--from", offset.to_string()),
            // Following has no end to count from; its callers do not come here.
            Modifier::Follow => ("-c", TAIL_BYTES.to_string()),
        }
    }
}

/// Reads the arguments of `tail` with Supervisor's rules, in its order of complaints.
fn read_tail<'a>(arguments: &[&'a str]) -> Result<(Modifier, &'a str, String), Said> {
    let (modifier, rest) = match arguments {
        [] => return Err(words::tail_misuse("too few arguments", "tail")),
        [_, _, _, _, ..] => return Err(words::tail_misuse("too many arguments", "tail")),
        [modifier, rest @ ..] if modifier.starts_with('-') => (Some(*modifier), rest),
        rest => (None, rest),
    };
    let (name, channel) = match rest {
        [] => return Err(words::tail_nameless()),
        [name] => (*name, "stdout".to_string()),
        [name, .., channel] => (*name, channel.to_lowercase()),
    };
    if channel != "stdout" && channel != "stderr" {
        return Err(words::bad_channel(&channel));
    }
    let modifier = match modifier {
        None => Modifier::Last(TAIL_BYTES),
        Some(text) => Modifier::read(text).ok_or_else(|| words::bad_argument(text))?,
    };
    Ok((modifier, name, channel))
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
fn named<'a>(all: &'a [ProcessView], name: &str) -> Vec<&'a ProcessView> {
    let (group, process) = name.split_once(':').unwrap_or((name, name));
    let whole = words::names_group(name);
    all.iter()
        .filter(|view| view.name.group == group && (whole || view.name.process == process))
        .collect()
}

/// The process a word names, if it names exactly one.
fn one<'a>(all: &'a [ProcessView], name: &str) -> Option<&'a ProcessView> {
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

    #[test]
    fn tail_reads_its_arguments_in_supervisors_order() {
        let read = |line: &str| {
            let arguments: Vec<&str> = line.split_whitespace().collect();
            match read_tail(&arguments) {
                Ok((modifier, name, channel)) => format!("{modifier:?} {name} {channel}"),
                Err(said) => said.text.lines().next().unwrap_or_default().to_string(),
            }
        };
        let table = [
            ("", "Error: too few arguments"),
            ("-1 a stdout more", "Error: too many arguments"),
            ("a", "Last(1600) a stdout"),
            ("a STDERR", "Last(1600) a stderr"),
            ("-100 a", "Last(100) a stdout"),
            ("-0 a", "From(0) a stdout"),
            ("--5 a", "From(5) a stdout"),
            ("-f a", "Follow a stdout"),
            ("a nope", "Error: bad channel 'nope'"),
            ("-x a", "Error: bad argument -x"),
            ("-5", "Error: tail requires process name"),
            ("a b stderr", "Last(1600) a stderr"),
        ];
        for (line, expected) in table {
            assert_eq!(read(line), expected, "{line}");
        }
    }
}
