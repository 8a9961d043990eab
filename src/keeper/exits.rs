//! Exits of orphans, kept until a brain acknowledges them. Pure.
//!
//! The keeper cannot tell a program that a dead brain started from a stray that a program left
//! behind, so it records both; the brain acknowledges strangers at once. Only when the table is
//! full does the likelihood matter: programs lead a process group of their own in the keeper's
//! session, and strays mostly do not, so strays give way first.

use std::collections::VecDeque;

use super::ExitRecord;

/// Most records kept.
pub(super) const EXITS_MAX: usize = 8192;

#[derive(Debug)]
struct Entry {
    record: ExitRecord,
    likely_program: bool,
    told: bool,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Exits {
    entries: VecDeque<Entry>,
}

impl Exits {
    /// Takes a record. If the table is full, the oldest stray in it gives way, else the oldest.
    pub(super) fn record(&mut self, record: ExitRecord, likely_program: bool) {
        if self.entries.len() >= EXITS_MAX {
            let stray = self.entries.iter().position(|entry| !entry.likely_program);
            self.entries.remove(stray.unwrap_or(0));
        }
        self.entries.push_back(Entry {
            record,
            likely_program,
            told: false,
        });
    }

    /// The oldest one that the brain at hand was not told.
    pub(super) fn next(&self) -> Option<ExitRecord> {
        let entry = self.entries.iter().find(|entry| !entry.told)?;
        Some(entry.record)
    }

    /// [`Exits::next`] was told.
    pub(super) fn told(&mut self) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| !entry.told) {
            entry.told = true;
        }
    }

    /// A brain has dealt with this one.
    pub(super) fn acknowledge(&mut self, pid: i32, start_time: u64) {
        self.entries
            .retain(|entry| (entry.record.pid, entry.record.start_time) != (pid, start_time));
    }

    /// All of them, for a new brain, which counts as told.
    pub(super) fn tell_all(&mut self) -> Vec<ExitRecord> {
        let records = self.entries.iter_mut().map(|entry| {
            entry.told = true;
            entry.record
        });
        records.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ExitStatus;

    fn record(pid: i32) -> ExitRecord {
        ExitRecord {
            pid,
            start_time: 1,
            status: ExitStatus::Code(0),
        }
    }

    fn pids(exits: &mut Exits) -> Vec<i32> {
        exits.tell_all().iter().map(|record| record.pid).collect()
    }

    #[test]
    fn kept_until_acknowledged() {
        let mut exits = Exits::default();
        exits.record(record(1), true);
        exits.record(record(2), true);
        assert_eq!(exits.next(), Some(record(1)));
        exits.told();
        assert_eq!(exits.next(), Some(record(2)));
        exits.told();
        assert_eq!(exits.next(), None);
        // Told is not acknowledged: the next brain hears of it again.
        assert_eq!(pids(&mut exits), [1, 2]);
        exits.acknowledge(1, 99);
        exits.acknowledge(2, 1);
        assert_eq!(pids(&mut exits), [1]);
        assert_eq!(exits.next(), None);
    }

    #[test]
    fn strays_give_way_first_then_the_oldest() {
        let mut exits = Exits::default();
        let most = i32::try_from(EXITS_MAX).unwrap();
        for pid in 0..most {
            exits.record(record(pid), pid != 5 && pid != 7);
        }
        for pid in most..most + 3 {
            exits.record(record(pid), true);
        }
        let kept = pids(&mut exits);
        assert_eq!(kept.len(), EXITS_MAX);
        for gone in [5, 7, 0] {
            assert!(!kept.contains(&gone), "{gone}");
        }
        assert!(kept.contains(&1) && kept.contains(&(most + 2)));
    }
}
