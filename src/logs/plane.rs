//! The door to the log thread: commands in, reports out.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use async_std::channel::Receiver;

use crate::config::RotatePeriod;

/// One output stream: chosen by the caller, stable over restarts of its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// What becomes of a stream's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// The file; `None` reads and discards.
    pub path: Option<PathBuf>,
    /// Permission bits a new file gets, before the umask.
    pub mode: u32,
    /// Rotate after this many bytes; 0 = never by size.
    pub maxbytes: u64,
    /// Rotated files to keep; 0 truncates instead.
    pub backups: u32,
    /// Rotate at these wall-clock moments as well.
    pub rotate: Option<RotatePeriod>,
    /// Remove ANSI escape sequences (takes the transform path).
    pub strip_ansi: bool,
}

/// What the log thread tells. Bounded by the number of streams.
#[derive(Debug)]
pub enum PlaneReport {
    /// Answer to [`Plane::prepare`]: the file is open, or why not.
    Prepared {
        /// Which stream.
        stream: StreamId,
        /// The error of opening its file.
        result: io::Result<()>,
    },
    /// Answer to [`Plane::drain`]: all that was in the pipe is in the file (or its source ended,
    /// or its sink is stalled and the bytes wait in the pipe).
    Drained {
        /// Which stream.
        stream: StreamId,
        /// The generation given to [`Plane::attach`].
        generation: u64,
    },
    /// The last writer closed this source; its descriptor is closed here.
    Ended {
        /// Which stream.
        stream: StreamId,
        /// The generation given to [`Plane::attach`].
        generation: u64,
    },
    /// Writing or rotating fails; the stream waits and tries again by itself.
    Stalled {
        /// Which stream.
        stream: StreamId,
        /// What failed, on what, why.
        text: String,
    },
    /// Writing works again.
    Recovered {
        /// Which stream.
        stream: StreamId,
    },
    /// Answer to [`Plane::clear`].
    Cleared {
        /// Which stream.
        stream: StreamId,
        /// What went wrong.
        result: io::Result<()>,
    },
}

/// The log thread's handle. Cheap calls that never block on a disk.
#[derive(Debug)]
pub struct Plane {}

impl Plane {
    /// Starts the thread. `staging` is the parked staging pipe (read end, write end) and the
    /// memfd whose first word says whose bytes it holds; bytes left in it by a predecessor are
    /// written once that stream is prepared.
    pub fn start(staging: Staging) -> io::Result<(Plane, Receiver<PlaneReport>)> {
        let _ = staging;
        todo!()
    }
    /// Opens the stream's file (or keeps it, if nothing changed). Answered by `Prepared`.
    pub fn prepare(&self, stream: StreamId, sink: SinkConfig) {
        let _ = (stream, sink);
    }
    /// Hands over the read end of a pipe. A stream may have several sources: descendants can keep
    /// an old pipe open after their program ended and was started again.
    pub fn attach(&self, stream: StreamId, generation: u64, source: OwnedFd) {
        let _ = (stream, generation, source);
    }
    /// The program behind this source ended: answer `Drained` as soon as its pipe is empty.
    pub fn drain(&self, stream: StreamId, generation: u64) {
        let _ = (stream, generation);
    }
    /// The process left the configuration: close its sources and its file.
    pub fn forget(&self, stream: StreamId) {
        let _ = stream;
    }
    /// Deletes and recreates the current file (not its backups). Answered by `Cleared`.
    pub fn clear(&self, stream: StreamId) {
        let _ = stream;
    }
    /// Closes and opens every file again (SIGUSR2).
    pub fn reopen_all(&self) {}
    /// Rotates now, whatever the size.
    pub fn rotate(&self, stream: StreamId) {
        let _ = stream;
    }
    /// Writes what the pipes hold, closes everything, ends the thread.
    pub fn finish(self) {}
}

/// The parked parts of the splice path.
#[derive(Debug)]
pub struct Staging {
    /// Read end.
    pub read: OwnedFd,
    /// Write end.
    pub write: OwnedFd,
    /// memfd of one page; its first 8 bytes hold the [`StreamId`] whose bytes are in the pipe.
    pub owner: OwnedFd,
}
