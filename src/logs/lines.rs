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
use std::sync::atomic::AtomicBool;

use super::archive::{self, Form, Piece};
use super::moments::Timeline;
use super::search::Search;
use super::times::{Time, Times, written_in};

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
    pub(super) fn takes(&self, line: &[u8], latest: i64) -> bool {
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
