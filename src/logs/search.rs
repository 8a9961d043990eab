//! The search for the last wanted lines of a file.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, Ordering};

use super::archive::{self, Form, Piece};
use super::lines::{LINE_MAX, Wish};
use super::times::{Times, written_in};

/// The search for the last wanted lines of a file.
pub(super) struct Search<'a> {
    pub wish: &'a Wish,
    pub times: &'a Times,
    pub cancelled: &'a AtomicBool,
    pub block: usize,
}

impl Search<'_> {
    /// Where they begin. A plain file is searched in windows at its end, each four times as large
    /// as the one before, so that a few lines of a large file are found quickly.
    pub fn last_lines(
        &self,
        piece: &Piece,
        file: &File,
        count: usize,
    ) -> io::Result<VecDeque<u64>> {
        if piece.form != Form::Plain {
            return self.scan(archive::unpack(file.try_clone()?, piece.form)?, 0, count);
        }
        let size = file.metadata()?.len();
        let mut window = 64 * 1024;
        loop {
            let from = size.saturating_sub(window);
            (&*file).seek(SeekFrom::Start(from))?;
            let found = self.scan(Box::new(file.try_clone()?.take(size - from)), from, count)?;
            if found.len() >= count || from == 0 {
                return Ok(found);
            }
            window *= 4;
        }
    }

    fn scan(
        &self,
        from: Box<dyn Read + Send>,
        base: u64,
        count: usize,
    ) -> io::Result<VecDeque<u64>> {
        let mut reader = BufReader::with_capacity(self.block, from);
        let mut offset = base;
        let mut starts = VecDeque::new();
        let mut line = Vec::new();
        // The first line of a window is a part of one.
        let mut whole = base == 0;
        loop {
            line.clear();
            let read = (&mut reader)
                .take(LINE_MAX as u64)
                .read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(starts);
            }
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let latest = || written_in(&line).unwrap_or_else(|| self.times.at(offset).latest);
            if whole && self.wish.takes(&line, latest()) {
                starts.push_back(offset);
                if starts.len() > count {
                    starts.pop_front();
                }
            }
            whole |= line.ends_with(b"\n");
            offset += read as u64;
        }
    }
}
