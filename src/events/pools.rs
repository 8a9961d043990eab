//! All pools of event listeners: an event goes to each that wants it.
//!
//! Pure, and whole in itself: what a brain leaves to its successor of its listeners is this.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::dialogue::ListenerState;
use super::event::{Event, TickPeriod};
use super::pool::{Note, Pool};
use super::ticks::Ticks;
use crate::config::{EventType, ListenerConfig};
use crate::fleet::{ProcessId, Stamp};
use crate::ordered;

/// The pools, by group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pools {
    pools: BTreeMap<String, Pool>,
    next_serial: u64,
    ticks: Ticks,
}

impl Pools {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pools.is_empty()
    }

    /// A group of listeners joined the fleet.
    pub fn add(&mut self, wall: i64, name: &str, config: &ListenerConfig, ids: &[ProcessId]) {
        let pool = Pool::new(name, config, ids);
        self.pools.insert(name.to_owned(), pool);
        self.follow_ticks(wall);
    }

    /// A group left the fleet; what it had not dealt with is gone.
    pub fn remove(&mut self, wall: i64, name: &str) {
        if self.pools.remove(name).is_some() {
            self.follow_ticks(wall);
        }
    }

    /// The names of the groups.
    pub fn names(&self) -> Vec<String> {
        self.pools.keys().cloned().collect()
    }

    /// Whether this group is one of listeners.
    pub fn has(&self, name: &str) -> bool {
        self.pools.contains_key(name)
    }

    /// Whether any pool wants events of this type.
    pub fn want(&self, kind: EventType) -> bool {
        self.pools.values().any(|pool| pool.wants(kind))
    }

    /// Something happened.
    pub fn accept(&mut self, event: &Event, notes: &mut Vec<Note>) {
        let kind = event.kind();
        if !self.want(kind) {
            return;
        }
        let (serial, payload) = (self.next_serial, event.payload());
        self.next_serial += 1;
        for pool in self.pools.values_mut().filter(|pool| pool.wants(kind)) {
            pool.accept(serial, kind, payload.clone(), notes);
        }
    }

    /// The pool of a listener.
    pub fn of(&mut self, process: ProcessId) -> Option<&mut Pool> {
        self.pools.values_mut().find(|pool| pool.has(process))
    }

    /// Where a listener is in its dialogue; nothing if it is none.
    pub fn state_of(&self, process: ProcessId) -> Option<ListenerState> {
        let mut states = self.pools.values().map(|pool| pool.state_of(process));
        states.find_map(|state| state)
    }

    /// Gives events to listeners that wait for one; returns those that got one.
    pub fn dispatch(
        &mut self,
        now: Stamp,
        runs: impl Fn(ProcessId) -> bool,
        notes: &mut Vec<Note>,
    ) -> Vec<ProcessId> {
        let pools = self.pools.values_mut();
        pools
            .flat_map(|pool| pool.dispatch(now, &runs, notes))
            .collect()
    }

    /// When to dispatch again without anything happening.
    pub fn next_deadline(&self) -> Option<Stamp> {
        self.pools.values().filter_map(Pool::next_deadline).min()
    }

    /// The ticks that are due.
    pub fn ticks(&mut self, wall: i64) -> Vec<Event> {
        self.ticks.due(wall)
    }

    /// When the next tick is due, in seconds since 1970.
    pub fn next_tick(&self) -> Option<i64> {
        self.ticks.next()
    }

    /// The same without what waits in them.
    pub fn without_waiting(&self) -> Pools {
        let pools = self.pools.iter();
        Pools {
            pools: ordered::map(pools.map(|(name, pool)| (name.clone(), pool.without_waiting()))),
            next_serial: self.next_serial,
            ticks: self.ticks.clone(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.pools.len()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Pool)> {
        self.pools.iter()
    }

    /// A pool by its name.
    pub fn named(&mut self, name: &str) -> Option<&mut Pool> {
        self.pools.get_mut(name)
    }

    /// Only what somebody waits for is looked at the clock for.
    fn follow_ticks(&mut self, wall: i64) {
        let wanted =
            |period: &TickPeriod| self.pools.values().any(|pool| pool.wants(period.kind()));
        let periods: Vec<TickPeriod> = TickPeriod::ALL.into_iter().filter(wanted).collect();
        self.ticks.follow(wall, periods.into_iter());
    }
}
