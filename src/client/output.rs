//! Standard output and standard error of the client.
//!
//! A reader that goes away (`appctl status | head -1`) ends the process quietly, as SIGPIPE would.
//!
//! Must never: panic when nobody reads, decide what is said.

use std::io::{self, IsTerminal, Write};

use super::escape::Escaper;
use super::render::Target;

/// What a shell shows for a process that SIGPIPE ended: 128 and the signal's number.
const ENDED_BY_SIGPIPE: i32 = 128 + 13;

/// Where standard output goes.
pub fn target() -> Target {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return Target::default();
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok();
    let columns = size.map_or(0, |size| usize::from(size.ws_col));
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    Target {
        columns: Some(if columns == 0 { 80 } else { columns }),
        colours: !no_colour && !dumb,
    }
}

/// Writes text as it is.
pub fn text(text: &str) {
    bytes(text.as_bytes());
}

/// Writes a line.
pub fn line(text: &str) {
    bytes(format!("{text}\n").as_bytes());
}

/// Writes a line to standard error. If that does not work there is nobody left to tell.
pub fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes bytes and makes them appear.
pub fn bytes(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        if error.kind() == io::ErrorKind::BrokenPipe {
            std::process::exit(ENDED_BY_SIGPIPE);
        }
        complain(&format!("standard output: {error}"));
        std::process::exit(1);
    }
}

/// Log bytes on their way to standard output: as they are for a pipe, harmless for a terminal.
#[derive(Debug)]
pub struct LogOutput {
    escaper: Option<Escaper>,
}

impl LogOutput {
    /// For the standard output of now.
    pub fn new() -> LogOutput {
        LogOutput {
            escaper: io::stdout().is_terminal().then(Escaper::default),
        }
    }

    /// Writes the next piece.
    pub fn write(&mut self, piece: &[u8]) {
        match &mut self.escaper {
            None => bytes(piece),
            Some(escaper) => {
                let mut harmless = Vec::with_capacity(piece.len());
                escaper.push(piece, &mut harmless);
                bytes(&harmless);
            }
        }
    }

    /// The log ends here: writes what waited for the rest of a sequence.
    pub fn finish(&mut self) {
        if let Some(escaper) = &mut self.escaper {
            let mut harmless = Vec::new();
            escaper.finish(&mut harmless);
            bytes(&harmless);
        }
    }
}
