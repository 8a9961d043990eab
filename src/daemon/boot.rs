//! The boot phase: one thread, before keeper and brain exist. Reads the configuration and
//! refuses a broken one; takes the lock and the sockets; sets limits, user, mask and directory;
//! goes to the background; then becomes the keeper.
//!
//! Order matters. Nothing on disk is touched before the lock is ours, so a second daemon can do
//! no harm; limits are raised while we still may; privileges are dropped before anything is
//! created, and failing to drop them is fatal.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rustix::pipe::{PipeFlags, pipe_with};

use super::detach;
use super::options::{BootOptions, Personality};
use super::settings::{Note, Settings};
use super::starts::errno_name;
use crate::config::{
    self, Config, Diagnostics, Host, LogLevel, RealHost, ServerAddress, ServerConfig, Source,
};
use crate::control::listener::{self, ListenError};
use crate::keeper::{self, Estate, Heritage, Ledger, ParkKey};
use crate::launch;

/// Why the daemon does not start: what a person reads.
enum Refusal {
    /// The configuration is broken.
    Configuration(Diagnostics),
    /// Anything else, in words.
    Reason(String),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Refusal {
        Refusal::Reason(reason)
    }
}

/// Starts the daemon. Returns only when it could not be started, or in the process that put it
/// into the background.
pub fn boot(options: BootOptions) -> ExitCode {
    match try_boot(&options) {
        Ok(code) => code,
        Err(refusal) => {
            explain(&options, refusal);
            ExitCode::from(2)
        }
    }
}

fn try_boot(options: &BootOptions) -> Result<ExitCode, Refusal> {
    let ready = detach::take_ready_pipe();
    let host = RealHost;
    let file = find_file(options, &host)?;
    let source = Source {
        file: file.clone(),
        overrides: options.overrides.clone(),
        single: options.single.clone(),
    };
    let config = config::load(&host, &source)
        .map_err(Refusal::Configuration)?
        .config;
    let detached = match options.personality {
        Personality::Appctl => options.detach.unwrap_or(false),
        Personality::Supervisord => !config.supervisord.nodaemon,
    };
    if detached && ready.is_none() {
        return detach::run_detached()
            .map_err(|error| Refusal::Reason(format!("cannot go to the background: {error}")));
    }
    // Whoever started us may wait for the end of a pipe that we would hold for ever. In the
    // foreground 3 and 4 stay, as in Supervisor: a log may be `/dev/fd/3`.
    let first = if detached { 3 } else { 5 };
    launch::close_on_exec_from(first)
        .map_err(|error| format!("letting go of the starter's descriptors: {error}"))?;
    become_daemon(options, config, file, detached.then_some(ready).flatten())
}

/// The rest, in the process that stays. `ready`: it is in the background.
fn become_daemon(
    options: &BootOptions,
    config: Config,
    file: Option<PathBuf>,
    ready: Option<OwnedFd>,
) -> Result<ExitCode, Refusal> {
    let detached = ready.is_some();
    let mut notes = Vec::new();
    let supervisord = &config.supervisord;
    let (child_limits, lines) = launch::raise_limits(supervisord.minfds, supervisord.minprocs)?;
    notes.extend(lines.into_iter().map(|text| Note {
        level: LogLevel::Info,
        text,
    }));
    drop_privileges(&config, &mut notes)?;
    // Supervisor leaves mask and directory alone in the foreground, and files depend on it.
    let settles = detached || options.personality == Personality::Appctl;
    if settles {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(supervisord.umask));
    }
    let doors = match options.single {
        Some(_) => Doors::default(),
        None => open_doors(&config, options.personality, &mut notes)?,
    };
    if let Some(directory) = supervisord.directory.as_ref().filter(|_| settles) {
        let note = match std::env::set_current_dir(directory) {
            Ok(()) => Note {
                level: LogLevel::Info,
                text: format!("set current directory: '{}'", directory.display()),
            },
            Err(error) => Note {
                level: LogLevel::Critical,
                text: format!("can't chdir into '{}': {error}", directory.display()),
            },
        };
        notes.push(note);
    }
    if detached {
        notes.push(Note {
            level: LogLevel::Info,
            text: "daemonizing the supervisord process".to_owned(),
        });
    }
    let settings = Settings {
        options: options.clone(),
        file,
        supervisord: config.supervisord,
        servers: doors.servers,
        configured_servers: config.servers,
        rpc_interfaces: config.rpc_interfaces,
        detached,
        child_limits,
        notes,
    };
    let parked = park(&settings, doors.listeners, doors.holder)
        .map_err(|error| Refusal::Reason(format!("preparing the keeper: {error}")))?;
    let error = keeper::become_keeper(Estate {
        parked,
        lock: doors.lock,
        ready,
        detached,
    });
    settings.remove_sockets();
    Err(Refusal::Reason(format!("starting the keeper: {error}")))
}

fn find_file(options: &BootOptions, host: &RealHost) -> Result<Option<PathBuf>, Refusal> {
    if options.single.is_some() {
        return Ok(None);
    }
    if let Some(given) = &options.config {
        let absolute = std::path::absolute(given)
            .map_err(|error| format!("could not find config file {}: {error}", given.display()))?;
        return match host.exists(&absolute) {
            true => Ok(Some(absolute)),
            false => Err(Refusal::Reason(format!(
                "could not find config file {}",
                given.display()
            ))),
        };
    }
    let candidates = config::search::candidates(&options.argv0);
    let found = candidates.iter().find(|path| host.exists(path));
    match (found, options.personality) {
        (Some(path), _) => Ok(Some(
            std::path::absolute(path).unwrap_or_else(|_| path.clone()),
        )),
        (None, Personality::Appctl) => Ok(None),
        (None, Personality::Supervisord) => {
            let paths: Vec<String> = candidates
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            Err(Refusal::Reason(format!(
                "No config file found at default paths ({}); use the -c option to specify a \
                 config file at a different path",
                paths.join(", ")
            )))
        }
    }
}

fn drop_privileges(config: &Config, notes: &mut Vec<Note>) -> Result<(), Refusal> {
    let is_root = rustix::process::geteuid().is_root();
    match &config.supervisord.user {
        Some(user) => {
            launch::drop_privileges(user)?;
            notes.push(Note {
                level: LogLevel::Info,
                text: format!("Set uid to user {} succeeded", user.uid),
            });
        }
        None if is_root => notes.push(Note {
            level: LogLevel::Critical,
            text: "Supervisor is running as root.  Privileges were not dropped because no user is \
                   specified in the config file.  If you intend to run as root, you can set \
                   user=root in the config file to avoid this message."
                .to_owned(),
        }),
        None => {}
    }
    Ok(())
}

/// The sockets we listen on.
#[derive(Default)]
struct Doors {
    listeners: Vec<OwnedFd>,
    servers: Vec<ServerConfig>,
    lock: Option<OwnedFd>,
    holder: Holder,
}

/// What keeps programs alive should keeper and brain be killed together.
#[derive(Default)]
enum Holder {
    /// There can be none.
    #[default]
    Missing,
    /// It is to be started, with this listening socket.
    New(OwnedFd),
    /// It is there, and this is what a daemon before us left in it.
    Found(Heritage),
}

fn open_doors(
    config: &Config,
    personality: Personality,
    notes: &mut Vec<Note>,
) -> Result<Doors, Refusal> {
    let mut doors = Doors::default();
    notes.extend(config.rpc_interfaces.iter().map(|name| Note {
        level: LogLevel::Info,
        text: format!("RPC interface '{name}' initialized"),
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
                open_inet(&mut doors, server.clone(), personality, notes)?;
                if credentials.is_none() {
                    notes.push(without_authentication(section));
                }
            }
        }
    }
    if unix == 0 {
        let path = config::default_socket(&RealHost);
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
            (Err(_), Personality::Supervisord) => notes.push(Note {
                level: LogLevel::Warn,
                text: format!("no control socket: {} is in use", path.display()),
            }),
        }
    }
    Ok(doors)
}

/// Makes the directory of the default socket, for us alone; it must not belong to somebody else.
fn make_private_directory(directory: &std::path::Path) -> io::Result<()> {
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
    let words = |refused: ListenError| match (&refused, personality) {
        (ListenError::System { error, .. }, Personality::Supervisord) => no_server(error),
        (ListenError::AlreadyRunning { .. }, Personality::Supervisord) => {
            no_server(&io::ErrorKind::AddrInUse.into())
        }
        _ => refused.to_string(),
    };
    let lock = listener::lock_instance(path).map_err(words)?;
    let holder = find_holder(path, notes)?;
    let bound = listener::bind_unix(path, *mode, *owner).map_err(words)?;
    doors.holder = holder;
    doors.lock.get_or_insert(lock);
    doors.listeners.push(bound);
    doors.servers.push(server);
    Ok(())
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
            notes.push(Note {
                level: LogLevel::Warn,
                text: format!(
                    "{error}: should keeper and brain be killed together, programs will lose \
                     their output"
                ),
            });
            Holder::Missing
        }
    })
}

fn without_authentication(section: &str) -> Note {
    Note {
        level: LogLevel::Critical,
        text: format!("Server '{section}' running without any HTTP authentication checking"),
    }
}

/// Opens a TCP port. Without a password it is not served beyond this machine, unless the
/// configuration insists: whoever reaches it could start and stop everything.
fn open_inet(
    doors: &mut Doors,
    server: ServerConfig,
    personality: Personality,
    notes: &mut Vec<Note>,
) -> Result<(), Refusal> {
    let ServerAddress::Inet {
        host,
        port,
        allow_unauthenticated,
    } = &server.address
    else {
        return Ok(());
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
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let exposed = addresses.iter().any(|address| !address.ip().is_loopback());
    if exposed && server.credentials.is_none() && !allow_unauthenticated {
        let loopback: IpAddr = match addresses.first() {
            Some(SocketAddr::V6(_)) => Ipv6Addr::LOCALHOST.into(),
            _ => Ipv4Addr::LOCALHOST.into(),
        };
        addresses = vec![SocketAddr::from((loopback, *port))];
        notes.push(Note {
            level: LogLevel::Critical,
            text: format!(
                "[{section}] has no password: port {port} is served on {} only; set username and \
                 password, or allow_unauthenticated=true",
                loopback
            ),
        });
    }
    let listener = TcpListener::bind(&addresses[..]).map_err(words)?;
    doors.listeners.push(listener.into());
    doors.servers.push(server);
    Ok(())
}

/// Supervisor's words for a socket that cannot be opened.
fn no_server(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "Another program is already listening on a port that one of \
             our HTTP servers is configured to use.  Shut this program down first before starting \
             supervisord."
            .to_owned(),
        _ => format!(
            "Cannot open an HTTP server: socket.error reported errno.{} ({})",
            errno_name(error),
            error.raw_os_error().unwrap_or_default()
        ),
    }
}

/// Everything a brain needs, in the keeper's hands from the start.
fn park(
    settings: &Settings,
    listeners: Vec<OwnedFd>,
    holder: Holder,
) -> io::Result<Vec<(ParkKey, OwnedFd)>> {
    let mut parked = match holder {
        Holder::Found(heritage) => heritage.parked,
        Holder::New(listener) => hold(listener)?,
        Holder::Missing => park_anew()?,
    };
    parked.push((ParkKey::Settings, settings.write()?));
    for (number, listener) in (0..).zip(listeners) {
        parked.push((ParkKey::Listener(number), listener));
    }
    Ok(parked)
}

/// What outlives the keeper, and a holder that sees to it.
fn hold(listener: OwnedFd) -> io::Result<Vec<(ParkKey, OwnedFd)>> {
    let mut parked = park_anew()?;
    parked.push((ParkKey::HolderListener, listener));
    let borrowed: Vec<_> = parked.iter().map(|(key, fd)| (*key, fd.as_fd())).collect();
    let connection = keeper::start_holder(&borrowed, true)?;
    parked.extend(connection.map(|connection| (ParkKey::Holder, connection)));
    Ok(parked)
}

fn park_anew() -> io::Result<Vec<(ParkKey, OwnedFd)>> {
    let (staging_read, staging_write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let (log_read, log_write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    Ok(vec![
        (ParkKey::Ledger, Ledger::create()?.into_memory()),
        (ParkKey::StagingRead, staging_read),
        (ParkKey::StagingWrite, staging_write),
        (ParkKey::StagingOwner, crate::logs::new_staging_owner()?),
        (ParkKey::MainLogRead, log_read),
        (ParkKey::MainLogWrite, log_write),
    ])
}

fn explain(options: &BootOptions, refusal: Refusal) {
    match (refusal, options.personality) {
        (Refusal::Configuration(diagnostics), Personality::Appctl) => eprint!("{diagnostics}"),
        (Refusal::Configuration(diagnostics), Personality::Supervisord) => {
            let text = diagnostics.supervisor_error().unwrap_or_default();
            usage_error(&options.argv0, &text);
        }
        (Refusal::Reason(reason), Personality::Appctl) => eprintln!("appctl: {reason}"),
        (Refusal::Reason(reason), Personality::Supervisord) => {
            usage_error(&options.argv0, &reason);
        }
    }
}

/// Supervisor's two lines.
fn usage_error(argv0: &str, text: &str) {
    eprintln!("Error: {text}\nFor help, use {argv0} -h");
}
