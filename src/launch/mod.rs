//! Starting, adopting, watching, signalling and reaping programs: the door to the kernel.
//!
//! The only folder (with its callers in `keeper`) that may hold `unsafe`, each block with the
//! argument why it is sound. Imports `config` and `fleet` for their plain types.
//!
//! Must never: decide whether something should be started or killed.
#![allow(dead_code)]

use std::io;
use std::os::fd::OwnedFd;

use crate::config::{LaunchConfig, Signal};
use crate::fleet::{ExitStatus, Moment, ProcessName, SpawnFailure};

/// A program that lives: its identity and a descriptor that cannot be reused for another.
#[derive(Debug)]
pub struct Living {
    /// Process id.
    pub pid: i32,
    /// Start time in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub start_time: u64,
    /// pidfd: readable once it ended.
    pub pidfd: OwnedFd,
}

/// The program's ends of its pipes.
#[derive(Debug)]
pub struct ChildEnds {
    /// Its standard input.
    pub stdin: OwnedFd,
    /// Its standard output.
    pub stdout: OwnedFd,
    /// Its standard error; `None`: the same as standard output.
    pub stderr: Option<OwnedFd>,
}

/// Starts a program. On failure nothing runs.
pub fn spawn(
    name: &ProcessName,
    config: &LaunchConfig,
    ends: ChildEnds,
) -> Result<Living, SpawnFailure> {
    let _ = (name, config, ends);
    todo!()
}

/// Finds a living process again; `None` if it is gone or another process has its pid.
pub fn adopt(pid: i32, start_time: u64) -> io::Result<Option<Living>> {
    let _ = (pid, start_time);
    todo!()
}

/// How a child of ours ended, without reaping it; `None` while it lives or if it is not our child.
pub fn peek_exit(living: &Living) -> io::Result<Option<ExitStatus>> {
    let _ = living;
    todo!()
}

/// Reaps a child that ended.
pub fn reap(living: &Living) -> io::Result<()> {
    let _ = living;
    todo!()
}

/// Signals a program or its process group; `false` if there was nobody to signal.
pub fn kill(living: &Living, signal: Signal, group: bool) -> io::Result<bool> {
    let _ = (living, signal, group);
    todo!()
}

/// The clocks, read together.
pub fn now() -> Moment {
    todo!()
}

/// A set of pidfds awaited as one.
#[derive(Debug)]
pub struct Deaths {}

impl Deaths {
    /// An empty set.
    pub fn new() -> io::Result<Deaths> {
        todo!()
    }
    /// Watches a program under a token.
    pub fn watch(&self, token: u64, living: &Living) -> io::Result<()> {
        let _ = (token, living);
        todo!()
    }
    /// Stops watching.
    pub fn forget(&self, living: &Living) {
        let _ = living;
    }
    /// Waits until at least one has ended.
    pub async fn ready(&self) -> io::Result<()> {
        todo!()
    }
    /// Tokens of those that have ended, at most `most`.
    pub fn take(&self, most: usize, tokens: &mut Vec<u64>) -> io::Result<()> {
        let _ = (most, tokens);
        todo!()
    }
}
