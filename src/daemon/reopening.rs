//! The servers of a configuration that a reload brought: whoever names a port, a socket or a password
//! there finds them so.
//!
//! The first unix socket is where the lock and the holder of the instance are found. It stays, also
//! under a configuration that names another one, which is then served as well.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::brain::Brain;
use super::doors::{open_another, without_authentication};
use super::sentences::{self, say};
use super::settings::{Note, Settings};
use crate::config::{ServerAddress, ServerConfig};
use crate::control::listener::give_rights;
use crate::keeper::ParkKey;

/// How often a socket is tried that the keeper may still be about to close.
const TRIES: u32 = 100;

/// How long in between.
const AGAIN_AFTER: Duration = Duration::from_millis(20);

impl Brain {
    /// Serves what the configuration last read names. What cannot be opened is told, and is left out.
    pub(super) async fn follow_servers(&mut self, settings: &mut Settings) {
        let wanted = self.configuration.last_read.servers.clone();
        if wanted == settings.configured_servers {
            return;
        }
        let mut old = self.served.close_all().await;
        let mut doors = Vec::new();
        if let Some(at) = old.iter().position(|(server, _)| is_unix(server)) {
            doors.push(anchor(old.remove(at), &wanted));
        }
        let mut unopened = Vec::new();
        for server in &wanted {
            if doors.iter().any(|(served, _)| is_at(served, server)) {
                continue;
            }
            match old
                .iter()
                .position(|(known, _)| known.address == server.address)
            {
                Some(at) => doors.push((server.clone(), old.remove(at).1)),
                None => unopened.push(server),
            }
        }
        self.hold(settings, &doors);
        self.forget(&old, doors.len());
        drop(old);
        let mut notes = Vec::new();
        for server in unopened {
            match self.open_soon(server, &mut notes).await {
                Ok(listener) => doors.push((server.clone(), listener)),
                Err(reason) => say(sentences::critical(format!(
                    "[{}] {reason}",
                    server.section
                ))),
            }
        }
        let open = wanted.iter().filter(|server| server.credentials.is_none());
        notes.extend(open.map(|server| without_authentication(&server.section)));
        settings.configured_servers = wanted;
        replace_notes(&mut settings.notes, notes);
        self.hold(settings, &doors);
        for (server, listener) in doors {
            if let Err(error) = self.served.open(server, listener) {
                say(sentences::critical(format!("serving: {error}")));
            }
        }
    }

    /// Has the keeper hold these, in this order, so that a later brain serves the same.
    fn hold(&self, settings: &mut Settings, doors: &[(ServerConfig, OwnedFd)]) {
        settings.servers = doors.iter().map(|(server, _)| server.clone()).collect();
        let listeners = doors.iter().map(|(_, listener)| listener.as_fd());
        let parked = settings.write().and_then(|memory| {
            let mut parked: Vec<_> = (0..).map(ParkKey::Listener).zip(listeners).collect();
            parked.push((ParkKey::Settings, memory.as_fd()));
            self.keeper.link.park(&parked)
        });
        if let Err(error) = parked {
            say(sentences::critical(format!("parking sockets: {error}")));
        }
    }

    /// Has the keeper close the sockets that nobody is to reach any more: it holds `kept` others.
    fn forget(&self, gone: &[(ServerConfig, OwnedFd)], kept: usize) {
        let keys: Vec<ParkKey> = (0..)
            .map(ParkKey::Listener)
            .skip(kept)
            .take(gone.len())
            .collect();
        if let Err(error) = self.keeper.link.unpark(&keys) {
            say(sentences::trouble(format!(
                "closing parked sockets: {error}"
            )));
        }
        for (server, _) in gone {
            if let ServerAddress::Unix { path, .. } = &server.address {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// Opens a server; an address that was ours is free a moment later.
    async fn open_soon(
        &self,
        server: &ServerConfig,
        notes: &mut Vec<Note>,
    ) -> Result<OwnedFd, String> {
        let mut tries = 0;
        loop {
            let mut said = Vec::new();
            match open_another(server, self.personality, &mut said) {
                Err(_) if tries < TRIES => tries += 1,
                Err(reason) => return Err(reason),
                Ok(listener) => {
                    notes.extend(said);
                    return Ok(listener);
                }
            }
            async_std::task::sleep(AGAIN_AFTER).await;
        }
    }
}

fn is_unix(server: &ServerConfig) -> bool {
    matches!(server.address, ServerAddress::Unix { .. })
}

/// Whether both are the same place.
fn is_at(one: &ServerConfig, other: &ServerConfig) -> bool {
    match (&one.address, &other.address) {
        (ServerAddress::Unix { path: a, .. }, ServerAddress::Unix { path: b, .. }) => a == b,
        (one, other) => one == other,
    }
}

/// The first unix socket, with the password and the rights that the configuration has for it now.
fn anchor(
    (mut server, listener): (ServerConfig, OwnedFd),
    wanted: &[ServerConfig],
) -> (ServerConfig, OwnedFd) {
    let same = wanted.iter().find(|other| is_at(&server, other));
    let named = same.or_else(|| wanted.iter().find(|other| is_unix(other)));
    if let Some(named) = named {
        server.credentials.clone_from(&named.credentials);
    }
    if let Some(same) = same {
        server = same.clone();
        if let ServerAddress::Unix { path, mode, owner } = &server.address
            && let Err(error) = give_rights(path, *mode, *owner)
        {
            let path = path.display();
            say(sentences::warning(format!(
                "{path}: setting owner and mode: {error}"
            )));
        }
    }
    (server, listener)
}

/// Puts the notes about servers in the place of the old ones, behind what is said of the interfaces.
fn replace_notes(notes: &mut Vec<Note>, new: Vec<Note>) {
    let at = notes.iter().position(|note| note.of_servers);
    notes.retain(|note| !note.of_servers);
    let at = at.unwrap_or(notes.len()).min(notes.len());
    notes.splice(at..at, new);
}
