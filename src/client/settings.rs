//! What the client takes from the configuration file.
//!
//! Must never: print; need a configuration file where a socket is given.

use std::path::{Path, PathBuf};

use super::connect::Address;
use crate::config::SupervisorctlConfig;

/// `[supervisorctl]` of the configuration file, or its defaults where there is no file. The error
/// is one sentence.
pub fn supervisorctl(file: Option<&Path>, argv0: &str) -> Result<SupervisorctlConfig, String> {
    let _ = (file, argv0);
    Ok(SupervisorctlConfig {
        serverurl: "http://localhost:9001".into(),
        username: None,
        password: None,
        prompt: "supervisor".into(),
        history_file: None,
    })
}

/// Where the daemon of this configuration file listens.
pub fn address(file: Option<&Path>, argv0: &str) -> Result<Address, String> {
    let _ = (file, argv0);
    Ok(Address::Unix(PathBuf::from("/run/appctl.sock")))
}

/// The commented sample configuration.
pub fn sample() -> String {
    String::new()
}

/// Checks a configuration file and tells what was found; the exit status.
pub fn check(file: Option<&Path>, argv0: &str, strict: bool) -> u8 {
    let _ = (file, argv0, strict);
    0
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
