//! All streams, and which of them want to be looked at later: one that is idle costs nothing when
//! another one has something to do.
//!
//! Whoever changes a stream gets it from here, so what it waits for is looked up again by itself.

use std::collections::BTreeMap;
use std::time::Instant;

use super::plane::StreamId;
use super::rotation::Wall;
use super::stream::Stream;

/// The streams by their numbers.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Boxed, for half of a map's places are empty.
    all: BTreeMap<StreamId, Box<Stream>>,
    /// Those that may wait for something else than before; some of them twice.
    touched: Vec<StreamId>,
    /// When a stream wants to be looked at.
    due: BTreeMap<StreamId, Instant>,
    next_due: Option<Instant>,
    /// When it has something to do by the wall clock.
    alarms: BTreeMap<StreamId, Wall>,
    next_alarm: Option<Wall>,
}

impl Streams {
    /// To look at a stream.
    pub fn get(&self, id: StreamId) -> Option<&Stream> {
        self.all.get(&id).map(Box::as_ref)
    }

    /// To change a stream.
    pub fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        let stream = self.all.get_mut(&id)?;
        if self.touched.last() != Some(&id) {
            self.touched.push(id);
        }
        Some(stream)
    }

    /// Adds a stream.
    pub fn insert(&mut self, id: StreamId, stream: Stream) {
        self.touched.push(id);
        self.all.insert(id, Box::new(stream));
    }

    /// Takes a stream out.
    pub fn remove(&mut self, id: StreamId) -> Option<Box<Stream>> {
        self.touched.push(id);
        self.all.remove(&id)
    }

    /// The numbers of all.
    pub fn ids(&self) -> Vec<StreamId> {
        self.all.keys().copied().collect()
    }

    /// Looks up what those wait for that were changed.
    pub fn settle(&mut self) {
        let (mut due, mut alarms) = (false, false);
        for id in self.touched.drain(..) {
            let stream = self.all.get(&id).map(Box::as_ref);
            due |= note(&mut self.due, id, stream.and_then(Stream::due));
            alarms |= note(&mut self.alarms, id, stream.and_then(Stream::alarm));
        }
        if due {
            self.next_due = self.due.values().min().copied();
        }
        if alarms {
            self.next_alarm = self.alarms.values().min().copied();
        }
    }

    /// When the first of them wants to be looked at.
    pub fn next_due(&self) -> Option<Instant> {
        self.next_due
    }

    /// Those that want to be looked at by now.
    pub fn overdue(&self, now: Instant) -> Vec<StreamId> {
        let due = self.due.iter().filter(|(_, due)| **due <= now);
        due.map(|(id, _)| *id).collect()
    }

    /// When the wall clock is to ring.
    pub fn next_alarm(&self) -> Option<Wall> {
        self.next_alarm
    }
}

/// Notes what a stream waits for; whether that is news.
fn note<T: PartialEq + Copy>(
    wishes: &mut BTreeMap<StreamId, T>,
    id: StreamId,
    wish: Option<T>,
) -> bool {
    let before = match wish {
        Some(wish) => wishes.insert(id, wish),
        None => wishes.remove(&id),
    };
    before != wish
}
