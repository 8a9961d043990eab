//! Ctrl-C as something that can be waited for together with a socket.
//!
//! Must never: be installed by a command that does not wait for it, for then SIGINT would do
//! nothing there.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::SigId;
use signal_hook::consts::SIGINT;
use signal_hook::low_level::{pipe, unregister};

/// SIGINT, turned into readable bytes for as long as this lives.
#[derive(Debug)]
pub struct Interrupts {
    arrived: UnixStream,
    registration: SigId,
}

impl Interrupts {
    /// From here on SIGINT does not end the process any more.
    pub fn watch() -> io::Result<Interrupts> {
        let (arrived, raised) = UnixStream::pair()?;
        arrived.set_nonblocking(true)?;
        let registration = pipe::register(SIGINT, raised)?;
        Ok(Interrupts {
            arrived,
            registration,
        })
    }

    /// Whether SIGINT came since the last call.
    pub fn take(&self) -> bool {
        let mut any = false;
        let mut bytes = [0; 64];
        while let Ok(count) = (&self.arrived).read(&mut bytes) {
            if count == 0 {
                break;
            }
            any = true;
        }
        any
    }
}

impl AsFd for Interrupts {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.arrived.as_fd()
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        unregister(self.registration);
    }
}
