//! The checker of numbered lines: was anything lost, doubled or torn?
//!
//! Programs write `1`, `2`, `3`, … (`seq`), one number per line. Whatever was rotated, followed
//! or survived, all files together, oldest first, must hold every number once and in order.

use std::fs;
use std::path::PathBuf;

/// What is wrong with a sequence of numbered lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Lines that are numbers.
    pub lines: u64,
    /// The first number.
    pub first: u64,
    /// The last number.
    pub last: u64,
    /// Numbers that are missing.
    pub lost: u64,
    /// Numbers that are not greater than the one before.
    pub doubled: u64,
    /// Lines that are no number. The last line is not counted unless it ends in a newline.
    pub torn: u64,
}

impl Tally {
    /// Counts.
    pub fn of(text: &str) -> Tally {
        let mut tally = Tally::default();
        for line in text.split_inclusive('\n') {
            let Some(whole) = line.strip_suffix('\n') else {
                break;
            };
            match whole.parse::<u64>() {
                Ok(number) => tally.count(number),
                Err(_) => tally.torn += 1,
            }
        }
        tally
    }

    /// Counts over files, oldest first.
    pub fn of_files(files: &[PathBuf]) -> Tally {
        let bytes: Vec<u8> = files
            .iter()
            .flat_map(|file| fs::read(file).unwrap_or_default())
            .collect();
        Tally::of(&String::from_utf8_lossy(&bytes))
    }

    /// Reads a log of numbered lines some of which were dropped: every number is there once and in
    /// order, or counted, with its bytes, by a marker where it should be. Gives the last number, and
    /// how many lines and bytes were dropped.
    #[track_caller]
    pub fn accounted(log: &str) -> (u64, u64, u64) {
        let (mut expected, mut lines, mut bytes) = (1, 0, 0);
        for line in log.lines() {
            let line = line.rsplit("| ").next().unwrap_or(line);
            let Some(counts) = line.strip_prefix("[appctl: ") else {
                assert_eq!(line, expected.to_string(), "a line is torn or missing");
                expected += 1;
                continue;
            };
            let words = counts.split(|c: char| !c.is_ascii_digit());
            let numbers: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
            let dropped =
                (expected..expected + numbers[0]).map(|it| it.to_string().len() as u64 + 1);
            assert_eq!(numbers[1], dropped.sum::<u64>(), "{line}");
            lines += numbers[0];
            bytes += numbers[1];
            expected += numbers[0];
        }
        (expected - 1, lines, bytes)
    }

    /// What is in a log of the numbers up to `last` and what its markers count is every byte of them.
    /// `tears`: a marker may stand in the middle of a line, and ends it with a newline of its own.
    #[track_caller]
    pub fn assert_bytes_accounted(log: &str, last: u64, tears: bool) {
        let (mut kept, mut dropped, mut markers) = (0, 0, 0);
        for line in log.lines() {
            let line = line.rsplit("| ").next().unwrap_or(line);
            match line.strip_prefix("[appctl: ") {
                None => kept += line.len() as u64 + 1,
                Some(counts) => {
                    let bytes = counts.split_once(" (").and_then(|it| it.1.split_once(' '));
                    dropped += bytes.unwrap().0.parse::<u64>().unwrap();
                    markers += 1;
                }
            }
        }
        let all: u64 = (1..=last).map(|it| it.to_string().len() as u64 + 1).sum();
        let surplus = if tears { markers } else { 0 };
        assert!(
            (all..=all + surplus).contains(&(kept + dropped)),
            "of {all} bytes {kept} are kept and {dropped} dropped, by {markers} markers"
        );
    }

    fn count(&mut self, number: u64) {
        if self.lines == 0 {
            self.first = number;
        } else if number <= self.last {
            self.doubled += 1;
        } else {
            self.lost += number - self.last - 1;
        }
        self.lines += 1;
        self.last = self.last.max(number);
    }

    /// Every number from 1 to the last one is there once.
    #[track_caller]
    pub fn assert_complete(&self) {
        assert!(self.lines > 0, "not a single numbered line");
        assert_eq!(
            (self.first, self.lost, self.doubled, self.torn),
            (1, 0, 0, 0),
            "{self:?}"
        );
    }
}
