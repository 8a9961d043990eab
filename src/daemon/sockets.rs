//! The listening sockets of `[fcgi-program:x]`: made before the first start, shared by all processes
//! of the program as their descriptor 0, parked in the keeper, closed when none of them runs or is
//! to be started again.
//!
//! A program keeps its socket over restarts of its processes and over the death of a brain, so that
//! web servers wait in its queue instead of being refused.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::brain::Brain;
use super::processes::Process;
use super::sentences::{self, say};
use crate::config::{FastCgiConfig, GroupKind};
use crate::control::listener::bind_unix;
use crate::fleet::{ProcessId, SpawnFailure, SpawnFailureKind};
use crate::keeper::ParkKey;

/// Longest queue of connections: the system's own limit is less or this.
const BACKLOG_MAX: i32 = 65_535;

/// Names the socket of a program within a group.
pub type SocketName = (String, String);

/// An open socket.
#[derive(Debug)]
pub struct Socket {
    config: FastCgiConfig,
    listener: OwnedFd,
    /// It is parked under the number of the process it was opened for.
    number: u32,
    /// Inode of the file of a unix socket, so that only ours is removed.
    file: Option<(PathBuf, u64)>,
}

/// The open sockets.
pub type Sockets = BTreeMap<SocketName, Socket>;

impl Brain {
    /// The socket that a process gets as its standard input; `None` if it is no FastCGI program.
    pub(super) fn socket_for(&mut self, id: ProcessId) -> Result<Option<OwnedFd>, SpawnFailure> {
        let Some((name, config)) = self.socket_config(id) else {
            return Ok(None);
        };
        let failed = |error: io::Error| SpawnFailure {
            kind: SpawnFailureKind::Other,
            text: format!("could not create FastCGI socket {}: {error}", config.socket),
        };
        match self.sockets.get(&name) {
            Some(socket) if socket.config == config => {
                return socket.listener.try_clone().map(Some).map_err(failed);
            }
            // The group was replaced by one with another socket.
            Some(_) => self.close_socket(&name),
            None => {}
        }
        say(sentences::information(format!(
            "Creating socket {}",
            config.socket
        )));
        let addresses = self.addresses.take(id);
        let process = self.processes.get(&id).map(Box::as_ref);
        let listener = open(&config, process, addresses).map_err(failed)?;
        let socket = Socket {
            file: file_of(&config.socket),
            config: config.clone(),
            number: id.0,
            listener,
        };
        let parked = (ParkKey::FastCgi(id.0), socket.listener.as_fd());
        self.keeper.link.park(&[parked]).map_err(failed)?;
        let given = socket.listener.try_clone().map_err(failed)?;
        self.sockets.insert(name, socket);
        Ok(Some(given))
    }

    /// `host:port` of a socket that is still to be made and whose host has no address yet.
    pub(super) fn host_to_look_up(&self, id: ProcessId) -> Option<String> {
        let (name, config) = self.socket_config(id)?;
        if (self.sockets.get(&name)).is_some_and(|socket| socket.config == config) {
            return None;
        }
        let host = config.socket.strip_prefix("tcp://")?;
        let is_address = host.parse::<SocketAddr>().is_ok();
        (!is_address).then(|| host.to_owned())
    }

    /// Takes over a socket of a predecessor; one that nobody needs any more is closed later.
    pub(super) fn take_over_socket(&mut self, number: u32, listener: OwnedFd) {
        match self.socket_config(ProcessId(number)) {
            Some((name, config)) => {
                let socket = Socket {
                    file: file_of(&config.socket),
                    config,
                    listener,
                    number,
                };
                self.sockets.insert(name, socket);
            }
            None => self.unpark_socket(number),
        }
    }

    /// Closes the sockets whose programs do not run and will not be started again.
    pub(super) fn close_idle_sockets(&mut self) {
        if self.sockets.is_empty() {
            return;
        }
        let is_wanted = |(group, program): &SocketName| {
            self.processes.iter().any(|(id, process)| {
                let own = process.name.group == *group && process.config.program == *program;
                own && self.fleet.get(*id).is_some_and(|it| it.is_wanted())
            })
        };
        let idle = self.sockets.keys().filter(|name| !is_wanted(name));
        let idle: Vec<SocketName> = idle.cloned().collect();
        for name in idle {
            self.close_socket(&name);
        }
    }

    fn close_socket(&mut self, name: &SocketName) {
        let Some(socket) = self.sockets.remove(name) else {
            return;
        };
        say(sentences::information(format!(
            "Closing socket {}",
            socket.config.socket
        )));
        self.unpark_socket(socket.number);
        if let Some((path, inode)) = &socket.file {
            let ours = std::fs::symlink_metadata(path).is_ok_and(|it| it.ino() == *inode);
            if ours && let Err(error) = std::fs::remove_file(path) {
                let path = path.display();
                say(sentences::warning(format!("removing {path}: {error}")));
            }
        }
    }

    fn unpark_socket(&self, number: u32) {
        if let Err(error) = self.keeper.link.unpark(&[ParkKey::FastCgi(number)]) {
            say(sentences::trouble(format!(
                "closing a parked socket: {error}"
            )));
        }
    }

    /// Which socket a process shares, and how it is made.
    fn socket_config(&self, id: ProcessId) -> Option<(SocketName, FastCgiConfig)> {
        let process = self.processes.get(&id)?;
        let group = self.configuration.groups.get(&process.name.group)?;
        let GroupKind::FastCgi(sockets) = &group.kind else {
            return None;
        };
        let config = sockets.get(&process.config.program)?;
        let name = (group.name.clone(), process.config.program.clone());
        Some((name, config.clone()))
    }
}

/// Makes a socket and listens on it. `addresses` are those of its host, if it had to be looked up.
fn open(
    config: &FastCgiConfig,
    process: Option<&Process>,
    addresses: Option<io::Result<Vec<SocketAddr>>>,
) -> io::Result<OwnedFd> {
    let listener: OwnedFd = match config.path() {
        Some(path) => {
            // Without socket_owner it belongs to who is to use it.
            let user = process.and_then(|process| process.config.launch.user.as_ref());
            let owner = match (config.owner, user) {
                (Some((uid, gid)), _) => (Some(uid), gid),
                (None, Some(user)) => (Some(user.uid), Some(user.gid)),
                (None, None) => (None, None),
            };
            bind_unix(path, config.mode, owner).map_err(io::Error::other)?
        }
        None => {
            let address = config.socket.strip_prefix("tcp://").unwrap_or_default();
            let literal = || address.parse().map(|address| vec![address]);
            let addresses = addresses.unwrap_or_else(|| literal().map_err(io::Error::other))?;
            TcpListener::bind(&addresses[..])?.into()
        }
    };
    let backlog = config.backlog.map(i32::try_from);
    let backlog = backlog.and_then(Result::ok).unwrap_or(BACKLOG_MAX);
    rustix::net::listen(&listener, backlog)?;
    // FastCGI programs expect to wait in accept.
    rustix::fs::fcntl_setfl(&listener, rustix::fs::OFlags::empty())?;
    Ok(listener)
}

fn file_of(url: &str) -> Option<(PathBuf, u64)> {
    let path = PathBuf::from(url.strip_prefix("unix://")?);
    let inode = std::fs::symlink_metadata(&path).ok()?.ino();
    Some((path, inode))
}
