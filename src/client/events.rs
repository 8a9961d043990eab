//! `events`: shows what happened, and with `-f` goes on until Ctrl-C.
//!
//! It keeps the number of the last event. When a brain dies with the connection, it asks the next
//! one for what followed that number.

use chrono::Local;

use super::dialogue::{Daemon, Refused, Trouble};
use super::follow::Followed;
use super::output;
use super::render::{self, Target};
use super::session::{Lost, Session, Step};
use crate::control::answer::missed;
use crate::control::line::Row;
use crate::events::Facts;

/// Shows events.
pub fn run(
    daemon: &Daemon,
    follow: bool,
    mut since: Option<u64>,
    json: bool,
) -> Result<Followed, Trouble> {
    let mut resumed = false;
    loop {
        let mut session = match daemon.another() {
            Ok(session) => session,
            // It was there before: it has been shut down.
            Err(_) if resumed => return Ok(Followed::Ended),
            Err(trouble) => return Err(trouble),
        };
        let mut words = vec!["events".to_owned()];
        words.extend(follow.then(|| "-f".to_owned()));
        if let Some(since) = since {
            words.extend(["--since".to_owned(), since.to_string()]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut shown = Shown {
            json,
            target: output::target(),
            last: None,
        };
        match shown.copy(&mut session, &words) {
            Ok(followed) => return Ok(followed),
            Err(Lost::Interrupted) => return Ok(Followed::Interrupted),
            // One that hangs up before it has told anything would only do so again.
            Err(Lost::Closed) if follow && shown.last.is_some() => {
                (since, resumed) = (shown.last, true);
            }
            Err(lost) => return Err(Trouble::Lost(lost)),
        }
    }
}

/// How events are shown, and how far.
struct Shown {
    json: bool,
    target: Target,
    last: Option<u64>,
}

impl Shown {
    fn copy(&mut self, session: &mut Session, words: &[&str]) -> Result<Followed, Lost> {
        session.send(words)?;
        loop {
            match session.next(None)? {
                Step::Row(row) => self.show(&row),
                Step::Raw { .. } => {}
                Step::Done(_) => return Ok(Followed::Ended),
                Step::Failed { code, text } => {
                    return Ok(Followed::Refused(Refused::new(&code, &text)));
                }
            }
        }
    }

    fn show(&mut self, row: &Row) {
        if let Some(events) = missed(row) {
            return output::complain(&render::missed_line(events));
        }
        let Ok(facts) = Facts::try_from(row) else {
            return;
        };
        self.last = Some(facts.sequence);
        output::line(&match self.json {
            true => render::json_line(&facts),
            false => render::event_line(&facts, self.target, &Local),
        });
    }
}
