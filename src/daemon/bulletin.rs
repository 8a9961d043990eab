//! The event stream: every change of state, numbered, for whoever listens. A reader who does
//! not keep up is let go; it never holds up the daemon or costs unbounded memory.

use async_std::channel::Sender;

use super::sentences::why;
use crate::control::{Answer, EventView};
use crate::fleet::{Change, ProcessName};

/// Listeners at once.
const LISTENERS_MAX: usize = 256;

/// Who listens, and the number of the last event.
#[derive(Debug, Default)]
pub struct Bulletin {
    sequence: u64,
    listeners: Vec<Sender<Answer>>,
}

impl Bulletin {
    /// Tells everybody of a change.
    pub fn publish(&mut self, wall: i64, name: &ProcessName, change: &Change) {
        self.sequence += 1;
        if self.listeners.is_empty() {
            return;
        }
        let event = Answer::Event(EventView {
            sequence: self.sequence,
            wall,
            name: name.clone(),
            from: change.from,
            to: change.to,
            pid: change.pid,
            why: why(change),
        });
        // A full or closed channel means a reader who is too slow or gone.
        self.listeners
            .retain(|listener| listener.try_send(event.clone()).is_ok());
    }

    /// Adds a listener; gives it back if there are too many.
    pub fn listen(&mut self, listener: Sender<Answer>) -> Result<(), Sender<Answer>> {
        self.listeners.retain(|listener| !listener.is_closed());
        if self.listeners.len() >= LISTENERS_MAX {
            return Err(listener);
        }
        self.listeners.push(listener);
        Ok(())
    }
}
