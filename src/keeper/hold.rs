//! The holder as others see it: starting it, parking in it, and claiming what it holds.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::{Pid, Signal, kill_process};

use super::ParkKey;
use super::message::{FromHolder, PARK_BATCH, ToHolder, decode, encode};
use super::packet::{self, Received, link_pair};
use super::will::{Heir, OWN_BINARY, Will, set_inherited};
use super::wishes::WISHES;
use crate::launch::{ProcessStat, ROLE_VARIABLE, SignalMask, SignalSet, adopt, peer_of};

/// What ps shows for it. The name of the program is not in it on purpose: what people type to get
/// rid of a supervisor that hangs (`pkill -f`) must not cost them the programs.
const NAME: &str = "holder of program pipes";

/// How long a holder may take to answer, or to end.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A connection to the holder.
#[derive(Debug)]
pub(super) struct Hold(OwnedFd);

/// What a keeper and brain that died together left.
#[derive(Debug)]
pub struct Heritage {
    /// All that was held, the connection to the holder included.
    pub parked: Vec<(ParkKey, OwnedFd)>,
}

impl Hold {
    /// The connection among what is parked.
    pub(super) fn take(parked: &mut Vec<(ParkKey, OwnedFd)>) -> Option<Hold> {
        let index = parked.iter().position(|(key, _)| *key == ParkKey::Holder)?;
        Some(Hold(parked.swap_remove(index).1))
    }

    /// Has duplicates of these held, except what ends with the keeper.
    pub(super) fn park(&self, descriptors: &[(ParkKey, BorrowedFd<'_>)]) -> io::Result<()> {
        park(self.0.as_fd(), descriptors)
    }

    /// Has these closed.
    pub(super) fn unpark(&self, keys: &[ParkKey]) -> io::Result<()> {
        keys.chunks(PARK_BATCH)
            .try_for_each(|batch| tell(self.0.as_fd(), &ToHolder::Unpark(batch.to_vec()), &[]))
    }

    /// This process is the brain.
    pub(super) fn serving(&self) -> io::Result<()> {
        let pid = std::process::id().cast_signed();
        let start_time = ProcessStat::of(pid)?.start_time;
        tell(self.0.as_fd(), &ToHolder::Serving { pid, start_time }, &[])
    }

    /// Nothing has to be held any more.
    pub(super) fn end(&self) -> io::Result<()> {
        end(self.0.as_fd())
    }
}

/// Ends the holder and waits until it is gone.
pub(super) fn end(hold: BorrowedFd<'_>) -> io::Result<()> {
    tell(hold, &ToHolder::End, &[])?;
    packet::wait_for(hold, PollFlags::empty(), ANSWER_MAX)
}

/// Has duplicates of these held, except what ends with the keeper.
pub(super) fn park(
    hold: BorrowedFd<'_>,
    descriptors: &[(ParkKey, BorrowedFd<'_>)],
) -> io::Result<()> {
    let lasting: Vec<_> = descriptors
        .iter()
        .filter(|(key, _)| key.outlives_keeper())
        .copied()
        .collect();
    lasting.chunks(PARK_BATCH).try_for_each(|batch| {
        let (keys, descriptors): (Vec<_>, Vec<_>) = batch.iter().copied().unzip();
        tell(hold, &ToHolder::Park(keys), &descriptors)
    })
}

fn tell(
    hold: BorrowedFd<'_>,
    message: &ToHolder,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let packet = encode(message).ok_or(io::ErrorKind::InvalidInput)?;
    packet::send_patiently(hold, &packet, descriptors)
}

/// Starts a holder of these; its connection, to be parked as [`ParkKey::Holder`]. One of them is
/// its listening socket. As PID 1 there is none: with us everything ends.
///
/// `adrift`: it is to be nobody's child, so that it is no part of the tree that people see. Only
/// for a process with one thread.
pub fn start_holder(
    parked: &[(ParkKey, BorrowedFd<'_>)],
    adrift: bool,
) -> io::Result<Option<OwnedFd>> {
    if std::process::id() == 1 {
        return Ok(None);
    }
    let (ours, its_end) = link_pair()?;
    let lasting = parked.iter().filter(|(key, _)| key.outlives_keeper());
    let will = Will {
        parked: lasting.map(|(key, fd)| (*key, fd.as_raw_fd())).collect(),
        heir: Heir::Holder {
            link: its_end.as_raw_fd(),
        },
    };
    let memfd = will.write()?;
    let mut command = command(will.descriptors(&memfd), adrift);
    let mut child = command
        .env(ROLE_VARIABLE, will.announcement(&memfd))
        .spawn()?;
    if adrift {
        child.wait()?;
    }
    Ok(Some(ours))
}

#[allow(unsafe_code)]
fn command(descriptors: Vec<RawFd>, adrift: bool) -> Command {
    let mut command = Command::new(OWN_BINARY);
    command
        .arg0(NAME)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/");
    let between_fork_and_exec = move || {
        if adrift {
            // SAFETY: this is a child with one thread, and neither half does anything but the
            // async-signal-safe calls here.
            match unsafe { libc::fork() } {
                -1 => return Err(io::Error::last_os_error()),
                0 => {}
                // SAFETY: ends the half that is not needed without touching anything.
                _ => unsafe { libc::_exit(0) },
            }
        }
        for number in &descriptors {
            set_inherited(*number, true)?;
        }
        // Out of reach of the terminal and of signals to the daemon's group. It ends when told.
        rustix::process::setsid()?;
        SignalMask::set(SignalSet::of(&WISHES));
        Ok(())
    };
    // SAFETY: the closure makes only async-signal-safe calls, and the caller has one thread.
    unsafe { command.pre_exec(between_fork_and_exec) };
    command
}

/// Claims what the holder at this socket holds; `None` if there is none. For the boot phase,
/// which holds the lock: so the keeper is dead, and a brain that lives on without it is ended
/// here, for two must not serve.
pub fn claim(socket: &Path) -> io::Result<Option<Heritage>> {
    let Ok(address) = SocketAddrUnix::new(socket) else {
        return Ok(None);
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let hold = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    match rustix::net::connect(&hold, &address) {
        Ok(()) => {}
        Err(Errno::NOENT | Errno::CONNREFUSED | Errno::PROTOTYPE) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let peer = peer_of(&hold)?;
    if peer.uid != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    tell(hold.as_fd(), &ToHolder::Claim, &[])?;
    let mut parked = Vec::new();
    let deadline = Instant::now() + ANSWER_MAX;
    loop {
        let (packet, descriptors) = match packet::receive(&hold)? {
            Received::Packet(packet, descriptors) => (packet, descriptors),
            Received::Unreadable => continue,
            Received::Closed => return Ok(None),
            Received::Nothing if Instant::now() < deadline => {
                packet::wait_for(&hold, PollFlags::IN, ANSWER_MAX)?;
                continue;
            }
            Received::Nothing => return Err(io::ErrorKind::TimedOut.into()),
        };
        match decode(&packet) {
            Some(FromHolder::Held(keys)) if keys.len() == descriptors.len() => {
                parked.extend(keys.into_iter().zip(descriptors));
            }
            Some(FromHolder::Held(_)) => {
                return Err(io::Error::other("there are not enough descriptors for all"));
            }
            Some(FromHolder::All { brain }) => {
                if let Some((pid, start_time)) = brain {
                    end_brain(pid, start_time)?;
                }
                break;
            }
            None => {}
        }
    }
    parked.push((ParkKey::Holder, hold));
    Ok(Some(Heritage { parked }))
}

fn end_brain(pid: i32, start_time: u64) -> io::Result<()> {
    let Some(brain) = adopt(pid, start_time)? else {
        return Ok(());
    };
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
    packet::wait_for(&brain.pidfd, PollFlags::IN, ANSWER_MAX)
}
