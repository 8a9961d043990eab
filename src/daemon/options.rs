//! What a command line says about how to start the daemon. Plain data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::{Override, Single};
use crate::fleet::EndWhen;

/// How to start the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootOptions {
    /// The name this was called by, as given: Supervisor looks for its file beside it, and its
    /// errors name it.
    pub argv0: String,
    /// As whom it was called.
    pub personality: Personality,
    /// `-c`: the configuration file; `None`: look at the default places.
    pub config: Option<PathBuf>,
    /// `appctl daemon --detach`: go to the background once everything listens. `None` leaves it
    /// to `nodaemon` of the configuration and its override.
    pub detach: Option<bool>,
    /// Options of `[supervisord]` given on the command line, in order. They win over the file.
    pub overrides: Vec<Override>,
    /// When to end without being asked.
    pub exit_when: Option<EndWhen>,
    /// Supervise this program instead of those of a file, and listen nowhere.
    pub single: Option<Single>,
}

/// Whose habits to follow in messages and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Personality {
    /// `appctl daemon`.
    Appctl,
    /// `supervisord`.
    Supervisord,
}
