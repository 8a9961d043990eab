//! A program that lives, and finding it again after the brain that started it died.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::stat::ProcessStat;
use super::wait;
use crate::fleet::ExitStatus;

/// A program that lives: its identity and a descriptor that cannot be reused for another.
#[derive(Debug)]
pub struct Living {
    /// Process id.
    pub pid: i32,
    /// Start time in clock ticks since boot (`/proc/PID/stat`, field 22); 0 where `/proc` is not
    /// mounted, and then it cannot be adopted.
    pub start_time: u64,
    /// pidfd: readable once it ended.
    pub pidfd: OwnedFd,
}

/// Finds a living process again; `None` if it is gone or another process has its pid.
///
/// A zombie is found as well: whoever is its parent knows how it ended.
pub fn adopt(pid: i32, start_time: u64) -> io::Result<Option<Living>> {
    if pid <= 0 {
        return Ok(None);
    }
    let Some(process) = Pid::from_raw(pid) else {
        return Ok(None);
    };
    // The pidfd comes first: if the start time read afterwards by pid is the one looked for,
    // the process had that pid all along, and so it is the one behind the pidfd.
    let pidfd = match pidfd_open(process, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        // The number may be a thread of another process by now: EINVAL, ENOENT since 6.14.
        Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    match ProcessStat::of(pid) {
        Ok(stat) if stat.start_time == start_time => Ok(Some(Living {
            pid,
            start_time,
            pidfd,
        })),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// How a child of ours ended, without reaping it; `None` while it lives or if it is not our child.
pub fn peek_exit(living: &Living) -> io::Result<Option<ExitStatus>> {
    wait::peek_pidfd(&living.pidfd)
}

/// Most memory that a child which ended had in use, in bytes; before it is reaped.
pub fn peak_memory(living: &Living) -> Option<u64> {
    wait::peak_memory(&living.pidfd)
}

/// Reaps a child that ended. Nothing happens while it lives or if it is not our child.
pub fn reap(living: &Living) -> io::Result<()> {
    wait::reap_pidfd(&living.pidfd)
}
