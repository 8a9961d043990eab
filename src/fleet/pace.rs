//! How fast a process that keeps ending by itself is started again.
//!
//! Supervisor has no rule for it: its loop sleeps a second unless something wakes it, so a program
//! that ends at once is respawned about once a second, and one that is killed waits for that
//! second as well. Here a restart is immediate, and only a storm is slowed to that pace: a process
//! has [`BURST`] restarts in hand, and gets one back every [`INTERVAL`].
//!
//! Only `startsecs=0` programs can feel it, for with one second or more a run that counts as
//! RUNNING has earned its restart. A hundred such programs that end at once cost a hundred starts
//! a second instead of all processors.
//!
//! Must never: know why a process ended.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::Stamp;

/// Restarts that need not wait for each other.
pub const BURST: u32 = 10;

/// Time that gives one restart back.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The restarts a process has in hand, as the moment at which it will have all of them again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Pace {
    full: Stamp,
}

impl Pace {
    /// When the next restart may be: now if one is in hand.
    pub(super) fn next(self, now: Stamp) -> Stamp {
        let missing = self.full.since(now);
        now.after(missing.saturating_sub(INTERVAL * (BURST - 1)))
    }

    /// Takes one restart.
    pub(super) fn take(&mut self, now: Stamp) {
        self.full = self.full.max(now).after(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_is_free_then_one_a_second() {
        let mut pace = Pace::default();
        let mut now = Stamp(100 * SECOND);
        for _ in 0..BURST {
            assert_eq!(pace.next(now), now);
            pace.take(now);
        }
        for _ in 0..3 {
            assert_eq!(pace.next(now), Stamp(now.0 + SECOND));
            now = pace.next(now);
            pace.take(now);
        }
    }

    #[test]
    fn time_gives_restarts_back_but_no_more_than_a_burst() {
        let mut pace = Pace::default();
        let mut now = Stamp(100 * SECOND);
        let burst = |pace: &mut Pace, now| {
            let in_hand = (0..).take_while(|_| {
                let free = pace.next(now) == now;
                pace.take(now);
                free
            });
            in_hand.count() as u32
        };
        assert_eq!(burst(&mut pace, now), BURST);
        // The one that was not free was taken all the same.
        now.0 += 3 * SECOND;
        assert_eq!(burst(&mut pace, now), 2);
        now.0 += 1_000 * SECOND;
        assert_eq!(burst(&mut pace, now), BURST);
    }
}
