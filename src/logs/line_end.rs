//! Where a file that is to be rotated may end: behind a line, if one ends soon enough. Pure.
//!
//! A file is closed behind the first line that takes it to its limit, as Supervisor does for a
//! program that writes line by line. Lines that do not end (a progress bar, binary output) flow
//! into the file as they come, until it exceeds its limit by the tolerance.

/// Bytes by which a file may exceed its limit while the end of a line is waited for. A limit that
/// is smaller than this is at most doubled.
pub const TOLERANCE: u64 = 64 * 1024;

/// The point at which a file is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// At the first end of a line where the file is at least this large.
    pub from: u64,
    /// Here at the latest.
    pub until: u64,
}

impl Limit {
    /// For rotation at this size, if there is one.
    pub fn of_size(maxbytes: i64) -> Option<Limit> {
        let maxbytes = u64::try_from(maxbytes).ok().filter(|size| *size > 0)?;
        Some(Limit {
            from: maxbytes,
            until: maxbytes.saturating_add(maxbytes.min(TOLERANCE)),
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
        let line_end = bytes
            .get(skipped..)
            .and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
            .map(|found| skipped + found + 1);
        let last = usize::try_from(self.until.saturating_sub(size)).unwrap_or(usize::MAX);
        match line_end {
            Some(end) if end <= last || last == 0 => Some(end),
            _ => (last <= bytes.len()).then_some(last),
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
            (0, "1234\n67890\nx", Some(11)),
            (0, "1234\n678\n", None),
            (9, "\nx", Some(1)),
            (9, "x\n", Some(2)),
            (10, "ab\n", Some(3)),
            // No line ends: streams on up to the tolerance.
            (10, "abcde", None),
            (10, "abcdef", Some(6)),
            (10, "abcdefghi\n", Some(6)),
            // It was too large before: behind the first line, or at once.
            (40, "ab\ncd\n", Some(3)),
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
        assert_eq!(until(100), Some(200));
        assert_eq!(until(1 << 20), Some((1 << 20) + TOLERANCE));
        assert_eq!((until(0), until(-1)), (None, None));
    }

    proptest! {
        /// However output is cut into chunks, its files are the same, none is larger than its
        /// limit with the tolerance, and only overlong lines are cut.
        #[test]
        fn files_do_not_depend_on_how_output_is_cut(
            text in "([a-z]{0,30}\n?){0,60}",
            chunks in proptest::collection::vec(1_usize..50, 1..20),
            maxbytes in 1_i64..80,
        ) {
            let limit = Limit::of_size(maxbytes).unwrap();
            let files_of = |sizes: &mut dyn Iterator<Item = usize>| {
                let (mut files, mut file) = (Vec::new(), Vec::new());
                let mut rest = text.as_bytes();
                while !rest.is_empty() {
                    let length = sizes.next().unwrap_or(rest.len()).min(rest.len());
                    let chunk = &rest[..length];
                    let cut = limit.cut(file.len() as u64, chunk);
                    let moved = cut.unwrap_or(chunk.len());
                    file.extend_from_slice(&chunk[..moved]);
                    rest = &rest[moved..];
                    if cut.is_some() {
                        files.push(std::mem::take(&mut file));
                    }
                }
                files.push(file);
                files
            };
            let whole = files_of(&mut std::iter::repeat(text.len()));
            let pieces = files_of(&mut chunks.iter().copied().cycle());
            prop_assert_eq!(&whole, &pieces);
            prop_assert_eq!(whole.concat(), text.as_bytes());
            for file in &whole[..whole.len() - 1] {
                let size = file.len() as u64;
                prop_assert!(size <= limit.until);
                prop_assert!(file.ends_with(b"\n") || size == limit.until);
            }
        }
    }
}
