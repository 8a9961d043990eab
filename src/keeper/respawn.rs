//! How long to wait before a dead brain is started again. Pure.

use std::time::Duration;

/// A brain that served for this long was not part of a crash loop.
pub(super) const STABLE_AFTER: Duration = Duration::from_secs(1);

/// Waiting times of the first, second, … death in a row; the last one stays.
const DELAYS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_millis(3200),
    Duration::from_secs(5),
];

/// Most of [`DELAYS`] that count for brains that served and were then killed: a loop of those is
/// somebody with `kill -9`, or a kernel short of memory, and no bug that every brain runs into.
const KILLED_MAX: usize = 1;

/// From this many deaths in a row on, brains are started in safe mode.
const MANY: usize = 5;

/// What is known of a brain that died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Death {
    /// How long it was ready; `None`: it never was.
    pub(super) served: Option<Duration>,
    /// By SIGKILL, which no brain sends to itself.
    pub(super) killed: bool,
}

/// Deaths in a row of brains that did not serve for [`STABLE_AFTER`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Deaths {
    in_a_row: usize,
}

impl Deaths {
    /// One more death: how long to wait now.
    pub(super) fn delay_after(&mut self, death: Death) -> Duration {
        if death.served.is_some_and(|served| served >= STABLE_AFTER) {
            self.in_a_row = 0;
        }
        let last = match death {
            Death {
                served: Some(_),
                killed: true,
            } => KILLED_MAX,
            _ => DELAYS.len() - 1,
        };
        let delay = DELAYS.get(self.in_a_row.min(last));
        self.in_a_row = (self.in_a_row + 1).min(last);
        delay.copied().unwrap_or(Duration::ZERO)
    }

    /// So many died in a row that the next one has to be careful.
    pub(super) fn many(&self) -> bool {
        self.in_a_row >= MANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_in_a_crash_loop_and_start_over_after_service() {
        let never = None;
        let briefly = Some(STABLE_AFTER - Duration::from_millis(1));
        let long = Some(STABLE_AFTER);
        let table = [
            (never, 0),
            (never, 50),
            (briefly, 200),
            (never, 800),
            (briefly, 3200),
            (never, 5000),
            (never, 5000),
            (briefly, 5000),
            (long, 0),
            (never, 50),
            (long, 0),
            (long, 0),
        ];
        let mut deaths = Deaths::default();
        for (row, (served, milliseconds)) in table.into_iter().enumerate() {
            let delay = deaths.delay_after(Death {
                served,
                killed: false,
            });
            assert_eq!(delay, Duration::from_millis(milliseconds), "row {row}");
            assert_eq!(deaths.many(), milliseconds >= 3200, "row {row}");
        }
    }

    #[test]
    fn brains_killed_from_outside_are_followed_at_once() {
        let briefly = Some(Duration::from_millis(1));
        let table = [
            (briefly, true, 0),
            (briefly, true, 50),
            (briefly, true, 50),
            (briefly, true, 50),
            // One that is killed before it is ready may be short of memory each time.
            (None, true, 50),
            (None, true, 200),
            (None, true, 800),
            (briefly, true, 50),
            (briefly, false, 50),
            (briefly, false, 200),
        ];
        let mut deaths = Deaths::default();
        for (row, (served, killed, milliseconds)) in table.into_iter().enumerate() {
            let delay = deaths.delay_after(Death { served, killed });
            assert_eq!(delay, Duration::from_millis(milliseconds), "row {row}");
        }
    }
}
