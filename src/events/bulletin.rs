//! The ring, shared: the daemon's turn adds, sessions read and wait.
//!
//! A reader keeps a number and nothing else, so a slow one holds up nobody; what it missed meanwhile
//! it is told as a count.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::event::Event;
use super::ring::{Batch, Ring};

/// A handle to the events; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Bulletin(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    ring: Mutex<Ring>,
    news: event_listener::Event,
}

impl Bulletin {
    /// An empty one whose next event gets the number after `last`.
    pub fn continuing(last: u64) -> Bulletin {
        Bulletin(Arc::new(Shared {
            ring: Mutex::new(Ring::continuing(last)),
            news: event_listener::Event::new(),
        }))
    }

    /// Adds an event and wakes whoever waits. `wall` is the time in seconds since 1970.
    pub fn publish(&self, wall: i64, event: Event) {
        self.ring().push(wall, event);
        self.0.news.notify(usize::MAX);
    }

    /// Number of the last event; 0 before the first.
    pub fn last(&self) -> u64 {
        self.ring().last()
    }

    /// The number to ask from for all that is kept.
    pub fn before_oldest(&self) -> u64 {
        self.ring().before_oldest()
    }

    /// At most `most` events that followed number `after`: see [`Ring::since`].
    pub fn since(&self, after: u64, most: usize) -> Batch {
        self.ring().since(after, most)
    }

    /// Waits until there is something to read after this number, which [`Batch::seen`] gave.
    pub async fn news_after(&self, seen: u64) {
        loop {
            let news = self.0.news.listen();
            // Looked at after listening began, so that nothing comes between.
            if self.last() != seen {
                return;
            }
            news.await;
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Nothing panics while it holds the ring, and a ring is whole after each of its steps.
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two handles are equal if they share their events.
impl PartialEq for Bulletin {
    fn eq(&self, other: &Bulletin) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Bulletin {}

#[cfg(test)]
mod tests {
    use super::*;
    use async_std::task;

    #[test]
    fn readers_wait_for_what_they_have_not_seen() {
        let bulletin = Bulletin::default();
        let reader = |bulletin: Bulletin| async move {
            let (mut seen, mut got) = (0, Vec::new());
            while got.len() < 500 {
                bulletin.news_after(seen).await;
                let batch = bulletin.since(seen, 7);
                assert_eq!(batch.missed, 0);
                got.extend(batch.records.iter().map(|record| record.sequence));
                seen = batch.seen;
            }
            got
        };
        let readers: Vec<_> = (0..20)
            .map(|_| task::spawn(reader(bulletin.clone())))
            .collect();
        for _ in 0..500 {
            bulletin.publish(1, Event::SupervisorRunning);
        }
        for reader in readers {
            assert_eq!(task::block_on(reader), (1..=500).collect::<Vec<_>>());
        }
    }
}
