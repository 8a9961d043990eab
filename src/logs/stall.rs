//! Waiting longer and longer between tries: pure.

use std::time::Duration;

/// Before the second try.
const FIRST: Duration = Duration::from_millis(100);
/// Between tries in the long run: what a disk that has room again costs at most.
const LONGEST: Duration = Duration::from_secs(5);

/// How long the last wait was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// How long to wait now.
    pub fn next(&mut self) -> Duration {
        let wait = self.last.map_or(FIRST, |last| (last * 2).min(LONGEST));
        self.last = Some(wait);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..8).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }
}
