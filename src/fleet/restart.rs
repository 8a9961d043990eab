//! Rounds of restart: processes that start together once the last of them has stopped.
//!
//! Supervisor's `restart` stops everything it names before it starts any of it, so that no program
//! meets the remains of another one. Membership is recorded with each process and outlives the
//! request and the brain; what is kept here is rebuilt from that.
//!
//! Must never: start or stop anything itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::name::ProcessId;

/// Names a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Round(u64);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Members {
    all: BTreeSet<ProcessId>,
    living: BTreeSet<ProcessId>,
}

/// Rounds that wait for somebody to stop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rounds {
    waiting: BTreeMap<Round, Members>,
}

impl Rounds {
    /// The lowest name that no waiting round has.
    pub(super) fn unused(&self) -> Round {
        let taken = self
            .waiting
            .keys()
            .zip(1..)
            .take_while(|(round, number)| round.0 == *number);
        Round(taken.count() as u64 + 1)
    }

    pub(super) fn join(&mut self, round: Round, process: ProcessId, living: bool) {
        let members = self.waiting.entry(round).or_default();
        members.all.insert(process);
        if living {
            members.living.insert(process);
        }
    }

    pub(super) fn leave(&mut self, round: Round, process: ProcessId) {
        if let Some(members) = self.waiting.get_mut(&round) {
            members.all.remove(&process);
            members.living.remove(&process);
        }
    }

    pub(super) fn stopped(&mut self, round: Round, process: ProcessId) {
        if let Some(members) = self.waiting.get_mut(&round) {
            members.living.remove(&process);
        }
    }

    /// Takes out a round whose members have all stopped.
    pub(super) fn take_ready(&mut self) -> Option<Vec<ProcessId>> {
        let ready = self
            .waiting
            .iter()
            .find(|(_, members)| members.living.is_empty());
        let round = *ready?.0;
        let members = self.waiting.remove(&round)?;
        Some(members.all.into_iter().collect())
    }

    /// Every waiting member of every round.
    pub(super) fn members(&self) -> impl Iterator<Item = (Round, ProcessId, bool)> {
        self.waiting.iter().flat_map(|(round, members)| {
            let living = |id| members.living.contains(id);
            members.all.iter().map(move |id| (*round, *id, living(id)))
        })
    }
}
