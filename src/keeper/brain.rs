//! Starting a brain, and what the keeper knows of the one that lives.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::exits::Exits;
use super::packet::link_pair;
use super::park::Park;
use super::will::{Heir, OWN_BINARY, Will, own_name, set_inherited};
use super::wishes::WISHES;
use crate::fleet::Stamp;
use crate::launch::{ROLE_VARIABLE, SignalMask, SignalSet, set_oom_score_adj};

/// What ps shows for it, before the arguments of the daemon.
const NAME: &str = "appctl: brain";

/// How long a brain may live on after it closed the link.
const LINK_CLOSED_MAX: Duration = Duration::from_secs(5);

/// How long a brain may take to end after it said that it leaves.
const LEAVE_MAX: Duration = Duration::from_secs(30);

/// How brains are started: the same for all of one keeper.
#[derive(Debug)]
pub(super) struct Birth {
    /// Our own binary, held open: it starts whatever became of the file.
    binary: Option<File>,
    /// `oom_score_adj` for brains, as text; `None`: as the keeper's own.
    oom_score_adj: Option<Vec<u8>>,
}

/// The brain at hand.
#[derive(Debug)]
pub(super) struct Brain {
    pub(super) pid: i32,
    /// Closed (`None`) when the brain closed its end.
    pub(super) link: Option<OwnedFd>,
    /// When it said that it serves.
    pub(super) ready_since: Option<Stamp>,
    /// The code it left with.
    pub(super) leaving: Option<u8>,
    /// When it is killed, unless it ends before.
    pub(super) kill_at: Option<Stamp>,
}

impl Birth {
    pub(super) fn new(oom_score_adj: Option<i32>) -> Birth {
        Birth {
            binary: File::open(OWN_BINARY).ok(),
            oom_score_adj: oom_score_adj.map(|value| value.to_string().into_bytes()),
        }
    }

    /// Starts a brain that holds every parked descriptor.
    pub(super) fn start(
        &self,
        incarnation: u32,
        park: &Park,
        exits: &mut Exits,
    ) -> io::Result<Brain> {
        let (link, its_end) = link_pair()?;
        let will = Will {
            parked: park.numbers(),
            heir: Heir::Brain {
                link: its_end.as_raw_fd(),
                incarnation,
                keeper_pid: std::process::id().cast_signed(),
                exits: exits.tell_all(),
            },
        };
        let memfd = will.write()?;
        let announcement = will.announcement(&memfd);
        let descriptors = will.descriptors(&memfd);
        // Opened by number, because the file may be gone; by name only where there is no /proc.
        let mut binary = own_name();
        if let Some(file) = &self.binary {
            binary = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
        }
        let mut command = command(binary, descriptors, self.oom_score_adj.clone());
        let child = command.env(ROLE_VARIABLE, announcement).spawn()?;
        Ok(Brain {
            pid: child.id().cast_signed(),
            link: Some(link),
            ready_since: None,
            leaving: None,
            kill_at: None,
        })
    }
}

#[allow(unsafe_code)]
fn command(binary: OsString, descriptors: Vec<RawFd>, oom_score_adj: Option<Vec<u8>>) -> Command {
    let mut command = Command::new(binary);
    command.arg0(NAME).args(std::env::args_os().skip(1));
    let between_fork_and_exec = move || {
        for number in &descriptors {
            set_inherited(*number, true)?;
        }
        if let Some(value) = &oom_score_adj {
            // A brain that is killed early is better than none.
            let _ = set_oom_score_adj(value);
        }
        // A terminal or `pkill` signals the brain as well as the keeper. They are the keeper's
        // business: blocked, they do nothing here, and no thread of the brain has them open.
        SignalMask::set(SignalSet::of(&WISHES));
        Ok(())
    };
    // SAFETY: the closure makes only async-signal-safe calls, and the keeper has one thread.
    unsafe { command.pre_exec(between_fork_and_exec) };
    command
}

impl Brain {
    /// It said that it ends on purpose.
    pub(super) fn leaves(&mut self, code: u8, now: Stamp) {
        self.leaving = Some(code);
        self.kill_at = Some(now.after(LEAVE_MAX));
    }

    /// It closed the link, or the link is of no use any more.
    pub(super) fn link_closed(&mut self, now: Stamp) {
        self.link = None;
        self.kill_at.get_or_insert(now.after(LINK_CLOSED_MAX));
    }

    /// Kills it if its time is over.
    pub(super) fn kill_if_overdue(&mut self, now: Stamp) {
        if self.kill_at.is_none_or(|at| now < at) {
            return;
        }
        self.kill_at = None;
        // It is our child and only we reap it: the number is its own.
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
