//! The way from an outlet to its peer: a file, which is rotated like any log, a pipe, a socket.
//!
//! Must never: wait, except for the name of a host, in a thread of its own.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::outlet::OutletConfig;
use super::plane::SinkConfig;
use super::sink::{Now, Sink};
use super::target::{self, Kind};
use crate::config::Destination;

/// Where the local syslog listens.
const SYSLOG: &str = "/dev/log";

/// Where journald listens.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// A way to the peer.
#[derive(Debug)]
pub(super) enum Link {
    /// A file, pipe or terminal.
    File(Box<Sink>),
    /// By path each time, so that a daemon that was restarted is found again.
    Local(UnixDatagram, PathBuf),
    Udp(UdpSocket),
    Tcp(TcpStream),
    /// The address is being looked up.
    Finding(JoinHandle<io::Result<SocketAddr>>),
}

impl Link {
    /// Opens the way, without waiting for it.
    pub fn open(config: &OutletConfig, now: Now) -> io::Result<Link> {
        match &config.destination {
            Destination::Path(path) => {
                let sink = SinkConfig::raw(Some(path.clone()), 0o666, config.file);
                Ok(Link::File(Box::new(Sink::open(sink, now)?)))
            }
            Destination::Syslog(path) => local(path.as_deref().unwrap_or(Path::new(SYSLOG))),
            Destination::Journal(path) => local(path.as_deref().unwrap_or(Path::new(JOURNAL))),
            Destination::Udp(address) | Destination::Tcp(address) => match address.parse() {
                Ok(address) => far(&config.destination, address),
                Err(_) => {
                    let address = address.clone();
                    let find = move || {
                        let mut found = address.to_socket_addrs()?;
                        found
                            .next()
                            .ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
                    };
                    let finder = std::thread::Builder::new().name("appctl-address".into());
                    finder.spawn(find).map(Link::Finding)
                }
            },
        }
    }

    /// Goes on with an address that has been found meanwhile.
    pub fn go_on(self, destination: &Destination) -> io::Result<Link> {
        match self {
            Link::Finding(finder) if finder.is_finished() => {
                let lost = |_| Err(io::Error::other("the lookup of its address broke off"));
                let address = finder.join().unwrap_or_else(lost)?;
                far(destination, address)
            }
            link => Ok(link),
        }
    }

    /// Sends a message, or as much of it as is taken.
    pub fn send(&mut self, bytes: &[u8], now: Now) -> io::Result<usize> {
        match self {
            Link::File(sink) => {
                let end = sink.end(now)?;
                target::write(sink.file(), sink.kind(), bytes, end)
            }
            Link::Local(socket, path) => socket.send_to(bytes, &*path),
            Link::Udp(socket) => socket.send(bytes),
            Link::Tcp(stream) => match stream.write(bytes) {
                Ok(0) => Err(io::ErrorKind::WriteZero.into()),
                // Not connected yet.
                Err(error) if error.raw_os_error() == Some(Errno::NOTCONN.raw_os_error()) => {
                    Err(io::ErrorKind::WouldBlock.into())
                }
                other => other,
            },
            Link::Finding(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// The file, if it is one that has a size and a name.
    pub fn regular(&mut self) -> Option<&mut Sink> {
        match self {
            Link::File(sink) if sink.kind() == Kind::Regular => Some(sink),
            _ => None,
        }
    }
}

fn local(path: &Path) -> io::Result<Link> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok(Link::Local(socket, path.to_owned()))
}

fn far(destination: &Destination, address: SocketAddr) -> io::Result<Link> {
    if let Destination::Udp(_) = destination {
        let any = if address.is_ipv6() {
            "[::]:0"
        } else {
            "0.0.0.0:0"
        };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        socket.connect(address)?;
        return Ok(Link::Udp(socket));
    }
    let family = if address.is_ipv6() {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(Link::Tcp(TcpStream::from(socket))),
        Err(error) => Err(error.into()),
    }
}

/// A message that is too large for its socket will never be taken.
pub(super) fn is_refusal_of_size(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error())
}
