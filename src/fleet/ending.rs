//! When the fleet leaves by itself, and the exit code that comes of it: for containers, whose end
//! is that of what they are there for.
//!
//! An end is final if nothing will start the process again: it is EXITED and not to be restarted,
//! or FATAL. A stop that somebody asked for is no end in this sense.
//!
//! Must never: stop anything itself, or judge ends while the fleet is leaving already.

use serde::{Deserialize, Serialize};

use super::Fleet;
use super::event::{Action, Cause, Change, ExitStatus, Moment, SpawnFailureKind};
use super::name::ProcessId;
use super::phase::Phase;
use super::process::Process;
use super::state::State;

/// When to leave without being asked, beside the end of an `essential` program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndWhen {
    /// Some process is FATAL.
    Fatal,
    /// Nothing runs, and nothing will start by itself.
    Done,
    /// There is one program, and its exit code is the daemon's, whoever ended it.
    Single,
}

/// What is known of the end so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ending {
    pub(super) when: Option<EndWhen>,
    /// It is time, with this code, because of this process if it was one.
    pub(super) due: Option<(u8, Option<ProcessId>)>,
    /// The code of the first final end that was not expected.
    failure: Option<u8>,
    /// Something was started, so that there can be an end.
    begun: bool,
}

impl Ending {
    /// Takes note of what a step of a process came to.
    pub(super) fn note(&mut self, process: &Process, changes: &[Action]) {
        let changes = changes.iter().filter_map(|action| match action {
            Action::Changed(change) => Some(change),
            _ => None,
        });
        let mut before = None;
        for change in changes {
            self.begun |= change.to == State::Starting;
            if let Some((code, expected)) = final_end(process, before, change) {
                self.ended(process, change, code, expected);
            }
            before = Some(change);
        }
    }

    fn ended(&mut self, process: &Process, change: &Change, code: u8, expected: bool) {
        let by_hand = matches!(change.cause, Cause::Stopped(_));
        let due = match self.when {
            Some(EndWhen::Single) => true,
            _ if by_hand => return,
            Some(EndWhen::Fatal) => change.to == State::Fatal || process.policy().essential,
            Some(EndWhen::Done) | None => process.policy().essential,
        };
        if due {
            self.due.get_or_insert((code, Some(process.id())));
        } else if !expected {
            self.failure.get_or_insert(code);
        }
    }
}

/// The exit code of a final end, and whether that was expected.
fn final_end(process: &Process, before: Option<&Change>, change: &Change) -> Option<(u8, bool)> {
    match (&change.cause, process.phase) {
        (Cause::Exited { status, expected }, Phase::Exited { again: None }) => {
            Some((exit_code(*status), *expected))
        }
        (Cause::Stopped(status), _) => Some((exit_code(*status), true)),
        (Cause::GaveUp, Phase::Fatal) => Some((failure_code(before), false)),
        _ => None,
    }
}

/// The exit code that a shell would show.
fn exit_code(status: ExitStatus) -> u8 {
    match status {
        ExitStatus::Code(code) => code,
        ExitStatus::Signal { number, .. } => number.saturating_add(128),
        ExitStatus::Unknown => 1,
    }
}

/// The exit code of the last attempt of one that was given up; never 0.
fn failure_code(before: Option<&Change>) -> u8 {
    match before.map(|change| &change.cause) {
        Some(Cause::ExitedTooQuickly(status)) => exit_code(*status).max(1),
        Some(Cause::SpawnFailed(failure)) => match failure.kind {
            SpawnFailureKind::NoFile => 127,
            SpawnFailureKind::NotExecutable => 126,
            SpawnFailureKind::Other => 1,
        },
        _ => 1,
    }
}

impl Fleet {
    /// Says when to leave without being asked.
    pub fn end_when(&mut self, when: Option<EndWhen>) {
        self.ending.when = when;
        self.unsaved.structure = true;
    }

    /// Leaves if it is time; false if it is not.
    pub(super) fn end_if_due(&mut self, now: Moment, actions: &mut Vec<Action>) -> bool {
        if self.is_leaving() {
            return false;
        }
        if self.ending.when == Some(EndWhen::Done) && self.is_done() {
            let code = self.ending.failure.unwrap_or(0);
            self.ending.due.get_or_insert((code, None));
        }
        let Some((code, process)) = self.ending.due else {
            return false;
        };
        actions.push(Action::Ending { process, code });
        self.leave(now, false, actions)
    }

    fn is_done(&self) -> bool {
        self.ending.begun
            && self.updates.is_empty()
            && self.rounds.members().next().is_none()
            && self
                .processes()
                .all(|process| process.state().is_stopped() && !process.is_active())
    }
}
