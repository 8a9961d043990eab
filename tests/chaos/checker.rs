//! What must hold after a loop, and how it is told.

use std::fmt;

use super::lab::numbers::Tally;

/// Exits of the program that counts its runs and exits with the number, as the main log tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Runs {
    /// Exits told, each once.
    pub told: usize,
    /// Told again: the brain died between saying it and remembering that it had.
    pub again: usize,
    /// Told truly, but by pid only: the brain died between a start and its record, and the program
    /// ended before the next brain could look for it.
    pub by_pid: usize,
    /// Runs whose exit nobody told.
    pub missing: usize,
    /// Ends told as unknown.
    pub unknown: usize,
    /// Statuses that cannot be.
    pub wrong: usize,
}

/// Exit codes count up to here and begin again.
pub const CODES: usize = 200;

/// Reads the exits of `brief` in a main log.
pub fn exits_of(log: &str) -> Runs {
    let mut runs = Runs::default();
    let mut last = 0;
    let mut unaccounted = 0;
    for line in log.lines() {
        let reaped = line.split_once("reaped unknown pid ");
        if let Some((_, how)) = reaped.and_then(|(_, rest)| rest.split_once(" (")) {
            // Others end so as well: what the program forked.
            let next = format!("exit status {})", (last + 1) % CODES);
            if how == next {
                runs.by_pid += 1;
                last = (last + 1) % CODES;
            }
            continue;
        }
        let Some((_, how)) = line.split_once("exited: brief (") else {
            continue;
        };
        if how.starts_with("exit status unknown") {
            runs.unknown += 1;
            unaccounted += 1;
            continue;
        }
        let code = how
            .strip_prefix("exit status ")
            .and_then(|rest| rest.split(';').next()?.parse::<usize>().ok());
        let Some(code) = code.filter(|code| *code < CODES) else {
            runs.wrong += 1;
            continue;
        };
        if code == last && runs.told > 0 {
            runs.again += 1;
            continue;
        }
        runs.told += 1;
        let between = (code + 2 * CODES - last - 1) % CODES;
        // An unknown end stands for one run that is not told by its number.
        runs.missing += between.saturating_sub(unaccounted);
        unaccounted = 0;
        last = code;
    }
    runs
}

/// Everything that was found.
#[derive(Debug)]
pub struct Found {
    pub streams: Vec<(String, Tally)>,
    pub runs: Runs,
    pub restarts: usize,
    pub unrecorded: Vec<String>,
}

/// `N lines: 0 lost, 0 doubled, 0 torn`.
pub fn shown(tally: &Tally) -> String {
    format!(
        "{} lines: {} lost, {} doubled, {} torn",
        tally.lines, tally.lost, tally.doubled, tally.torn
    )
}

impl Found {
    fn sum(&self) -> Tally {
        let mut sum = Tally::default();
        for (_, tally) in &self.streams {
            sum.lines += tally.lines;
            sum.lost += tally.lost;
            sum.doubled += tally.doubled;
            sum.torn += tally.torn;
        }
        sum
    }

    /// Nothing is lost, doubled, torn, restarted, unrecorded or invented.
    #[track_caller]
    pub fn assert_nothing_wrong(&self, unknown_at_most: usize) {
        for (name, tally) in &self.streams {
            assert!(tally.lines > 0, "{name}: not a line");
            let wrong = (tally.first, tally.lost, tally.doubled, tally.torn);
            assert_eq!(wrong, (1, 0, 0, 0), "{name}: {tally:?}");
        }
        assert_eq!(self.restarts, 0, "programs were restarted");
        assert_eq!(self.unrecorded, [""; 0], "programs that nobody knows");
        let Runs {
            missing,
            wrong,
            unknown,
            told,
            ..
        } = self.runs;
        assert!(told > 0, "the brief program never ended");
        assert_eq!((missing, wrong), (0, 0), "{:?}", self.runs);
        assert!(unknown <= unknown_at_most, "{:?}", self.runs);
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Runs {
            told,
            again,
            by_pid,
            missing,
            unknown,
            wrong,
        } = self.runs;
        write!(
            f,
            "{}; {} restarts; {} unrecorded programs; exits: {told} true ({again} logged \
             twice), {by_pid} by pid only, {unknown} unknown, {missing} missing, {wrong} wrong",
            shown(&self.sum()),
            self.restarts,
            self.unrecorded.len(),
        )
    }
}
