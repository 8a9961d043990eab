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

/// Deaths in a row of brains that did not serve for [`STABLE_AFTER`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Deaths {
    in_a_row: usize,
}

impl Deaths {
    /// One more death; `served` is how long that brain was ready, `None` if it never was.
    pub(super) fn delay_after(&mut self, served: Option<Duration>) -> Duration {
        if served.is_some_and(|served| served >= STABLE_AFTER) {
            self.in_a_row = 0;
        }
        let last = DELAYS.len() - 1;
        let delay = DELAYS.get(self.in_a_row.min(last));
        self.in_a_row = (self.in_a_row + 1).min(last);
        delay.copied().unwrap_or(Duration::ZERO)
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
            let delay = deaths.delay_after(served);
            assert_eq!(delay, Duration::from_millis(milliseconds), "row {row}");
        }
    }
}
