//! Descriptors that are not for a program: those that somebody else left open in this process, and
//! those of other threads.
//!
//! Our own are marked to be closed by exec when they are made; those of whoever started the
//! daemon are not. What is in use here stays in use: they are marked, never closed.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::RawFd;

use rustix::io::Errno;

/// Highest descriptor visited where the kernel lacks close_range(2) (before 5.9).
const DESCRIPTOR_MAX: RawFd = 65536;

/// Marks every descriptor from this number on to be closed by the next exec. Async-signal-safe.
#[allow(unsafe_code)]
pub(crate) fn close_on_exec_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: close_range with this flag takes plain numbers and closes nothing yet.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first.cast_unsigned(),
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if result == 0 {
        return Ok(());
    }
    let error = Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO);
    match error {
        Errno::NOSYS | Errno::INVAL => {
            for descriptor in first..DESCRIPTOR_MAX {
                // SAFETY: a descriptor that is not open is refused, which is fine.
                unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
            }
            Ok(())
        }
        error => Err(error),
    }
}

/// Gives this thread a table of descriptors of its own that holds 0 to 2 and `kept`, and
/// nothing else. False if the kernel cannot: the thread goes on in the shared one.
#[allow(unsafe_code)]
pub(super) fn leave_shared_table(kept: &BTreeSet<RawFd>) -> bool {
    let close = |first: RawFd, last: libc::c_uint, flags: libc::c_uint| {
        // SAFETY: the first call makes the table this thread's own before it closes, and nothing
        // closed here is owned by anybody in that table; if it is refused, no other one is made.
        let result =
            unsafe { libc::syscall(libc::SYS_close_range, first.cast_unsigned(), last, flags) };
        result == 0
    };
    let above = kept.last().map_or(3, |last| last + 1);
    if !close(above, libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE) {
        return false;
    }
    let mut first = 3;
    for number in kept {
        if first < *number {
            close(first, number.cast_unsigned() - 1, 0);
        }
        first = number + 1;
    }
    true
}

/// In the background: the standard descriptors of whoever started us are none of our business.
pub(crate) fn let_go_of_terminal() {
    let Ok(null) = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
    else {
        return;
    };
    // Each fails only if the number is out of range, and these are not.
    let _ = rustix::stdio::dup2_stdin(&null);
    let _ = rustix::stdio::dup2_stdout(&null);
    let _ = rustix::stdio::dup2_stderr(&null);
}
