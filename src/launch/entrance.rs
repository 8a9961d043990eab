//! How a child gets into its cgroup.
//!
//! A process that moves there waits until the kernel knows that nobody is just forking: some
//! 10 ms when it comes alone, next to nothing where others have just done the same. One that is
//! born there (clone3(2), `CLONE_INTO_CGROUP`) never waits, but who forks is the standard library,
//! which knows no cgroups: so the child forks once more, and ends. That costs half a millisecond.
//!
//! From Linux 6.14 on, who is born in a cgroup that was killed once (`cgroup.kill`) is killed as well:
//! the kernel compares its count of kills with that of another cgroup. It is moved there then.

use std::ffi::CString;
use std::os::fd::AsRawFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::stage::Progress;

/// In a row of starts from this length on, moving costs less than another fork for each.
const ROW: usize = 12;

/// `CLONE_INTO_CGROUP` and `CLONE_PARENT` (`linux/sched.h`).
const INTO_CGROUP: u64 = 0x2_0000_0000;
const PARENT: u64 = 0x8000;

/// `struct clone_args` in numbers, up to and with `cgroup`; the first is `flags`.
const CLONE_ARGS: usize = 11;

/// The way into a cgroup.
#[derive(Debug, Clone)]
pub(super) struct Entrance {
    /// The cgroup.
    pub(super) directory: CString,
    /// Its `cgroup.procs`.
    pub(super) file: CString,
    /// How many are started in one go with this one.
    pub(super) row: usize,
}

impl Entrance {
    /// Whatever this process becomes and starts is in the cgroup from here on; or it is not, for
    /// that is never required. It may be another process that goes on, a child of the same parent,
    /// while the one that called has ended: `progress` says so. For a child with one thread;
    /// async-signal-safe.
    pub(super) fn enter(&self, progress: &Progress) {
        let birth = self.row < ROW && !progress.is_second_try();
        if !birth || self.be_reborn(progress).is_err() {
            let _ = self.move_there();
        }
    }

    /// Makes the cgroup anew, so that it has never been killed; if nobody is in it.
    pub(super) fn renew(&self) {
        if rustix::fs::rmdir(self.directory.as_c_str()).is_ok() {
            let _ = rustix::fs::mkdir(self.directory.as_c_str(), Mode::from_raw_mode(0o777));
        }
    }

    /// Returns in the new process alone, or with the reason why there is none.
    #[allow(unsafe_code)]
    fn be_reborn(&self, progress: &Progress) -> Result<(), Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let cgroup = rustix::fs::open(self.directory.as_c_str(), flags, Mode::empty())?;
        let mut arguments = [0_u64; CLONE_ARGS];
        arguments[0] = INTO_CGROUP | PARENT;
        arguments[CLONE_ARGS - 1] = cgroup.as_raw_fd().unsigned_abs().into();
        // SAFETY: the arguments are as clone3(2) wants them, and ask for a copy of this process,
        // as fork does. It has one thread, and does async-signal-safe calls alone.
        let result = unsafe {
            libc::syscall(
                libc::SYS_clone3,
                arguments.as_ptr(),
                std::mem::size_of_val(&arguments),
            )
        };
        match i32::try_from(result) {
            Ok(0) => Ok(()),
            Ok(pid) if pid > 0 => {
                progress.bear(pid);
                // SAFETY: _exit runs nothing of this process.
                unsafe { libc::_exit(0) }
            }
            _ => {
                let error = std::io::Error::last_os_error();
                Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
            }
        }
    }

    fn move_there(&self) -> Result<(), Errno> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::open(self.file.as_c_str(), flags, Mode::empty())?;
        // 0: whoever writes.
        rustix::io::write(&file, b"0").map(drop)
    }
}
