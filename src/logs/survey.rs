//! Looks at the files of all logs and the disks they are on, and does what `budget` says: on a thread
//! of its own, which is there only meanwhile. It does not wait for compression, and is not of low
//! priority, for programs may drop lines until it is done.
//!
//! Must never: remove what is being written, remove or rename without the log thread.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::allowance::Outlook;
use super::budget::{self, Disk, Held, Limit};
use super::names::{self, Archive};
use super::plane::StreamId;
use super::tidy::{Finding, Findings, remove};
use crate::config::LogBudget;
use crate::ordered;

/// What all logs together hold, for whoever asks.
#[derive(Debug, Default)]
pub struct Holdings {
    used: AtomicU64,
    written: AtomicU64,
    removed_files: AtomicU64,
    removed_bytes: AtomicU64,
}

impl Holdings {
    /// Bytes of all logs when it was last looked; 0 without limits.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Rotated files removed so far for the limits of all logs, and their bytes.
    pub fn removed(&self) -> (u64, u64) {
        let [files, bytes] = [&self.removed_files, &self.removed_bytes];
        (files.load(Ordering::Relaxed), bytes.load(Ordering::Relaxed))
    }

    /// Tells surveys how much has been written in all.
    pub(super) fn has_written(&self, bytes: u64) {
        self.written.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn learn(&self, surveyed: &Surveyed) {
        self.used.store(surveyed.used, Ordering::Relaxed);
        self.removed_files
            .fetch_add(surveyed.removed_files, Ordering::Relaxed);
        self.removed_bytes
            .fetch_add(surveyed.removed_bytes, Ordering::Relaxed);
    }
}

/// What a survey has found and done.
#[derive(Debug, Default)]
pub(super) struct Surveyed {
    /// What there is room for.
    pub outlook: Outlook,
    /// Streams whose files are to be rotated.
    pub close: Vec<StreamId>,
    /// Bytes of all logs, after what was removed.
    pub used: u64,
    pub removed_files: u64,
    pub removed_bytes: u64,
    /// For which limit.
    pub because: Option<Limit>,
    /// What could not be removed.
    pub failure: Option<(StreamId, String)>,
}

/// Begins a survey of these logs. It comes back as a [`Finding`].
pub(super) fn begin(
    logs: Vec<(StreamId, PathBuf)>,
    budget: LogBudget,
    holdings: Arc<Holdings>,
    findings: Findings,
) -> io::Result<()> {
    let thread = std::thread::Builder::new().name("appctl-survey".into());
    thread.spawn(move || {
        let surveyed = survey(logs, budget, &holdings, &findings);
        // Fails only if the log thread is gone.
        let _ = findings.send(Finding::Surveyed(surveyed));
    })?;
    Ok(())
}

fn survey(
    logs: Vec<(StreamId, PathBuf)>,
    budget: LogBudget,
    holdings: &Holdings,
    findings: &Findings,
) -> Surveyed {
    let seen = holdings.written.load(Ordering::Relaxed);
    let found = Found::of(logs);
    let plan = budget::plan(&found.held, &found.disks, budget);
    let mut surveyed = Surveyed {
        outlook: Outlook {
            rooms: plan.rooms,
            disks: found.disk_of,
            seen,
            has_helped: !plan.close.is_empty(),
        },
        close: plan.close,
        used: found.held.iter().map(|file| file.size).sum(),
        because: plan.because,
        ..Surveyed::default()
    };
    for at in plan.remove {
        let Some(archive) = &found.archives[at] else {
            continue;
        };
        match remove(archive, findings) {
            Ok(true) => {
                surveyed.outlook.has_helped = true;
                surveyed.removed_files += 1;
                surveyed.removed_bytes += archive.size;
                surveyed.used -= archive.size;
            }
            // Renamed meanwhile: the next survey finds it under its other name.
            Ok(false) => surveyed.give_up(archive),
            Err(error) => {
                let path = archive.path.display();
                let text = format!("cannot remove {path}: {error}");
                surveyed.failure = Some((found.held[at].stream, text));
                surveyed.give_up(archive);
            }
        }
    }
    surveyed
}

/// How things stand with these logs, as long as nothing is removed.
pub(super) fn look(logs: Vec<(StreamId, PathBuf)>, budget: LogBudget) -> Outlook {
    let found = Found::of(logs);
    Outlook {
        rooms: budget::rooms(&found.held, &found.disks, budget),
        disks: found.disk_of,
        ..Outlook::default()
    }
}

/// All files of logs, and the disks they are on.
#[derive(Debug, Default)]
struct Found {
    held: Vec<Held>,
    /// In the same order; nothing for files that are being written.
    archives: Vec<Option<Archive>>,
    disks: Vec<Disk>,
    /// The disk that each stream's file is on.
    disk_of: BTreeMap<StreamId, u64>,
}

impl Found {
    fn of(logs: Vec<(StreamId, PathBuf)>) -> Found {
        let mut by_path = BTreeMap::new();
        for (stream, path) in logs {
            by_path.entry(path).or_insert(stream);
        }
        let (mut found, mut disks) = (Found::default(), BTreeMap::new());
        for (path, stream) in &by_path {
            // A file that is not there yet may be made any moment.
            let looked_at = [Some(path.as_path()), path.parent()].into_iter().flatten();
            let mut looked_at = looked_at.map(|path| (path, std::fs::metadata(path)));
            let Some((at, about)) = looked_at.find_map(|(at, about)| Some((at, about.ok()?)))
            else {
                continue;
            };
            if about.is_file() {
                found.held.push(held_of(*stream, &about));
                found.archives.push(None);
            }
            if about.is_file() || about.is_dir() {
                found.disk_of.insert(*stream, about.dev());
                disks.entry(about.dev()).or_insert_with(|| at.to_owned());
            }
        }
        let paths: BTreeSet<&Path> = ordered::set(by_path.keys().map(PathBuf::as_path));
        // A directory that cannot be read has nothing that could be removed.
        for (log, archive) in names::list_all(&paths) {
            let Some(stream) = by_path.get(log) else {
                continue;
            };
            let disk = archive.identity.device();
            disks.entry(disk).or_insert_with(|| archive.path.clone());
            found.held.push(Held {
                stream: *stream,
                disk,
                size: archive.size,
                modified: archive.modified,
                is_current: false,
            });
            found.archives.push(Some(archive));
        }
        let disks = disks.into_iter();
        found.disks = disks.filter_map(|(id, path)| look_at(id, &path)).collect();
        found
    }
}

impl Surveyed {
    /// What could not be removed is still there.
    fn give_up(&mut self, archive: &Archive) {
        for room in &mut self.outlook.rooms {
            let concerns = match room.limit {
                Limit::Total(_) => true,
                Limit::Disk { id, .. } => id == archive.identity.device(),
            };
            if concerns {
                room.left = room.left.saturating_sub(archive.size);
            }
        }
    }
}

fn held_of(stream: StreamId, about: &Metadata) -> Held {
    Held {
        stream,
        disk: about.dev(),
        size: about.len(),
        modified: about.mtime(),
        is_current: true,
    }
}

fn look_at(id: u64, path: &Path) -> Option<Disk> {
    let about = rustix::fs::statvfs(path).ok()?;
    Some(Disk {
        id,
        free: about.f_bavail.saturating_mul(about.f_frsize),
        size: about.f_blocks.saturating_mul(about.f_frsize),
    })
}
