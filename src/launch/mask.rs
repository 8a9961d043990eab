//! Sets of signals, blocking them, and reading blocked ones from a descriptor.
//!
//! Nothing here installs a handler: programs of ours never have one.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A set of signals.
#[derive(Clone, Copy)]
pub(crate) struct SignalSet(libc::sigset_t);

impl SignalSet {
    /// No signal.
    #[allow(unsafe_code)]
    pub(crate) fn empty() -> SignalSet {
        // SAFETY: all zeroes is a valid `sigset_t`, and sigemptyset only writes to it.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            SignalSet(set)
        }
    }

    /// Every signal.
    #[allow(unsafe_code)]
    pub(crate) fn full() -> SignalSet {
        let mut set = SignalSet::empty();
        // SAFETY: sigfillset only writes to the set.
        unsafe { libc::sigfillset(&mut set.0) };
        set
    }

    /// These signals.
    #[allow(unsafe_code)]
    pub(crate) fn of(numbers: &[i32]) -> SignalSet {
        let mut set = SignalSet::empty();
        for number in numbers {
            // SAFETY: sigaddset only writes to the set; a number out of range is refused.
            unsafe { libc::sigaddset(&mut set.0, *number) };
        }
        set
    }
}

/// The signal mask of this thread as it was before [`SignalMask::replace`]; back when dropped.
pub(crate) struct SignalMask(SignalSet);

impl SignalMask {
    /// Makes this the mask of the thread.
    pub(crate) fn replace(set: SignalSet) -> SignalMask {
        SignalMask(SignalMask::set(set))
    }

    /// The same for good. Async-signal-safe.
    #[allow(unsafe_code)]
    pub(crate) fn set(set: SignalSet) -> SignalSet {
        let mut before = SignalSet::empty();
        // SAFETY: both sets are valid; pthread_sigmask fails only for an unknown first argument.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &set.0, &mut before.0) };
        before
    }

    /// Leaves the new mask in force.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for SignalMask {
    fn drop(&mut self) {
        SignalMask::set(self.0);
    }
}

/// The signals that do not have their default action in this process.
#[allow(unsafe_code)]
pub(super) fn not_default() -> Vec<i32> {
    let changed = |number: &i32| {
        let mut action = [0u64; 8];
        // The kernel's own call, as in [`reset_disposition`].
        // SAFETY: `action` is longer than the kernel's structure, and nothing is installed.
        let result = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                *number,
                std::ptr::null::<u64>(),
                action.as_mut_ptr(),
                std::mem::size_of::<u64>(),
            )
        };
        result == 0 && action != [0; 8]
    };
    (1..=libc::SIGRTMAX()).filter(changed).collect()
}

/// Gives one signal its default action. Async-signal-safe.
#[allow(unsafe_code)]
pub(crate) fn reset_disposition(number: i32) {
    // The kernel's own call, because that of libc hides two signals, which are inherited ignored
    // from some parents. Zeroes are the default action, no flags and an empty mask in the layout
    // of every architecture.
    let action = [0u64; 8];
    // SAFETY: `action` is longer than the kernel's structure, and it installs no code.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            number,
            action.as_ptr(),
            std::ptr::null_mut::<u64>(),
            std::mem::size_of::<u64>(),
        );
    }
}

/// A signal that arrived, and who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// Number.
    pub(crate) number: i32,
    /// Pid of the sender, 0 if the kernel sent it.
    pub(crate) pid: i32,
    /// User id of the sender.
    pub(crate) uid: u32,
}

/// A signalfd: blocked signals read one by one, with their senders.
#[derive(Debug)]
pub(crate) struct SignalSource(OwnedFd);

impl SignalSource {
    /// Reads these signals, which the caller has blocked.
    #[allow(unsafe_code)]
    pub(crate) fn of(set: SignalSet) -> io::Result<SignalSource> {
        // SAFETY: the set is valid, and -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &set.0, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just made this descriptor for us.
        Ok(SignalSource(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next one that is pending.
    #[allow(unsafe_code)]
    pub(crate) fn next(&self) -> io::Result<Option<Arrived>> {
        const SIZE: usize = std::mem::size_of::<libc::signalfd_siginfo>();
        // SAFETY: all zeroes is a valid `signalfd_siginfo`.
        let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is valid for writing SIZE bytes.
        let read = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut info).cast(), SIZE) };
        if read < 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            };
        }
        Ok(Some(Arrived {
            number: info.ssi_signo.cast_signed(),
            pid: info.ssi_pid.cast_signed(),
            uid: info.ssi_uid,
        }))
    }
}

impl AsFd for SignalSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
