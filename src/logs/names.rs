//! The names of rotated files: `web.log.3`, `web.log.20261125T043000Z`, and either with `.gz` or
//! `.zst` behind it once it is compressed.
//!
//! Must never: change a file.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::fs::{DirEntry, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime};

use super::rotation::Wall;
use crate::config::Compression;
use crate::ordered;

/// Digits of the largest number that is taken for one of ours: what is longer is a date, and
/// another tool's.
const DIGITS_MAX: usize = 5;

/// How a moment is written: UTC, so that names sort by time and no hour comes twice.
const STAMP_FORM: &str = "%Y%m%dT%H%M%SZ";

/// Length of a moment in that form.
const STAMP_LEN: usize = "20261125T043000Z".len();

/// Where a rotated file stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A moment in seconds since the epoch; of several files of one second the later ones have a
    /// counter above 0.
    Stamp(Wall, u32),
    /// A number; a smaller one is younger.
    Number(u32),
}

/// What follows the name of the log in the name of a rotated file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suffix {
    /// Where it stands.
    pub place: Place,
    /// How it is compressed.
    pub packing: Option<Compression>,
}

impl Suffix {
    /// Of a file that is not compressed.
    pub fn plain(place: Place) -> Suffix {
        Suffix {
            place,
            packing: None,
        }
    }

    /// The whole path.
    pub fn of(self, log: &Path) -> PathBuf {
        let mut name = log.as_os_str().to_owned();
        name.push(format!(".{self}"));
        name.into()
    }

    /// What follows the name and a point.
    pub fn parse(text: &[u8]) -> Option<Suffix> {
        let text = std::str::from_utf8(text).ok()?;
        let packed = [Compression::Gzip, Compression::Zstd]
            .into_iter()
            .find_map(|packing| Some((text.strip_suffix(ending(packing))?, packing)));
        let (text, packing) = packed.map_or((text, None), |(text, packing)| (text, Some(packing)));
        let place = Place::parse(text)?;
        Some(Suffix { place, packing })
    }
}

impl Place {
    fn parse(text: &str) -> Option<Place> {
        let is_number = |text: &str| {
            !text.is_empty()
                && !text.starts_with('0')
                && text.len() <= DIGITS_MAX
                && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if is_number(text) {
            return Some(Place::Number(text.parse().ok()?));
        }
        let (stamp, rest) = text.split_at_checked(STAMP_LEN)?;
        let again = match rest {
            "" => 0,
            rest => {
                let count = rest.strip_prefix('-').filter(|count| is_number(count))?;
                count.parse().ok()?
            }
        };
        let moment = NaiveDateTime::parse_from_str(stamp, STAMP_FORM).ok()?;
        Some(Place::Stamp(moment.and_utc().timestamp(), again))
    }

    /// Smaller is younger. Numbers come from before somebody asked for moments.
    pub fn age(self) -> (bool, i64, i64) {
        match self {
            Place::Stamp(moment, again) => (false, -moment, -i64::from(again)),
            Place::Number(number) => (true, number.into(), 0),
        }
    }
}

impl fmt::Display for Suffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Number(number) => number.fmt(f)?,
            Place::Stamp(moment, again) => {
                let moment = DateTime::from_timestamp(moment, 0).unwrap_or_default();
                moment.format(STAMP_FORM).fmt(f)?;
                if again > 0 {
                    write!(f, "-{again}")?;
                }
            }
        }
        f.write_str(self.packing.map_or("", ending))
    }
}

/// What the name of a compressed file ends with.
pub fn ending(packing: Compression) -> &'static str {
    match packing {
        Compression::Gzip => ".gz",
        Compression::Zstd => ".zst",
    }
}

/// The place of a file that is rotated now: after the last one, also when the clock was set back.
pub fn next_stamp(now: Wall, last: Option<(Wall, u32)>) -> (Wall, u32) {
    match last {
        Some((moment, again)) if moment >= now => (moment, again + 1),
        _ => (now, 0),
    }
}

/// A file whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Of what was looked at.
    pub fn of(metadata: &Metadata) -> Identity {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }

    /// The device it is on.
    pub fn device(self) -> u64 {
        self.device
    }

    /// Whether this path (not what it links to) is that file.
    pub fn is_at(self, path: &Path) -> bool {
        path.symlink_metadata()
            .is_ok_and(|metadata| Identity::of(&metadata) == self)
    }
}

/// A rotated file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Its path.
    pub path: PathBuf,
    /// What its name says.
    pub suffix: Suffix,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written, in seconds since the epoch.
    pub modified: Wall,
    /// Which file it is.
    pub identity: Identity,
}

impl Archive {
    /// What a directory has under this name; `None` if it is no regular file, or gone meanwhile.
    fn of(log: &Path, suffix: Suffix, entry: &DirEntry) -> Option<Archive> {
        let metadata = entry.metadata().ok().filter(Metadata::is_file)?;
        Some(Archive {
            path: suffix.of(log),
            suffix,
            size: metadata.len(),
            modified: metadata.mtime(),
            identity: Identity::of(&metadata),
        })
    }
}

/// The rotated files of a log that are regular files, youngest first.
pub fn list(log: &Path) -> io::Result<Vec<Archive>> {
    let (Some(directory), Some(name)) = (log.parent(), log.file_name()) else {
        return Ok(Vec::new());
    };
    let directory = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let Some(suffix) = suffix_of(&entry.file_name(), name) else {
            continue;
        };
        found.extend(Archive::of(log, suffix, &entry));
    }
    ordered::sort_by_key(&mut found, |archive| archive.suffix.place.age());
    Ok(found)
}

/// The rotated files of several logs; each directory is read once. One that cannot be read has none.
pub fn list_all<'a>(logs: &BTreeSet<&'a Path>) -> Vec<(&'a Path, Archive)> {
    let mut by_directory: BTreeMap<&Path, BTreeMap<&[u8], &Path>> = BTreeMap::new();
    for log in logs {
        if let (Some(directory), Some(name)) = (log.parent(), log.file_name()) {
            let names = by_directory.entry(directory).or_default();
            names.insert(name.as_bytes(), *log);
        }
    }
    let mut found = Vec::new();
    for (directory, names) in by_directory {
        let entries = std::fs::read_dir(directory).into_iter().flatten();
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.as_bytes();
            let points = (0..name.len()).filter(|at| name[*at] == b'.');
            let mut parts = points.map(|at| (&name[..at], &name[at + 1..]));
            let of_log =
                parts.find_map(|(log, suffix)| Some((*names.get(log)?, Suffix::parse(suffix)?)));
            let archive = of_log.and_then(|(log, suffix)| Archive::of(log, suffix, &entry));
            found.extend(of_log.map(|(log, _)| log).zip(archive));
        }
    }
    found
}

fn suffix_of(entry: &OsStr, log: &OsStr) -> Option<Suffix> {
    let rest = entry.as_bytes().strip_prefix(log.as_bytes())?;
    Suffix::parse(rest.strip_prefix(b".")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let stamp = "20261125T043000Z";
        for ours in [
            "1",
            "10",
            "3.gz",
            "99999.zst",
            stamp,
            "20261125T043000Z-1",
            "20261125T043000Z-12.gz",
        ] {
            let suffix = Suffix::parse(ours.as_bytes()).unwrap();
            assert_eq!(suffix.to_string(), ours);
        }
        for foreign in [
            "",
            "0",
            "01",
            "20260101",
            "100000",
            "1.bz2",
            "gz",
            ".gz",
            "1.gz.gz",
            "-1",
            "+1",
            "20261125T043000",
            "20261325T043000Z",
            "20261125T043000Z-0",
            "20261125T043000Z-",
            "packing",
            "1~",
        ] {
            assert_eq!(Suffix::parse(foreign.as_bytes()), None, "{foreign}");
        }
    }

    #[test]
    fn youngest_first() {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("l");
        let names = [
            "20261125T043000Z-10",
            "20261125T043000Z-2.gz",
            "20261125T043000Z",
            "20261124T043000Z.zst",
            "1",
            "2.gz",
            "10",
        ];
        for name in names.iter().chain(&["20260101", "packing"]) {
            std::fs::write(home.path().join(format!("l.{name}")), "x").unwrap();
        }
        std::fs::write(home.path().join("l2.1"), "x").unwrap();
        std::fs::create_dir(home.path().join("l.3")).unwrap();
        std::os::unix::fs::symlink("/none", home.path().join("l.4")).unwrap();
        let found = list(&log).unwrap();
        let found: Vec<String> = found.iter().map(|a| a.suffix.to_string()).collect();
        assert_eq!(found, names);
        let other = home.path().join("l2");
        let all = list_all(&BTreeSet::from([log.as_path(), &other]));
        let of = |log: &Path| all.iter().filter(|(of, _)| *of == log).count();
        assert_eq!((of(&log), of(&other)), (names.len(), 1));
    }

    #[test]
    fn moments_only_go_forward() {
        assert_eq!(next_stamp(10, None), (10, 0));
        assert_eq!(next_stamp(10, Some((9, 4))), (10, 0));
        assert_eq!(next_stamp(10, Some((10, 0))), (10, 1));
        assert_eq!(
            next_stamp(10, Some((90, 1))),
            (90, 2),
            "the clock was set back"
        );
    }
}
