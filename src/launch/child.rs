//! The child between fork and exec.
//!
//! Everything it needs is prepared before the fork. Between fork and exec it may only make
//! async-signal-safe calls: no allocation, no locks, for other threads of the parent may hold
//! them for ever in this copy.

use std::ffi::CString;
use std::io;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, setrlimit};

use super::accounts::{Identity, IdentityStep};
use super::birth::Register;
use super::descriptors::close_on_exec_from;
use super::entrance::Entrance;
use super::limits::set_oom_score_adj;
use super::mask::{SignalMask, SignalSet, reset_disposition};
use super::stage::{Progress, Stage};

/// Exit code of a child whose parent died before it could become the program.
const PARENT_GONE: libc::c_int = 127;

/// All that makes a child the program.
pub(super) struct Child {
    /// The process that forks it.
    pub(super) parent: i32,
    /// `RLIMIT_NOFILE`.
    pub(super) nofile: Rlimit,
    /// `oom_score_adj` as text, if it differs from ours.
    pub(super) oom_score_adj: Option<Vec<u8>>,
    /// The way into its cgroup.
    pub(super) entrance: Option<Entrance>,
    /// Where it notes who it is.
    pub(super) register: Option<Register>,
    /// The user to become.
    pub(super) identity: Option<Identity>,
    /// Working directory.
    pub(super) directory: Option<CString>,
    /// File mode creation mask.
    pub(super) umask: Option<u32>,
    /// Signals that would not have their default action.
    pub(super) signals: Vec<i32>,
    /// File to execute.
    pub(super) file: CString,
    /// Its arguments, the first being its name.
    pub(super) arguments: StringTable,
    /// Its environment, `KEY=VALUE`.
    pub(super) environment: StringTable,
}

/// Strings with the null-terminated table of pointers that execve(2) wants.
pub(super) struct StringTable {
    /// Point into `block`.
    pointers: Vec<*const libc::c_char>,
    /// Never touched again, so that the pointers stay valid.
    _block: Vec<u8>,
}

impl StringTable {
    /// Of a block that has a zero byte after each string and nowhere else. One block for all: what
    /// is allocated for a start is written, and each page written is copied after the next fork.
    pub(super) fn new(block: Vec<u8>) -> StringTable {
        let strings = block.split_inclusive(|byte| *byte == 0);
        let pointers = strings.map(|string| string.as_ptr().cast());
        StringTable {
            pointers: pointers.chain([std::ptr::null()]).collect(),
            _block: block,
        }
    }
}

// SAFETY: the pointers lead to heap memory that the same value owns and never changes.
#[allow(unsafe_code)]
unsafe impl Send for StringTable {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for StringTable {}

impl Child {
    /// Becomes the program; returns only on failure, and then the child must end at once.
    ///
    /// Descriptors 0 to 2 are in place already and every signal is blocked. Async-signal-safe.
    pub(super) fn become_program(&self, progress: &Progress) -> io::Error {
        if let Some(entrance) = &self.entrance {
            entrance.enter(progress);
        }
        progress.begin(rustix::process::getpid().as_raw_nonzero().get());
        match self.steps(progress) {
            Ok(never) => match never {},
            Err(error) => {
                if let Some(register) = &self.register {
                    register.withdraw();
                }
                progress.fail();
                error.into()
            }
        }
    }

    fn steps(&self, progress: &Progress) -> Result<std::convert::Infallible, Errno> {
        progress.enter(Stage::Descriptors);
        close_on_exec_from(3)?;

        // A group of its own within the daemon's session, as in Supervisor.
        progress.enter(Stage::ProcessGroup);
        rustix::process::setpgid(None, None)?;

        progress.enter(Stage::FileLimit);
        setrlimit(Resource::Nofile, self.nofile)?;

        if let Some(value) = &self.oom_score_adj {
            progress.enter(Stage::OomScore);
            set_oom_score_adj(value)?;
        }
        if let Some(identity) = &self.identity {
            identity.assume().map_err(|(step, error)| {
                progress.enter(match step {
                    IdentityStep::Groups => Stage::Groups,
                    IdentityStep::Group => Stage::Group,
                    IdentityStep::User => Stage::User,
                    IdentityStep::Verify => Stage::VerifyUser,
                });
                error
            })?;
        }
        // As the user, so that a directory only that user may enter works, and one that only
        // root may enter does not.
        if let Some(directory) = &self.directory {
            progress.enter(Stage::Directory);
            rustix::process::chdir(directory.as_c_str())?;
        }
        if let Some(umask) = self.umask {
            rustix::process::umask(Mode::from_raw_mode(umask));
        }
        // Blocked since before the fork: a signal sent meanwhile takes effect here and now, as it
        // would in the program, instead of vanishing in a handler that was the daemon's.
        for number in &self.signals {
            reset_disposition(*number);
        }
        SignalMask::set(SignalSet::empty());

        if let Some(register) = &self.register {
            register.sign();
        }
        self.end_if_orphaned();
        progress.enter(Stage::Exec);
        Err(self.execute())
    }

    /// A brain that died before this point did not record us; its successor looks for the pipe
    /// on our descriptor 0. That is in place, so either it finds us or we end here: nothing runs
    /// that nobody knows.
    #[allow(unsafe_code)]
    fn end_if_orphaned(&self) {
        let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
        if parent != self.parent {
            if let Some(register) = &self.register {
                register.withdraw();
            }
            // SAFETY: _exit runs nothing of this process.
            unsafe { libc::_exit(PARENT_GONE) }
        }
    }

    /// Not `execvp`: that would hand a file without `#!` to a shell, and Supervisor does not.
    #[allow(unsafe_code)]
    fn execute(&self) -> Errno {
        // SAFETY: all three point to null-terminated memory that lives in `self`.
        unsafe {
            libc::execve(
                self.file.as_ptr(),
                self.arguments.pointers.as_ptr(),
                self.environment.pointers.as_ptr(),
            );
        }
        last_error()
    }
}

fn last_error() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}
