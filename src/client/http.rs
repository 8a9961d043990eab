//! A small HTTP/1.1 client over blocking sockets: what it takes to ask a supervisord by XML-RPC
//! and to follow its logs. Bodies come with a length, in chunks, or until the server closes.
//!
//! Must never: hold a header or a body without a bound, wait without listening for Ctrl-C, follow
//! a redirection.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::connect::Address;
use super::interrupt::Interrupts;
use super::server::Login;
use super::session::Lost;

/// Longest head of a response.
const HEAD_MAX: usize = 64 * 1024;

/// Longest body that is taken as a whole: a log can be as long as this.
const BODY_MAX: usize = 256 * 1024 * 1024;

/// How much is read at once.
const PIECE: usize = 64 * 1024;

/// What `Server:` begins with in answers of our own daemon.
const OURS: &str = "appctl";

/// Why there is no response.
#[derive(Debug)]
pub enum Failure {
    /// Connecting failed.
    Connect(io::Error),
    /// The conversation broke off.
    Lost(Lost),
}

impl From<Lost> for Failure {
    fn from(lost: Lost) -> Failure {
        Failure::Lost(lost)
    }
}

/// A response, whole.
#[derive(Debug)]
pub struct Response {
    /// 200 is what one wants.
    pub status: u16,
    /// The words behind it.
    pub reason: String,
    /// The body.
    pub body: Vec<u8>,
}

/// A server to be asked over HTTP.
#[derive(Debug)]
pub struct Http {
    address: Address,
    authorization: Option<String>,
    interrupts: Option<Rc<Interrupts>>,
    /// Kept from one request to the next.
    wire: Option<Wire>,
}

impl Http {
    /// The server at this address. Nothing is connected yet.
    pub fn new(address: Address, login: &Login, interrupts: Option<Rc<Interrupts>>) -> Http {
        // As Supervisor's client: a login without a password is none.
        let authorization = (!login.password.is_empty())
            .then(|| STANDARD.encode(format!("{}:{}", login.user, login.password)));
        Http {
            address,
            authorization,
            interrupts,
            wire: None,
        }
    }

    /// Sends a document and reads the whole response.
    pub fn post(&mut self, path: &str, document: &str) -> Result<Response, Failure> {
        let mut request = self.head("POST", path);
        let _ = write!(
            request,
            "Content-Type: text/xml\r\nContent-Length: {}\r\n\r\n{document}",
            document.len()
        );
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => self.connect()?,
        };
        wire.send(&request)?;
        let (head, mut body) = wire.response(None)?;
        let mut whole = Vec::new();
        while let Some(piece) = body.next(&mut wire, None)? {
            if whole.len() + piece.len() > BODY_MAX {
                let text = format!("it sent a body of more than {BODY_MAX} bytes");
                return Err(Lost::Protocol(text).into());
            }
            whole.extend(piece);
        }
        if head.keeps_alive {
            self.wire = Some(wire);
        }
        Ok(Response {
            status: head.status,
            reason: head.reason,
            body: whole,
        })
    }

    /// Asks for a document that may not end, over a connection of its own.
    pub fn get(&self, path: &str) -> Result<Stream, Failure> {
        let mut request = self.head("GET", path);
        request.push_str("\r\n");
        let mut wire = self.connect()?;
        wire.send(&request)?;
        let (head, body) = wire.response(None)?;
        Ok(Stream {
            status: head.status,
            wire,
            body,
        })
    }

    fn head(&self, method: &str, path: &str) -> String {
        let host = match &self.address {
            Address::Unix(_) => "localhost",
            Address::Url(url) => url.split_once("://").map_or("", |(_, rest)| host_of(rest)),
        };
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: appctl/{}\r\n",
            env!("CARGO_PKG_VERSION")
        );
        if let Some(authorization) = &self.authorization {
            let _ = write!(head, "Authorization: Basic {authorization}\r\n");
        }
        head
    }

    fn connect(&self) -> Result<Wire, Failure> {
        let socket = match &self.address {
            Address::Unix(path) => UnixStream::connect(path).map(Socket::Unix),
            Address::Url(url) => match host_and_port(url) {
                Some((host, port)) => TcpStream::connect((host, port)).map(Socket::Tcp),
                None => Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "only http:// and unix:// can be used",
                )),
            },
        };
        Ok(Wire {
            socket: socket.map_err(Failure::Connect)?,
            received: Vec::new(),
            interrupts: self.interrupts.clone(),
        })
    }
}

/// Whether the server on this unix socket says that it is ours. One that says nothing in time, or
/// nothing in HTTP, is taken for ours: Supervisor answers.
pub fn is_ours(path: &Path, deadline: Instant) -> bool {
    let ask = || -> Result<Head, Failure> {
        let http = Http::new(Address::Unix(path.to_path_buf()), &Login::default(), None);
        let mut wire = http.connect()?;
        let request = http.head("POST", "/RPC2");
        let document = "<methodCall><methodName>system.listMethods</methodName></methodCall>";
        wire.send(&format!(
            "{request}Content-Type: text/xml\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{document}",
            document.len()
        ))?;
        Ok(wire.response(Some(deadline))?.0)
    };
    ask().map_or(true, |head| head.server.starts_with(OURS))
}

/// The part of a URL behind the scheme that names host and port. A login in it does not count.
fn host_of(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}

/// Host and port of an `http://` URL.
fn host_and_port(url: &str) -> Option<(&str, u16)> {
    let host = host_of(url.strip_prefix("http://")?);
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port.parse().ok()?),
        _ => (host, 80),
    };
    Some((name.trim_start_matches('[').trim_end_matches(']'), port))
}

#[derive(Debug)]
enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Socket::Unix(stream) => stream.as_fd(),
            Socket::Tcp(stream) => stream.as_fd(),
        }
    }
}

/// What was read of the head of a response.
#[derive(Debug)]
struct Head {
    status: u16,
    reason: String,
    server: String,
    keeps_alive: bool,
}

/// A connection and what was received over it too early.
#[derive(Debug)]
struct Wire {
    socket: Socket,
    received: Vec<u8>,
    interrupts: Option<Rc<Interrupts>>,
}

impl Wire {
    fn send(&mut self, request: &str) -> Result<(), Lost> {
        match &mut self.socket {
            Socket::Unix(stream) => stream.write_all(request.as_bytes())?,
            Socket::Tcp(stream) => stream.write_all(request.as_bytes())?,
        }
        Ok(())
    }

    /// Reads what is there; `false` if the server closed.
    fn fill(&mut self) -> Result<bool, Lost> {
        let mut piece = vec![0; PIECE];
        loop {
            let read = match &mut self.socket {
                Socket::Unix(stream) => stream.read(&mut piece),
                Socket::Tcp(stream) => stream.read(&mut piece),
            };
            match read {
                Ok(count) => {
                    self.received.extend_from_slice(&piece[..count]);
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for something to read, then reads it.
    fn wait(&mut self, deadline: Option<Instant>) -> Result<bool, Lost> {
        loop {
            let timeout = match deadline.map(|end| end.saturating_duration_since(Instant::now())) {
                None => None,
                Some(left) if left.is_zero() => return Err(Lost::TimedOut),
                Some(left) => Some(Timespec::try_from(left).map_err(|_| Lost::TimedOut)?),
            };
            let mut waited = vec![PollFd::new(&self.socket, PollFlags::IN)];
            if let Some(interrupts) = &self.interrupts {
                waited.push(PollFd::from_borrowed_fd(interrupts.as_fd(), PollFlags::IN));
            }
            match poll(&mut waited, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Lost::Io(error.into())),
            }
            let readable = !waited[0].revents().is_empty();
            if self.interrupts.as_ref().is_some_and(|it| it.take()) {
                return Err(Lost::Interrupted);
            }
            if readable {
                return self.fill();
            }
        }
    }

    /// Reads the head of a response, and how its body comes.
    fn response(&mut self, deadline: Option<Instant>) -> Result<(Head, Body), Lost> {
        loop {
            if let Some((head, body, length)) = read_head(&self.received)? {
                self.received.drain(..length);
                // "100 Continue" and its like are not what was asked for.
                if head.status >= 200 {
                    return Ok((head, body));
                }
                continue;
            }
            if self.received.len() > HEAD_MAX {
                let text = format!("it sent a head of more than {HEAD_MAX} bytes");
                return Err(Lost::Protocol(text));
            }
            if !self.wait(deadline)? {
                return Err(Lost::Closed);
            }
        }
    }
}

/// The head of a response if it is there in full, how the body comes, and the head's length.
fn read_head(received: &[u8]) -> Result<Option<(Head, Body, usize)>, Lost> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let strange = || Lost::Protocol("it does not answer in HTTP".to_string());
    let text = String::from_utf8_lossy(&received[..end]);
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().splitn(3, ' ');
    let version = first.next().unwrap_or_default();
    if !version.starts_with("HTTP/") {
        return Err(strange());
    }
    let status = first.next().and_then(|status| status.parse().ok());
    let mut head = Head {
        status: status.ok_or_else(strange)?,
        reason: first.next().unwrap_or_default().to_string(),
        server: String::new(),
        keeps_alive: version != "HTTP/1.0",
    };
    let mut body = match head.status {
        100..200 | 204 | 304 => Body::Rest(0),
        _ => Body::UntilClosed,
    };
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "server" => head.server = value.to_string(),
            "connection" if value.eq_ignore_ascii_case("close") => head.keeps_alive = false,
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => body = Body::Size,
            "content-length" if body == Body::UntilClosed => {
                body = Body::Rest(value.parse().map_err(|_| strange())?);
            }
            _ => {}
        }
    }
    head.keeps_alive &= body != Body::UntilClosed;
    Ok(Some((head, body, end + 4)))
}

/// Where in a body we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// So many bytes are still to come.
    Rest(usize),
    /// The size of a chunk comes next.
    Size,
    /// So many bytes of a chunk, then a line end.
    Chunk(usize),
    /// The line end behind a chunk.
    ChunkEnd,
    /// The last chunk came; lines up to an empty one follow.
    Trailer,
    /// It goes on until the server closes.
    UntilClosed,
    /// All of it came.
    Ended,
}

impl Body {
    /// The next piece, waiting for it; nothing at the end.
    fn next(
        &mut self,
        wire: &mut Wire,
        deadline: Option<Instant>,
    ) -> Result<Option<Vec<u8>>, Lost> {
        loop {
            if let Some(piece) = self.take(&mut wire.received)? {
                return Ok(Some(piece));
            }
            if *self == Body::Ended {
                return Ok(None);
            }
            if !wire.wait(deadline)? {
                return self.closed().map(|()| None);
            }
        }
    }

    /// The server closed.
    fn closed(&mut self) -> Result<(), Lost> {
        match self {
            Body::UntilClosed | Body::Ended | Body::Trailer => {
                *self = Body::Ended;
                Ok(())
            }
            _ => Err(Lost::Closed),
        }
    }

    /// What has arrived of it already.
    fn take(&mut self, received: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Lost> {
        loop {
            match *self {
                Body::Ended => return Ok(None),
                Body::Rest(0) => *self = Body::Ended,
                Body::Chunk(0) => *self = Body::ChunkEnd,
                Body::Rest(count) | Body::Chunk(count) => {
                    let some = count.min(received.len());
                    let left = count - some;
                    *self = match self {
                        Body::Rest(_) => Body::Rest(left),
                        _ => Body::Chunk(left),
                    };
                    return Ok((some > 0).then(|| received.drain(..some).collect()));
                }
                Body::UntilClosed => {
                    return Ok((!received.is_empty()).then(|| std::mem::take(received)));
                }
                Body::ChunkEnd => match line(received)? {
                    None => return Ok(None),
                    Some(_) => *self = Body::Size,
                },
                Body::Size => match line(received)? {
                    None => return Ok(None),
                    Some(text) => {
                        let digits = text.split(';').next().unwrap_or_default().trim();
                        let size = usize::from_str_radix(digits, 16);
                        let strange = |_| Lost::Protocol(format!("{text:?} is no size of a chunk"));
                        *self = match size.map_err(strange)? {
                            0 => Body::Trailer,
                            size => Body::Chunk(size),
                        };
                    }
                },
                Body::Trailer => match line(received)? {
                    None => return Ok(None),
                    Some(text) if text.is_empty() => *self = Body::Ended,
                    Some(_) => {}
                },
            }
        }
    }
}

/// A line that has arrived in full.
fn line(received: &mut Vec<u8>) -> Result<Option<String>, Lost> {
    match received.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let line: Vec<u8> = received.drain(..=end).collect();
            Ok(Some(String::from_utf8_lossy(&line).trim().to_string()))
        }
        None if received.len() > HEAD_MAX => {
            let text = format!("it sent a line of more than {HEAD_MAX} bytes");
            Err(Lost::Protocol(text))
        }
        None => Ok(None),
    }
}

/// A response of which the body comes bit by bit.
#[derive(Debug)]
pub struct Stream {
    /// 200 is what one wants.
    pub status: u16,
    wire: Wire,
    body: Body,
}

impl Stream {
    /// The next piece of the body, waiting for it; nothing at its end.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, Lost> {
        self.body.next(&mut self.wire, None)
    }

    /// Reads what is there; for callers that wait for several descriptors themselves. `false` if
    /// nothing more will come.
    pub fn fill(&mut self) -> Result<bool, Lost> {
        if self.wire.fill()? {
            return Ok(true);
        }
        self.body.closed().map(|()| false)
    }

    /// A piece of the body that has arrived already.
    pub fn take(&mut self) -> Result<Option<Vec<u8>>, Lost> {
        self.body.take(&mut self.wire.received)
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wire.socket.as_fd()
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
