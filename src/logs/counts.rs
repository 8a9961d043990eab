//! How many bytes of each stream were taken out of its pipes, and how many were dropped, for whoever asks. From the start of
//! this brain on; kept in memory only.
//!
//! Must never: make the log thread wait for a reader.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::plane::StreamId;

/// The count of one stream, which its owner adds to.
#[derive(Debug, Clone, Default)]
pub(super) struct Count(Arc<[AtomicU64; 2]>);

impl Count {
    /// So many more.
    pub fn add(&self, bytes: usize) {
        self.0[0].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So many were dropped, because the log could not be written.
    pub fn add_dropped(&self, bytes: usize) {
        self.0[1].fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// The counts of all streams.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<StreamId, Count>>);

impl Counts {
    /// The count of a stream, which goes on where it was.
    pub(super) fn of(&self, stream: StreamId) -> Count {
        self.lock().entry(stream).or_default().clone()
    }

    /// The stream is no more.
    pub(super) fn forget(&self, stream: StreamId) {
        self.lock().remove(&stream);
    }

    /// Bytes of a stream so far.
    pub fn bytes(&self, stream: StreamId) -> u64 {
        self.read(stream, 0)
    }

    /// Bytes of a stream that were dropped so far.
    pub fn dropped(&self, stream: StreamId) -> u64 {
        self.read(stream, 1)
    }

    fn read(&self, stream: StreamId, which: usize) -> u64 {
        let all = self.lock();
        all.get(&stream)
            .map_or(0, |count| count.0[which].load(Ordering::Relaxed))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<StreamId, Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_goes_on_until_its_stream_is_forgotten() {
        let counts = Counts::default();
        let stream = StreamId(3);
        counts.of(stream).add(5);
        counts.of(stream).add(2);
        counts.of(stream).add_dropped(3);
        assert_eq!((counts.bytes(stream), counts.dropped(stream)), (7, 3));
        assert_eq!(counts.bytes(StreamId(4)), 0);
        counts.forget(stream);
        assert_eq!(counts.bytes(stream), 0);
    }
}
