//! Handing everything to the next process over exec: the boot phase to the keeper, the keeper to
//! each brain.
//!
//! Descriptors are inherited under their numbers. A will, a sealed memfd, says what each of them
//! is; its own number stands in [`ROLE_VARIABLE`] as `keeper:N` (or `brain:N`, …), which is
//! removed as soon as it is read. This way a brain starts with everything or not at all: no
//! packets of descriptors that could wait in a queue or exceed what may be in flight.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::{Errno, FdFlags, fcntl_getfd, fcntl_setfd};
use serde::{Deserialize, Serialize};

use super::wishes::WISHES;
use super::{Duty, Estate, ExitRecord, ParkKey, blob};
use crate::launch::{ROLE_VARIABLE, SignalMask, SignalSet};

/// Our own binary, also when its file was replaced or removed.
pub(super) const OWN_BINARY: &str = "/proc/self/exe";

/// What descriptors the heir holds, and what else it must know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Will {
    /// Every parked descriptor.
    pub(super) parked: Vec<(ParkKey, RawFd)>,
    /// For whom it is.
    pub(super) heir: Heir,
}

/// What only one role inherits.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Heir {
    Keeper {
        lock: Option<RawFd>,
        ready: Option<RawFd>,
        detached: bool,
    },
    Brain {
        link: RawFd,
        incarnation: u32,
        keeper_pid: i32,
        exits: Vec<ExitRecord>,
        duty: Duty,
    },
    /// To say whether it could go on from here.
    Candidate,
    Holder {
        link: RawFd,
    },
}

/// A will that was read, with the descriptors it names.
#[derive(Debug)]
pub(super) struct Read {
    will: Will,
    claimed: BTreeSet<RawFd>,
}

impl Will {
    fn role(&self) -> &'static str {
        match self.heir {
            Heir::Keeper { .. } => "keeper",
            Heir::Brain { .. } => "brain",
            Heir::Holder { .. } => "holder",
            Heir::Candidate => "candidate",
        }
    }

    /// The will as a memfd.
    pub(super) fn write(&self) -> io::Result<OwnedFd> {
        let bytes = postcard::to_stdvec(self).map_err(io::Error::other)?;
        blob::write("appctl-will", &bytes)
    }

    /// The value of [`ROLE_VARIABLE`] that leads to it.
    pub(super) fn announcement(&self, memfd: &OwnedFd) -> String {
        format!("{}:{}", self.role(), memfd.as_raw_fd())
    }

    /// Every descriptor the heir needs.
    pub(super) fn descriptors(&self, memfd: &OwnedFd) -> Vec<RawFd> {
        let parked = self.parked.iter().map(|(_, number)| *number);
        let own: Vec<RawFd> = match &self.heir {
            Heir::Keeper { lock, ready, .. } => lock.iter().chain(ready).copied().collect(),
            Heir::Brain { link, .. } | Heir::Holder { link } => vec![*link],
            Heir::Candidate => vec![],
        };
        parked.chain(own).chain([memfd.as_raw_fd()]).collect()
    }

    /// Reads the will that the environment leads to, if it is for this role. The variable is
    /// gone afterwards. Only for the beginning of `main`, while there is one thread.
    pub(super) fn of_this_process(role: &str) -> Option<io::Result<Read>> {
        let announcement = std::env::var(ROLE_VARIABLE).ok()?;
        let number = announcement.strip_prefix(role)?.strip_prefix(':')?;
        remove_role_variable();
        Some(Will::read(role, number))
    }

    fn read(role: &str, number: &str) -> io::Result<Read> {
        let number = number.parse().map_err(|_| refused("it has no number"))?;
        let mut claimed = BTreeSet::new();
        let memfd = claim(number, &mut claimed)?;
        let will: Will = postcard::from_bytes(&blob::read(memfd)?)
            .map_err(|error| refused(&error.to_string()))?;
        if will.role() != role {
            return Err(refused("it is for another role"));
        }
        // The number is free again and may be given to anything from here on.
        claimed.clear();
        Ok(Read { will, claimed })
    }
}

impl Read {
    /// What only this role inherits.
    pub(super) fn heir(&self) -> &Heir {
        &self.will.heir
    }

    /// Takes a descriptor over; none can be taken twice.
    pub(super) fn claim(&mut self, number: RawFd) -> io::Result<OwnedFd> {
        claim(number, &mut self.claimed)
    }

    /// Takes all parked descriptors over.
    pub(super) fn claim_parked(&mut self) -> io::Result<Vec<(ParkKey, OwnedFd)>> {
        let parked = std::mem::take(&mut self.will.parked);
        let claims = parked
            .into_iter()
            .map(|(key, number)| Ok((key, self.claim(number)?)));
        claims.collect()
    }
}

fn refused(why: &str) -> io::Error {
    let text = format!("what {ROLE_VARIABLE} leads to is refused: {why}");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Makes an inherited descriptor ours, to be closed by the next exec again.
#[allow(unsafe_code)]
fn claim(number: RawFd, claimed: &mut BTreeSet<RawFd>) -> io::Result<OwnedFd> {
    if number <= 2 || !claimed.insert(number) {
        return Err(refused(&format!("descriptor {number} cannot be inherited")));
    }
    // SAFETY: borrowed for this call only; a number that is not open is refused.
    let open = unsafe { fcntl_getfd(BorrowedFd::borrow_raw(number)) };
    open.map_err(|error| refused(&format!("descriptor {number}: {error}")))?;
    // SAFETY: it is open, it came over exec so nothing in this process owns it yet, and
    // `claimed` sees to it that it gets one owner only.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(&descriptor, FdFlags::CLOEXEC)?;
    Ok(descriptor)
}

#[allow(unsafe_code)]
fn remove_role_variable() {
    // SAFETY: called at the beginning of main, before any other thread exists.
    unsafe { std::env::remove_var(ROLE_VARIABLE) }
}

/// Lets a descriptor survive exec, or not. Async-signal-safe.
#[allow(unsafe_code)]
pub(super) fn set_inherited(number: RawFd, inherited: bool) -> Result<(), Errno> {
    let flags = if inherited {
        FdFlags::empty()
    } else {
        FdFlags::CLOEXEC
    };
    // SAFETY: borrowed for this call only, by a caller that holds it open.
    unsafe { fcntl_setfd(BorrowedFd::borrow_raw(number), flags) }
}

/// The name this process was started under.
pub(super) fn own_name() -> OsString {
    std::env::args_os()
        .next()
        .unwrap_or_else(|| "appctl".into())
}

/// Replaces this process by the keeper (exec of our own binary with the same arguments, so that
/// nothing of the boot phase stays in memory); returns only on failure, with everything undone.
pub fn become_keeper(estate: Estate) -> io::Error {
    let will = Will {
        parked: estate
            .parked
            .iter()
            .map(|(key, fd)| (*key, fd.as_raw_fd()))
            .collect(),
        heir: Heir::Keeper {
            lock: estate.lock.as_ref().map(AsRawFd::as_raw_fd),
            ready: estate.ready.as_ref().map(AsRawFd::as_raw_fd),
            detached: estate.detached,
        },
    };
    let memfd = match will.write() {
        Ok(memfd) => memfd,
        Err(error) => return error,
    };
    // What is sent from here on waits until the keeper reads it.
    let _blocked = SignalMask::replace(SignalSet::of(&WISHES));
    let descriptors = will.descriptors(&memfd);
    for number in &descriptors {
        if let Err(error) = set_inherited(*number, true) {
            return error.into();
        }
    }
    let exec = |binary: OsString| {
        Command::new(binary)
            .arg0(own_name())
            .args(std::env::args_os().skip(1))
            .env(ROLE_VARIABLE, will.announcement(&memfd))
            .exec()
    };
    let mut error = exec(OWN_BINARY.into());
    if error.kind() == io::ErrorKind::NotFound {
        // Without /proc there is only the name.
        error = exec(own_name());
    }
    for number in descriptors {
        let _ = set_inherited(number, false);
    }
    error
}
