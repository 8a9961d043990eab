//! Reaches the daemon, and says what is in the way if it cannot be reached.
//!
//! The keeper holds the listening socket, so a connection is accepted even while a brain is being
//! replaced. A `hello` that is answered proves that a brain has it; a connection that a dying
//! brain took with it is made again, until the time is up.
//!
//! A client of Supervisor may meet Supervisor itself, which speaks HTTP only, and a socket with a
//! password. [`greet`] finds out: it says `hello`, which Supervisor takes for the beginning of a
//! request and waits for the rest of, without a word in its log. Whoever does not answer soon is
//! asked in HTTP for who it is; ours says so, and is waited for.
//!
//! Must never: start a daemon, change anything.

use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::http;
use super::interrupt::Interrupts;
use super::session::{Lost, Session, Step};
use super::words::Unreached;
use crate::control::codes::Code;

/// How long a daemon that accepts may take to say hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);

/// How long a server may take to say hello before it is asked in HTTP who it is. Ours takes much
/// less, unless the machine is busy.
const HELLO_SOON: Duration = Duration::from_millis(20);

/// How long to wait before a connection that broke is made again.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Where a daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// Another URL, which only Supervisor's XML-RPC could use.
    Url(String),
}

impl Address {
    /// The address of a server URL; `None` if it is no URL with a scheme and a host or path.
    pub fn of_url(url: &str) -> Option<Address> {
        let (scheme, rest) = url.split_once(':')?;
        let letter_first = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
        let rest = match rest.strip_prefix("//") {
            Some(path) if scheme == "unix" && !path.is_empty() => {
                return Some(Address::Unix(PathBuf::from(path)));
            }
            Some(behind) => behind,
            None => rest,
        };
        (letter_first && !rest.is_empty()).then(|| Address::Url(url.to_string()))
    }

    /// A path, or a URL.
    pub fn of_text(text: &str) -> Address {
        let url = text.contains("://").then(|| Address::of_url(text));
        let path = || Address::Unix(PathBuf::from(text));
        url.flatten().unwrap_or_else(path)
    }

    /// As Supervisor shows it.
    pub fn url(&self) -> String {
        match self {
            Address::Unix(path) => format!("unix://{}", path.display()),
            Address::Url(url) => url.clone(),
        }
    }
}

/// Why a daemon cannot be reached.
#[derive(Debug)]
pub enum Unreachable {
    /// Connecting failed.
    Connect(PathBuf, io::Error),
    /// It accepts, but the conversation does not begin.
    Silent(PathBuf, Lost),
    /// Not a unix socket.
    NotUnix(String),
}

impl Unreachable {
    /// The case as `supervisorctl` words it.
    pub fn unreached(&self) -> Unreached {
        match self {
            Unreachable::Connect(_, error) => match error.kind() {
                io::ErrorKind::NotFound => Unreached::NoSuchFile,
                io::ErrorKind::ConnectionRefused => Unreached::Refused,
                _ => Unreached::Other(self.to_string()),
            },
            Unreachable::Silent(..) | Unreachable::NotUnix(_) => Unreached::Other(self.to_string()),
        }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreachable::Connect(path, error) => connect_failure(path, error, f),
            Unreachable::Silent(path, lost) => write!(
                f,
                "the daemon on {} takes connections but does not serve them: {lost}; \
                 it may be starting: try again, and see its log if it stays so",
                path.display()
            ),
            Unreachable::NotUnix(url) => write!(
                f,
                "{url}: only unix sockets can be used so far; \
                 give one with -s unix:///path/to/socket, or add a [unix_http_server] section"
            ),
        }
    }
}

fn connect_failure(path: &Path, error: &io::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => write!(
            f,
            "no daemon is listening on {path}: no such file; start one with `appctl daemon`"
        ),
        io::ErrorKind::ConnectionRefused => write!(
            f,
            "no daemon is listening on {path}: the socket was left behind by one that ended; \
             start one with `appctl daemon`"
        ),
        io::ErrorKind::PermissionDenied => write!(
            f,
            "{path}: permission denied; run as the daemon's user, \
             or let others in with chmod= and chown= of [unix_http_server]"
        ),
        io::ErrorKind::InvalidInput => {
            write!(
                f,
                "{path}: the path is too long for a unix socket (107 bytes at most)"
            )
        }
        _ => write!(f, "{path}: cannot connect: {error}"),
    }
}

/// What a server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    /// It stops everything, to end or to start over.
    pub leaving: bool,
    /// It serves Supervisor's clients.
    pub serves_supervisor: bool,
    /// Supervisor's clients have to know a password here.
    pub asks_password: bool,
}

/// What is spoken at an address.
#[derive(Debug)]
pub enum Spoken {
    /// The line protocol; the conversation has begun.
    Line(Session, Greeting),
    /// HTTP, to be begun.
    Http,
}

/// Finds out what is spoken on a unix socket, for a client of Supervisor.
pub fn greet(path: &Path, interrupts: Option<Rc<Interrupts>>) -> Result<Spoken, Unreachable> {
    let deadline = Instant::now() + HELLO_WITHIN;
    loop {
        let mut session = connected(path, interrupts.clone())?;
        let soon = Instant::now() + HELLO_SOON;
        let mut answer = session
            .send(&["hello"])
            .and_then(|()| hello(&mut session, soon));
        if let Err(Lost::TimedOut) = answer {
            if !http::is_ours(path, deadline) {
                return Ok(Spoken::Http);
            }
            answer = hello(&mut session, deadline);
        }
        match answer {
            Ok(Hello::Greeting(greeting)) if greeting.asks_password => return Ok(Spoken::Http),
            Ok(Hello::Greeting(greeting)) => return Ok(Spoken::Line(session, greeting)),
            Ok(Hello::Denied(_)) => return Ok(Spoken::Http),
            Err(Lost::Closed) if Instant::now() < deadline => std::thread::sleep(AGAIN_AFTER),
            Err(lost) => return Err(Unreachable::Silent(path.to_path_buf(), lost)),
        }
    }
}

fn connected(path: &Path, interrupts: Option<Rc<Interrupts>>) -> Result<Session, Unreachable> {
    match UnixStream::connect(path) {
        Ok(stream) => Ok(Session::new(stream, interrupts)),
        Err(error) => Err(Unreachable::Connect(path.to_path_buf(), error)),
    }
}

/// Opens a conversation with the daemon at `address`.
pub fn open(address: &Address, interrupts: Option<Rc<Interrupts>>) -> Result<Session, Unreachable> {
    open_asking(address, interrupts, &[])
}

/// Opens a conversation and sends this request along with the greeting, which saves a wait; its
/// answer comes first. It may be sent more than once, so it must change nothing.
pub fn open_asking(
    address: &Address,
    interrupts: Option<Rc<Interrupts>>,
    request: &[&str],
) -> Result<Session, Unreachable> {
    let path = match address {
        Address::Unix(path) => path,
        Address::Url(url) => return Err(Unreachable::NotUnix(url.clone())),
    };
    let deadline = Instant::now() + HELLO_WITHIN;
    loop {
        let mut session = connected(path, interrupts.clone())?;
        let requests: &[&[&str]] = match request.is_empty() {
            true => &[&["hello"]],
            false => &[&["hello"], request],
        };
        let answer = session
            .send_all(requests)
            .and_then(|()| hello(&mut session, deadline));
        match answer {
            Ok(Hello::Greeting(_)) => return Ok(session),
            Ok(Hello::Denied(why)) => {
                return Err(Unreachable::Silent(path.clone(), Lost::Protocol(why)));
            }
            Err(Lost::Closed) if Instant::now() < deadline => std::thread::sleep(AGAIN_AFTER),
            Err(lost) => return Err(Unreachable::Silent(path.clone(), lost)),
        }
    }
}

/// The answer to `hello`.
enum Hello {
    Greeting(Greeting),
    /// It does not talk to us, for this reason.
    Denied(String),
}

/// Reads the answer to `hello`.
fn hello(session: &mut Session, deadline: Instant) -> Result<Hello, Lost> {
    let mut greeting = Greeting {
        leaving: false,
        serves_supervisor: true,
        asks_password: false,
    };
    loop {
        match session.next(Some(deadline))? {
            Step::Done(_) => return Ok(Hello::Greeting(greeting)),
            Step::Failed { code, text } if code == Code::Denied.name() => {
                return Ok(Hello::Denied(text));
            }
            Step::Failed { code, text } => {
                return Err(Lost::Protocol(format!(
                    "it refused to talk: {text} ({code})"
                )));
            }
            Step::Row(row) => {
                greeting = Greeting {
                    leaving: row.field("state").is_some(),
                    serves_supervisor: row.field("rpcinterface").is_none(),
                    asks_password: row.field("password").is_some(),
                };
            }
            Step::Raw { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_urls() {
        let unix = |path: &str| Some(Address::Unix(PathBuf::from(path)));
        let table: &[(&str, Option<Address>)] = &[
            ("unix:///run/s.sock", unix("/run/s.sock")),
            ("unix://s.sock", unix("s.sock")),
            (
                "http://localhost:9001",
                Some(Address::Url("http://localhost:9001".into())),
            ),
            ("foo", None),
            ("unix://", None),
            ("://x", None),
        ];
        for (url, address) in table {
            assert_eq!(&Address::of_url(url), address, "{url}");
        }
        assert_eq!(
            Address::of_text("/run/s.sock"),
            Address::Unix("/run/s.sock".into())
        );
        assert_eq!(Address::of_url("unix:///a").unwrap().url(), "unix:///a");
    }
}
