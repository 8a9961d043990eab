//! A run of a program, and the last of them. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Runs kept of each program.
pub const RUNS_MAX: usize = 20;

/// What is said of a run whose end no daemon saw.
const UNSEEN: &str = "unknown";

/// One run of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// When it was started, seconds since 1970.
    pub started: i64,
    /// Why: `autostart`, `asked`, `autorestart after …`, `retry 1`.
    pub why: String,
    /// User id of who asked, if somebody did over a unix socket.
    pub by: Option<u32>,
    /// Its pid; 0 if it could not be started.
    pub pid: i32,
    /// When it ended, seconds since 1970; `None` while it runs.
    pub ended: Option<i64>,
    /// How it ended, in words, or why it could not be started.
    pub how: String,
    /// Most memory it had in use, in bytes; 0: unknown.
    pub peak_memory: u64,
    /// Where its standard output was in its log when it began.
    pub stdout: Option<Place>,
    /// The same of its standard error.
    pub stderr: Option<Place>,
}

/// A place in a log: the inode of the file, for its name changes, and the offset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file.
    pub inode: u64,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// Adds a run. One before it that has no end has ended unseen.
pub(super) fn begin(runs: &mut VecDeque<Run>, run: Run) {
    if let Some(last) = runs.back_mut().filter(|last| last.ended.is_none()) {
        last.ended = Some(run.started);
        last.how = UNSEEN.to_owned();
    }
    runs.push_back(run);
    while runs.len() > RUNS_MAX {
        runs.pop_front();
    }
}

/// A run that is under way: added, unless it is the last one already.
pub(super) fn adopt(runs: &mut VecDeque<Run>, run: Run) {
    let known = |last: &Run| last.pid == run.pid && last.ended.is_none();
    if !runs.back().is_some_and(known) {
        begin(runs, run);
    }
}

/// The last run ended, if it is the one with this pid.
pub(super) fn end(runs: &mut VecDeque<Run>, pid: i32, ended: i64, how: String, peak_memory: u64) {
    let last = runs.back_mut();
    if let Some(last) = last.filter(|last| last.pid == pid && last.ended.is_none()) {
        last.ended = Some(ended);
        last.how = how;
        last.peak_memory = peak_memory;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pid: i32, started: i64) -> Run {
        Run {
            pid,
            started,
            ..Run::default()
        }
    }

    fn ends(runs: &VecDeque<Run>) -> Vec<(i32, Option<i64>, &str)> {
        let end = |run: &Run| (run.pid, run.ended);
        let with_words = runs.iter().map(|run| (end(run), run.how.as_str()));
        with_words
            .map(|((pid, ended), how)| (pid, ended, how))
            .collect()
    }

    #[test]
    fn runs_begin_and_end_and_none_is_invented() {
        let mut runs = VecDeque::new();
        begin(&mut runs, run(7, 10));
        end(&mut runs, 8, 11, "another's".into(), 0);
        adopt(&mut runs, run(7, 12));
        assert_eq!(ends(&runs), [(7, None, "")]);
        end(&mut runs, 7, 13, "exit status 0".into(), 4096);
        end(&mut runs, 7, 14, "again".into(), 0);
        assert_eq!(ends(&runs), [(7, Some(13), "exit status 0")]);
        // A daemon that was killed wrote no end.
        adopt(&mut runs, run(9, 20));
        begin(&mut runs, run(10, 30));
        let expected = [
            (7, Some(13), "exit status 0"),
            (9, Some(30), "unknown"),
            (10, None, ""),
        ];
        assert_eq!(ends(&runs), expected);
    }

    #[test]
    fn only_the_last_are_kept() {
        let mut runs = VecDeque::new();
        for pid in 0..30 {
            begin(&mut runs, run(pid, 0));
        }
        assert_eq!(runs.len(), RUNS_MAX);
        assert_eq!(runs.front().map(|run| run.pid), Some(10));
    }
}
