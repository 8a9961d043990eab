//! `SO_PEERCRED`: who is at the other end of a unix socket, on the kernel's word (unix(7)).
//!
//! Must never: go through rustix, whose `Pid` cannot be 0: there, a peer of a pid namespace that we
//! cannot see is an error, and so nobody whom the kernel vouches for.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// A process at the other end of a unix socket, as it was when it connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its pid; 0 if it lives in a pid namespace that we cannot see.
    pub pid: i32,
    /// Its user id.
    pub uid: u32,
}

/// Who is at the other end of this socket.
#[allow(unsafe_code)]
pub fn peer_of(socket: impl AsFd) -> io::Result<Peer> {
    let mut credentials = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let whole = size_of_val(&credentials) as libc::socklen_t;
    let mut length = whole;
    // SAFETY: the two pointers are valid for writing for the whole call, and the second says how
    // long what the first points to is; every pattern of bits is a `ucred`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if length != whole {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let libc::ucred { pid, uid, .. } = credentials;
    Ok(Peer { pid, uid })
}
