//! What a child would have of this process that a program must not have. It does not change while
//! the daemon runs, so it is read once and not for each start.

use super::limits::oom_score_adj;
use super::mask;

/// What has to be undone in a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inherited {
    /// How ready this process is to be killed when memory is short; `None` without `/proc`.
    pub(super) oom_score_adj: Option<i32>,
    /// Signals that are caught or ignored here.
    pub(super) signals: Vec<i32>,
}

impl Inherited {
    /// Reads it.
    pub(super) fn read() -> Inherited {
        Inherited {
            oom_score_adj: oom_score_adj(),
            signals: mask::not_default(),
        }
    }
}
