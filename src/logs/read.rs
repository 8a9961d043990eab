//! Reading parts of a log file: the arithmetic of Supervisor's `readLog` and `tailLog` families.
//!
//! Slices are computed by pure functions from the file's size. A caller gets at most
//! [`READ_MAX`] bytes in one answer, for a log file may be larger than memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Most bytes of a log file returned by one call. Where more was asked for, an open-ended read
/// keeps the beginning and a tail keeps the end.
pub const READ_MAX: u64 = 16 * 1024 * 1024;

/// Why nothing was read.
#[derive(Debug)]
pub enum ReadError {
    /// The combination of offset and length has no meaning (Supervisor's `BAD_ARGUMENTS`).
    BadArguments,
    /// The file cannot be read.
    Io(io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        ReadError::Io(error)
    }
}

/// A piece of a file by offset, the way a client reads on from where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The size of the file, which is the offset to ask for next.
    pub size: i64,
    /// There was more after the asked offset than `length`; the bytes are the last ones.
    pub overflow: bool,
}

/// `readLog`: offset < 0 and length 0: the last `-offset` bytes; offset ≥ 0 and length 0: from
/// there to the end; both ≥ 0: that slice. Beyond the end there is nothing.
pub fn read_slice(path: &Path, offset: i64, length: i64) -> Result<Vec<u8>, ReadError> {
    let file = File::open(path)?;
    let (start, count) =
        slice(file.metadata()?.len(), offset, length).ok_or(ReadError::BadArguments)?;
    Ok(read_at(&file, start, count)?)
}

/// `tailLog`. A file that is not there is empty, and the offset comes back as it was.
pub fn tail_slice(path: &Path, offset: i64, length: i64) -> Tail {
    let read = || -> io::Result<Tail> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let (start, count, overflow) = tail_range(size, offset, length);
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        Ok(Tail {
            bytes: read_at(&file, start, count)?,
            size,
            overflow,
        })
    };
    read().unwrap_or(Tail {
        bytes: Vec::new(),
        size: offset,
        overflow: false,
    })
}

/// The last `count` bytes.
pub fn tail(path: &Path, count: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let count = count.min(size).min(READ_MAX);
    read_at(&file, size - count, count)
}

/// Start and count within a file of `size`; `None`: no meaning.
fn slice(size: u64, offset: i64, length: i64) -> Option<(u64, u64)> {
    let start = match u64::try_from(offset) {
        Ok(start) => start.min(size),
        Err(_) if length == 0 => {
            let count = offset.unsigned_abs().min(size).min(READ_MAX);
            return Some((size - count, count));
        }
        Err(_) => return None,
    };
    let count = match u64::try_from(length).ok()? {
        0 => size - start,
        length => length.min(size - start),
    };
    Some((start, count.min(READ_MAX)))
}

/// Start, count and overflow within a file of `size`. As in Supervisor a length that reaches
/// beyond the end moves the start back, so that `length` bytes are returned if there are any new.
fn tail_range(size: u64, offset: i64, length: i64) -> (u64, u64, bool) {
    let (end, offset, length) = (i128::from(size), i128::from(offset), i128::from(length));
    let overflow = end > offset + length;
    let nothing_new = !overflow && offset > end - 1;
    let count = if nothing_new {
        0
    } else {
        length.clamp(0, end.min(i128::from(READ_MAX)))
    };
    // Both fit: 0 ≤ count ≤ size.
    let count = u64::try_from(count).unwrap_or(0);
    (size - count, count, overflow)
}

fn read_at(file: &File, start: u64, count: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(count).unwrap_or(usize::MAX)];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], start + filled as u64) {
            // Truncated meanwhile.
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers of Supervisor 4.3.0 for a file holding `abcdefghijkl`.
    #[test]
    fn answers_as_supervisor_does() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "abcdefghijkl").unwrap();
        for (offset, length, text, overflow) in [
            (0, 0, "", true),
            (0, 5, "hijkl", true),
            (0, 12, "abcdefghijkl", false),
            (0, 100, "abcdefghijkl", false),
            (5, 5, "hijkl", true),
            (5, 7, "fghijkl", false),
            (5, 8, "efghijkl", false),
            (8, 10, "cdefghijkl", false),
            (11, 1, "l", false),
            (12, 5, "", false),
            (100, 5, "", false),
            (-5, 5, "hijkl", true),
            (0, -5, "", true),
            (3, 100, "abcdefghijkl", false),
            (-20, 5, "hijkl", true),
            (-3, 20, "abcdefghijkl", false),
            (5, -2, "", true),
        ] {
            let expected = Tail {
                bytes: text.into(),
                size: 12,
                overflow,
            };
            assert_eq!(
                tail_slice(&path, offset, length),
                expected,
                "tail ({offset}, {length})"
            );
        }
        let none = Tail {
            bytes: Vec::new(),
            size: 7,
            overflow: false,
        };
        assert_eq!(tail_slice(&directory.path().join("none"), 7, 5), none);
        for (offset, length, text) in [
            (0, 0, Some("abcdefghijkl")),
            (3, 0, Some("defghijkl")),
            (3, 4, Some("defg")),
            (-4, 0, Some("ijkl")),
            (-40, 0, Some("abcdefghijkl")),
            (-4, 2, None),
            (0, -1, None),
            (12, 0, Some("")),
            (13, 5, Some("")),
            (0, 100, Some("abcdefghijkl")),
            (i64::MIN, 0, Some("abcdefghijkl")),
            (i64::MAX, i64::MAX, Some("")),
        ] {
            let read = read_slice(&path, offset, length).ok();
            assert_eq!(
                read.as_deref(),
                text.map(str::as_bytes),
                "read ({offset}, {length})"
            );
        }
        assert_eq!(tail(&path, 3).unwrap(), b"jkl");
        assert_eq!(tail(&path, 300).unwrap(), b"abcdefghijkl");
        assert!(matches!(
            read_slice(&directory.path().join("none"), 0, 0),
            Err(ReadError::Io(_))
        ));
        tail_slice(&path, i64::MIN, i64::MIN);
        tail_slice(&path, i64::MAX, i64::MAX);
    }

    #[test]
    fn an_answer_has_a_bound() {
        let size = 3 * READ_MAX;
        assert_eq!(slice(size, 5, 0), Some((5, READ_MAX)));
        assert_eq!(slice(size, -i64::MAX, 0), Some((size - READ_MAX, READ_MAX)));
        let most = (size - READ_MAX, READ_MAX);
        let (start, count, _) = tail_range(size, 0, i64::MAX);
        assert_eq!((start, count), most);
    }
}
