//! Signals by pidfd: they never reach a stranger that got the number of a program.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::living::Living;
use crate::config::Signal;

/// `PIDFD_SIGNAL_PROCESS_GROUP` of `<linux/pidfd.h>`, since 6.9: the group whose id is the pid.
const TO_PROCESS_GROUP: libc::c_uint = 1 << 2;

/// Signals a program or its process group; `false` if there was nobody to signal.
///
/// A group is signalled even after its leader was reaped. Kernels before 6.9 cannot do that
/// safely; there a group without its leader counts as nobody.
pub fn kill(living: &Living, signal: Signal, group: bool) -> io::Result<bool> {
    if !group {
        return delivered(send(&living.pidfd, signal, 0));
    }
    match send(&living.pidfd, signal, TO_PROCESS_GROUP) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => kill_group(living, signal),
        result => delivered(result),
    }
}

/// As long as the leader is not reaped, its number cannot become another group's.
fn kill_group(living: &Living, signal: Signal) -> io::Result<bool> {
    if !delivered(send(&living.pidfd, Signal(0), 0))? {
        return Ok(false);
    }
    delivered(send_to_group(living.pid, signal))
}

fn delivered(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        Err(error) => Err(error),
    }
}

#[allow(unsafe_code)]
fn send(pidfd: impl AsFd, signal: Signal, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: pidfd_send_signal takes plain numbers; a null siginfo is allowed and means kill(2).
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_fd().as_raw_fd(),
            libc::c_int::from(signal.0),
            std::ptr::null::<libc::siginfo_t>(),
            flags,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[allow(unsafe_code)]
fn send_to_group(group: i32, signal: Signal) -> io::Result<()> {
    // 0 and 1 mean "my own group" and "everybody" to kill(2).
    if group <= 1 {
        return Err(io::Error::from_raw_os_error(libc::ESRCH));
    }
    // SAFETY: kill takes plain numbers.
    if unsafe { libc::kill(-group, libc::c_int::from(signal.0)) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
