//! The keeper's table of parked descriptors.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::ParkKey;

use crate::ordered;

/// Descriptors the keeper needs free to start a brain: without them it could not answer the
/// death of one.
const RESERVED: u64 = 16;

/// The table. Its size is bounded by the limit on descriptors, less [`RESERVED`].
#[derive(Debug)]
pub(super) struct Park {
    parked: BTreeMap<ParkKey, OwnedFd>,
    /// Highest descriptor number that may be kept.
    number_max: u64,
}

impl Park {
    /// A table with its first content; `descriptors_max` is the soft `RLIMIT_NOFILE`.
    pub(super) fn new(parked: Vec<(ParkKey, OwnedFd)>, descriptors_max: Option<u64>) -> Park {
        Park {
            parked: ordered::map(parked),
            number_max: descriptors_max.map_or(u64::MAX, |most| most.saturating_sub(RESERVED)),
        }
    }

    /// Parks a descriptor, in the place of one with the same key; `false` if there is no room.
    pub(super) fn put(&mut self, key: ParkKey, descriptor: OwnedFd) -> bool {
        // The kernel gives out the lowest free number, so a high one means that few are free.
        let number = u64::from(descriptor.as_raw_fd().unsigned_abs());
        let room = number < self.number_max;
        if room {
            self.parked.insert(key, descriptor);
        }
        room
    }

    /// Closes a parked descriptor.
    pub(super) fn remove(&mut self, key: ParkKey) {
        self.parked.remove(&key);
    }

    /// What is parked under a key.
    pub(super) fn get(&self, key: ParkKey) -> Option<BorrowedFd<'_>> {
        self.parked.get(&key).map(AsFd::as_fd)
    }

    /// Everything.
    pub(super) fn all(&self) -> impl Iterator<Item = (ParkKey, BorrowedFd<'_>)> {
        self.parked.iter().map(|(key, fd)| (*key, fd.as_fd()))
    }

    /// Keys and numbers, for whoever inherits them.
    pub(super) fn numbers(&self) -> Vec<(ParkKey, RawFd)> {
        // The holder's socket is of no use to them, and must be closed once we are dead.
        let entries = self.parked.iter();
        let entries = entries.filter(|(key, _)| **key != ParkKey::HolderListener);
        entries.map(|(key, fd)| (*key, fd.as_raw_fd())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor() -> OwnedFd {
        std::fs::File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn a_key_holds_one_descriptor() {
        let mut park = Park::new(vec![(ParkKey::Ledger, descriptor())], None);
        let second = descriptor();
        let number = second.as_raw_fd();
        assert!(park.put(ParkKey::Ledger, second));
        assert!(park.put(ParkKey::Stdout(1), descriptor()));
        assert_eq!(park.numbers().len(), 2);
        assert_eq!(park.numbers()[0], (ParkKey::Ledger, number));
        park.remove(ParkKey::Ledger);
        park.remove(ParkKey::Ledger);
        assert_eq!(park.numbers().len(), 1);
    }

    #[test]
    fn the_reserve_is_not_given_away() {
        let number = u64::from(descriptor().as_raw_fd().unsigned_abs());
        let mut park = Park::new(vec![], Some(number + RESERVED));
        // Another test may hold lower numbers by now, but this one cannot get below its own.
        let held: Vec<OwnedFd> = (0..4).map(|_| descriptor()).collect();
        assert!(!park.put(ParkKey::Ledger, descriptor()));
        assert!(park.numbers().is_empty());
        drop(held);
    }
}
