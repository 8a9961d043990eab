//! Finding a program that a killed brain started but did not record.
//!
//! Before each start the brain records the inode of the program's standard input pipe, or of its
//! standard output where several programs share one input. A child of it passes
//! [`Child::become_program`](super::child)'s last check only with both in place, so after the brain's death the program is either found by the inode among the
//! children of the keeper (of anybody, if the keeper died as well), or it does not run.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use super::living::{Living, adopt};
use super::stat::ProcessStat;

/// Names a pipe: the same number for both of its ends.
pub fn pipe_inode(end: impl AsFd) -> io::Result<u64> {
    Ok(rustix::fs::fstat(end)?.st_ino)
}

/// Finds the child of `parent` (`None`: of anybody) whose standard input or output is this pipe;
/// `None` if none lives.
///
/// A program's own children have the pipe as well, and become children of the keeper when the
/// program ends: the program is the one that leads a group of its own and is the oldest.
/// Processes whose descriptors we may not see (they changed user) are not found; see [`find_noted`].
pub fn find_started(parent: Option<i32>, pipe_inode: u64) -> io::Result<Option<Living>> {
    let wanted = format!("pipe:[{pipe_inode}]");
    let mut found: Option<(i32, u64)> = None;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(stat) = ProcessStat::of(pid) else {
            continue;
        };
        let older = found.is_none_or(|(_, start_time)| stat.start_time < start_time);
        let related = parent.is_none_or(|parent| parent == stat.parent);
        if !related || stat.group != pid || !older {
            continue;
        }
        let has = |number: u8| {
            let target = fs::read_link(format!("/proc/{pid}/fd/{number}"));
            target.is_ok_and(|target| target == Path::new(&wanted))
        };
        if has(0) || has(1) {
            found = Some((pid, stat.start_time));
        }
    }
    match found {
        Some((pid, start_time)) => adopt(pid, start_time),
        None => Ok(None),
    }
}

/// Finds a child of `parent` that noted this pid of itself, if it lives: one whose descriptors we
/// may not see.
pub fn find_noted(parent: i32, pid: i32) -> Option<Living> {
    let stat = ProcessStat::of(pid).ok()?;
    let is_it = stat.parent == parent && stat.group == pid;
    adopt(pid, stat.start_time).ok().flatten().filter(|_| is_it)
}
