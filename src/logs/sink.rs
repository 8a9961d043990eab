//! The file of a stream: opened, found at its path again, rotated, cleared.
//!
//! The path decides, not the descriptor: a file that was deleted or renamed by somebody else is
//! noticed and the path opened anew; a file that was truncated is written from its new end. The
//! old descriptor is kept until there is a new one, so that bytes always have somewhere to go
//! unless the file was deleted.
//!
//! Must never: move bytes (see `stream`), decide when to rotate (see `rotation`).

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{Local, Offset, TimeZone};
use rustix::fs::Stat;

use super::line_end::Limit;
use super::names;
use super::plane::SinkConfig;
use super::rotation::{self, Wall};
use super::target::{self, Extent, Kind, Making};
use super::{rotate, stall::Backoff};
use crate::config::RotateSuffix;

/// How often a file that is written to is looked for at its path, to notice that it was renamed.
/// A deletion is noticed at once, for it shows in the file's size and link count.
const PATH_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a file that is due by the clock or by request waits for the line being written to end.
const LINE_PATIENCE: Duration = Duration::from_secs(1);

/// The clocks, read once per turn of the log thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// For intervals.
    pub instant: Instant,
    /// For rotation at wall-clock moments.
    pub wall: Wall,
    /// For times of lines: microseconds since 1970.
    pub micros: i64,
}

impl Now {
    /// Reads them.
    pub fn read() -> Now {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = since_epoch.map_or(0, |time| time.as_micros());
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        Now {
            instant: Instant::now(),
            wall: micros / 1_000_000,
            micros,
        }
    }
}

/// What went wrong, for the sentence in the log.
#[derive(Debug)]
pub(super) struct Failure {
    /// "open", "write to", "rotate".
    pub doing: &'static str,
    /// Why not.
    pub error: io::Error,
}

impl Failure {
    /// For `map_err`.
    pub fn of(doing: &'static str) -> impl FnOnce(io::Error) -> Failure {
        move |error| Failure { doing, error }
    }
}

/// An open file with what is known of it.
#[derive(Debug)]
pub(super) struct Sink {
    config: SinkConfig,
    file: OwnedFd,
    kind: Kind,
    directory: Option<Directory>,
    /// When it was last seen at its path; `None`: look before the next write.
    seen: Option<Instant>,
    /// The next wall-clock rotation.
    boundary: Option<Wall>,
    /// The last one.
    fired: Option<Wall>,
    /// Set while the end of a line is waited for to rotate, whatever the size.
    closing: Option<Closing>,
    /// When the oldest rotated file will be too old.
    expiry: Option<Wall>,
    /// The last name by time.
    last_stamp: Option<(Wall, u32)>,
    aftermath: Aftermath,
    /// Set while rotating fails: do not try at every write.
    rotation_pause: Option<(Instant, Backoff)>,
}

/// What a rotation leaves to be done.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    /// The rotated files are to be looked after.
    pub is_untidy: bool,
    /// A file without a name, still open.
    pub fallen: Option<OwnedFd>,
}

/// A rotation that waits for the end of a line.
#[derive(Debug, Clone, Copy)]
struct Closing {
    limit: Limit,
    deadline: Instant,
}

/// What the log's directory was like, to make it again.
#[derive(Debug, Clone, Copy)]
struct Directory {
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Sink {
    /// Opens the file, and rotates it if a moment to do so passed since it was last written.
    pub fn open(config: SinkConfig, now: Now) -> io::Result<Sink> {
        let (file, kind) = match &config.path {
            Some(path) => target::open(path, making(&config))?,
            None => (target::open_null()?, Kind::Null),
        };
        let mut sink = Sink {
            config,
            file,
            kind,
            directory: None,
            seen: Some(now.instant),
            boundary: None,
            fired: None,
            closing: None,
            expiry: None,
            last_stamp: None,
            aftermath: Aftermath {
                is_untidy: true,
                fallen: None,
            },
            rotation_pause: None,
        };
        sink.directory = sink.path().and_then(Directory::of);
        sink.plan_boundary(now);
        if sink.has_missed_a_boundary(now)? {
            sink.boundary = Some(now.wall);
        }
        Ok(sink)
    }

    /// How it was asked for.
    pub fn config(&self) -> &SinkConfig {
        &self.config
    }

    /// Where bytes go.
    pub fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// How it takes bytes.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The next wall-clock rotation.
    pub fn boundary(&self) -> Option<Wall> {
        self.boundary
    }

    /// The next moment at which the clock matters.
    pub fn alarm(&self) -> Option<Wall> {
        [self.boundary, self.expiry].into_iter().flatten().min()
    }

    /// Makes the next write look whether the file is still at its path.
    pub fn doubt(&mut self) {
        self.seen = None;
    }

    /// Where the next byte goes: the end of the file that is at the path now. Fails only if the
    /// file was deleted and there is no way to make it again.
    pub fn end(&mut self, now: Now) -> io::Result<u64> {
        Ok(self.extent(now)?.size)
    }

    /// The file that is at the path now, whose [end](Sink::end) is asked for; nothing if it is none
    /// that has a size.
    pub fn extent(&mut self, now: Now) -> io::Result<Extent> {
        if self.kind != Kind::Regular {
            return Ok(Extent::default());
        }
        let mut extent = target::extent(&self.file)?;
        let deleted = extent.is_deleted;
        let is_fresh = |seen: Instant| now.instant.duration_since(seen) < PATH_CHECK_INTERVAL;
        if deleted || !self.seen.is_some_and(is_fresh) {
            self.seen = Some(now.instant);
            if !self.is_at_path()? {
                match self.reopen(now) {
                    Err(error) if deleted => return Err(error),
                    Err(_) => {}
                    Ok(()) => extent = target::extent(&self.file)?,
                }
            }
        }
        Ok(extent)
    }

    /// Opens the path again and goes on there; on failure everything stays as it is. A directory
    /// that was deleted is made again as it was (only that one: above it may be a missing mount).
    pub fn reopen(&mut self, now: Now) -> io::Result<()> {
        let Some(path) = self.config.path.clone() else {
            return Ok(());
        };
        let making = making(&self.config);
        let opened = match target::open(&path, making) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.directory.ok_or(error)?.make_again(&path)?;
                target::open(&path, making)
            }
            other => other,
        };
        (self.file, self.kind) = opened?;
        self.seen = Some(now.instant);
        self.directory = Directory::of(&path).or(self.directory);
        Ok(())
    }

    /// Deletes the file and makes it again; its rotated predecessors stay.
    pub fn clear(&mut self, now: Now) -> io::Result<()> {
        match (&self.config.path, self.kind) {
            (Some(path), Kind::Regular) => {
                delete(path)?;
                self.reopen(now)
            }
            (Some(_), _) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "is not a regular file, so there is nothing to clear",
            )),
            (None, _) => Ok(()),
        }
    }

    /// Where this file is to be closed; `None`: nowhere.
    pub fn limit(&self, now: Now) -> Option<Limit> {
        if self.kind != Kind::Regular || self.rotation_pause.is_some_and(|(t, _)| now.instant < t) {
            return None;
        }
        let by_size = Limit::of_size(self.config.file.maxbytes);
        match (by_size, self.closing) {
            (Some(by_size), Some(closing)) => Some(by_size.or_earlier(closing.limit)),
            (by_size, closing) => by_size.or(closing.map(|closing| closing.limit)),
        }
    }

    /// Whether it is to be closed now that these bytes are its last ones.
    pub fn closes(&self, bytes: &[u8], now: Now) -> bool {
        let size = target::extent(&self.file).map_or(0, |extent| extent.size);
        let limit = self.limit(now);
        limit.is_some_and(|limit| limit.closes(size, bytes))
    }

    /// Whether the file ends with a whole line, so that it can be rotated at once. If not, it is
    /// to be rotated when one ends, or at the [deadline](Sink::closing_deadline).
    pub fn can_close(&mut self, now: Now) -> bool {
        let size = target::extent(&self.file).map_or(0, |extent| extent.size);
        if self.kind != Kind::Regular || size == 0 || target::last_byte(&self.file, size) == b'\n' {
            return true;
        }
        self.closing.get_or_insert(Closing {
            limit: Limit::at_once(size),
            deadline: now.instant + LINE_PATIENCE,
        });
        false
    }

    /// When a rotation that waits for the end of a line is done in any case.
    pub fn closing_deadline(&self) -> Option<Instant> {
        self.closing.map(|closing| closing.deadline)
    }

    /// Whether the last try to rotate failed.
    pub fn cannot_rotate(&self) -> bool {
        self.rotation_pause.is_some()
    }

    /// Rotates and plans the next time. A file that is empty is not rotated, for its predecessors
    /// say more than another empty one. After a failure, writing goes on in the file as it is.
    pub fn rotate(&mut self, now: Now) -> io::Result<()> {
        self.closing = None;
        let result = self.try_rotate(now);
        match &result {
            Ok(()) => {
                self.rotation_pause = None;
                if self.boundary.is_some_and(|boundary| boundary <= now.wall) {
                    self.fired = self.boundary;
                }
                self.plan_boundary(now);
            }
            Err(_) => {
                let mut backoff = self.rotation_pause.map_or(Backoff::default(), |(_, b)| b);
                self.rotation_pause = Some((now.instant + backoff.next(), backoff));
            }
        }
        result
    }

    /// Somebody set the clock.
    pub fn clock_was_set(&mut self, now: Now) {
        let (Some(period), Some(waited_for)) = (self.config.file.rotate, self.boundary) else {
            return;
        };
        let next = rotation::after_clock_change(period, waited_for, self.fired, now.wall, &zone);
        self.boundary = Some(next);
    }

    fn plan_boundary(&mut self, now: Now) {
        let next = |period| rotation::next_after_firing(period, self.fired, now.wall, &zone);
        self.boundary = match self.kind {
            Kind::Regular => self.config.file.rotate.map(next),
            _ => None,
        };
    }

    fn try_rotate(&mut self, now: Now) -> io::Result<()> {
        let Some(path) = self
            .config
            .path
            .clone()
            .filter(|_| self.kind == Kind::Regular)
        else {
            return Ok(());
        };
        if !self.is_at_path()? {
            return self.reopen(now);
        }
        if target::extent(&self.file)?.size == 0 {
            return Ok(());
        }
        if self.config.file.backups == 0 {
            return Ok(rustix::fs::ftruncate(&self.file, 0)?);
        }
        let making = making(&self.config);
        let (config, mode) = (&self.config.file, making.first_mode());
        match config.rotate_suffix {
            RotateSuffix::Number => {
                let packed = config.compress.is_some();
                self.aftermath.fallen = rotate::shift(&path, config.backups, packed, mode)?;
            }
            RotateSuffix::Timestamp => {
                let moment = names::next_stamp(now.wall, self.last_stamp);
                self.last_stamp = Some(rotate::stamp(&path, moment, mode)?);
            }
        }
        self.aftermath.is_untidy = true;
        self.doubt();
        self.reopen(now)?;
        making.settle(&self.file)
    }

    /// The rotated files are to be looked after.
    pub fn leave_untidy(&mut self) {
        self.aftermath.is_untidy = true;
    }

    /// What is to be done in the background after rotations, once.
    pub fn take_aftermath(&mut self) -> Aftermath {
        std::mem::take(&mut self.aftermath)
    }

    /// When the oldest rotated file will be too old, as far as that is known.
    pub fn set_expiry(&mut self, expiry: Option<Wall>) {
        self.expiry = expiry;
    }

    /// Whether a rotated file has become too old; from now on that is not known.
    pub fn has_expired(&mut self, now: Now) -> bool {
        let expired = self.expiry.take_if(|expiry| *expiry <= now.wall);
        expired.is_some()
    }

    fn path(&self) -> Option<&Path> {
        self.config.path.as_deref()
    }

    fn is_at_path(&self) -> io::Result<bool> {
        let own = rustix::fs::fstat(&self.file)?;
        let found = self.path().map(target::stat_path);
        let is_own = |found: Stat| (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino);
        Ok(matches!(found, Some(Ok(found)) if is_own(found)))
    }

    fn has_missed_a_boundary(&self, now: Now) -> io::Result<bool> {
        let (Some(period), Kind::Regular) = (self.config.file.rotate, self.kind) else {
            return Ok(false);
        };
        let stat = rustix::fs::fstat(&self.file)?;
        Ok(stat.st_size > 0 && rotation::has_passed(period, stat.st_mtime, now.wall, &zone))
    }
}

impl Directory {
    fn of(path: &Path) -> Option<Directory> {
        let found = std::fs::metadata(path.parent()?).ok()?;
        Some(Directory {
            mode: found.mode() & 0o7777,
            uid: found.uid(),
            gid: found.gid(),
        })
    }

    fn make_again(self, path: &Path) -> io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new(""));
        match std::fs::DirBuilder::new().mode(self.mode).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) => {}
            // Without the right to give it away it is ours, which is all that we need.
            Ok(()) => _ = std::os::unix::fs::chown(directory, Some(self.uid), Some(self.gid)),
        }
        Ok(())
    }
}

fn making(config: &SinkConfig) -> Making {
    Making {
        usual: config.mode,
        mode: config.file.mode,
        owner: config.file.owner,
    }
}

/// Deletes a file that may be gone already.
pub(super) fn delete(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// How far local time is ahead of UTC at a moment.
fn zone(wall: Wall) -> i64 {
    let Some(moment) = chrono::DateTime::from_timestamp(wall, 0) else {
        return 0;
    };
    let offset = Local.offset_from_utc_datetime(&moment.naive_utc());
    i64::from(offset.fix().local_minus_utc())
}
