//! What the log thread may still write before a limit of all logs is reached, and which streams have
//! to drop lines until there is room again. Pure.
//!
//! While there is less than a quarter of the reserve, those drop that want more than their share of
//! what is left; once nothing is left, everybody does. So those who write little are held up last.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::budget::{Limit, Room};
use super::plane::StreamId;

/// Between two surveys at least.
const SURVEY_MIN: Duration = Duration::from_millis(10);

/// A survey takes at most one part in so many of the time, where it gets tight.
const SURVEY_SHARE: u32 = 4;

/// With less room than this a stream takes one chunk at a time, so as not to take what is not its.
const TIGHT_MAX: u64 = 1 << 20;

/// Room that is taken for certain where a survey found it, though much was written meanwhile: for those
/// who write little, and a part of the reserve at most.
const CERTAIN_MAX: u64 = 32 << 10;

/// While something is written, at most: others use the disk as well.
const SURVEY_MAX: Duration = Duration::from_secs(5);

/// The same, where there is nothing left to remove.
const SURVEY_DROPPING: Duration = Duration::from_secs(1);

/// What a survey came to.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    /// What there is room for.
    pub rooms: Vec<Room>,
    /// The disk that each stream's file is on.
    pub disks: BTreeMap<StreamId, u64>,
    /// What had been written in all when it began to look: this is in it, what came later may be.
    pub seen: u64,
    /// It made room, and another one may make more.
    pub has_helped: bool,
}

/// What is known since the last survey.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    outlook: Outlook,
    /// What each stream wanted to write lately, in bytes.
    wants: BTreeMap<StreamId, u64>,
    /// Bytes written in all.
    written: u64,
    begun: Option<Instant>,
    /// How long the last one took.
    took: Duration,
    /// It could not make the room that is wanted, so the next one need not be soon.
    is_vain: bool,
    is_underway: bool,
}

impl Allowance {
    /// What is known without a survey.
    pub fn new(outlook: Outlook) -> Allowance {
        Allowance {
            outlook,
            ..Allowance::default()
        }
    }

    /// Whether it is time for a survey. True: it is begun.
    pub fn begins_survey(&mut self, now: Instant) -> bool {
        let is_tight = self.outlook.rooms.iter().any(Room::is_short);
        let pause = match is_tight {
            true if self.is_vain => SURVEY_DROPPING,
            true => SURVEY_MIN.max(self.took * SURVEY_SHARE),
            false => SURVEY_MAX,
        };
        let waited = self.begun.map(|begun| now.saturating_duration_since(begun));
        let is_due = waited.is_none_or(|waited| waited >= pause);
        if self.is_underway || !is_due {
            return false;
        }
        self.begun = Some(now);
        self.is_underway = true;
        true
    }

    /// When the next survey is due, though nobody writes, where `drops` says that lines are dropped.
    pub fn due(&self, drops: bool) -> Option<Instant> {
        let begun = self.begun.filter(|_| drops && !self.is_underway)?;
        Some(begun + SURVEY_DROPPING)
    }

    /// Bytes written in all.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The survey is done.
    pub fn surveyed(&mut self, outlook: Outlook, now: Instant) {
        self.outlook = outlook;
        let unseen = self.written.saturating_sub(self.outlook.seen);
        for room in &mut self.outlook.rooms {
            // Some of it is in what was found, and the more of it the longer the survey took. That
            // nothing may be left must not be why those drop who want next to nothing.
            let certain = room.left.min(room.reserve / 32).min(CERTAIN_MAX);
            room.left = room.left.saturating_sub(unseen).max(certain);
        }
        self.is_vain = !self.outlook.has_helped && self.outlook.rooms.iter().any(Room::is_short);
        self.took = self
            .begun
            .map_or(Duration::ZERO, |begun| now.duration_since(begun));
        // Who was loud is remembered for a while.
        self.wants.retain(|_, bytes| {
            *bytes /= 2;
            *bytes > 0
        });
        self.is_underway = false;
    }

    /// A survey could not be made: what was known goes on being so.
    pub fn failed(&mut self) {
        self.is_underway = false;
    }

    /// A stream wanted to write so many bytes, and its file grew by so many.
    pub fn took(&mut self, stream: StreamId, wanted: u64, grown: u64) {
        *self.wants.entry(stream).or_default() += wanted;
        self.written += grown;
        self.change_rooms(stream, |left| left.saturating_sub(grown));
    }

    /// A rotation removed a file of a stream, of so many bytes.
    pub fn freed(&mut self, stream: StreamId, bytes: u64) {
        self.change_rooms(stream, |left| left.saturating_add(bytes));
    }

    fn change_rooms(&mut self, stream: StreamId, change: impl Fn(u64) -> u64) {
        for at in 0..self.outlook.rooms.len() {
            if self.concerns(&self.outlook.rooms[at], stream) {
                self.outlook.rooms[at].left = change(self.outlook.rooms[at].left);
            }
        }
    }

    /// Whether a stream has to be looked at after every chunk.
    pub fn is_tight(&self, stream: StreamId) -> bool {
        let is_tight = |room: &Room| room.left < (room.reserve / 2).max(TIGHT_MAX);
        (self.outlook.rooms.iter()).any(|room| is_tight(room) && self.concerns(room, stream))
    }

    /// The limit for which a stream has to drop its lines now, if there is one.
    pub fn withholds(&self, stream: StreamId) -> Option<Limit> {
        let own = self.wants.get(&stream).copied().unwrap_or(0);
        let all = self.wants.len() as u64;
        let has_no_room = |room: &&Room| {
            let is_loud = room.left < room.reserve / 4 && own.saturating_mul(all) > room.left;
            (room.left == 0 || is_loud) && self.concerns(room, stream)
        };
        let found = self.outlook.rooms.iter().find(has_no_room);
        found.map(|room| room.limit)
    }

    fn concerns(&self, room: &Room, stream: StreamId) -> bool {
        match room.limit {
            Limit::Total(_) => true,
            // Where a new file is nobody has looked yet.
            Limit::Disk { id, .. } => self
                .outlook
                .disks
                .get(&stream)
                .is_none_or(|disk| *disk == id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MinFree;
    use proptest::prelude::*;

    fn room(limit: Limit, left: u64) -> Room {
        Room {
            limit,
            left,
            reserve: 100,
        }
    }

    const TOTAL: Limit = Limit::Total(1600);

    fn outlook(left: u64) -> Outlook {
        Outlook {
            rooms: vec![room(TOTAL, left)],
            ..Outlook::default()
        }
    }

    #[test]
    fn the_loudest_drop_first_and_everybody_in_the_end() {
        let [loud, quiet] = [StreamId(1), StreamId(2)];
        let mut allowance = Allowance::default();
        assert_eq!(allowance.withholds(loud), None, "nothing is limited");
        allowance.surveyed(outlook(120), Instant::now());
        allowance.took(quiet, 5, 5);
        allowance.took(loud, 80, 80);
        assert_eq!(allowance.withholds(loud), None);
        allowance.took(loud, 20, 20);
        let found = [loud, quiet].map(|stream| allowance.withholds(stream));
        assert_eq!(found, [Some(TOTAL), None]);
        allowance.took(quiet, 20, 20);
        let found = [loud, quiet].map(|stream| allowance.withholds(stream));
        assert_eq!(found, [Some(TOTAL), Some(TOTAL)]);
        let seen = allowance.written();
        allowance.surveyed(
            Outlook {
                seen,
                ..outlook(120)
            },
            Instant::now(),
        );
        assert_eq!(allowance.withholds(loud), None);
    }

    #[test]
    fn what_a_slow_survey_may_have_seen_holds_up_the_loud_alone() {
        let [loud, quiet] = [StreamId(1), StreamId(2)];
        let mut allowance = Allowance::default();
        allowance.took(loud, 500, 500);
        allowance.took(quiet, 2, 2);
        // It had just begun to look when they wrote.
        allowance.surveyed(outlook(120), Instant::now());
        let found = [loud, quiet].map(|stream| allowance.withholds(stream));
        assert_eq!(found, [Some(TOTAL), None]);
        allowance.surveyed(outlook(0), Instant::now());
        assert_eq!(allowance.withholds(quiet), Some(TOTAL), "nothing is left");
    }

    #[test]
    fn a_full_disk_concerns_who_writes_to_it() {
        let [here, there, new] = [StreamId(1), StreamId(2), StreamId(3)];
        let disk = |id| Limit::Disk {
            id,
            min_free: MinFree::Bytes(1),
        };
        let rooms = vec![room(disk(7), 0), room(disk(8), 500)];
        let mut allowance = Allowance::default();
        let outlook = Outlook {
            rooms,
            disks: BTreeMap::from([(here, 7), (there, 8)]),
            ..Outlook::default()
        };
        allowance.surveyed(outlook, Instant::now());
        let found = [here, there, new].map(|stream| allowance.withholds(stream));
        assert_eq!(found, [Some(disk(7)), None, Some(disk(7))]);
    }

    #[test]
    fn a_survey_is_made_when_it_gets_tight_and_now_and_then() {
        let mut allowance = Allowance::default();
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        assert!(allowance.begins_survey(at(0)));
        assert!(!allowance.begins_survey(at(9000)), "it is under way");
        allowance.took(StreamId(1), 30, 30);
        allowance.surveyed(outlook(120), Instant::now());
        assert_eq!(allowance.outlook.rooms[0].left, 90, "it may not be in it");
        assert!(!allowance.begins_survey(at(4999)));
        assert!(allowance.begins_survey(at(5000)));
        let seen = allowance.written();
        allowance.surveyed(
            Outlook {
                seen,
                ..outlook(120)
            },
            Instant::now(),
        );
        allowance.took(StreamId(1), 71, 71);
        assert!(!allowance.begins_survey(at(5009)));
        assert!(allowance.begins_survey(at(5010)));
        allowance.failed();
        assert_eq!(allowance.due(false), None);
        assert_eq!(allowance.due(true), Some(at(6010)));
        allowance.surveyed(outlook(40), at(5021));
        assert!(
            !allowance.begins_survey(at(6009)),
            "the last one was in vain"
        );
        assert!(allowance.begins_survey(at(6010)));
        let has_helped = true;
        allowance.surveyed(
            Outlook {
                has_helped,
                ..outlook(40)
            },
            at(6050),
        );
        assert!(!allowance.begins_survey(at(6169)), "it takes its time");
        assert!(allowance.begins_survey(at(6170)));
    }

    proptest! {
        /// Whoever writes how much and whenever surveys come: what is written beyond the room that a
        /// survey found is never more than one pump.
        #[test]
        fn no_more_is_written_than_there_is_room_for(
            steps in proptest::collection::vec((0_u64..4, 1_u64..50, any::<bool>()), 1..200),
            limit in 50_u64..1000,
        ) {
            let (mut allowance, mut used, mut clock) = (Allowance::default(), 0, Instant::now());
            for (stream, bytes, surveys) in steps {
                if surveys {
                    clock += SURVEY_MAX;
                    prop_assert!(allowance.begins_survey(clock));
                    let left = limit.saturating_sub(used);
                    let found = Room { limit: Limit::Total(limit), left, reserve: limit / 16 };
                    let rooms = vec![found];
                    let outlook = Outlook { seen: allowance.written(),  rooms, ..Outlook::default() };
                    allowance.surveyed(outlook, clock);
                } else if allowance.outlook.rooms.is_empty() {
                    continue;
                }
                let grown = if allowance.withholds(StreamId(stream)).is_some() { 0 } else { bytes };
                allowance.took(StreamId(stream), bytes, grown);
                used += grown;
                prop_assert!(used <= limit + 50);
            }
        }
    }
}
