//! The boot phase: one thread, before keeper and brain exist. Reads the configuration and
//! refuses a broken one; takes the lock and the sockets; sets limits, user, mask and directory;
//! goes to the background; then becomes the keeper.
//!
//! Order matters. Nothing on disk is touched before the lock is ours, so a second daemon can do
//! no harm; limits are raised while we still may; privileges are dropped before anything is
//! created, and failing to drop them is fatal.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::pipe::{PipeFlags, pipe_with};

use super::detach;
use super::doors::{Doors, Holder, open_doors};
use super::options::{BootOptions, Personality};
use super::settings::{Note, Settings};
use crate::config::{self, Config, Diagnostics, Host, LogLevel, MainLogTarget, RealHost, Source};
use crate::keeper::{self, Estate, Ledger, ParkKey};
use crate::launch;

/// Why the daemon does not start: what a person reads.
pub(super) enum Refusal {
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
    let host = RealHost::default();
    let started_in = host.current_dir();
    check_flags(options, &host)?;
    if ready.is_none() {
        warn_of_search_as_root(options);
    }
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
    let ready = detached.then_some(ready).flatten();
    become_daemon(options, config, (started_in, file), ready)
}

/// The rest, in the process that stays. `ready`: it is in the background.
fn become_daemon(
    options: &BootOptions,
    config: Config,
    (started_in, file): (PathBuf, Option<PathBuf>),
    ready: Option<OwnedFd>,
) -> Result<ExitCode, Refusal> {
    let detached = ready.is_some();
    let mut notes = Vec::new();
    let supervisord = &config.supervisord;
    let (child_limits, lines) = launch::raise_limits(supervisord.minfds, supervisord.minprocs)?;
    notes.extend(
        lines
            .into_iter()
            .map(|text| Note::once(LogLevel::Info, text)),
    );
    drop_privileges(&config, &mut notes)?;
    let doors = match options.single {
        Some(_) => Doors::default(),
        None => open_doors(&config, options.personality, &mut notes)?,
    };
    // Supervisor leaves mask and directory alone in the foreground, and files depend on it.
    let settles = detached || options.personality == Personality::Appctl;
    if settles {
        if options.personality == Personality::Supervisord {
            begin_log(&supervisord.logfile);
        }
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(supervisord.umask));
    }
    if detached {
        let text = "daemonizing the supervisord process".to_owned();
        notes.push(Note::once(LogLevel::Info, text));
    }
    if let Some(directory) = supervisord.directory.as_ref().filter(|_| settles) {
        let note = match std::env::set_current_dir(directory) {
            Ok(()) => Note::once(
                LogLevel::Info,
                format!("set current directory: '{}'", directory.display()),
            ),
            Err(error) => Note::once(
                LogLevel::Critical,
                format!(
                    "can't chdir into '{0}': {1}: '{0}'",
                    directory.display(),
                    as_python(&error)
                ),
            ),
        };
        notes.push(note);
    }
    let settings = Settings {
        options: options.clone(),
        started_in,
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

/// The first value on the command line that cannot be is told before anything is looked for. Who
/// the user is, Supervisor asks later.
fn check_flags(options: &BootOptions, host: &RealHost) -> Result<(), Refusal> {
    for flag in options.overrides.iter().filter(|it| it.option != "user") {
        let alone = Source {
            file: None,
            overrides: vec![flag.clone()],
            single: None,
        };
        config::load(host, &alone).map_err(Refusal::Configuration)?;
    }
    Ok(())
}

/// Whoever may write where the file is looked for could have root run anything.
fn warn_of_search_as_root(options: &BootOptions) {
    if options.personality == Personality::Supervisord
        && options.config.is_none()
        && rustix::process::geteuid().is_root()
    {
        eprintln!(
            "UserWarning: Supervisord is running as root and it is searching for its \
             configuration file in default locations (including its current working directory); \
             you probably want to specify a \"-c\" argument specifying an absolute path to a \
             configuration file for improved security."
        );
    }
}

/// Supervisor opens its log before it sets the mask, and others may read it then. One that cannot
/// be opened is the log plane's trouble.
fn begin_log(log: &MainLogTarget) {
    if let MainLogTarget::File(path) = log {
        let _ = std::fs::File::options()
            .append(true)
            .create(true)
            .open(path);
    }
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
            let text = format!("Set uid to user {} succeeded", user.uid);
            notes.push(Note::lasting(LogLevel::Info, text));
        }
        None if is_root => notes.push(Note::lasting(
            LogLevel::Critical,
            "Supervisor is running as root.  Privileges were not dropped because no user is \
             specified in the config file.  If you intend to run as root, you can set user=root \
             in the config file to avoid this message."
                .to_owned(),
        )),
        None => {}
    }
    Ok(())
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

/// An error of the system as Python shows it: `[Errno 13] Permission denied`.
fn as_python(error: &io::Error) -> String {
    let number = error.raw_os_error().unwrap_or_default();
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or_default();
    format!("[Errno {number}] {words}")
}

/// Supervisor's two lines.
fn usage_error(argv0: &str, text: &str) {
    eprintln!("Error: {text}\nFor help, use {argv0} -h");
}
