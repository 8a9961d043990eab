//! Where a stream goes beside its file: a second file or the daemon's output, a syslog, journald.
//!
//! None of them ever holds up the stream. What cannot be sent at once waits, up to [`WAITING_MAX`];
//! what comes then is dropped and counted, and once there is room again a marker says how much is
//! missing. A peer that is gone is tried again after a growing pause.
//!
//! What waits is lost if the process is killed, and a chunk that was under way then is sent again.
//!
//! Must never: wait, except for the name of a host, in a thread of its own.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::message::{self, Framing, Origin};
use super::sink::Now;
use super::stall::Backoff;
use super::target::{self, Kind, Making};
use crate::config::{Destination, SyslogStyle};

/// Most bytes that wait for one outlet.
const WAITING_MAX: usize = 64 * 1024;

/// A peer that takes no more for the moment is looked at again after this time.
const PAUSE: Duration = Duration::from_millis(20);

/// Where the local syslog listens.
const SYSLOG: &str = "/dev/log";

/// Where journald listens.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// How an outlet is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutletConfig {
    /// Where to.
    pub destination: Destination,
    /// How messages look.
    pub style: SyslogStyle,
    /// Whose lines they are.
    pub origin: Origin,
}

/// All outlets of one stream.
#[derive(Debug, Default)]
pub(super) struct Outlets {
    list: Vec<Outlet>,
    /// When there is something to be tried again.
    pub due: Option<Instant>,
}

/// What is to be told of outlets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OutletNews {
    /// One takes nothing: which, and why.
    Troubled(String),
    /// All of them take what comes.
    Recovered,
}

impl Outlets {
    pub fn new(configs: &[OutletConfig]) -> Outlets {
        Outlets {
            list: configs.iter().cloned().map(Outlet::new).collect(),
            due: None,
        }
    }

    /// Hands over a chunk: as the program wrote it, and in the form in which it is written.
    pub fn offer(&mut self, plain: &[u8], formed: &[u8], now: Now) {
        for outlet in &mut self.list {
            outlet.offer(plain, formed, now);
        }
    }

    /// Opens files anew with the next chunk.
    pub fn reopen(&mut self) {
        for outlet in &mut self.list {
            if outlet.sent == 0 && matches!(outlet.link, Some(Link::Target(..))) {
                outlet.link = None;
            }
        }
    }

    /// Sends what waits, as far as it can be sent.
    pub fn flush(&mut self, now: Now) -> Option<OutletNews> {
        let mut news = None;
        let troubled_before = self.list.iter().any(|outlet| outlet.told);
        for outlet in &mut self.list {
            news = news.or(outlet.flush(now).map(OutletNews::Troubled));
        }
        self.due = self.list.iter().filter_map(|outlet| outlet.due).min();
        let troubled = self.list.iter().any(|outlet| outlet.told);
        news.or((troubled_before && !troubled).then_some(OutletNews::Recovered))
    }
}

/// One of them.
#[derive(Debug)]
struct Outlet {
    config: OutletConfig,
    link: Option<Link>,
    /// Messages that wait, and their bytes.
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// How much of the first one was sent.
    sent: usize,
    /// Lines that were dropped since the last marker.
    dropped: u64,
    due: Option<Instant>,
    backoff: Backoff,
    told: bool,
}

/// A way to the peer.
#[derive(Debug)]
enum Link {
    /// A file, pipe or terminal.
    Target(OwnedFd, Kind),
    /// By path each time, so that a daemon that was restarted is found again.
    Local(UnixDatagram, PathBuf),
    Udp(UdpSocket),
    Tcp(TcpStream),
    /// The address is being looked up.
    Finding(JoinHandle<io::Result<SocketAddr>>),
}

impl Outlet {
    fn new(config: OutletConfig) -> Outlet {
        Outlet {
            config,
            link: None,
            waiting: VecDeque::new(),
            bytes: 0,
            sent: 0,
            dropped: 0,
            due: None,
            backoff: Backoff::default(),
            told: false,
        }
    }

    fn offer(&mut self, plain: &[u8], formed: &[u8], now: Now) {
        if let Destination::Path(_) = self.config.destination {
            for line in formed.split_inclusive(|byte| *byte == b'\n') {
                self.put(line.to_vec());
            }
        } else {
            for text in message::texts(plain) {
                let message = self.message(text, now.micros);
                self.put(message);
            }
        }
    }

    fn message(&self, text: &[u8], micros: i64) -> Vec<u8> {
        let OutletConfig {
            destination,
            style,
            origin,
        } = &self.config;
        let syslog = |host, framing| message::syslog(style, origin, text, micros, host, framing);
        let uname = rustix::system::uname();
        let host = uname.nodename().to_str().unwrap_or("-");
        match destination {
            Destination::Path(_) => [text, b"\n"].concat(),
            Destination::Syslog(_) => syslog(None, Framing::None),
            Destination::Udp(_) => syslog(Some(host), Framing::None),
            Destination::Tcp(_) => syslog(Some(host), Framing::Stream),
            Destination::Journal(_) => message::journal(style, origin, text),
        }
    }

    /// Puts a message at the end, or drops it.
    fn put(&mut self, message: Vec<u8>) {
        let full = !self.waiting.is_empty() && self.bytes + message.len() > WAITING_MAX;
        // What follows something that was dropped waits for its marker.
        if full || self.dropped > 0 {
            self.dropped += 1;
            return;
        }
        self.bytes += message.len();
        self.waiting.push_back(message);
    }

    /// Says how much was dropped, once there is room.
    fn mark(&mut self, now: Now) {
        if self.dropped == 0 || self.bytes > WAITING_MAX / 2 {
            return;
        }
        let text = format!("appctl: {} lines were dropped here", self.dropped);
        let marker = self.message(text.as_bytes(), now.micros);
        self.dropped = 0;
        self.put(marker);
    }

    /// Sends what it can; the first trouble is told.
    fn flush(&mut self, now: Now) -> Option<String> {
        if self.due.is_some_and(|due| now.instant < due) {
            return None;
        }
        self.due = None;
        loop {
            self.mark(now);
            let Some(first) = self.waiting.front() else {
                self.told = false;
                return None;
            };
            let found = match self.link.take() {
                Some(Link::Finding(finder)) if finder.is_finished() => {
                    found(finder).and_then(|address| far(&self.config.destination, address))
                }
                Some(link) => Ok(link),
                None => connect(&self.config.destination),
            };
            let link = match found {
                Ok(link) => self.link.insert(link),
                Err(error) => return self.fail(error, now),
            };
            match link.send(&first[self.sent..]) {
                Ok(sent) => {
                    self.sent += sent;
                    self.backoff = Backoff::default();
                    if self.sent >= first.len() {
                        self.bytes -= first.len();
                        self.waiting.pop_front();
                        self.sent = 0;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.due = Some(now.instant + PAUSE);
                    return None;
                }
                Err(error) if is_refusal_of_size(&error) => {
                    self.bytes -= first.len();
                    self.waiting.pop_front();
                    self.sent = 0;
                    self.dropped += 1;
                }
                Err(error) => return self.fail(error, now),
            }
        }
    }

    /// Gives the link up for a while.
    fn fail(&mut self, error: io::Error, now: Now) -> Option<String> {
        self.link = None;
        self.sent = 0;
        self.due = Some(now.instant + self.backoff.next());
        let first = !std::mem::replace(&mut self.told, true);
        first.then(|| format!("cannot write to {}: {error}", self.config.destination))
    }
}

impl Link {
    /// Sends a message, or as much of it as is taken.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Link::Target(file, kind) => {
                let end = match kind {
                    Kind::Regular => rustix::fs::fstat(&*file)?.st_size.unsigned_abs(),
                    _ => 0,
                };
                target::write(file, *kind, bytes, end)
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
}

/// Opens the way to a destination, without waiting for it.
fn connect(destination: &Destination) -> io::Result<Link> {
    match destination {
        Destination::Path(path) => {
            let (file, kind) = target::open(path, Making::usual(0o666))?;
            Ok(Link::Target(file, kind))
        }
        Destination::Syslog(path) => local(path.as_deref().unwrap_or(Path::new(SYSLOG))),
        Destination::Journal(path) => local(path.as_deref().unwrap_or(Path::new(JOURNAL))),
        Destination::Udp(address) | Destination::Tcp(address) => match address.parse() {
            Ok(address) => far(destination, address),
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

/// What the lookup of an address came to.
fn found(finder: JoinHandle<io::Result<SocketAddr>>) -> io::Result<SocketAddr> {
    let lost = |_| Err(io::Error::other("the lookup of its address broke off"));
    finder.join().unwrap_or_else(lost)
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
fn is_refusal_of_size(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    fn outlets(destination: Destination) -> Outlets {
        Outlets::new(&[OutletConfig {
            destination,
            style: SyslogStyle::default(),
            origin: Origin {
                name: "web".into(),
                process: "web".into(),
                stream: "stdout",
                pid: 7,
            },
        }])
    }

    fn later(now: Now, time: Duration) -> Now {
        Now {
            instant: now.instant + time,
            ..now
        }
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn a_syslog_that_comes_back_gets_what_waited() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut outlets = outlets(Destination::Syslog(Some(path.clone())));
        let now = Now::read();
        outlets.offer(b"one\ntwo\n", b"", now);
        let told = outlets.flush(now);
        assert!(matches!(told, Some(OutletNews::Troubled(text)) if text.contains("No such file")));
        let listener = UnixDatagram::bind(&path).unwrap();
        assert_eq!(outlets.flush(now), None, "it is not time yet");
        let now = later(now, Duration::from_secs(1));
        assert_eq!(outlets.flush(now), Some(OutletNews::Recovered));
        let mut bytes = [0; 100];
        for line in ["one", "two"] {
            let count = listener.recv(&mut bytes).unwrap();
            assert!(text(&bytes[..count]).ends_with(&format!(" supervisord[7]: web {line}")));
        }
        assert_eq!(outlets.due, None);
    }

    #[test]
    fn what_a_slow_peer_does_not_take_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let listener = UnixDatagram::bind(&path).unwrap();
        let mut outlets = outlets(Destination::Journal(Some(path)));
        let mut now = Now::read();
        let mut offered = 0;
        for _ in 0..100 {
            for _ in 0..100 {
                outlets.offer(format!("{offered}\n").as_bytes(), b"", now);
                offered += 1;
            }
            assert_eq!(outlets.flush(now), None);
            assert!(outlets.list[0].bytes <= WAITING_MAX);
        }
        assert!(outlets.list[0].dropped > 0);
        let (mut seen, mut missing) = (0, 0);
        listener.set_nonblocking(true).unwrap();
        let mut bytes = [0; 1000];
        while seen + missing < offered {
            now = later(now, PAUSE);
            outlets.flush(now);
            while let Ok(count) = listener.recv(&mut bytes) {
                let message = text(&bytes[..count]);
                let line = message.split("MESSAGE=").nth(1).unwrap().trim_end();
                match line.strip_prefix("appctl: ") {
                    None => seen += 1,
                    Some(marker) => {
                        missing += marker.split(' ').next().unwrap().parse::<u32>().unwrap();
                    }
                }
            }
        }
        assert_eq!(seen + missing, offered);
    }

    #[test]
    fn udp_and_tcp() {
        let now = Now::read();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = udp.local_addr().unwrap().to_string();
        let mut to_udp = outlets(Destination::Udp(address));
        to_udp.offer(b"one\n", b"", now);
        assert_eq!(to_udp.flush(now), None);
        let mut bytes = [0; 1000];
        let count = udp.recv(&mut bytes).unwrap();
        assert!(text(&bytes[..count]).starts_with("<14>1 20"));
        assert!(text(&bytes[..count]).ends_with(" web - stdout - one"));

        let tcp = TcpListener::bind("localhost:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        let mut to_tcp = outlets(Destination::Tcp(format!("localhost:{port}")));
        let mut now = now;
        let mut read = Vec::new();
        for line in ["one\n", "two\n"] {
            to_tcp.offer(line.as_bytes(), b"", now);
        }
        // The name is looked up and the connection made meanwhile.
        while !to_tcp.list[0].waiting.is_empty() {
            now = later(now, PAUSE);
            to_tcp.flush(now);
            std::thread::yield_now();
        }
        drop(to_tcp);
        tcp.accept().unwrap().0.read_to_end(&mut read).unwrap();
        let all = text(&read);
        let (length, rest) = all.split_once(' ').unwrap();
        let (first, second) = rest.split_at(length.parse().unwrap());
        assert!(first.ends_with(" one") && second.ends_with(" two"), "{all}");
    }

    #[test]
    fn a_second_file_gets_lines_as_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy");
        let mut outlets = outlets(Destination::Path(path.clone()));
        let now = Now::read();
        outlets.offer(b"plain\n", b"formed\nmore\n", now);
        assert_eq!(outlets.flush(now), None);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "formed\nmore\n");
    }
}
