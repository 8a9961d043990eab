//! When the daemon leaves, event listeners are stopped last, and not before they have dealt with
//! what happened until then: the ends of programs are what many of them are there for.

use std::time::Duration;

use super::brain::Brain;
use crate::config::Signal;
use crate::fleet::{KillPurpose, ProcessId, Stamp};

/// How long the stop of a listener waits, when the daemon leaves, until it has dealt with what
/// happened before.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// A signal that is held back for a listener's last events.
#[derive(Debug)]
pub struct Farewell {
    until: Stamp,
    pid: i32,
    signal: Signal,
    group: bool,
}

impl Farewell {
    /// When it is sent at the latest.
    pub fn until(&self) -> Stamp {
        self.until
    }
}

impl Brain {
    /// When the daemon leaves, a listener is stopped after the programs: it is to hear of their
    /// ends, and not of its own.
    pub(super) fn listener_stops(&mut self, id: ProcessId) {
        if self.fleet.is_leaving() && self.listeners.pools.state_of(id).is_some() {
            self.with_pool(id, |pool, _| pool.close());
        }
    }

    /// Holds a signal back that is to stop a listener; false if it is to be sent at once.
    pub(super) fn begin_farewell(
        &mut self,
        id: ProcessId,
        pid: i32,
        signal: Signal,
        group: bool,
    ) -> bool {
        let pool = self.listeners.pools.of(id);
        if !self.fleet.is_leaving() || pool.is_none_or(|pool| pool.is_done()) {
            return false;
        }
        let until = self.now.stamp.after(FAREWELL_TIME);
        let farewell = Farewell {
            until,
            pid,
            signal,
            group,
        };
        self.listeners.farewells.insert(id, farewell);
        true
    }

    /// Sends the signals that need not wait any longer.
    pub(super) fn end_farewells(&mut self) {
        let ids: Vec<ProcessId> = self.listeners.farewells.keys().copied().collect();
        for id in ids {
            let now = self.now.stamp;
            let farewell = self.listeners.farewells.get(&id);
            let overdue = farewell.is_some_and(|farewell| farewell.until <= now);
            if !overdue
                && self
                    .listeners
                    .pools
                    .of(id)
                    .is_some_and(|pool| !pool.is_done())
            {
                continue;
            }
            if let Some(farewell) = self.listeners.farewells.remove(&id) {
                let Farewell {
                    pid, signal, group, ..
                } = farewell;
                self.send_signal(id, pid, signal, group, KillPurpose::Stop);
            }
        }
    }
}
