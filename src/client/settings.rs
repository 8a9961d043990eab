//! What the client takes from the configuration file.
//!
//! Must never: print; need a configuration file where a socket is given.

use std::path::{Path, PathBuf};

use super::connect::Address;
use super::output;
use crate::config::{self, Diagnostics, Host, RealHost, Severity, Source, SupervisorctlConfig};

/// `appctl check`: no problem.
const GOOD: u8 = 0;
/// `appctl check`: the file cannot be used, or has warnings under `--strict`.
const BROKEN: u8 = 1;
/// `appctl check`: there is no file to check.
const NO_FILE: u8 = 2;

/// `[supervisorctl]` of the configuration file, or its defaults where there is no file. The error
/// is one sentence.
pub fn supervisorctl(file: Option<&Path>, argv0: &str) -> Result<SupervisorctlConfig, String> {
    let host = RealHost::default();
    let file = find(file, argv0, &host)?;
    config::load_supervisorctl(&host, file.as_deref()).map_err(|diagnostics| sentence(&diagnostics))
}

/// Where the daemon of this configuration file listens: the first unix socket of the file, else the
/// one that `[supervisorctl]` names, else the default that the daemon computes as well.
pub fn address(file: Option<&Path>, argv0: &str) -> Result<Address, String> {
    let host = RealHost::default();
    let Some(file) = find(file, argv0, &host)? else {
        return Ok(Address::Unix(config::default_socket(&host)));
    };
    let first = config::first_socket(&host, &file).map_err(|diagnostics| sentence(&diagnostics))?;
    let named = || {
        let config = config::load_supervisorctl(&host, Some(&file)).ok()?;
        let path = config.serverurl.strip_prefix("unix://")?;
        Some(PathBuf::from(path))
    };
    let socket = first.or_else(named);
    Ok(Address::Unix(
        socket.unwrap_or_else(|| config::default_socket(&host)),
    ))
}

/// The commented sample configuration.
pub fn sample() -> String {
    config::sample()
}

/// Checks a configuration file and tells what was found; the exit status.
pub fn check(file: Option<&Path>, argv0: &str, strict: bool) -> u8 {
    let host = RealHost::default();
    let file = match find(file, argv0, &host) {
        Ok(Some(file)) => file,
        Ok(None) => {
            output::complain("appctl: there is no configuration file at the default paths");
            return NO_FILE;
        }
        Err(reason) => {
            output::complain(&format!("appctl: {reason}"));
            return NO_FILE;
        }
    };
    let source = Source {
        single: None,
        file: Some(file.clone()),
        overrides: Vec::new(),
    };
    let (notices, broken) = match config::load(&host, &source) {
        Ok(loaded) => (loaded.notices, false),
        Err(diagnostics) => (diagnostics.into_vec(), true),
    };
    let mut warned = false;
    for notice in config::by_place(&notices)
        .into_iter()
        .filter(|notice| notice.severity != Severity::Info)
    {
        warned = true;
        output::text(&format!("{notice}\n"));
    }
    if broken || warned && strict {
        return BROKEN;
    }
    output::text(&format!("{}: ok\n", file.display()));
    GOOD
}

/// The file to read: as given, or the first of the default places that exists.
fn find(given: Option<&Path>, argv0: &str, host: &dyn Host) -> Result<Option<PathBuf>, String> {
    match given {
        Some(file) if !host.exists(file) => {
            Err(format!("could not find config file {}", file.display()))
        }
        Some(file) => Ok(Some(
            std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf()),
        )),
        None => {
            let found = config::search::candidates(argv0)
                .into_iter()
                .find(|path| host.exists(path));
            Ok(found.map(|path| std::path::absolute(&path).unwrap_or(path)))
        }
    }
}

fn sentence(diagnostics: &Diagnostics) -> String {
    diagnostics
        .supervisor_error()
        .unwrap_or_else(|| diagnostics.to_string())
}

/// Where the shell of `appctl` keeps its history: `$XDG_STATE_HOME/appctl/history`, or below
/// `~/.local/state`; `None` without a home.
pub fn history() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let state =
        absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    let directory = state.join("appctl");
    std::fs::create_dir_all(&directory).ok()?;
    Some(directory.join("history"))
}
