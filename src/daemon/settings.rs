//! What the boot phase settled once for the life of the daemon: handed to every brain through a
//! memory file in the keeper, so that a later brain does not depend on the command line, the
//! environment or the working directory of that moment.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::options::BootOptions;
use super::sentences::Line;
use crate::config::{
    Config, LogLevel, MainLogTarget, ServerAddress, ServerConfig, Source, SupervisordConfig,
};
use crate::control::listener::holder_path;
use crate::keeper::blob;
use crate::launch::Limits;

/// Settled facts of this daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The command line.
    pub options: BootOptions,
    /// Where the daemon was started: relative paths of the configuration are looked at from there.
    pub started_in: PathBuf,
    /// The configuration file, absolute; `None` for built-in defaults.
    pub file: Option<PathBuf>,
    /// `[supervisord]` as read at boot.
    pub supervisord: SupervisordConfig,
    /// What we listen on, in the order of the keeper's listeners.
    pub servers: Vec<ServerConfig>,
    /// The servers as configured at boot or at the last reload, served or not.
    pub configured_servers: Vec<ServerConfig>,
    /// Namespaces of `[rpcinterface:x]` at boot.
    pub rpc_interfaces: Vec<String>,
    /// Runs in the background.
    pub detached: bool,
    /// What every program gets.
    pub child_limits: Limits,
    /// What the boot phase did that belongs into the main log.
    pub notes: Vec<Note>,
}

/// A line of the main log, said before there was one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// How important it is.
    pub level: LogLevel,
    /// The words.
    pub text: String,
    /// It is true of every start, also of one after a reload.
    pub lasting: bool,
    /// It is about a server, and true as long as the servers are the same.
    pub of_servers: bool,
}

impl Note {
    /// What was done once.
    pub fn once(level: LogLevel, text: String) -> Note {
        Note {
            level,
            text,
            lasting: false,
            of_servers: false,
        }
    }

    /// What goes on to be so.
    pub fn lasting(level: LogLevel, text: String) -> Note {
        Note {
            lasting: true,
            ..Note::once(level, text)
        }
    }

    /// What goes on to be so with the servers.
    pub fn of_servers(level: LogLevel, text: String) -> Note {
        Note {
            of_servers: true,
            ..Note::lasting(level, text)
        }
    }
}

impl From<Note> for Line {
    fn from(note: Note) -> Line {
        Line {
            level: note.level,
            text: note.text,
        }
    }
}

impl Settings {
    /// Writes them into a memory file.
    pub fn write(&self) -> io::Result<OwnedFd> {
        let bytes = postcard::to_stdvec(self).map_err(io::Error::other)?;
        blob::write("appctl-settings", &bytes)
    }

    /// Reads them back.
    pub fn read(memory: &impl AsFd) -> io::Result<Settings> {
        postcard::from_bytes(&blob::read(memory)?).map_err(io::Error::other)
    }

    /// Where the configuration comes from, now and at every reread.
    pub fn source(&self) -> Source {
        Source {
            file: self.file.clone(),
            overrides: self.options.overrides.clone(),
            single: self.options.single.clone(),
        }
    }

    /// The main log goes to standard output as well: in the foreground, unless told to be silent
    /// or the log file is standard output already.
    pub fn echoes_log(&self) -> bool {
        let log_is_stdout = matches!(
            &self.supervisord.logfile,
            MainLogTarget::File(path)
                if path.to_str().is_some_and(|path| path == "/dev/stdout" || path == "/dev/fd/1")
        );
        !self.detached && !self.supervisord.silent && !log_is_stdout
    }

    /// A configuration without groups: what is known before the file was read.
    pub fn empty_config(&self) -> Config {
        Config {
            file: self.file.clone(),
            supervisord: self.supervisord.clone(),
            servers: Vec::new(),
            rpc_interfaces: self.rpc_interfaces.clone(),
            groups: Vec::new(),
            shadowed: Vec::new(),
        }
    }

    /// Removes the socket of the holder, which holds nothing any more.
    pub fn remove_holder_socket(&self) {
        for server in &self.servers {
            if let ServerAddress::Unix { path, .. } = &server.address {
                let _ = std::fs::remove_file(holder_path(path));
            }
        }
    }

    /// Removes our sockets. Only the holder of the lock does this, and that is our keeper.
    pub fn remove_sockets(&self) {
        for server in &self.servers {
            let ServerAddress::Unix { path, .. } = &server.address else {
                continue;
            };
            // Gone already is as good. The lock file beside it stays: removing it would let two
            // daemons hold a lock of the same name.
            let _ = std::fs::remove_file(path);
        }
    }
}
