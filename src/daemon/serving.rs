//! Serving: every listening socket that the keeper holds has a task of its own.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use async_std::channel::Sender;
use async_std::task::JoinHandle;
use futures_lite::FutureExt;

use super::sentences::{self, say};
use super::settings::Settings;
use crate::config::{ServerAddress, ServerConfig};
use crate::control::server::Rooms;
use crate::control::{self, Question};
use crate::http::{Credentials, Guard, Live, Site, serve_tcp};
use crate::keeper::ParkKey;

pub(super) fn take_listeners(parked: &mut BTreeMap<ParkKey, OwnedFd>) -> Vec<(u32, OwnedFd)> {
    let mut listeners = Vec::new();
    let mut number = 0;
    while let Some(listener) = parked.remove(&ParkKey::Listener(number)) {
        listeners.push((number, listener));
        number += 1;
    }
    listeners
}

/// The servers of a brain.
#[derive(Debug)]
pub(super) struct Served {
    ask: Sender<Question>,
    live: Live,
    doors: Vec<Door>,
}

/// A server, its listening socket, and the task that serves it.
#[derive(Debug)]
struct Door {
    server: ServerConfig,
    listener: OwnedFd,
    task: JoinHandle<()>,
}

/// Serves every listening socket in a task of its own.
pub(super) fn serve(
    settings: &Settings,
    listeners: Vec<(u32, OwnedFd)>,
    ask: &Sender<Question>,
) -> io::Result<Served> {
    let mut served = Served {
        ask: ask.clone(),
        live: Live::new(ask.clone()),
        doors: Vec::new(),
    };
    for (server, (_, listener)) in settings.servers.iter().zip(listeners) {
        served.open(server.clone(), listener)?;
    }
    Ok(served)
}

impl Served {
    /// Serves one more.
    pub(super) fn open(&mut self, server: ServerConfig, listener: OwnedFd) -> io::Result<()> {
        let key = self.doors.len();
        let ours = listener.try_clone()?;
        let task = self.task(key, &server, listener);
        self.doors.push(Door {
            server,
            listener: ours,
            task,
        });
        Ok(())
    }

    /// Accepts nobody any more; who is connected stays. The sockets go on to listen.
    pub(super) async fn close_all(&mut self) -> Vec<(ServerConfig, OwnedFd)> {
        let mut closed = Vec::new();
        for door in self.doors.drain(..) {
            door.task.cancel().await;
            closed.push((door.server, door.listener));
        }
        closed
    }

    fn task(&self, key: usize, server: &ServerConfig, listener: OwnedFd) -> JoinHandle<()> {
        let (ask, live) = (&self.ask, &self.live);
        let credentials = server
            .credentials
            .clone()
            .map(|(user, password)| Credentials::new(user, password));
        let guard = Guard::new(names_of(server));
        let site = Arc::new(Site::new(ask.clone(), credentials, guard, live.clone()));
        let rooms = Rooms {
            questions: ask.clone(),
            http: Some(site.clone()),
            guarded: server.credentials.is_some(),
        };
        let over_tcp = matches!(server.address, ServerAddress::Inet { .. });
        async_std::task::spawn(
            async move {
                let error = match over_tcp {
                    true => serve_tcp(listener, site).await,
                    false => control::server::serve(listener, rooms).await,
                };
                say(sentences::critical(format!(
                    "listening socket {key} is of no use: {error}"
                )));
            }
            .boxed(),
        )
    }
}

/// Under which dotted names a browser may ask this server. A password, or the mode of a unix socket,
/// protects it under any name.
fn names_of(server: &ServerConfig) -> Option<Vec<String>> {
    let ServerAddress::Inet { host, .. } = &server.address else {
        return None;
    };
    if server.credentials.is_some() {
        return None;
    }
    let own = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .to_ascii_lowercase();
    Some(vec![host.clone(), own])
}
