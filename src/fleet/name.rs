//! Names of processes and groups, and the ways to select several of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A process within the fleet. Never used again once its group was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcessId(pub u32);

/// `group:process`; shown as the bare name where both are the same (Supervisor's rule).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessName {
    /// Name of the group.
    pub group: String,
    /// Name within the group.
    pub process: String,
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group == self.process {
            f.write_str(&self.process)
        } else {
            write!(f, "{}:{}", self.group, self.process)
        }
    }
}

/// What a person typed to name processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// `all`.
    All,
    /// `group:*` or `group:`.
    Group(String),
    /// `name` or `group:name`.
    Process(ProcessName),
    /// Anything else with `*`, `?` or `[`: matched against the shown name and `group:process`.
    Glob(String),
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::All => f.write_str("all"),
            Selector::Group(group) => write!(f, "{group}:*"),
            Selector::Process(name) => name.fmt(f),
            Selector::Glob(pattern) => f.write_str(pattern),
        }
    }
}
