//! What a child has of this process: what a program must not have, and the environment. It does not
//! change while the daemon runs, so it is read once and not for each start.

use std::ffi::OsString;

use super::environment;
use super::limits::oom_score_adj;
use super::mask;

/// What has to be undone in a child, and what it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inherited {
    /// How ready this process is to be killed when memory is short; `None` without `/proc`.
    pub(super) oom_score_adj: Option<i32>,
    /// Signals that are caught or ignored here.
    pub(super) signals: Vec<i32>,
    /// What of our environment is for programs.
    pub(super) environment: Vec<(OsString, OsString)>,
}

impl Inherited {
    /// Reads it.
    pub(super) fn read() -> Inherited {
        Inherited {
            oom_score_adj: oom_score_adj(),
            signals: mask::not_default(),
            environment: environment::for_programs(std::env::vars_os()),
        }
    }
}
