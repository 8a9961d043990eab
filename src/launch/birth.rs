//! What a child notes of itself just before it becomes the program: whose run it is, and its pid.
//!
//! A brain that dies between the fork and its record of it cannot tell its successor the pid. While
//! the program lives, it is found by its pipe; once it has ended, the keeper knows only a number.
//! This note says whose number that is.
//!
//! Must never: be taken for more than a hint. Whoever reads it compares the run.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::process::getpid;

/// Bytes of a note: run and pid, little-endian.
pub const BIRTH_NOTE_LENGTH: usize = 16;

/// A run, and the process it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BirthNote {
    /// Number of the run.
    pub run: u64,
    /// Its pid; 0 if nothing became of it.
    pub pid: i32,
}

impl BirthNote {
    /// What a note says.
    pub fn read(note: [u8; BIRTH_NOTE_LENGTH]) -> BirthNote {
        let number = u128::from_le_bytes(note);
        BirthNote {
            run: number as u64,
            pid: (number >> 64) as i32,
        }
    }

    fn note(self) -> [u8; BIRTH_NOTE_LENGTH] {
        let pid = u128::from(self.pid.unsigned_abs());
        (u128::from(self.run) | pid << 64).to_le_bytes()
    }
}

/// Where the child of one start is to leave its note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cradle {
    /// Number of the run.
    pub run: u64,
    /// Where in the memory file.
    pub offset: u64,
}

/// A cradle with its memory file.
#[derive(Debug)]
pub(super) struct Register {
    pub(super) memory: Arc<OwnedFd>,
    pub(super) cradle: Cradle,
}

impl Register {
    /// Child: it is about to become the program. Async-signal-safe.
    pub(super) fn sign(&self) {
        self.leave(getpid().as_raw_nonzero().get());
    }

    /// Child: it will not. Async-signal-safe.
    pub(super) fn withdraw(&self) {
        self.leave(0);
    }

    fn leave(&self, pid: i32) {
        let Cradle { run, offset } = self.cradle;
        // Without it, somebody has to look into the log for the status of a program that ended at
        // an unlucky moment. That is no reason not to start it.
        let _ = rustix::io::pwrite(self.memory.as_fd(), &BirthNote { run, pid }.note(), offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written() {
        for (run, pid) in [(0, 0), (1, 2), (u64::MAX, i32::MAX)] {
            let birth = BirthNote { run, pid };
            assert_eq!(BirthNote::read(birth.note()), birth);
        }
    }
}
