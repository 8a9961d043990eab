//! When bytes were written. Raw logs carry no times, so the log thread notes for each stream what
//! offset its file had at a few moments; readers merge logs by that. Kept in memory only.
//!
//! The past is remembered less exactly the older it is: when there are [`NOTES_MAX`] notes, every
//! second one of the older half goes.
//!
//! Must never: grow with what a program writes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::plane::StreamId;

/// Notes kept of one stream.
const NOTES_MAX: usize = 128;

/// Between two notes of one stream, in microseconds.
pub(super) const NOTE_INTERVAL: i64 = 20_000;

/// What was written to this file from this offset on was not written before this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// Microseconds since 1970.
    pub time: i64,
    /// Which file.
    pub inode: u64,
    /// Where in it.
    pub offset: u64,
}

/// The notes of all streams.
#[derive(Debug, Default)]
pub struct Moments(Mutex<BTreeMap<StreamId, Vec<Note>>>);

impl Moments {
    /// Notes a moment of a stream.
    pub(super) fn note(&self, stream: StreamId, note: Note) {
        let mut all = self.lock();
        let notes = all.entry(stream).or_default();
        if notes.len() >= NOTES_MAX {
            thin(notes);
        }
        notes.push(note);
    }

    /// The stream is no more.
    pub(super) fn forget(&self, stream: StreamId) {
        self.lock().remove(&stream);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<StreamId, Vec<Note>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The notes of one stream, for a reader.
#[derive(Debug, Clone)]
pub struct Timeline {
    moments: Arc<Moments>,
    stream: StreamId,
}

impl Timeline {
    /// Of this stream.
    pub fn new(moments: Arc<Moments>, stream: StreamId) -> Timeline {
        Timeline { moments, stream }
    }

    /// What is noted by now, in order of time.
    pub fn notes(&self) -> Vec<Note> {
        self.moments
            .lock()
            .get(&self.stream)
            .cloned()
            .unwrap_or_default()
    }
}

impl PartialEq for Timeline {
    fn eq(&self, other: &Timeline) -> bool {
        self.stream == other.stream && Arc::ptr_eq(&self.moments, &other.moments)
    }
}

impl Eq for Timeline {}

/// Forgets every second note of the older half.
fn thin(notes: &mut Vec<Note>) {
    let half = notes.len() / 2;
    let mut index = 0;
    notes.retain(|_| {
        index += 1;
        index > half || index % 2 == 1
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_remembered_less_exactly_but_back_to_its_beginning() {
        let moments = Arc::new(Moments::default());
        let stream = StreamId(7);
        for time in 0..100_000_i64 {
            let (inode, offset) = (1, 10 * time.unsigned_abs());
            moments.note(
                stream,
                Note {
                    time,
                    inode,
                    offset,
                },
            );
        }
        let notes = Timeline::new(moments.clone(), stream).notes();
        assert!(notes.len() <= NOTES_MAX);
        assert_eq!((notes[0].time, notes[notes.len() - 1].time), (0, 99_999));
        assert!(notes.is_sorted_by_key(|note| note.time));
        moments.forget(stream);
        assert_eq!(Timeline::new(moments, stream).notes(), []);
    }
}
