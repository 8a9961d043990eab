//! What a listener says on its standard output: READY, and a RESULT for each event.
//!
//! ```text
//!  ACKNOWLEDGED ── READY ──▶ READY ── an event is sent ──▶ BUSY
//!       ▲                                                   │
//!       └──────────── RESULT n, and n bytes ────────────────┘
//! ```
//!
//! Anything else leads to UNKNOWN, and only a new start of the process from there. Supervisor's
//! rules, with a bound on every length: a listener that says too much at once is not understood.

use serde::{Deserialize, Serialize};

/// Longest line of a result.
const LINE_MAX: usize = 1024;

/// Longest body of a result.
const BODY_MAX: u64 = 1024 * 1024;

const READY: &[u8] = b"READY\n";

/// Supervisor does not compare what stands before the length, it only counts it: `RESULT `.
const PREFIX: usize = 7;

/// The body that accepts an event.
const OK: &[u8] = b"OK";

/// Where a listener is in its dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListenerState {
    /// It started, or its last result has been taken; it is to say READY.
    Acknowledged,
    /// It waits for an event.
    Ready,
    /// It has one.
    Busy,
    /// It said something that means nothing; it gets no more events.
    Unknown,
}

impl ListenerState {
    /// Supervisor's word.
    pub fn word(self) -> &'static str {
        match self {
            ListenerState::Acknowledged => "ACKNOWLEDGED",
            ListenerState::Ready => "READY",
            ListenerState::Busy => "BUSY",
            ListenerState::Unknown => "UNKNOWN",
        }
    }
}

/// Something a listener said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It waits for an event.
    Ready,
    /// It has dealt with its event.
    Accepted,
    /// It wants its event to be sent again.
    Rejected,
    /// This is not understood.
    Nonsense(String),
}

/// One listener's side of the dialogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialogue {
    state: ListenerState,
    /// The beginning of a message.
    heard: Vec<u8>,
    /// A result whose body is still to come.
    result: Option<Body>,
}

/// The body of a result: only whether it is `OK` is of interest, so no more of it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Body {
    missing: u64,
    begins: Vec<u8>,
}

impl Default for Dialogue {
    /// With a process that has just been started.
    fn default() -> Dialogue {
        Dialogue {
            state: ListenerState::Acknowledged,
            heard: Vec::new(),
            result: None,
        }
    }
}

impl Dialogue {
    /// Where it is.
    pub fn state(&self) -> ListenerState {
        self.state
    }

    /// An event was sent.
    pub fn sent(&mut self) {
        self.state = ListenerState::Busy;
    }

    /// It can be sent nothing any more.
    pub fn give_up(&mut self) {
        *self = Dialogue {
            state: ListenerState::Unknown,
            ..Dialogue::default()
        };
    }

    /// Takes what was read, in pieces of any size, and tells what it says.
    pub fn hear(&mut self, mut bytes: &[u8]) -> Vec<Said> {
        let mut said = Vec::new();
        while !bytes.is_empty() {
            let one = match self.state {
                ListenerState::Acknowledged => self.hear_ready(&mut bytes),
                ListenerState::Busy => self.hear_result(&mut bytes),
                ListenerState::Ready => Some(Said::Nonsense(
                    "it spoke while it waited for an event".to_owned(),
                )),
                ListenerState::Unknown => break,
            };
            let Some(one) = one else { break };
            match one {
                Said::Ready => self.state = ListenerState::Ready,
                Said::Accepted | Said::Rejected => self.state = ListenerState::Acknowledged,
                Said::Nonsense(_) => self.give_up(),
            }
            said.push(one);
        }
        said
    }

    fn hear_ready(&mut self, bytes: &mut &[u8]) -> Option<Said> {
        let wanted = READY.len() - self.heard.len();
        self.take(bytes, wanted);
        if self.heard.len() < READY.len() {
            return None;
        }
        let heard = std::mem::take(&mut self.heard);
        Some(match heard == READY {
            true => Said::Ready,
            false => nonsense("it said something else than READY", &heard),
        })
    }

    fn hear_result(&mut self, bytes: &mut &[u8]) -> Option<Said> {
        if self.result.is_none() {
            let newline = bytes.iter().position(|byte| *byte == b'\n');
            self.take(bytes, newline.map_or(bytes.len(), |at| at + 1));
            if self.heard.len() > LINE_MAX {
                let heard = std::mem::take(&mut self.heard);
                return Some(nonsense("the line of its result is too long", &heard));
            }
            newline?;
            let line = std::mem::take(&mut self.heard);
            match length(&line) {
                Some(missing) if missing <= BODY_MAX => {
                    let begins = Vec::new();
                    self.result = Some(Body { missing, begins });
                }
                _ => return Some(nonsense("bad result line", &line)),
            }
        }
        let body = self.result.as_mut()?;
        let some = body.missing.min(bytes.len() as u64);
        let (now, rest) = bytes.split_at(usize::try_from(some).unwrap_or(bytes.len()));
        *bytes = rest;
        body.missing -= some;
        let room = (OK.len() + 1).saturating_sub(body.begins.len());
        body.begins.extend(now.iter().take(room));
        if body.missing > 0 {
            return None;
        }
        let body = self.result.take()?;
        Some(match body.begins == OK {
            true => Said::Accepted,
            false => Said::Rejected,
        })
    }

    /// Moves at most `count` bytes to those heard.
    fn take(&mut self, bytes: &mut &[u8], count: usize) {
        let (now, rest) = bytes.split_at(count.min(bytes.len()));
        self.heard.extend(now);
        *bytes = rest;
    }
}

/// The length that a line of a result says, as Python reads integers.
fn length(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line.get(PREFIX..)?).ok()?;
    text.trim().parse().ok()
}

fn nonsense(what: &str, heard: &[u8]) -> Said {
    let heard = heard.strip_suffix(b"\n").unwrap_or(heard);
    let shown = String::from_utf8_lossy(heard);
    let shown: String = shown.chars().take(80).collect();
    Said::Nonsense(format!("{what}: '{shown}'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ListenerState::*;
    use proptest::prelude::*;

    /// Hears a text from a state on, in pieces of this size.
    fn hear(state: ListenerState, text: &[u8], size: usize) -> (Dialogue, Vec<Said>) {
        let mut dialogue = Dialogue {
            state,
            ..Dialogue::default()
        };
        let pieces = text.chunks(size.max(1));
        let said = pieces.flat_map(|piece| dialogue.hear(piece)).collect();
        (dialogue, said)
    }

    #[test]
    fn messages_are_understood_however_they_are_cut() {
        let table: &[(ListenerState, &[u8], &str, ListenerState)] = &[
            (Acknowledged, b"READY\n", "ready", Ready),
            (Acknowledged, b"READY", "", Acknowledged),
            (Acknowledged, b"ready\n", "nonsense", Unknown),
            (Acknowledged, b"OK\nREADY\n", "nonsense", Unknown),
            (Ready, b"\n", "nonsense", Unknown),
            (Busy, b"RESULT 2\nOK", "accepted", Acknowledged),
            (Busy, b"RESULT 2\nOKREADY\n", "accepted ready", Ready),
            (Busy, b"RESULT 4\nFAIL", "rejected", Acknowledged),
            (Busy, b"RESULT 3\nOK\n", "rejected", Acknowledged),
            (Busy, b"RESULT 4\nOKOK", "rejected", Acknowledged),
            (Busy, b"RESULT  2 \nOK", "accepted", Acknowledged),
            (Busy, b"RESULT:2\nOK", "accepted", Acknowledged),
            (Busy, b"whatev 2\nOK", "accepted", Acknowledged),
            (Busy, b"RESULT 2\nO", "", Busy),
            (Busy, b"RESULT x\n", "nonsense", Unknown),
            (Busy, b"RESULT -1\nOK", "nonsense", Unknown),
            (Busy, b"\n", "nonsense", Unknown),
            (Busy, b"RESULT 99999999999\n", "nonsense", Unknown),
            (
                Busy,
                b"RESULT 2\nOKREADY\nx",
                "accepted ready nonsense",
                Unknown,
            ),
            (Unknown, b"READY\n", "", Unknown),
        ];
        for (state, text, expected, after) in table {
            for size in 1..=text.len() {
                let (dialogue, said) = hear(*state, text, size);
                let words: Vec<_> = said
                    .iter()
                    .map(|one| match one {
                        Said::Ready => "ready",
                        Said::Accepted => "accepted",
                        Said::Rejected => "rejected",
                        Said::Nonsense(_) => "nonsense",
                    })
                    .collect();
                let shown = String::from_utf8_lossy(text);
                assert_eq!(words.join(" "), *expected, "{shown:?} by {size}");
                assert_eq!(dialogue.state(), *after, "{shown:?} by {size}");
            }
        }
    }

    #[test]
    fn an_empty_result_is_a_rejection_once_its_line_is_there() {
        let (dialogue, said) = hear(Busy, b"RESULT 0\nREADY\n", 100);
        assert_eq!(said, [Said::Rejected, Said::Ready]);
        assert_eq!(dialogue.state(), Ready);
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let (dialogue, said) = hear(Busy, &[b'x'; LINE_MAX + 1], 100);
        assert!(matches!(&said[..], [Said::Nonsense(text)] if text.len() < 200));
        assert_eq!(dialogue.state(), Unknown);
    }

    proptest! {
        /// No bytes make it panic or remember much, and the cut of them changes nothing.
        #[test]
        fn whatever_is_said_is_bounded(
            state in prop::sample::select(vec![Acknowledged, Ready, Busy, Unknown]),
            words in prop::collection::vec(
                prop_oneof![
                    Just(b"READY\n".to_vec()),
                    Just(b"RESULT 2\nOK".to_vec()),
                    Just(b"RESULT 1000000\n".to_vec()),
                    prop::collection::vec(any::<u8>(), 0..2000),
                ],
                0..8,
            ),
            size in 1_usize..3000,
        ) {
            let text = words.concat();
            let (whole, said) = hear(state, &text, text.len());
            let (cut, said_in_pieces) = hear(state, &text, size);
            prop_assert!(cut.heard.len() <= LINE_MAX);
            prop_assert_eq!(whole.state(), cut.state());
            prop_assert_eq!(said.len(), said_in_pieces.len());
        }
    }
}
