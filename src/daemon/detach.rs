//! Going to the background: the daemon is started once more in a session of its own, and the
//! first process waits until it serves, so that "started" means started and every error still
//! reaches the person who asked.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use rustix::pipe::{PipeFlags, pipe_with};

/// Names the descriptor on which the daemon says that it serves.
const READY: &str = "APPCTL_READY";

/// In the background: takes the descriptor on which to say that we serve. `None`: nobody put us
/// there. The variable is gone afterwards, so that no program sees it. Only for the boot phase,
/// once, while there is one thread.
pub fn take_ready_pipe() -> Option<OwnedFd> {
    let number = std::env::var_os(READY)?;
    // SAFETY: called in the boot phase, before any other thread exists.
    #[allow(unsafe_code)]
    unsafe {
        std::env::remove_var(READY);
    }
    let number: i32 = number.to_str()?.parse().ok()?;
    if number < 3 || rustix::io::fcntl_getfd(borrow(number)).is_err() {
        return None;
    }
    // SAFETY: the number was given to us by `run_detached`, which left this descriptor open for
    // us alone; it is open (just checked) and taken only once, in the boot phase.
    #[allow(unsafe_code)]
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

fn borrow(number: i32) -> std::os::fd::BorrowedFd<'static> {
    // SAFETY: used for one fcntl that fails cleanly if the number is not open.
    #[allow(unsafe_code)]
    unsafe {
        std::os::fd::BorrowedFd::borrow_raw(number)
    }
}

/// Starts ourselves again in a new session and waits until that daemon serves or ends.
pub fn run_detached() -> io::Result<ExitCode> {
    let (mut read, write) = {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        (std::fs::File::from(read), write)
    };
    rustix::io::fcntl_setfd(&write, rustix::io::FdFlags::empty())?;
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(argv0) = arguments.next() {
        command.arg0(argv0);
    }
    command
        .args(arguments)
        .env(READY, write.as_raw_fd().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    // SAFETY: setsid is async-signal-safe and touches nothing of this program's memory.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(|| rustix::process::setsid().map(drop).map_err(io::Error::from));
    }
    let mut child = command.spawn()?;
    drop(write);
    let mut byte = [0];
    match read.read(&mut byte) {
        Ok(1) => Ok(ExitCode::SUCCESS),
        _ => {
            let status = child.wait()?;
            Ok(ExitCode::from(
                status
                    .code()
                    .and_then(|code| u8::try_from(code).ok())
                    .unwrap_or(1),
            ))
        }
    }
}
