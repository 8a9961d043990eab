//! What a successor needs to go on where a brain died: one [`Record`] per process, saved whenever
//! it changes, and one [`Structure`], saved whenever groups come or go.
//!
//! Stamps stay valid, for the monotonic clock is the same for every brain of one boot. Jobs are
//! not kept: whoever asked has lost the connection with the brain. Intents are: a restart lives in
//! the records of its processes, an update in the structure.
//!
//! A successor may find a record that is older than the structure, never a newer one. So whatever
//! the structure wants done to processes (stop for an update, stop to leave) is told them again.
//!
//! Must never: know where or in which encoding this is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ending::Ending;
use super::event::{ExitStatus, GroupPolicy, Moment, Stamp};
use super::name::{ProcessId, ProcessName};
use super::pace::Pace;
use super::phase::Phase;
use super::process::Process;
use super::restart::Round;
use super::roster::Roster;
use super::state::State;
use super::update::Update;
use super::{Fleet, Leaving, Mode};

/// Bytes of a spawn error that a record keeps.
pub const SPAWN_ERROR_BYTES_MAX: usize = 256;

/// One process, small enough to be written on every change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub(super) phase: Phase,
    started: Option<Moment>,
    ended: Option<Moment>,
    exit_status: Option<ExitStatus>,
    spawn_error: Option<String>,
    pace: Pace,
    round: Option<Round>,
}

impl Record {
    /// The state that was recorded.
    pub fn state(&self) -> State {
        self.phase.state()
    }

    /// The pid that was recorded.
    pub fn pid(&self) -> Option<i32> {
        self.phase.pid()
    }
}

/// Everything that is not about one process: groups with their ids, and what the fleet is up to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    groups: Vec<(GroupPolicy, Vec<ProcessId>)>,
    next_id: u32,
    leaving: Option<KeptLeaving>,
    updates: Vec<Update>,
    ending: Ending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct KeptLeaving {
    start_over: bool,
}

/// Why a structure cannot be restored: it was not written by [`Fleet::structure`], or is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreError {
    /// Two groups have this name.
    GroupTwice(String),
    /// Two processes have this name.
    NameTwice(ProcessName),
    /// Two processes have this id.
    IdTwice(ProcessId),
    /// A process has an id that was not given yet.
    IdNotGiven(ProcessId),
    /// The group's ids are not as many as its processes.
    IdsMissing(String),
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot restore the fleet: ")?;
        match self {
            RestoreError::GroupTwice(group) => write!(f, "two groups are named '{group}'"),
            RestoreError::NameTwice(name) => write!(f, "two processes are named '{name}'"),
            RestoreError::IdTwice(id) => write!(f, "two processes have id {}", id.0),
            RestoreError::IdNotGiven(id) => write!(f, "id {} was never given", id.0),
            RestoreError::IdsMissing(group) => {
                write!(f, "group '{group}' does not have one id for each process")
            }
        }
    }
}

impl std::error::Error for RestoreError {}

impl Fleet {
    /// What to keep of a process; `None` once it has left.
    pub fn record(&self, process: ProcessId) -> Option<Record> {
        let process = self.roster.get(process)?;
        Some(Record {
            phase: process.phase,
            started: process.started,
            ended: process.ended,
            exit_status: process.exit_status,
            spawn_error: process.spawn_error.as_deref().map(|text| {
                let end = text.floor_char_boundary(SPAWN_ERROR_BYTES_MAX);
                text[..end].to_owned()
            }),
            pace: process.pace,
            round: process.round,
        })
    }

    /// What to keep of the whole.
    pub fn structure(&self) -> Structure {
        let groups = self.roster.groups().map(|(name, group)| {
            let processes = group.processes.iter().filter_map(|id| self.roster.get(*id));
            let policy = GroupPolicy {
                name: name.to_owned(),
                priority: group.priority,
                processes: processes
                    .map(|one| (one.name().process.clone(), one.policy().clone()))
                    .collect(),
            };
            (policy, group.processes.clone())
        });
        Structure {
            groups: groups.collect(),
            next_id: self.roster.next_id(),
            leaving: match self.mode {
                Mode::Running => None,
                Mode::Leaving(Leaving { start_over, .. }) | Mode::Left { start_over } => {
                    Some(KeptLeaving { start_over })
                }
            },
            updates: self.updates.iter().map(Update::rest).collect(),
            ending: self.ending,
        }
    }

    /// A fleet that goes on from there. Hand in a [`Tick`](super::Event::Tick) at once.
    ///
    /// What happened meanwhile is to be told as events: every pid that is gone as
    /// [`Exited`](super::Event::Exited), and for every process that
    /// [`is_launching`](Process::is_launching) whether the start was carried out; if it was not,
    /// it is to be carried out now. Records of unknown processes are ignored. A process without
    /// a record was admitted at the last moment: it is launching if it is to be autostarted.
    pub fn restore(
        structure: Structure,
        mut records: BTreeMap<ProcessId, Record>,
    ) -> Result<Fleet, RestoreError> {
        let leaving = structure.leaving;
        let mut fleet = Fleet {
            roster: Roster::from_id(structure.next_id),
            ending: structure.ending,
            ..Fleet::default()
        };
        let mut ids = BTreeSet::new();
        for (group, group_ids) in structure.groups {
            fleet.check_group(&group, &group_ids, &mut ids)?;
            let processes = group.processes.into_iter().zip(group_ids).map(|(one, id)| {
                let name = ProcessName {
                    group: group.name.clone(),
                    process: one.0,
                };
                restore_process(Process::new(id, name, one.1), records.remove(&id), leaving)
            });
            fleet
                .roster
                .settle_in(group.name.clone(), group.priority, processes.collect());
        }
        for id in ids {
            let Some(process) = fleet.roster.get(id) else {
                continue;
            };
            fleet
                .deadlines
                .extend(process.deadline().map(|due| (due, id)));
            if let Some(round) = process.round {
                fleet.rounds.join(round, id, !process.state().is_stopped());
            }
        }
        match leaving {
            None => fleet.updates = structure.updates,
            Some(KeptLeaving { start_over }) => {
                fleet.mode = Mode::Leaving(Leaving {
                    start_over,
                    name_living_at: Stamp(0),
                    ..Leaving::default()
                });
            }
        }
        Ok(fleet)
    }

    fn check_group(
        &self,
        group: &GroupPolicy,
        group_ids: &[ProcessId],
        ids: &mut BTreeSet<ProcessId>,
    ) -> Result<(), RestoreError> {
        if self.roster.group(&group.name).is_some() {
            return Err(RestoreError::GroupTwice(group.name.clone()));
        }
        if group.processes.len() != group_ids.len() {
            return Err(RestoreError::IdsMissing(group.name.clone()));
        }
        for id in group_ids {
            if id.0 >= self.roster.next_id() {
                return Err(RestoreError::IdNotGiven(*id));
            }
            if !ids.insert(*id) {
                return Err(RestoreError::IdTwice(*id));
            }
        }
        let mut names = BTreeSet::new();
        for (name, _) in &group.processes {
            if !names.insert(name) {
                let (group, process) = (group.name.clone(), name.clone());
                return Err(RestoreError::NameTwice(ProcessName { group, process }));
            }
        }
        Ok(())
    }
}

fn restore_process(
    mut process: Process,
    record: Option<Record>,
    leaving: Option<KeptLeaving>,
) -> Process {
    match record {
        Some(record) => {
            process.phase = record.phase;
            process.started = record.started;
            process.ended = record.ended;
            process.exit_status = record.exit_status;
            process.spawn_error = record.spawn_error;
            process.pace = record.pace;
            process.round = record.round.filter(|_| leaving.is_none());
        }
        None if process.policy().autostart && leaving.is_none() => {
            process.phase = Phase::Launching { failures: 0 };
        }
        None => {}
    }
    process
}
