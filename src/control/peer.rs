//! What who is at the other end of a unix socket may do.
//!
//! Who may connect at all is decided by the mode and owner of the socket, as the configuration
//! says; a peer that got in may use every verb. Whoever may control the daemon can run programs
//! as its user: `chmod` says who.

use super::question::Peer;
use super::verb::Rights;

/// What a peer may do. One that the kernel does not vouch for may look.
pub fn rights_of(peer: Option<Peer>) -> Rights {
    match peer {
        Some(_) => Rights::Control,
        None => Rights::Observe,
    }
}

/// Root and the daemon's own user: the reserve of connections is for them.
pub fn is_privileged(peer: Option<Peer>) -> bool {
    let own = rustix::process::geteuid().as_raw();
    peer.is_some_and(|peer| peer.uid == 0 || peer.uid == own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::peer_of;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_kernel_says_who_it_is_and_that_decides() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let peer = peer_of(&ours).ok();
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_eq!(peer.map(|peer| peer.pid), Some(pid));
        assert_eq!(rights_of(peer), Rights::Control);
        assert!(is_privileged(peer));

        let stranger = peer.map(|peer| Peer { uid: 4242, ..peer });
        assert_eq!(rights_of(stranger), Rights::Control);
        assert!(!is_privileged(stranger));

        let (pipe, _) = std::io::pipe().unwrap();
        assert!(peer_of(&pipe).is_err());
        assert_eq!(rights_of(None), Rights::Observe);
        assert!(!is_privileged(None));
    }
}
