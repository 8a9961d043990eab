//! The door to the log thread: commands in, reports out.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use async_std::channel::Receiver;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::MemfdFlags;

use super::counts::Counts;
use super::excerpt::Excerpt;
use super::format::Format;
use super::moments::{Moments, Timeline};
use super::outlet::OutletConfig;
use super::splice::Stage;
use super::survey::Holdings;
use super::thread::Thread;
use super::tidy::{Finding, Findings};
use crate::config::{LogBudget, LogFileConfig, OnFull};

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
    /// How the file is rotated and kept.
    pub file: LogFileConfig,
    /// What to do while the file cannot be written.
    pub on_full: OnFull,
    /// Remove ANSI escape sequences (takes the transform path).
    pub strip_ansi: bool,
    /// Take out what stands between the capture tags, the newest so many bytes of each, and tell
    /// it (takes the transform path); 0: nothing is taken out.
    pub capture_maxbytes: u64,
    /// Tell what is written (takes the transform path).
    pub tells_output: bool,
    /// Repeat every piece in the main log, under this name such as `'a' stdout` (takes the
    /// transform path): what Supervisor does at level debug.
    pub repeated_as: Option<String>,
    /// Write lines in this form (takes the transform path); `None`: as they are.
    pub format: Option<Format>,
    /// Where else it goes (takes the transform path).
    pub outlets: Vec<OutletConfig>,
}

impl SinkConfig {
    /// Everything goes into the file as it is, and nowhere else.
    pub fn raw(path: Option<PathBuf>, mode: u32, file: LogFileConfig) -> SinkConfig {
        SinkConfig {
            path,
            mode,
            file,
            on_full: OnFull::Block,
            strip_ansi: false,
            capture_maxbytes: 0,
            tells_output: false,
            repeated_as: None,
            format: None,
            outlets: Vec::new(),
        }
    }
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
    /// Answer to [`Plane::reopen_all`]: nothing more goes to files that were moved away before it.
    Reopened,
    /// Writing or rotating fails; the stream waits and tries again by itself.
    Stalled {
        /// Which stream.
        stream: StreamId,
        /// What failed, on what, why.
        text: String,
    },
    /// It still fails, and lines have been dropped.
    Dropping {
        /// Which stream.
        stream: StreamId,
        /// `12 lines (345 bytes) dropped`, since it began to fail.
        text: String,
    },
    /// Writing works again.
    Recovered {
        /// Which stream.
        stream: StreamId,
        /// `12 lines (345 bytes) dropped` meanwhile.
        dropped: Option<String>,
    },
    /// Something could not be done to rotated files. Writing goes on.
    Untidy {
        /// Which stream.
        stream: StreamId,
        /// What failed, on what, why.
        text: String,
    },
    /// Rotated files were removed because of a limit of all logs.
    Freed {
        /// How many.
        files: u64,
        /// How many bytes they had.
        bytes: u64,
        /// Which limit: `the log_budget of 1GB is used up`.
        because: String,
    },
    /// A program wrote something that is to be told.
    Output {
        /// Which stream.
        stream: StreamId,
        /// The generation given to [`Plane::attach`].
        generation: u64,
        /// It stood between the capture tags, and is not in the log.
        captured: bool,
        /// What.
        excerpt: Excerpt,
    },
    /// So many times, output came faster than it could be told, and was not.
    Untold {
        /// Which stream.
        stream: StreamId,
        /// How often.
        times: u64,
    },
    /// Answer to [`Plane::clear`].
    Cleared {
        /// Which stream.
        stream: StreamId,
        /// What went wrong.
        result: Result<(), String>,
    },
    /// Answer to [`Plane::rotate`].
    Rotated {
        /// Which stream.
        stream: StreamId,
        /// What went wrong.
        result: Result<(), String>,
    },
}

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    Prepare(StreamId, SinkConfig),
    Attach(StreamId, u64, OwnedFd),
    Drain(StreamId, u64),
    Forget(StreamId),
    Clear(StreamId),
    Reopen,
    Rotate(StreamId),
    Limit(LogBudget, Vec<(StreamId, PathBuf)>),
    /// By the background thread.
    Found(Finding),
    Finish,
}

/// The log thread's handle. Cheap calls that never wait for a disk.
#[derive(Debug)]
pub struct Plane {
    commands: std::sync::mpsc::Sender<Command>,
    wake: OwnedFd,
    thread: std::thread::JoinHandle<()>,
    moments: Arc<Moments>,
    counts: Arc<Counts>,
    holdings: Arc<Holdings>,
}

impl Plane {
    /// Starts the thread. Bytes that a predecessor left in the staging pipe are written once
    /// their stream is prepared.
    pub fn start(staging: Staging) -> io::Result<(Plane, Receiver<PlaneReport>)> {
        let stage = Stage::adopt(staging)?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (commands, obeyed) = std::sync::mpsc::channel();
        let (reports, told) = async_std::channel::unbounded();
        let own_wake = rustix::io::fcntl_dupfd_cloexec(&wake, 3)?;
        let moments = Arc::new(Moments::default());
        let counts = Arc::new(Counts::default());
        let holdings = Arc::new(Holdings::default());
        let findings = Findings::new(commands.clone(), wake.try_clone()?);
        let thread = Thread::new(
            obeyed,
            own_wake,
            stage,
            reports,
            (moments.clone(), counts.clone(), holdings.clone()),
            findings,
        )?;
        let thread = std::thread::Builder::new()
            .name("appctl-logs".into())
            .spawn(move || thread.run())?;
        Ok((
            Plane {
                commands,
                wake,
                thread,
                moments,
                counts,
                holdings,
            },
            told,
        ))
    }

    /// How much was written.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What all logs that are limited hold.
    pub fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    /// Has these logs keep within these limits together, whether they are written at the moment or
    /// not. Those of streams that are not named have none.
    pub fn limit(&self, budget: LogBudget, logs: Vec<(StreamId, PathBuf)>) {
        self.command(Command::Limit(budget, logs));
    }

    /// When what of a stream was written.
    pub fn timeline(&self, stream: StreamId) -> Timeline {
        Timeline::new(self.moments.clone(), stream)
    }

    /// Opens the stream's file (or keeps it, if nothing changed). Answered by `Prepared`.
    pub fn prepare(&self, stream: StreamId, sink: SinkConfig) {
        self.command(Command::Prepare(stream, sink));
    }

    /// Hands over the read end of a pipe, in non-blocking mode. A stream may have several
    /// sources: descendants can keep an old pipe open after their program was started again.
    pub fn attach(&self, stream: StreamId, generation: u64, source: OwnedFd) {
        self.command(Command::Attach(stream, generation, source));
    }

    /// The program behind this source ended: answer `Drained` as soon as its pipe is empty.
    pub fn drain(&self, stream: StreamId, generation: u64) {
        self.command(Command::Drain(stream, generation));
    }

    /// The process left the configuration: close its sources and its file.
    pub fn forget(&self, stream: StreamId) {
        self.command(Command::Forget(stream));
    }

    /// Deletes and recreates the current file (not its backups). Answered by `Cleared`.
    pub fn clear(&self, stream: StreamId) {
        self.command(Command::Clear(stream));
    }

    /// Closes and opens every file again (SIGUSR2). Answered by `Reopened`.
    pub fn reopen_all(&self) {
        self.command(Command::Reopen);
    }

    /// Rotates now, whatever the size, or as soon as the line ends that is being written. Answered
    /// by `Rotated`.
    pub fn rotate(&self, stream: StreamId) {
        self.command(Command::Rotate(stream));
    }

    /// Writes what the pipes hold (for two seconds at most), closes everything, ends the thread.
    pub fn finish(self) {
        self.command(Command::Finish);
        // A panic there was reported by the panic hook; there is nothing to save.
        let _ = self.thread.join();
    }

    fn command(&self, command: Command) {
        // Fails only if the thread is gone, and then there is nobody to do anything.
        let _ = self.commands.send(command);
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
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

/// A new owner word: no stream yet.
pub fn new_staging_owner() -> io::Result<OwnedFd> {
    let memfd = rustix::fs::memfd_create("appctl-staging-owner", MemfdFlags::CLOEXEC)?;
    rustix::fs::ftruncate(&memfd, 8)?;
    Ok(memfd)
}
