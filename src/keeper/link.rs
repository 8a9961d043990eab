//! The brain's end of the link.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use async_io::Async;

use super::hold::Hold;
use super::message::{FromBrain, PARK_BATCH, ToBrain, decode, encode};
use super::packet::{self, Received};
use super::upgrade::Proposal;
use super::watch::Watch;
use super::will::{Heir, Will};
use super::{ExitRecord, FromKeeper, Inheritance, ParkKey};

/// The brain's name as the kernel shows it (at most 15 bytes).
const NAME: &std::ffi::CStr = c"appctl: brain";

/// The brain's end of the link. Sending never blocks for long: the keeper only ever reads.
#[derive(Debug)]
pub struct Link {
    socket: Async<OwnedFd>,
    /// To the holder; `None`: nobody holds anything should the keeper die as well.
    hold: Option<Hold>,
}

/// If the environment says that this process was started as a brain: the brain's end of the link
/// and everything its keeper holds. The caller is `main`, before any thread exists.
pub fn link_if_brain() -> Option<io::Result<(Link, Inheritance)>> {
    let mut will = match Will::of_this_process("brain")? {
        Ok(will) => will,
        Err(error) => return Some(Err(error)),
    };
    let mut accept = || {
        let mut parked = will.claim_parked()?;
        let Heir::Brain {
            link,
            incarnation,
            keeper_pid,
            ref exits,
            ref duty,
        } = *will.heir()
        else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let (exits, duty) = (exits.clone(), duty.clone());
        let socket = will.claim(link)?;
        // Only a nicety: exec through a descriptor has left a number there.
        let _ = rustix::thread::set_name(NAME);
        let hold = Hold::take(&mut parked);
        if let Some(hold) = &hold {
            // A holder that is gone is the keeper's business.
            let _ = hold.serving();
        }
        let link = Link {
            socket: Async::new(socket)?,
            hold,
        };
        let inheritance = Inheritance {
            incarnation,
            parked,
            exits,
            keeper_pid,
            duty,
        };
        Ok((link, inheritance))
    };
    Some(accept())
}

impl Link {
    /// Parks duplicates of these descriptors, each in the place of one with the same key. What
    /// was sent counts even if this brain is killed at once, and the keeper with it.
    pub fn park(&self, descriptors: &[(ParkKey, BorrowedFd<'_>)]) -> io::Result<()> {
        let held = self.hold.as_ref().map(|hold| hold.park(descriptors));
        let sent = descriptors.chunks(PARK_BATCH).try_for_each(|batch| {
            let (keys, descriptors): (Vec<_>, Vec<_>) = batch.iter().copied().unzip();
            self.send(&FromBrain::Park(keys), &descriptors)
        });
        one_of_both(held, sent)
    }

    /// Closes parked descriptors.
    pub fn unpark(&self, keys: &[ParkKey]) -> io::Result<()> {
        let held = self.hold.as_ref().map(|hold| hold.unpark(keys));
        let sent = keys
            .chunks(PARK_BATCH)
            .try_for_each(|batch| self.send(&FromBrain::Unpark(batch.to_vec()), &[]));
        one_of_both(held, sent)
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

    /// From here on the keeper replaces this brain when a turn takes too long.
    pub fn watch(&self) -> io::Result<Watch> {
        let watch = Watch::new()?;
        self.send(&FromBrain::Watch, &[watch.as_fd()])?;
        Ok(watch)
    }

    /// Another way to the keeper, for proposing a candidate from another thread.
    pub fn proposal(&self) -> io::Result<Proposal> {
        Ok(Proposal::new(self.socket.get_ref().try_clone()?))
    }

    /// The brain is about to end on purpose: the keeper ends with this code once it has ended.
    pub fn leave(&self, code: u8) -> io::Result<()> {
        let sent = self.send(&FromBrain::Leave(code), &[]);
        match (&sent, &self.hold) {
            // Without a keeper nobody else tells the holder.
            (Err(_), Some(hold)) => hold.end(),
            _ => sent,
        }
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
        packet::send_patiently(self.socket.get_ref(), &packet, descriptors)
    }
}

/// What keeper or holder has outlives this brain: one of them is enough.
fn one_of_both(held: Option<io::Result<()>>, sent: io::Result<()>) -> io::Result<()> {
    match held {
        Some(Ok(())) => Ok(()),
        _ => sent,
    }
}
