//! When the log thread rests a moment, so that a program that writes line by line without pause is
//! not met after every line: what waking up costs is paid once for many of them then. Pure.
//!
//! A line that comes alone never waits, and neither do the first of many.

use std::time::{Duration, Instant};

use super::splice::CHUNK_MAX;

/// A turn that begins so soon after the last one comes of a program that does not pause.
const SOON: Duration = Duration::from_micros(20);

/// What is moved for one program in a turn: with more of it, resting would win next to nothing.
const LITTLE: usize = 16_384;

/// After so many hasty turns in a row it rests between them.
const TURNS: u32 = 32;

/// For how long. At a hundred megabytes a second, a pipe is far from full by then.
const REST: Duration = Duration::from_micros(100);

/// What the last turns were like.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the thread had nothing to do any more.
    idle_since: Option<Instant>,
    is_soon: bool,
    /// Turns in a row, each soon after the other, that moved little.
    hasty: u32,
}

impl Pace {
    /// The thread waits for something from now on.
    pub fn waits(&mut self, now: Instant) {
        self.idle_since = Some(now);
    }

    /// A turn begins.
    pub fn begins(&mut self, now: Instant) {
        let waited = self.idle_since.map(|since| now.duration_since(since));
        self.is_soon = waited.is_some_and(|waited| waited < SOON);
    }

    /// The turn is over; it moved so many bytes for so many programs. How long to rest.
    pub fn ends(&mut self, programs: usize, moved: usize) -> Option<Duration> {
        // Much comes together during a rest; a full pipe means that it was too long.
        let little = if self.hasty == TURNS {
            CHUNK_MAX
        } else {
            LITTLE
        };
        self.hasty = match self.is_soon && moved < programs * little {
            true => (self.hasty + 1).min(TURNS),
            false => 0,
        };
        (self.hasty == TURNS).then_some(REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns, each so many microseconds after the last one, that move so many bytes; how many of
    /// them were followed by a rest.
    fn rests(turns: impl IntoIterator<Item = (u64, usize, usize)>) -> usize {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        let mut turn = |(gap, programs, moved)| {
            pace.waits(now);
            now += Duration::from_micros(gap);
            pace.begins(now);
            pace.ends(programs, moved).is_some()
        };
        turns.into_iter().filter(|it| turn(*it)).count()
    }

    #[test]
    fn only_a_storm_of_lines_is_let_gather() {
        let many = 1000;
        let in_a_row = |turn| std::iter::repeat_n(turn, many);
        assert_eq!(rests(in_a_row((5, 1, 100))), many - 31);
        assert_eq!(rests(in_a_row((5, 10, 20_000))), many - 31);
        assert_eq!(rests(in_a_row((50, 1, 100))), 0, "it pauses");
        assert_eq!(rests(in_a_row((0, 1, CHUNK_MAX))), 0, "it writes much");
        assert_eq!(rests(in_a_row((5, 0, 0))), 0, "these are commands");
        // What gathered in a rest is no reason to end it, but a full pipe and a pause are.
        let storm = || std::iter::repeat_n((5, 1, 100), 32);
        let after = |turn| rests(storm().chain([turn, (5, 1, 100)]));
        assert_eq!(after((0, 1, 30_000)), 3);
        assert_eq!(after((0, 1, CHUNK_MAX)), 1);
        assert_eq!(after((900, 1, 100)), 1);
    }
}
