//! What a brain leaves to its successor, kept in memory files that the keeper holds.
//!
//! Two parts. The *structure* (groups, ids, configuration in force) is written as a whole when
//! it changes, which is rare. The *ledger* has a slot for each process, written before an effect
//! that depends on it: the intent before a start, the pid after it, the status before the reaping,
//! the decision to stop before the signal.
//!
//! Binary and length-framed throughout: nothing a program or a person can write is ever parsed
//! as structure.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::brain::Brain;
use super::processes::{Process, RecordedRun, Run, Slots};
use super::sentences::{self, say};
use crate::config::{GroupConfig, SupervisordConfig};
use crate::fleet::{self, ProcessId};
use crate::keeper::{Ledger, ParkKey, blob};
use crate::launch;
use crate::ordered;

/// Raised when a brain could no longer read what an older one wrote.
pub const STRUCTURE_VERSION: u32 = 6;

/// The structure: what exists, as opposed to how it fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    /// [`STRUCTURE_VERSION`] of the writer.
    pub version: u32,
    /// The fleet's own structure.
    pub fleet: fleet::Structure,
    /// `[supervisord]` as in force.
    pub supervisord: SupervisordConfig,
    /// Groups in force.
    pub groups: BTreeMap<String, GroupConfig>,
    /// Groups of an update that wait for their predecessors to stop.
    pub incoming: BTreeMap<String, GroupConfig>,
    /// Processes: slot in the ledger and settled log files.
    pub members: BTreeMap<ProcessId, Member>,
}

/// A process of the structure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its slot in the ledger.
    pub slot: u32,
    /// Files of its two streams, AUTO names settled.
    pub files: [Option<PathBuf>; 2],
}

/// A slot of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whose it is.
    pub process: ProcessId,
    /// Runs so far.
    pub runs: u32,
    /// Its current run.
    pub run: Option<RecordedRun>,
    /// The fleet's own record.
    pub fleet: fleet::Record,
}

/// What is kept in memory files for a successor, and what of it is not up to date.
#[derive(Debug)]
pub struct Records {
    pub(super) ledger: Ledger,
    pub(super) slots: Slots,
    /// Processes to be recorded.
    pub(super) changed: BTreeSet<ProcessId>,
    pub(super) structure_changed: bool,
    /// The settings as they were left, for a candidate to read.
    pub(super) settings: OwnedFd,
}

impl Records {
    /// With a ledger in which no slot is taken.
    pub fn new(ledger: Ledger, settings: OwnedFd) -> Records {
        Records {
            ledger,
            slots: Slots::default(),
            changed: BTreeSet::new(),
            structure_changed: false,
            settings,
        }
    }
}

impl Brain {
    /// Writes everything that changed since the last time.
    pub(super) fn remember(&mut self) {
        let unsaved = self.fleet.take_unsaved();
        if self.unreadable_past.is_some() {
            // A later binary may be able to read it: it stays as it is.
            return;
        }
        self.records.changed.extend(unsaved.processes);
        if std::mem::take(&mut self.records.structure_changed) | unsaved.structure {
            self.remember_structure();
            self.limit_logs();
        }
        while let Some(id) = self.records.changed.pop_first() {
            self.record_run(id);
        }
    }

    /// The structure as a memory file.
    pub(super) fn structure_memory(&self) -> std::io::Result<OwnedFd> {
        let structure = Structure {
            version: STRUCTURE_VERSION,
            fleet: self.fleet.structure(),
            supervisord: self.configuration.supervisord.clone(),
            groups: self.configuration.groups.clone(),
            incoming: self.configuration.incoming.clone(),
            members: ordered::map(self.processes.iter().map(|(id, process)| {
                let member = Member {
                    slot: process.slot,
                    files: process.files.clone(),
                };
                (*id, member)
            })),
        };
        let bytes = postcard::to_stdvec(&structure).map_err(std::io::Error::other)?;
        blob::write("appctl-structure", &bytes)
    }

    fn remember_structure(&mut self) {
        let parked = self.structure_memory().and_then(|memory| {
            self.keeper
                .link
                .park(&[(ParkKey::Structure, memory.as_fd())])
        });
        if let Err(error) = parked {
            say(sentences::critical(format!(
                "keeping the structure for a successor: {error}; a crash now would forget changes"
            )));
        }
        // It changes after a configuration was read and compared, which takes far more memory than
        // it leaves in use.
        launch::give_back_memory();
    }

    /// Records a process with the run it has.
    pub(super) fn record_run(&mut self, id: ProcessId) {
        let run = self.processes.get(&id).and_then(|it| recorded_run(it));
        self.record(id, run);
    }

    /// Records a process with this run.
    pub(super) fn record(&mut self, id: ProcessId, run: Option<RecordedRun>) {
        self.records.changed.remove(&id);
        let Some(process) = self.processes.get(&id) else {
            return;
        };
        let Some(record) = self.fleet.record(id) else {
            return;
        };
        let record = Record {
            process: id,
            runs: process.runs,
            run,
            fleet: record,
        };
        let written = postcard::to_stdvec(&record)
            .map_err(std::io::Error::other)
            .and_then(|bytes| self.records.ledger.write(process.slot, &bytes));
        if let Err(error) = written {
            say(sentences::critical(format!(
                "recording {}: {error}; a crash now would forget its state",
                process.name
            )));
        }
    }
}

fn recorded_run(process: &Process) -> Option<RecordedRun> {
    let Run {
        id,
        pid,
        start_time,
        ending,
        ..
    } = process.run.as_ref()?;
    let (counter, pid, start_time) = (id.counter(), *pid, *start_time);
    Some(match ending {
        Some(ending) => RecordedRun::Ended {
            counter,
            pid,
            status: ending.status,
        },
        None => RecordedRun::Living {
            counter,
            pid,
            start_time,
        },
    })
}
