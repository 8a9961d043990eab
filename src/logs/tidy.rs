//! What is done to rotated files in the background: compressing them, and finding those that are
//! too many, too old or too large together.
//!
//! A thread of the lowest priority does the long work, one log after the other; it is there only
//! while there is some. The log thread alone changes names, on request and at once, so that no
//! file is renamed under the hands of the other, and nobody waits for a lock.
//!
//! Must never: rename or remove a rotated file here, make the log thread wait.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};

use super::compress;
use super::names::{self, Archive, Identity, Suffix};
use super::plane::{Command, StreamId};
use super::retention::{self, Kept};
use super::rotation::Wall;
use super::survey::Surveyed;
use crate::config::{Compression, LogFileConfig, RotateSuffix};

/// Niceness of the thread, for the processor and, derived from it, for the disk.
const NICENESS: i32 = 19;

/// Files that wait to be closed at most.
const CLOSING_MAX: usize = 4;

/// Requests for one log, after which something is wrong with its names.
const REQUESTS_MAX: usize = 100_000;

/// A log that is to be looked after.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub path: PathBuf,
    pub config: LogFileConfig,
    pub now: Wall,
}

/// What the background thread wants or tells.
#[derive(Debug)]
pub(super) enum Finding {
    /// A change of names, which the log thread makes and answers.
    Request(Request, Sender<io::Result<bool>>),
    /// Done with one log.
    Finished {
        stream: StreamId,
        /// Of the log; none if there was only a file to be closed.
        path: Option<PathBuf>,
        /// When its oldest file will be too old.
        expiry: Option<Wall>,
        /// What could not be done.
        failure: Option<String>,
    },
    /// All logs and their disks have been looked at.
    Surveyed(Surveyed),
}

/// A change of names. It is made only if the file is still what was found; the answer says whether
/// it was.
#[derive(Debug)]
pub(super) enum Request {
    /// Remove this rotated file.
    Remove { path: PathBuf, file: Identity },
    /// Put the finished compressed form in the place of this rotated file.
    Replace {
        path: PathBuf,
        file: Identity,
        made: PathBuf,
        name: PathBuf,
    },
}

impl Request {
    /// Makes the change. Quick: the requester holds the file open, so no blocks are freed here.
    pub fn perform(&self) -> io::Result<bool> {
        match self {
            Request::Remove { path, file } => {
                if !file.is_at(path) {
                    return Ok(false);
                }
                std::fs::remove_file(path)?;
            }
            Request::Replace {
                path,
                file,
                made,
                name,
            } => {
                if !file.is_at(path) {
                    return Ok(false);
                }
                std::fs::rename(made, name)?;
                std::fs::remove_file(path)?;
            }
        }
        Ok(true)
    }
}

/// The background work as the log thread sees it.
#[derive(Debug)]
pub(super) struct Background {
    waiting: BTreeMap<(StreamId, PathBuf), Job>,
    /// Files that nobody needs, to be closed where it does not matter how long that takes.
    closing: Vec<OwnedFd>,
    is_busy: bool,
    findings: Findings,
}

/// The way back to the log thread.
#[derive(Debug)]
pub(super) struct Findings {
    commands: Sender<Command>,
    wake: OwnedFd,
}

impl Findings {
    pub fn new(commands: Sender<Command>, wake: OwnedFd) -> Findings {
        Findings { commands, wake }
    }

    pub fn try_clone(&self) -> io::Result<Findings> {
        Ok(Findings {
            commands: self.commands.clone(),
            wake: self.wake.try_clone()?,
        })
    }

    /// Fails if the log thread is gone.
    pub fn send(&self, finding: Finding) -> io::Result<()> {
        let gone = |_| io::Error::other("the log thread has ended");
        self.commands.send(Command::Found(finding)).map_err(gone)?;
        rustix::io::write(&self.wake, &1_u64.to_ne_bytes())?;
        Ok(())
    }

    /// Asks for a change of names and waits for the answer.
    fn request(&self, request: Request) -> io::Result<bool> {
        let (answer, answered) = channel();
        self.send(Finding::Request(request, answer))?;
        let gone = |_| io::Error::other("the log thread has ended");
        answered.recv().map_err(gone)?
    }
}

impl Background {
    pub fn new(findings: Findings) -> Background {
        Background {
            waiting: BTreeMap::new(),
            closing: Vec::new(),
            is_busy: false,
            findings,
        }
    }

    /// A way for another thread.
    pub fn findings(&self) -> io::Result<Findings> {
        self.findings.try_clone()
    }

    /// Whether a log of this configuration is to be looked after at all.
    pub fn is_needed(config: &LogFileConfig) -> bool {
        config.compress.is_some()
            || config.maxage > 0
            || config.maxtotal > 0
            || config.rotate_suffix == RotateSuffix::Timestamp
    }

    /// Looks after a log as soon as there is time.
    pub fn look_after(&mut self, stream: StreamId, job: Job) {
        self.waiting.insert((stream, job.path.clone()), job);
        self.go_on();
    }

    /// Closes a file that has no name any more. Where they become many, writing has to wait: they
    /// fill the disk until they are closed.
    pub fn close(&mut self, file: OwnedFd) {
        match self.closing.len() < CLOSING_MAX {
            true => self.closing.push(file),
            false => drop(file),
        }
        self.go_on();
    }

    /// The thread has ended.
    pub fn has_finished(&mut self) {
        self.is_busy = false;
        self.go_on();
    }

    fn go_on(&mut self) {
        if self.is_busy || self.waiting.is_empty() && self.closing.is_empty() {
            return;
        }
        let Ok(findings) = self.findings.try_clone() else {
            return;
        };
        let job = self.waiting.pop_first();
        let closing = std::mem::take(&mut self.closing);
        let thread = std::thread::Builder::new().name("appctl-tidy".into());
        let spawned = thread.spawn(move || {
            let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
            drop(closing);
            let (stream, result) = match &job {
                Some(((stream, _), job)) => (*stream, look_after(job, &findings)),
                None => (StreamId(u64::MAX), Ok(None)),
            };
            let (expiry, failure) = match result {
                Ok(expiry) => (expiry, None),
                Err(failure) => (None, Some(failure)),
            };
            let _ = findings.send(Finding::Finished {
                stream,
                path: job.map(|(_, job)| job.path),
                expiry,
                failure,
            });
        });
        // Without a thread the files were closed here, and the log is looked after next time.
        self.is_busy = spawned.is_ok();
    }
}

/// Brings the rotated files of one log into order: when the next one expires, or what failed.
fn look_after(job: &Job, findings: &Findings) -> Result<Option<Wall>, String> {
    let leftover = compress::unfinished(&job.path);
    let telling = |doing: &str, path: &Path| {
        let path = path.display().to_string();
        let doing = doing.to_owned();
        move |error: io::Error| format!("cannot {doing} {path}: {error}")
    };
    compress::remove_leftover(&leftover).map_err(telling("remove", &leftover))?;
    for _ in 0..REQUESTS_MAX {
        let files = names::list(&job.path).map_err(telling("list the files of", &job.path))?;
        let sizes: Vec<Kept> = files.iter().map(kept).collect();
        let current = std::fs::metadata(&job.path).map_or(0, |about| about.len());
        let stays = retention::kept(&sizes, &job.config, current, job.now);
        if stays < files.len()
            && let Some(oldest) = files.last()
        {
            remove(oldest, findings).map_err(telling("remove", &oldest.path))?;
            continue;
        }
        let Some((file, how)) = next_to_pack(&files, &job.config) else {
            return Ok(retention::next_expiry(&sizes, &job.config));
        };
        pack(file, job, how, findings).map_err(telling("compress", &file.path))?;
    }
    Err(format!(
        "the rotated files of {} do not come to rest",
        job.path.display()
    ))
}

fn kept(file: &Archive) -> Kept {
    Kept {
        size: file.size,
        modified: file.modified,
    }
}

/// The oldest file that is to be compressed and whose name for that is free.
fn next_to_pack<'a>(
    files: &'a [Archive],
    config: &LogFileConfig,
) -> Option<(&'a Archive, Compression)> {
    let how = config.compress?;
    let is_twin = |file: &Archive, other: &Archive| {
        other.suffix.place == file.suffix.place && other.suffix != file.suffix
    };
    let may = |file: &&Archive| {
        let twin = files.iter().find(|other| is_twin(file, other));
        // Of the same time: ours, from an attempt that was broken off at its very end.
        file.suffix.packing.is_none() && twin.is_none_or(|twin| twin.modified == file.modified)
    };
    files.iter().rev().find(may).map(|file| (file, how))
}

/// Has a rotated file removed, if it still is what was found; false: it is not.
pub(super) fn remove(file: &Archive, findings: &Findings) -> io::Result<bool> {
    // Held while its name goes, so that its blocks are freed here.
    let _held = compress::open(file).ok().flatten();
    findings.request(Request::Remove {
        path: file.path.clone(),
        file: file.identity,
    })
}

fn pack(file: &Archive, job: &Job, how: Compression, findings: &Findings) -> io::Result<()> {
    let Some(source) = compress::open(file)? else {
        return Ok(());
    };
    let made = compress::unfinished(&job.path);
    compress::pack(&source, &made, how)?;
    let replaced = replace(&source, file, &made, how, job, findings);
    if !matches!(replaced, Ok(true)) {
        let _ = std::fs::remove_file(&made);
    }
    replaced.map(drop)
}

/// Meanwhile the file may have got another number, or none.
fn replace(
    source: &File,
    file: &Archive,
    made: &Path,
    how: Compression,
    job: &Job,
    findings: &Findings,
) -> io::Result<bool> {
    let identity = Identity::of(&source.metadata()?);
    let mut at = Some(file.clone());
    while let Some(found) = at {
        let name = Suffix {
            packing: Some(how),
            ..found.suffix
        };
        let done = findings.request(Request::Replace {
            path: found.path,
            file: identity,
            made: made.to_owned(),
            name: name.of(&job.path),
        })?;
        if done {
            return Ok(true);
        }
        let files = names::list(&job.path)?;
        at = files.into_iter().find(|other| other.identity == identity);
    }
    Ok(false)
}
