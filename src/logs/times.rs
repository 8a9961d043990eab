//! When the lines of a file were written, as far as that is known: the notes of the log plane, when the
//! file was begun and last written to, and what stands at the beginning of a line.

use std::fs::File;

use super::archive::{self, Form, Piece};
use super::moments::{Note, Timeline};

/// When something was written: at the earliest (which is what lines are ordered by), at the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time {
    pub earliest: i64,
    pub latest: i64,
}

/// What is known of when a file was written.
pub(super) struct Times {
    pub inode: u64,
    started: i64,
    pub modified: i64,
    /// How many bytes it has in the end; of a compressed one that is a guess.
    size: u64,
    notes: Vec<Note>,
}

impl Times {
    pub fn of(piece: &Piece, started: Option<i64>, file: &File) -> Times {
        const USUAL_RATIO: u64 = 10;
        let created = || {
            let created = file.metadata().ok()?.created().ok()?;
            let since = created.duration_since(std::time::UNIX_EPOCH).ok()?;
            i64::try_from(since.as_micros()).ok()
        };
        let started = match piece.form {
            Form::Plain => created().or(started),
            _ => started,
        };
        Times {
            inode: piece.identity.1,
            started: started.unwrap_or(piece.modified).min(piece.modified),
            modified: piece.modified,
            size: match piece.form {
                Form::Plain => piece.size,
                _ => piece.size.saturating_mul(USUAL_RATIO),
            },
            notes: Vec::new(),
        }
    }

    /// Takes what was noted by now.
    pub fn learn(&mut self, timeline: &Timeline, about: &std::fs::Metadata) {
        self.modified = archive::modified(about).max(self.modified);
        self.size = self.size.max(about.len());
        let all = timeline.notes();
        let of = |inode| {
            all.iter()
                .filter(move |note| note.inode == inode)
                .copied()
                .collect()
        };
        self.notes = of(self.inode);
        if self.notes.is_empty() {
            // A compressed file is another one than that which was written.
            let last = all.iter().rev().find(|note| note.time <= self.modified);
            let same = last.filter(|note| note.time >= self.started);
            self.notes = same.map_or(Vec::new(), |note| of(note.inode));
        }
        // After a truncation by somebody else offsets begin again: only the last run counts.
        let break_at = self
            .notes
            .windows(2)
            .rposition(|pair| pair[1].offset < pair[0].offset);
        self.notes.drain(..break_at.map_or(0, |at| at + 1));
    }

    pub fn at(&self, offset: u64) -> Time {
        let after = self.notes.partition_point(|note| note.offset <= offset);
        let latest = self
            .notes
            .get(after)
            .map_or(self.modified, |note| note.time - 1);
        let earliest = match after.checked_sub(1).and_then(|at| self.notes.get(at)) {
            Some(note) => note.time,
            None => {
                let (end, size) = match self.notes.first() {
                    Some(note) => (note.time, note.offset),
                    None => (self.modified, self.size),
                };
                between(self.started.min(end), end, offset, size)
            }
        };
        Time { earliest, latest }
    }
}

fn between(start: i64, end: i64, part: u64, whole: u64) -> i64 {
    let (part, whole) = (i128::from(part.min(whole)), i128::from(whole.max(1)));
    let passed = i128::from(end - start) * part / whole;
    start + i64::try_from(passed).unwrap_or(0)
}

/// The time that a line begins with.
pub(super) fn written_in(line: &[u8]) -> Option<i64> {
    let line = line.strip_prefix(b"{\"time\":\"").unwrap_or(line);
    if line.get(4) != Some(&b'-') || line.get(10) != Some(&b'T') {
        return None;
    }
    let end = line
        .iter()
        .take(40)
        .position(|byte| b" \"".contains(byte))?;
    let text = std::str::from_utf8(&line[..end]).ok()?;
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.timestamp_micros())
}
