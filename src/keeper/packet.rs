//! Packets with descriptors over the link's socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::cmsg_space;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};

use super::message::{PACKET_MAX, PARK_BATCH};

/// Bytes of control data for a full batch of descriptors.
const CONTROL_MAX: usize = cmsg_space!(ScmRights(PARK_BATCH));

/// The two ends of a link, neither of which ever blocks.
pub(super) fn link_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

/// Sends a packet with at most [`PARK_BATCH`] descriptors; `WouldBlock` if it must wait.
pub(super) fn send(
    socket: impl AsFd,
    packet: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); CONTROL_MAX];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::MSGSIZE);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[IoSlice::new(packet)], &mut control, flags).map(drop)
}

/// How long sending waits for a peer that does not read, which does nothing but read.
const SEND_MAX: Duration = Duration::from_secs(5);

/// Pause where the kernel refuses more descriptors in flight but cannot say when that ends.
const IN_FLIGHT_PAUSE: Duration = Duration::from_millis(1);

/// Sends a packet to a peer that reads, waiting for it where its queue is full.
pub(super) fn send_patiently(
    socket: impl AsFd,
    packet: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let deadline = Instant::now() + SEND_MAX;
    loop {
        match send(socket.as_fd(), packet, descriptors) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) => wait_for(&socket, PollFlags::OUT, SEND_MAX)?,
            Err(Errno::TOOMANYREFS) => std::thread::sleep(IN_FLIGHT_PAUSE),
            Err(error) => return Err(error.into()),
        }
        if Instant::now() >= deadline {
            let text = "the other end does not read";
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
    }
}

/// Waits until a socket is ready, or hung up, or the time is over.
pub(super) fn wait_for(socket: impl AsFd, what: PollFlags, most: Duration) -> io::Result<()> {
    let mut sockets = [PollFd::from_borrowed_fd(socket.as_fd(), what)];
    let most = Timespec::try_from(most).map_err(io::Error::other)?;
    match poll(&mut sockets, Some(&most)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A packet as it came.
#[derive(Debug)]
pub(super) enum Received {
    /// A packet, and the descriptors that came with it. Where this process had no room for all
    /// of them, the kernel closed the last ones.
    Packet(Vec<u8>, Vec<OwnedFd>),
    /// Too long to be a packet of ours.
    Unreadable,
    /// Nothing is there now.
    Nothing,
    /// The other end is closed, and all it sent was read.
    Closed,
}

/// Receives a packet.
pub(super) fn receive(socket: impl AsFd) -> io::Result<Received> {
    let mut bytes = [0; PACKET_MAX];
    let mut space = [MaybeUninit::uninit(); CONTROL_MAX];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let message = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match recvmsg(socket.as_fd(), &mut parts, &mut control, flags) {
            Ok(message) => break message,
            // ECONNRESET says once that the other end closed with packets of ours unread. What
            // it sent before is still to be read.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            Err(Errno::AGAIN) => return Ok(Received::Nothing),
            Err(error) => return Err(error.into()),
        }
    };
    let mut descriptors = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            descriptors.extend(rights);
        }
    }
    if message.bytes == 0 {
        return Ok(Received::Closed);
    }
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Ok(Received::Unreadable);
    }
    let packet = bytes.get(..message.bytes).unwrap_or_default().to_vec();
    Ok(Received::Packet(packet, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn packet(socket: &OwnedFd) -> (Vec<u8>, usize) {
        match receive(socket).unwrap() {
            Received::Packet(packet, descriptors) => (packet, descriptors.len()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_full_batch_of_descriptors_arrives() {
        let (a, b) = link_pair().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        send(&a, b"x", &vec![null.as_fd(); PARK_BATCH]).unwrap();
        assert!(send(&a, b"x", &vec![null.as_fd(); PARK_BATCH + 8]).is_err());
        assert_eq!(packet(&b), (b"x".to_vec(), PARK_BATCH));
        assert!(matches!(receive(&b).unwrap(), Received::Nothing));
    }

    #[test]
    fn what_was_sent_before_the_end_is_read_although_the_end_read_nothing() {
        let (a, b) = link_pair().unwrap();
        send(&b, b"never read", &[]).unwrap();
        send(&a, b"last words", &[]).unwrap();
        drop(a);
        assert_eq!(packet(&b), (b"last words".to_vec(), 0));
        assert!(matches!(receive(&b).unwrap(), Received::Closed));
        assert!(matches!(receive(&b).unwrap(), Received::Closed));
    }

    #[test]
    fn an_overlong_packet_is_told_from_a_short_one() {
        let (a, b) = link_pair().unwrap();
        send(&a, &[1; PACKET_MAX + 1], &[]).unwrap();
        send(&a, &[1; PACKET_MAX], &[]).unwrap();
        assert!(matches!(receive(&b).unwrap(), Received::Unreadable));
        assert_eq!(packet(&b).0.len(), PACKET_MAX);
    }
}
