//! How far a child came between fork and exec, told to its parent through shared memory.
//!
//! The error number itself comes back through the pipe of the standard library; what was being
//! done when it happened does not, and it is what a person needs to read.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// The steps between fork and exec, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Stage {
    /// Not yet in the child's own steps.
    Fork,
    Descriptors,
    ProcessGroup,
    FileLimit,
    OomScore,
    Groups,
    Group,
    User,
    VerifyUser,
    Directory,
    Exec,
}

impl Stage {
    const ALL: [Stage; 11] = [
        Stage::Fork,
        Stage::Descriptors,
        Stage::ProcessGroup,
        Stage::FileLimit,
        Stage::OomScore,
        Stage::Groups,
        Stage::Group,
        Stage::User,
        Stage::VerifyUser,
        Stage::Directory,
        Stage::Exec,
    ];
}

/// What the child writes for its parent.
#[repr(C)]
struct Page {
    stage: AtomicU32,
    pid: AtomicI32,
    reborn: AtomicI32,
    failed: AtomicU32,
    second_try: AtomicU32,
}

/// A page that parent and child share.
#[derive(Debug)]
pub(super) struct Progress(NonNull<Page>);

/// Long enough for a [`Page`]; the kernel rounds up.
const LENGTH: usize = std::mem::size_of::<Page>();

impl Progress {
    /// A fresh page: stage `Fork`, no pid.
    #[allow(unsafe_code)]
    pub(super) fn new() -> io::Result<Progress> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses an address that is not in use. Zeroes are a valid `Page`.
        let page =
            unsafe { mmap_anonymous(std::ptr::null_mut(), LENGTH, access, MapFlags::SHARED) }?;
        NonNull::new(page.cast())
            .map(Progress)
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
    }

    #[allow(unsafe_code)]
    fn page(&self) -> &Page {
        // SAFETY: the page stays mapped as long as `self` lives, and has only atomics.
        unsafe { self.0.as_ref() }
    }

    /// Child: this comes next. Async-signal-safe.
    pub(super) fn enter(&self, stage: Stage) {
        self.page().stage.store(stage as u32, Ordering::SeqCst);
    }

    /// Child: another takes its place, and it ends. Async-signal-safe.
    pub(super) fn bear(&self, pid: i32) {
        self.page().reborn.store(pid, Ordering::SeqCst);
    }

    /// Child: there was one before it that was killed when it was born. Async-signal-safe.
    pub(super) fn is_second_try(&self) -> bool {
        self.page().second_try.load(Ordering::SeqCst) != 0
    }

    /// Child: it has begun. Async-signal-safe.
    pub(super) fn begin(&self, pid: i32) {
        self.page().pid.store(pid, Ordering::SeqCst);
    }

    /// Child: the stage entered last failed, and the child ends. Async-signal-safe.
    pub(super) fn fail(&self) {
        self.page().failed.store(1, Ordering::SeqCst);
    }

    /// Parent: the stage entered last.
    pub(super) fn stage(&self) -> Stage {
        let entered = self.page().stage.load(Ordering::SeqCst);
        let known = Stage::ALL
            .into_iter()
            .find(|stage| *stage as u32 == entered);
        known.unwrap_or(Stage::Fork)
    }

    /// Parent: the pid of a child that took the place of the one that was forked.
    pub(super) fn reborn(&self) -> Option<i32> {
        let pid = self.page().reborn.load(Ordering::SeqCst);
        (pid > 0).then_some(pid)
    }

    /// Parent: the pid of a child that took the place of the one that was forked, and never began.
    pub(super) fn stillborn(&self) -> Option<i32> {
        let has_begun = self.page().pid.load(Ordering::SeqCst) > 0;
        self.reborn().filter(|_| !has_begun)
    }

    /// Parent: there will be another start. Nobody may be left of the last one but who is a program.
    pub(super) fn reset(&self) {
        let page = self.page();
        for word in [&page.stage, &page.failed, &page.second_try] {
            word.store(0, Ordering::SeqCst);
        }
        page.pid.store(0, Ordering::SeqCst);
        page.reborn.store(0, Ordering::SeqCst);
    }

    /// Parent: there will be another child.
    pub(super) fn try_again(&self) {
        self.page().reborn.store(0, Ordering::SeqCst);
        self.page().second_try.store(1, Ordering::SeqCst);
    }

    /// Parent: the pid of a child that began and did not tell of a failure.
    pub(super) fn running(&self) -> Option<i32> {
        let pid = self.page().pid.load(Ordering::SeqCst);
        let failed = self.page().failed.load(Ordering::SeqCst) != 0;
        (pid > 0 && !failed).then_some(pid)
    }
}

#[allow(unsafe_code)]
impl Drop for Progress {
    fn drop(&mut self) {
        // SAFETY: this is the mapping made in `new`, and nobody can refer to it any more.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), LENGTH) };
    }
}

// SAFETY: the page holds only atomics and is unmapped by its one owner.
#[allow(unsafe_code)]
unsafe impl Send for Progress {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Progress {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_is_read_as_written() {
        let progress = Progress::new().unwrap();
        assert_eq!(progress.stage(), Stage::Fork);
        for stage in Stage::ALL {
            progress.enter(stage);
            assert_eq!(progress.stage(), stage);
        }
        assert_eq!(progress.running(), None);
        progress.bear(41);
        assert_eq!(progress.stillborn(), Some(41));
        progress.try_again();
        assert_eq!((progress.stillborn(), progress.reborn()), (None, None));
        assert!(progress.is_second_try());
        progress.begin(42);
        assert_eq!(progress.running(), Some(42));
        progress.fail();
        assert_eq!(progress.running(), None);
        progress.reset();
        progress.begin(43);
        assert_eq!(progress.stage(), Stage::Fork);
        assert_eq!((progress.running(), progress.reborn()), (Some(43), None));
        assert!(!progress.is_second_try());
    }
}
