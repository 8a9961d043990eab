//! Reads a log file by offset, and notices when it was rotated or cleared.
//!
//! TO BE SWAPPED for the follower of `logs` once that is there: [`LogFile::grown`] looks at the
//! file four times a second, where the log thread could tell.
//!
//! Every look at the disk runs on the pool for blocking work: a slow disk slows only its reader.
//! Must never: open anything but a regular file, hold more than one block.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Duration;

use async_io::Timer;
use async_std::task::spawn_blocking;
use rustix::fs::OFlags;

use super::line::RAW_MAX;

/// How often a followed file is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// What is found at an offset.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// Bytes, at most [`RAW_MAX`].
    Bytes(Vec<u8>),
    /// Nothing yet.
    Nothing,
    /// The log begins anew: go on at offset 0 of what is now the file.
    Restarted,
}

/// An open log file.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    /// Opens a log file and tells its size.
    pub async fn open(path: PathBuf) -> io::Result<(LogFile, u64)> {
        spawn_blocking(move || {
            let file = open(&path)?;
            let size = file.metadata()?.len();
            Ok((LogFile { path, file }, size))
        })
        .await
    }

    /// The bytes from `offset` on, at most `length` and at most [`RAW_MAX`].
    pub async fn read(self, offset: u64, length: u64) -> (LogFile, io::Result<Vec<u8>>) {
        spawn_blocking(move || {
            let bytes = read_at(&self.file, offset, length);
            (self, bytes)
        })
        .await
    }

    /// What follows at `offset`. All of a file that was rotated away is read before the one that
    /// took its place.
    pub async fn next(self, offset: u64) -> (LogFile, io::Result<Found>) {
        spawn_blocking(move || {
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
            return Ok(Found::Restarted);
        }
        let current = match open(&self.path) {
            // Between the two steps of a rotation there is no file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            opened => opened?,
        };
        let about = current.metadata()?;
        if (about.dev(), about.ino()) == (ours.dev(), ours.ino()) {
            return Ok(Found::Nothing);
        }
        // What was written between our last read and the rotation.
        let bytes = read_at(&self.file, offset, RAW_MAX as u64)?;
        if !bytes.is_empty() {
            return Ok(Found::Bytes(bytes));
        }
        self.file = current;
        Ok(Found::Restarted)
    }
}

/// Opens without waiting for the other end of a FIFO, and refuses what is no regular file.
fn open(path: &PathBuf) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    match file.metadata()?.is_file() {
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
            assert_eq!(found.unwrap(), Found::Restarted);
            let (log, found) = log.next(0).await;
            assert_eq!(found.unwrap(), Found::Bytes(b"three\n".to_vec()));

            fs::write(&path, "").unwrap();
            let (log, found) = log.next(6).await;
            assert_eq!(found.unwrap(), Found::Restarted);
            let (_, found) = log.next(0).await;
            assert_eq!(found.unwrap(), Found::Nothing);
        });
    }

    #[test]
    fn only_regular_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
        for path in [fifo, folder.path().to_owned()] {
            assert!(block_on(LogFile::open(path)).is_err());
        }
    }
}
