//! The brain's ends of the pipes of event listeners, awaited as one.
//!
//! A listener's standard output is its side of a dialogue, so the turn reads it itself; a copy of
//! what it says goes through a pipe to the log plane, where its log is written. Once a listener
//! speaks no protocol any more, its output is handed over to the log plane whole.
//!
//! Must never: understand what is said (see [`events`](crate::events)), wait.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use async_io::Async;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::processes::RunId;
use crate::fleet::ProcessId;
use crate::ordered;

/// Bytes read from one listener at once.
const READ_MAX: usize = 64 * 1024;

/// Descriptors told to be ready at once.
const READY_MAX: usize = 64;

/// One listener's standard output.
#[derive(Debug)]
pub struct Wire {
    /// The run it belongs to.
    pub run: RunId,
    /// Our end of its standard output.
    pub stdout: OwnedFd,
    /// Where a copy of what it says is written for its log.
    copy: OwnedFd,
}

/// The wires of all listeners.
#[derive(Debug)]
pub struct Wires {
    ready: Async<OwnedFd>,
    wires: BTreeMap<ProcessId, Wire>,
}

/// What reading a wire came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// Something was said.
    Bytes(Vec<u8>),
    /// Nothing at the moment.
    Nothing,
    /// Nothing ever again.
    Closed,
}

impl Wires {
    /// No wires.
    pub fn new() -> io::Result<Wires> {
        let ready = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Wires {
            // The set itself is never read, so whether it blocks does not matter.
            ready: Async::new_nonblocking(ready)?,
            wires: BTreeMap::new(),
        })
    }

    /// Listens to a standard output. Gives the pipe whose bytes are for its log.
    pub fn connect(
        &mut self,
        process: ProcessId,
        run: RunId,
        stdout: OwnedFd,
    ) -> Result<OwnedFd, (io::Error, OwnedFd)> {
        let connected = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
            .and_then(|pipe| self.watch(&stdout, token(process, false)).map(|()| pipe));
        match connected {
            Ok((read, copy)) => {
                self.wires.insert(process, Wire { run, stdout, copy });
                Ok(read)
            }
            Err(error) => Err((error.into(), stdout)),
        }
    }

    /// Listens no more. Whoever takes the wire closes it.
    pub fn disconnect(&mut self, process: ProcessId) -> Option<Wire> {
        let wire = self.wires.remove(&process)?;
        // It fails only if it was not watched, and that is what is wanted.
        let _ = epoll::delete(self.ready.get_ref(), &wire.stdout);
        Some(wire)
    }

    /// Whether this listener is listened to.
    pub fn has(&self, process: ProcessId) -> bool {
        self.wires.contains_key(&process)
    }

    /// Waits until a listener says something, or takes more.
    pub async fn ready(&self) -> io::Result<()> {
        self.ready.readable().await
    }

    /// The listeners that have said something, or take more.
    pub fn take(&self) -> Vec<ProcessId> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(READY_MAX);
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let spare = rustix::buffer::spare_capacity(&mut events);
        // What an error hides is told the next time.
        let _ = epoll::wait(self.ready.get_ref(), spare, Some(&at_once));
        let ready = events.iter().map(|it| process(it.data.u64()));
        ordered::set(ready).into_iter().collect()
    }

    /// Reads some of what a listener said. A copy goes to its log, unless that takes nothing at
    /// the moment: then the log lacks it, and nobody waits.
    pub fn read(&self, process: ProcessId) -> Heard {
        let Some(wire) = self.wires.get(&process) else {
            return Heard::Nothing;
        };
        let mut bytes = Vec::with_capacity(READ_MAX);
        match rustix::io::read(&wire.stdout, rustix::buffer::spare_capacity(&mut bytes)) {
            Ok(0) => Heard::Closed,
            Ok(_) => {
                let _ = rustix::io::write(&wire.copy, &bytes);
                Heard::Bytes(bytes)
            }
            Err(Errno::AGAIN | Errno::INTR) => Heard::Nothing,
            Err(_) => Heard::Closed,
        }
    }

    /// Tells once when a listener's standard input takes more.
    pub fn await_room(&self, process: ProcessId, stdin: &OwnedFd) -> io::Result<()> {
        let set = self.ready.get_ref();
        let flags = epoll::EventFlags::OUT | epoll::EventFlags::ONESHOT;
        let data = epoll::EventData::new_u64(token(process, true));
        match epoll::add(set, stdin, data, flags) {
            Err(Errno::EXIST) => Ok(epoll::modify(set, stdin, data, flags)?),
            other => Ok(other?),
        }
    }

    /// A standard input is about to be closed: a duplicate of it would keep it registered.
    pub fn forget_room(&self, stdin: &OwnedFd) {
        let _ = epoll::delete(self.ready.get_ref(), stdin);
    }

    fn watch(&self, end: impl AsFd, token: u64) -> Result<(), Errno> {
        let data = epoll::EventData::new_u64(token);
        epoll::add(self.ready.get_ref(), end, data, epoll::EventFlags::IN)
    }
}

fn token(process: ProcessId, input: bool) -> u64 {
    2 * u64::from(process.0) + u64::from(input)
}

fn process(token: u64) -> ProcessId {
    ProcessId(u32::try_from(token / 2).unwrap_or(u32::MAX))
}
