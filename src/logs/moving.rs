//! How the bytes of a stream get from a pipe into its file: spliced through the staging pipe, through
//! memory where the target takes no splice, or through a chain that gives them another form. Each way
//! moves a chunk at a time and closes the file behind the line that fills it.
//!
//! Must never: wait for a reader or writer, take more out of a pipe than it can say the place of.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::chain::{Chain, LINE_TIME};
use super::mainlog;
use super::sink::{Failure, Now};
use super::splice::{CHUNK_MAX, Place, Stage, move_directly, read_some};
use super::stream::{Source, Stream, Told};
use super::target::{self, Kind};

/// How much of what a source holds may go to the file as it is.
#[derive(Debug, Clone, Copy)]
struct Portion {
    most: usize,
    /// The file is closed once it has this size.
    closes_at: Option<u64>,
}

impl Portion {
    const ALL: Portion = Portion {
        most: CHUNK_MAX,
        closes_at: None,
    };
}

impl Stream {
    /// How much of a source may go to the file, which ends at `end` now; nothing if it is empty.
    fn portion(
        &mut self,
        index: usize,
        end: u64,
        stage: &mut Stage,
        now: Now,
    ) -> io::Result<Option<Portion>> {
        let Some(limit) = self.sink.limit(now) else {
            return Ok(Some(Portion::ALL));
        };
        let Some(source) = self.sources.get(index) else {
            return Ok(None);
        };
        if end + (CHUNK_MAX as u64) < limit.from {
            return Ok(Some(Portion::ALL));
        }
        let bytes = match stage.look(&source.pipe) {
            Ok(bytes) if bytes.is_empty() => return Ok(Some(Portion::ALL)),
            Ok(bytes) => bytes,
            Err(error) if is_again(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let cut = limit.cut(end, &bytes);
        Ok(Some(Portion {
            most: cut.unwrap_or(bytes.len()),
            closes_at: cut.map(|cut| end + cut as u64),
        }))
    }

    pub(super) fn close_at(&mut self, closes_at: Option<u64>, end: u64, now: Now) {
        if closes_at == Some(end) {
            self.rotate(now);
        }
    }

    /// Moves at most one chunk: bytes moved, 0 at the end of the source, nothing if it is empty.
    pub(super) fn move_chunk(
        &mut self,
        index: usize,
        stage: &mut Stage,
        now: Now,
    ) -> Result<Option<usize>, Failure> {
        let kind = self.sink.kind();
        let chained = (self.sources.get(index)).is_some_and(|source| source.chain.is_some());
        if chained {
            return self.move_through_chain(index, stage, now);
        }
        self.write_buffer(now)?;
        let mut end = self.sink.end(now).map_err(Failure::of("open"))?;
        let portion = self.portion(index, end, stage, now);
        let Some(mut portion) = portion.map_err(Failure::of("read the pipe of"))? else {
            return Ok(None);
        };
        if portion.most == 0 {
            // The file was too large before.
            self.rotate(now);
            end = self.sink.end(now).map_err(Failure::of("open"))?;
            portion = Portion::ALL;
        }
        if self.unspliceable || !matches!(kind, Kind::Regular | Kind::Null) {
            return self.move_through_buffer(index, portion, now);
        }
        let Some(source) = self.sources.get(index) else {
            return Ok(None);
        };
        if kind == Kind::Null || stage.is_occupied() {
            let offset = (kind == Kind::Regular).then_some(&mut end);
            return match move_directly(&source.pipe, self.sink.file(), offset, portion.most) {
                Ok(moved) => {
                    self.flow.grown += moved as u64;
                    self.close_at(portion.closes_at, end, now);
                    Ok(Some(moved))
                }
                Err(error) if is_again(&error) => Ok(None),
                Err(error) if is_refusal_to_splice(&error) => {
                    self.unspliceable = true;
                    self.move_through_buffer(index, portion, now)
                }
                Err(error) => Err(Failure {
                    doing: "write to",
                    error,
                }),
            };
        }
        let moved = match stage.fill(self.id, &source.pipe, portion.most) {
            Ok(0) => return Ok(Some(0)),
            Ok(moved) => moved,
            Err(error) if is_again(&error) => return Ok(None),
            Err(error) => {
                return Err(Failure {
                    doing: "read the pipe of",
                    error,
                });
            }
        };
        match stage.empty_into(self.sink.file(), end) {
            Ok(()) => {
                self.flow.grown += moved as u64;
                self.close_at(portion.closes_at, end + moved as u64, now);
                Ok(Some(moved))
            }
            Err(error) if is_refusal_to_splice(&error) => {
                self.unspliceable = true;
                self.empty_stage(stage, now)?;
                Ok(Some(moved))
            }
            Err(error) => Err(Failure {
                doing: "write to",
                error,
            }),
        }
    }

    pub(super) fn empty_stage(&mut self, stage: &mut Stage, now: Now) -> Result<(), Failure> {
        if self.sink.kind() == Kind::Regular && !self.unspliceable {
            let end = self.sink.end(now).map_err(Failure::of("open"))?;
            match stage.empty_into(self.sink.file(), end) {
                Err(error) if is_refusal_to_splice(&error) => self.unspliceable = true,
                other => return other.map_err(Failure::of("write to")),
            }
        }
        stage
            .copy_out(&mut self.buffer)
            .map_err(Failure::of("read the pipe of"))?;
        self.write_buffer(now)
    }

    fn move_through_buffer(
        &mut self,
        index: usize,
        portion: Portion,
        now: Now,
    ) -> Result<Option<usize>, Failure> {
        let Some(source) = self.sources.get(index) else {
            return Ok(None);
        };
        let read = match read_some(&source.pipe, &mut self.buffer, portion.most) {
            Ok(read) => read,
            Err(error) if is_again(&error) => return Ok(None),
            Err(error) => {
                return Err(Failure {
                    doing: "read the pipe of",
                    error,
                });
            }
        };
        self.write_buffer(now)?;
        if portion.closes_at.is_some() {
            let end = self.sink.end(now).map_err(Failure::of("open"))?;
            self.close_at(portion.closes_at, end, now);
        }
        Ok(Some(read))
    }

    /// Looks at what the pipe holds, takes as much as is to be passed on, writes it in its new
    /// form, and forgets what it was made of only then.
    fn move_through_chain(
        &mut self,
        index: usize,
        stage: &mut Stage,
        now: Now,
    ) -> Result<Option<usize>, Failure> {
        let reading = "read the pipe of";
        let place = self.place(now)?;
        let Some(Source {
            pipe: source,
            chain: Some(chain),
            held,
            draining,
            generation,
            ..
        }) = self.sources.get_mut(index)
        else {
            return Ok(None);
        };
        let mut bytes = match stage.look(source) {
            Ok(bytes) if bytes.is_empty() => {
                let rest = chain.finish();
                let generation = *generation;
                if !rest.is_empty() {
                    let formed = chain.formed(&rest, now.micros, false);
                    self.outlets.offer(&rest, &formed, now);
                    self.buffer.extend(formed);
                    self.tell(generation, Vec::new(), Some(rest));
                }
                self.write_buffer(now)?;
                return Ok(Some(0));
            }
            Ok(bytes) => bytes,
            Err(error) if is_again(&error) => return Ok(None),
            Err(error) => return Err(Failure::of(reading)(error)),
        };
        let overdue = held.is_some_and(|until| until <= now.instant);
        let limit = self.sink.limit(now);
        // By what the bytes are before: their new form may exceed the limit by what it adds.
        let upto = limit.and_then(|limit| limit.cut(place.offset, &bytes));
        let upto = upto.filter(|upto| *upto > 0).unwrap_or(bytes.len());
        let count = chain.cut(&bytes[..upto], *draining || overdue);
        if count == 0 {
            held.get_or_insert(now.instant + LINE_TIME);
            return Ok(None);
        }
        *held = None;
        if stage.is_occupied() {
            // By a stream whose file refuses bytes: these go without a net meanwhile.
            bytes = take(source, count).map_err(Failure::of(reading))?;
        } else {
            bytes.truncate(count);
            (stage.begin(self.id, source, count, place)).map_err(Failure::of(reading))?;
        }
        let plain = chain.plain(bytes);
        let (generation, captured) = (*generation, chain.captured());
        let told = self.sink.config().tells_output.then(|| plain.clone());
        if let Some(name) = &self.sink.config().repeated_as {
            mainlog::repeat(name, &plain);
        }
        self.buffer = chain.formed(&plain, now.micros, !*draining);
        self.outlets.offer(&plain, &self.buffer, now);
        self.tell(generation, captured, told);
        let last = self.buffer.last().copied();
        self.write_buffer(now)?;
        self.end_chunk(stage)?;
        if let Some(limit) = limit {
            // Only between two chunks, for all that is made of one has to stand in one file.
            let end = self.sink.end(now).map_err(Failure::of("open"))?;
            if limit.closes(end, last.as_slice()) {
                self.rotate(now);
            }
        }
        Ok(Some(count))
    }

    /// Does again what a killed brain may have done in part or whole: its output is cut off.
    pub(super) fn repeat_chunk(
        &mut self,
        mut chain: Chain,
        stage: &mut Stage,
        now: Now,
    ) -> Result<(), Failure> {
        let place = self.place(now)?;
        let begun = stage.place();
        if place.inode == begun.inode && place.offset > begun.offset {
            rustix::fs::ftruncate(self.sink.file(), begun.offset)
                .map_err(|error| Failure::of("cut")(error.into()))?;
        } else {
            (stage.set_place(place)).map_err(Failure::of("read the pipe of"))?;
        }
        let bytes = (stage.look_at_held()).map_err(Failure::of("read the pipe of"))?;
        let plain = chain.plain(bytes);
        // Told once more, perhaps, and without the name of its source: better than not at all.
        let captured = chain.captured();
        self.buffer = chain.formed(&plain, now.micros, true);
        self.outlets.offer(&plain, &self.buffer, now);
        self.tell(0, captured, Some(plain));
        self.write_buffer(now)?;
        self.end_chunk(stage)
    }

    /// Takes note of what is to be told of a source's output.
    fn tell(&mut self, generation: u64, captured: Vec<Vec<u8>>, written: Option<Vec<u8>>) {
        let told = |captured, bytes| Told {
            generation,
            captured,
            bytes,
        };
        self.told
            .extend(captured.into_iter().map(|text| told(true, text)));
        let written = written.filter(|bytes| self.config().tells_output && !bytes.is_empty());
        self.told.extend(written.map(|bytes| told(false, bytes)));
    }

    pub(super) fn end_chunk(&self, stage: &mut Stage) -> Result<(), Failure> {
        match stage.held_for(self.id) {
            0 => Ok(()),
            _ => stage.end().map_err(Failure::of("read the pipe of")),
        }
    }

    /// Where the next byte goes; nowhere in particular if the target cannot be cut.
    pub(super) fn place(&mut self, now: Now) -> Result<Place, Failure> {
        let extent = self.sink.extent(now).map_err(Failure::of("open"))?;
        Ok(Place {
            inode: extent.inode,
            offset: extent.size,
        })
    }

    pub(super) fn write_buffer(&mut self, now: Now) -> Result<(), Failure> {
        let mut written = 0;
        let result = loop {
            let Some(rest) = self.buffer.get(written..).filter(|rest| !rest.is_empty()) else {
                break Ok(());
            };
            let end = match self.sink.end(now) {
                Ok(end) => end,
                Err(error) => {
                    break Err(Failure {
                        doing: "open",
                        error,
                    });
                }
            };
            match target::write(self.sink.file(), self.sink.kind(), rest, end) {
                Ok(some) => written += some,
                Err(error) => {
                    break Err(Failure {
                        doing: "write to",
                        error,
                    });
                }
            }
        };
        self.flow.grown += written as u64;
        self.buffer.drain(..written);
        // Most streams never come here again: give the memory back.
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
        result
    }
}

/// Reads exactly `count` bytes that are known to be there.
fn take(source: &OwnedFd, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    let mut taken = 0;
    while taken < count {
        match rustix::io::read(source, &mut bytes[taken..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            some => taken += some,
        }
    }
    Ok(bytes)
}

pub(super) fn is_again(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn is_refusal_to_splice(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::INVAL.raw_os_error())
}
