//! One stream: its sink, its sources, and what is on the way between them.
//!
//! A stream that cannot be written stalls: its sources are not read, its bytes wait where they
//! are (staging pipe, buffer, the program's pipe), and it is tried again after a growing pause.
//! Nobody else waits for it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use rustix::io::{Errno, ioctl_fionread};

use super::chain::{Chain, LINE_TIME};
use super::counts::Count;
use super::mainlog;
use super::moments::{Moments, NOTE_INTERVAL, Note};
use super::outlet::Outlets;
use super::plane::{SinkConfig, StreamId};
use super::shed::{Shed, Tally};
use super::sink::{Failure, Now, Sink};
use super::splice::{CHUNK_MAX, Place, Stage, move_directly, read_some};
use super::stall::Backoff;
use super::target::{self, Kind};
use crate::config::LogLevel;

/// Chunks moved for one source before the others get their turn.
pub(super) const CHUNKS_PER_TURN: usize = 16;

/// Old pipes a stream keeps reading for descendants of programs that ended; the oldest goes first.
pub(super) const SOURCES_MAX: usize = 8;

/// The read end of a program's pipe.
#[derive(Debug)]
pub(super) struct Source {
    /// Its name in the ready set.
    pub token: u64,
    /// Given by whoever attached it.
    pub generation: u64,
    pub pipe: OwnedFd,
    /// Somebody waits until it is empty.
    pub draining: bool,
    /// What its bytes go through; none if they go as they are.
    pub chain: Option<Box<Chain>>,
    /// The beginning of a line waits in the pipe, until then at most.
    pub held: Option<Instant>,
}

/// What pumping a source came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pumped {
    /// Nothing is left in the pipe.
    Empty,
    /// There may be more.
    More,
    /// The last writer closed it.
    Ended,
    /// The sink refuses; the stream stalls.
    Stalled,
}

/// A stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub sink: Sink,
    pub sources: Vec<Source>,
    /// Bytes on their way to a target that cannot be spliced to, or in their transformed form.
    pub(super) buffer: Vec<u8>,
    /// Set while it stalls: when to try again.
    pub retry: Option<(Instant, Backoff)>,
    /// A failure was told and not taken back yet.
    pub troubled: bool,
    /// The target took no splice; bytes go through the buffer.
    unspliceable: bool,
    rotation: RotationNews,
    /// Where it goes beside its file.
    pub outlets: Outlets,
    /// What is being dropped, where that is wanted rather than waiting.
    pub(super) shed: Option<Shed>,
    /// Its lines are dropped though its file could be written: there is no room for them.
    pub withheld: bool,
    /// What was dropped before writing worked again, since its trouble began.
    pub(super) shed_before: Tally,
    /// Where it is noted what was written when, and the time of the last note.
    moments: Arc<Moments>,
    /// Bytes taken out of its pipes.
    pub(super) count: Count,
    /// What went through since this was last asked.
    pub(super) flow: Flow,
    noted: i64,
    /// What is to be told of its output.
    pub told: Vec<Told>,
}

/// How much went through a stream.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// Bytes taken out of its pipes.
    pub taken: usize,
    /// Bytes that its file grew by.
    pub grown: u64,
}

/// Output that is to be told.
#[derive(Debug)]
pub(super) struct Told {
    /// Of the source that it came from.
    pub generation: u64,
    /// It stood between the capture tags.
    pub captured: bool,
    pub bytes: Vec<u8>,
}

/// What is to be told of rotations.
#[derive(Debug, Default)]
pub(super) struct RotationNews {
    /// Somebody asked for one and waits for the answer.
    asked: bool,
    /// The answer.
    pub answer: Option<Result<(), String>>,
    /// One failed, the first of several.
    pub failure: Option<Failure>,
}

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
    pub fn new(id: StreamId, sink: Sink, moments: Arc<Moments>, count: Count) -> Stream {
        Stream {
            id,
            outlets: Outlets::new(&sink.config().outlets),
            sink,
            sources: Vec::new(),
            buffer: Vec::new(),
            retry: None,
            troubled: false,
            unspliceable: false,
            rotation: RotationNews::default(),
            shed: None,
            shed_before: Tally::default(),
            moments,
            count,
            flow: Flow::default(),
            withheld: false,
            noted: 0,
            told: Vec::new(),
        }
    }

    /// Goes on with another sink.
    pub fn change_sink(&mut self, sink: Sink) {
        for source in &mut self.sources {
            source.chain = Chain::of(sink.config()).map(Box::new);
        }
        self.unspliceable = false;
        if self.sink.config().outlets != sink.config().outlets {
            self.outlets = Outlets::new(&sink.config().outlets);
        }
        self.sink = sink;
    }

    pub fn config(&self) -> &SinkConfig {
        self.sink.config()
    }

    /// Moves so many chunks of what a source holds at most. A failure is given once, when the stream stalls.
    pub fn pump(
        &mut self,
        index: usize,
        chunks: usize,
        stage: &mut Stage,
        now: Now,
    ) -> (Pumped, Option<Failure>) {
        self.note_moment(now);
        if self.is_shedding() {
            if self.retry.is_some() {
                return (self.shed_some(index), None);
            }
            if self.withheld {
                let pumped = self.shed_some(index);
                return match self.write_buffer(now) {
                    Ok(()) => (pumped, None),
                    Err(failure) => (Pumped::Stalled, self.stall(failure, stage, now)),
                };
            }
            if let Some(pumped) = self.shed_rest(index, stage) {
                return (pumped, None);
            }
            if let Err(failure) = self.end_shedding(now) {
                return (Pumped::Stalled, self.stall(failure, stage, now));
            }
        }
        for _ in 0..chunks {
            let moved = match self.move_chunk(index, stage, now) {
                Ok(Some(0)) => return (Pumped::Ended, None),
                Ok(Some(moved)) => moved,
                Ok(None) => return (Pumped::Empty, None),
                Err(failure) => return (Pumped::Stalled, self.stall(failure, stage, now)),
            };
            self.count.add(moved);
            self.flow.taken += moved;
            if let Some(failure) = self.rotation.failure.take() {
                return (Pumped::More, Some(failure));
            }
            if moved < CHUNK_MAX && self.is_empty(index) {
                return (Pumped::Empty, None);
            }
        }
        (Pumped::More, None)
    }

    /// What went through since this was last asked.
    pub fn take_flow(&mut self) -> Flow {
        std::mem::take(&mut self.flow)
    }

    /// Notes what offset the file has now, if that was not done just before.
    fn note_moment(&mut self, now: Now) {
        // A clock that was set back counts as well.
        if (now.micros - self.noted).abs() < NOTE_INTERVAL || self.sink.kind() != Kind::Regular {
            return;
        }
        self.noted = now.micros;
        if let Ok(stat) = rustix::fs::fstat(self.sink.file()) {
            let note = Note {
                time: now.micros,
                inode: stat.st_ino,
                offset: stat.st_size.unsigned_abs(),
            };
            self.moments.note(self.id, note);
        }
    }

    /// Whether a source holds nothing at the moment.
    pub fn is_empty(&self, index: usize) -> bool {
        self.sources
            .get(index)
            .is_none_or(|source| ioctl_fionread(&source.pipe).unwrap_or(0) == 0)
    }

    /// Writes what was left on the way, after a stall or by a predecessor.
    pub fn flush(&mut self, stage: &mut Stage, now: Now) -> Result<(), Failure> {
        if !self.buffer.is_empty() {
            self.write_buffer(now)?;
            // In the stage is what these bytes were made of.
            return self.end_chunk(stage);
        }
        if stage.held_for(self.id) == 0 {
            return Ok(());
        }
        match Chain::of(self.config()) {
            None => self.empty_stage(stage, now),
            Some(chain) => self.repeat_chunk(chain, stage, now),
        }
    }

    /// Whether bytes of this stream are on the way.
    pub fn is_owed(&self, stage: &Stage) -> bool {
        stage.held_for(self.id) > 0 || !self.buffer.is_empty()
    }

    /// Stops trying for a while; the failure comes back if it was not told yet.
    pub fn stall(&mut self, failure: Failure, stage: &mut Stage, now: Now) -> Option<Failure> {
        if let Err(error) = self.begin_shedding(&failure, stage) {
            // Then it waits like any other.
            let text = format!("dropping lines: {error}");
            mainlog::write(LogLevel::Error, &text);
        }
        let mut backoff = self
            .retry
            .map_or_else(Backoff::default, |(_, backoff)| backoff);
        // A reader of a pipe or terminal that pauses is not worth a word, only patience.
        let patience = failure.error.kind() == io::ErrorKind::WouldBlock;
        self.retry = Some((now.instant + backoff.next(), backoff));
        let first = !self.troubled && !patience;
        self.troubled |= first;
        first.then_some(failure)
    }

    /// Rotates as soon as the line ends that is being written, and answers if that was asked for.
    pub fn rotate_soon(&mut self, asked: bool, now: Now) {
        self.rotation.asked |= asked;
        if self.sink.can_close(now) {
            self.rotate(now);
        }
    }

    /// Rotates.
    pub fn rotate(&mut self, now: Now) {
        let failed_before = self.sink.cannot_rotate();
        let result = self.sink.rotate(now);
        if std::mem::take(&mut self.rotation.asked) {
            let answer = result.as_ref().map_err(ToString::to_string);
            self.rotation.answer = Some(answer.copied());
        }
        if let Err(error) = result
            && !failed_before
        {
            self.rotation.failure = Some(Failure::of("rotate")(error));
        }
    }

    /// What is to be told of rotations.
    pub fn rotation_news(&mut self) -> &mut RotationNews {
        &mut self.rotation
    }

    /// When it wants to be looked at, whatever its sources do: to try again, to send what waits, to
    /// close a file in the middle of a line.
    pub fn due(&self) -> Option<Instant> {
        let retry = self.retry.map(|(due, _)| due);
        [retry, self.outlets.due, self.sink.closing_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

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

    fn close_at(&mut self, closes_at: Option<u64>, end: u64, now: Now) {
        if closes_at == Some(end) {
            self.rotate(now);
        }
    }

    /// Moves at most one chunk: bytes moved, 0 at the end of the source, nothing if it is empty.
    fn move_chunk(
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

    fn empty_stage(&mut self, stage: &mut Stage, now: Now) -> Result<(), Failure> {
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
    fn repeat_chunk(
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

    fn end_chunk(&self, stage: &mut Stage) -> Result<(), Failure> {
        match stage.held_for(self.id) {
            0 => Ok(()),
            _ => stage.end().map_err(Failure::of("read the pipe of")),
        }
    }

    /// Where the next byte goes; nowhere in particular if the target cannot be cut.
    fn place(&mut self, now: Now) -> Result<Place, Failure> {
        let offset = self.sink.end(now).map_err(Failure::of("open"))?;
        if self.sink.kind() != Kind::Regular {
            return Ok(Place::default());
        }
        let stat = rustix::fs::fstat(self.sink.file());
        let stat = stat.map_err(|error| Failure::of("open")(error.into()))?;
        let inode = stat.st_ino;
        Ok(Place { inode, offset })
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
pub(super) fn take(source: &OwnedFd, count: usize) -> io::Result<Vec<u8>> {
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
