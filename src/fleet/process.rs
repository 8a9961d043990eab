//! One process: what is known of it. What it does next is in `steps.rs`.
//!
//! Must never: know another process, a group or a request.

use super::event::{ExitStatus, Moment, Stamp};
use super::name::{ProcessId, ProcessName};
use super::pace::Pace;
use super::phase::Phase;
use super::restart::Round;
use super::state::State;
use crate::config::Policy;

/// A process of the fleet, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub(super) id: ProcessId,
    name: ProcessName,
    pub(super) policy: Policy,
    pub(super) phase: Phase,
    pub(super) started: Option<Moment>,
    pub(super) ended: Option<Moment>,
    pub(super) exit_status: Option<ExitStatus>,
    pub(super) spawn_error: Option<String>,
    /// How soon it is started again when it ends by itself.
    pub(super) pace: Pace,
    /// The restart it takes part in: it is started when all of that round have stopped.
    pub(super) round: Option<Round>,
}

impl Process {
    pub(super) fn new(id: ProcessId, name: ProcessName, policy: Policy) -> Process {
        Process {
            id,
            name,
            policy,
            phase: Phase::Stopped,
            started: None,
            ended: None,
            exit_status: None,
            spawn_error: None,
            pace: Pace::default(),
            round: None,
        }
    }

    /// Its id, unique in the life of the fleet.
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// Its name.
    pub fn name(&self) -> &ProcessName {
        &self.name
    }

    /// When to start, restart and stop it.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.phase.state()
    }

    /// Its pid, if there is a process.
    pub fn pid(&self) -> Option<i32> {
        self.phase.pid()
    }

    /// When it last was spawned, or last failed to be.
    pub fn started(&self) -> Option<Moment> {
        self.started
    }

    /// When it last ended.
    pub fn ended(&self) -> Option<Moment> {
        self.ended
    }

    /// How its last run ended; `None` while it runs and after an exit that was too quick.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.exit_status
    }

    /// Why it could not be started or did not end well.
    pub fn spawn_error(&self) -> Option<&str> {
        self.spawn_error.as_deref()
    }

    /// Attempts that failed since it last was RUNNING or was asked to start.
    pub fn failures(&self) -> u32 {
        self.phase.failures()
    }

    /// True between [`Action::Start`](super::Action::Start) and its answer. A brain that took over must look for the
    /// process its predecessor may have started, and start it otherwise.
    pub fn is_launching(&self) -> bool {
        matches!(self.phase, Phase::Launching { .. } | Phase::Aborting)
    }

    /// True if it runs or will run again without being asked: what a stop has an effect on.
    pub fn is_active(&self) -> bool {
        self.state().is_running() || matches!(self.phase, Phase::Exited { again: Some(_) })
    }

    /// Whether it was stopped because somebody asked for it, after it had run.
    pub(super) fn is_stopped_by_hand(&self) -> bool {
        matches!(
            self.phase,
            Phase::Stopped | Phase::Aborting | Phase::Stopping { .. }
        ) && self.started.is_some()
    }

    /// Gives it another policy; what it waits for stays as it is.
    pub(super) fn follow(&mut self, policy: Policy) {
        let most = u32::try_from(policy.startretries).unwrap_or(0);
        self.phase.limit_failures(most);
        self.policy = policy;
    }

    /// True while it runs, and as long as it will be started again by itself or by a restart.
    pub fn is_wanted(&self) -> bool {
        self.is_active() || !self.state().is_stopped() || self.round.is_some()
    }

    /// When it next wants a tick.
    pub(super) fn deadline(&self) -> Option<Stamp> {
        self.phase.deadline()
    }
}
