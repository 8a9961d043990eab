//! What an update would do, told before anything is done.
//!
//! Must never: change anything, nor tell otherwise than `update.rs` does.

use super::Fleet;
use super::event::{Changes, Deed, GroupPolicy, Revision};
use super::name::ProcessName;
use super::state::State;
use super::update::comes_back;
use crate::config::Policy;

impl Fleet {
    /// What an update would mean for every process that it touches, in its order.
    pub fn foresee(&self, changes: &Changes) -> Vec<(ProcessName, Deed)> {
        let mut deeds = Vec::new();
        for name in &changes.removed {
            self.foresee_group(name, None, &mut deeds);
        }
        let (mut parting, mut staying) = (Vec::new(), Vec::new());
        for revision in &changes.revised {
            self.foresee_revision(revision, &mut parting, &mut staying);
        }
        deeds.append(&mut parting);
        for group in &changes.changed {
            self.foresee_group(&group.name, Some(group), &mut deeds);
        }
        let (staying, joining): (Vec<_>, Vec<_>) = staying
            .into_iter()
            .partition(|(name, _)| self.find(name).is_some());
        deeds.extend(staying);
        deeds.extend(joining);
        for group in &changes.added {
            let processes = group.processes.iter();
            deeds.extend(processes.map(|(name, policy)| (of(group, name), arrival(policy))));
        }
        deeds
    }

    fn foresee_group(
        &self,
        name: &str,
        follower: Option<&GroupPolicy>,
        deeds: &mut Vec<(ProcessName, Deed)>,
    ) {
        let present = self.roster.group(name);
        let ids = present.map_or(&[][..], |group| &group.processes);
        let next = |process: &str| {
            let mut processes = follower.into_iter().flat_map(|group| &group.processes);
            processes.find(|(name, _)| name == process)
        };
        for process in ids.iter().filter_map(|id| self.roster.get(*id)) {
            let runs = process.is_active() || process.state() == State::Stopping;
            let deed = match (next(&process.name().process), runs) {
                (None, true) => Deed::Stop,
                (None, false) => Deed::Remove,
                (Some((_, policy)), true) if policy.autostart => Deed::Restart,
                (Some(_), true) => Deed::Stop,
                (Some((_, policy)), false) if policy.autostart => Deed::Start,
                (Some(_), false) => Deed::Change,
            };
            deeds.push((process.name().clone(), deed));
        }
        let Some(group) = follower else { return };
        for (process, policy) in &group.processes {
            let name = of(group, process);
            if self.find(&name).is_none() {
                deeds.push((name, arrival(policy)));
            }
        }
    }

    fn foresee_revision(
        &self,
        revision: &Revision,
        parting: &mut Vec<(ProcessName, Deed)>,
        staying: &mut Vec<(ProcessName, Deed)>,
    ) {
        let group = &revision.group;
        let present = self.roster.group(&group.name);
        let ids = present.map_or(&[][..], |group| &group.processes);
        for process in ids.iter().filter_map(|id| self.roster.get(*id)) {
            let listed = |(name, _): &&(String, Policy)| *name == process.name().process;
            let name = process.name().clone();
            let runs = process.is_active() || process.state() == State::Stopping;
            match group.processes.iter().find(listed) {
                None if runs => parting.push((name, Deed::Stop)),
                None => parting.push((name, Deed::Remove)),
                Some((own, policy)) if revision.replaced.contains(own) => {
                    let deed = match (comes_back(process, policy), process.is_active()) {
                        (true, true) => Deed::Restart,
                        (true, false) => Deed::Start,
                        (false, _) => Deed::Change,
                    };
                    staying.push((name, deed));
                }
                Some((own, _)) if revision.adjusted.contains(own) => {
                    let deed = match process.is_active() {
                        true => Deed::Adjust,
                        false => Deed::Change,
                    };
                    staying.push((name, deed));
                }
                Some(_) => {}
            }
        }
        for (process, policy) in &group.processes {
            let name = of(group, process);
            if self.find(&name).is_none() {
                staying.push((name, arrival(policy)));
            }
        }
    }
}

/// What becomes of a new process.
fn arrival(policy: &Policy) -> Deed {
    match policy.autostart {
        true => Deed::Start,
        false => Deed::Add,
    }
}

fn of(group: &GroupPolicy, process: &str) -> ProcessName {
    ProcessName {
        group: group.name.clone(),
        process: process.to_owned(),
    }
}
