//! What is counted and measured, for `/metrics`. Pure.

use std::time::Duration;

use crate::fleet::{ExitStatus, ProcessName, State};

/// Everything that is measured in the daemon's turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measures {
    /// The keeper's pid.
    pub keeper: i32,
    /// The turns so far.
    pub turns: TurnTimes,
    /// Number of the last event.
    pub events: u64,
    /// Bytes of the main log.
    pub main_log_bytes: u64,
    /// Lines of the main log that could not be written.
    pub main_log_dropped: u64,
    /// Events that pools of listeners gave up, by the name of the pool.
    pub discarded: Vec<(String, u64)>,
    /// Bytes of all program logs when it was last looked; 0 without limits of all logs.
    pub logs_held: u64,
    /// Rotated logs removed for those limits, and their bytes.
    pub logs_removed: (u64, u64),
    /// Every process.
    pub processes: Vec<ProcessMeasures>,
}

/// What is measured of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessMeasures {
    /// Its name.
    pub name: ProcessName,
    /// Its state.
    pub state: State,
    /// Its pid, 0 if it has none.
    pub pid: i32,
    /// Wall clock of its last start, 0 if never.
    pub start: i64,
    /// Seconds since it started; 0 if it does not run.
    pub uptime: u64,
    /// Starts so far, by this daemon.
    pub starts: u32,
    /// How its last run ended.
    pub ended: Option<ExitStatus>,
    /// Bytes that it wrote, to standard output and standard error.
    pub log_bytes: [u64; 2],
    /// Bytes of that which were dropped, because its log could not be written.
    pub log_dropped: [u64; 2],
    /// A log cannot be written at the moment.
    pub log_trouble: bool,
}

/// Upper bounds of the durations that are told apart.
pub const TURN_BOUNDS: [Duration; 7] = [
    Duration::from_micros(100),
    Duration::from_micros(300),
    Duration::from_millis(1),
    Duration::from_millis(3),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(250),
];

/// How long the daemon's turns took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TurnTimes {
    /// How many took no longer than each of [`TURN_BOUNDS`], and no shorter than the one before.
    pub within: [u64; TURN_BOUNDS.len()],
    /// All of them.
    pub count: u64,
    /// Together.
    pub sum: Duration,
    /// The longest.
    pub longest: Duration,
}

impl TurnTimes {
    /// A turn took so long.
    pub fn note(&mut self, took: Duration) {
        if let Some(at) = TURN_BOUNDS.iter().position(|bound| took <= *bound) {
            self.within[at] += 1;
        }
        self.count += 1;
        self.sum += took;
        self.longest = self.longest.max(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_told_apart_by_their_bounds() {
        let mut times = TurnTimes::default();
        for micros in [50, 100, 101, 9_000, 400_000] {
            times.note(Duration::from_micros(micros));
        }
        assert_eq!(times.within, [2, 1, 0, 0, 1, 0, 0]);
        assert_eq!((times.count, times.longest.as_millis()), (5, 400));
    }
}
