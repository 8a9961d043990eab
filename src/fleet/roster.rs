//! Who is in the fleet: groups, processes, their ids and the orders in which they are treated.
//!
//! Ids are given in order of admission and never given twice. The roster also knows at any moment
//! which processes have not stopped, by priority of their group, for that is what a shutdown asks.
//!
//! Must never: change the state of a process.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::event::GroupPolicy;
use super::name::{ProcessId, ProcessName};
use super::process::Process;
use crate::config::Policy;
use crate::ordered;

/// A group of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Lower starts first and stops last.
    pub priority: i64,
    /// Its processes in starting order.
    pub processes: Vec<ProcessId>,
    /// How many of them have not stopped.
    pub(super) living: usize,
}

/// Groups and processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Roster {
    groups: BTreeMap<String, Group>,
    /// Boxed: a map made in the order of its keys has room for as much again as is in it.
    processes: BTreeMap<ProcessId, Box<Process>>,
    names: BTreeMap<ProcessName, ProcessId>,
    /// Processes that have not stopped, by priority of their group.
    living: BTreeMap<i64, BTreeSet<ProcessId>>,
    next_id: u32,
}

impl Roster {
    /// A roster that gives ids from `next_id` on.
    pub(super) fn from_id(next_id: u32) -> Roster {
        Roster {
            next_id,
            ..Roster::default()
        }
    }

    pub(super) fn next_id(&self) -> u32 {
        self.next_id
    }

    /// Admits a group under new ids. The caller has made sure that its name is free; names within
    /// it are unique by configuration, and of two equal ones only the first is admitted.
    pub(super) fn admit(&mut self, policy: GroupPolicy) -> Vec<(ProcessId, ProcessName)> {
        let mut processes: Vec<Process> = Vec::new();
        for (name, process) in policy.processes {
            let name = ProcessName {
                group: policy.name.clone(),
                process: name,
            };
            if let Entry::Vacant(free) = self.names.entry(name.clone()) {
                let id = ProcessId(self.next_id);
                self.next_id = self.next_id.saturating_add(1);
                free.insert(id);
                processes.push(Process::new(id, name, process));
            }
        }
        let admitted = processes
            .iter()
            .map(|one| (one.id(), one.name().clone()))
            .collect();
        self.settle_in(policy.name, policy.priority, processes);
        admitted
    }

    /// Takes in a group whose processes have ids and states already.
    pub(super) fn settle_in(&mut self, name: String, priority: i64, processes: Vec<Process>) {
        let ids: Vec<ProcessId> = processes.iter().map(Process::id).collect();
        let living = processes
            .iter()
            .filter(|process| !process.state().is_stopped());
        let living: Vec<ProcessId> = living.map(Process::id).collect();
        for process in processes {
            self.names.insert(process.name().clone(), process.id());
            self.processes.insert(process.id(), Box::new(process));
        }
        let group = Group {
            priority,
            processes: ids,
            living: living.len(),
        };
        self.groups.insert(name, group);
        if !living.is_empty() {
            self.living.entry(priority).or_default().extend(living);
        }
    }

    /// Removes a group and its processes.
    pub(super) fn expel(&mut self, name: &str) -> Option<Vec<ProcessId>> {
        let group = self.groups.remove(name)?;
        for id in &group.processes {
            if let Some(process) = self.processes.remove(id) {
                self.names.remove(process.name());
            }
        }
        Some(group.processes)
    }

    /// Gives a group another priority.
    pub(super) fn reprioritize(&mut self, name: &str, priority: i64) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let before = std::mem::replace(&mut group.priority, priority);
        if let Some(level) = self.living.get_mut(&before) {
            let living: Vec<ProcessId> = group
                .processes
                .iter()
                .filter(|id| level.remove(id))
                .copied()
                .collect();
            if level.is_empty() {
                self.living.remove(&before);
            }
            if !living.is_empty() {
                self.living.entry(priority).or_default().extend(living);
            }
        }
    }

    /// Admits further processes to a group; those whose name is taken are passed over.
    pub(super) fn join(
        &mut self,
        group: &str,
        processes: Vec<(String, Policy)>,
    ) -> Vec<(ProcessId, ProcessName)> {
        let mut joined = Vec::new();
        let Some(members) = self.groups.get_mut(group) else {
            return joined;
        };
        for (process, policy) in processes {
            let group = group.to_owned();
            let name = ProcessName { group, process };
            if let Entry::Vacant(free) = self.names.entry(name.clone()) {
                let id = ProcessId(self.next_id);
                self.next_id = self.next_id.saturating_add(1);
                free.insert(id);
                self.processes
                    .insert(id, Box::new(Process::new(id, name.clone(), policy)));
                members.processes.push(id);
                joined.push((id, name));
            }
        }
        joined
    }

    /// Removes one process, which has stopped, from its group.
    pub(super) fn part(&mut self, id: ProcessId) -> Option<ProcessName> {
        let name = self.processes.remove(&id)?.name().clone();
        self.names.remove(&name);
        if let Some(group) = self.groups.get_mut(&name.group) {
            group.processes.retain(|other| *other != id);
        }
        Some(name)
    }

    pub(super) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(name)
    }

    /// Groups by name.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.groups
            .iter()
            .map(|(name, group)| (name.as_str(), group))
    }

    pub(super) fn find(&self, name: &ProcessName) -> Option<ProcessId> {
        self.names.get(name).copied()
    }

    pub(super) fn get(&self, id: ProcessId) -> Option<&Process> {
        self.processes.get(&id).map(Box::as_ref)
    }

    pub(super) fn get_mut(&mut self, id: ProcessId) -> Option<&mut Process> {
        self.processes.get_mut(&id).map(Box::as_mut)
    }

    /// Processes by (group, name).
    pub(super) fn by_name(&self) -> impl Iterator<Item = &Process> {
        self.names.values().filter_map(|id| self.get(*id))
    }

    /// Ids in order of admission.
    pub(super) fn ids(&self) -> Vec<ProcessId> {
        self.processes.keys().copied().collect()
    }

    /// Notes that a process started to live or stopped.
    pub(super) fn count(&mut self, id: ProcessId, lives: bool) {
        let Some(process) = self.processes.get(&id) else {
            return;
        };
        let Some(group) = self.groups.get_mut(&process.name().group) else {
            return;
        };
        let level = self.living.entry(group.priority).or_default();
        if lives && level.insert(id) {
            group.living += 1;
        } else if !lives && level.remove(&id) {
            group.living -= 1;
        }
        if level.is_empty() {
            self.living.remove(&group.priority);
        }
    }

    /// The highest priority at which something has not stopped, and what that is.
    pub(super) fn top_level(&self) -> Option<(i64, &BTreeSet<ProcessId>)> {
        self.living
            .last_key_value()
            .map(|(priority, level)| (*priority, level))
    }

    /// Everything that has not stopped, by (group, name).
    pub(super) fn living(&self) -> Vec<ProcessName> {
        let living = self
            .living
            .values()
            .flatten()
            .filter_map(|id| self.processes.get(id));
        let mut names: Vec<ProcessName> = living.map(|process| process.name().clone()).collect();
        ordered::sort(&mut names);
        names
    }

    /// Sorted for starting: groups by (priority, name), processes within by priority, then as
    /// configured.
    pub(super) fn start_order(&self, ids: &[ProcessId]) -> Vec<ProcessId> {
        let mut sorted = ids.to_vec();
        ordered::sort_by_key(&mut sorted, |id| {
            self.get(*id).map(|process| {
                let group = process.name().group.as_str();
                let priority = self.groups.get(group).map(|group| group.priority);
                (priority, group, process.policy().priority, *id)
            })
        });
        sorted
    }

    /// Sorted for stopping: the reverse of starting.
    pub(super) fn stop_order(&self, ids: &[ProcessId]) -> Vec<ProcessId> {
        let mut sorted = self.start_order(ids);
        sorted.reverse();
        sorted
    }

    /// Sorted by (group, name).
    pub(super) fn name_order(&self, ids: &[ProcessId]) -> Vec<ProcessId> {
        let mut sorted = ids.to_vec();
        ordered::sort_by_key(&mut sorted, |id| self.get(*id).map(Process::name));
        sorted
    }
}
