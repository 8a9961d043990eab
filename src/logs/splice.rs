//! The exactly-once data path: program pipe → staging pipe → file, without a copy in user space.
//!
//! The kernel moves bytes from pipe to pipe, and from pipe to file, so that what left the one is
//! in the other; SIGKILL strikes between such moves, never inside. What a killed brain leaves in
//! the staging pipe is still there, for the keeper holds both its ends, and the owner word tells
//! whose bytes they are. The word is written only while the pipe is empty and before anything is
//! put in, therefore it is right whenever the pipe holds something.
//!
//! A stream that is transformed goes the same way: its chunk is looked at with `tee` while it is in
//! the program's pipe, moved to the staging pipe, written in its new form, and only then thrown
//! away. Beside the owner word stands where in which file the new form begins, so that a successor
//! cuts off what a killed brain had written of it and writes it again ([`Stage::begin`]).
//!
//! Why not straight from the program's pipe to the file: the kernel holds the pipe's lock while
//! the disk takes its time, and a program that writes just then sleeps uninterruptibly. That is
//! accepted only while the staging pipe is occupied by a stream whose own file refuses bytes
//! ([`move_directly`]); nothing is taken out of a program's pipe then before the disk has it.
//!
//! Must never: mix the bytes of two streams, take more before what is held was written.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::{ioctl_fionread, retry_on_intr};
use rustix::pipe::{PipeFlags, SpliceFlags, pipe_with};

use super::losses::Losses;
use super::plane::{Staging, StreamId};
use super::target;

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
    /// The place as it is in shared memory.
    place: Place,
    /// Bytes in the pipe.
    held: u64,
    /// Where chunks are looked at; made when the first stream needs it.
    glass: Option<Glass>,
    /// What is taken and not written.
    pub losses: Losses,
}

/// Where the transformed form of what is held begins: the inode of the file and an offset in it.
/// All 0: nowhere, for the bytes go as they are or their target cannot be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// Inode of the file.
    pub inode: u64,
    /// Its size before.
    pub offset: u64,
}

impl Place {
    fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.inode.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.offset.to_ne_bytes());
        bytes
    }
}

/// A pipe of our own that gets a second copy of what a program's pipe holds.
#[derive(Debug)]
struct Glass {
    read: OwnedFd,
    write: OwnedFd,
    /// Where chunks end.
    null: OwnedFd,
}

impl Stage {
    /// Takes over the staging pipe with what a predecessor left in it.
    pub fn adopt(staging: Staging) -> io::Result<Stage> {
        let word = staging.owner_word()?;
        let place = staging.place()?;
        let held = ioctl_fionread(&staging.read)?;
        let losses = Losses::adopt(staging.owner.try_clone()?)?;
        Ok(Stage {
            read: staging.read,
            write: staging.write,
            owner: staging.owner,
            word,
            place,
            held,
            glass: None,
            losses,
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

    /// Takes at most so many bytes from a program's pipe; 0 at its end. The stage must be empty.
    pub fn fill(&mut self, stream: StreamId, source: &OwnedFd, most: usize) -> io::Result<usize> {
        self.own(stream, Place::default())?;
        let moved = splice(source, &self.write, None, most)?;
        self.held = moved as u64;
        Ok(moved)
    }

    /// A copy of what a program's pipe holds, which stays there; empty at its end.
    pub fn look(&mut self, source: &OwnedFd) -> io::Result<Vec<u8>> {
        Glass::of(&mut self.glass)?.look(source)
    }

    /// Takes `count` bytes that were looked at; their transformed form goes to `place`. The stage
    /// must be empty.
    pub fn begin(
        &mut self,
        stream: StreamId,
        source: &OwnedFd,
        count: usize,
        place: Place,
    ) -> io::Result<()> {
        self.own(stream, place)?;
        while self.held < count as u64 {
            let moved = splice(source, &self.write, None, count - self.held as usize)?;
            if moved == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.held += moved as u64;
        }
        Ok(())
    }

    /// Where the transformed form of what is held begins.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The transformed form has moved to another file.
    pub fn set_place(&mut self, place: Place) -> io::Result<()> {
        if self.place != place {
            rustix::io::pwrite(&self.owner, &place.to_bytes(), PLACE_AT)?;
            self.place = place;
        }
        Ok(())
    }

    /// The transformed form is written: throws away what is held. At once, or not at all: a read
    /// that a kill breaks off would leave the end of what is written already.
    pub fn end(&mut self) -> io::Result<()> {
        let null = &Glass::of(&mut self.glass)?.null;
        while self.held > 0 {
            let moved = splice(&self.read, null, None, CHUNK_MAX)?;
            if moved == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.held = self.held.saturating_sub(moved as u64);
        }
        Ok(())
    }

    /// A copy of what is held.
    pub fn look_at_held(&mut self) -> io::Result<Vec<u8>> {
        Glass::of(&mut self.glass)?.look(&self.read)
    }

    fn own(&mut self, stream: StreamId, place: Place) -> io::Result<()> {
        debug_assert_eq!(self.held, 0);
        if self.word != stream {
            rustix::io::pwrite(&self.owner, &stream.0.to_ne_bytes(), 0)?;
            self.word = stream;
        }
        self.set_place(place)
    }

    /// Writes what is held into a file from this offset on. On an error what was not written is
    /// still held.
    pub fn empty_into(&mut self, file: &OwnedFd, mut offset: u64) -> io::Result<()> {
        while self.held > 0 {
            let moved = splice(&self.read, file, Some(&mut offset), CHUNK_MAX)?;
            if moved == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.held -= moved as u64;
        }
        Ok(())
    }

    /// Gives up what is held, which counts as lost from here on.
    pub fn give_up(&mut self) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        while self.held > 0 {
            let taken = self.losses.take(self.word, &self.read, CHUNK_MAX)?;
            if taken.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.held = self.held.saturating_sub(taken.len() as u64);
            all.extend(taken);
        }
        Ok(all)
    }

    /// Appends what is held to a buffer, for a target that cannot be spliced to. From here on
    /// these bytes are lost if the process is killed.
    pub fn copy_out(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        while self.held > 0 {
            let read = read_some(&self.read, buffer, CHUNK_MAX)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.held = self.held.saturating_sub(read as u64);
        }
        Ok(())
    }
}

impl Glass {
    fn of(place: &mut Option<Glass>) -> io::Result<&Glass> {
        Ok(match place {
            Some(glass) => glass,
            None => {
                let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
                let null = target::open_null()?;
                place.insert(Glass { read, write, null })
            }
        })
    }

    fn look(&self, source: &OwnedFd) -> io::Result<Vec<u8>> {
        let flags = SpliceFlags::NONBLOCK;
        let seen = retry_on_intr(|| rustix::pipe::tee(source, &self.write, CHUNK_MAX, flags))?;
        let mut bytes = Vec::with_capacity(seen);
        while bytes.len() < seen {
            read_some(&self.read, &mut bytes, seen)?;
        }
        Ok(bytes)
    }
}

/// Where in the page the [`Place`] stands, behind the owner word.
const PLACE_AT: u64 = 8;

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

    fn place(&self) -> io::Result<Place> {
        let (mut inode, mut offset) = ([0; 8], [0; 8]);
        rustix::io::pread(&self.owner, &mut inode, PLACE_AT)?;
        rustix::io::pread(&self.owner, &mut offset, PLACE_AT + 8)?;
        Ok(Place {
            inode: u64::from_ne_bytes(inode),
            offset: u64::from_ne_bytes(offset),
        })
    }
}

/// Moves bytes from a program's pipe straight to a target; 0 at the end of the pipe.
pub(super) fn move_directly(
    source: &OwnedFd,
    target: &OwnedFd,
    offset: Option<&mut u64>,
    most: usize,
) -> io::Result<usize> {
    splice(source, target, offset, most)
}

/// Appends what one read of at most so many bytes gives to a buffer; 0 at the end of the pipe.
pub(super) fn read_some(source: &OwnedFd, buffer: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    let before = buffer.len();
    buffer.resize(before + most, 0);
    let read = retry_on_intr(|| rustix::io::read(source, &mut buffer[before..]));
    buffer.truncate(before + read.as_ref().map_or(0, |read| *read));
    Ok(read?)
}

fn splice(
    from: impl AsFd,
    to: impl AsFd,
    mut offset: Option<&mut u64>,
    most: usize,
) -> io::Result<usize> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    let moved = retry_on_intr(|| {
        rustix::pipe::splice(&from, None, &to, offset.as_deref_mut(), most, flags)
    })?;
    Ok(moved)
}
