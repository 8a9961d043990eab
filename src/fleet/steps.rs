//! The life of a process: every step it can take from where it is.
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
use super::phase::Phase::{
    self, Aborting, Backoff, Exited, Fatal, Launching, Running, Starting, Stopped, Stopping,
    Unknown,
};
use super::process::Process;
use crate::config::{Autorestart, Signal};

/// SIGKILL is repeated no sooner than this, even with `stopwaitsecs=0`.
pub const KILL_INTERVAL: Duration = Duration::from_secs(1);

/// What `status` says of a process that ended before `startsecs` (Supervisor's words).
pub(super) const EXITED_TOO_QUICKLY: &str = "Exited too quickly (process log may have details)";

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

impl Process {
    /// Takes one step. With `may_start` false nothing is started any more.
    ///
    /// Each input has a function of its own, in which every phase has its place.
    pub(super) fn step(
        &mut self,
        now: Moment,
        may_start: bool,
        input: Input,
        actions: &mut Vec<Action>,
    ) {
        match input {
            Input::Start(cause) => self.start(now, cause, actions),
            Input::Stop(cause) => self.stop(now, cause, actions),
            Input::GiveUp => self.give_up(actions),
            Input::Signal(signal) => self.signal(signal, actions),
            Input::Tick => self.tick(now, actions),
            Input::Spawned(pid) => self.spawned(now, pid, actions),
            Input::SpawnFailed(failure) => self.spawn_failed(now, failure, may_start, actions),
            Input::Exited(pid, status) => self.exited(now, pid, status, may_start, actions),
            Input::SignalFailed(reason) => self.signal_failed(reason, actions),
        }
    }

    fn start(&mut self, now: Moment, cause: Cause, actions: &mut Vec<Action>) {
        match self.phase {
            Stopped | Exited { .. } | Fatal => self.launch(now, 0, cause, actions),
            // It is fulfilled already, or a request was refused for it.
            Launching { .. }
            | Starting { .. }
            | Running { .. }
            | Backoff { .. }
            | Aborting
            | Stopping { .. }
            | Unknown { .. } => {}
        }
    }

    fn stop(&mut self, now: Moment, cause: Cause, actions: &mut Vec<Action>) {
        match self.phase {
            Launching { .. } => self.enter(Aborting, cause, actions),
            Starting { pid, .. } | Running { pid } => {
                self.enter(self.stopping(now, pid), cause, actions);
                self.ask_to_stop(pid, actions);
            }
            Backoff { .. } | Exited { again: Some(_) } => self.enter(Stopped, cause, actions),
            // It is fulfilled already, or a request was refused for it.
            Stopped
            | Aborting
            | Stopping { .. }
            | Exited { again: None }
            | Fatal
            | Unknown { .. } => {}
        }
    }

    fn give_up(&mut self, actions: &mut Vec<Action>) {
        match self.phase {
            Backoff { .. } => self.enter(Fatal, Cause::Leaving, actions),
            Exited { .. } => self.phase = Exited { again: None },
            // It waits for no start.
            Stopped
            | Launching { .. }
            | Starting { .. }
            | Running { .. }
            | Aborting
            | Stopping { .. }
            | Fatal
            | Unknown { .. } => {}
        }
    }

    fn signal(&mut self, signal: Signal, actions: &mut Vec<Action>) {
        match self.phase {
            Starting { pid, .. } | Running { pid } | Stopping { pid, .. } => {
                self.kill(pid, signal, false, KillPurpose::Asked, actions);
            }
            // Nobody is there.
            Stopped
            | Launching { .. }
            | Backoff { .. }
            | Aborting
            | Exited { .. }
            | Fatal
            | Unknown { .. } => {}
        }
    }

    fn tick(&mut self, now: Moment, actions: &mut Vec<Action>) {
        match self.phase {
            Backoff { failures, due } if due <= now.stamp => {
                self.launch(now, failures, Cause::Retry(failures), actions);
            }
            Exited { again: Some(due) } if due <= now.stamp => {
                let status = self.exit_status.unwrap_or(ExitStatus::Unknown);
                self.respawn(now, status, actions);
            }
            Starting { pid, due, .. } if due <= now.stamp => self.stayed_up(pid, actions),
            Stopping { pid, due } if due <= now.stamp => {
                let wait = self.policy.stop_time().max(KILL_INTERVAL);
                let due = now.stamp.after(wait);
                self.phase = Stopping { pid, due };
                let group = self.policy.killasgroup;
                self.kill(pid, SIGKILL, group, KillPurpose::Overdue, actions);
            }
            // It comes early, or nothing is awaited.
            Backoff { .. }
            | Exited { .. }
            | Starting { .. }
            | Stopping { .. }
            | Stopped
            | Launching { .. }
            | Running { .. }
            | Aborting
            | Fatal
            | Unknown { .. } => {}
        }
    }

    fn spawned(&mut self, now: Moment, pid: i32, actions: &mut Vec<Action>) {
        match self.phase {
            Launching { failures } => {
                self.started = Some(now);
                let due = later_than(now.stamp, self.policy.start_time());
                self.phase = Starting { pid, due, failures };
                if self.policy.start_time().is_zero() {
                    self.stayed_up(pid, actions);
                }
            }
            Aborting => {
                self.started = Some(now);
                self.phase = self.stopping(now, pid);
                self.ask_to_stop(pid, actions);
            }
            // Nothing was launched.
            Stopped
            | Starting { .. }
            | Running { .. }
            | Backoff { .. }
            | Stopping { .. }
            | Exited { .. }
            | Fatal
            | Unknown { .. } => {}
        }
    }

    fn spawn_failed(
        &mut self,
        now: Moment,
        failure: SpawnFailure,
        may_start: bool,
        actions: &mut Vec<Action>,
    ) {
        match self.phase {
            Launching { failures } => {
                self.spawn_error = Some(failure.text.clone());
                let cause = Cause::SpawnFailed(failure);
                self.failed(now, failures, cause, may_start, actions);
            }
            Aborting => self.enter(Stopped, Cause::SpawnFailed(failure), actions),
            // Nothing was launched.
            Stopped
            | Starting { .. }
            | Running { .. }
            | Backoff { .. }
            | Stopping { .. }
            | Exited { .. }
            | Fatal
            | Unknown { .. } => {}
        }
    }

    fn exited(
        &mut self,
        now: Moment,
        dead: i32,
        status: ExitStatus,
        may_start: bool,
        actions: &mut Vec<Action>,
    ) {
        match self.phase {
            Starting { pid, failures, .. } if dead == pid => {
                self.ended = Some(now);
                if self.age(now) < self.policy.start_time() {
                    self.spawn_error = Some(EXITED_TOO_QUICKLY.to_owned());
                    let cause = Cause::ExitedTooQuickly(status);
                    self.failed(now, failures, cause, may_start, actions);
                } else {
                    self.stayed_up(pid, actions);
                    self.ended_by_itself(now, status, may_start, actions);
                }
            }
            Running { pid } if dead == pid => {
                self.ended = Some(now);
                self.ended_by_itself(now, status, may_start, actions);
            }
            Stopping { pid, .. } | Unknown { pid } if dead == pid => {
                self.ended = Some(now);
                self.exit_status = Some(status);
                self.enter(Stopped, Cause::Stopped(status), actions);
            }
            // It is another process than ours, or there is none.
            Starting { .. }
            | Running { .. }
            | Stopping { .. }
            | Unknown { .. }
            | Stopped
            | Launching { .. }
            | Backoff { .. }
            | Aborting
            | Exited { .. }
            | Fatal => {}
        }
    }

    fn signal_failed(&mut self, reason: String, actions: &mut Vec<Action>) {
        match self.phase {
            Starting { pid, .. } | Running { pid } | Stopping { pid, .. } => {
                self.enter(Unknown { pid }, Cause::SignalFailed(reason), actions);
            }
            // Nobody is there.
            Stopped
            | Launching { .. }
            | Backoff { .. }
            | Aborting
            | Exited { .. }
            | Fatal
            | Unknown { .. } => {}
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
        self.enter(Launching { failures }, cause, actions);
        actions.push(Action::Start { process: self.id });
    }

    fn stayed_up(&mut self, pid: i32, actions: &mut Vec<Action>) {
        let cause = Cause::StayedUp(self.policy.startsecs);
        self.enter(Running { pid }, cause, actions);
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
        self.enter(Backoff { failures, due }, cause, actions);
        if i64::from(failures) > self.policy.startretries {
            self.enter(Fatal, Cause::GaveUp, actions);
        } else if !may_start {
            self.enter(Fatal, Cause::Leaving, actions);
        }
    }

    /// It ended by itself after it was RUNNING.
    fn ended_by_itself(
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
        self.enter(Exited { again }, cause, actions);
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
        Stopping { pid, due }
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
