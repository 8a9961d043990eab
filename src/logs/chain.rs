//! What becomes of a source's bytes between its pipe and its sinks, where they do not go as they
//! are: cut → strip → format. Each link is a thing of its own; this is the order.
//!
//! The cut comes first and decides how much leaves the pipe now; the other links get exactly that
//! and pass all of it on in their form, so that no byte waits in memory for others to come. (What
//! waits, waits in the program's pipe, where no kill can reach it.)
//!
//! Must never: do I/O, know a sink.

use std::time::Duration;

use super::plane::SinkConfig;
use super::strip::Strip;

/// Longest line that is waited for.
const LINE_MAX: usize = 16 * 1024;

/// How long the beginning of a line waits for its end.
pub(super) const LINE_TIME: Duration = Duration::from_millis(100);

/// The links of one source.
#[derive(Debug)]
pub(super) struct Chain {
    strip: Option<Strip>,
}

impl Chain {
    /// The links that a stream of this configuration needs; none if its bytes go as they are.
    pub fn of(config: &SinkConfig) -> Option<Chain> {
        let looked_at = config.strip_ansi || config.repeated_as.is_some();
        looked_at.then(|| Chain {
            strip: config.strip_ansi.then(Strip::default),
        })
    }

    /// How many of these bytes, the oldest in the pipe, are to be passed on now: whole lines, so
    /// that no link is in the middle of something when the brain dies. The beginning of a line
    /// waits for its end; with `flush`, or when it is very long, it does not.
    pub fn cut(&self, bytes: &[u8], flush: bool) -> usize {
        let newline = bytes.iter().rposition(|byte| *byte == b'\n');
        match newline {
            Some(at) => at + 1,
            None if flush || bytes.len() >= LINE_MAX => bytes.len(),
            None => 0,
        }
    }

    /// Passes on what was cut off; what comes out is for the sinks.
    pub fn pass(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        if let Some(strip) = &mut self.strip {
            strip.strip(&mut bytes);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_pass_and_a_beginning_waits() {
        let chain = Chain { strip: None };
        let long = vec![b'x'; LINE_MAX];
        let table: &[(&[u8], bool, usize)] = &[
            (b"one\ntwo\n", false, 8),
            (b"one\ntw", false, 4),
            (b"on", false, 0),
            (b"on", true, 2),
            (b"one\ntw", true, 4),
            (&long, false, LINE_MAX),
            (&long[1..], false, 0),
        ];
        for (bytes, flush, count) in table {
            assert_eq!(chain.cut(bytes, *flush), *count, "{bytes:?} {flush}");
        }
    }
}
