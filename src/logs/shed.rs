//! Dropping whole lines while a log cannot be written, for streams that asked for that instead of
//! waiting, and counting what is dropped. Pure.
//!
//! The line that was begun before is kept to its end; from there on every byte is counted, until
//! the first line that begins when writing works again.

use std::fmt;

/// Bytes of a begun line that are kept in memory at most.
const REST_MAX: usize = 64 * 1024;

/// How much was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Lines that have begun.
    pub lines: u64,
    /// Bytes of them.
    pub bytes: u64,
}

impl Tally {
    /// So much.
    pub fn new(lines: u64, bytes: u64) -> Tally {
        Tally { lines, bytes }
    }

    /// Counts these bytes as well; `goes_on`: they go on with a line that was counted before.
    pub fn count(&mut self, bytes: &[u8], goes_on: bool) {
        let Some((_, before)) = bytes.split_last() else {
            return;
        };
        let ends = before.iter().filter(|byte| **byte == b'\n').count();
        self.lines += u64::from(!goes_on) + ends as u64;
        self.bytes += bytes.len() as u64;
    }

    /// Whether anything was.
    pub fn is_lossy(self) -> bool {
        self.bytes > 0
    }

    /// Both together.
    pub fn and(self, other: Tally) -> Tally {
        Tally {
            lines: self.lines + other.lines,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// `12 lines (345 bytes) dropped`.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lines, bytes) = (self.lines, self.bytes);
        let [of_lines, of_bytes] = [lines, bytes].map(|count| if count == 1 { "" } else { "s" });
        write!(f, "{lines} line{of_lines} ({bytes} byte{of_bytes}) dropped")
    }
}

/// What is being dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shed {
    tally: Tally,
    why: String,
    /// The source whose line was begun before and is kept to its end.
    keeps: Option<u64>,
    /// Bytes kept of it.
    rest: usize,
    /// It did not end soon enough.
    is_torn: bool,
    /// The source of which a part of a line is dropped, so that the rest has to follow it.
    cuts: Option<u64>,
    /// Such a source is still to come: a predecessor dropped a part of its line.
    expects: bool,
}

impl Shed {
    /// From now on, because of this error. `begun`: the source whose line has been taken in part.
    pub fn new(why: String, begun: Option<u64>) -> Shed {
        Shed {
            tally: Tally::default(),
            why,
            keeps: begun,
            rest: 0,
            is_torn: false,
            cuts: None,
            expects: false,
        }
    }

    /// What a predecessor has dropped. `is_torn`: the log ends in the middle of a line; `is_cut`: the
    /// rest of a dropped line is still to come.
    pub fn resumed(tally: Tally, why: String, is_torn: bool, is_cut: bool) -> Shed {
        Shed {
            tally,
            is_torn,
            expects: is_cut,
            ..Shed::new(why, None)
        }
    }

    /// Whether a source is to come that a predecessor had.
    pub fn expects_source(&self) -> bool {
        self.expects
    }

    /// A source has come.
    pub fn attach(&mut self, source: u64) {
        if std::mem::take(&mut self.expects) {
            self.cuts = Some(source);
        }
    }

    /// Drops these bytes of a source but for those that are kept: how many, from the beginning.
    pub fn split(&mut self, source: u64, bytes: &[u8]) -> usize {
        let mut kept = 0;
        if self.keeps == Some(source) {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(bytes.len(), |end| end + 1);
            kept = length.min(REST_MAX - self.rest);
            self.rest += kept;
            self.is_torn = kept < length;
            if end.is_some() || self.is_torn {
                self.keeps = None;
            }
        }
        self.drop_all(source, &bytes[kept..]);
        kept
    }

    /// How many of these bytes have to be dropped before writing can go on: the rest of a line.
    pub fn rest(&self, source: u64, bytes: &[u8]) -> usize {
        if self.cuts != Some(source) {
            return 0;
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        end.map_or(bytes.len(), |end| end + 1)
    }

    /// Counts bytes of a source as dropped.
    pub fn drop_all(&mut self, source: u64, bytes: &[u8]) {
        self.tally.count(bytes, self.cuts == Some(source));
        if let Some(last) = bytes.last() {
            self.cuts = (*last != b'\n').then_some(source);
        }
    }

    /// A source that has ended will not end its line.
    pub fn forget(&mut self, source: u64) {
        for begun in [&mut self.keeps, &mut self.cuts] {
            begun.take_if(|begun| *begun == source);
        }
    }

    /// The source whose line has to end first.
    pub fn waits_for(&self) -> Option<u64> {
        self.cuts
    }

    /// How much was dropped.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The line that stands in the log where lines are missing.
    pub fn marker(&self) -> String {
        let begin = if self.is_torn { "\n" } else { "" };
        format!("{begin}[appctl: {}: {}]\n", self.tally, self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_begun_line_is_kept_and_whole_lines_are_counted() {
        let mut shed = Shed::new("disk full".into(), Some(1));
        assert_eq!(shed.split(1, b"re"), 2);
        assert_eq!(shed.split(1, b"st\none\ntw"), 3);
        assert_eq!(shed.split(1, b"o\n"), 0);
        assert_eq!(
            shed.marker(),
            "[appctl: 2 lines (8 bytes) dropped: disk full]\n"
        );
        assert_eq!(shed.waits_for(), None);
        shed.split(1, b"thr");
        assert_eq!(shed.waits_for(), Some(1));
        assert_eq!(shed.rest(1, b"ee\nfour\n"), 3);
        assert_eq!(shed.rest(2, b"ee\nfour\n"), 0);
        shed.drop_all(1, b"ee\n");
        assert_eq!(
            (shed.tally().to_string().as_str(), shed.waits_for()),
            ("3 lines (14 bytes) dropped", None)
        );
        shed.split(1, b"x");
        shed.forget(1);
        assert_eq!(shed.waits_for(), None);
    }

    #[test]
    fn what_a_predecessor_dropped_is_told_when_its_line_has_ended() {
        let mut shed = Shed::resumed(Tally::new(2, 8), "disk full".into(), true, true);
        assert!(shed.expects_source());
        shed.attach(4);
        shed.attach(5);
        assert_eq!((shed.expects_source(), shed.waits_for()), (false, Some(4)));
        assert_eq!(shed.rest(4, b"o\nthree\n"), 2);
        shed.drop_all(4, b"o\n");
        let marker = "\n[appctl: 2 lines (10 bytes) dropped: disk full]\n";
        assert_eq!((shed.marker().as_str(), shed.waits_for()), (marker, None));
    }

    #[test]
    fn a_begun_line_without_end_is_given_up() {
        let mut shed = Shed::new(String::new(), Some(1));
        assert_eq!(shed.split(1, &[b'x'; REST_MAX]), REST_MAX);
        assert_eq!(shed.split(1, b"x"), 0);
        assert_eq!(shed.waits_for(), Some(1));
        assert_eq!(shed.tally().to_string(), "1 line (1 byte) dropped");
        assert!(
            shed.marker().starts_with("\n["),
            "the marker stands on a line of its own"
        );
    }

    proptest! {
        /// However output is cut: what is kept and what is counted is all of it, and the count of
        /// lines does not depend on the cut.
        #[test]
        fn every_byte_is_kept_or_counted(
            text in "([a-z]{0,5}\n?){0,30}",
            chunks in proptest::collection::vec(1_usize..9, 1..20),
        ) {
            let shed_of = |sizes: &mut dyn Iterator<Item = usize>| {
                let mut shed = Shed::new(String::new(), Some(7));
                let (mut rest, mut kept) = (text.as_bytes(), 0);
                while !rest.is_empty() {
                    let length = sizes.next().unwrap_or(1).min(rest.len());
                    kept += shed.split(7, &rest[..length]);
                    rest = &rest[length..];
                }
                (shed, kept)
            };
            let (whole, kept) = shed_of(&mut std::iter::repeat(text.len().max(1)));
            let (pieces, _) = shed_of(&mut chunks.iter().copied().cycle());
            prop_assert_eq!(&whole, &pieces);
            prop_assert_eq!(whole.tally.bytes + kept as u64, text.len() as u64);
            let dropped = &text[kept..];
            prop_assert_eq!(whole.tally.lines, dropped.lines().count() as u64);
        }
    }
}
