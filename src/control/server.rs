//! The front door of the unix socket: accepts connections, tells HTTP from the line protocol by
//! the first bytes, and gives each connection a task of its own.
//!
//! Must never: accept without a permit, spin when descriptors have run out, panic on what the
//! kernel answers.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::time::Duration;

use async_io::{Async, Timer};
use async_std::channel::Sender;
use async_std::task;
use futures_lite::future::{self, FutureExt};
use rustix::io::Errno;

use super::answer::trouble_line;
use super::codes::{Code, Trouble};
use super::connection::Connection;
use super::limits::Limits;
use super::peer::is_privileged;
use super::question::{Peer, Question};
use super::seats::{Permit, Seat, Seats};
use super::session;
use crate::launch;

/// Connections that are accepted although descriptors have run out.
const SPARES: usize = 4;

/// Pause after the system refused a connection for want of descriptors or memory.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The line protocol.
    Line,
    /// HTTP.
    Http,
}

/// A connection whose client speaks HTTP.
#[derive(Debug)]
pub struct Talk {
    /// The connection.
    pub stream: Async<UnixStream>,
    /// What was received to know that.
    pub received: Vec<u8>,
    /// Who is at the other end.
    pub peer: Option<Peer>,
}

/// What is behind the HTTP door of a socket.
pub trait HttpDoor: Send + Sync {
    /// Talks to a client until either side ends it.
    fn talk(self: Arc<Self>, talk: Talk) -> future::Boxed<()>;
}

/// Where connections of a socket lead.
#[derive(Clone)]
pub struct Rooms {
    /// To the daemon's turn, by the line protocol.
    pub questions: Sender<Question>,
    /// By HTTP; `None`: it is not spoken here.
    pub http: Option<Arc<dyn HttpDoor>>,
    /// A password is asked for, which HTTP has a place for and the line protocol has not: only
    /// root and the daemon's own user get in by it.
    pub guarded: bool,
}

/// Methods a request of HTTP can begin with. No verb of ours is in capitals.
const METHODS: [&[u8]; 9] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    b"TRACE ",
    b"PATCH ",
];

impl Door {
    /// Which door these first bytes knock at; `None` if more of them are needed.
    pub fn of(first: &[u8]) -> Option<Door> {
        if METHODS.iter().any(|method| first.starts_with(method)) {
            return Some(Door::Http);
        }
        let undecided = METHODS.iter().any(|method| method.starts_with(first));
        (!undecided).then_some(Door::Line)
    }
}

/// Serves a listening socket. Returns only if the socket itself has become useless; to end it,
/// drop the future. Sessions that have begun go on in tasks of their own.
pub async fn serve(listener: OwnedFd, rooms: Rooms) -> io::Error {
    serve_within(Limits::default(), listener, rooms).await
}

/// Descriptors that are kept to be given up, one for each connection that could not be accepted
/// otherwise: who has used up all others must be able to hear of it, and stop something.
struct Spares(Vec<OwnedFd>);

impl Spares {
    /// Takes those that are missing, as far as there are any.
    fn fill(&mut self) {
        while self.0.len() < SPARES
            && let Ok(null) = File::open("/dev/null")
        {
            self.0.push(null.into());
        }
    }

    /// Gives one up; false if there is none.
    fn give_up(&mut self) -> bool {
        self.0.pop().is_some()
    }
}

/// Serves a listening socket within other limits than usual.
pub async fn serve_within(limits: Limits, listener: OwnedFd, rooms: Rooms) -> io::Error {
    // Not by way of async-std's conversion, which panics when the reactor refuses it.
    let listener = match Async::new(UnixListener::from(listener)) {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    let seats: Seats<u32> = Seats::new(limits);
    let (mut refused, mut spares) = (false, Spares(Vec::new()));
    spares.fill();
    loop {
        let permit = seats.permit().await;
        // Without descriptors the kernel refuses to accept before it looks whether anybody is there.
        let waited = listener.readable().await;
        let accepted = match waited {
            Ok(()) => listener.accept().await,
            Err(error) => Err(error),
        };
        match accepted {
            Ok((stream, _)) => {
                refused = false;
                admit(stream, permit, limits, &rooms);
                spares.fill();
            }
            Err(error) => match severity(&error) {
                Severity::OfTheClient => {}
                Severity::Passing if spares.give_up() => {}
                Severity::Passing => {
                    if !std::mem::replace(&mut refused, true) {
                        log::warn!("connections have to wait: accepting one: {error}");
                    }
                    drop(permit);
                    Timer::after(ACCEPT_PAUSE).await;
                    spares.fill();
                }
                Severity::Final => return error,
            },
        }
    }
}

/// What a failed accept says about.
pub enum Severity {
    /// The client that wanted to connect.
    OfTheClient,
    /// The state of the system; it may get better.
    Passing,
    /// The listening socket.
    Final,
}

/// What this failed accept says about.
pub fn severity(error: &io::Error) -> Severity {
    match Errno::from_io_error(error) {
        Some(Errno::CONNABORTED | Errno::INTR | Errno::PERM) => Severity::OfTheClient,
        Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP) => Severity::Final,
        // MFILE, NFILE, NOBUFS, NOMEM; NOSPC from epoll; whatever else a kernel thinks of.
        _ => Severity::Passing,
    }
}

/// Gives a new connection its task, or tells it that there is no place.
fn admit(stream: Async<UnixStream>, permit: Permit<u32>, limits: Limits, rooms: &Rooms) {
    let peer = launch::peer_of(&stream).ok();
    let uid = peer.map_or(u32::MAX, |peer| peer.uid);
    match permit.seat(uid, is_privileged(peer)) {
        Some(seat) => {
            let connection = Connection::new(stream, limits);
            task::spawn(talk(connection, rooms.clone(), seat).boxed());
        }
        None => {
            let text = "too many connections of this user, or in all; try again later";
            let line = format!("{}\n", trouble_line(&Trouble::new(Code::Busy, text)));
            // A fresh socket takes a line at once, or the client does without the reason.
            let _ = io::Write::write(&mut stream.get_ref(), line.as_bytes());
        }
    }
}

/// Talks to one client in the protocol it speaks, and keeps its seat for so long.
async fn talk(mut connection: Connection, rooms: Rooms, _seat: Seat<u32>) {
    let door = loop {
        match Door::of(connection.pending()) {
            Some(door) => break door,
            None => match connection.receive().await {
                Ok(()) => {}
                Err(none) => return session::close(connection, none).await,
            },
        }
    };
    match (door, rooms.http) {
        (Door::Line, _) if rooms.guarded && !is_privileged(connection.peer()) => {
            let text = "this socket asks for a password: use HTTP, as supervisorctl does";
            connection.put_line(trouble_line(&Trouble::new(Code::Denied, text)));
            let _ = connection.send().await;
        }
        (Door::Line, _) => session::run(connection, rooms.questions, rooms.guarded).await,
        (Door::Http, None) => refuse_http(connection).await,
        (Door::Http, Some(http)) => {
            let (stream, received, peer) = connection.into_parts();
            let talk = Talk {
                stream,
                received,
                peer,
            };
            http.talk(talk).await;
        }
    }
}

/// Where nothing is behind the HTTP door.
async fn refuse_http(mut connection: Connection) {
    let body = "This socket does not speak HTTP; use the line protocol (send help).\n";
    let response = format!(
        "HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len(),
    );
    connection.put_line(response.trim_end());
    let _ = connection.send().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_door_is_known_by_the_first_bytes() {
        let table: &[(&[u8], Option<Door>)] = &[
            (b"", None),
            (b"G", None),
            (b"POST", None),
            (b"GET ", Some(Door::Http)),
            (b"POST /RPC2 HTTP/1.1\r\n", Some(Door::Http)),
            (b"GETTING", Some(Door::Line)),
            (b"get ", Some(Door::Line)),
            (b"status\n", Some(Door::Line)),
            (b"\n", Some(Door::Line)),
            (b"\xff", Some(Door::Line)),
        ];
        for (first, door) in table {
            assert_eq!(Door::of(first), *door, "{first:?}");
        }
    }
}
