//! Reads a log file by offset, and goes on in its successors when it was rotated, however often
//! that happened since the last look, or cleared.
//!
//! The file that follows ours is found by walking from the youngest (the bare name) through the
//! rotated ones until ours comes: the last one before it is the next to be read. Where ours has
//! fallen off the end, or was deleted or compressed, the walk ends at the file that was older than
//! ours, or with the rotated files. Both files are held open, so their inodes cannot be given to
//! others meanwhile. A rotated file that was compressed before it was reached is left out.
//!
//! Every look at the disk runs on the pool for blocking work: a slow disk slows only its reader.
//! Must never: open anything but a regular file or the null device, hold more than one block.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use async_io::Timer;
use blocking::unblock;
use rustix::fs::OFlags;

use super::line::RAW_MAX;
use crate::logs::names::{self, Identity};

/// How often a followed file is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// What is found at an offset.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Bytes, at most [`RAW_MAX`].
    Bytes(Vec<u8>),
    /// Nothing yet.
    Nothing,
    /// It was rotated, or begun anew: go on at offset 0 of the file that followed.
    Rotated,
    /// The file became shorter: go on at its offset 0.
    Truncated,
}

/// An open log file.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    /// The next older one.
    older: Option<File>,
}

impl LogFile {
    /// Opens a log file and tells its size.
    pub async fn open(path: PathBuf) -> io::Result<(LogFile, u64)> {
        unblock(move || {
            let file = open(&path)?;
            let size = file.metadata()?.len();
            let youngest = names::list(&path)?.into_iter().next();
            let older = youngest.and_then(|archive| open(&archive.path).ok());
            Ok((LogFile { path, file, older }, size))
        })
        .await
    }

    /// When it was last written to.
    pub fn changed(&self) -> io::Result<SystemTime> {
        self.file.metadata()?.modified()
    }

    /// The bytes from `offset` on, at most `length` and at most [`RAW_MAX`].
    pub async fn read(self, offset: u64, length: u64) -> (LogFile, io::Result<Vec<u8>>) {
        unblock(move || {
            let bytes = read_at(&self.file, offset, length);
            (self, bytes)
        })
        .await
    }

    /// What follows at `offset`. All of a file that was rotated away is read before the one that
    /// took its place.
    pub async fn next(self, offset: u64) -> (LogFile, io::Result<Found>) {
        unblock(move || {
            let mut log = self;
            let found = log.look(offset);
            (log, found)
        })
        .await
    }

    /// Waits until there may be something new.
    pub async fn grown(&self) {
        Timer::after(LOOK).await;
    }

    fn look(&mut self, offset: u64) -> io::Result<Found> {
        let bytes = read_at(&self.file, offset, RAW_MAX as u64)?;
        if !bytes.is_empty() {
            return Ok(Found::Bytes(bytes));
        }
        let ours = self.file.metadata()?;
        if ours.len() < offset {
            return Ok(Found::Truncated);
        }
        let Some(successor) = self.successor()? else {
            return Ok(Found::Nothing);
        };
        // What was written between our last read and the rotation.
        let bytes = read_at(&self.file, offset, RAW_MAX as u64)?;
        if !bytes.is_empty() {
            return Ok(Found::Bytes(bytes));
        }
        self.older = Some(std::mem::replace(&mut self.file, successor));
        Ok(Found::Rotated)
    }

    /// The file that follows ours; none if ours is the youngest, or a rotation is under way.
    fn successor(&self) -> io::Result<Option<File>> {
        let ours = identity(&self.file)?;
        let older = self.older.as_ref().map(identity).transpose()?;
        let youngest = match open(&self.path) {
            // A rotation is under way.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        if identity(&youngest)? == ours {
            return Ok(None);
        }
        let written = self.file.metadata()?.mtime();
        let mut successor = youngest;
        let archives = names::list(&self.path)?;
        if names::list(&self.path)? != archives {
            // In the middle of a rotation a file may be missing from what is listed.
            return Ok(None);
        }
        for archive in archives {
            // One that is compressed cannot be read on from; one that is older than ours can only
            // come after ours, which has been removed.
            if archive.suffix.packing.is_some() || archive.modified < written {
                continue;
            }
            let Ok(file) = open(&archive.path) else {
                continue;
            };
            let found = identity(&file)?;
            if found != archive.identity {
                return Ok(None);
            }
            if found == ours || Some(found) == older {
                break;
            }
            successor = file;
        }
        Ok(Some(successor))
    }
}

fn identity(file: &File) -> io::Result<Identity> {
    Ok(Identity::of(&file.metadata()?))
}

/// Opens without waiting for the other end of a FIFO, and refuses what is no regular file. The one
/// exception is the null device, which many name as a log they do not want: it is always empty.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let about = file.metadata()?;
    let is_null = about.file_type().is_char_device() && about.rdev() == rustix::fs::makedev(1, 3);
    match about.is_file() || is_null {
        true => Ok(file),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

fn read_at(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).unwrap_or(RAW_MAX).min(RAW_MAX);
    let mut bytes = vec![0; length];
    loop {
        match file.read_at(&mut bytes, offset) {
            Ok(count) => {
                bytes.truncate(count);
                return Ok(bytes);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_std::task::block_on;
    use std::fs;
    use std::io::Write;

    #[test]
    fn rotated_and_cleared_files_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "one\n").unwrap();
        block_on(async {
            let (log, size) = LogFile::open(path.clone()).await.unwrap();
            assert_eq!(size, 4);
            let (log, found) = log.next(0).await;
            assert_eq!(found.unwrap(), Found::Bytes(b"one\n".to_vec()));
            let (log, found) = log.next(4).await;
            assert_eq!(found.unwrap(), Found::Nothing);

            let mut writer = OpenOptions::new().append(true).open(&path).unwrap();
            fs::rename(&path, folder.path().join("log.1")).unwrap();
            let (log, found) = log.next(4).await;
            assert_eq!(found.unwrap(), Found::Nothing, "between two steps");
            fs::write(&path, "three\n").unwrap();
            writer.write_all(b"two\n").unwrap();
            let (log, found) = log.next(4).await;
            assert_eq!(found.unwrap(), Found::Bytes(b"two\n".to_vec()));
            let (log, found) = log.next(8).await;
            assert_eq!(found.unwrap(), Found::Rotated);
            let (log, found) = log.next(0).await;
            assert_eq!(found.unwrap(), Found::Bytes(b"three\n".to_vec()));

            fs::write(&path, "").unwrap();
            let (log, found) = log.next(6).await;
            assert_eq!(found.unwrap(), Found::Truncated);
            let (_, found) = log.next(0).await;
            assert_eq!(found.unwrap(), Found::Nothing);
        });
    }

    /// Shifts `log` as the log plane does, keeping two, and begins a new one.
    fn numbered(path: &Path, number: u32) -> PathBuf {
        match number {
            0 => path.to_owned(),
            number => PathBuf::from(format!("{}.{number}", path.display())),
        }
    }

    fn rotate(folder: &Path, text: &str) {
        for number in [1, 0] {
            let _ = fs::rename(
                numbered(&folder.join("log"), number),
                numbered(&folder.join("log"), number + 1),
            );
        }
        fs::write(folder.join("log"), text).unwrap();
    }

    /// Reads until there is nothing more.
    fn rest(mut log: LogFile, mut offset: u64) -> (LogFile, u64, String) {
        let mut all = String::new();
        loop {
            let (next, found) = block_on(log.next(offset));
            log = next;
            match found.unwrap() {
                Found::Bytes(bytes) => {
                    offset += bytes.len() as u64;
                    all.push_str(std::str::from_utf8(&bytes).unwrap());
                }
                Found::Rotated | Found::Truncated => offset = 0,
                Found::Nothing => return (log, offset, all),
            }
        }
    }

    #[test]
    fn several_rotations_between_two_looks_lose_nothing_that_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        fs::write(at.join("log.1"), "old").unwrap();
        fs::write(at.join("log"), "a").unwrap();
        let (log, _) = block_on(LogFile::open(at.join("log"))).unwrap();
        let (log, offset, seen) = rest(log, 0);
        assert_eq!(seen, "a");
        rotate(at, "b");
        rotate(at, "c");
        let (log, offset, seen) = rest(log, offset);
        assert_eq!(seen, "bc");
        // Ours falls off the end.
        for text in ["d", "e", "f"] {
            rotate(at, text);
        }
        let (log, offset, seen) = rest(log, offset);
        assert_eq!(seen, "def");
        // Cleared: what is older is not told again.
        fs::remove_file(at.join("log")).unwrap();
        let (log, offset, seen) = rest(log, offset);
        assert_eq!(seen, "");
        fs::write(at.join("log"), "g").unwrap();
        let (_, _, seen) = rest(log, offset);
        assert_eq!(seen, "g");
    }

    #[test]
    fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
        for path in [fifo, folder.path().to_owned(), "/dev/zero".into()] {
            assert!(block_on(LogFile::open(path)).is_err());
        }
        let (null, size) = block_on(LogFile::open("/dev/null".into())).unwrap();
        let (_, offset, seen) = rest(null, 0);
        assert_eq!((size, offset, seen.as_str()), (0, 0, ""));
    }
}
