//! A conversation with the daemon: one request line, then rows and raw blocks, then one last line.
//!
//! Synchronous; waits for the socket and for Ctrl-C together. At most one line or one raw block
//! is held in memory.
//!
//! Must never: know a verb, print.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::interrupt::Interrupts;
use crate::control::line::{AnswerLine, LINE_MAX, Row, quote_word};

/// How much is read at once.
const PIECE: usize = 64 * 1024;

/// One step of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A data line.
    Row(Row),
    /// Raw bytes of a log.
    Raw {
        /// `stdout`, `stderr` or `main`.
        name: String,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The last line: it worked.
    Done(String),
    /// The last line: it did not.
    Failed {
        /// Stable code.
        code: String,
        /// For people.
        text: String,
    },
}

/// Why a conversation ended early.
#[derive(Debug)]
pub enum Lost {
    /// Ctrl-C.
    Interrupted,
    /// The daemon hung up.
    Closed,
    /// Nothing came in time.
    TimedOut,
    /// Reading or writing failed.
    Io(io::Error),
    /// The other end does not speak our protocol, or the request does not fit.
    Protocol(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Interrupted => f.write_str("interrupted"),
            Lost::Closed => f.write_str("the daemon hung up before it had answered"),
            Lost::TimedOut => f.write_str("the daemon did not answer in time"),
            Lost::Io(error) => write!(f, "talking to the daemon: {error}"),
            Lost::Protocol(text) => write!(f, "talking to the daemon: {text}"),
        }
    }
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Lost {
        match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Lost::Closed,
            _ => Lost::Io(error),
        }
    }
}

/// An open connection.
#[derive(Debug)]
pub struct Session {
    stream: UnixStream,
    received: Vec<u8>,
    /// A raw block was announced and has not arrived in full: its name and length.
    raw: Option<(String, usize)>,
    interrupts: Option<Rc<Interrupts>>,
}

impl Session {
    /// A conversation over this socket. With `interrupts`, waiting ends at Ctrl-C.
    pub fn new(stream: UnixStream, interrupts: Option<Rc<Interrupts>>) -> Session {
        Session {
            stream,
            received: Vec::new(),
            raw: None,
            interrupts,
        }
    }

    /// Sends a request.
    pub fn send(&mut self, words: &[&str]) -> Result<(), Lost> {
        self.send_all(&[words])
    }

    /// Sends requests, whose answers come one after the other.
    pub fn send_all(&mut self, requests: &[&[&str]]) -> Result<(), Lost> {
        let mut lines = String::new();
        for words in requests {
            let quoted: Vec<_> = words.iter().map(|word| quote_word(word)).collect();
            let line = quoted.join(" ");
            if line.len() > LINE_MAX {
                return Err(Lost::Protocol(format!(
                    "the request is longer than {LINE_MAX} bytes; name fewer processes at once"
                )));
            }
            lines += &line;
            lines.push('\n');
        }
        self.stream.write_all(lines.as_bytes())?;
        Ok(())
    }

    /// The next step of the answer, waiting for it until `deadline` if there is one.
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Step, Lost> {
        loop {
            if let Some(step) = self.take()? {
                return Ok(step);
            }
            self.wait(deadline)?;
            self.fill()?;
        }
    }

    /// Reads what is there; for callers that wait for several descriptors themselves.
    pub fn fill(&mut self) -> Result<(), Lost> {
        let mut piece = vec![0; PIECE];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(Lost::Closed),
                Ok(count) => {
                    self.received.extend_from_slice(&piece[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The next step, if it has arrived already.
    pub fn take(&mut self) -> Result<Option<Step>, Lost> {
        if self.raw.is_some() {
            return Ok(self.take_raw());
        }
        let Some(end) = self.received.iter().position(|byte| *byte == b'\n') else {
            if self.received.len() > LINE_MAX {
                return Err(Lost::Protocol(format!(
                    "it sent a line of more than {LINE_MAX} bytes"
                )));
            }
            return Ok(None);
        };
        let line: Vec<u8> = self.received.drain(..=end).collect();
        let line = std::str::from_utf8(&line[..end])
            .map_err(|_| Lost::Protocol("it sent a line that is not UTF-8".into()))?;
        let answer: AnswerLine = line.parse().map_err(|error| {
            Lost::Protocol(format!("it does not speak appctl's line protocol: {error}"))
        })?;
        Ok(match answer {
            AnswerLine::Row(row) => Some(Step::Row(row)),
            AnswerLine::Ok(text) => Some(Step::Done(text)),
            AnswerLine::Err { code, text } => Some(Step::Failed { code, text }),
            AnswerLine::Raw { length, name } => {
                self.raw = Some((name, length));
                self.take_raw()
            }
        })
    }

    /// The announced raw block, once it and the newline after it are there.
    fn take_raw(&mut self) -> Option<Step> {
        let (name, length) = self.raw.take()?;
        if self.received.len() <= length {
            self.raw = Some((name, length));
            return None;
        }
        let mut bytes: Vec<u8> = self.received.drain(..=length).collect();
        bytes.truncate(length);
        Some(Step::Raw { name, bytes })
    }

    /// Waits until there is something to read.
    fn wait(&self, deadline: Option<Instant>) -> Result<(), Lost> {
        loop {
            let timeout = match deadline {
                None => None,
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(Lost::TimedOut);
                    }
                    Some(Timespec::try_from(left).map_err(|_| Lost::TimedOut)?)
                }
            };
            let mut waited = vec![PollFd::new(&self.stream, PollFlags::IN)];
            if let Some(interrupts) = &self.interrupts {
                waited.push(PollFd::from_borrowed_fd(interrupts.as_fd(), PollFlags::IN));
            }
            match poll(&mut waited, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Lost::Io(error.into())),
            }
            let readable = !waited[0].revents().is_empty();
            if self
                .interrupts
                .as_ref()
                .is_some_and(|interrupts| interrupts.take())
            {
                return Err(Lost::Interrupted);
            }
            if readable {
                return Ok(());
            }
        }
    }
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Session, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Session::new(ours, None), theirs)
    }

    #[test]
    fn an_answer_may_come_in_any_pieces() {
        let answer = b"- web RUNNING pid=12\n= 4 stdout\na\nb\n\n= 0 stderr\n\nok\n";
        for size in 1..answer.len() {
            let (mut session, mut daemon) = pair();
            let mut steps = Vec::new();
            for piece in answer.chunks(size) {
                daemon.write_all(piece).unwrap();
                session.fill().unwrap();
                while let Some(step) = session.take().unwrap() {
                    steps.push(step);
                }
            }
            let raw = |name: &str, bytes: &[u8]| Step::Raw {
                name: name.into(),
                bytes: bytes.to_vec(),
            };
            assert_eq!(steps.len(), 4, "pieces of {size}");
            assert_eq!(steps[1], raw("stdout", b"a\nb\n"));
            assert_eq!(steps[2], raw("stderr", b""));
            assert_eq!(steps[3], Step::Done(String::new()));
        }
    }

    #[test]
    fn what_cannot_be_understood_is_an_error() {
        for bytes in [&b"HTTP/1.0 400 Bad Request\n"[..], b"- \xff\n"] {
            let (mut session, mut daemon) = pair();
            daemon.write_all(bytes).unwrap();
            assert!(matches!(session.next(None), Err(Lost::Protocol(_))));
        }
        let (mut session, daemon) = pair();
        drop(daemon);
        assert!(matches!(session.next(None), Err(Lost::Closed)));
        assert!(session.send(&["status"]).is_err());
    }

    #[test]
    fn a_request_without_end_and_a_line_without_end_are_refused() {
        let (mut session, mut daemon) = pair();
        let name = "n".repeat(LINE_MAX);
        assert!(matches!(
            session.send(&["start", &name]),
            Err(Lost::Protocol(_))
        ));
        let writer =
            std::thread::spawn(move || daemon.write_all(&vec![b'x'; LINE_MAX + 2 * PIECE]));
        assert!(matches!(session.next(None), Err(Lost::Protocol(_))));
        drop(session);
        let _ = writer.join();
    }

    #[test]
    fn a_deadline_ends_the_waiting() {
        let (mut session, _daemon) = pair();
        assert!(matches!(
            session.next(Some(Instant::now())),
            Err(Lost::TimedOut)
        ));
    }
}
