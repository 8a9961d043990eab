//! Where a file that is to be rotated may end: behind a line, if one ends soon enough. Pure.
//!
//! What a program wrote at once stays together, as in Supervisor: a file is closed behind the output
//! that takes it to its limit, or behind the last line that ends in it, if it is in the middle of
//! one. Lines that do not end (a progress bar, binary output) flow into the file as they come,
//! until it exceeds its limit by the tolerance.

/// Bytes by which a file may exceed its limit while the end of a line is waited for: as much as is
/// taken at once, so that a line that came as a whole stays whole.
pub const TOLERANCE: u64 = 64 * 1024;

/// The point at which a file is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// At the end of a line where the file is at least this large.
    pub from: u64,
    /// Here at the latest, if no line ends.
    pub until: u64,
}

impl Limit {
    /// For rotation at this size, if there is one.
    pub fn of_size(maxbytes: i64) -> Option<Limit> {
        let maxbytes = u64::try_from(maxbytes).ok().filter(|size| *size > 0)?;
        Some(Limit {
            from: maxbytes,
            until: maxbytes.saturating_add(TOLERANCE),
        })
    }

    /// For rotation of a file that has this size now.
    pub fn at_once(size: u64) -> Limit {
        Limit {
            from: size,
            until: size.saturating_add(TOLERANCE),
        }
    }

    /// The earlier one.
    pub fn or_earlier(self, other: Limit) -> Limit {
        if other.from < self.from { other } else { self }
    }

    /// Whether a file of this size is closed now that these bytes are its last ones.
    pub fn closes(self, size: u64, bytes: &[u8]) -> bool {
        size >= self.until || size >= self.from && bytes.ends_with(b"\n")
    }

    /// How many of these bytes, which come next in a file of that size, still belong into it;
    /// `None` if all do and it stays open.
    pub fn cut(self, size: u64, bytes: &[u8]) -> Option<usize> {
        // A line that ends here has to reach the limit with its newline.
        let skipped =
            usize::try_from(self.from.saturating_sub(size).saturating_sub(1)).unwrap_or(usize::MAX);
        let is_end = |byte: &u8| *byte == b'\n';
        let rest = bytes.get(skipped..).unwrap_or_default();
        let first = rest.iter().position(is_end).map(|at| skipped + at + 1);
        let last = rest.iter().rposition(is_end).map(|at| skipped + at + 1);
        let most = usize::try_from(self.until.saturating_sub(size)).unwrap_or(usize::MAX);
        match first {
            Some(first) if first <= most || most == 0 => last,
            _ => (most <= bytes.len()).then_some(most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn files_end_behind_the_line_that_fills_them() {
        let limit = Limit {
            from: 10,
            until: 16,
        };
        for (size, bytes, expected) in [
            (0, "1234\n6789\nx", Some(10)),
            // What came at once stays together, up to where its last line ends.
            (0, "1234\n6789\nab\ncd\n", Some(16)),
            (0, "1234\n6789\nab\ncd\nefghijkl\nx", Some(25)),
            (0, "1234567\n9abcdefghi", Some(16)),
            (0, "1234\n67890\nx", Some(11)),
            (0, "1234\n678\n", None),
            (9, "\nx", Some(1)),
            (9, "x\n", Some(2)),
            (10, "ab\n", Some(3)),
            // No line ends: streams on up to the tolerance.
            (10, "abcde", None),
            (10, "abcdef", Some(6)),
            (10, "abcdefghi\n", Some(6)),
            (10, "abcdefghij", Some(6)),
            // It was too large before: behind what comes, or at once if that does not end.
            (40, "ab\ncd\n", Some(6)),
            (40, "abcd", Some(0)),
            (0, "", None),
        ] {
            assert_eq!(
                limit.cut(size, bytes.as_bytes()),
                expected,
                "{size} {bytes:?}"
            );
        }
        let until = |maxbytes| Limit::of_size(maxbytes).map(|limit| limit.until);
        assert_eq!(until(100), Some(100 + TOLERANCE));
        assert_eq!(until(1 << 20), Some((1 << 20) + TOLERANCE));
        assert_eq!((until(0), until(-1)), (None, None));
    }

    proptest! {
        /// However output comes: nothing is lost, no file is closed before its limit, and only a
        /// line that does not end in time is cut.
        #[test]
        fn files_end_behind_lines_however_output_comes(
            text in "([a-z]{0,30}\n?){0,60}",
            chunks in proptest::collection::vec(1_usize..50, 1..20),
            maxbytes in 1_i64..80,
        ) {
            let limit = Limit::of_size(maxbytes).unwrap();
            let (mut files, mut file) = (Vec::new(), Vec::new());
            let mut rest = text.as_bytes();
            let mut sizes = chunks.iter().copied().cycle();
            while !rest.is_empty() {
                let chunk = &rest[..sizes.next().unwrap().min(rest.len())];
                let cut = limit.cut(file.len() as u64, chunk);
                let moved = cut.unwrap_or(chunk.len());
                file.extend_from_slice(&chunk[..moved]);
                rest = &rest[moved..];
                if cut.is_some() {
                    files.push(std::mem::take(&mut file));
                }
            }
            files.push(file);
            prop_assert_eq!(files.concat(), text.as_bytes());
            for file in &files[..files.len() - 1] {
                let size = file.len() as u64;
                prop_assert!(size >= limit.from);
                prop_assert!(file.ends_with(b"\n") || size == limit.until);
            }
        }
    }
}
