//! Jobs: what is still owed to those who asked.
//!
//! A job only watches. It holds no intent: if it is abandoned, or the brain that holds it dies,
//! everything that was asked for happens all the same and only the answer is missing.
//!
//! Its answer consists of *parts*, one for each argument of the request (for a restart: one for
//! each argument's stop, then one for each one's start). Parts are answered in their order, within
//! a part in order of completion: `stop a b` reports `a` first though both stop at the same time.
//!
//! Must never: start, stop or change anything.

use std::collections::{BTreeMap, VecDeque};

use super::event::{
    Action, Cause, Change, Done, Refusal, Report, SpawnFailure, SpawnFailureKind, Ticket,
};
use super::name::{ProcessId, ProcessName};
use super::state::State;
use super::steps::EXITED_TOO_QUICKLY;

/// What a job waits for, of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awaited {
    /// That it has stopped.
    Stopped,
    /// That it is started again by its round.
    Restarted,
    /// That it is RUNNING, or fails.
    Running,
}

/// Index of a part of an answer.
pub(super) type Part = usize;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Pending {
    /// How many results are missing.
    missing: usize,
    /// Results that nobody was told yet.
    ready: Vec<Report>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Job {
    /// Parts that are not answered in full. The first one is number `answered`.
    parts: VecDeque<Pending>,
    answered: Part,
    watches: BTreeMap<(ProcessId, Part), Awaited>,
}

impl Job {
    fn part(&mut self, part: Part) -> Option<&mut Pending> {
        self.parts.get_mut(part.checked_sub(self.answered)?)
    }

    fn report(&mut self, part: Part, report: Report) {
        if let Some(pending) = self.part(part) {
            pending.ready.push(report);
        }
    }

    /// Ends the watches on a process that `judge` has a result for.
    fn judge(
        &mut self,
        process: ProcessId,
        name: &ProcessName,
        judge: impl Fn(&mut Awaited) -> Option<Result<Done, Refusal>>,
    ) {
        let watches = self
            .watches
            .range_mut((process, Part::MIN)..=(process, Part::MAX));
        let results: Vec<_> = watches
            .filter_map(|(key, awaited)| judge(awaited).map(|result| (*key, result)))
            .collect();
        for (key, result) in results {
            self.watches.remove(&key);
            if let Some(pending) = self.part(key.1) {
                pending.missing -= 1;
                let subject = name.to_string();
                pending.ready.push(Report { subject, result });
            }
        }
    }

    /// Tells what can be told by now; true when that was all.
    fn flush(&mut self, ticket: Ticket, actions: &mut Vec<Action>) -> bool {
        while let Some(pending) = self.parts.front_mut() {
            let ready = pending.ready.drain(..);
            actions.extend(ready.map(|report| Action::Report { ticket, report }));
            if pending.missing > 0 {
                return false;
            }
            self.parts.pop_front();
            self.answered += 1;
        }
        actions.push(Action::Answered { ticket });
        true
    }
}

/// All jobs that are not answered in full.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Jobs {
    open: BTreeMap<Ticket, Job>,
}

impl Jobs {
    /// Opens a job with this many parts.
    pub(super) fn open(&mut self, ticket: Ticket, parts: usize) {
        let job = Job {
            parts: vec![Pending::default(); parts].into(),
            ..Job::default()
        };
        self.open.insert(ticket, job);
    }

    /// Adds a result to a part.
    pub(super) fn report(&mut self, ticket: Ticket, part: Part, report: Report) {
        if let Some(job) = self.open.get_mut(&ticket) {
            job.report(part, report);
        }
    }

    /// Makes a part wait for a process.
    pub(super) fn watch(
        &mut self,
        ticket: Ticket,
        part: Part,
        process: ProcessId,
        awaited: Awaited,
    ) {
        if let Some(job) = self.open.get_mut(&ticket) {
            let known = job.watches.insert((process, part), awaited).is_some();
            if let (false, Some(pending)) = (known, job.part(part)) {
                pending.missing += 1;
            }
        }
    }

    /// Tells every job of a change of the process with this name.
    pub(super) fn note(&mut self, name: &ProcessName, change: &Change) {
        for job in self.open.values_mut() {
            job.judge(change.process, name, |awaited| outcome(awaited, change));
        }
    }

    /// Tells every job that a process will not be started again by its round.
    pub(super) fn cancel_restart(&mut self, process: ProcessId, name: &ProcessName, why: &Refusal) {
        for job in self.open.values_mut() {
            job.judge(process, name, |awaited| match awaited {
                Awaited::Restarted => Some(Err(why.clone())),
                Awaited::Stopped | Awaited::Running => None,
            });
        }
    }

    /// Forgets a job.
    pub(super) fn abandon(&mut self, ticket: Ticket) {
        self.open.remove(&ticket);
    }

    /// Tells what can be told and closes what is answered in full.
    pub(super) fn flush(&mut self, actions: &mut Vec<Action>) {
        self.open.retain(|ticket, job| !job.flush(*ticket, actions));
    }

    /// Every watch that is open.
    pub(super) fn watches(&self) -> impl Iterator<Item = (ProcessId, Awaited)> {
        let watches = self.open.values().flat_map(|job| job.watches.iter());
        watches.map(|((process, _), awaited)| (*process, *awaited))
    }
}

/// What a change means to one who waits; `None`: go on waiting.
fn outcome(awaited: &mut Awaited, change: &Change) -> Option<Result<Done, Refusal>> {
    let undelivered = || match &change.cause {
        Cause::SignalFailed(reason) => Err(Refusal::SignalFailed(reason.clone())),
        _ => Err(Refusal::UnknownState),
    };
    match (*awaited, change.to) {
        (Awaited::Stopped | Awaited::Running, State::Unknown) => Some(undelivered()),
        (Awaited::Stopped, State::Stopped | State::Exited | State::Fatal) => {
            Some(Ok(Done::Stopped))
        }
        (Awaited::Stopped, _) => None,

        (Awaited::Restarted, State::Starting) => {
            *awaited = Awaited::Running;
            None
        }
        (Awaited::Restarted, _) => None,

        (Awaited::Running, State::Starting) => None,
        (Awaited::Running, State::Running) => Some(Ok(Done::Started)),
        (Awaited::Running, State::Backoff) => {
            Some(Err(Refusal::SpawnFailed(failure_of(&change.cause))))
        }
        (Awaited::Running, State::Stopping | State::Stopped | State::Exited | State::Fatal) => {
            Some(Err(Refusal::AbnormalTermination))
        }
    }
}

/// The failure to report to somebody who waited for a start that ended in BACKOFF.
fn failure_of(cause: &Cause) -> SpawnFailure {
    match cause {
        Cause::SpawnFailed(failure) => failure.clone(),
        Cause::Autostart
        | Cause::Autorestart(_)
        | Cause::Retry(_)
        | Cause::Asked
        | Cause::StayedUp(_)
        | Cause::ExitedTooQuickly(_)
        | Cause::Exited { .. }
        | Cause::Stopped(_)
        | Cause::GaveUp
        | Cause::Leaving
        | Cause::SignalFailed(_) => SpawnFailure {
            kind: SpawnFailureKind::Other,
            text: EXITED_TOO_QUICKLY.to_owned(),
        },
    }
}
