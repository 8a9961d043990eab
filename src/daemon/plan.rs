//! The plan of an update: what the fleet is asked for to follow a configuration, and what that
//! means for each process, option by option. Pure: the same plan is shown and carried out.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Differences, GroupConfig, OptionChange};
use crate::fleet::{Changes, Deed, Fleet, GroupPolicy, ProcessName, Revision};
use crate::ordered;

/// What an update does.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What the fleet is asked for.
    pub changes: Changes,
    /// Options that differ, by process.
    options: BTreeMap<ProcessName, Vec<OptionDifference>>,
    /// Groups that have another priority.
    priorities: BTreeMap<String, Vec<OptionDifference>>,
}

/// An option that differs, and whose section it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionDifference {
    /// The program.
    pub program: String,
    /// What differs.
    pub change: OptionChange,
}

/// A line of a plan: process or `group:*`, what happens to it, and the options that differ.
pub type Told<'a> = (String, Deed, &'a [OptionDifference]);

impl Plan {
    /// The plan for these differences. With `whole_groups`, a group of which anything differs is
    /// replaced as a whole.
    pub fn of(
        in_force: &BTreeMap<String, GroupConfig>,
        differences: &Differences,
        whole_groups: bool,
    ) -> Plan {
        let mut plan = Plan::default();
        plan.changes.removed.clone_from(&differences.removed);
        plan.changes.added = differences.added.values().map(group_policy).collect();
        for (name, after) in &differences.changed {
            let Some(before) = in_force.get(name) else {
                continue;
            };
            let by_process = Differences::by_process(before, after);
            if before.priority != after.priority {
                let change = OptionChange {
                    option: "priority".to_owned(),
                    old: before.priority.to_string(),
                    new: after.priority.to_string(),
                };
                let program = name.clone();
                let difference = OptionDifference { program, change };
                plan.priorities.insert(name.clone(), vec![difference]);
            }
            match by_process {
                Some(processes) if !whole_groups => {
                    let revision = Revision {
                        group: group_policy(after),
                        replaced: named(&processes, |change| !change.is_adjustable()),
                        adjusted: named(&processes, OptionChange::is_adjustable),
                    };
                    plan.note(after, processes);
                    plan.changes.revised.push(revision);
                }
                processes => {
                    plan.note(after, processes.unwrap_or_default());
                    plan.changes.changed.push(group_policy(after));
                }
            }
        }
        plan
    }

    fn note(&mut self, group: &GroupConfig, processes: BTreeMap<String, Vec<OptionChange>>) {
        for (process, changes) in processes {
            let config = group.processes.iter().find(|one| one.name == process);
            let program = config.map_or_else(String::new, |config| config.program.clone());
            let name = ProcessName {
                group: group.name.clone(),
                process,
            };
            let differing = changes.into_iter().map(|change| OptionDifference {
                program: program.clone(),
                change,
            });
            self.options.insert(name, differing.collect());
        }
    }

    /// What it means for this fleet, line by line, in the order in which it is carried out.
    pub fn told(&self, fleet: &Fleet) -> Vec<Told<'_>> {
        let of_groups = self.priorities.iter().filter(|(name, _)| {
            let mut revised = self.changes.revised.iter();
            revised.any(|revision| revision.group.name == **name)
        });
        let groups =
            of_groups.map(|(name, differing)| (format!("{name}:*"), Deed::Adjust, &differing[..]));
        let processes = fleet.foresee(&self.changes).into_iter();
        let processes = processes.map(|(name, deed)| {
            let options = self.options.get(&name).map_or(&[][..], Vec::as_slice);
            (name.to_string(), deed, options)
        });
        groups.chain(processes).collect()
    }
}

/// Processes with an option of this sort that differs.
fn named(
    processes: &BTreeMap<String, Vec<OptionChange>>,
    sort: impl Fn(&OptionChange) -> bool,
) -> BTreeSet<String> {
    let chosen = processes
        .iter()
        .filter(|(_, changes)| changes.iter().any(&sort));
    ordered::set(chosen.map(|(name, _)| name.clone()))
}

/// A group as the fleet knows it.
pub fn group_policy(group: &GroupConfig) -> GroupPolicy {
    let processes = group.processes.iter();
    GroupPolicy {
        name: group.name.clone(),
        priority: group.priority,
        processes: processes
            .map(|process| (process.name.clone(), process.policy.clone()))
            .collect(),
    }
}
