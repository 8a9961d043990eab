//! The addresses of hosts that FastCGI sockets name, looked up beside the turn: a name server may take
//! its time, or never answer.
//!
//! Must never: make the turn wait.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use async_std::channel::{Receiver, Sender, unbounded};
use futures_lite::FutureExt;

use crate::fleet::ProcessId;
use crate::ordered;

/// What became of looking a host up.
#[derive(Debug)]
pub struct Found {
    /// For whose start.
    pub process: ProcessId,
    addresses: io::Result<Vec<SocketAddr>>,
}

/// Hosts that are looked up for starts.
#[derive(Debug)]
pub struct Addresses {
    tell: Sender<Found>,
    /// What was found.
    pub founds: Receiver<Found>,
    /// Found, and not used yet.
    known: BTreeMap<ProcessId, io::Result<Vec<SocketAddr>>>,
}

impl Addresses {
    /// Nothing is looked up yet.
    pub fn new() -> Addresses {
        let (tell, founds) = unbounded();
        let known = BTreeMap::new();
        Addresses {
            tell,
            founds,
            known,
        }
    }

    /// Looks up `host:port` for the start of a process; [`Addresses::founds`] tells what came of it.
    pub fn look_up(&self, process: ProcessId, host: String) {
        let tell = self.tell.clone();
        async_std::task::spawn(
            async move {
                let addresses = blocking::unblock(move || resolve(&host)).await;
                // Without a brain nobody wants to know.
                let _ = tell.send(Found { process, addresses }).await;
            }
            .boxed(),
        );
    }

    /// Keeps what was found until the socket is made.
    pub fn keep(&mut self, found: Found) {
        self.known.insert(found.process, found.addresses);
    }

    /// What was found for the start of this process.
    pub fn take(&mut self, process: ProcessId) -> Option<io::Result<Vec<SocketAddr>>> {
        self.known.remove(&process)
    }
}

/// Supervisor's sockets are of IPv4, so these are preferred where a name has both.
fn resolve(host: &str) -> io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<_> = host.to_socket_addrs()?.collect();
    ordered::sort_by_key(&mut addresses, |address| !address.is_ipv4());
    Ok(addresses)
}
