//! The watch over the brain's turns: a timer that the brain winds up before each turn and stops
//! after it, and that rings in the keeper. While nothing happens, nobody wakes for it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

/// Longest turn of a brain, in which it answers nobody. A machine that is short of processors or memory
/// must not lose its brain on top, so it is far beyond what a turn takes on any machine that works.
const TURN_MAX: Duration = Duration::from_secs(15);

/// The timer.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    pub(super) fn new() -> io::Result<Watch> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Watch(timerfd_create(TimerfdClockId::Monotonic, flags)?))
    }

    /// A turn begins: it rings unless [`Watch::stop`] comes in time.
    pub fn start(&self) {
        self.set(TURN_MAX);
    }

    /// The turn is over.
    pub fn stop(&self) {
        self.set(Duration::ZERO);
    }

    fn set(&self, value: Duration) {
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let timer = Itimerspec {
            it_interval: zero,
            it_value: Timespec::try_from(value).unwrap_or(zero),
        };
        // It can fail only for what is not a timer or not a time.
        let _ = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &timer);
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
