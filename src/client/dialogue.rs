//! Requests to one daemon: opens the connection when it is first needed, asks again what may be
//! asked twice, and reads reports out of rows.
//!
//! Must never: print; repeat a request that changes something.

use std::fmt;
use std::rc::Rc;

use super::connect::{self, Address, Unreachable};
use super::interrupt::Interrupts;
use super::session::{Lost, Session, Step};
use crate::control::ProcessView;
use crate::control::answer::Outcome;
use crate::control::codes::Code;
use crate::control::line::Row;
use crate::fleet::ProcessName;

/// Verbs that change nothing, so that asking twice does no harm.
const REPEATABLE: &[&str] = &[
    "status", "pid", "avail", "reread", "version", "help", "history",
];

/// Why there is no answer.
#[derive(Debug)]
pub enum Trouble {
    /// The daemon cannot be reached.
    Unreachable(Unreachable),
    /// The conversation broke off.
    Lost(Lost),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Unreachable(unreachable) => unreachable.fmt(f),
            Trouble::Lost(Lost::Interrupted) => {
                f.write_str("interrupted; what was asked goes on in the daemon")
            }
            Trouble::Lost(Lost::Closed) => f.write_str(
                "the daemon hung up before it had answered; see in `status` what was done",
            ),
            Trouble::Lost(lost) => lost.fmt(f),
        }
    }
}

/// What an answer consists of, before its last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A data line.
    Row(Row),
    /// Bytes of a log.
    Bytes(Vec<u8>),
}

/// A reason given by the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Stable code; one that a newer daemon invented counts as [`Code::Failed`].
    pub code: Code,
    /// For people.
    pub text: String,
}

impl Refused {
    /// The reason with this code and text.
    pub fn new(code: &str, text: &str) -> Refused {
        Refused {
            code: Code::named(code).unwrap_or(Code::Failed),
            text: text.to_string(),
        }
    }
}

/// What was done to one process or group, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it is about.
    pub subject: String,
    /// `started`, `stopped`, `added`, …
    pub result: Result<String, Refused>,
}

impl Report {
    /// The report in a row; `None` if it is another sort of row.
    pub fn of(row: &Row) -> Option<Report> {
        let outcome = Outcome::try_from(row).ok()?;
        Some(Report {
            subject: outcome.subject,
            result: outcome
                .result
                .map_err(|(code, text)| Refused::new(&code, &text)),
        })
    }
}

/// The value of an answer that consists of one.
pub fn first_word(rows: &[Row]) -> &str {
    rows.first()
        .and_then(|row| row.words.first())
        .map_or("", String::as_str)
}

/// A daemon to talk to.
#[derive(Debug)]
pub struct Daemon {
    address: Address,
    interrupts: Option<Rc<Interrupts>>,
    session: Option<Session>,
}

impl Daemon {
    /// The daemon at this address. Nothing is connected yet.
    pub fn at(address: Address) -> Daemon {
        Daemon {
            address,
            interrupts: None,
            session: None,
        }
    }

    /// A daemon with which a conversation has begun.
    pub fn greeted(
        address: Address,
        session: Session,
        interrupts: Option<Rc<Interrupts>>,
    ) -> Daemon {
        Daemon {
            address,
            interrupts,
            session: Some(session),
        }
    }

    /// From here on Ctrl-C ends the waiting for an answer instead of this process. Without
    /// SIGINT to be had, it goes on ending the process.
    pub fn watch_interrupts(&mut self) {
        if self.interrupts.is_none() {
            self.interrupts = Interrupts::watch().ok().map(Rc::new);
            self.hang_up();
        }
    }

    /// Ctrl-C, to be waited for together with sessions.
    pub fn interrupts(&self) -> Option<Rc<Interrupts>> {
        self.interrupts.clone()
    }

    /// Ends the connection; the next request makes a new one. A shell does so after each command,
    /// because the daemon may be replaced in between.
    pub fn hang_up(&mut self) {
        self.session = None;
    }

    /// One more connection, for an answer that does not end.
    pub fn another(&self) -> Result<Session, Trouble> {
        connect::open(&self.address, self.interrupts.clone()).map_err(Trouble::Unreachable)
    }

    /// Sends a request and hands over the answer as it comes; the text of its last line.
    pub fn ask(
        &mut self,
        words: &[&str],
        mut on: impl FnMut(Item),
    ) -> Result<Result<String, Refused>, Trouble> {
        let repeatable = words.first().is_some_and(|verb| REPEATABLE.contains(verb));
        let mut begun = false;
        loop {
            let outcome = self.send(words, repeatable)?.and_then(|session| {
                hear(session, &mut |item| {
                    begun = true;
                    on(item);
                })
            });
            match outcome {
                Ok(ending) => return Ok(ending),
                Err(Lost::Closed) if repeatable && !begun => self.hang_up(),
                Err(lost) => {
                    self.hang_up();
                    return Err(Trouble::Lost(lost));
                }
            }
        }
    }

    /// Sends a request, on a new connection if there is none.
    fn send(
        &mut self,
        words: &[&str],
        repeatable: bool,
    ) -> Result<Result<&mut Session, Lost>, Trouble> {
        // A long one may be refused, which is no greeting's business.
        let is_short = words.iter().map(|word| word.len()).sum::<usize>() < 4096;
        let opened = match self.session.take() {
            None if repeatable && is_short => {
                let interrupts = self.interrupts.clone();
                let session = connect::open_asking(&self.address, interrupts, words)
                    .map_err(Trouble::Unreachable)?;
                return Ok(Ok(self.session.insert(session)));
            }
            None => self.another()?,
            Some(session) => session,
        };
        let session = self.session.insert(opened);
        Ok(session.send(words).map(|()| session))
    }

    /// Sends a request and collects the rows of the answer.
    pub fn rows(&mut self, words: &[&str]) -> Result<Result<Vec<Row>, Refused>, Trouble> {
        let mut rows = Vec::new();
        let ending = self.ask(words, |item| {
            if let Item::Row(row) = item {
                rows.push(row);
            }
        })?;
        Ok(ending.map(|_| rows))
    }

    /// Names of all processes, for completion; none if the daemon cannot be asked.
    pub fn names(&mut self) -> Vec<ProcessName> {
        let rows = self.rows(&["status"]).ok().and_then(Result::ok);
        self.hang_up();
        let rows = rows.unwrap_or_default();
        let views = rows
            .iter()
            .filter_map(|row| ProcessView::try_from(row).ok());
        views.map(|view| view.name).collect()
    }
}

/// A request line: the verb with its options, then names, which may look like options.
pub fn request<'a>(verb: &[&'a str], names: &[&'a str]) -> Vec<&'a str> {
    let mut words = verb.to_vec();
    if names.iter().any(|name| name.starts_with('-')) {
        words.push("--");
    }
    words.extend(names);
    words
}

/// Reads an answer.
fn hear(session: &mut Session, on: &mut dyn FnMut(Item)) -> Result<Result<String, Refused>, Lost> {
    loop {
        match session.next(None)? {
            Step::Row(row) => on(Item::Row(row)),
            Step::Raw { bytes, .. } => on(Item::Bytes(bytes)),
            Step::Done(text) => return Ok(Ok(text)),
            Step::Failed { code, text } => return Ok(Err(Refused::new(&code, &text))),
        }
    }
}
