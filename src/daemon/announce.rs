//! Tells what happened: to the main log, to the ring of events, and to event listeners.

use super::brain::Brain;
use super::processes::owner_of;
use super::sentences::{self, say, why};
use crate::events::{Event, Output, StateChange};
use crate::fleet::{Action, Cause, Change, State};
use crate::logs::StreamId;

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
        self.records.changed.insert(change.process);
        let Some(process) = self.processes.get(&change.process) else {
            return;
        };
        let exitcodes = &process.config.policy.exitcodes;
        if let Some(line) = sentences::changed(&process.name, change, exitcodes) {
            say(line);
        }
        let reason = why(change);
        self.chronicle(change, &reason);
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
            why: reason,
        };
        self.announce(Event::State(change));
    }

    /// A program wrote something that is to be told.
    pub(super) fn announce_output(
        &mut self,
        stream: StreamId,
        generation: u64,
        captured: bool,
        data: Vec<u8>,
    ) {
        let Some((id, channel)) = owner_of(stream) else {
            return;
        };
        let Some(process) = self.processes.get(&id) else {
            return;
        };
        let run = process.run.as_ref().filter(|run| run.id.0 == generation);
        let output = Output {
            name: process.name.clone(),
            pid: run.map_or(0, |run| run.pid),
            channel,
            data,
        };
        self.announce(match captured {
            true => Event::Communication(output),
            false => Event::Log(output),
        });
    }

    /// Before the first action that is about more than joining the fleet: its groups are there,
    /// and the daemon supervises.
    pub(super) fn announce_supervising(&mut self, next: &Action) {
        if !matches!(next, Action::GroupAdded { .. }) && std::mem::take(&mut self.introducing) {
            self.announce(Event::SupervisorRunning);
        }
    }
}
