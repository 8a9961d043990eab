//! The lines of one log, from some place in it on, through all its files, each with its time.
//!
//! The time of a line is, in this order of preference: what stands at its beginning in RFC 3339
//! with a zone (as the formats `prefix` and `json` write it); the last [`Note`] before it; its place
//! between the moments at which its file was begun and last written to. Never earlier than that of
//! the line before.
//!
//! Where the next line comes from survives rotation: the file is held open, and its successors are
//! found by what is at the path now. Everything here waits for the disk.
//!
//! Must never: hold more than a block and a line.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::archive::{self, Form, Piece};
use super::moments::{Note, Timeline};

/// Longest line that is given in one; a longer one comes in parts.
pub const LINE_MAX: usize = 32 * 1024;

/// What is wanted of a log.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Only so many of its last lines.
    pub last: Option<u64>,
    /// Only what was, or may have been, written since then, in microseconds since 1970.
    pub since: Option<i64>,
    /// Only lines in which this is found.
    pub pattern: Option<regex_lite::Regex>,
    /// Also what is written from now on.
    pub follow: bool,
}

impl Wish {
    /// Whether a line is wanted; `latest` is when it was written at the latest.
    fn takes(&self, line: &[u8], latest: i64) -> bool {
        self.since.is_none_or(|since| latest >= since)
            && self.pattern.as_ref().is_none_or(|pattern| {
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                pattern.is_match(&String::from_utf8_lossy(text))
            })
    }
}

/// Where in a log a reader is: a file by its inode, and an offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which file.
    pub inode: u64,
    /// Where its next line begins.
    pub offset: u64,
}

/// A log that is read line by line.
pub(super) struct Lines {
    path: PathBuf,
    timeline: Timeline,
    /// Files to be read after the open one, oldest first.
    pieces: VecDeque<Piece>,
    open: Option<Open>,
    /// The line that is being read, or that is ready.
    line: Vec<u8>,
    /// Its time and where it begins, once it is ready.
    ready: Option<(Time, Mark)>,
    /// Of the line before.
    before: i64,
    /// How much is read at once.
    block: usize,
    /// Goes on with what is written while it is read.
    follow: bool,
}

/// A file that is being read.
struct Open {
    reader: BufReader<Box<dyn Read + Send>>,
    /// The same file, to ask about it.
    file: File,
    /// Where the line that is being read begins, and what follows what was read of it.
    begin: u64,
    end: u64,
    times: Times,
    form: Form,
}

/// When something was written: at the earliest (which is what lines are ordered by), at the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Time {
    earliest: i64,
    latest: i64,
}

impl Lines {
    /// The lines that are wanted of the log at a path. `cancelled` ends a long search.
    pub fn open(
        path: PathBuf,
        timeline: Timeline,
        wish: &Wish,
        from: Option<Mark>,
        block: usize,
        cancelled: &AtomicBool,
    ) -> io::Result<Lines> {
        let mut pieces = VecDeque::from(archive::pieces(&path)?);
        if pieces.is_empty() {
            archive::open(&path)?;
        }
        let mut lines = Lines {
            path,
            timeline,
            pieces: VecDeque::new(),
            open: None,
            line: Vec::new(),
            ready: None,
            before: i64::MIN,
            block,
            follow: wish.follow,
        };
        if let Some(since) = wish.since {
            let wanted = pieces.iter().position(|piece| piece.modified >= since);
            let last = pieces.len().saturating_sub(1);
            pieces.drain(..wanted.unwrap_or(last));
        }
        let marked = from.and_then(|mark| {
            let at = pieces
                .iter()
                .position(|piece| piece.identity.1 == mark.inode && piece.form == Form::Plain)?;
            Some((at, mark.offset))
        });
        let start = match wish.last {
            _ if marked.is_some_and(|(at, offset)| offset <= pieces[at].size) => {
                let (at, offset) = marked.unwrap_or_default();
                pieces.drain(..at);
                offset
            }
            // That file is gone or was emptied: what took its place is new.
            _ if from.is_some() => {
                pieces.drain(..pieces.len().saturating_sub(1));
                0
            }
            Some(0) => {
                pieces.drain(..pieces.len().saturating_sub(1));
                pieces.back().map_or(0, |piece| piece.size)
            }
            Some(last) => lines.find_last(last, &mut pieces, wish, cancelled)?,
            None => 0,
        };
        lines.pieces = pieces;
        lines.next_piece()?;
        if let Some(open) = &mut lines.open {
            open.skip(start)?;
        }
        Ok(lines)
    }

    /// The earliest time of the next line, if there is one. Without `unfinished`, a line without a
    /// newline at the end of the log is none yet.
    pub fn peek(&mut self, unfinished: bool) -> io::Result<Option<i64>> {
        loop {
            if let Some((time, _)) = self.ready {
                return Ok(Some(time.earliest));
            }
            let Some(open) = &mut self.open else {
                return Ok(None);
            };
            let room = LINE_MAX.saturating_sub(self.line.len()) as u64;
            let read = open
                .reader
                .by_ref()
                .take(room)
                .read_until(b'\n', &mut self.line)?;
            open.end += read as u64;
            let complete = self.line.ends_with(b"\n") || self.line.len() >= LINE_MAX;
            if complete {
                self.settle();
            } else if read == 0 && !self.next_piece()? {
                if self.line.is_empty() || !unfinished {
                    return Ok(None);
                }
                self.settle();
            }
        }
    }

    /// Takes the line that was peeked at, if it is wanted.
    pub fn take(&mut self, wish: &Wish) -> Option<Vec<u8>> {
        let (time, _) = self.ready.take()?;
        let line = std::mem::take(&mut self.line);
        wish.takes(&line, time.latest).then_some(line)
    }

    /// Where the next line that was not taken begins, unless that is in a compressed file.
    pub fn mark(&self) -> Option<Mark> {
        let open = self.open.as_ref().filter(|open| open.form == Form::Plain)?;
        Some(self.ready.map_or_else(|| open.mark(), |(_, mark)| mark))
    }

    /// Looks for what was written since the end was reached; whether there is something.
    pub fn refresh(&mut self) -> io::Result<bool> {
        let Some(open) = &mut self.open else {
            self.pieces
                .extend(archive::look(Form::Plain, self.path.clone()));
            return self.next_piece();
        };
        let about = open.file.metadata()?;
        if about.len() > open.end && open.form == Form::Plain {
            open.times.learn(&self.timeline, &about);
            return Ok(true);
        }
        if about.len() < open.end && open.form == Form::Plain {
            // Truncated: it begins anew. (The buffer of the reader is empty at the end.)
            self.line.clear();
            open.skip(0)?;
            return Ok(about.len() > 0);
        }
        let current = std::fs::metadata(&self.path);
        if current.is_ok_and(|current| archive::identity(&current) == archive::identity(&about)) {
            return Ok(false);
        }
        // Rotated. What came into the old file at the last moment is read first.
        let successors = successors(archive::pieces(&self.path)?, &about);
        self.pieces.extend(successors);
        Ok(!self.pieces.is_empty() || open.file.metadata()?.len() > open.end)
    }

    fn settle(&mut self) {
        let Some(open) = &mut self.open else { return };
        let mut time = match written_in(&self.line) {
            Some(time) => Time {
                earliest: time,
                latest: time,
            },
            None => open.times.at(open.begin),
        };
        let mark = open.mark();
        open.begin = open.end;
        time.earliest = time.earliest.max(self.before);
        self.before = time.earliest;
        self.ready = Some((time, mark));
    }

    /// Goes on in the next file; false if there is none.
    fn next_piece(&mut self) -> io::Result<bool> {
        while let Some(piece) = self.pieces.pop_front() {
            let Some((piece, file)) = find(piece, &self.path)? else {
                continue;
            };
            let started = self.open.as_ref().map(|open| open.times.modified);
            let mut times = Times::of(&piece, started, &file);
            times.learn(&self.timeline, &file.metadata()?);
            let own = file.try_clone()?;
            let mut bytes = archive::unpack(file, piece.form)?;
            if piece.form == Form::Plain && !self.follow {
                // A program that writes without pause does not make the log endless.
                bytes = Box::new(bytes.take(piece.size));
            }
            self.open = Some(Open {
                reader: BufReader::with_capacity(self.block, bytes),
                file: own,
                begin: 0,
                end: 0,
                times,
                form: piece.form,
            });
            return Ok(true);
        }
        Ok(false)
    }

    /// Drops the files before the one with the `last`th wanted line from the end, and tells where
    /// in that one it begins.
    fn find_last(
        &self,
        last: u64,
        pieces: &mut VecDeque<Piece>,
        wish: &Wish,
        cancelled: &AtomicBool,
    ) -> io::Result<u64> {
        let mut missing = usize::try_from(last).unwrap_or(usize::MAX);
        for index in (0..pieces.len()).rev() {
            let Some((piece, file)) = find(pieces[index].clone(), &self.path)? else {
                continue;
            };
            let mut times = Times::of(&piece, None, &file);
            times.learn(&self.timeline, &file.metadata()?);
            let search = Search {
                wish,
                times: &times,
                cancelled,
                block: self.block,
            };
            let starts = search.last_lines(&piece, &file, missing)?;
            missing -= starts.len();
            if missing == 0 {
                pieces.drain(..index);
                return Ok(starts.front().copied().unwrap_or(0));
            }
        }
        Ok(0)
    }
}

impl Open {
    fn mark(&self) -> Mark {
        Mark {
            inode: self.times.inode,
            offset: self.begin,
        }
    }

    /// Goes on at this offset; the reader and its file share one position.
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        if self.form == Form::Plain {
            (&self.file).seek(SeekFrom::Start(bytes))?;
        } else {
            io::copy(&mut self.reader.by_ref().take(bytes), &mut io::sink())?;
        }
        (self.begin, self.end) = (bytes, bytes);
        Ok(())
    }
}

/// Opens a file of a log, wherever a rotation has moved it since it was seen. None if it is gone.
fn find(piece: Piece, path: &std::path::Path) -> io::Result<Option<(Piece, File)>> {
    match open_same(&piece) {
        Ok(Some(file)) => return Ok(Some((piece, file))),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Renamed, or compressed meanwhile, which keeps the time of the last change.
    let now = archive::pieces(path)?;
    let same = now.iter().find(|other| other.identity == piece.identity);
    let packed = || {
        now.iter()
            .find(|other| other.form != Form::Plain && other.modified == piece.modified)
    };
    match same.or_else(packed) {
        Some(piece) => Ok(open_same(piece)
            .ok()
            .flatten()
            .map(|file| (piece.clone(), file))),
        None => Ok(None),
    }
}

fn open_same(piece: &Piece) -> io::Result<Option<File>> {
    let file = archive::open(&piece.path)?;
    let same = archive::identity(&file.metadata()?) == piece.identity;
    Ok(same.then_some(file))
}

/// Those files of a log that are younger than the one that was read.
fn successors(pieces: Vec<Piece>, read: &std::fs::Metadata) -> Vec<Piece> {
    let ours = archive::identity(read);
    let modified = archive::modified(read);
    match pieces.iter().position(|piece| piece.identity == ours) {
        Some(at) => pieces.into_iter().skip(at + 1).collect(),
        None => {
            // Compressed meanwhile: that leaves it its time.
            let ours = |piece: &Piece| piece.form != Form::Plain && piece.modified == modified;
            let younger = |piece: &Piece| piece.modified > modified;
            let first = match pieces.iter().position(ours) {
                Some(at) => at + 1,
                None => pieces
                    .iter()
                    .position(younger)
                    .unwrap_or(pieces.len().saturating_sub(1)),
            };
            pieces.into_iter().skip(first).collect()
        }
    }
}

/// What is known of when a file was written.
struct Times {
    inode: u64,
    started: i64,
    modified: i64,
    /// How many bytes it has in the end; of a compressed one that is a guess.
    size: u64,
    notes: Vec<Note>,
}

impl Times {
    fn of(piece: &Piece, started: Option<i64>, file: &File) -> Times {
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
    fn learn(&mut self, timeline: &Timeline, about: &std::fs::Metadata) {
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

    fn at(&self, offset: u64) -> Time {
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
fn written_in(line: &[u8]) -> Option<i64> {
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

/// The search for the last wanted lines of a file.
struct Search<'a> {
    wish: &'a Wish,
    times: &'a Times,
    cancelled: &'a AtomicBool,
    block: usize,
}

impl Search<'_> {
    /// Where they begin. A plain file is searched in windows at its end, each four times as large
    /// as the one before, so that a few lines of a large file are found quickly.
    fn last_lines(&self, piece: &Piece, file: &File, count: usize) -> io::Result<VecDeque<u64>> {
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
