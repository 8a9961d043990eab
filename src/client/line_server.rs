//! Our own daemon, asked by the line protocol.

use std::rc::Rc;

use super::connect::{Address, Greeting};
use super::dialogue::{Daemon, Item, Refused, Report, first_word, request};
use super::fg::{self, Ending};
use super::follow::{self, Followed};
use super::input::Input;
use super::interrupt::Interrupts;
use super::server::{Asked, Following, Log, Order, Part, Server, Target, Trouble};
use super::session::Session;
use super::words::{self, Deed};
use crate::control::answer::difference;
use crate::control::codes::Code;
use crate::control::line::Row;
use crate::control::{AvailView, DifferenceKind, ProcessView};
use crate::fleet::ProcessName;
use crate::ordered;

/// A daemon of ours.
#[derive(Debug)]
pub struct LineServer {
    daemon: Daemon,
    greeting: Greeting,
}

impl LineServer {
    /// The daemon that greeted like this.
    pub fn new(
        address: Address,
        session: Session,
        greeting: Greeting,
        interrupts: Option<Rc<Interrupts>>,
    ) -> LineServer {
        LineServer {
            daemon: Daemon::greeted(address, session, interrupts),
            greeting,
        }
    }

    /// Supervisor's clients are turned away by a daemon that does not serve them.
    fn served(&mut self) -> Result<&mut Daemon, Trouble> {
        match self.greeting.serves_supervisor {
            true => Ok(&mut self.daemon),
            false => Err(Trouble::NoInterface),
        }
    }

    fn rows<T>(&mut self, words: &[&str], read: impl Fn(&Row) -> Option<T>) -> Asked<Vec<T>> {
        let rows = self.served()?.rows(words)?;
        Ok(rows.map(|rows| rows.iter().filter_map(read).collect()))
    }

    fn value(&mut self, words: &[&str]) -> Asked<String> {
        let rows = self.served()?.rows(words)?;
        Ok(rows.map(|rows| first_word(&rows).to_string()))
    }

    /// A request about one group: what became of it.
    fn of_group(&mut self, verb: &str, group: &str) -> Asked<()> {
        let mut result = Ok(());
        let ending = self.served()?.ask(&request(&[verb], &[group]), |item| {
            if let Item::Row(row) = item
                && let Some(Report {
                    result: Err(refused),
                    ..
                }) = Report::of(&row)
            {
                result = Err(refused);
            }
        })?;
        Ok(result.and(ending.map(drop)))
    }

    /// Supervisor looks for the process before it looks at the signal, and reports a bad signal
    /// once for every process that it would have gone to.
    fn bad_signal(&mut self, target: Target<'_>, on: &mut dyn FnMut(&Report)) -> Asked<()> {
        let all = match self.processes()? {
            Ok(all) => all,
            Err(refused) => return Ok(Err(refused)),
        };
        let (found, nobody): (Vec<&ProcessView>, _) = match target {
            Target::All => (all.iter().collect(), None),
            Target::Group(group) => (
                all.iter().filter(|view| view.name.group == group).collect(),
                Some(Code::NoSuchGroup),
            ),
            Target::Process(name) => (
                named(&all, name).into_iter().collect(),
                Some(Code::NoSuchProcess),
            ),
        };
        if let (true, Some(code)) = (found.is_empty(), nobody) {
            return Ok(Err(Refused::new(code.name(), code.meaning())));
        }
        let several = !matches!(target, Target::Process(_));
        let bad = Refused::new(Code::BadSignal.name(), Code::BadSignal.meaning());
        for view in found {
            if !several || view.state.is_signallable() {
                on(&Report {
                    subject: view.name.to_string(),
                    result: Err(bad.clone()),
                });
            }
        }
        Ok(Ok(()))
    }
}

impl Server for LineServer {
    fn check(&mut self) -> Result<(), Trouble> {
        self.served()?;
        match self.greeting.leaving {
            true => Err(Trouble::Refused(shutting_down())),
            false => Ok(()),
        }
    }

    fn processes(&mut self) -> Asked<Vec<ProcessView>> {
        let views = self.rows(&["status"], |row| ProcessView::try_from(row).ok())?;
        Ok(views.map(|mut views| {
            ordered::sort_by(&mut views, |a, b| a.name.cmp(&b.name));
            views
        }))
    }

    fn pid(&mut self) -> Asked<String> {
        self.value(&["pid"])
    }

    /// The daemon's own version is not what scripts that ask here compare with.
    fn version(&mut self) -> Asked<String> {
        self.served()?;
        Ok(Ok(words::SUPERVISOR_VERSION.to_string()))
    }

    fn carry_out(
        &mut self,
        order: Order<'_>,
        target: Target<'_>,
        on: &mut dyn FnMut(&Report),
    ) -> Asked<()> {
        let selector = selector(target);
        let verb = [order.deed.verb(), order.signal];
        let verb = if order.signal.is_empty() {
            &verb[..1]
        } else {
            &verb[..]
        };
        let mut told = false;
        let ending = self.served()?.ask(&request(verb, &[&selector]), |item| {
            let Item::Row(row) = item else { return };
            if let Some(report) = Report::of(&row) {
                told |= report.result.is_err();
                on(&as_asked(report, target));
            }
        })?;
        match ending {
            Ok(_) => Ok(Ok(())),
            // The reports have said it.
            Err(_) if told => Ok(Ok(())),
            Err(refused) if refused.code == Code::BadSignal && order.deed == Deed::Signal => {
                self.bad_signal(target, on)
            }
            Err(refused) => Ok(Err(refused)),
        }
    }

    fn available(&mut self) -> Asked<Vec<AvailView>> {
        self.served()?;
        if self.greeting.leaving {
            return Ok(Err(shutting_down()));
        }
        self.rows(&["avail"], |row| AvailView::try_from(row).ok())
    }

    fn reread(&mut self) -> Asked<Vec<(String, DifferenceKind)>> {
        self.rows(&["reread"], |row| difference(row).ok())
    }

    fn add(&mut self, group: &str) -> Asked<()> {
        self.of_group("add", group)
    }

    fn remove(&mut self, group: &str) -> Asked<()> {
        self.of_group("remove", group)
    }

    fn restart(&mut self) -> Asked<()> {
        let ending = self.served()?.ask(&["reload", "--all"], |_| {})?;
        Ok(ending.map(drop))
    }

    fn shut_down(&mut self) -> Asked<()> {
        let ending = self.served()?.ask(&["shutdown"], |_| {})?;
        Ok(ending.map(drop))
    }

    fn read_log(&mut self, log: Log<'_>, part: Part, on: &mut dyn FnMut(&[u8])) -> Asked<()> {
        let (option, value) = match part {
            Part::Last(bytes) => ("-c", bytes.to_string()),
            Part::From(offset) => ("--from", offset.to_string()),
        };
        let (verb, names) = verb_and_names(log);
        let words = request(&[verb, option, &value], &names);
        let ending = self.served()?.ask(&words, |item| {
            if let Item::Bytes(bytes) = item {
                on(&bytes);
            }
        })?;
        Ok(ending.map(drop))
    }

    fn follow(&mut self, log: Log<'_>) -> Result<Following, Trouble> {
        let (verb, names) = verb_and_names(log);
        Ok(match follow::run(self.served()?, verb, &[], &names)? {
            Followed::Interrupted => Following::Interrupted,
            Followed::Ended => Following::Ended,
            // What Supervisor answers where there is no such log.
            Followed::Refused(_) => Following::Refused(404),
        })
    }

    fn foreground(&mut self, name: &ProcessName, input: &mut Input) -> Result<Ending, Trouble> {
        Ok(fg::run(self.served()?, name, input)?)
    }
}

fn verb_and_names<'a>(log: Log<'a>) -> (&'static str, Vec<&'a str>) {
    match log {
        Log::Main => ("maintail", Vec::new()),
        Log::Of { name, channel } => ("tail", vec![name, channel]),
    }
}

fn shutting_down() -> Refused {
    Refused::new(Code::ShuttingDown.name(), Code::ShuttingDown.meaning())
}

/// The process that is named so.
fn named<'a>(all: &'a [ProcessView], name: &str) -> Option<&'a ProcessView> {
    let (group, process) = name.split_once(':').unwrap_or((name, name));
    all.iter()
        .find(|view| view.name.group == group && view.name.process == process)
}

/// A target as a selector of the line protocol. Supervisor's names are no patterns, so what would
/// make them one is put in brackets.
fn selector(target: Target<'_>) -> String {
    let literal = |name: &str| -> String {
        name.chars()
            .map(|letter| match letter {
                '*' | '?' | '[' => format!("[{letter}]"),
                _ => letter.to_string(),
            })
            .collect()
    };
    match target {
        Target::All => "all".to_string(),
        Target::Group(group) => format!("{group}:*"),
        Target::Process(name) => literal(name),
    }
}

/// A report about a name that had to be put in brackets, under that name.
fn as_asked(report: Report, target: Target<'_>) -> Report {
    match target {
        Target::Process(name) if report.subject == selector(target) => Report {
            subject: name.to_string(),
            ..report
        },
        _ => report,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_patterns() {
        let table = [
            (Target::All, "all"),
            (Target::Group("g"), "g:*"),
            (Target::Process("g:a"), "g:a"),
            (Target::Process("a*"), "a[*]"),
            (Target::Process("x[1]?"), "x[[]1][?]"),
        ];
        for (target, expected) in table {
            assert_eq!(selector(target), expected);
        }
    }
}
