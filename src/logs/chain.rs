//! What becomes of a source's bytes between its pipe and its sinks, where they do not go as they
//! are: cut → strip → capture → format. Each link is a thing of its own; this is the order.
//!
//! The cut comes first and decides how much leaves the pipe now; the other links get exactly that
//! and pass all of it on in their form, so that no byte waits in memory for others to come, but for
//! a text between capture tags whose end takes its time. (What else waits, waits in the program's
//! pipe, where no kill can reach it.)
//!
//! Must never: do I/O, know a sink.

use std::time::Duration;

use super::capture::Capture;
use super::format::{Format, PART_MAX, boundary};
use super::plane::SinkConfig;
use super::strip::Strip;

/// How long the beginning of a line waits for its end.
pub(super) const LINE_TIME: Duration = Duration::from_millis(100);

/// The links of one source.
#[derive(Debug)]
pub(super) struct Chain {
    strip: Option<Strip>,
    capture: Option<Capture>,
    format: Option<Format>,
}

impl Chain {
    /// The links that a stream of this configuration needs; none if its bytes go as they are.
    pub fn of(config: &SinkConfig) -> Option<Chain> {
        let captures = config.capture_maxbytes > 0;
        let told = config.tells_output || config.repeated_as.is_some();
        let formed = config.format.is_some() || !config.outlets.is_empty();
        let looked_at = config.strip_ansi || captures || told || formed;
        looked_at.then(|| Chain {
            strip: config.strip_ansi.then(Strip::default),
            capture: captures.then(|| Capture::new(config.capture_maxbytes)),
            format: config.format.clone(),
        })
    }

    /// How many of these bytes, the oldest in the pipe, are to be passed on now: as [`cut`] says, and
    /// in any case up to the end of a text between capture tags.
    pub fn cut(&self, bytes: &[u8], flush: bool) -> usize {
        let of_texts = self.capture.as_ref().map_or(0, |_| Capture::cut(bytes));
        cut(bytes, flush).max(of_texts)
    }

    /// What a program meant to say: the bytes without what is not wanted of them.
    pub fn plain(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        if let Some(strip) = &mut self.strip {
            strip.strip(&mut bytes);
        }
        match &mut self.capture {
            Some(capture) => capture.pass(bytes),
            None => bytes,
        }
    }

    /// What was captured meanwhile.
    pub fn captured(&mut self) -> Vec<Vec<u8>> {
        self.capture.as_mut().map_or(Vec::new(), Capture::captured)
    }

    /// The source has ended: what a link still held of it.
    pub fn finish(&mut self) -> Vec<u8> {
        self.capture.as_mut().map_or(Vec::new(), Capture::finish)
    }

    /// The form in which plain bytes are written, which came at this moment in microseconds since
    /// 1970. `goes_on`: more of their last line may come.
    pub fn formed(&self, plain: &[u8], micros: i64, goes_on: bool) -> Vec<u8> {
        match &self.format {
            None => plain.to_vec(),
            Some(format) => {
                let mut formed = Vec::with_capacity(plain.len() * 2);
                format.write(plain, micros, goes_on, &mut formed);
                formed
            }
        }
    }
}

/// How many of these bytes, the oldest in the pipe, are to be passed on now: whole lines, so that no
/// link is in the middle of something when the brain dies. The beginning of a line waits for its
/// end; with `flush` it does not, and neither when it is as long as a record may be.
pub(super) fn cut(bytes: &[u8], flush: bool) -> usize {
    match bytes.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => at + 1,
        None if bytes.len() >= PART_MAX => boundary(&bytes[..PART_MAX]),
        None if flush => boundary(bytes),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_pass_and_a_beginning_waits() {
        let long = vec![b'x'; PART_MAX];
        let table: &[(&[u8], bool, usize)] = &[
            (b"one\ntwo\n", false, 8),
            (b"one\ntw", false, 4),
            (b"on", false, 0),
            (b"on", true, 2),
            (b"one\ntw", true, 4),
            (&long, false, PART_MAX),
            (&long[1..], false, 0),
            ("aé".as_bytes(), true, 3),
            (&"aé".as_bytes()[..2], true, 1),
        ];
        for (bytes, flush, count) in table {
            assert_eq!(cut(bytes, *flush), *count, "{bytes:?} {flush}");
        }
    }
}
