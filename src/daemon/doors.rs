//! The sockets that a daemon listens on, opened by the boot phase before anything else is touched:
//! the lock of the instance, its holder's socket, and every configured server.
//!
//! Must never: serve one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::boot::Refusal;
use super::options::Personality;
use super::settings::Note;
use super::starts::errno_name;
use crate::config::{self, Config, LogLevel, RealHost, ServerAddress, ServerConfig};
use crate::control::listener::{self, ListenError};
use crate::keeper::{self, Heritage};
use crate::ordered;

/// How long a daemon that serves nobody any more may take to end.
const END_TIME: Duration = Duration::from_secs(10);

/// How often it is looked whether it has.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// The sockets we listen on.
#[derive(Default)]
pub(super) struct Doors {
    /// In the order of `servers`.
    pub(super) listeners: Vec<OwnedFd>,
    pub(super) servers: Vec<ServerConfig>,
    /// What a second daemon does not get.
    pub(super) lock: Option<OwnedFd>,
    pub(super) holder: Holder,
}

/// What keeps programs alive should keeper and brain be killed together.
#[derive(Default)]
pub(super) enum Holder {
    /// There can be none.
    #[default]
    Missing,
    /// It is to be started, with this listening socket.
    New(OwnedFd),
    /// It is there, and this is what a daemon before us left in it.
    Found(Heritage),
}

/// Opens every server that is configured, and a socket of ours where none is.
pub(super) fn open_doors(
    config: &Config,
    personality: Personality,
    notes: &mut Vec<Note>,
) -> Result<Doors, Refusal> {
    let mut doors = Doors::default();
    notes.extend(config.rpc_interfaces.iter().map(|name| {
        let text = format!("RPC interface '{name}' initialized");
        Note::lasting(LogLevel::Info, text)
    }));
    let mut unix = 0;
    for server in &config.servers {
        let ServerConfig {
            section,
            address,
            credentials,
        } = server;
        match address {
            ServerAddress::Unix { .. } => {
                unix += 1;
                open_unix(&mut doors, server.clone(), personality, notes)?;
                if credentials.is_none() {
                    notes.push(without_authentication(section));
                }
            }
            ServerAddress::Inet { .. } => {
                doors.listeners.push(bind_inet(server, personality, notes)?);
                doors.servers.push(server.clone());
                if credentials.is_none() {
                    notes.push(without_authentication(section));
                }
            }
        }
    }
    if unix == 0 {
        let path = config::default_socket(&RealHost::default());
        if let Some(directory) = path.parent() {
            make_private_directory(directory)
                .map_err(|error| format!("{}: {error}", directory.display()))?;
        }
        let server = ServerConfig {
            section: "unix_http_server".to_owned(),
            address: ServerAddress::Unix {
                path: path.clone(),
                mode: 0o700,
                owner: (None, None),
            },
            credentials: None,
        };
        match (
            open_unix(&mut doors, server, personality, notes),
            personality,
        ) {
            (Ok(()), _) => {}
            (Err(refusal), Personality::Appctl) => return Err(refusal),
            // Supervisor runs without a socket too; ours is an extra that must not refuse it.
            (Err(_), Personality::Supervisord) => notes.push(Note::lasting(
                LogLevel::Warn,
                format!("no control socket: {} is in use", path.display()),
            )),
        }
    }
    Ok(doors)
}

/// Makes the directory of the default socket, for us alone; it must not belong to somebody else.
fn make_private_directory(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    match std::fs::DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    let owner = std::fs::symlink_metadata(directory)?.uid();
    if owner != rustix::process::geteuid().as_raw() && owner != 0 {
        return Err(io::Error::other("the directory belongs to another user"));
    }
    Ok(())
}

fn open_unix(
    doors: &mut Doors,
    server: ServerConfig,
    personality: Personality,
    notes: &mut Vec<Note>,
) -> Result<(), Refusal> {
    let ServerAddress::Unix { path, mode, owner } = &server.address else {
        return Ok(());
    };
    let words = |refused: ListenError| unix_refusal(&refused, personality);
    let lock = take_lock(path, personality).map_err(words)?;
    let holder = find_holder(path, notes)?;
    // With the lock held, whatever socket can be taken is one that nobody serves.
    let stale = std::fs::symlink_metadata(path).is_ok();
    let bound = listener::bind_unix(path, *mode, *owner).map_err(words)?;
    if stale && personality == Personality::Supervisord {
        eprintln!("Unlinking stale socket {}", path.display());
    }
    doors.holder = holder;
    doors.lock.get_or_insert(lock);
    doors.listeners.push(bound);
    doors.servers.push(server);
    Ok(())
}

/// In whose words a unix socket cannot be opened.
fn unix_refusal(refused: &ListenError, personality: Personality) -> String {
    match (refused, personality) {
        (ListenError::System { error, .. }, Personality::Supervisord) => no_server(error),
        (ListenError::AlreadyRunning { .. }, Personality::Supervisord) => {
            no_server(&io::ErrorKind::AddrInUse.into())
        }
        (ListenError::PathTooLong(_), Personality::Supervisord) => {
            "Cannot open an HTTP server: socket.error reported AF_UNIX path too long".to_owned()
        }
        _ => refused.to_string(),
    }
}

/// Opens a server that a reload brought. A unix socket has no lock of its own: whoever wants the
/// path finds that somebody answers there.
pub(super) fn open_another(
    server: &ServerConfig,
    personality: Personality,
    notes: &mut Vec<Note>,
) -> Result<OwnedFd, String> {
    match &server.address {
        ServerAddress::Unix { path, mode, owner } => listener::bind_unix(path, *mode, *owner)
            .map_err(|refused| unix_refusal(&refused, personality)),
        ServerAddress::Inet { .. } => bind_inet(server, personality, notes),
    }
}

/// Takes the lock of the instance. A daemon that holds it and serves nobody is about to end: whoever
/// stops one and starts the next need not wait in between.
fn take_lock(socket: &Path, personality: Personality) -> Result<OwnedFd, ListenError> {
    let (until, mut told) = (
        Instant::now() + END_TIME,
        personality != Personality::Appctl,
    );
    loop {
        match listener::lock_instance(socket) {
            Err(refused @ ListenError::AlreadyRunning { .. })
                if !listener::is_served(socket) && Instant::now() < until =>
            {
                if !std::mem::replace(&mut told, true) {
                    eprintln!("appctl: {refused}, but serves nobody: waiting for its end");
                }
                thread::sleep(LOOK_INTERVAL);
            }
            taken => return taken,
        }
    }
}

/// With the lock held: whoever held it before is dead, and may have left programs that live.
fn find_holder(socket: &Path, notes: &mut Vec<Note>) -> Result<Holder, Refusal> {
    let path = listener::holder_path(socket);
    let found = keeper::claim(&path).map_err(|error| {
        format!(
            "{}: taking over from a daemon that was killed: {error}; its programs may live",
            path.display()
        )
    })?;
    if let Some(heritage) = found {
        return Ok(Holder::Found(heritage));
    }
    Ok(match listener::bind_packets(&path) {
        Ok(listener) => Holder::New(listener),
        Err(error) => {
            notes.push(Note::once(
                LogLevel::Warn,
                format!(
                    "{error}: should keeper and brain be killed together, programs will lose \
                     their output"
                ),
            ));
            Holder::Missing
        }
    })
}

pub(super) fn without_authentication(section: &str) -> Note {
    let text = format!("Server '{section}' running without any HTTP authentication checking");
    Note::of_servers(LogLevel::Critical, text)
}

/// Opens a TCP port. Without a password it is not served beyond this machine, unless the
/// configuration insists: whoever reaches it could start and stop everything.
fn bind_inet(
    server: &ServerConfig,
    personality: Personality,
    notes: &mut Vec<Note>,
) -> Result<OwnedFd, String> {
    let ServerAddress::Inet {
        host,
        port,
        allow_unauthenticated,
    } = &server.address
    else {
        return Err(format!("[{}] is no port", server.section));
    };
    let section = &server.section;
    let words = |error: io::Error| match personality {
        Personality::Supervisord => no_server(&error),
        Personality::Appctl => format!("[{section}] port {host}:{port}: {error}"),
    };
    let everywhere = if host.is_empty() { "0.0.0.0" } else { host };
    let mut addresses: Vec<SocketAddr> = (everywhere, *port)
        .to_socket_addrs()
        .map_err(words)?
        .collect();
    // As Supervisor, which knows no other, by IPv4 where a name has both.
    ordered::sort_by_key(&mut addresses, SocketAddr::is_ipv6);
    let exposed = addresses.iter().any(|address| !address.ip().is_loopback());
    if exposed && server.credentials.is_none() && !allow_unauthenticated {
        let loopback: IpAddr = match addresses.first() {
            Some(SocketAddr::V6(_)) => Ipv6Addr::LOCALHOST.into(),
            _ => Ipv4Addr::LOCALHOST.into(),
        };
        addresses = vec![SocketAddr::from((loopback, *port))];
        notes.push(Note::of_servers(
            LogLevel::Critical,
            format!(
                "[{section}] has no password: port {port} is served on {} only; set username and \
                 password, or allow_unauthenticated=true",
                loopback
            ),
        ));
    }
    let listener = TcpListener::bind(&addresses[..]).map_err(words)?;
    Ok(listener.into())
}

/// Supervisor's words for a socket that cannot be opened.
fn no_server(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "Another program is already listening on a port that one of \
             our HTTP servers is configured to use.  Shut this program down first before starting \
             supervisord."
            .to_owned(),
        _ => match error.raw_os_error() {
            Some(number) => format!(
                "Cannot open an HTTP server: socket.error reported errno.{} ({number})",
                errno_name(error)
            ),
            None => format!("Cannot open an HTTP server: socket.error reported {error}"),
        },
    }
}
