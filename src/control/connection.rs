//! One connection: bounded lines in, gathered bytes out, each with its time limit.
//!
//! Must never: hold more than a line and a read of what a client sends, wait for a client without
//! a limit except where the caller says so, know a verb.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use async_io::{Async, Timer};
use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::limits::Limits;
use super::line::LINE_MAX;
use super::question::Peer;
use crate::launch;

/// How much is read at once.
const READ_SIZE: usize = 8 * 1024;

/// How much of an answer is gathered before it is written.
const GATHER_SIZE: usize = 16 * 1024;

/// How often a client that has more to read from, or that closed its half, is looked at for
/// whether it hung up: the reactor cannot wait for a hang-up alone.
const HANG_UP_LOOK: Duration = Duration::from_secs(1);

/// Why there is no line.
#[derive(Debug)]
pub enum NoLine {
    /// The client has sent all it wants to send.
    Finished,
    /// It ended in the middle of a line, which is not carried out: its end may be missing.
    CutOff,
    /// The line is longer than [`LINE_MAX`].
    TooLong,
    /// Nothing was sent for [`Limits::idle`].
    Idle,
    /// A line was begun and not ended within [`Limits::request`].
    Slow,
    /// The connection is broken.
    Broken,
}

/// A connection from a client.
#[derive(Debug)]
pub struct Connection {
    stream: Async<UnixStream>,
    peer: Option<Peer>,
    limits: Limits,
    received: Vec<u8>,
    /// How much of `received` was taken.
    taken: usize,
    /// When the line that was begun has to be complete.
    deadline: Option<Instant>,
    unsent: Vec<u8>,
}

impl Connection {
    /// An accepted connection.
    pub fn new(stream: Async<UnixStream>, limits: Limits) -> Connection {
        let peer = launch::peer_of(&stream).ok();
        Connection {
            stream,
            peer,
            limits,
            received: Vec::new(),
            taken: 0,
            deadline: None,
            unsent: Vec::new(),
        }
    }

    /// The stream, what was received and not taken yet, and who is at the other end.
    pub fn into_parts(mut self) -> (Async<UnixStream>, Vec<u8>, Option<Peer>) {
        let received = self.received.split_off(self.taken);
        (self.stream, received, self.peer)
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Option<Peer> {
        self.peer
    }

    /// Another descriptor of it.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        self.stream.as_fd().try_clone_to_owned()
    }

    /// What it is held to.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What was received and not taken yet.
    pub fn pending(&self) -> &[u8] {
        &self.received[self.taken..]
    }

    /// The next line, without its newline and a carriage return before that.
    pub async fn line(&mut self) -> Result<Vec<u8>, NoLine> {
        let mut scanned = 0;
        loop {
            let pending = self.pending();
            let newline = pending[scanned..].iter().position(|byte| *byte == b'\n');
            let length = newline.map_or(pending.len(), |at| scanned + at);
            if length > LINE_MAX {
                return Err(NoLine::TooLong);
            }
            if newline.is_some() {
                let line = &pending[..length];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.taken += length + 1;
                self.deadline = None;
                return Ok(line);
            }
            scanned = length;
            self.receive().await?;
        }
    }

    /// Waits for more bytes, not longer than a client may take.
    pub async fn receive(&mut self) -> Result<(), NoLine> {
        self.received.drain(..self.taken);
        self.taken = 0;
        let begun = !self.received.is_empty();
        let now = Instant::now();
        let deadline = match begun {
            true => *self.deadline.get_or_insert(now + self.limits.request),
            false => now + self.limits.idle,
        };
        let mut piece = [0; READ_SIZE];
        match before(deadline, self.stream.read(&mut piece)).await {
            None if begun => Err(NoLine::Slow),
            None => Err(NoLine::Idle),
            Some(Ok(0)) if begun => Err(NoLine::CutOff),
            Some(Ok(0)) => Err(NoLine::Finished),
            Some(Ok(count)) => {
                self.received.extend_from_slice(&piece[..count]);
                Ok(())
            }
            Some(Err(_)) => Err(NoLine::Broken),
        }
    }

    /// Adds a line to what is to be sent.
    pub fn put_line(&mut self, line: impl fmt::Display) {
        self.unsent.extend_from_slice(line.to_string().as_bytes());
        self.unsent.push(b'\n');
    }

    /// Adds raw bytes and a newline to what is to be sent.
    pub fn put_raw(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
        self.unsent.push(b'\n');
    }

    /// Enough has gathered to be sent.
    pub fn is_full(&self) -> bool {
        self.unsent.len() >= GATHER_SIZE
    }

    /// Sends what has gathered. A client that takes nothing for [`Limits::stall`] is given up.
    pub async fn send(&mut self) -> io::Result<()> {
        self.send_within(Some(self.limits.stall)).await
    }

    /// Sends what has gathered, however long the client takes.
    pub async fn send_patiently(&mut self) -> io::Result<()> {
        self.send_within(None).await
    }

    async fn send_within(&mut self, stall: Option<Duration>) -> io::Result<()> {
        let mut sent = 0;
        while sent < self.unsent.len() {
            let write = self.stream.write(&self.unsent[sent..]);
            let written = match stall {
                None => write.await?,
                Some(stall) => before(Instant::now() + stall, write)
                    .await
                    .ok_or(io::ErrorKind::TimedOut)??,
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            sent += written;
        }
        self.unsent.clear();
        // A block of a log leaves no memory behind in a connection that idles.
        self.unsent.shrink_to(GATHER_SIZE);
        Ok(())
    }

    /// What `future` gives, unless the client hangs up before. One that only ended its own half
    /// (`printf 'status\n' | socat - …`) still reads.
    pub async fn unless_hung_up<T>(&self, future: impl Future<Output = T>) -> io::Result<T> {
        let hung_up = async {
            self.hung_up().await;
            Err(io::ErrorKind::BrokenPipe.into())
        };
        future::or(async { Ok(future.await) }, hung_up).await
    }

    async fn hung_up(&self) {
        loop {
            // An error here shows as one of the connection when it is used next.
            if self.stream.readable().await.is_err() || self.is_hung_up() {
                return;
            }
            Timer::after(HANG_UP_LOOK).await;
        }
    }

    fn is_hung_up(&self) -> bool {
        let mut fds = [PollFd::new(&self.stream, PollFlags::empty())];
        let polled = poll(&mut fds, Some(&Timespec::default()));
        let ended = PollFlags::HUP | PollFlags::ERR;
        polled.is_ok() && fds[0].revents().intersects(ended)
    }
}

/// What `future` gives, if it does so before the deadline.
pub async fn before<T>(deadline: Instant, future: impl Future<Output = T>) -> Option<T> {
    let late = async {
        Timer::at(deadline).await;
        None
    };
    future::or(async { Some(future.await) }, late).await
}
