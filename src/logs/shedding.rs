//! A stream that drops lines while its file cannot be written: what it takes from its sources
//! meanwhile, and how it goes on (see `shed` for the counting).

use std::io;

use super::chain::Chain;
use super::moving::{is_again, take};
use super::shed::{Shed, Tally};
use super::sink::{Failure, Now};
use super::splice::{CHUNK_MAX, Stage, read_some};
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
        // The others need the stage, and what this stream has taken is written later.
        if stage.held_for(self.id) > 0 {
            match self.buffer.is_empty() {
                true if is_raw => stage.copy_out(&mut self.buffer)?,
                true => {}
                false => stage.end()?,
            }
        }
        let is_begun = self.buffer.last().is_some_and(|last| *last != b'\n');
        let source = self.sources.last().map(|source| source.token);
        let begun = source.filter(|_| is_raw && is_begun);
        self.shed = Some(Shed::new(failure.error.to_string(), begun));
        Ok(())
    }

    /// Begins to drop because there is no room, if nothing is on the way.
    pub(super) fn begin_withholding(&mut self, why: String, stage: &Stage) -> bool {
        if self.retry.is_some() || self.is_owed(stage) || self.is_shedding() {
            return false;
        }
        let size = rustix::fs::fstat(self.sink.file()).map_or(0, |it| it.st_size.unsigned_abs());
        let is_begun = size > 0 && target::last_byte(self.sink.file(), size) != b'\n';
        let source = self.sources.last().map(|source| source.token);
        self.shed = Some(Shed::new(why, source.filter(|_| is_begun)));
        self.withheld = true;
        true
    }

    /// Takes what a source holds, and drops it but for the rest of a line that was begun before.
    pub(super) fn shed_some(&mut self, index: usize) -> Pumped {
        let (Some(source), Some(shed)) = (self.sources.get(index), &mut self.shed) else {
            return Pumped::Empty;
        };
        let mut bytes = Vec::new();
        for _ in 0..CHUNKS_PER_TURN {
            bytes.clear();
            match read_some(&source.pipe, &mut bytes, CHUNK_MAX) {
                Ok(0) => {
                    shed.forget(source.token);
                    return Pumped::Ended;
                }
                Ok(read) => {
                    self.flow.taken += read;
                    let kept = shed.split(source.token, &bytes);
                    self.buffer.extend_from_slice(&bytes[..kept]);
                    self.count.add_dropped(bytes.len() - kept);
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
        match take(&source.pipe, count) {
            Ok(rest) => {
                shed.drop_all(source.token, &rest);
                self.count.add_dropped(rest.len());
            }
            Err(_) => shed.forget(source.token),
        }
        shed.waits_for().map(|_| Pumped::More)
    }

    /// Writes the line that says what is missing, unless a dropped line has to end first.
    pub fn end_shedding(&mut self, now: Now) -> Result<(), Failure> {
        if self.withheld {
            return Ok(());
        }
        let waits = self.shed.as_ref().and_then(Shed::waits_for);
        if waits.is_some_and(|token| self.sources.iter().any(|source| source.token == token)) {
            return Ok(());
        }
        let Some(shed) = self.shed.take().filter(|shed| shed.tally().is_lossy()) else {
            return Ok(());
        };
        self.shed_before = self.shed_before.and(shed.tally());
        let marker = shed.marker().into_bytes();
        let marker = match Chain::of(self.config()) {
            Some(chain) => chain.formed(&marker, now.micros, false),
            None => marker,
        };
        self.buffer.extend(marker);
        self.write_buffer(now)
    }
}
