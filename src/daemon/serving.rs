//! Serving: every listening socket that the keeper holds has a task of its own.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use async_std::channel::Sender;
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

/// Serves every listening socket in a task of its own.
pub(super) fn serve(settings: &Settings, listeners: Vec<(u32, OwnedFd)>, ask: &Sender<Question>) {
    let live = Live::new(ask.clone());
    for (server, (key, listener)) in settings.servers.iter().zip(listeners) {
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
        );
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
