//! Descriptors that somebody else left open in this process.
//!
//! Our own are marked to be closed by exec when they are made; those of whoever started the
//! daemon are not. Marks, never closes: what is in use here stays in use.

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
