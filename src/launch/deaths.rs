//! All pidfds awaited as one: an epoll set inside one reactor registration, so that thousands of
//! programs cost the reactor as much as one.

use std::io;
use std::os::fd::OwnedFd;

use async_io::Async;
use rustix::event::{Timespec, epoll};

use super::living::Living;

/// Most deaths taken by one system call.
const TAKE_MAX: usize = 256;

/// A set of pidfds awaited as one.
#[derive(Debug)]
pub struct Deaths {
    set: Async<OwnedFd>,
}

impl Deaths {
    /// An empty set.
    pub fn new() -> io::Result<Deaths> {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        // The set itself is never read, so whether it blocks does not matter.
        Ok(Deaths {
            set: Async::new_nonblocking(set)?,
        })
    }

    /// Watches a program under a token.
    pub fn watch(&self, token: u64, living: &Living) -> io::Result<()> {
        Ok(epoll::add(
            self.set.get_ref(),
            &living.pidfd,
            epoll::EventData::new_u64(token),
            epoll::EventFlags::IN,
        )?)
    }

    /// Stops watching. To be called before the pidfd is closed: a duplicate of it would keep the
    /// registration alive.
    pub fn forget(&self, living: &Living) {
        // It fails only if it was not watched, and that is what is wanted.
        let _ = epoll::delete(self.set.get_ref(), &living.pidfd);
    }

    /// Waits until at least one has ended. A program that ended counts until it is forgotten.
    pub async fn ready(&self) -> io::Result<()> {
        self.set.readable().await
    }

    /// Adds the tokens of those that have ended, at most `most`; the rest stays for the next call.
    pub fn take(&self, most: usize, tokens: &mut Vec<u64>) -> io::Result<()> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(most.clamp(1, TAKE_MAX));
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let spare = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(self.set.get_ref(), spare, Some(&at_once)) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        tokens.extend(events.iter().take(most).map(|event| event.data.u64()));
        Ok(())
    }
}
