//! What clients write to the standard input of programs.
//!
//! What does not fit into a pipe waits for the program to read, in memory: a brain that dies takes it
//! along. Must never: make the turn wait, keep more than [`WAITING_MAX`] for a program.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_io::Async;
use async_std::channel::{Receiver, Sender, unbounded};
use futures_lite::FutureExt;
use rustix::io::Errno;

use super::brain::Brain;
use super::processes::RunId;
use crate::control::Failure;
use crate::fleet::{ProcessName, Refusal, State};

/// Most bytes that wait for a program: as many as the largest request has.
const WAITING_MAX: usize = 4 * 1024 * 1024;

/// Runs that do not read as fast as they are written to.
#[derive(Debug, Default)]
pub struct Inputs(BTreeMap<RunId, Waiting>);

/// What waits for one of them.
#[derive(Debug)]
struct Waiting {
    pieces: Sender<Vec<u8>>,
    bytes: Arc<AtomicUsize>,
}

impl Inputs {
    /// A run ended: nobody reads any more.
    pub fn forget(&mut self, run: RunId) {
        self.0.remove(&run);
    }

    /// Writes at once what fits; the rest waits behind what waits already.
    fn write(&mut self, run: RunId, stdin: &OwnedFd, mut bytes: &[u8]) -> Result<(), Failure> {
        if let Some(waiting) = self.0.get(&run) {
            return waiting.put(bytes);
        }
        match rustix::io::write(stdin, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::AGAIN) => {}
            Err(Errno::PIPE) => return Err(Failure::NoInput),
            Err(error) => return Err(failed(error.into())),
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let waiting = Waiting::on(stdin).map_err(failed)?;
        waiting.put(bytes)?;
        self.0.insert(run, waiting);
        Ok(())
    }
}

impl Waiting {
    fn on(stdin: &OwnedFd) -> io::Result<Waiting> {
        let stdin = Async::new(stdin.try_clone()?)?;
        let (pieces, more) = unbounded();
        let bytes = Arc::default();
        async_std::task::spawn(pass_on(stdin, more, Arc::clone(&bytes)).boxed());
        Ok(Waiting { pieces, bytes })
    }

    fn put(&self, piece: &[u8]) -> Result<(), Failure> {
        let waiting = self.bytes.load(Ordering::Relaxed);
        if waiting + piece.len() > WAITING_MAX {
            return Err(Failure::Other(format!(
                "{waiting} bytes wait on its standard input already, which it does not read"
            )));
        }
        self.bytes.fetch_add(piece.len(), Ordering::Relaxed);
        // Closed: the program closed its end, and has not ended yet.
        self.pieces
            .try_send(piece.to_vec())
            .map_err(|_| Failure::NoInput)
    }
}

/// Writes what waits as the program reads; ends when it closes its end, or its run is forgotten.
async fn pass_on(stdin: Async<OwnedFd>, more: Receiver<Vec<u8>>, bytes: Arc<AtomicUsize>) {
    while let Ok(piece) = more.recv().await {
        let mut left = &piece[..];
        while !left.is_empty() {
            match rustix::io::write(&stdin, left) {
                Ok(written) => {
                    left = &left[written..];
                    bytes.fetch_sub(written, Ordering::Relaxed);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if stdin.writable().await.is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }
}

fn failed(error: io::Error) -> Failure {
    Failure::Other(format!("writing to its standard input: {error}"))
}

impl Brain {
    /// Writes to a program's standard input. One that was told to stop takes nothing more, as in
    /// Supervisor.
    pub(super) fn write_stdin(&mut self, name: &ProcessName, bytes: &[u8]) -> Result<(), Failure> {
        let refused = |refusal| Err(Failure::Refused(refusal));
        let Some(id) = self.fleet.find(name) else {
            return refused(Refusal::NoSuchProcess);
        };
        let stops = (self.fleet.get(id)).is_none_or(|it| it.state() == State::Stopping);
        let run = self.processes.get(&id).and_then(|it| it.run.as_ref());
        let Some(run) = run.filter(|run| run.ending.is_none() && !stops) else {
            return refused(Refusal::NotRunning);
        };
        let stdin = run.stdin.as_ref().ok_or(Failure::NoInput)?;
        self.inputs.write(run.id, stdin, bytes)
    }
}
