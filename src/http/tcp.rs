//! The listening TCP sockets of `[inet_http_server]` sections.
//!
//! Must never: accept without a permit, spin when descriptors have run out.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv6Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use async_io::{Async, Timer};
use async_std::task;
use futures_lite::FutureExt;

use super::hang_up::Socket;
use super::site::Site;
use crate::control::limits::Limits;
use crate::control::seats::Seats;
use crate::control::server::{ACCEPT_PAUSE, Severity, severity};

/// Connections of one address: one client cannot shut out the others, but a proxy may stand before
/// many.
const OF_ONE_ADDRESS: usize = 224;

const FULL: &str = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\
    Content-Type: text/plain\r\nContent-Length: 39\r\n\r\nToo many connections of this address.\r\n";

/// Serves a listening socket. Returns only if the socket itself has become useless; to end it,
/// drop the future.
pub async fn serve_tcp(listener: OwnedFd, site: Arc<Site>) -> io::Error {
    let listener = match Async::new(TcpListener::from(listener)) {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    let seats = Seats::new(Limits {
        share: OF_ONE_ADDRESS,
        reserve: 0,
        ..Limits::default()
    });
    let mut refused = false;
    loop {
        let permit = seats.permit().await;
        match listener.accept().await {
            Ok((stream, address)) => {
                refused = false;
                // A small answer is not held back, and a peer that vanished is noticed.
                let _ = rustix::net::sockopt::set_tcp_nodelay(&stream, true);
                let _ = rustix::net::sockopt::set_socket_keepalive(&stream, true);
                let Some(seat) = permit.seat(client(address.ip()), false) else {
                    turn_away(&stream);
                    continue;
                };
                let Ok(socket) = Socket::of_tcp(stream) else {
                    continue;
                };
                let site = site.clone();
                task::spawn(
                    async move {
                        site.serve(socket, Vec::new(), None).await;
                        drop(seat);
                    }
                    .boxed(),
                );
            }
            Err(error) => match severity(&error) {
                Severity::OfTheClient => {}
                Severity::Passing => {
                    if !std::mem::replace(&mut refused, true) {
                        log::warn!("TCP connections have to wait: accepting one: {error}");
                    }
                    drop(permit);
                    Timer::after(ACCEPT_PAUSE).await;
                }
                Severity::Final => return error,
            },
        }
    }
}

/// Whose share a connection counts in. A host of IPv6 has a whole network of addresses.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

fn turn_away(stream: &Async<TcpStream>) {
    // A fresh socket takes this at once, or the client does without the reason.
    let _ = stream.get_ref().write(FULL.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_host_share() {
        for (address, share) in [
            ("127.0.0.1", "127.0.0.1"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("fd00:1:2:3:4:5:6:7", "fd00:1:2:3::"),
            ("::1", "::"),
        ] {
            let share: IpAddr = share.parse().unwrap();
            assert_eq!(client(address.parse().unwrap()), share, "{address}");
        }
    }

    #[test]
    fn who_is_turned_away_gets_a_whole_answer() {
        let (head, body) = FULL.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
    }
}
