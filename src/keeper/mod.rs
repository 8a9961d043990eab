//! The keeper: the pid people see. It outlives brains.
//!
//! One thread, no async, no configuration, no disk but its lock. It is child subreaper; records
//! the exit of every orphan before reaping it; parks descriptors; holds the instance lock and the
//! intent to stop; starts the brain and starts it again when it dies.
//!
//! ```text
//!  boot ── become_keeper ──▶ keeper ── exec of the same binary ──▶ brain
//!            (exec)            │ ▲                                   │
//!                              │ └── park, acknowledge, ready, leave ┘
//!                              └──── exits, signals ────────────────▶
//! ```
//!
//! What the next process needs is written into a [`will`] and its descriptors are inherited over
//! exec; the link between keeper and brain carries only what changes.
//!
//! Must never: read configuration, touch logs, talk to clients, write to its standard error once
//! a brain was ready (nobody may be reading it).

use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

mod binaries;
pub mod blob;
mod brain;
mod exits;
mod hold;
mod holder;
pub mod ledger;
mod link;
mod message;
mod packet;
mod park;
mod reaping;
mod respawn;
mod run;
pub mod slate;
mod upgrade;
mod watch;
mod will;
mod wishes;

pub use hold::{Heritage, claim, start_holder};
pub use holder::run_if_holder;
pub use ledger::Ledger;
pub use link::{Link, link_if_brain};
pub use run::run_if_keeper;
pub use slate::Slate;
pub use upgrade::{Precedent, Proposal, precedent_if_candidate};
pub use watch::Watch;
pub use will::become_keeper;

/// Names a parked descriptor over brains. Old keepers know the order: new keys go to the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ParkKey {
    /// The settings the daemon was started with (memfd).
    Settings,
    /// What the brain applied: groups and ids (memfd, replaced as a whole).
    Structure,
    /// The ledger of processes (memfd of slots).
    Ledger,
    /// Staging pipe, read end.
    StagingRead,
    /// Staging pipe, write end.
    StagingWrite,
    /// Whose bytes the staging pipe holds (memfd).
    StagingOwner,
    /// Main log pipe, read end.
    MainLogRead,
    /// Main log pipe, write end.
    MainLogWrite,
    /// A listening socket, by number.
    Listener(u32),
    /// A program's standard input (our write end), by launch number.
    Stdin(u64),
    /// A program's standard output (our read end), by launch number.
    Stdout(u64),
    /// A program's standard error (our read end), by launch number.
    Stderr(u64),
    /// The connection to the holder.
    Holder,
    /// The holder's listening socket, for a holder that has to be started again.
    HolderListener,
    /// What is known of event listeners: one copy of the slate (memfd).
    EventsEven,
    /// The other copy (memfd).
    EventsOdd,
    /// The listening socket of a FastCGI program, by the process it was opened for.
    FastCgi(u32),
    /// The connection of a client that wants to know how an upgrade came out.
    Asker,
}

impl ParkKey {
    /// Whether it is to outlive the keeper as well. Sockets are not: a client must be told that
    /// nobody serves, not wait. Settings are made anew by the next boot phase.
    pub(super) fn outlives_keeper(self) -> bool {
        !matches!(
            self,
            ParkKey::Settings | ParkKey::Listener(_) | ParkKey::Holder | ParkKey::Asker
        )
    }
}

/// An orphan that ended in the keeper's care: a program of an earlier brain, or a process that a
/// program left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Its pid.
    pub pid: i32,
    /// Its start time in clock ticks since boot; 0 if it could not be read.
    pub start_time: u64,
    /// How it ended.
    pub status: crate::fleet::ExitStatus,
}

/// A signal that the daemon received: TERM, INT, QUIT, HUP, USR1 or USR2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalNotice {
    /// Number.
    pub number: u8,
    /// Pid of the sender, 0 if it was the kernel (a terminal).
    pub pid: i32,
    /// User id of the sender.
    pub uid: u32,
}

/// What the keeper tells the brain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromKeeper {
    /// An orphan ended. To be acknowledged, whoever it was.
    Exited(ExitRecord),
    /// The daemon received a signal. A signal to stop is told to every brain that follows as well.
    Signal(SignalNotice),
    /// The keeper has no room for these descriptors: they will not outlive this brain.
    NotParked(Vec<ParkKey>),
    /// The keeper is gone.
    Gone,
}

/// What a brain finds when it starts.
#[derive(Debug)]
pub struct Inheritance {
    /// Which brain of this keeper it is, from 1.
    pub incarnation: u32,
    /// Every parked descriptor.
    pub parked: Vec<(ParkKey, OwnedFd)>,
    /// Exits that no brain has acknowledged yet.
    pub exits: Vec<ExitRecord>,
    /// The keeper's pid.
    pub keeper_pid: i32,
    /// What it is to do besides.
    pub duty: Duty,
}

/// What a brain is to do besides what every brain does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Duty {
    /// Brains died in a row: look after what runs and answer, but change nothing.
    pub safe_mode: bool,
    /// How an upgrade came out, the reason if it did not; until [`ParkKey::Asker`] is unparked.
    pub upgrade: Option<Result<(), String>>,
}

/// What the boot phase leaves to the keeper.
#[derive(Debug)]
pub struct Estate {
    /// Descriptors to park from the start (settings, listeners, …).
    pub parked: Vec<(ParkKey, OwnedFd)>,
    /// Held for as long as the keeper lives.
    pub lock: Option<OwnedFd>,
    /// Gets one byte when the first brain is ready, then is closed.
    pub ready: Option<OwnedFd>,
    /// In the background: once ready, the standard descriptors of whoever started us are closed.
    pub detached: bool,
}
