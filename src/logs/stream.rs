//! One stream: its sink, its sources, and what is on the way between them.
//!
//! A stream that cannot be written stalls: its sources are not read, its bytes wait where they
//! are (staging pipe, buffer, the program's pipe), and it is tried again after a growing pause.
//! Nobody else waits for it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use rustix::io::ioctl_fionread;

use super::chain::Chain;
use super::counts::Count;
use super::mainlog;
use super::moments::{Moments, NOTE_INTERVAL, Note};
use super::outlet::Outlets;
use super::plane::{SinkConfig, StreamId};
use super::rotation::Wall;
use super::shed::{Shed, Tally};
use super::sink::{Failure, Now, Sink};
use super::splice::{CHUNK_MAX, Stage};
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
    pub(super) unspliceable: bool,
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
                return (self.shed_some(index, stage), None);
            }
            if self.withheld {
                let pumped = self.shed_some(index, stage);
                return match self.write_kept(stage, now) {
                    Ok(()) => (pumped, None),
                    Err(failure) => (Pumped::Stalled, self.stall(failure, stage, now)),
                };
            }
            if let Some(pumped) = self.shed_rest(index, stage) {
                return (pumped, None);
            }
            if let Err(failure) = self.end_shedding(stage, now) {
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
        let mut flow = std::mem::take(&mut self.flow);
        flow.grown += self.outlets.take_grown();
        flow
    }

    /// All files it is written to.
    pub fn sinks(&mut self) -> impl Iterator<Item = &mut Sink> {
        std::iter::once(&mut self.sink).chain(self.outlets.sinks())
    }

    /// The next moment at which the wall clock matters.
    pub fn alarm(&self) -> Option<Wall> {
        let alarms = [self.sink.alarm(), self.outlets.alarm()];
        alarms.into_iter().flatten().min()
    }

    /// Notes what offset the file has now, if that was not done just before.
    fn note_moment(&mut self, now: Now) {
        // A clock that was set back counts as well.
        if (now.micros - self.noted).abs() < NOTE_INTERVAL || self.sink.kind() != Kind::Regular {
            return;
        }
        self.noted = now.micros;
        if let Ok(extent) = target::extent(self.sink.file()) {
            let note = Note {
                time: now.micros,
                inode: extent.inode,
                offset: extent.size,
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
            self.write_kept(stage, now)?;
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
}
