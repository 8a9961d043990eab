//! The pure core: what every process does next, and why.
//!
//! [`Fleet::handle`] takes a moment and an event and appends [`Action`]s; [`Fleet::next_deadline`]
//! says when it wants to be woken. It owns processes, groups and the jobs that clients asked for.
//!
//! Deadlines fall due on [`Event::Tick`] only. So the caller can, and should, hand in what has
//! happened before it lets time pass: a process that ended before `startsecs` is then never taken
//! for one that stayed up, however late it was noticed.
//!
//! Must never: read a clock, do I/O, await, draw random numbers, iterate in hash order.

mod check;
mod ending;
pub mod event;
mod foresee;
mod job;
pub mod name;
pub mod pace;
mod phase;
pub mod process;
mod request;
pub mod restart;
mod roster;
pub mod selection;
pub mod snapshot;
pub mod state;
pub mod steps;
mod update;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

pub use ending::EndWhen;
pub use event::*;
pub use name::*;
pub use process::Process;
pub use roster::Group;
pub use selection::Selected;
pub use snapshot::{Record, RestoreError, Structure};
pub use state::*;

use ending::Ending;
use job::Jobs;
use restart::{Round, Rounds};
use roster::Roster;
use steps::Input;
use update::{Quiet, Update};

/// While leaving, those that still live are named this often.
pub const WAITING_INTERVAL: Duration = Duration::from_secs(3);

/// Every process under supervision, and everything that is being done with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    roster: Roster,
    mode: Mode,
    /// What each process waits for.
    deadlines: BTreeSet<(Stamp, ProcessId)>,
    jobs: Jobs,
    rounds: Rounds,
    updates: Vec<Update>,
    /// What an update may find stopped.
    quiet: VecDeque<Quiet>,
    ending: Ending,
    unsaved: Unsaved,
}

/// Whether the fleet stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Mode {
    /// It stays.
    #[default]
    Running,
    /// It stops everything, one level of priority after the other.
    Leaving(Leaving),
    /// It has stopped everything and said so.
    Left {
        /// To start over.
        start_over: bool,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Leaving {
    start_over: bool,
    /// Whatever waited for a start has given up.
    begun: bool,
    /// Priority of the groups that were told to stop last.
    level: Option<i64>,
    /// When to name the living again.
    name_living_at: Stamp,
}

/// What has changed since the last [`Fleet::take_unsaved`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsaved {
    /// Processes whose [`Record`] differs; those without one have left.
    pub processes: BTreeSet<ProcessId>,
    /// The [`Structure`] differs.
    pub structure: bool,
}

impl Fleet {
    /// An empty fleet. Groups come with [`Request::Add`].
    pub fn new() -> Fleet {
        Fleet::default()
    }

    /// Takes one event and appends what is to be done about it, in order.
    ///
    /// `now` must not be earlier than in the call before. Events about processes that are gone,
    /// and answers nobody waits for, are ignored.
    pub fn handle(&mut self, now: Moment, event: Event, actions: &mut Vec<Action>) {
        self.give_up_starts(now, actions);
        match event {
            Event::Tick => self.tick(now, actions),
            Event::Spawned { process, pid } => {
                self.drive(now, process, Input::Spawned(pid), actions);
            }
            Event::SpawnFailed { process, failure } => {
                self.drive(now, process, Input::SpawnFailed(failure), actions);
            }
            Event::Exited {
                process,
                pid,
                status,
            } => self.drive(now, process, Input::Exited(pid, status), actions),
            Event::SignalFailed { process, reason } => {
                self.drive(now, process, Input::SignalFailed(reason), actions);
            }
            Event::Asked { ticket, request } => self.ask(now, ticket, request, actions),
            Event::Abandoned { ticket } => self.abandon(ticket),
        }
        // Updates first: a process that is restarted for one has its new policy when it starts.
        while self.advance_updates(now, actions)
            || self.start_ready_round(now, actions)
            || self.end_if_due(now, actions)
            || self.advance_leaving(now, actions)
        {}
        self.jobs.flush(actions);
        self.finish_leaving(now, actions);
    }

    /// When [`Event::Tick`] is next needed; earlier and later ones do no harm.
    pub fn next_deadline(&self) -> Option<Stamp> {
        let process = self.deadlines.first().map(|(due, _)| *due);
        let naming = match &self.mode {
            Mode::Leaving(leaving) => Some(leaving.name_living_at),
            Mode::Running | Mode::Left { .. } => None,
        };
        process.into_iter().chain(naming).min()
    }

    /// True from an accepted [`Request::Shutdown`] or [`Request::StartOver`] on.
    pub fn is_leaving(&self) -> bool {
        self.mode != Mode::Running
    }

    /// True while it is leaving to start over.
    pub fn is_starting_over(&self) -> bool {
        match &self.mode {
            Mode::Running => false,
            Mode::Leaving(leaving) => leaving.start_over,
            Mode::Left { start_over } => *start_over,
        }
    }

    /// Every process, by (group, name).
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.roster.by_name()
    }

    /// A process.
    pub fn get(&self, process: ProcessId) -> Option<&Process> {
        self.roster.get(process)
    }

    /// The id of the process with this name.
    pub fn find(&self, name: &ProcessName) -> Option<ProcessId> {
        self.roster.find(name)
    }

    /// Every group, by name.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.roster.groups()
    }

    /// What the selectors select: one answer per selector in their order, so that a name given
    /// twice is answered twice. [`Selector::All`] anywhere among them stands for everything.
    pub fn select(&self, selectors: &[Selector]) -> Vec<Selected> {
        self.roster.select(selectors)
    }

    /// These in the order in which they are started.
    pub fn start_order(&self, ids: &[ProcessId]) -> Vec<ProcessId> {
        self.roster.start_order(ids)
    }

    /// What is to be saved for a successor since this was last asked. Save it before performing
    /// the actions of the same turn, the structure first.
    pub fn take_unsaved(&mut self) -> Unsaved {
        std::mem::take(&mut self.unsaved)
    }

    fn tick(&mut self, now: Moment, actions: &mut Vec<Action>) {
        while let Some((due, process)) = self.deadlines.first().copied() {
            if due > now.stamp {
                break;
            }
            self.drive(now, process, Input::Tick, actions);
        }
    }

    /// Lets one process take one step, and tells everything that watches processes.
    fn drive(&mut self, now: Moment, id: ProcessId, input: Input, actions: &mut Vec<Action>) {
        let may_start = !self.is_leaving();
        let Some(process) = self.roster.get_mut(id) else {
            return;
        };
        let (before, mark) = (process.phase, actions.len());
        process.step(now, may_start, input, actions);
        let (after, round) = (process.phase, process.round);
        if before == after {
            return;
        }
        if may_start || self.ending.when == Some(EndWhen::Single) {
            self.ending.note(process, &actions[mark..]);
        }
        let name = process.name();
        for action in &actions[mark..] {
            if let Action::Changed(change) = action {
                self.jobs.note(name, change);
            }
        }
        if before.state().is_stopped() != after.state().is_stopped() {
            let group = name.group.clone();
            let lives = before.state().is_stopped();
            self.roster.count(id, lives);
            if let (false, Some(round)) = (lives, round) {
                self.rounds.stopped(round, id);
            }
            if !lives && !self.updates.is_empty() {
                self.quiet.push_back(Quiet::Group(group));
                self.quiet.push_back(Quiet::Process(id));
            }
        }
        if let Some(due) = before.deadline() {
            self.deadlines.remove(&(due, id));
        }
        self.deadlines.extend(after.deadline().map(|due| (due, id)));
        self.unsaved.processes.insert(id);
    }

    fn admit(&mut self, group: GroupPolicy, actions: &mut Vec<Action>) -> Option<Vec<ProcessId>> {
        if self.roster.group(&group.name).is_some() {
            return None;
        }
        let name = group.name.clone();
        let processes = self.roster.admit(group);
        let ids: Vec<ProcessId> = processes.iter().map(|(id, _)| *id).collect();
        let group = name;
        actions.push(Action::GroupAdded { group, processes });
        self.unsaved.processes.extend(&ids);
        self.unsaved.structure = true;
        Some(ids)
    }

    fn autostart(&mut self, now: Moment, admitted: &[ProcessId], actions: &mut Vec<Action>) {
        for id in self.roster.start_order(admitted) {
            if self
                .roster
                .get(id)
                .is_some_and(|process| process.policy().autostart)
            {
                self.drive(now, id, Input::Start(Cause::Autostart), actions);
            }
        }
    }

    /// Removes a group that has stopped, if it is there.
    fn expel(&mut self, name: &str, actions: &mut Vec<Action>) {
        let Some(group) = self.roster.group(name) else {
            return;
        };
        for id in group.processes.clone() {
            self.release(id);
        }
        let processes = self.roster.expel(name).unwrap_or_default();
        self.unsaved.processes.extend(&processes);
        self.unsaved.structure = true;
        let group = name.to_owned();
        actions.push(Action::GroupRemoved { group, processes });
    }

    /// Nobody waits for a process that leaves, and it waits for nothing.
    fn release(&mut self, id: ProcessId) {
        self.cancel_restart(id, &Refusal::NoSuchProcess);
        let due = self.roster.get(id).and_then(Process::deadline);
        if let Some(due) = due {
            self.deadlines.remove(&(due, id));
        }
    }

    fn abandon(&mut self, ticket: Ticket) {
        self.jobs.abandon(ticket);
        for update in &mut self.updates {
            update.ticket = update.ticket.filter(|other| *other != ticket);
        }
    }

    fn join_round(&mut self, round: Round, id: ProcessId) {
        if let Some(process) = self.roster.get_mut(id) {
            process.round = Some(round);
            let living = !process.state().is_stopped();
            self.rounds.join(round, id, living);
            self.unsaved.processes.insert(id);
        }
    }

    fn leave_round(&mut self, id: ProcessId) -> bool {
        let round = self
            .roster
            .get_mut(id)
            .and_then(|process| process.round.take());
        if let Some(round) = round {
            self.rounds.leave(round, id);
            self.unsaved.processes.insert(id);
        }
        round.is_some()
    }

    /// A process will not be started again by its round after all.
    fn cancel_restart(&mut self, id: ProcessId, why: &Refusal) {
        if self.leave_round(id)
            && let Some(process) = self.roster.get(id)
        {
            self.jobs.cancel_restart(id, process.name(), why);
        }
    }

    /// Starts a round whose members have all stopped; false if there is none.
    fn start_ready_round(&mut self, now: Moment, actions: &mut Vec<Action>) -> bool {
        let Some(members) = self.rounds.take_ready() else {
            return false;
        };
        for id in self.roster.start_order(&members) {
            let Some(process) = self.roster.get_mut(id) else {
                continue;
            };
            process.round = None;
            self.unsaved.processes.insert(id);
            if process.state() == State::Unknown {
                self.jobs
                    .cancel_restart(id, process.name(), &Refusal::UnknownState);
            } else {
                self.drive(now, id, Input::Start(Cause::Asked), actions);
            }
        }
        true
    }

    /// Begins to leave; false if that is refused. To end overrules to start over.
    fn leave(&mut self, now: Moment, start_over: bool, actions: &mut Vec<Action>) -> bool {
        match &mut self.mode {
            Mode::Running => {
                let members: Vec<_> = self.rounds.members().collect();
                for (_, id, _) in members {
                    self.cancel_restart(id, &Refusal::ShuttingDown);
                }
                for update in self.updates.drain(..) {
                    update.refuse_rest(&Refusal::ShuttingDown, actions);
                }
                self.mode = Mode::Leaving(Leaving {
                    start_over,
                    name_living_at: now.stamp,
                    ..Leaving::default()
                });
                self.give_up_starts(now, actions);
            }
            Mode::Leaving(leaving) if leaving.start_over && !start_over => {
                leaving.start_over = false;
            }
            Mode::Leaving(_) | Mode::Left { .. } => return false,
        }
        self.unsaved.structure = true;
        true
    }

    /// Once it is leaving, nothing waits for a start any more: neither what did when that was
    /// asked for, nor what does in records from before it.
    fn give_up_starts(&mut self, now: Moment, actions: &mut Vec<Action>) {
        if let Mode::Leaving(leaving) = &mut self.mode
            && !std::mem::replace(&mut leaving.begun, true)
        {
            for id in self.roster.ids() {
                self.drive(now, id, Input::GiveUp, actions);
            }
        }
    }

    /// Tells the next level to stop when the one before has; false if there is nothing to tell.
    fn advance_leaving(&mut self, now: Moment, actions: &mut Vec<Action>) -> bool {
        let Mode::Leaving(leaving) = &mut self.mode else {
            return false;
        };
        match self.roster.top_level() {
            Some((priority, level)) if leaving.level != Some(priority) => {
                leaving.level = Some(priority);
                let level: Vec<ProcessId> = level.iter().copied().collect();
                for id in self.roster.stop_order(&level) {
                    self.drive(now, id, Input::Stop(Cause::Leaving), actions);
                }
                true
            }
            Some(_) | None => false,
        }
    }

    /// While leaving: says who still lives, or that nothing does.
    fn finish_leaving(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let Mode::Leaving(leaving) = &mut self.mode else {
            return;
        };
        if self.roster.top_level().is_none() {
            let start_over = leaving.start_over;
            self.mode = Mode::Left { start_over };
            let code = self.ending.due.map_or(0, |(code, _)| code);
            let code = if start_over { 0 } else { code };
            actions.push(Action::Finished { start_over, code });
        } else if leaving.name_living_at <= now.stamp {
            leaving.name_living_at = now.stamp.after(WAITING_INTERVAL);
            let living = self.roster.living();
            actions.push(Action::Waiting { living });
        }
    }
}
