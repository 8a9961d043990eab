//! Gives a log its next name: `path` → `path.1` → … → `path.N`, or `path` → `path.MOMENT`.
//!
//! file-rotate does the shifting, the naming and the new file; [`Numbers`] is Supervisor's
//! numbering as a scheme for it, [`Moment`] ours by time. A fresh `FileRotate` is made each time,
//! for it trusts what it saw when it was made. What makes it panic (a directory that is gone, a
//! name that is taken by a directory) is looked at before; what a race still brings about is caught
//! here.
//!
//! Must never: delete anything but the regular file `path.N` that falls off the end. Files with
//! higher numbers (from a time with more backups) and those of other tools stay.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use file_rotate::compression::Compression as OfFileRotate;
use file_rotate::suffix::{Representation, SuffixScheme};
use file_rotate::{ContentLimit, FileRotate, SuffixInfo};
use rustix::fs::{Mode, OFlags};

use super::names::{Place, Suffix};
use super::rotation::Wall;
use crate::config::Compression;
use crate::ordered;

/// Renames `path` to `path.1` after making room, and makes a new `path`. `backups` is at least 1.
/// `packed`: files that are compressed have numbers as well. Returns the file that fell off the
/// end, still open: closing it frees its blocks, which takes a while if it is large.
///
/// Every state in between is one that a successor can go on from: a shift that is broken off
/// leaves a hole in the numbers, which the next one closes.
pub(super) fn shift(
    path: &Path,
    backups: u32,
    packed: bool,
    mode: u32,
) -> io::Result<Option<OwnedFd>> {
    // file-rotate would make a directory that is gone, and the file.
    path.symlink_metadata()?;
    let mut numbers = Numbers::look(path, backups, packed)?;
    let fallen = match numbers.falls_off.take() {
        Some(oldest) => remove(&oldest.0.of(path))?,
        None => None,
    };
    rotate(path, numbers, mode)?;
    Ok(fallen)
}

/// Renames `path` to `path.MOMENT`, and makes a new `path`. The moment comes back: where it was
/// taken, that is a later one.
pub(super) fn stamp(path: &Path, mut moment: (Wall, u32), mode: u32) -> io::Result<(Wall, u32)> {
    path.symlink_metadata()?;
    let is_taken = |(seconds, again)| {
        let place = Place::Stamp(seconds, again);
        [None, Some(Compression::Gzip), Some(Compression::Zstd)]
            .into_iter()
            .any(|packing| {
                Suffix { place, packing }
                    .of(path)
                    .symlink_metadata()
                    .is_ok()
            })
    };
    while is_taken(moment) {
        moment.1 += 1;
    }
    rotate(
        path,
        Moment(Suffix::plain(Place::Stamp(moment.0, moment.1))),
        mode,
    )?;
    Ok(moment)
}

fn rotate<Scheme: SuffixScheme>(path: &Path, scheme: Scheme, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // file-rotate asks for these three; its descriptor is closed before anything is written.
    options.read(true).create(true).append(true).mode(mode);
    options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    let rotated = catch_unwind(AssertUnwindSafe(|| {
        FileRotate::new(
            path,
            scheme,
            ContentLimit::None,
            OfFileRotate::None,
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

/// Removes a name; the file comes back open, if it can be opened.
fn remove(path: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).ok();
    std::fs::remove_file(path)?;
    Ok(file)
}

/// `path.N`, the name of a rotated file.
#[cfg(test)]
pub(super) fn numbered(path: &Path, number: u32) -> PathBuf {
    Suffix::plain(Place::Number(number)).of(path)
}

/// The number of a rotated file; a smaller one is younger. Compressed or not, it is the same.
#[derive(Debug, Clone, Copy)]
struct Numbered(Suffix);

impl Numbered {
    fn number(&self) -> u32 {
        match self.0.place {
            Place::Number(number) => number,
            Place::Stamp(..) => 0,
        }
    }
}

impl PartialEq for Numbered {
    fn eq(&self, other: &Self) -> bool {
        self.number() == other.number()
    }
}

impl Eq for Numbered {}

impl PartialOrd for Numbered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Numbered {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number().cmp(&other.number())
    }
}

impl fmt::Display for Numbered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Representation for Numbered {
    /// Appends to the path as it is: file-rotate's own way changes names that are not UTF-8.
    fn to_path(&self, path: &Path) -> PathBuf {
        self.0.of(path)
    }
}

/// Which numbers take part in one shift.
#[derive(Debug)]
struct Numbers {
    /// Regular files that move up by one.
    used: BTreeSet<Numbered>,
    /// Numbers held by something that is not a regular file, or by two. They are stepped over.
    foreign: BTreeSet<u32>,
    /// The file that has no number to move to.
    falls_off: Option<Numbered>,
}

/// What a number is held by.
enum Holder {
    Nobody,
    File(Suffix),
    Foreign,
}

impl Numbers {
    /// Looks from 1 upwards for the first free number, where the shift ends.
    fn look(path: &Path, backups: u32, packed: bool) -> io::Result<Numbers> {
        let mut found = Numbers {
            used: BTreeSet::new(),
            foreign: BTreeSet::new(),
            falls_off: None,
        };
        for number in 1..=backups {
            match holder(path, number, packed)? {
                Holder::Nobody => return Ok(found),
                Holder::File(suffix) => _ = found.used.insert(Numbered(suffix)),
                Holder::Foreign => _ = found.foreign.insert(number),
            }
        }
        found.falls_off = found.used.pop_last();
        if found.falls_off.is_none() {
            let first = Suffix::plain(Place::Number(1)).of(path);
            let text = format!(
                "{} and all later names are no regular files",
                first.display()
            );
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Ok(found)
    }
}

fn holder(path: &Path, number: u32, packed: bool) -> io::Result<Holder> {
    let packings: &[Option<Compression>] = match packed {
        false => &[None],
        true => &[None, Some(Compression::Gzip), Some(Compression::Zstd)],
    };
    let mut held = Holder::Nobody;
    let mut written = None;
    for packing in packings {
        let suffix = Suffix {
            place: Place::Number(number),
            packing: *packing,
        };
        let name = suffix.of(path);
        let metadata = match std::fs::metadata(&name) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return Ok(Holder::Foreign),
            // A dangling link counts as taken: renaming over it would hide where it led.
            Err(_) if name.is_symlink() => return Ok(Holder::Foreign),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let time = (metadata.mtime(), metadata.mtime_nsec());
        match written {
            None => (held, written) = (Holder::File(suffix), Some(time)),
            // Compressing was broken off at the very end: this is the same file once more.
            Some(first) if first == time => _ = remove(&name)?,
            Some(_) => return Ok(Holder::Foreign),
        }
    }
    Ok(held)
}

impl SuffixScheme for Numbers {
    type Repr = Numbered;

    fn rotate_file(
        &mut self,
        _: &Path,
        _: Option<&Numbered>,
        current: &Option<Numbered>,
    ) -> io::Result<Numbered> {
        let next = current.map_or(1, |current| current.number() + 1);
        let number = (next..)
            .find(|number| !self.foreign.contains(number))
            .unwrap_or(next);
        Ok(Numbered(Suffix {
            place: Place::Number(number),
            packing: current.and_then(|current| current.0.packing),
        }))
    }

    /// Unused: [`scan_suffixes`](Self::scan_suffixes) does not parse names.
    fn parse(&self, _: &str) -> Option<Numbered> {
        None
    }

    /// What falls off was removed before; nothing else is ever too old.
    fn too_old(&self, _: &Numbered, _: usize) -> bool {
        false
    }

    fn scan_suffixes(&self, _: &Path) -> BTreeSet<SuffixInfo<Numbered>> {
        let as_named = |suffix: &Numbered| SuffixInfo {
            suffix: *suffix,
            compressed: false,
        };
        ordered::set(self.used.iter().map(as_named))
    }
}

/// A scheme by which the log gets this one name, and no other file moves.
#[derive(Debug)]
struct Moment(Suffix);

impl SuffixScheme for Moment {
    type Repr = Numbered;

    fn rotate_file(
        &mut self,
        _: &Path,
        _: Option<&Numbered>,
        _: &Option<Numbered>,
    ) -> io::Result<Numbered> {
        Ok(Numbered(self.0))
    }

    fn parse(&self, _: &str) -> Option<Numbered> {
        None
    }

    fn too_old(&self, _: &Numbered, _: usize) -> bool {
        false
    }

    fn scan_suffixes(&self, _: &Path) -> BTreeSet<SuffixInfo<Numbered>> {
        BTreeSet::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
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
                shift(&log.path, 2, false, 0o600).unwrap();
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
        shift(&log.path, 2, false, 0o600).unwrap();
        assert_eq!(log.texts(4), ["", "a", "b", "d", "-"]);
        assert!(log.name(20_260_101).exists() && gzip.exists());
    }

    #[test]
    fn a_hole_ends_the_shift() {
        let log = Log::new(b"l");
        for (number, text) in [(0, "a"), (1, "b"), (3, "d")] {
            log.put(number, text);
        }
        shift(&log.path, 3, false, 0o600).unwrap();
        assert_eq!(log.texts(4), ["", "a", "b", "d", "-"]);
    }

    #[test]
    fn what_is_no_regular_file_is_stepped_over() {
        let log = Log::new(b"l");
        std::fs::create_dir(log.name(1)).unwrap();
        std::os::unix::fs::symlink("/none", log.name(3)).unwrap();
        for round in 0..4 {
            log.put(0, &round.to_string());
            shift(&log.path, 4, false, 0o600).unwrap();
        }
        assert_eq!(log.texts(5), ["", "-", "3", "-", "2", "-"]);
        assert!(log.name(1).is_dir() && log.name(3).is_symlink());

        let blocked = Log::new(b"l");
        blocked.put(0, "kept");
        std::fs::create_dir(blocked.name(1)).unwrap();
        assert!(shift(&blocked.path, 1, false, 0o600).is_err());
        assert_eq!(blocked.texts(0), ["kept"]);
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let log = Log::new(b"gone/l");
        assert!(shift(&log.path, 2, false, 0o600).is_err());
    }

    #[test]
    fn compressed_files_have_numbers_too() {
        let log = Log::new(b"l");
        let put = |name: &str, text: &str| {
            std::fs::write(log.path.with_file_name(name), text).unwrap();
        };
        for (name, text) in [("l", "a"), ("l.1", "b"), ("l.2.gz", "c"), ("l.3.zst", "d")] {
            put(name, text);
        }
        shift(&log.path, 3, true, 0o600).unwrap();
        let names = || {
            let directory = log.path.parent().unwrap();
            let entries = std::fs::read_dir(directory).unwrap();
            let name = |entry: io::Result<std::fs::DirEntry>| {
                entry.unwrap().file_name().into_string().unwrap()
            };
            let mut names: Vec<String> = entries.map(name).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(names(), "l l.1 l.2 l.3.gz");

        // A kill between the last two steps of compressing: one of the two goes.
        let plain = std::fs::File::open(log.path.with_file_name("l.1")).unwrap();
        put("l.1.gz", "b");
        let twin = std::fs::File::options()
            .write(true)
            .open(log.path.with_file_name("l.1.gz"))
            .unwrap();
        twin.set_modified(plain.metadata().unwrap().modified().unwrap())
            .unwrap();
        shift(&log.path, 4, true, 0o600).unwrap();
        assert_eq!(names(), "l l.1 l.2 l.3 l.4.gz");

        // Of somebody else: his name is stepped over.
        put("l.1.gz", "his");
        std::fs::File::options()
            .write(true)
            .open(log.path.with_file_name("l.1.gz"))
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH)
            .unwrap();
        shift(&log.path, 6, true, 0o600).unwrap();
        assert_eq!(names(), "l l.1 l.1.gz l.2 l.3 l.4 l.5.gz");
        assert_eq!(
            std::fs::read(log.path.with_file_name("l.1.gz")).unwrap(),
            b"his"
        );
    }

    #[test]
    fn moments_do_not_meet() {
        let log = Log::new(b"not\xffutf8");
        let mut last = (1_764_045_000, 0);
        for _ in 0..3 {
            log.put(0, "x");
            last = stamp(&log.path, (1_764_045_000, 0), 0o600).unwrap();
        }
        assert_eq!(last, (1_764_045_000, 2));
        let found = super::super::names::list(&log.path).unwrap();
        let found: Vec<String> = found.iter().map(|a| a.suffix.to_string()).collect();
        assert_eq!(
            found,
            [
                "20251125T043000Z-2",
                "20251125T043000Z-1",
                "20251125T043000Z"
            ]
        );
    }
}
