//! The commands of `appctl`. What they print is documented in docs/commands.md.
//!
//! Listings and things done go to standard output; what was not done, and why, to standard error.

use std::path::Path;
use std::rc::Rc;

use super::arguments::{self, Appctl, Command};
use super::command_line::{self, Line};
use super::connect::Address;
use super::dialogue::{Daemon, Item, Refused, Report, Trouble, first_word, request};
use super::events;
use super::fg::{self, Ending};
use super::follow::{self, Followed};
use super::input::Input;
use super::interrupt::Interrupts;
use super::logs::{self, Shown};
use super::output::{self, LogOutput};
use super::render;
use super::shell::{Completion, Dialect, Flow};
use crate::control::ProcessView;
use crate::control::codes::Code;
use crate::control::facts::ProcessFacts;
use crate::control::line::{Row, split_words};
use crate::fleet::{ProcessName, State};

/// Exit statuses of `appctl`.
pub mod exit {
    /// Done.
    pub const DONE: u8 = 0;
    /// At least one thing was not done; standard error says which and why.
    pub const NOT_DONE: u8 = 1;
    /// The command line is wrong; nothing was done.
    pub const USAGE: u8 = 2;
    /// `status`: at least one of the processes shown is not RUNNING.
    pub const NOT_RUNNING: u8 = 3;
    /// `status`: no process has that name. Any command: no daemon can be reached.
    pub const UNKNOWN: u8 = 4;
}

/// A command that was given up, with its exit status; why has been said.
pub(super) struct GivenUp(pub(super) u8);

/// The exit status a command comes to.
pub(super) type Outcome = Result<u8, GivenUp>;

/// `appctl` with its daemon.
#[derive(Debug)]
pub struct Commands {
    pub(super) daemon: Daemon,
}

impl Commands {
    /// The commands, for the daemon at this address.
    pub fn new(address: Address) -> Commands {
        Commands {
            daemon: Daemon::at(address),
        }
    }

    /// Runs a command that needs the daemon; its exit status.
    pub fn run(&mut self, command: Command, input: &mut Input) -> u8 {
        let outcome = match command {
            Command::Status(status) => self.status(&words(&status.names), status.json),
            Command::Start(start) => self.deed("start", start.no_wait, &start.names),
            Command::Stop(stop) => self.deed("stop", stop.no_wait, &stop.names),
            Command::Restart(restart) => self.deed("restart", false, &restart.names),
            Command::Signal(signal) => self.signal(&signal.signal, &signal.names),
            Command::Pid(pid) => self.pid(&words(&pid.names)),
            Command::Fg(fg) => self.foreground(&fg.name, input),
            Command::Logs(logs) => self.logs(&logs),
            Command::Tail(tail) => {
                let log = [tail.name.as_str(), tail.channel.as_str()];
                self.tail("tail", tail.follow, tail.bytes, &log)
            }
            Command::Maintail(tail) => self.tail("maintail", tail.follow, tail.bytes, &[]),
            Command::Clear(clear) => {
                self.deed_to_logs("clear", clear.main.then_some("clearmain"), &clear.names)
            }
            Command::Rotate(rotate) => {
                self.deed_to_logs("rotate", rotate.main.then_some("rotatemain"), &rotate.names)
            }
            Command::Reopen(_) => self.change(&["reopen"]),
            Command::Events(asked) => self.events(asked.follow, asked.since, asked.json),
            Command::History(asked) => self.history(&words(&asked.names), asked.json),
            Command::Enable(enable) => self.deed("enable", false, &enable.names),
            Command::Disable(disable) => self.deed("disable", false, &disable.names),
            Command::Avail(avail) => self.avail(avail.json),
            Command::Reread(reread) => self.reread(reread.json),
            Command::Plan(plan) => self.plan(&plan),
            Command::Update(update) => self.update(&update),
            Command::Add(add) => self.deed("add", false, &add.groups),
            Command::Remove(remove) => self.deed("remove", false, &remove.groups),
            Command::Reload(reload) if reload.all => self.change(&["reload", "--all"]),
            Command::Reload(_) => self.follow_file(&["reload"]),
            Command::Upgrade(upgrade) => self.upgrade(upgrade.path.as_deref()),
            Command::Shutdown(_) => self.change(&["shutdown"]),
            Command::Version(_) => self.version(),
            Command::Daemon(_) | Command::Run(_) | Command::Check(_) | Command::Shell(_) => {
                output::complain("appctl: not in the shell");
                Ok(exit::USAGE)
            }
        };
        match outcome {
            Ok(status) | Err(GivenUp(status)) => status,
        }
    }

    pub(super) fn give_up(&mut self, trouble: Trouble) -> GivenUp {
        output::complain(&format!("appctl: {trouble}"));
        match trouble {
            Trouble::Unreachable(_) => GivenUp(exit::UNKNOWN),
            Trouble::Lost(_) => GivenUp(exit::NOT_DONE),
        }
    }

    /// The rows of an answer; an answer that failed as a whole is given up.
    pub(super) fn rows(&mut self, words: &[&str]) -> Result<Vec<Row>, GivenUp> {
        match self.daemon.rows(words) {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(refused)) => {
                complain_refused(&refused);
                Err(GivenUp(exit::NOT_DONE))
            }
            Err(trouble) => Err(self.give_up(trouble)),
        }
    }

    fn status(&mut self, names: &[&str], json: bool) -> Outcome {
        let mut views: Vec<ProcessView> = Vec::new();
        let mut unknown = 0;
        let answer = self.daemon.ask(&request(&["status"], names), |item| {
            let Item::Row(row) = item else { return };
            if let Ok(view) = ProcessView::try_from(&row) {
                views.push(view);
            } else if let Some(Report {
                subject,
                result: Err(refused),
            }) = Report::of(&row)
            {
                output::complain(&format!("{subject}: {}", refused.text));
                unknown += 1;
            }
        });
        let refused = answer.map_err(|trouble| self.give_up(trouble))?.err();
        if json {
            let items: Vec<_> = views.iter().map(ProcessFacts::of).collect();
            output::text(&render::json_list(&items));
        } else {
            output::text(&render::status(&views, output::target()));
        }
        if let Some(refused) = refused.filter(|_| unknown == 0) {
            complain_refused(&refused);
            return Ok(exit::UNKNOWN);
        }
        Ok(if unknown > 0 {
            exit::UNKNOWN
        } else if views.iter().all(|view| view.state == State::Running) {
            exit::DONE
        } else {
            exit::NOT_RUNNING
        })
    }

    /// A command on processes or groups that have to be named.
    fn deed(&mut self, verb: &str, no_wait: bool, names: &[String]) -> Outcome {
        if names.is_empty() {
            return Ok(nothing_named(verb));
        }
        let mut words = vec![verb];
        if no_wait {
            words.push("--no-wait");
        }
        self.change(&request(&words, &self::words(names)))
    }

    fn upgrade(&mut self, path: Option<&Path>) -> Outcome {
        let Some(path) = path else {
            return self.change(&["upgrade"]);
        };
        // The daemon has another working directory.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let Some(path) = path.to_str() else {
            output::complain(&format!("appctl: the path {} is not UTF-8", path.display()));
            return Ok(exit::USAGE);
        };
        self.change(&["upgrade", path])
    }

    fn signal(&mut self, signal: &str, names: &[String]) -> Outcome {
        if names.is_empty() {
            return Ok(nothing_named("signal"));
        }
        self.change(&request(&["signal", signal], &words(names)))
    }

    /// `main` is the verb that does the same to the daemon's own log, if that is wanted.
    fn deed_to_logs(&mut self, verb: &str, main: Option<&str>, names: &[String]) -> Outcome {
        let Some(main) = main else {
            return self.deed(verb, false, names);
        };
        let status = self.change(&[main])?;
        match names {
            [] => Ok(status),
            names => Ok(status.max(self.deed(verb, false, names)?)),
        }
    }

    /// A request that changes something: says what was done, line by line as it is done.
    pub(super) fn change(&mut self, words: &[&str]) -> Outcome {
        let fine = already_so(words);
        let mut told = false;
        let mut status = exit::DONE;
        let answer = self.daemon.ask(words, |item| {
            let Item::Row(row) = item else { return };
            if let Some(diagnostic) = row.field("diagnostic") {
                output::complain(diagnostic);
            } else if let Some(report) =
                Report::of(&row).filter(|report| !report.subject.is_empty())
            {
                told = true;
                status = status.max(tell(&report, fine));
            }
        });
        match answer {
            Ok(Ok(text)) => {
                if !told && !text.is_empty() {
                    output::line(&text);
                }
                Ok(status)
            }
            // The rows have said it all.
            Ok(Err(_)) if told => Ok(status),
            Ok(Err(refused)) => {
                complain_refused(&refused);
                Ok(exit::NOT_DONE)
            }
            Err(trouble) => Err(self.give_up(trouble)),
        }
    }

    fn pid(&mut self, names: &[&str]) -> Outcome {
        if names.is_empty() {
            let rows = self.rows(&["pid"])?;
            output::line(first_word(&rows));
            return Ok(exit::DONE);
        }
        let mut status = exit::DONE;
        let answer = self.daemon.ask(&request(&["status"], names), |item| {
            let Item::Row(row) = item else { return };
            if let Ok(view) = ProcessView::try_from(&row) {
                output::line(&view.pid.to_string());
                if view.pid == 0 {
                    status = status.max(exit::NOT_RUNNING);
                }
            } else if let Some(report) = Report::of(&row) {
                tell(&report, None);
                status = exit::UNKNOWN;
            }
        });
        match answer {
            Ok(Err(refused)) if status == exit::DONE => {
                complain_refused(&refused);
                Ok(exit::NOT_DONE)
            }
            Ok(_) => Ok(status),
            Err(trouble) => Err(self.give_up(trouble)),
        }
    }

    fn version(&mut self) -> Outcome {
        let rows = self.rows(&["version"])?;
        output::line(first_word(&rows));
        Ok(exit::DONE)
    }

    fn events(&mut self, follow: bool, since: Option<u64>, json: bool) -> Outcome {
        self.daemon.watch_interrupts();
        match events::run(&self.daemon, follow, since, json) {
            Ok(Followed::Interrupted | Followed::Ended) => Ok(exit::DONE),
            Ok(Followed::Refused(refused)) => {
                complain_refused(&refused);
                Ok(exit::NOT_DONE)
            }
            Err(trouble) => Err(self.give_up(trouble)),
        }
    }

    fn logs(&mut self, logs: &arguments::Logs) -> Outcome {
        if logs.follow {
            self.daemon.watch_interrupts();
        }
        match logs::run(&self.daemon, logs) {
            Ok(Shown::All) => Ok(exit::DONE),
            Ok(Shown::Part) => Ok(exit::NOT_DONE),
            Ok(Shown::Refused(refused)) => {
                complain_refused(&refused);
                Ok(exit::NOT_DONE)
            }
            Err(trouble) => Err(self.give_up(trouble)),
        }
    }

    fn tail(&mut self, verb: &str, follow: bool, bytes: Option<u64>, log: &[&str]) -> Outcome {
        let count = bytes.unwrap_or_default().to_string();
        let begin = match bytes {
            None => Vec::new(),
            Some(0) => vec!["--from", "0"],
            Some(_) => vec!["-c", &count],
        };
        match follow {
            true => self.follow(verb, &begin, log),
            false => self.show_log(&request(&[&[verb], &begin[..]].concat(), log)),
        }
    }

    fn show_log(&mut self, words: &[&str]) -> Outcome {
        let mut log = LogOutput::new();
        let answer = self.daemon.ask(words, |item| {
            if let Item::Bytes(bytes) = item {
                log.write(&bytes);
            }
        });
        log.finish();
        match answer {
            Ok(Ok(_)) => Ok(exit::DONE),
            Ok(Err(refused)) => {
                complain_refused(&refused);
                Ok(exit::NOT_DONE)
            }
            Err(trouble) => Err(self.give_up(trouble)),
        }
    }

    fn follow(&mut self, verb: &str, begin: &[&str], log: &[&str]) -> Outcome {
        self.daemon.watch_interrupts();
        match follow::run(&self.daemon, verb, begin, log) {
            Ok(Followed::Interrupted | Followed::Ended) => Ok(exit::DONE),
            Ok(Followed::Refused(refused)) => {
                complain_refused(&refused);
                Ok(exit::NOT_DONE)
            }
            Err(trouble) => Err(self.give_up(trouble)),
        }
    }

    fn foreground(&mut self, name: &str, input: &mut Input) -> Outcome {
        let rows = self.rows(&request(&["status"], &[name]))?;
        let views: Vec<ProcessView> = rows.iter().filter_map(|row| row.try_into().ok()).collect();
        let [view] = views.as_slice() else {
            output::complain(&format!("appctl: {name}: name one process"));
            return Ok(exit::USAGE);
        };
        if view.state != State::Running {
            output::complain(&format!("{}: it is {}, not RUNNING", view.name, view.state));
            return Ok(exit::NOT_DONE);
        }
        output::complain(&format!(
            "connected to {}; Ctrl-C leaves it running",
            view.name
        ));
        match fg::run(&mut self.daemon, &view.name, input) {
            Ok(Ending::Left) => Ok(exit::DONE),
            Ok(Ending::ProcessEnded) => {
                output::complain(&format!("{}: it is not running any more", view.name));
                Ok(exit::DONE)
            }
            Err(trouble) => Err(self.give_up(trouble)),
        }
    }
}

impl Dialect for Commands {
    fn prompt(&self) -> String {
        "appctl> ".to_string()
    }

    fn enter(&mut self) -> Option<Rc<Interrupts>> {
        self.daemon.watch_interrupts();
        self.daemon.interrupts()
    }

    fn run(&mut self, line: &str, input: &mut Input) -> Flow {
        let words = match split_words(line) {
            Ok(words) => words,
            Err(error) => {
                output::complain(&format!("appctl: {error}"));
                return Flow::Continue;
            }
        };
        match words.first().map(String::as_str) {
            None => return Flow::Continue,
            Some("exit" | "quit") => return Flow::Leave,
            Some(_) => {}
        }
        match command_line::read(&words) {
            Line::Show(text) => output::text(&text),
            Line::Wrong(text) => output::complain(&format!("appctl: {text}")),
            Line::Do(appctl) => {
                let Appctl { command, .. } = *appctl;
                if let Some(command) = command {
                    Commands::run(self, command, input);
                }
            }
        }
        self.daemon.hang_up();
        Flow::Continue
    }

    fn commands(&self) -> Vec<String> {
        let outside = ["daemon", "run", "check", "shell"];
        let inside = command_line::names()
            .into_iter()
            .filter(|name| !outside.contains(name));
        inside.chain(["exit"]).map(str::to_string).collect()
    }

    fn completion(&self, command: &str) -> Completion {
        match command {
            "add" | "plan" | "remove" | "update" => Completion::Groups,
            "help" => Completion::Commands,
            "clear" | "fg" | "logs" | "pid" | "restart" | "rotate" | "signal" | "start"
            | "status" | "stop" | "tail" => Completion::Processes,
            _ => Completion::Nothing,
        }
    }

    fn names(&mut self) -> Vec<ProcessName> {
        self.daemon.names()
    }
}

/// The refusal that says that things are as wanted already, which is no failure.
fn already_so(words: &[&str]) -> Option<Code> {
    match words.first() {
        Some(&"start") => Some(Code::AlreadyStarted),
        Some(&"stop") => Some(Code::NotRunning),
        Some(&"add") => Some(Code::AlreadyAdded),
        _ => None,
    }
}

/// Says what became of one process or group.
pub(super) fn tell(report: &Report, fine: Option<Code>) -> u8 {
    let subject = &report.subject;
    match &report.result {
        Ok(word) => output::line(&format!("{subject}: {word}")),
        Err(refused) if fine == Some(refused.code) => {
            output::line(&format!("{subject}: {}", refused.text));
        }
        Err(refused) => {
            output::complain(&format!("{subject}: {}", refused.text));
            return exit::NOT_DONE;
        }
    }
    exit::DONE
}

pub(super) fn complain_refused(refused: &Refused) {
    output::complain(&format!("appctl: {}", refused.text));
}

fn nothing_named(verb: &str) -> u8 {
    output::complain(&format!(
        "appctl: {verb} what? Name it; see `appctl help {verb}`"
    ));
    exit::USAGE
}

pub(super) fn words(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}
