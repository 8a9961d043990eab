//! Requests: what each of them does, to whom, in which order, and what it is refused for.
//!
//! Supervisor's rules: a process named by its own name is answered with a refusal where the
//! request does not apply to it; a group, a pattern and `all` pass over it without a word.
//!
//! Must never: know how a process takes a step.

use std::collections::BTreeSet;

use super::Fleet;
use super::event::{Action, Cause, Done, GroupPolicy, Moment, Refusal, Report, Request, Ticket};
use super::job::{Awaited, Part};
use super::name::{ProcessId, Selector};
use super::process::Process;
use super::restart::Round;
use super::selection::Selected;
use super::state::State;
use super::steps::Input;
use crate::config::Signal;

/// One request being carried out.
#[derive(Clone, Copy)]
struct Ask {
    now: Moment,
    ticket: Ticket,
}

impl Fleet {
    /// Carries out a request, or refuses it.
    pub(super) fn ask(
        &mut self,
        now: Moment,
        ticket: Ticket,
        request: Request,
        actions: &mut Vec<Action>,
    ) {
        let ask = Ask { now, ticket };
        match request {
            Request::Shutdown => self.ask_to_leave(ask, false, actions),
            Request::StartOver => self.ask_to_leave(ask, true, actions),
            _ if self.is_leaving() => self.answer_whole(ticket, Err(Refusal::ShuttingDown)),
            Request::Start { selectors, wait } => self.ask_start(ask, &selectors, wait, actions),
            Request::Stop { selectors, wait } => self.ask_stop(ask, &selectors, wait, actions),
            Request::Restart { selectors } => self.ask_restart(ask, &selectors, actions),
            Request::Signal { selectors, signal } => {
                self.ask_signal(ask, &selectors, signal, actions);
            }
            Request::Add { groups } => self.ask_add(ask, groups, actions),
            Request::Remove { groups } => self.ask_remove(ask, &groups, actions),
            Request::Update(changes) => self.open_update(ticket, changes, actions),
        }
    }

    fn ask_to_leave(&mut self, ask: Ask, start_over: bool, actions: &mut Vec<Action>) {
        let accepted = self.leave(ask.now, start_over, actions);
        let result = if accepted {
            Ok(Done::Leaving)
        } else {
            Err(Refusal::ShuttingDown)
        };
        self.answer_whole(ask.ticket, result);
    }

    /// Answers a request that is about the daemon as a whole.
    fn answer_whole(&mut self, ticket: Ticket, result: Result<Done, Refusal>) {
        self.jobs.open(ticket, 1);
        self.report(ticket, 0, String::new(), result);
    }

    fn ask_start(
        &mut self,
        ask: Ask,
        selectors: &[Selector],
        wait: bool,
        actions: &mut Vec<Action>,
    ) {
        let selected = self.roster.select(selectors);
        self.jobs.open(ask.ticket, selected.len());
        for (part, one) in selected.iter().enumerate() {
            for id in self.targets(ask.ticket, part, one) {
                let Some(process) = self.roster.get(id) else {
                    continue;
                };
                let subject = process.name().to_string();
                if let Some(refusal) = self.start_refusal(process) {
                    if one.named || refusal != Refusal::AlreadyStarted {
                        self.report(ask.ticket, part, subject, Err(refusal));
                    }
                    continue;
                }
                self.leave_round(id);
                if wait {
                    self.jobs.watch(ask.ticket, part, id, Awaited::Running);
                } else {
                    self.report(ask.ticket, part, subject, Ok(Done::Started));
                }
                self.drive(ask.now, id, Input::Start(Cause::Asked), actions);
            }
        }
    }

    fn ask_stop(
        &mut self,
        ask: Ask,
        selectors: &[Selector],
        wait: bool,
        actions: &mut Vec<Action>,
    ) {
        let selected = self.roster.select(selectors);
        self.jobs.open(ask.ticket, selected.len());
        for (part, one) in selected.iter().enumerate() {
            let mut targets = self.targets(ask.ticket, part, one);
            targets.reverse();
            for id in targets {
                let Some(process) = self.roster.get(id) else {
                    continue;
                };
                let subject = process.name().to_string();
                if !process.is_active() && process.round.is_none() {
                    if one.named {
                        self.report(ask.ticket, part, subject, Err(Refusal::NotRunning));
                    }
                    continue;
                }
                // A restart that waits for this process has been overtaken by this request.
                self.cancel_restart(id, &Refusal::AbnormalTermination);
                self.stop_for(ask, part, id, wait, actions);
            }
        }
    }

    /// Stops a process that is active or stopping, and lets a part of the answer wait for it.
    fn stop_for(
        &mut self,
        ask: Ask,
        part: Part,
        id: ProcessId,
        wait: bool,
        actions: &mut Vec<Action>,
    ) {
        let Some(process) = self.roster.get(id) else {
            return;
        };
        let subject = process.name().to_string();
        let stopped_before = process.state().is_stopped() && !process.is_active();
        if wait && !stopped_before {
            self.jobs.watch(ask.ticket, part, id, Awaited::Stopped);
        } else {
            self.report(ask.ticket, part, subject, Ok(Done::Stopped));
        }
        self.drive(ask.now, id, Input::Stop(Cause::Asked), actions);
    }

    fn ask_restart(&mut self, ask: Ask, selectors: &[Selector], actions: &mut Vec<Action>) {
        let selected = self.roster.select(selectors);
        self.jobs.open(ask.ticket, 2 * selected.len());
        let round = self.rounds.unused();
        let mut seen = BTreeSet::new();
        for (part, one) in selected.iter().enumerate() {
            let start_part = selected.len() + part;
            let mut targets = self.targets(ask.ticket, part, one);
            if let Err(refusal) = &one.processes {
                let result = Err(refusal.clone());
                self.report(ask.ticket, start_part, one.subject.clone(), result);
            }
            targets.reverse();
            for id in targets {
                let twice = !seen.insert(id);
                self.restart_stop(ask, part, id, one.named, twice, actions);
                self.restart_start(ask, start_part, id, one.named, twice, round);
            }
        }
    }

    /// The first half of a restart: stops a process, or joins in waiting for its stop.
    fn restart_stop(
        &mut self,
        ask: Ask,
        part: Part,
        id: ProcessId,
        named: bool,
        twice: bool,
        actions: &mut Vec<Action>,
    ) {
        let Some(process) = self.roster.get(id) else {
            return;
        };
        let stoppable = process.is_active() || process.state() == State::Stopping;
        if stoppable && !twice {
            self.stop_for(ask, part, id, true, actions);
        } else if named {
            let subject = process.name().to_string();
            self.report(ask.ticket, part, subject, Err(Refusal::NotRunning));
        }
    }

    /// The second half: lets the process join the round that starts when all of it have stopped.
    fn restart_start(
        &mut self,
        ask: Ask,
        part: Part,
        id: ProcessId,
        named: bool,
        twice: bool,
        round: Round,
    ) {
        let Some(process) = self.roster.get(id) else {
            return;
        };
        let refusal = if self.is_departing(&process.name().group) {
            Some(Refusal::AbnormalTermination)
        } else if process.state() == State::Unknown {
            Some(Refusal::UnknownState)
        } else {
            twice.then_some(Refusal::AlreadyStarted)
        };
        match refusal {
            Some(Refusal::AlreadyStarted) if !named => {}
            Some(refusal) => {
                let subject = process.name().to_string();
                self.report(ask.ticket, part, subject, Err(refusal));
            }
            None => {
                self.leave_round(id);
                self.join_round(round, id);
                self.jobs.watch(ask.ticket, part, id, Awaited::Restarted);
            }
        }
    }

    fn ask_signal(
        &mut self,
        ask: Ask,
        selectors: &[Selector],
        signal: Signal,
        actions: &mut Vec<Action>,
    ) {
        let selected = self.roster.select(selectors);
        self.jobs.open(ask.ticket, selected.len());
        for (part, one) in selected.iter().enumerate() {
            for id in self.targets(ask.ticket, part, one) {
                let Some(process) = self.roster.get(id) else {
                    continue;
                };
                let subject = process.name().to_string();
                let reachable = process.state().is_signallable() && process.pid().is_some();
                if reachable {
                    self.report(ask.ticket, part, subject, Ok(Done::Signalled));
                    self.drive(ask.now, id, Input::Signal(signal), actions);
                } else if one.named {
                    self.report(ask.ticket, part, subject, Err(Refusal::NotRunning));
                }
            }
        }
    }

    fn ask_add(&mut self, ask: Ask, groups: Vec<GroupPolicy>, actions: &mut Vec<Action>) {
        self.jobs.open(ask.ticket, 1);
        let mut admitted = Vec::new();
        for group in groups {
            let subject = group.name.clone();
            let result = match self.admit(group, actions) {
                Some(ids) => {
                    admitted.extend(ids);
                    Ok(Done::Added)
                }
                None => Err(Refusal::AlreadyAdded),
            };
            self.report(ask.ticket, 0, subject, result);
        }
        self.autostart(ask.now, &admitted, actions);
    }

    fn ask_remove(&mut self, ask: Ask, groups: &[String], actions: &mut Vec<Action>) {
        self.jobs.open(ask.ticket, 1);
        for name in groups {
            let result = match self.roster.group(name) {
                None => Err(Refusal::NoSuchGroup),
                Some(group) if group.living > 0 => Err(Refusal::StillRunning),
                Some(_) => {
                    self.expel(name, actions);
                    Ok(Done::Removed)
                }
            };
            self.report(ask.ticket, 0, name.clone(), result);
        }
    }

    /// The selected processes in starting order; what could not be selected is reported.
    fn targets(&mut self, ticket: Ticket, part: Part, selected: &Selected) -> Vec<ProcessId> {
        match &selected.processes {
            Ok(ids) => self.roster.start_order(ids),
            Err(refusal) => {
                let result = Err(refusal.clone());
                self.report(ticket, part, selected.subject.clone(), result);
                Vec::new()
            }
        }
    }

    fn start_refusal(&self, process: &Process) -> Option<Refusal> {
        match process.state() {
            State::Starting | State::Running | State::Backoff => Some(Refusal::AlreadyStarted),
            State::Stopping => Some(Refusal::AbnormalTermination),
            State::Unknown => Some(Refusal::UnknownState),
            State::Stopped | State::Exited | State::Fatal => self
                .is_departing(&process.name().group)
                .then_some(Refusal::AbnormalTermination),
        }
    }

    fn report(
        &mut self,
        ticket: Ticket,
        part: Part,
        subject: String,
        result: Result<Done, Refusal>,
    ) {
        self.jobs.report(ticket, part, Report { subject, result });
    }
}
