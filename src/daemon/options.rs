//! What the command line says about the daemon, before any file is read.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::Overrides;

/// As which program the daemon was called. It decides words, defaults and exit codes only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Personality {
    /// `appctl daemon`.
    Appctl,
    /// A link named `supervisord`.
    Supervisord,
}

/// The command line of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootOptions {
    /// As which program it was called.
    pub personality: Personality,
    /// `argv[0]` as given.
    pub argv0: String,
    /// `-c`.
    pub config: Option<PathBuf>,
    /// Go to the background: `Some` when the command line says so, else the file decides
    /// (`nodaemon`) for `supervisord`, and the foreground is the default of `appctl daemon`.
    pub detach: Option<bool>,
    /// Flags that override options of `[supervisord]`.
    pub overrides: Overrides,
}
