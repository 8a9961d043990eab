//! One process: where it is in its life, and every step it can take from there.
//!
//! ```text
//!   STOPPED, EXITED, FATAL
//!      │ start                           ┌─────────────────── stop ──► STOPPING ┐
//!      ▼                                 │                             (no pid) │
//!   STARTING ─────────────── no pid yet ─┤                                      │
//!      ▲                                 ├── not spawned ──► BACKOFF            │
//!      │                                 │ spawned                              │ spawned
//!      │                                 ▼                                      ▼
//!      │                 STARTING ── with a pid ─────────────── stop ──► STOPPING (pid)
//!      │                                 ├── ended too soon ─► BACKOFF  ▲   │ ▲ │
//!      │                                 │ up for startsecs             │   │ └─┘ SIGKILL
//!      │                                 ▼                              │   │     when overdue
//!      │                              RUNNING ───────────────── stop ───┘   │ ended
//!      │                                 │ ended                            ▼
//!      ├── autorestart ─────────────── EXITED                            STOPPED
//!      │                                                                    ▲
//!      └── after 1, 2, … N seconds ── BACKOFF ──────────────────── stop ────┘
//!                                        └── N+1 attempts failed, or leaving ──► FATAL
//! ```
//!
//! A signal that cannot be delivered leads from every state with a pid to UNKNOWN, and its death
//! from there to STOPPED.
//!
//! Must never: know another process, a group or a request; decide whether a request is refused.

use std::time::Duration;

use super::event::{Action, Cause, Change, ExitStatus, KillPurpose, Moment, SpawnFailure, Stamp};
use super::name::{ProcessId, ProcessName};
use super::pace::Pace;
use super::phase::Phase;
use super::restart::Round;
use super::state::State;
use crate::config::{Autorestart, Policy, Signal};

/// SIGKILL is repeated no sooner than this, even with `stopwaitsecs=0`.
pub const KILL_INTERVAL: Duration = Duration::from_secs(1);

/// What `status` says of a process that ended before `startsecs` (Supervisor's words).
pub const EXITED_TOO_QUICKLY: &str = "Exited too quickly (process log may have details)";

const SIGKILL: Signal = Signal(9);

/// What can happen to a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// Start it, for this reason.
    Start(Cause),
    /// Stop it, for this reason.
    Stop(Cause),
    /// Nothing will be started any more: give up what waits for a start.
    GiveUp,
    /// Send it this signal.
    Signal(Signal),
    /// Time has passed.
    Tick,
    /// The start that was asked for worked.
    Spawned(i32),
    /// It did not.
    SpawnFailed(SpawnFailure),
    /// The process with this pid ended.
    Exited(i32, ExitStatus),
    /// A signal could not be delivered.
    SignalFailed(String),
}

/// A process of the fleet, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    id: ProcessId,
    name: ProcessName,
    policy: Policy,
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

    /// True between [`Action::Start`] and its answer. A brain that took over must look for the
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

    /// Takes one step. With `may_start` false nothing is started any more.
    pub(super) fn step(
        &mut self,
        now: Moment,
        may_start: bool,
        input: Input,
        actions: &mut Vec<Action>,
    ) {
        use Phase::{
            Aborting, Backoff, Exited, Fatal, Launching, Running, Starting, Stopped, Stopping,
            Unknown,
        };
        match (self.phase, input) {
            (Stopped | Exited { .. } | Fatal, Input::Start(cause)) => {
                self.launch(now, 0, cause, actions);
            }
            (Backoff { failures, due }, Input::Tick) if due <= now.stamp => {
                self.launch(now, failures, Cause::Retry(failures), actions);
            }
            (Exited { again: Some(due) }, Input::Tick) if due <= now.stamp => {
                let status = self.exit_status.unwrap_or(ExitStatus::Unknown);
                self.respawn(now, status, actions);
            }

            (Launching { failures }, Input::Spawned(pid)) => {
                self.spawned(now, pid, failures, actions);
            }
            (Launching { failures }, Input::SpawnFailed(failure)) => {
                self.spawn_error = Some(failure.text.clone());
                self.failed(
                    now,
                    failures,
                    Cause::SpawnFailed(failure),
                    may_start,
                    actions,
                );
            }
            (Aborting, Input::Spawned(pid)) => {
                self.started = Some(now);
                self.phase = self.stopping(now, pid);
                self.ask_to_stop(pid, actions);
            }
            (Aborting, Input::SpawnFailed(failure)) => {
                self.enter(Stopped, Cause::SpawnFailed(failure), actions);
            }

            (Starting { pid, due, .. }, Input::Tick) if due <= now.stamp => {
                self.stayed_up(pid, actions);
            }
            (Starting { pid, failures, .. }, Input::Exited(dead, status)) if dead == pid => {
                self.ended = Some(now);
                if self.age(now) < self.policy.start_time() {
                    self.spawn_error = Some(EXITED_TOO_QUICKLY.to_owned());
                    let cause = Cause::ExitedTooQuickly(status);
                    self.failed(now, failures, cause, may_start, actions);
                } else {
                    self.stayed_up(pid, actions);
                    self.exited(now, status, may_start, actions);
                }
            }
            (Running { pid }, Input::Exited(dead, status)) if dead == pid => {
                self.ended = Some(now);
                self.exited(now, status, may_start, actions);
            }

            (Launching { .. }, Input::Stop(cause)) => self.enter(Aborting, cause, actions),
            (Starting { pid, .. } | Running { pid }, Input::Stop(cause)) => {
                self.enter(self.stopping(now, pid), cause, actions);
                self.ask_to_stop(pid, actions);
            }
            (Backoff { .. } | Exited { again: Some(_) }, Input::Stop(cause)) => {
                self.enter(Stopped, cause, actions);
            }
            (Stopping { pid, due }, Input::Tick) if due <= now.stamp => {
                let wait = self.policy.stop_time().max(KILL_INTERVAL);
                let due = now.stamp.after(wait);
                self.phase = Stopping { pid, due };
                let group = self.policy.killasgroup;
                self.kill(pid, SIGKILL, group, KillPurpose::Overdue, actions);
            }
            (Stopping { pid, .. } | Unknown { pid }, Input::Exited(dead, status))
                if dead == pid =>
            {
                self.ended = Some(now);
                self.exit_status = Some(status);
                self.enter(Stopped, Cause::Stopped(status), actions);
            }

            (
                Starting { pid, .. } | Running { pid } | Stopping { pid, .. },
                Input::Signal(signal),
            ) => self.kill(pid, signal, false, KillPurpose::Asked, actions),
            (
                Starting { pid, .. } | Running { pid } | Stopping { pid, .. },
                Input::SignalFailed(reason),
            ) => self.enter(Unknown { pid }, Cause::SignalFailed(reason), actions),

            (Backoff { .. }, Input::GiveUp) => self.enter(Fatal, Cause::Leaving, actions),
            (Exited { .. }, Input::GiveUp) => self.phase = Exited { again: None },

            // Early ticks; exits of another pid than ours.
            (Starting { .. } | Backoff { .. } | Stopping { .. } | Exited { .. }, Input::Tick)
            | (
                Starting { .. } | Running { .. } | Stopping { .. } | Unknown { .. },
                Input::Exited(..),
            ) => {}
            // Wishes that are fulfilled already, or that a request was refused for.
            (
                Launching { .. }
                | Starting { .. }
                | Running { .. }
                | Backoff { .. }
                | Aborting
                | Stopping { .. }
                | Unknown { .. },
                Input::Start(_),
            )
            | (
                Stopped
                | Aborting
                | Stopping { .. }
                | Exited { again: None }
                | Fatal
                | Unknown { .. },
                Input::Stop(_),
            )
            | (
                Stopped
                | Launching { .. }
                | Starting { .. }
                | Running { .. }
                | Aborting
                | Stopping { .. }
                | Fatal
                | Unknown { .. },
                Input::GiveUp,
            ) => {}
            // Nothing awaited, nobody there.
            (
                Stopped | Launching { .. } | Running { .. } | Aborting | Fatal | Unknown { .. },
                Input::Tick,
            )
            | (
                Stopped | Launching { .. } | Backoff { .. } | Aborting | Exited { .. } | Fatal,
                Input::Exited(..),
            )
            | (
                Stopped
                | Launching { .. }
                | Backoff { .. }
                | Aborting
                | Exited { .. }
                | Fatal
                | Unknown { .. },
                Input::Signal(_) | Input::SignalFailed(_),
            )
            | (
                Stopped
                | Starting { .. }
                | Running { .. }
                | Backoff { .. }
                | Stopping { .. }
                | Exited { .. }
                | Fatal
                | Unknown { .. },
                Input::Spawned(_) | Input::SpawnFailed(_),
            ) => {}
        }
    }

    fn enter(&mut self, to: Phase, cause: Cause, actions: &mut Vec<Action>) {
        let from = std::mem::replace(&mut self.phase, to);
        actions.push(Action::Changed(Change {
            process: self.id,
            from: from.state(),
            to: to.state(),
            pid: from.pid().unwrap_or(0),
            tries: to.failures(),
            cause,
        }));
    }

    fn launch(&mut self, now: Moment, failures: u32, cause: Cause, actions: &mut Vec<Action>) {
        self.started = Some(now);
        self.exit_status = None;
        self.spawn_error = None;
        self.enter(Phase::Launching { failures }, cause, actions);
        actions.push(Action::Start { process: self.id });
    }

    fn spawned(&mut self, now: Moment, pid: i32, failures: u32, actions: &mut Vec<Action>) {
        self.started = Some(now);
        let due = later_than(now.stamp, self.policy.start_time());
        self.phase = Phase::Starting { pid, due, failures };
        if self.policy.start_time().is_zero() {
            self.stayed_up(pid, actions);
        }
    }

    fn stayed_up(&mut self, pid: i32, actions: &mut Vec<Action>) {
        let cause = Cause::StayedUp(self.policy.startsecs);
        self.enter(Phase::Running { pid }, cause, actions);
    }

    /// One more attempt failed: wait and try again, or give up.
    fn failed(
        &mut self,
        now: Moment,
        failures: u32,
        cause: Cause,
        may_start: bool,
        actions: &mut Vec<Action>,
    ) {
        let failures = failures.saturating_add(1);
        let due = later_than(now.stamp, Duration::from_secs(u64::from(failures)));
        self.enter(Phase::Backoff { failures, due }, cause, actions);
        if i64::from(failures) > self.policy.startretries {
            self.enter(Phase::Fatal, Cause::GaveUp, actions);
        } else if !may_start {
            self.enter(Phase::Fatal, Cause::Leaving, actions);
        }
    }

    /// It ended by itself after it was RUNNING.
    fn exited(
        &mut self,
        now: Moment,
        status: ExitStatus,
        may_start: bool,
        actions: &mut Vec<Action>,
    ) {
        let expected = self.expects(status);
        self.exit_status = Some(status);
        if !expected {
            self.spawn_error = Some(bad_exit(status));
        }
        let wanted = match self.policy.autorestart {
            Autorestart::Never => false,
            Autorestart::Unexpected => !expected,
            Autorestart::Always => true,
        };
        let again = (wanted && may_start).then(|| self.pace.next(now.stamp));
        let cause = Cause::Exited { status, expected };
        self.enter(Phase::Exited { again }, cause, actions);
        if again.is_some_and(|due| due <= now.stamp) {
            self.respawn(now, status, actions);
        }
    }

    fn respawn(&mut self, now: Moment, status: ExitStatus, actions: &mut Vec<Action>) {
        self.pace.take(now.stamp);
        self.launch(now, 0, Cause::Autorestart(status), actions);
    }

    fn stopping(&self, now: Moment, pid: i32) -> Phase {
        let due = now.stamp.after(self.policy.stop_time());
        Phase::Stopping { pid, due }
    }

    /// Sends `stopsignal`.
    fn ask_to_stop(&self, pid: i32, actions: &mut Vec<Action>) {
        let (signal, group) = (self.policy.stopsignal, self.policy.stopasgroup);
        self.kill(pid, signal, group, KillPurpose::Stop, actions);
    }

    fn kill(
        &self,
        pid: i32,
        signal: Signal,
        group: bool,
        purpose: KillPurpose,
        actions: &mut Vec<Action>,
    ) {
        actions.push(Action::Kill {
            process: self.id,
            pid,
            signal,
            group,
            purpose,
        });
    }

    /// How long its current run has lasted.
    fn age(&self, now: Moment) -> Duration {
        self.started
            .map_or(Duration::ZERO, |at| now.stamp.since(at.stamp))
    }

    /// Whether `exitcodes` lists it. An exit nobody saw is never expected.
    fn expects(&self, status: ExitStatus) -> bool {
        match status {
            ExitStatus::Code(code) => self.policy.exitcodes.contains(&code),
            ExitStatus::Signal { .. } | ExitStatus::Unknown => false,
        }
    }
}

/// The first stamp that is more than `wait` after `now`: Supervisor compares strictly.
fn later_than(now: Stamp, wait: Duration) -> Stamp {
    now.after(wait).after(Duration::from_nanos(1))
}

/// Supervisor's text for an unexpected exit; it counts a death by signal as -1.
fn bad_exit(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("Bad exit code {code}"),
        ExitStatus::Signal { .. } => "Bad exit code -1".to_owned(),
        ExitStatus::Unknown => "Ended unseen, exit status unknown".to_owned(),
    }
}
