//! The log thread's part in the limits of all logs: it lets surveys be made, counts what is written
//! meanwhile, and has streams drop lines where there is no room.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::allowance::{Allowance, Outlook};
use super::plane::{PlaneReport, StreamId};
use super::stream::CHUNKS_PER_TURN;
use super::survey::{self, Surveyed};
use super::target::Kind;
use super::thread::Thread;
use crate::config::LogBudget;
use crate::ordered;

/// Removals are told at most this often.
const TELL_INTERVAL: Duration = Duration::from_secs(60);

/// How long a stream has to write all its lines again before its trouble is over. What comes and
/// goes with each survey is told as one.
const CALM_TIME: Duration = Duration::from_secs(5);

/// What is to be told of removals: not each, where there are many.
#[derive(Debug, Default)]
pub(super) struct Removals {
    /// Files and bytes that were not told yet.
    untold: (u64, u64),
    told: Option<Instant>,
    /// What could not be removed.
    failure: Option<String>,
}

impl Removals {
    /// So many files and bytes more: what is to be told now.
    fn add(&mut self, (files, bytes): (u64, u64), now: Instant) -> Option<(u64, u64)> {
        self.untold.0 += files;
        self.untold.1 += bytes;
        let is_soon = |told| now.saturating_duration_since(told) < TELL_INTERVAL;
        if self.untold.0 == 0 || self.told.is_some_and(is_soon) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

impl Thread {
    /// Takes other limits, for these logs.
    pub(super) fn limit(&mut self, budget: LogBudget, mut logs: Vec<(StreamId, PathBuf)>) {
        ordered::sort(&mut logs);
        if (self.budget, &self.limited) == (budget, &logs) {
            return;
        }
        if self.budget != budget {
            for id in std::mem::take(&mut self.withheld).into_keys() {
                self.release(id);
            }
        }
        // Nobody writes a byte before it is known how much room there is.
        let outlook = match budget.is_none() {
            true => Outlook::default(),
            false => survey::look(logs.clone(), budget),
        };
        self.allowance = Allowance::new(outlook);
        self.holdings.has_written(self.allowance.written());
        self.limited = logs;
        self.budget = budget;
        self.survey_if_due();
    }

    /// Looks at all logs if it is time.
    pub(super) fn survey_if_due(&mut self) {
        if self.budget.is_none() || !self.allowance.begins_survey(self.now.instant) {
            return;
        }
        let (logs, holdings) = (self.limited.clone(), self.holdings.clone());
        let begun = (self.background.findings())
            .and_then(|findings| survey::begin(logs, self.budget, holdings, findings));
        if begun.is_err() {
            self.allowance.failed();
        }
    }

    /// A survey has been made.
    pub(super) fn hear_survey(&mut self, surveyed: Surveyed) {
        self.holdings.learn(&surveyed);
        self.allowance.surveyed(surveyed.outlook, self.now.instant);
        let now = self.now;
        for id in surveyed.close {
            if let Some(stream) = self.streams.get_mut(id) {
                stream.outlets.rotate_soon(true, now);
                stream.rotate_soon(false, now);
            }
            self.tell_rotation(id);
        }
        if let Some(limit) = surveyed.because {
            let removed = (surveyed.removed_files, surveyed.removed_bytes);
            if let Some((files, bytes)) = self.removals.add(removed, now.instant) {
                let because = limit.to_string();
                self.report(PlaneReport::Freed {
                    files,
                    bytes,
                    because,
                });
            }
        }
        if let Some((stream, text)) = surveyed.failure
            && self.removals.failure.as_ref() != Some(&text)
        {
            self.removals.failure = Some(text.clone());
            self.report(PlaneReport::Untidy { stream, text });
        }
        for (id, calm_since) in self.withheld.clone() {
            match calm_since {
                Some(since) if now.instant.saturating_duration_since(since) >= CALM_TIME => {
                    self.withheld.remove(&id);
                    self.tell_recovery(id);
                }
                Some(_) => {}
                None if self.allowance.withholds(id).is_some() => self.tell_dropping(id),
                None => {
                    self.withheld.insert(id, Some(now.instant));
                    self.release(id);
                }
            }
        }
    }

    /// Has a stream drop its lines if there is no room for them, until a survey finds some.
    pub(super) fn withhold(&mut self, id: StreamId) {
        if self.budget.is_none() || !self.is_limited(id) {
            return;
        }
        let before = self.withheld.get(&id).copied();
        let (Some(limit), Some(stream)) = (self.allowance.withholds(id), self.streams.get_mut(id))
        else {
            return;
        };
        if before == Some(None)
            || stream.sink.kind() != Kind::Regular
            || !stream.begin_withholding(limit.to_string(), &mut self.stage)
        {
            return;
        }
        stream.troubled = true;
        self.withheld.insert(id, None);
        if before.is_none() {
            let text = format!("{limit}; its lines are dropped");
            self.report(PlaneReport::Stalled { stream: id, text });
        }
    }

    /// How many chunks a stream may take at once.
    pub(super) fn chunks(&self, id: StreamId) -> usize {
        match self.allowance.is_tight(id) && self.is_limited(id) {
            true => 1,
            false => CHUNKS_PER_TURN,
        }
    }

    /// Takes note of what a stream wanted to write, and did.
    pub(super) fn account_for(&mut self, id: StreamId, wanted: usize, grown: u64) {
        if !self.budget.is_none() && self.is_limited(id) {
            self.allowance.took(id, wanted as u64, grown);
            self.holdings.has_written(self.allowance.written());
            self.survey_if_due();
        }
    }

    fn is_limited(&self, id: StreamId) -> bool {
        let first = self.limited.partition_point(|(other, _)| *other < id);
        self.limited
            .get(first)
            .is_some_and(|(other, _)| *other == id)
    }

    /// It may write its lines again, and first what is missing.
    pub(super) fn release(&mut self, id: StreamId) {
        let now = self.now;
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        stream.withheld = false;
        self.tell_dropping(id);
        let Some(stream) = self.streams.get_mut(id).filter(|it| it.retry.is_none()) else {
            return;
        };
        let failure = match stream.end_shedding(&mut self.stage, now) {
            Ok(()) => None,
            Err(failure) => stream.stall(failure, &mut self.stage, now),
        };
        match failure {
            None => self.tell_recovery(id),
            Some(failure) => self.tell_failure(id, failure),
        }
    }
}
