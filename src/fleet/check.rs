//! What is true of a fleet at any moment between two events.
//!
//! Must never: be needed. Tests and simulations call it after every event.

use std::collections::BTreeSet;

use super::job::Awaited;
use super::phase::Phase;
use super::process::Process;
use super::state::State;
use super::{Fleet, Mode, ProcessId, Stamp};

impl Fleet {
    /// Whether everything that is kept twice agrees, and nobody waits for what cannot come. The
    /// error says what does not hold.
    pub fn check(&self) -> Result<(), String> {
        let mut deadlines = BTreeSet::new();
        let mut pids = BTreeSet::new();
        for process in self.roster.by_name() {
            self.check_process(process)?;
            deadlines.extend(process.deadline().map(|due| (due, process.id())));
            if let Some(pid) = process.pid() {
                ensure(pids.insert(pid), || format!("pid {pid} lives twice"))?;
            }
        }
        ensure(deadlines == self.deadlines, || {
            format!("deadlines {:?} are kept as {:?}", deadlines, self.deadlines)
        })?;
        self.check_roster()?;
        self.check_rounds()?;
        self.check_jobs()?;
        ensure(self.quiet.is_empty(), || {
            format!("left to look at: {:?}", self.quiet)
        })
    }

    fn check_process(&self, process: &Process) -> Result<(), String> {
        let says = |what: &str| format!("{}: {what}: {process:?}", process.name());
        let state = process.state();
        let waits = matches!(
            process.phase,
            Phase::Starting { .. }
                | Phase::Backoff { .. }
                | Phase::Stopping { .. }
                | Phase::Exited { again: Some(_) }
        );
        ensure(process.deadline().is_some() == waits, || {
            says("wrong deadline")
        })?;
        let lives = match state {
            State::Running | State::Unknown => true,
            State::Starting | State::Stopping => !process.is_launching(),
            State::Stopped | State::Backoff | State::Exited | State::Fatal => false,
        };
        ensure(process.pid().is_some() == lives, || says("wrong pid"))?;
        let failed = i64::from(process.failures());
        ensure(
            failed == 0 || failed <= process.policy().startretries,
            || says("too many failures"),
        )?;
        if self.is_leaving() {
            ensure(state != State::Backoff, || says("BACKOFF while leaving"))?;
            let again = state == State::Exited && process.is_active();
            ensure(!again, || says("autorestart while leaving"))?;
            let left = matches!(self.mode, Mode::Left { .. });
            ensure(!left || state.is_stopped(), || {
                says("not stopped after the end")
            })?;
        }
        Ok(())
    }

    fn check_roster(&self) -> Result<(), String> {
        let unstopped = |id: &ProcessId| {
            self.roster
                .get(*id)
                .is_some_and(|process| !process.state().is_stopped())
        };
        let mut living = 0;
        for (name, group) in self.roster.groups() {
            let count = group.processes.iter().filter(|id| unstopped(id)).count();
            living += count;
            ensure(count == group.living, || {
                format!("{name}: {count} live, counted {}", group.living)
            })?;
            let known = |id: &ProcessId| self.roster.get(*id).is_some();
            ensure(group.processes.iter().all(known), || {
                format!("{name}: lost a process")
            })?;
        }
        let top = self.roster.top_level().map(|(priority, _)| priority);
        let groups = self.roster.groups().filter(|(_, group)| group.living > 0);
        let expected = groups.map(|(_, group)| group.priority).max();
        ensure(top == expected, || {
            format!("top level {top:?}, not {expected:?}")
        })?;
        ensure(self.roster.living().len() == living, || {
            "levels miscounted".to_owned()
        })
    }

    fn check_rounds(&self) -> Result<(), String> {
        let mut members = 0;
        for (round, id, living) in self.rounds.members() {
            members += 1;
            let process = self.roster.get(id).ok_or("a round has lost a process")?;
            let agrees = process.round == Some(round) && living != process.state().is_stopped();
            ensure(agrees, || format!("{round:?} misjudges {process:?}"))?;
        }
        let marked = self
            .roster
            .by_name()
            .filter(|process| process.round.is_some())
            .count();
        ensure(marked == members, || {
            format!("{marked} marked, {members} in rounds")
        })
    }

    fn check_jobs(&self) -> Result<(), String> {
        for (id, awaited) in self.jobs.watches() {
            let process = self
                .roster
                .get(id)
                .ok_or("a job waits for a process that left")?;
            let possible = match awaited {
                Awaited::Stopped => process.state() == State::Stopping,
                Awaited::Running => process.state() == State::Starting,
                Awaited::Restarted => process.round.is_some(),
            };
            ensure(possible, || {
                format!("a job waits for {awaited:?} of {process:?}")
            })?;
        }
        Ok(())
    }

    /// Whether nothing is due any more, as after a tick.
    pub fn check_deadlines(&self, now: Stamp) -> Result<(), String> {
        let overdue = self.deadlines.first().filter(|(due, _)| *due <= now);
        ensure(overdue.is_none(), || {
            format!("overdue after a tick: {overdue:?}")
        })
    }
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}
