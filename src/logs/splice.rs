//! The exactly-once data path: program pipe → staging pipe → file, without a copy in user space.
//!
//! The kernel moves bytes from pipe to pipe, and from pipe to file, so that what left the one is
//! in the other; SIGKILL strikes between such moves, never inside. What a killed brain leaves in
//! the staging pipe is still there, for the keeper holds both its ends, and the owner word tells
//! whose bytes they are. The word is written only while the pipe is empty and before anything is
//! put in, therefore it is right whenever the pipe holds something.
//!
//! Why not straight from the program's pipe to the file: the kernel holds the pipe's lock while
//! the disk takes its time, and a program that writes just then sleeps uninterruptibly. That is
//! accepted only while the staging pipe is occupied by a stream whose own file refuses bytes
//! ([`move_directly`]); nothing is taken out of a program's pipe then before the disk has it.
//!
//! Must never: mix the bytes of two streams, take more before what is held was written.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::io::{ioctl_fionread, retry_on_intr};
use rustix::pipe::SpliceFlags;

use super::plane::{Staging, StreamId};

/// Most bytes moved at once: the capacity of a pipe.
pub(super) const CHUNK_MAX: usize = 64 * 1024;

/// The staging pipe and the word that says whose bytes it holds.
#[derive(Debug)]
pub(super) struct Stage {
    read: OwnedFd,
    write: OwnedFd,
    owner: OwnedFd,
    /// The owner word as it is in shared memory.
    word: StreamId,
    /// Bytes in the pipe.
    held: u64,
}

impl Stage {
    /// Takes over the staging pipe with what a predecessor left in it.
    pub fn adopt(staging: Staging) -> io::Result<Stage> {
        let word = staging.owner_word()?;
        let held = ioctl_fionread(&staging.read)?;
        Ok(Stage {
            read: staging.read,
            write: staging.write,
            owner: staging.owner,
            word,
            held,
        })
    }

    /// Bytes of this stream that wait here.
    pub fn held_for(&self, stream: StreamId) -> u64 {
        if self.word == stream { self.held } else { 0 }
    }

    /// Whether bytes of any stream wait here.
    pub fn is_occupied(&self) -> bool {
        self.held > 0
    }

    /// Takes bytes from a program's pipe; 0 at its end. The stage must be empty.
    pub fn fill(&mut self, stream: StreamId, source: &OwnedFd) -> io::Result<usize> {
        debug_assert_eq!(self.held, 0);
        if self.word != stream {
            rustix::io::pwrite(&self.owner, &stream.0.to_ne_bytes(), 0)?;
            self.word = stream;
        }
        let moved = splice(source, &self.write, None)?;
        self.held = moved as u64;
        Ok(moved)
    }

    /// Writes what is held into a file from this offset on. On an error what was not written is
    /// still held.
    pub fn empty_into(&mut self, file: &OwnedFd, mut offset: u64) -> io::Result<()> {
        while self.held > 0 {
            let moved = splice(&self.read, file, Some(&mut offset))?;
            if moved == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.held -= moved as u64;
        }
        Ok(())
    }

    /// Appends what is held to a buffer, for a target that cannot be spliced to. From here on
    /// these bytes are lost if the process is killed.
    pub fn copy_out(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        while self.held > 0 {
            let read = read_some(&self.read, buffer)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.held = self.held.saturating_sub(read as u64);
        }
        Ok(())
    }
}

impl Staging {
    /// The stream whose bytes a predecessor left in the pipe, if there are any. If that stream
    /// exists no more, [`Plane::forget`](super::Plane::forget) it, so that the pipe is free.
    pub fn leftover(&self) -> io::Result<Option<StreamId>> {
        let word = self.owner_word()?;
        Ok((ioctl_fionread(&self.read)? > 0).then_some(word))
    }

    /// A page that was never written reads as stream 0.
    fn owner_word(&self) -> io::Result<StreamId> {
        let mut word = [0; 8];
        rustix::io::pread(&self.owner, &mut word, 0)?;
        Ok(StreamId(u64::from_ne_bytes(word)))
    }
}

/// Moves bytes from a program's pipe straight to a target; 0 at the end of the pipe.
pub(super) fn move_directly(
    source: &OwnedFd,
    target: &OwnedFd,
    offset: Option<&mut u64>,
) -> io::Result<usize> {
    splice(source, target, offset)
}

/// Appends what one read gives to a buffer; 0 at the end of the pipe.
pub(super) fn read_some(source: &OwnedFd, buffer: &mut Vec<u8>) -> io::Result<usize> {
    buffer.reserve(CHUNK_MAX);
    Ok(retry_on_intr(|| {
        rustix::io::read(source, spare_capacity(buffer))
    })?)
}

fn splice(from: impl AsFd, to: impl AsFd, mut offset: Option<&mut u64>) -> io::Result<usize> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    let moved = retry_on_intr(|| {
        rustix::pipe::splice(&from, None, &to, offset.as_deref_mut(), CHUNK_MAX, flags)
    })?;
    Ok(moved)
}
