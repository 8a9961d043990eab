//! Log files with generated names (`stdout_logfile=AUTO`): how they are named, made, cleaned up.
//!
//! Name: `<process>-<stdout|stderr>---<identifier>-<8 random>.log`, as Supervisor writes it, so
//! that files left by Supervisor are cleaned up too. Rotated ones carry `.1`, `.2` … after that.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::rand::GetRandomFlags;

/// Permission bits of these files.
pub const MODE: u32 = 0o600;
/// Random characters in a name.
const RANDOM_LEN: usize = 8;
/// Names tried before giving up.
const TRIES_MAX: u32 = 100;
/// What the random characters are taken from: 32 of them, so that each is equally likely.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The name for these random bytes. A slash in a process name cannot be part of a file name.
pub fn name(process: &str, channel: &str, identifier: &str, random: [u8; RANDOM_LEN]) -> String {
    let letters: String = random
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect();
    format!("{process}-{channel}---{identifier}-{letters}.log").replace('/', "_")
}

/// Whether a file of this name was made for an instance of this identifier. The whole name must
/// match: `…-abcdefgh.logfile` belongs to somebody else.
pub fn is_auto_name(name: &[u8], identifier: &str) -> bool {
    let Some(rest) = strip_rotation_number(name).strip_suffix(b".log") else {
        return false;
    };
    let Some((rest, random)) = rest.split_at_checked(rest.len().saturating_sub(RANDOM_LEN)) else {
        return false;
    };
    let is_random = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    let tail = format!("---{identifier}-").replace('/', "_");
    let Some(front) = rest.strip_suffix(tail.as_bytes()) else {
        return false;
    };
    let process = front
        .strip_suffix(b"-stdout")
        .or_else(|| front.strip_suffix(b"-stderr"));
    random.len() == RANDOM_LEN && random.iter().all(is_random) && process.is_some()
}

fn strip_rotation_number(name: &[u8]) -> &[u8] {
    let digits = name
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    match name[..name.len() - digits].strip_suffix(b".") {
        Some(front) if digits > 0 => front,
        _ => name,
    }
}

/// Makes a new, empty file and returns its path.
pub fn create(
    directory: &Path,
    process: &str,
    channel: &str,
    identifier: &str,
) -> io::Result<PathBuf> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    for _ in 0..TRIES_MAX {
        let mut random = [0; RANDOM_LEN];
        rustix::rand::getrandom(&mut random, GetRandomFlags::empty())?;
        let path = directory.join(name(process, channel, identifier, random));
        match rustix::fs::open(&path, flags, Mode::from_raw_mode(MODE)) {
            Ok(_) => return Ok(path),
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AlreadyExists,
        "no free name for an AUTO log file",
    ))
}

/// Removes the files of earlier runs, except those in `keep` and their rotated ones. Returns what
/// could not be removed; fails if the directory cannot be read.
pub fn clean_up(
    directory: &Path,
    identifier: &str,
    keep: &BTreeSet<PathBuf>,
) -> io::Result<Vec<(PathBuf, io::Error)>> {
    let mut failures = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let base = std::ffi::OsStr::from_bytes(strip_rotation_number(name.as_bytes()));
        let wanted = keep.contains(&directory.join(base));
        if wanted || !is_auto_name(name.as_bytes(), identifier) || !entry.file_type()?.is_file() {
            continue;
        }
        if let Err(error) = std::fs::remove_file(entry.path()) {
            failures.push((entry.path(), error));
        }
    }
    Ok(failures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn names_are_recognised_whole() {
        let made = name("web", "stdout", "supervisor", *b"\0\x01\x02\x1f\x20\xff89");
        assert_eq!(made, "web-stdout---supervisor-abc7a7yz.log");
        for (name, expected) in [
            (made.as_str(), true),
            ("web-stdout---supervisor-ab_d1f9h.log.12", true),
            ("a---b-stderr---supervisor-abcdefgh.log", true),
            ("web-stdout---supervisor-abcdefgh.logfoo", false),
            ("web-stdout---supervisor-abcdefgh.log.", false),
            ("web-stdout---supervisor-abcdefgh.log.1a", false),
            ("web-stdout---supervisor-abcdefg.log", false),
            ("web-stdout---supervisor-ABCDEFGH.log", false),
            ("web-stdout---supervisor2-abcdefgh.log", false),
            ("web-stdout---superXvisor-abcdefgh.log", false),
            ("-stdout---supervisor-abcdefgh.log", true),
            ("web-stdin---supervisor-abcdefgh.log", false),
            (".log", false),
            ("1", false),
            ("", false),
        ] {
            assert_eq!(
                is_auto_name(name.as_bytes(), "supervisor"),
                expected,
                "{name}"
            );
        }
        assert!(!is_auto_name(
            b"web-stdout---superXvisor-abcdefgh.log",
            "super.visor"
        ));
    }

    #[test]
    fn made_with_mode_and_cleaned_up_but_for_those_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let used = create(directory.path(), "a/b", "stdout", "id").unwrap();
        let old = create(directory.path(), "old", "stderr", "id").unwrap();
        let foreign = create(directory.path(), "old", "stderr", "other").unwrap();
        assert_eq!(used.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let rotated = PathBuf::from(format!("{}.3", used.display()));
        std::fs::write(&rotated, "x").unwrap();
        let keep = BTreeSet::from([used.clone()]);
        assert!(clean_up(directory.path(), "id", &keep).unwrap().is_empty());
        assert!(used.exists() && rotated.exists() && foreign.exists() && !old.exists());
        assert!(clean_up(&directory.path().join("none"), "id", &keep).is_err());
    }
}
