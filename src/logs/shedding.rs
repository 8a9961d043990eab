//! A stream that drops lines while its file cannot be written: what it takes from its sources
//! meanwhile, and how it goes on (see `shed` for the counting).

use std::io;

use super::chain::Chain;
use super::moving::is_again;
use super::shed::{Shed, Tally};
use super::sink::{Failure, Now};
use super::splice::{CHUNK_MAX, Place, Stage};
use super::stream::{CHUNKS_PER_TURN, Pumped, Stream};
use super::target;
use crate::config::OnFull;

impl Stream {
    /// Whether lines are being dropped, or have been and the log does not say so yet.
    pub fn is_shedding(&self) -> bool {
        self.shed.is_some()
    }

    /// What was dropped since its trouble began, once something was.
    pub fn shed_so_far(&self) -> Option<Tally> {
        let now = self.shed.as_ref().map(Shed::tally).unwrap_or_default();
        Some(self.shed_before.and(now)).filter(|tally| tally.is_lossy())
    }

    /// Begins to drop, if this stream is to and this failure is one of its file.
    pub(super) fn begin_shedding(
        &mut self,
        failure: &Failure,
        stage: &mut Stage,
    ) -> io::Result<()> {
        let is_of_file = matches!(failure.doing, "open" | "write to");
        let waits = failure.error.kind() == io::ErrorKind::WouldBlock;
        if self.config().on_full != OnFull::Drop || self.is_shedding() || !is_of_file || waits {
            return Ok(());
        }
        let is_raw = Chain::of(self.config()).is_none();
        let why = failure.error.to_string();
        stage.losses.begin(self.id, &why)?;
        // The others need the stage, and what this stream has taken is written later.
        if stage.held_for(self.id) > 0 && (is_raw || !self.buffer.is_empty()) {
            let begun = stage.place();
            let taken = stage.give_up()?;
            match is_raw {
                true => self.buffer.extend(taken),
                false => stage.losses.change(self.id, |loss| loss.place = begun)?,
            }
        }
        let is_begun = self.buffer.last().is_some_and(|last| *last != b'\n');
        let source = self.sources.last().map(|source| source.token);
        let begun = source.filter(|_| is_raw && is_begun);
        self.shed = Some(Shed::new(why, begun));
        Ok(())
    }

    /// Goes on where a predecessor was killed that had dropped something.
    pub fn resume_shedding(&mut self, stage: &mut Stage, now: Now) -> io::Result<()> {
        let Some(loss) = stage.losses.of(self.id).cloned() else {
            return Ok(());
        };
        let extent = self.sink.extent(now)?;
        let is_here = loss.place.inode == extent.inode && loss.place != Place::default();
        let mut size = extent.size;
        if is_here && size > loss.place.offset {
            size = loss.place.offset;
            rustix::fs::ftruncate(self.sink.file(), size)?;
        }
        let is_raw = Chain::of(self.config()).is_none();
        let is_torn = is_raw && size > 0 && target::last_byte(self.sink.file(), size) != b'\n';
        let (tally, is_cut) = (loss.tally, loss.is_cut);
        self.shed = Some(Shed::resumed(tally, loss.why, is_torn, is_cut));
        Ok(())
    }

    /// Begins to drop because there is no room, if nothing is on the way.
    pub(super) fn begin_withholding(&mut self, why: String, stage: &mut Stage) -> bool {
        let busy = self.retry.is_some() || self.is_owed(stage) || self.is_shedding();
        if busy || stage.losses.begin(self.id, &why).is_err() {
            return false;
        }
        let size = target::extent(self.sink.file()).map_or(0, |extent| extent.size);
        let is_begun = size > 0 && target::last_byte(self.sink.file(), size) != b'\n';
        let source = self.sources.last().map(|source| source.token);
        self.shed = Some(Shed::new(why, source.filter(|_| is_begun)));
        self.withheld = true;
        true
    }

    /// Takes what a source holds, and drops it but for the rest of a line that was begun before.
    pub(super) fn shed_some(&mut self, index: usize, stage: &mut Stage) -> Pumped {
        let (Some(source), Some(shed)) = (self.sources.get(index), &mut self.shed) else {
            return Pumped::Empty;
        };
        for _ in 0..CHUNKS_PER_TURN {
            match stage.losses.take(self.id, &source.pipe, CHUNK_MAX) {
                Ok(bytes) if bytes.is_empty() => {
                    shed.forget(source.token);
                    let _ = stage.losses.change(self.id, |loss| loss.is_cut = false);
                    return Pumped::Ended;
                }
                Ok(bytes) => {
                    self.flow.taken += bytes.len();
                    let kept = shed.split(source.token, &bytes);
                    self.buffer.extend_from_slice(&bytes[..kept]);
                    self.count.add_dropped(bytes.len() - kept);
                    if kept > 0 {
                        // It is written first, if it can be.
                        return Pumped::More;
                    }
                }
                Err(_) => return Pumped::Empty,
            }
        }
        Pumped::More
    }

    /// Drops the rest of the line that is dropped in part. Some result: it has not ended yet.
    pub(super) fn shed_rest(&mut self, index: usize, stage: &mut Stage) -> Option<Pumped> {
        let (source, shed) = (self.sources.get(index)?, self.shed.as_mut()?);
        match shed.waits_for() {
            None => return None,
            // One line is torn rather than all others waiting for its end.
            Some(other) if other != source.token => {
                shed.forget(other);
                return None;
            }
            Some(_) => {}
        }
        let bytes = match stage.look(&source.pipe) {
            Ok(bytes) if bytes.is_empty() => {
                shed.forget(source.token);
                return None;
            }
            Ok(bytes) => bytes,
            Err(error) if is_again(&error) => return Some(Pumped::Empty),
            Err(_) => return None,
        };
        let count = shed.rest(source.token, &bytes);
        match stage.losses.take(self.id, &source.pipe, count) {
            Ok(rest) => {
                shed.drop_all(source.token, &rest);
                self.count.add_dropped(rest.len());
            }
            Err(_) => shed.forget(source.token),
        }
        shed.waits_for().map(|_| Pumped::More)
    }

    /// Writes the line that says what is missing, unless a dropped line has to end first.
    pub fn end_shedding(&mut self, stage: &mut Stage, now: Now) -> Result<(), Failure> {
        let Some(shed) = self.shed.as_ref().filter(|_| !self.withheld) else {
            return Ok(());
        };
        let is_here = |token| self.sources.iter().any(|source| source.token == token);
        if shed.expects_source() || shed.waits_for().is_some_and(is_here) {
            return Ok(());
        }
        let Some(shed) = self.shed.take().filter(|shed| shed.tally().is_lossy()) else {
            stage.losses.forget(self.id);
            return Ok(());
        };
        self.shed_before = self.shed_before.and(shed.tally());
        let marker = shed.marker().into_bytes();
        let marker = match Chain::of(self.config()) {
            Some(chain) => chain.formed(&marker, now.micros, false),
            None => marker,
        };
        self.buffer.extend(marker);
        self.write_kept(stage, now)
    }

    /// Writes what was kept while lines were dropped. A successor of a brain that is killed in the
    /// middle of it finds it counted as lost, and cuts off what was written.
    pub(super) fn write_kept(&mut self, stage: &mut Stage, now: Now) -> Result<(), Failure> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if stage.losses.of(self.id).is_none() {
            return self.write_buffer(now);
        }
        let counting = Failure::of("count what is missing in");
        let place = self.place(now)?;
        let begun = stage.losses.change(self.id, |loss| {
            if loss.place == Place::default() {
                loss.place = place;
            }
        });
        begun.map_err(counting)?;
        self.write_buffer(now)?;
        let Some(shed) = &self.shed else {
            stage.losses.forget(self.id);
            return Ok(());
        };
        let rest = stage.losses.change(self.id, |loss| {
            loss.tally = shed.tally();
            loss.is_cut = shed.waits_for().is_some();
            loss.place = Place::default();
        });
        rest.map_err(Failure::of("count what is missing in"))
    }
}
