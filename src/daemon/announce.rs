//! Tells what happened: to the main log, to the ring of events, and to event listeners.

use super::brain::Brain;
use super::sentences::{self, say, why};
use crate::events::{Event, StateChange};
use crate::fleet::{Action, Cause, Change, State};

impl Brain {
    /// Something happened that anyone may want to know.
    pub(super) fn announce(&mut self, event: Event) {
        let mut notes = Vec::new();
        self.listeners.accept(&event, &mut notes);
        self.tell_notes(notes);
        // Output is in the logs, and the time on every wall: listeners alone are told of them.
        if !matches!(event, Event::Log(_) | Event::Tick { .. }) {
            self.bulletin.publish(self.now.wall, event);
        }
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
        if change.to == State::Stopping {
            self.listener_stops(change.process);
        }
        let Some(process) = self.processes.get(&change.process) else {
            return;
        };
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
