//! The line protocol as any client can speak it (docs/protocol.md), written anew on purpose:
//! a test that shared the daemon's codec would share its mistakes.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::{PATIENCE, wait_for};

/// The answer to one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// Data lines without their leading `- `.
    pub rows: Vec<String>,
    /// Raw blocks: name and bytes.
    pub blocks: Vec<(String, Vec<u8>)>,
    /// The final line, `ok …` or `err CODE …`.
    pub end: String,
}

impl Answer {
    /// The request was done.
    pub fn is_ok(&self) -> bool {
        self.end == "ok" || self.end.starts_with("ok ")
    }
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    stream: BufReader<UnixStream>,
}

impl Session {
    /// Connects, as soon as somebody listens.
    pub fn connect(socket: &Path) -> Session {
        let stream = wait_for("a listening socket", || UnixStream::connect(socket).ok());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Session {
            stream: BufReader::new(stream),
        }
    }

    /// Sends bytes as they are; false if the other side has hung up.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.get_mut().write_all(bytes).is_ok()
    }

    /// One line without its newline; `None` at the end of the connection.
    pub fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let count = self.stream.read_until(b'\n', &mut line).ok()?;
        if count == 0 {
            return None;
        }
        let text = String::from_utf8(line).expect("answers are UTF-8");
        Some(text.trim_end_matches('\n').to_owned())
    }

    /// Reads an answer to its final line; `None` if the connection ends before.
    pub fn answer(&mut self) -> Option<Answer> {
        let mut answer = Answer::default();
        loop {
            let line = self.line()?;
            if let Some(row) = line.strip_prefix("- ") {
                answer.rows.push(row.to_owned());
            } else if let Some(head) = line.strip_prefix("= ") {
                let (length, name) = head.split_once(' ').expect("= LENGTH NAME");
                let mut bytes = vec![0; length.parse().expect("a length")];
                self.stream.read_exact(&mut bytes).ok()?;
                answer.blocks.push((name.to_owned(), bytes));
                assert_eq!(self.line()?, "", "a newline after a raw block");
            } else {
                answer.end = line;
                return Some(answer);
            }
        }
    }

    /// Sends one request and reads its answer.
    #[track_caller]
    pub fn ask(&mut self, request: &str) -> Answer {
        assert!(
            self.send(format!("{request}\n").as_bytes()),
            "hung up before `{request}`"
        );
        self.answer()
            .unwrap_or_else(|| panic!("hung up in the answer to `{request}`"))
    }
}
