//! `waitid`: how children ended, seen before they are reaped.
//!
//! Looking and reaping are two calls everywhere, so that what is seen can be recorded while the
//! zombie still holds its pid.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use crate::fleet::ExitStatus;

/// A child that ended and is still a zombie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Its pid.
    pub(crate) pid: i32,
    /// How it ended.
    pub(crate) status: ExitStatus,
}

/// Some child of this process that ended, not reaped; `None` if there is none.
///
/// The same one is answered until it is reaped: a caller that leaves one hides all others.
pub(crate) fn peek_any() -> io::Result<Option<Ended>> {
    wait(libc::P_ALL, 0, libc::WNOWAIT)
}

/// How the child behind a pidfd ended, not reaped; `None` while it lives or if it is not ours.
pub(crate) fn peek_pidfd(pidfd: impl AsFd) -> io::Result<Option<ExitStatus>> {
    let id = pidfd.as_fd().as_raw_fd().unsigned_abs();
    Ok(wait(libc::P_PIDFD, id, libc::WNOWAIT)?.map(|ended| ended.status))
}

/// Most memory that the child behind a pidfd had in use, in bytes, or one of those it waited for;
/// `None` while it lives or if it is not ours. Not reaped.
#[allow(unsafe_code)]
pub(super) fn peak_memory(pidfd: impl AsFd) -> Option<u64> {
    // SAFETY: all zeroes are valid for both.
    let (mut info, mut usage): (libc::siginfo_t, libc::rusage) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    // SAFETY: both are valid for writing for the whole call; the others are plain numbers. The
    // library's waitid leaves out the last argument.
    let result = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            libc::P_PIDFD,
            pidfd.as_fd().as_raw_fd(),
            &raw mut info,
            libc::WEXITED | libc::WNOHANG | libc::WNOWAIT,
            &raw mut usage,
        )
    };
    // In KiB (getrusage(2)).
    let kib = u64::try_from(usage.ru_maxrss).ok().filter(|kib| *kib > 0)?;
    (result == 0).then_some(kib.saturating_mul(1024))
}

/// Reaps the child behind a pidfd. Fine if it lives, is not ours or was reaped before.
pub(crate) fn reap_pidfd(pidfd: impl AsFd) -> io::Result<()> {
    let id = pidfd.as_fd().as_raw_fd().unsigned_abs();
    wait(libc::P_PIDFD, id, 0).map(drop)
}

/// Reaps a child by pid. Only for whoever reaps all children of this process: nobody else can
/// have freed the pid then.
pub(crate) fn reap_pid(pid: i32) -> io::Result<()> {
    wait(libc::P_PID, pid.unsigned_abs(), 0).map(drop)
}

#[allow(unsafe_code)]
fn wait(class: libc::idtype_t, id: libc::id_t, more: libc::c_int) -> io::Result<Option<Ended>> {
    // SAFETY: all zeroes is a valid `siginfo_t`.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | more;
    // SAFETY: `info` is valid for writing for the whole call.
    if unsafe { libc::waitid(class, id, &mut info, flags) } != 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::ECHILD) => Ok(None),
            _ => Err(error),
        };
    }
    // SAFETY: waitid filled the fields of SIGCHLD in, or left the zeroes there.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    Ok(Some(Ended {
        pid,
        status: exit_status(info.si_code, status),
    }))
}

/// `si_code` and `si_status` of waitid(2) as one value.
fn exit_status(code: libc::c_int, status: libc::c_int) -> ExitStatus {
    match (code, u8::try_from(status)) {
        (libc::CLD_EXITED, Ok(code)) => ExitStatus::Code(code),
        (libc::CLD_KILLED, Ok(number)) => ExitStatus::Signal {
            number,
            core: false,
        },
        (libc::CLD_DUMPED, Ok(number)) => ExitStatus::Signal { number, core: true },
        _ => ExitStatus::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let signal = |number, core| ExitStatus::Signal { number, core };
        let table = [
            (libc::CLD_EXITED, 0, ExitStatus::Code(0)),
            (libc::CLD_EXITED, 255, ExitStatus::Code(255)),
            (libc::CLD_KILLED, 9, signal(9, false)),
            (libc::CLD_KILLED, 64, signal(64, false)),
            (libc::CLD_DUMPED, 11, signal(11, true)),
            (libc::CLD_STOPPED, 19, ExitStatus::Unknown),
            (libc::CLD_EXITED, -1, ExitStatus::Unknown),
        ];
        for (code, status, expected) in table {
            assert_eq!(exit_status(code, status), expected, "{code} {status}");
        }
    }
}
