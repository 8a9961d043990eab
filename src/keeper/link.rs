//! The brain's end of the link.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use async_io::Async;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::message::{FromBrain, PARK_BATCH, ToBrain, decode, encode};
use super::packet::{self, Received};
use super::will::{Heir, Will};
use super::{ExitRecord, FromKeeper, Inheritance, ParkKey};

/// The brain's name as the kernel shows it (at most 15 bytes).
const NAME: &std::ffi::CStr = c"appctl: brain";

/// How long sending waits for a keeper that does not read, which does nothing but read.
const SEND_MAX: Duration = Duration::from_secs(5);

/// Pause where the kernel refuses more descriptors in flight but cannot say when that ends.
const IN_FLIGHT_PAUSE: Duration = Duration::from_millis(1);

/// The brain's end of the link. Sending never blocks for long: the keeper only ever reads.
#[derive(Debug)]
pub struct Link {
    socket: Async<OwnedFd>,
}

/// If the environment says that this process was started as a brain: the brain's end of the link
/// and everything its keeper holds. The caller is `main`, before any thread exists.
pub fn link_if_brain() -> Option<io::Result<(Link, Inheritance)>> {
    let mut will = match Will::of_this_process("brain")? {
        Ok(will) => will,
        Err(error) => return Some(Err(error)),
    };
    let mut accept = || {
        let parked = will.claim_parked()?;
        let Heir::Brain {
            link,
            incarnation,
            keeper_pid,
            ref exits,
        } = *will.heir()
        else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let exits = exits.clone();
        let socket = will.claim(link)?;
        // Only a nicety: exec through a descriptor has left a number there.
        let _ = rustix::thread::set_name(NAME);
        let link = Link {
            socket: Async::new(socket)?,
        };
        let inheritance = Inheritance {
            incarnation,
            parked,
            exits,
            keeper_pid,
        };
        Ok((link, inheritance))
    };
    Some(accept())
}

impl Link {
    /// Parks duplicates of these descriptors, each in the place of one with the same key. What
    /// was sent counts even if this brain is killed at once.
    pub fn park(&self, descriptors: &[(ParkKey, BorrowedFd<'_>)]) -> io::Result<()> {
        for batch in descriptors.chunks(PARK_BATCH) {
            let (keys, descriptors): (Vec<_>, Vec<_>) = batch.iter().copied().unzip();
            self.send(&FromBrain::Park(keys), &descriptors)?;
        }
        Ok(())
    }

    /// Closes parked descriptors.
    pub fn unpark(&self, keys: &[ParkKey]) -> io::Result<()> {
        for batch in keys.chunks(PARK_BATCH) {
            self.send(&FromBrain::Unpark(batch.to_vec()), &[])?;
        }
        Ok(())
    }

    /// An exit told by the keeper has been dealt with and need not be told to a successor.
    pub fn acknowledge(&self, record: ExitRecord) -> io::Result<()> {
        let ExitRecord {
            pid, start_time, ..
        } = record;
        self.send(&FromBrain::Acknowledge { pid, start_time }, &[])
    }

    /// The brain serves: a crash from here on is answered by a successor.
    pub fn ready(&self) -> io::Result<()> {
        self.send(&FromBrain::Ready, &[])
    }

    /// The brain is about to end on purpose: the keeper ends with this code once it has ended.
    pub fn leave(&self, code: u8) -> io::Result<()> {
        self.send(&FromBrain::Leave(code), &[])
    }

    /// Waits for what the keeper tells. After `Gone` there is nothing but `Gone`.
    pub async fn next(&self) -> FromKeeper {
        loop {
            let received = self
                .socket
                .read_with(|socket| match packet::receive(socket) {
                    Ok(Received::Nothing) => Err(io::ErrorKind::WouldBlock.into()),
                    received => received,
                });
            let packet = match received.await {
                Ok(Received::Packet(packet, _)) => packet,
                Ok(Received::Unreadable | Received::Nothing) => continue,
                Ok(Received::Closed) | Err(_) => return FromKeeper::Gone,
            };
            match decode(&packet) {
                Some(ToBrain::Exited(record)) => return FromKeeper::Exited(record),
                Some(ToBrain::Signal(notice)) => return FromKeeper::Signal(notice),
                Some(ToBrain::NotParked(keys)) => return FromKeeper::NotParked(keys),
                None => {}
            }
        }
    }

    fn send(&self, message: &FromBrain, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let packet = encode(message).ok_or(io::ErrorKind::InvalidInput)?;
        let deadline = Instant::now() + SEND_MAX;
        loop {
            match packet::send(self.socket.get_ref(), &packet, descriptors) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => self.wait_until_writable()?,
                Err(Errno::TOOMANYREFS) => std::thread::sleep(IN_FLIGHT_PAUSE),
                Err(error) => return Err(error.into()),
            }
            if Instant::now() >= deadline {
                let text = "the keeper does not read the link";
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
        }
    }

    fn wait_until_writable(&self) -> io::Result<()> {
        let mut socket = [PollFd::from_borrowed_fd(
            self.socket.as_fd(),
            PollFlags::OUT,
        )];
        let most = Timespec::try_from(SEND_MAX).map_err(io::Error::other)?;
        match poll(&mut socket, Some(&most)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
