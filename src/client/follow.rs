//! `tail -f`: writes a log as it grows, until Ctrl-C.
//!
//! It keeps count of where in the log it is. When a brain dies with the connection, it goes on at
//! that place with the next one, so that nothing is missing or shown twice.

use super::dialogue::{Daemon, Refused, Trouble, request};
use super::output::LogOutput;
use super::session::{Lost, Session, Step};
use crate::control::line::Row;

/// How following ended.
#[derive(Debug)]
pub enum Followed {
    /// Ctrl-C.
    Interrupted,
    /// The daemon says that there is no more, or is gone itself.
    Ended,
    /// The daemon says why not.
    Refused(Refused),
}

/// Writes what comes of a log to standard output. `verb` is `tail` or `maintail`, `begin` an
/// option that says where to begin, and `log` names the log.
pub fn run(daemon: &Daemon, verb: &str, begin: &[&str], log: &[&str]) -> Result<Followed, Trouble> {
    let mut begin: Vec<String> = begin.iter().map(|word| word.to_string()).collect();
    let mut output = LogOutput::new();
    let ended = loop {
        let mut session = match daemon.another() {
            Ok(session) => session,
            // It was there before: it has been shut down.
            Err(_) if begin.first().is_some_and(|word| word == RESUME) => {
                break Ok(Followed::Ended);
            }
            Err(trouble) => break Err(trouble),
        };
        let options = [verb, "-f"]
            .into_iter()
            .chain(begin.iter().map(String::as_str));
        let words = request(&options.collect::<Vec<_>>(), log);
        let mut place = None;
        match copy(&mut session, &words, &mut output, &mut place) {
            Ok(followed) => break Ok(followed),
            Err(Lost::Interrupted) => break Ok(Followed::Interrupted),
            Err(Lost::Closed) => match place {
                Some(place) => begin = vec![RESUME.to_string(), u64::to_string(&place)],
                // A daemon that did not even say where it begins would only hang up again.
                None => break Err(Trouble::Lost(Lost::Closed)),
            },
            Err(lost) => break Err(Trouble::Lost(lost)),
        }
    };
    output.finish();
    ended
}

/// The option that begins at an offset.
const RESUME: &str = "--from";

/// Copies one answer. `place` is where in the log the next byte comes from, once that is known.
fn copy(
    session: &mut Session,
    words: &[&str],
    output: &mut LogOutput,
    place: &mut Option<u64>,
) -> Result<Followed, Lost> {
    session.send(words)?;
    loop {
        match session.next(None)? {
            Step::Row(row) => *place = offset(&row).or(*place),
            Step::Raw { bytes, .. } => {
                output.write(&bytes);
                *place = place.map(|place| place.saturating_add(bytes.len() as u64));
            }
            Step::Done(_) => return Ok(Followed::Ended),
            Step::Failed { code, text } => {
                return Ok(Followed::Refused(Refused::new(&code, &text)));
            }
        }
    }
}

/// Where the next block begins. A field that is 0 is left out of a row.
fn offset(row: &Row) -> Option<u64> {
    row.field("offset")
        .map_or(Some(0), |text| text.parse().ok())
}
