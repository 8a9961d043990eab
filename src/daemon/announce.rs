//! Tells what happened: to the main log and to the ring of events.

use super::brain::Brain;
use super::sentences::{self, say, why};
use crate::events::{Event, StateChange};
use crate::fleet::{Action, Cause, Change};

impl Brain {
    /// Something happened that anyone may want to know.
    pub(super) fn announce(&mut self, event: Event) {
        self.bulletin.publish(self.now.wall, event);
    }

    /// A process changed state.
    pub(super) fn announce_change(&mut self, change: &Change) {
        self.changed.insert(change.process);
        let Some(process) = self.processes.get(&change.process) else {
            return;
        };
        let exitcodes = &process.config.policy.exitcodes;
        if let Some(line) = sentences::changed(&process.name, change, exitcodes) {
            say(line);
        }
        let change = StateChange {
            name: process.name.clone(),
            from: change.from,
            to: change.to,
            pid: change.pid,
            tries: change.tries,
            expected: matches!(change.cause, Cause::Exited { expected: true, .. }),
            why: why(change),
        };
        self.announce(Event::State(change));
    }

    /// Before the first action that is about more than joining the fleet: its groups are there,
    /// and the daemon supervises.
    pub(super) fn announce_supervising(&mut self, next: &Action) {
        if !matches!(next, Action::GroupAdded { .. }) && std::mem::take(&mut self.introducing) {
            self.announce(Event::SupervisorRunning);
        }
    }
}
