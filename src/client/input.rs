//! Standard input, read by lines or as it comes, without swallowing what another reader is to get:
//! a shell fed by a pipe, its questions and `fg` all read from here.
//!
//! Must never: hold more than a line, wait without listening for Ctrl-C.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};

use super::interrupt::Interrupts;

/// Longest line that is read, in bytes; a longer one counts as several.
const LINE_MAX: usize = 1024 * 1024;

/// Longest piece of a line that is handed on, in bytes.
const PIECE_MAX: usize = 4096;

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// A line without its newline.
    Text(String),
    /// There is no more.
    End,
    /// Ctrl-C.
    Interrupted,
}

/// Standard input and what was read of it too early.
#[derive(Debug, Default)]
pub struct Input {
    pending: Vec<u8>,
    ended: bool,
}

impl Input {
    /// The next line, waiting for it.
    pub fn line(&mut self, interrupts: Option<&Interrupts>) -> Line {
        let mut line = Vec::new();
        loop {
            while let Some(piece) = self.take_piece() {
                line.extend(piece);
                if line.ends_with(b"\n") || line.len() >= LINE_MAX {
                    return Line::Text(text_of(&line));
                }
            }
            if self.take_end() {
                return match line.is_empty() {
                    true => Line::End,
                    false => Line::Text(text_of(&line)),
                };
            }
            if !wait(interrupts) {
                return Line::Interrupted;
            }
            self.fill();
        }
    }

    /// The next byte, waiting for it; `None` at the end and at Ctrl-C.
    pub fn byte(&mut self, interrupts: Option<&Interrupts>) -> Option<u8> {
        while self.pending.is_empty() {
            if self.ended || !wait(interrupts) {
                return None;
            }
            self.fill();
        }
        Some(self.pending.remove(0))
    }

    /// Reads what is there, waiting if nothing is; an error counts as the end.
    pub fn fill(&mut self) {
        let mut piece = [0; PIECE_MAX];
        match rustix::io::read(io::stdin(), &mut piece) {
            Ok(0) => self.ended = true,
            Ok(count) => self.pending.extend_from_slice(&piece[..count]),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(_) => self.ended = true,
        }
    }

    /// Whether the end was reached. It is told once: a terminal goes on after Ctrl-D, and whatever
    /// else has ended tells so again.
    pub fn take_end(&mut self) -> bool {
        std::mem::take(&mut self.ended)
    }

    /// A line with its newline; at the end, or if the line is too long, what there is of it.
    pub fn take_piece(&mut self) -> Option<Vec<u8>> {
        let length = piece_length(&self.pending, self.ended)?;
        Some(self.pending.drain(..length).collect())
    }
}

fn text_of(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    text.trim_end_matches(['\n', '\r']).to_string()
}

fn piece_length(pending: &[u8], ended: bool) -> Option<usize> {
    let line = pending.iter().position(|byte| *byte == b'\n');
    let rest = (ended && !pending.is_empty()) || pending.len() >= PIECE_MAX;
    let length = line.map(|at| at + 1).or(rest.then_some(pending.len()))?;
    Some(length.min(PIECE_MAX))
}

/// Waits for standard input; `false` at Ctrl-C.
fn wait(interrupts: Option<&Interrupts>) -> bool {
    let stdin = io::stdin();
    let mut waited = vec![PollFd::new(&stdin, PollFlags::IN)];
    if let Some(interrupts) = interrupts {
        waited.push(PollFd::from_borrowed_fd(interrupts.as_fd(), PollFlags::IN));
    }
    while let Err(rustix::io::Errno::INTR) = poll(&mut waited, None) {}
    !interrupts.is_some_and(Interrupts::take)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_whole_and_long_ones_in_pieces() {
        let long = vec![b'x'; PIECE_MAX + 1];
        let table: &[(&[u8], bool, Option<usize>)] = &[
            (b"", false, None),
            (b"", true, None),
            (b"ab", false, None),
            (b"ab", true, Some(2)),
            (b"ab\ncd", false, Some(3)),
            (b"\n", false, Some(1)),
            (&long, false, Some(PIECE_MAX)),
            (&long, true, Some(PIECE_MAX)),
        ];
        for (pending, ended, expected) in table {
            assert_eq!(piece_length(pending, *ended), *expected);
        }
    }
}
