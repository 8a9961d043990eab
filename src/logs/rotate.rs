//! Shifts a log and its numbered predecessors: `path` → `path.1` → … → `path.N`.
//!
//! file-rotate does the shifting, the naming and the new file; [`Numbers`] is Supervisor's
//! numbering as a scheme for it. A fresh `FileRotate` is made each time, for it trusts what it
//! saw when it was made. What makes it panic (a directory that is gone, a name that is taken by
//! a directory) is looked at before; what a race still brings about is caught here.
//!
//! Must never: delete anything but the regular file `path.N` that falls off the end. Files with
//! higher numbers (from a time with more backups) and those of other tools stay.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use file_rotate::compression::Compression;
use file_rotate::suffix::{Representation, SuffixScheme};
use file_rotate::{ContentLimit, FileRotate, SuffixInfo};
use rustix::fs::OFlags;

/// Renames `path` to `path.1` after making room, and makes a new `path`. `backups` is at least 1.
///
/// Every state in between is one that a successor can go on from: a shift that is broken off
/// leaves a hole in the numbers, which the next one closes.
pub(super) fn shift(path: &Path, backups: u32, mode: u32) -> io::Result<()> {
    // file-rotate would make a directory that is gone, and the file.
    path.symlink_metadata()?;
    let numbers = Numbers::look(path, backups)?;
    if let Some(oldest) = numbers.falls_off {
        std::fs::remove_file(Number(oldest).to_path(path))?;
    }
    let mut options = OpenOptions::new();
    // file-rotate asks for these three; its descriptor is closed before anything is written.
    options.read(true).create(true).append(true).mode(mode);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    let rotated = catch_unwind(AssertUnwindSafe(|| {
        FileRotate::new(
            path,
            numbers,
            ContentLimit::None,
            Compression::None,
            Some(options),
        )
        .rotate()
    }));
    rotated.unwrap_or_else(|_| {
        Err(io::Error::other(
            "somebody else changed files of these names at the same moment",
        ))
    })
}

/// `path.N`, the name of a rotated file.
#[cfg(test)]
pub(super) fn numbered(path: &Path, number: u32) -> PathBuf {
    Number(number).to_path(path)
}

/// The number of a rotated file; a smaller one is younger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Number(u32);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Representation for Number {
    /// Appends to the path as it is: file-rotate's own way changes names that are not UTF-8.
    fn to_path(&self, path: &Path) -> PathBuf {
        let mut name = OsString::from(path);
        name.push(format!(".{self}"));
        name.into()
    }
}

/// Which numbers take part in one shift.
#[derive(Debug)]
struct Numbers {
    /// Numbers of regular files that move up by one.
    used: BTreeSet<u32>,
    /// Numbers held by something that is not a regular file. They are stepped over.
    foreign: BTreeSet<u32>,
    /// The file that has no number to move to.
    falls_off: Option<u32>,
}

impl Numbers {
    /// Looks from 1 upwards for the first free number, where the shift ends.
    fn look(path: &Path, backups: u32) -> io::Result<Numbers> {
        let mut found = Numbers {
            used: BTreeSet::new(),
            foreign: BTreeSet::new(),
            falls_off: None,
        };
        for number in 1..=backups {
            let name = Number(number).to_path(path);
            match std::fs::metadata(&name) {
                Ok(metadata) if metadata.is_file() => found.used.insert(number),
                Ok(_) => found.foreign.insert(number),
                // A dangling link counts as taken: renaming over it would hide where it led.
                Err(_) if name.is_symlink() => found.foreign.insert(number),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
                Err(error) => return Err(error),
            };
        }
        found.falls_off = found.used.pop_last();
        if found.falls_off.is_none() {
            let first = Number(1).to_path(path);
            let text = format!(
                "{} and all later names are no regular files",
                first.display()
            );
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Ok(found)
    }
}

impl SuffixScheme for Numbers {
    type Repr = Number;

    fn rotate_file(
        &mut self,
        _: &Path,
        _: Option<&Number>,
        current: &Option<Number>,
    ) -> io::Result<Number> {
        let next = current.map_or(1, |number| number.0 + 1);
        Ok(Number(
            (next..)
                .find(|number| !self.foreign.contains(number))
                .unwrap_or(next),
        ))
    }

    /// Unused: [`scan_suffixes`](Self::scan_suffixes) does not parse names.
    fn parse(&self, _: &str) -> Option<Number> {
        None
    }

    /// What falls off was removed before; nothing else is ever too old.
    fn too_old(&self, _: &Number, _: usize) -> bool {
        false
    }

    fn scan_suffixes(&self, _: &Path) -> BTreeSet<SuffixInfo<Number>> {
        let uncompressed = |number: &u32| SuffixInfo {
            suffix: Number(*number),
            compressed: false,
        };
        self.used.iter().map(uncompressed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    struct Log {
        _directory: tempfile::TempDir,
        path: PathBuf,
    }

    impl Log {
        fn new(name: &[u8]) -> Log {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(OsString::from_vec(name.to_vec()));
            Log {
                _directory: directory,
                path,
            }
        }
        fn put(&self, number: u32, text: &str) {
            std::fs::write(self.name(number), text).unwrap();
        }
        fn name(&self, number: u32) -> PathBuf {
            if number == 0 {
                self.path.clone()
            } else {
                numbered(&self.path, number)
            }
        }
        fn texts(&self, upto: u32) -> Vec<String> {
            let read = |number| std::fs::read_to_string(self.name(number));
            (0..=upto)
                .map(|number| read(number).unwrap_or("-".into()))
                .collect()
        }
    }

    #[test]
    fn shifts_as_supervisor_does() {
        for name in [&b"l"[..], b"l.log", b"not\xffutf8", b"+1"] {
            let log = Log::new(name);
            for round in 0..4 {
                log.put(0, &round.to_string());
                shift(&log.path, 2, 0o600).unwrap();
            }
            assert_eq!(log.texts(4), ["", "3", "2", "-", "-"]);
        }
    }

    #[test]
    fn higher_numbers_and_names_of_other_tools_stay() {
        let log = Log::new(b"l");
        for (number, text) in [(0, "a"), (1, "b"), (2, "c"), (3, "d"), (20_260_101, "e")] {
            log.put(number, text);
        }
        let gzip = log.path.with_file_name("l.1.gz");
        std::fs::write(&gzip, "f").unwrap();
        shift(&log.path, 2, 0o600).unwrap();
        assert_eq!(log.texts(4), ["", "a", "b", "d", "-"]);
        assert!(log.name(20_260_101).exists() && gzip.exists());
    }

    #[test]
    fn a_hole_ends_the_shift() {
        let log = Log::new(b"l");
        for (number, text) in [(0, "a"), (1, "b"), (3, "d")] {
            log.put(number, text);
        }
        shift(&log.path, 3, 0o600).unwrap();
        assert_eq!(log.texts(4), ["", "a", "b", "d", "-"]);
    }

    #[test]
    fn what_is_no_regular_file_is_stepped_over() {
        let log = Log::new(b"l");
        std::fs::create_dir(log.name(1)).unwrap();
        std::os::unix::fs::symlink("/none", log.name(3)).unwrap();
        for round in 0..4 {
            log.put(0, &round.to_string());
            shift(&log.path, 4, 0o600).unwrap();
        }
        assert_eq!(log.texts(5), ["", "-", "3", "-", "2", "-"]);
        assert!(log.name(1).is_dir() && log.name(3).is_symlink());

        let blocked = Log::new(b"l");
        blocked.put(0, "kept");
        std::fs::create_dir(blocked.name(1)).unwrap();
        assert!(shift(&blocked.path, 1, 0o600).is_err());
        assert_eq!(blocked.texts(0), ["kept"]);
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let log = Log::new(b"gone/l");
        assert!(shift(&log.path, 2, 0o600).is_err());
    }
}
