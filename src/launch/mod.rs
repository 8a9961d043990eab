//! Starting, adopting, watching, signalling and reaping programs: the door to the kernel.
//!
//! Nearly all `unsafe` of the crate is here, each block with the argument why it is sound.
//!
//! Kernel floor: 5.4 (`pidfd_open`, `waitid` on a pidfd). Newer calls have a fallback where they
//! are used: `close_range` (5.9) and signalling a group by pidfd (6.9).
//!
//! Must never: decide whether something should be started or killed.

mod accounts;
mod birth;
mod cgroup;
mod child;
mod clock;
mod command;
mod deaths;
mod descriptors;
mod entrance;
mod environment;
mod failure;
mod foreign;
mod heap;
mod inherited;
mod intent;
mod launcher;
mod limits;
mod living;
mod mask;
mod oom;
mod orphans;
mod peer;
mod signal;
mod spawn;
mod stage;
mod stat;
mod tree;
mod wait;

pub use accounts::drop_privileges;
pub use birth::{BIRTH_NOTE_LENGTH, BirthNote, Cradle};
pub use cgroup::{Cgroup, Cgroups};
pub use clock::{now, until};
pub use deaths::Deaths;
pub use foreign::foreign_exit;
pub use heap::{give_back_memory, share_one_heap};
pub use intent::{find_noted, find_started, pipe_inode};
pub use launcher::{Begun, Launcher};
pub use limits::{Limits, raise_limits};
pub use living::{Living, adopt, peak_memory, peek_exit, reap};
pub use oom::OomKills;
pub use orphans::has_no_orphans;
pub use peer::{Peer, peer_of};
pub use signal::kill;
pub use spawn::{ChildEnds, Membership, check_command, spawn};
pub use stat::ProcessStat;
pub use tree::{Marks, Member, Push, Round, sweep};

pub(crate) use descriptors::{close_on_exec_from, let_go_of_terminal};
pub(crate) use environment::ROLE_VARIABLE;
pub(crate) use limits::{oom_score_adj, set_oom_score_adj};
pub(crate) use mask::{SignalMask, SignalSet, SignalSource, reset_disposition};
pub(crate) use wait::{Ended, peek_any, reap_pid};
