//! The pipes of a run: our ends, the program's, and where ours are parked.

use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};

use super::processes::{Process, RunId};
use crate::control::Channel;
use crate::fleet::{ProcessId, SpawnFailure, SpawnFailureKind};
use crate::keeper::ParkKey;
use crate::launch::ChildEnds;

/// The pipes of a run.
pub(super) struct Pipes {
    pub(super) ours: OurEnds,
    pub(super) child: ChildEnds,
}

/// Our ends of them.
pub(super) struct OurEnds {
    pub(super) id: ProcessId,
    pub(super) run: RunId,
    /// None where the program has a socket in its place.
    pub(super) stdin: Option<OwnedFd>,
    pub(super) outputs: Vec<(Channel, OwnedFd)>,
}

/// Makes them. The end that a program reads from is this socket, if there is one.
pub(super) fn make_pipes(
    process: &Process,
    id: ProcessId,
    run: RunId,
    socket: Option<OwnedFd>,
) -> io::Result<Pipes> {
    let (stdin_read, stdin_write) = match socket {
        Some(socket) => (socket, None),
        None => {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
            // Only our end: the program's end is another open file description and stays blocking.
            rustix::fs::fcntl_setfl(&write, rustix::fs::OFlags::NONBLOCK)?;
            (read, Some(write))
        }
    };
    let mut outputs = Vec::with_capacity(2);
    let mut ends = Vec::with_capacity(2);
    for channel in process.channels() {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::fs::fcntl_setfl(&read, rustix::fs::OFlags::NONBLOCK)?;
        if let Some(user) = &process.config.launch.user {
            // So that it may open /dev/stdout again. Only root can, and only root needs to.
            let _ = rustix::fs::fchown(&write, Some(rustix::fs::Uid::from_raw(user.uid)), None);
        }
        outputs.push((*channel, read));
        ends.push(write);
    }
    let mut ends = ends.into_iter();
    let Some(stdout) = ends.next() else {
        return Err(io::Error::other("a process without standard output"));
    };
    let child = ChildEnds {
        stdin: stdin_read,
        stdout,
        stderr: ends.next(),
    };
    let ours = OurEnds {
        id,
        run,
        stdin: stdin_write,
        outputs,
    };
    Ok(Pipes { ours, child })
}

/// Why they could not be made, in Supervisor's words.
pub(super) fn pipe_failure(name: &str, error: &io::Error) -> SpawnFailure {
    let text = match error
        .raw_os_error()
        .map(rustix::io::Errno::from_raw_os_error)
    {
        Some(rustix::io::Errno::MFILE) => format!("too many open files to spawn '{name}'"),
        _ => format!("unknown error making pipes for '{name}': {error}"),
    };
    SpawnFailure {
        kind: SpawnFailureKind::Other,
        text,
    }
}

/// The key under which one output of a run is parked.
pub(super) fn output_key(run: RunId, channel: Channel) -> ParkKey {
    match channel {
        Channel::Stdout => ParkKey::Stdout(run.0),
        Channel::Stderr => ParkKey::Stderr(run.0),
    }
}
