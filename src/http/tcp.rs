//! The listening TCP sockets of `[inet_http_server]` sections.
//!
//! Must never: accept without a permit, spin when descriptors have run out.

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use async_io::{Async, Timer};
use async_std::task;

use super::site::Site;
use crate::control::limits::Limits;
use crate::control::seats::Seats;
use crate::control::server::{ACCEPT_PAUSE, Severity, severity};

/// Nobody knows who is at the other end of a TCP connection: all are one user without privileges.
const NOBODY: u32 = u32::MAX;

/// Serves a listening socket. Returns only if the socket itself has become useless; to end it,
/// drop the future.
pub async fn serve_tcp(listener: OwnedFd, site: Arc<Site>) -> io::Error {
    let listener = match Async::new(TcpListener::from(listener)) {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    let limits = Limits::default();
    let seats = Seats::new(Limits {
        per_user: limits.connections,
        reserve: 0,
        ..limits
    });
    let mut refused = false;
    loop {
        let permit = seats.permit().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                refused = false;
                // A small answer is not held back, and a peer that vanished is noticed.
                let _ = rustix::net::sockopt::set_tcp_nodelay(&stream, true);
                let _ = rustix::net::sockopt::set_socket_keepalive(&stream, true);
                // A client that finds no seat is hung up on.
                let Some(seat) = permit.seat(NOBODY, false) else {
                    continue;
                };
                let site = site.clone();
                task::spawn(async move {
                    site.serve(stream, Vec::new(), None).await;
                    drop(seat);
                });
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
