//! A new binary for the brain: proposed by the brain at hand, tried by the keeper.
//!
//! An upgrade is a planned death of the brain. The candidate lies in a sealed memfd, so whatever
//! becomes of its file does not matter; it is asked first whether it can go on from what it would
//! find; then it gets the place of the brain, and keeps it if it serves in time. Otherwise the
//! binary that served before starts again, and whoever asked is told why.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::ParkKey;
use super::message::{FromBrain, encode};
use super::packet;
use super::will::{Heir, Will, set_inherited};
use crate::launch::ROLE_VARIABLE;

/// How long a candidate may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Most of an answer that is looked at, in bytes.
const ANSWER_BYTES_MAX: u64 = 4096;

/// A way to propose a candidate to the keeper.
#[derive(Debug)]
pub struct Proposal {
    link: OwnedFd,
}

/// What a candidate finds when it is asked whether it could go on.
#[derive(Debug)]
pub struct Precedent {
    /// Settings, structure and ledger of the brain at hand.
    pub parked: Vec<(ParkKey, OwnedFd)>,
}

impl Proposal {
    pub(super) fn new(link: OwnedFd) -> Proposal {
        Proposal { link }
    }

    /// Asks a binary whether it can go on from these. Its answer, or why there is none.
    pub fn question(
        binary: &OwnedFd,
        parked: &[(ParkKey, BorrowedFd<'_>)],
    ) -> Result<String, String> {
        ask(binary, parked).map_err(|error| format!("trying it out: {error}"))?
    }

    /// Has a binary tried in the place of this brain, which is killed for it. `asker` is where
    /// the brain that follows answers.
    pub fn make(&self, binary: &OwnedFd, asker: Option<OwnedFd>) -> io::Result<()> {
        let packet = encode(&FromBrain::Upgrade).ok_or(io::ErrorKind::InvalidInput)?;
        let mut descriptors = vec![binary.as_fd()];
        descriptors.extend(asker.as_ref().map(AsFd::as_fd));
        packet::send_patiently(&self.link, &packet, &descriptors)
    }
}

/// If the environment says that this process is a candidate: what it would find. The caller is
/// `main`, before any thread exists.
pub fn precedent_if_candidate() -> Option<io::Result<Precedent>> {
    let will = Will::of_this_process("candidate")?;
    Some(will.and_then(|mut will| {
        let parked = will.claim_parked()?;
        Ok(Precedent { parked })
    }))
}

fn ask(
    binary: &OwnedFd,
    parked: &[(ParkKey, BorrowedFd<'_>)],
) -> io::Result<Result<String, String>> {
    let will = Will {
        parked: parked
            .iter()
            .map(|(key, fd)| (*key, fd.as_raw_fd()))
            .collect(),
        heir: Heir::Candidate,
    };
    let memfd = will.write()?;
    let descriptors = will.descriptors(&memfd);
    let mut command = Command::new(format!("/proc/self/fd/{}", binary.as_raw_fd()));
    command
        .env(ROLE_VARIABLE, will.announcement(&memfd))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let inherit = move || {
        for number in &descriptors {
            set_inherited(*number, true)?;
        }
        Ok(())
    };
    // SAFETY: the closure makes only async-signal-safe calls.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(inherit);
    }
    let mut candidate = command.spawn()?;
    let deadline = Instant::now() + ANSWER_MAX;
    let status = loop {
        if let Some(status) = candidate.try_wait()? {
            break status;
        }
        if Instant::now() >= deadline {
            let _ = candidate.kill();
            let _ = candidate.wait();
            let seconds = ANSWER_MAX.as_secs();
            return Ok(Err(format!(
                "it does not answer within {seconds} s whether it can go on"
            )));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut answer = Vec::new();
    if let Some(stdout) = candidate.stdout.take() {
        read_what_is_there(stdout.into(), &mut answer)?;
    }
    let answer = String::from_utf8_lossy(&answer).trim().to_owned();
    Ok(match (status.success(), answer.is_empty()) {
        (true, false) => Ok(answer),
        (false, false) if status.code() == Some(1) => Err(answer),
        _ => Err(format!("it cannot say whether it can go on: {status}")),
    })
}

/// What a process left in a pipe; its children may still hold the other end.
fn read_what_is_there(pipe: OwnedFd, answer: &mut Vec<u8>) -> io::Result<()> {
    rustix::io::ioctl_fionbio(&pipe, true)?;
    match File::from(pipe).take(ANSWER_BYTES_MAX).read_to_end(answer) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}
