//! Updates: what is left to do until the fleet follows a new configuration.
//!
//! In Supervisor's order, each step for all it is about at once: what disappeared stops and
//! leaves; then what changed stops and comes back with its new policy, each as soon as it has
//! stopped; then what is new comes. So a program that moved from one group to another has stopped
//! before it starts again, and while something refuses to stop nothing else is taken down.
//!
//! A group is replaced as a whole or revised process by process, as the request wants it. What a
//! process can be given while it runs, it is given at once.
//!
//! An update belongs to the structure of the fleet, not to the request that asked for it: the next
//! brain goes on with it.
//!
//! Must never: stop anything that the update does not name.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Fleet;
use super::event::{
    Action, Cause, Changes, Done, GroupPolicy, Moment, Refusal, Report, Revision, Ticket,
};
use super::name::ProcessId;
use super::process::Process;
use super::state::State;
use super::steps::Input;
use crate::config::Policy;
use crate::ordered;

/// The rest of an update.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Update {
    removed: BTreeSet<String>,
    /// Processes that leave a group that stays.
    parting: BTreeSet<ProcessId>,
    changed: BTreeMap<String, GroupPolicy>,
    /// Processes of groups that stay which only a new start can change.
    replaced: BTreeMap<ProcessId, Policy>,
    /// Groups that stay, as they are to be.
    revised: BTreeMap<String, GroupPolicy>,
    added: Vec<GroupPolicy>,
    /// The step whose groups and processes were told to stop. Not kept: telling them twice does
    /// no harm.
    #[serde(skip)]
    begun: Option<Step>,
    /// Who wants to hear of it.
    #[serde(skip)]
    pub(super) ticket: Option<Ticket>,
}

/// Where an update stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Remove,
    Replace,
    Add,
}

/// Something that may have stopped for an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Quiet {
    Group(String),
    Process(ProcessId),
}

impl Update {
    fn step(&self) -> Step {
        if !self.removed.is_empty() || !self.parting.is_empty() {
            Step::Remove
        } else if !self.changed.is_empty() || !self.replaced.is_empty() {
            Step::Replace
        } else {
            Step::Add
        }
    }

    /// Whether this group is to stop in the present step.
    fn stops(&self, group: &str) -> bool {
        match self.step() {
            Step::Remove => self.removed.contains(group),
            Step::Replace => self.changed.contains_key(group),
            Step::Add => false,
        }
    }

    /// Whether this process of a group that stays is to stop in the present step.
    fn stops_process(&self, id: ProcessId) -> bool {
        match self.step() {
            Step::Remove => self.parting.contains(&id),
            Step::Replace => self.replaced.contains_key(&id),
            Step::Add => false,
        }
    }

    /// What a successor needs of it.
    pub(super) fn rest(&self) -> Update {
        Update {
            begun: None,
            ticket: None,
            ..self.clone()
        }
    }

    fn names(&self, group: &str) -> bool {
        self.removed.contains(group)
            || self.changed.contains_key(group)
            || self.revised.contains_key(group)
    }

    fn report(&self, subject: &str, result: Result<Done, Refusal>, actions: &mut Vec<Action>) {
        if let Some(ticket) = self.ticket {
            let subject = subject.to_owned();
            let report = Report { subject, result };
            actions.push(Action::Report { ticket, report });
        }
    }

    fn answered(&self, actions: &mut Vec<Action>) {
        actions.extend(self.ticket.map(|ticket| Action::Answered { ticket }));
    }

    /// Ends it before its time.
    pub(super) fn refuse_rest(self, why: &Refusal, actions: &mut Vec<Action>) {
        let added = self.added.iter().map(|group| &group.name);
        let whole = self.removed.iter().chain(self.changed.keys());
        for group in whole.chain(self.revised.keys()).chain(added) {
            self.report(group, Err(why.clone()), actions);
        }
        self.answered(actions);
    }
}

impl Fleet {
    /// Begins an update. Groups that it cannot have are reported and left alone.
    pub(super) fn open_update(
        &mut self,
        ticket: Ticket,
        changes: Changes,
        actions: &mut Vec<Action>,
    ) {
        let mut update = Update {
            added: changes.added,
            ticket: Some(ticket),
            ..Update::default()
        };
        for name in changes.removed {
            match self.update_refusal(&name) {
                Some(refusal) => update.report(&name, Err(refusal), actions),
                None => drop(update.removed.insert(name)),
            }
        }
        for group in changes.changed {
            match self.update_refusal(&group.name) {
                Some(refusal) => update.report(&group.name, Err(refusal), actions),
                None => drop(update.changed.insert(group.name.clone(), group)),
            }
        }
        for revision in changes.revised {
            match self.update_refusal(&revision.group.name) {
                Some(refusal) => update.report(&revision.group.name, Err(refusal), actions),
                None => self.revise(&mut update, revision, actions),
            }
        }
        ordered::sort_by(&mut update.added, |a, b| {
            (a.priority, &a.name).cmp(&(b.priority, &b.name))
        });
        self.updates.push(update);
        self.unsaved.structure = true;
    }

    /// Takes a revision into an update, and does at once what needs no stop.
    fn revise(&mut self, update: &mut Update, revision: Revision, actions: &mut Vec<Action>) {
        let Revision {
            group,
            replaced,
            adjusted,
        } = revision;
        self.roster.reprioritize(&group.name, group.priority);
        let present = self.roster.group(&group.name);
        let ids = present.map(|group| group.processes.clone());
        for id in ids.unwrap_or_default() {
            let Some(process) = self.roster.get_mut(id) else {
                continue;
            };
            let listed = |(name, _): &&(String, Policy)| *name == process.name().process;
            match group.processes.iter().find(listed) {
                None => drop(update.parting.insert(id)),
                Some((name, policy)) if replaced.contains(name) => {
                    update.replaced.insert(id, policy.clone());
                }
                Some((name, policy)) if adjusted.contains(name) => {
                    process.follow(policy.clone());
                    let done = match process.is_active() {
                        true => Done::Adjusted,
                        false => Done::Updated,
                    };
                    let subject = process.name().to_string();
                    self.unsaved.processes.insert(id);
                    actions.push(Action::Revised { process: id });
                    update.report(&subject, Ok(done), actions);
                }
                Some(_) => {}
            }
        }
        update.revised.insert(group.name.clone(), group);
    }

    fn update_refusal(&self, group: &str) -> Option<Refusal> {
        if self.roster.group(group).is_none() {
            Some(Refusal::NoSuchGroup)
        } else if self.updates.iter().any(|update| update.names(group)) {
            Some(Refusal::StillRunning)
        } else {
            None
        }
    }

    /// Whether a group is being stopped by an update.
    pub(super) fn is_departing(&self, group: &str) -> bool {
        self.updates.iter().any(|update| update.stops(group))
    }

    /// Takes one step of one update; false when none can be taken now.
    pub(super) fn advance_updates(&mut self, now: Moment, actions: &mut Vec<Action>) -> bool {
        if let Some(index) = self
            .updates
            .iter()
            .position(|one| one.begun != Some(one.step()))
        {
            self.begin_step(now, index, actions);
            return true;
        }
        match self.quiet.pop_front() {
            None => return false,
            Some(Quiet::Group(group)) => {
                let present = self.roster.group(&group);
                let at_rest = present.is_none_or(|group| group.living == 0);
                let index = self.updates.iter().position(|update| update.stops(&group));
                if let (true, Some(index)) = (at_rest, index) {
                    self.depart(now, index, &group, actions);
                }
            }
            Some(Quiet::Process(id)) => {
                let process = self.roster.get(id);
                let at_rest = process.is_some_and(|process| process.state().is_stopped());
                let stops = |update: &Update| update.stops_process(id);
                let index = self.updates.iter().position(stops);
                if let (true, Some(index)) = (at_rest, index) {
                    self.process_at_rest(index, id, actions);
                }
            }
        }
        true
    }

    fn begin_step(&mut self, now: Moment, index: usize, actions: &mut Vec<Action>) {
        let update = &mut self.updates[index];
        let step = update.step();
        update.begun = Some(step);
        match step {
            Step::Remove => {
                let (groups, parting) = (update.removed.clone(), update.parting.clone());
                self.stop_groups(now, groups, actions);
                self.stop_processes(now, parting, actions);
            }
            Step::Replace => {
                let groups = ordered::set(update.changed.keys().cloned());
                let replaced: Vec<_> = update.replaced.clone().into_iter().collect();
                self.stop_groups(now, groups, actions);
                for (id, policy) in &replaced {
                    self.bring_back(*id, policy);
                }
                let ids = ordered::set(replaced.into_iter().map(|(id, _)| id));
                self.stop_processes(now, ids, actions);
            }
            Step::Add => self.finish_update(now, index, actions),
        }
    }

    fn stop_groups(&mut self, now: Moment, groups: BTreeSet<String>, actions: &mut Vec<Action>) {
        for name in groups {
            let processes = self
                .roster
                .group(&name)
                .map(|group| group.processes.clone());
            for id in self.roster.stop_order(&processes.unwrap_or_default()) {
                self.cancel_restart(id, &Refusal::AbnormalTermination);
                self.drive(now, id, Input::Stop(Cause::Asked), actions);
            }
            self.quiet.push_back(Quiet::Group(name));
        }
    }

    fn stop_processes(&mut self, now: Moment, ids: BTreeSet<ProcessId>, actions: &mut Vec<Action>) {
        let ids: Vec<ProcessId> = ids.into_iter().collect();
        for id in self.roster.stop_order(&ids) {
            self.drive(now, id, Input::Stop(Cause::Asked), actions);
            self.quiet.push_back(Quiet::Process(id));
        }
    }

    /// A process that is replaced and is to run afterwards restarts in a round of its own, for
    /// that is recorded with it: whatever dies meanwhile, it is started once it has stopped.
    fn bring_back(&mut self, id: ProcessId, policy: &Policy) {
        let Some(process) = self.roster.get(id) else {
            return;
        };
        if process.round.is_none() && comes_back(process, policy) {
            let round = self.rounds.unused();
            self.join_round(round, id);
        }
    }

    /// A process of a group that stays has stopped: it leaves, or has its new policy.
    fn process_at_rest(&mut self, index: usize, id: ProcessId, actions: &mut Vec<Action>) {
        let update = &mut self.updates[index];
        update.parting.remove(&id);
        let policy = update.replaced.remove(&id);
        let done = match policy {
            None => {
                self.release(id);
                let name = self.roster.part(id);
                actions.push(Action::Left { process: id });
                name.map(|name| (name, Done::Removed))
            }
            Some(policy) => self.roster.get_mut(id).map(|process| {
                process.follow(policy);
                actions.push(Action::Revised { process: id });
                let done = match process.round {
                    Some(_) => Done::Restarted,
                    None => Done::Updated,
                };
                (process.name().clone(), done)
            }),
        };
        if let Some((name, done)) = done {
            self.updates[index].report(&name.to_string(), Ok(done), actions);
        }
        self.unsaved.processes.insert(id);
        self.unsaved.structure = true;
    }

    /// A group of the present step has stopped: it leaves, and comes back if it has changed.
    fn depart(&mut self, now: Moment, index: usize, name: &str, actions: &mut Vec<Action>) {
        self.updates[index].report(name, Ok(Done::Stopped), actions);
        self.expel(name, actions);
        self.updates[index].removed.remove(name);
        let done = match self.updates[index].changed.remove(name) {
            None => Done::Removed,
            Some(group) => {
                let admitted = self.admit(group, actions).unwrap_or_default();
                self.autostart(now, &admitted, actions);
                Done::Updated
            }
        };
        self.updates[index].report(name, Ok(done), actions);
        self.unsaved.structure = true;
    }

    /// Nothing is left but to let the new processes and groups come.
    fn finish_update(&mut self, now: Moment, index: usize, actions: &mut Vec<Action>) {
        let mut update = self.updates.remove(index);
        let mut admitted = Vec::new();
        for (group, policy) in std::mem::take(&mut update.revised) {
            let processes = self.roster.join(&group, policy.processes);
            for (id, name) in &processes {
                admitted.push(*id);
                update.report(&name.to_string(), Ok(Done::Added), actions);
            }
            self.unsaved
                .processes
                .extend(processes.iter().map(|(id, _)| *id));
            if !processes.is_empty() {
                let group = group.clone();
                actions.push(Action::Joined { group, processes });
            }
            actions.push(Action::GroupRevised { group });
        }
        for group in std::mem::take(&mut update.added) {
            let name = group.name.clone();
            let result = match self.admit(group, actions) {
                Some(ids) => {
                    admitted.extend(ids);
                    Ok(Done::Added)
                }
                None => Err(Refusal::AlreadyAdded),
            };
            update.report(&name, result, actions);
        }
        self.autostart(now, &admitted, actions);
        update.answered(actions);
        self.unsaved.structure = true;
    }
}

/// Whether a process whose configuration is replaced runs afterwards: if it runs now, or if it
/// would run by itself and nobody stopped it.
pub(super) fn comes_back(process: &Process, policy: &Policy) -> bool {
    process.is_active()
        || process.round.is_some()
        || (policy.autostart && !process.is_stopped_by_hand() && process.state() != State::Unknown)
}
