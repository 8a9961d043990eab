//! The holder: a process that does nothing but hold what programs need to outlive keeper and
//! brain together.
//!
//! It has duplicates of what the keeper parks, except the sockets. So when both are killed, the
//! pipes still have a reader and programs go on (they sleep where a pipe is full); standard
//! inputs stay open; and ledger, structure and staging pipe are there for the next daemon, which
//! finds the holder by its socket beside that of the daemon. It ends when told, or by itself when
//! there is neither a daemon nor a program left.
//!
//! Must never: read what goes through the pipes, decide anything about a program.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SocketFlags, accept_with};
use rustix::process::{Resource, getrlimit};

use super::ParkKey;
use super::message::{FromHolder, PARK_BATCH, ToHolder, decode, encode};
use super::packet::{self, Received};
use super::park::Park;
use super::run::OOM_EXEMPT;
use super::will::{Heir, Will};
use crate::fleet::Stamp;
use crate::launch::{now, peer_of, set_oom_score_adj};

/// The holder's name as the kernel shows it (at most 15 bytes).
const NAME: &std::ffi::CStr = c"holder";

/// How long the last output of programs that have ended is kept for a daemon to come.
const LAST_WORDS_TIME: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Holder {
    park: Park,
    listener: OwnedFd,
    /// From keeper and brain, who share it.
    link: Option<OwnedFd>,
    /// Somebody who connected and has not claimed anything yet.
    guest: Option<OwnedFd>,
    /// Pid and start time of the brain that said last that it serves.
    brain: Option<(i32, u64)>,
    /// When it ends, unless a daemon comes.
    end_at: Option<Stamp>,
}

/// What is to be done after a packet.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Go,
    Claimed,
    End,
}

/// If the environment says that this process was started as the holder: runs it to its end. The
/// caller is `main`, before anything else.
pub fn run_if_holder() -> Option<ExitCode> {
    let holder = Will::of_this_process("holder")?.and_then(|mut will| {
        let parked = will.claim_parked()?;
        let Heir::Holder { link } = *will.heir() else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let listener = parked
            .iter()
            .find(|(key, _)| *key == ParkKey::HolderListener)
            .ok_or(io::ErrorKind::InvalidData)?
            .1
            .try_clone()?;
        let _ = rustix::thread::set_name(NAME);
        let _ = set_oom_score_adj(OOM_EXEMPT);
        Ok(Holder {
            park: Park::new(parked, getrlimit(Resource::Nofile).current),
            listener,
            link: Some(will.claim(link)?),
            guest: None,
            brain: None,
            end_at: None,
        })
    });
    match holder {
        Ok(mut holder) => {
            holder.run();
            // The kernel closes the link, with the process: who waits for one waits for both.
            std::mem::forget(holder);
            Some(ExitCode::SUCCESS)
        }
        // Nobody would read what it says.
        Err(_) => Some(ExitCode::FAILURE),
    }
}

impl Holder {
    fn run(&mut self) {
        loop {
            if self.read() == Next::End {
                return;
            }
            let hung_up = self.outputs_hung_up();
            if self.link.is_none() && self.nothing_left(hung_up.as_deref()) {
                return;
            }
            self.wait(hung_up.as_deref().unwrap_or_default());
        }
    }

    /// Reads what daemon and guest say.
    fn read(&mut self) -> Next {
        if let Some(link) = self.link.take() {
            match self.converse(&link) {
                Some(Next::End) => return Next::End,
                Some(_) => self.link = Some(link),
                None => {}
            }
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        while let Ok(guest) = accept_with(&self.listener, flags) {
            let own = rustix::process::geteuid().as_raw();
            let ours = peer_of(&guest).is_ok_and(|peer| peer.uid == own);
            if ours {
                self.guest = Some(guest);
            }
        }
        if let Some(guest) = self.guest.take() {
            match self.converse(&guest) {
                Some(Next::Claimed) => {
                    self.link = Some(guest);
                    self.end_at = None;
                }
                Some(_) => self.guest = Some(guest),
                None => {}
            }
        }
        Next::Go
    }

    /// Does what somebody says; `None` if that one is gone.
    fn converse(&mut self, socket: &OwnedFd) -> Option<Next> {
        let mut next = Next::Go;
        loop {
            let (packet, descriptors) = match packet::receive(socket) {
                Ok(Received::Packet(packet, descriptors)) => (packet, descriptors),
                Ok(Received::Unreadable) => continue,
                Ok(Received::Nothing) => return Some(next),
                Ok(Received::Closed) | Err(_) => return None,
            };
            match decode(&packet) {
                Some(ToHolder::Park(keys)) => {
                    for (key, descriptor) in keys.into_iter().zip(descriptors) {
                        self.park.put(key, descriptor);
                    }
                }
                Some(ToHolder::Unpark(keys)) => {
                    keys.into_iter().for_each(|key| self.park.remove(key));
                }
                Some(ToHolder::Serving { pid, start_time }) => self.brain = Some((pid, start_time)),
                Some(ToHolder::Claim) => {
                    self.give(socket).ok()?;
                    next = Next::Claimed;
                }
                Some(ToHolder::End) => return Some(Next::End),
                None => {}
            }
        }
    }

    /// Gives duplicates of everything.
    fn give(&self, socket: &OwnedFd) -> io::Result<()> {
        let all: Vec<(ParkKey, BorrowedFd<'_>)> = self.park.all().collect();
        for batch in all.chunks(PARK_BATCH) {
            let (keys, descriptors): (Vec<_>, Vec<_>) = batch.iter().copied().unzip();
            let packet = encode(&FromHolder::Held(keys)).ok_or(io::ErrorKind::InvalidInput)?;
            packet::send_patiently(socket, &packet, &descriptors)?;
        }
        let last = FromHolder::All { brain: self.brain };
        let packet = encode(&last).ok_or(io::ErrorKind::InvalidInput)?;
        packet::send_patiently(socket, &packet, &[])
    }

    /// Without a daemon: which outputs have no writer any more. With one that is its business.
    fn outputs_hung_up(&self) -> Option<Vec<bool>> {
        if self.link.is_some() {
            return None;
        }
        let mut outputs = self.outputs();
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // Where it fails, none has: better held too long.
        let _ = poll(&mut outputs, Some(&at_once));
        let hung_up = |output: &PollFd<'_>| output.revents().contains(PollFlags::HUP);
        Some(outputs.iter().map(hung_up).collect())
    }

    fn outputs(&self) -> Vec<PollFd<'_>> {
        self.park
            .all()
            .filter(|(key, _)| matches!(key, ParkKey::Stdout(_) | ParkKey::Stderr(_)))
            .map(|(_, output)| PollFd::from_borrowed_fd(output, PollFlags::empty()))
            .collect()
    }

    /// Neither a daemon nor a program is left, and has not been for a while.
    fn nothing_left(&mut self, hung_up: Option<&[bool]>) -> bool {
        let hung_up = hung_up.unwrap_or_default();
        if hung_up.is_empty() {
            return true;
        }
        if hung_up.contains(&false) {
            self.end_at = None;
            return false;
        }
        let now = now().stamp;
        now >= *self.end_at.get_or_insert(now.after(LAST_WORDS_TIME))
    }

    fn wait(&self, hung_up: &[bool]) {
        let mut sources = vec![PollFd::from_borrowed_fd(
            self.listener.as_fd(),
            PollFlags::IN,
        )];
        let connections = self.link.iter().chain(&self.guest);
        sources.extend(connections.map(|it| PollFd::from_borrowed_fd(it.as_fd(), PollFlags::IN)));
        // What has hung up says so again and again.
        let writers = self.outputs().into_iter().zip(hung_up);
        sources.extend(
            writers
                .filter(|(_, gone)| !**gone)
                .map(|(output, _)| output),
        );
        let left = self.end_at.map(|at| at.since(now().stamp));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        if let Err(error) = poll(&mut sources, timeout.as_ref())
            && error != rustix::io::Errno::INTR
        {
            // Out of kernel memory: not to turn into a busy loop.
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
