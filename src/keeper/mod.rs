//! The keeper: the pid people see. It outlives brains.
//!
//! One thread, no async, no configuration, no disk but its lock. It is child subreaper; records
//! the exit of every orphan before reaping it; parks descriptors; holds the instance lock and the
//! intent to stop; starts the brain and starts it again when it dies.
//!
//! Must never: read configuration, touch logs, talk to clients. Imports only `launch`.
#![allow(dead_code)]

use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

/// Names a parked descriptor over brains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ParkKey {
    /// The settings the daemon was started with (memfd).
    Settings,
    /// What the brain applied: groups and ids (memfd, replaced as a whole).
    Structure,
    /// The ledger of processes (memfd of slots).
    Ledger,
    /// Staging pipe, read end.
    StagingRead,
    /// Staging pipe, write end.
    StagingWrite,
    /// Whose bytes the staging pipe holds (memfd).
    StagingOwner,
    /// Main log pipe, read end.
    MainLogRead,
    /// Main log pipe, write end.
    MainLogWrite,
    /// A listening socket, by number.
    Listener(u32),
    /// A program's standard input (our write end), by launch number.
    Stdin(u64),
    /// A program's standard output (our read end), by launch number.
    Stdout(u64),
    /// A program's standard error (our read end), by launch number.
    Stderr(u64),
}

/// An orphan that ended in the keeper's care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitRecord {
    /// Its pid.
    pub pid: i32,
    /// Its start time in clock ticks since boot.
    pub start_time: u64,
    /// Raw wait status: `si_code` class folded into fleet's type.
    pub status: crate::fleet::ExitStatus,
}

/// What the keeper tells the brain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromKeeper {
    /// A program started by an earlier brain ended.
    Exited(ExitRecord),
    /// The daemon received this signal (TERM, INT, QUIT, HUP, USR1, USR2) from this pid and uid.
    Signal {
        /// Number.
        number: u8,
    },
    /// The keeper is gone.
    Gone,
}

/// What a brain finds when it starts.
#[derive(Debug)]
pub struct Inheritance {
    /// Which brain of this keeper it is, from 1.
    pub incarnation: u32,
    /// Every parked descriptor.
    pub parked: Vec<(ParkKey, OwnedFd)>,
    /// Exits that no brain has acknowledged yet.
    pub exits: Vec<ExitRecord>,
    /// The keeper's pid.
    pub keeper_pid: i32,
}

/// Parameters of [`run`].
#[derive(Debug)]
pub struct Estate {
    /// Descriptors to park from the start (settings, listeners, …).
    pub parked: Vec<(ParkKey, OwnedFd)>,
    /// Held for as long as the keeper lives.
    pub lock: Option<OwnedFd>,
    /// Gets one byte when the first brain is ready, then is closed.
    pub ready: Option<OwnedFd>,
}

/// Replaces this process by the keeper (exec of our own binary, so that nothing of the boot phase
/// stays in memory); returns only on failure.
pub fn become_keeper(estate: Estate) -> io::Error {
    let _ = estate;
    todo!()
}

/// If the environment says that this process was exec'd as the keeper: run it to its end.
/// The caller is `main`, before anything else.
pub fn run_if_keeper() -> Option<ExitCode> {
    None
}

/// If the environment says that this process was started as a brain: the brain's end of the link.
pub fn link_if_brain() -> Option<io::Result<(Link, Inheritance)>> {
    None
}

/// The brain's end of the link. Sending never blocks for long: the keeper only ever reads.
#[derive(Debug)]
pub struct Link {}

impl Link {
    /// Parks duplicates of these descriptors (many in one message).
    pub fn park(&self, descriptors: &[(ParkKey, std::os::fd::BorrowedFd<'_>)]) -> io::Result<()> {
        let _ = descriptors;
        todo!()
    }
    /// Closes parked descriptors.
    pub fn unpark(&self, keys: &[ParkKey]) -> io::Result<()> {
        let _ = keys;
        todo!()
    }
    /// An exit told by the keeper has been dealt with and need not be told to a successor.
    pub fn acknowledge(&self, record: ExitRecord) -> io::Result<()> {
        let _ = record;
        todo!()
    }
    /// The brain serves: a crash from here on is answered by a successor.
    pub fn ready(&self) -> io::Result<()> {
        todo!()
    }
    /// The brain is about to end on purpose: the keeper ends with this code.
    pub fn leave(&self, code: u8) -> io::Result<()> {
        let _ = code;
        todo!()
    }
    /// Waits for what the keeper tells.
    pub async fn next(&self) -> FromKeeper {
        todo!()
    }
}
