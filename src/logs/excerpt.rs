//! Output of programs on its way to the daemon's turn, for events: within a bound, so that a program
//! that writes faster than the turn takes costs no memory. What does not fit is lost as an event and
//! counted; in the log it is whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that may be on their way at once.
const UNDERWAY_MAX: usize = 4 * 1024 * 1024;

/// Some output; while it exists it counts.
#[derive(Debug)]
pub struct Excerpt {
    bytes: Vec<u8>,
    underway: Arc<AtomicUsize>,
}

/// Counts the bytes that are on their way.
#[derive(Debug, Default)]
pub(super) struct Account {
    underway: Arc<AtomicUsize>,
}

impl Account {
    /// Sends bytes on their way, if there is room.
    pub fn excerpt(&self, bytes: Vec<u8>) -> Option<Excerpt> {
        let before = self.underway.fetch_add(bytes.len(), Ordering::Relaxed);
        let excerpt = Excerpt {
            bytes,
            underway: self.underway.clone(),
        };
        // One alone always fits, however long it is.
        (before == 0 || before + excerpt.bytes.len() <= UNDERWAY_MAX).then_some(excerpt)
    }
}

impl Excerpt {
    /// The output.
    pub fn into_bytes(mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.bytes);
        self.underway.fetch_sub(bytes.len(), Ordering::Relaxed);
        bytes
    }
}

impl Drop for Excerpt {
    fn drop(&mut self) {
        self.underway.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_is_bounded() {
        let account = Account::default();
        let long = vec![0; UNDERWAY_MAX + 1];
        let first = account.excerpt(long).unwrap();
        assert!(account.excerpt(vec![1]).is_none());
        assert_eq!(first.into_bytes().len(), UNDERWAY_MAX + 1);
        let second = account.excerpt(vec![1]).unwrap();
        drop(second);
        assert_eq!(account.underway.load(Ordering::Relaxed), 0);
    }
}
