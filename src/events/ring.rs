//! The ring: the last events, by number, within a bound on their count and on their bytes.
//!
//! Numbers have no gaps and are never given twice. Who asks for what followed a number gets it, and
//! is told how many of them are gone if that was too long ago.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event::Event;
use super::record::Record;

/// Events that are kept.
pub const KEPT_MAX: usize = 1024;

/// Bytes of names and texts that are kept.
pub const BYTES_MAX: usize = 256 * 1024;

/// The last events.
#[derive(Debug, Default)]
pub struct Ring {
    records: VecDeque<Arc<Record>>,
    /// Number of the last event; 0 before the first.
    last: u64,
    bytes: usize,
}

/// What followed a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// How many events the ring had lost already.
    pub missed: u64,
    /// The events, in order.
    pub records: Vec<Arc<Record>>,
    /// The number to ask from next time.
    pub seen: u64,
}

impl Ring {
    /// An empty ring whose next event gets the number after `last`.
    pub fn continuing(last: u64) -> Ring {
        Ring {
            last,
            ..Ring::default()
        }
    }

    /// Number of the last event; 0 before the first.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The number before that of the oldest event that is kept: who asks from there gets all.
    pub fn before_oldest(&self) -> u64 {
        let oldest = self.records.front();
        oldest.map_or(self.last, |oldest| oldest.sequence - 1)
    }

    /// Gives an event its number and keeps it. `wall` is the time in seconds since 1970.
    pub fn push(&mut self, wall: i64, event: Event) {
        self.last += 1;
        let record = Record::shortened(self.last, wall, event);
        self.bytes += record.weight();
        self.records.push_back(Arc::new(record));
        while self.records.len() > KEPT_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.records.pop_front() else {
                break;
            };
            self.bytes -= oldest.weight();
        }
    }

    /// At most `most` events that followed number `after`. A number that was never given out comes
    /// from an earlier daemon, and stands for 0.
    pub fn since(&self, after: u64, most: usize) -> Batch {
        let after = if after > self.last { 0 } else { after };
        let begin = self.before_oldest();
        let missed = begin.saturating_sub(after);
        let skipped = usize::try_from(after.saturating_sub(begin)).unwrap_or(usize::MAX);
        let rest = self.records.iter().skip(skipped);
        let records: Vec<_> = rest.take(most).cloned().collect();
        let last = records.last().map(|record| record.sequence);
        Batch {
            missed,
            seen: last.unwrap_or(after + missed),
            records,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn group(length: usize) -> Event {
        let group = "g".repeat(length);
        Event::GroupAdded { group }
    }

    fn numbers(batch: &Batch) -> Vec<u64> {
        batch.records.iter().map(|record| record.sequence).collect()
    }

    #[test]
    fn a_reader_gets_what_followed_its_number() {
        let mut ring = Ring::default();
        assert_eq!((ring.since(0, 9).missed, ring.since(0, 9).seen), (0, 0));
        for _ in 0..5 {
            ring.push(1, group(1));
        }
        // (after, most) and (missed, numbers, seen)
        let table = [
            ((0, 9), (0, vec![1, 2, 3, 4, 5], 5)),
            ((3, 9), (0, vec![4, 5], 5)),
            ((3, 1), (0, vec![4], 4)),
            ((5, 9), (0, vec![], 5)),
            ((99, 2), (0, vec![1, 2], 2)),
        ];
        for ((after, most), expected) in table {
            let batch = ring.since(after, most);
            let seen = batch.seen;
            assert_eq!((batch.missed, numbers(&batch), seen), expected, "{after}");
        }
    }

    #[test]
    fn who_was_too_slow_is_told_how_much_is_gone() {
        let mut ring = Ring::default();
        for _ in 0..KEPT_MAX + 10 {
            ring.push(1, group(1));
        }
        let batch = ring.since(3, 2);
        assert_eq!((batch.missed, numbers(&batch)), (7, vec![11, 12]));
        assert_eq!(ring.since(10, 1).missed, 0);
        assert_eq!(ring.before_oldest(), 10);
    }

    #[test]
    fn numbers_go_on_after_a_predecessor_and_its_events_are_missed() {
        let mut ring = Ring::continuing(40);
        let batch = ring.since(38, 9);
        assert_eq!((batch.missed, batch.seen), (2, 40));
        ring.push(1, group(1));
        let batch = ring.since(38, 9);
        assert_eq!((batch.missed, numbers(&batch)), (2, vec![41]));
    }

    proptest! {
        #[test]
        fn the_ring_is_bounded_and_nothing_is_skipped_in_silence(
            lengths in prop::collection::vec(0_usize..60_000, 1..60),
            steps in prop::collection::vec((0_usize..8, 1_usize..5), 1..60),
        ) {
            let mut ring = Ring::default();
            let mut lengths = lengths.into_iter();
            let (mut seen, mut told) = (0, 0);
            for (pushed, read) in steps {
                for length in lengths.by_ref().take(pushed) {
                    ring.push(1, group(length));
                }
                prop_assert!(ring.bytes <= BYTES_MAX);
                let batch = ring.since(seen, read);
                told += batch.missed + batch.records.len() as u64;
                let expected: Vec<u64> =
                    (seen + batch.missed + 1..).take(batch.records.len()).collect();
                prop_assert_eq!(numbers(&batch), expected);
                prop_assert!(batch.records.len() <= read);
                seen = batch.seen;
                prop_assert_eq!(told, seen);
            }
        }
    }
}
