//! Updates: what is left to do until the fleet follows a new configuration.
//!
//! In Supervisor's order, each step for all its groups at once: groups that disappeared stop and
//! leave; then groups that changed stop, leave and come back with their new policy, each as soon
//! as it has stopped; then new groups come. So a program that moved from one group to another has
//! stopped before it starts again, and while something refuses to stop nothing else is taken down.
//!
//! An update belongs to the structure of the fleet, not to the request that asked for it: the next
//! brain goes on with it.
//!
//! Must never: stop a group that the update does not name.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Fleet;
use super::event::{Action, Cause, Done, GroupPolicy, Moment, Refusal, Report, Ticket};
use super::process::Input;

/// The rest of an update.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Update {
    removed: BTreeSet<String>,
    changed: BTreeMap<String, GroupPolicy>,
    added: Vec<GroupPolicy>,
    /// The step whose groups were told to stop. Not kept: telling them twice does no harm.
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

impl Update {
    fn step(&self) -> Step {
        if !self.removed.is_empty() {
            Step::Remove
        } else if !self.changed.is_empty() {
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

    /// What a successor needs of it.
    pub(super) fn rest(&self) -> Update {
        Update {
            begun: None,
            ticket: None,
            ..self.clone()
        }
    }

    fn names(&self, group: &str) -> bool {
        self.removed.contains(group) || self.changed.contains_key(group)
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
        for group in self.removed.iter().chain(self.changed.keys()).chain(added) {
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
        removed: Vec<String>,
        changed: Vec<GroupPolicy>,
        added: Vec<GroupPolicy>,
        actions: &mut Vec<Action>,
    ) {
        let mut update = Update {
            added,
            ticket: Some(ticket),
            ..Update::default()
        };
        for name in removed {
            match self.update_refusal(&name) {
                Some(refusal) => update.report(&name, Err(refusal), actions),
                None => drop(update.removed.insert(name)),
            }
        }
        for group in changed {
            match self.update_refusal(&group.name) {
                Some(refusal) => update.report(&group.name, Err(refusal), actions),
                None => drop(update.changed.insert(group.name.clone(), group)),
            }
        }
        update
            .added
            .sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
        self.updates.push(update);
        self.unsaved.structure = true;
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
        let Some(group) = self.quiet.pop_front() else {
            return false;
        };
        let at_rest = self
            .roster
            .group(&group)
            .is_none_or(|group| group.living == 0);
        let index = self.updates.iter().position(|update| update.stops(&group));
        if let (true, Some(index)) = (at_rest, index) {
            self.depart(now, index, &group, actions);
        }
        true
    }

    fn begin_step(&mut self, now: Moment, index: usize, actions: &mut Vec<Action>) {
        let update = &mut self.updates[index];
        let step = update.step();
        update.begun = Some(step);
        let groups = match step {
            Step::Remove => update.removed.clone(),
            Step::Replace => update.changed.keys().cloned().collect(),
            Step::Add => BTreeSet::new(),
        };
        match step {
            Step::Remove | Step::Replace => self.stop_groups(now, groups, actions),
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
            self.quiet.push_back(name);
        }
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

    /// Nothing is left but to let the new groups come.
    fn finish_update(&mut self, now: Moment, index: usize, actions: &mut Vec<Action>) {
        let mut update = self.updates.remove(index);
        let mut admitted = Vec::new();
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
