//! Starting a brain, and what the keeper knows of the one that lives.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::Duty;
use super::binaries::Binaries;
use super::exits::Exits;
use super::packet::link_pair;
use super::park::Park;
use super::will::{Heir, Will, own_name, set_inherited};
use super::wishes::WISHES;
use crate::fleet::Stamp;
use crate::launch::{ProcessStat, ROLE_VARIABLE, SignalMask, SignalSet, now, set_oom_score_adj};

/// What ps shows for it, before the arguments of the daemon.
const NAME: &str = "appctl: brain";

/// How long a brain may live on after it closed the link.
const LINK_CLOSED_MAX: Duration = Duration::from_secs(5);

/// How long a brain may take to end after it said that it leaves.
const LEAVE_MAX: Duration = Duration::from_secs(30);

/// How long a brain that was stopped by a signal may stay so.
const STOPPED_MAX: Duration = Duration::from_secs(5);

/// How long a candidate may take until it serves.
const TRIAL_MAX: Duration = Duration::from_secs(10);

/// How long any other brain may take; it may have thousands of programs to find again.
const START_MAX: Duration = Duration::from_secs(60);

/// How brains are started: the same for all of one keeper.
#[derive(Debug)]
pub(super) struct Birth {
    pub(super) binaries: Binaries,
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
    /// Rings when a turn takes too long.
    pub(super) watch: Option<OwnedFd>,
    /// When it is killed, unless it serves before. The first one has all the time there is: who
    /// started the daemon looks on.
    serve_by: Option<Stamp>,
    /// When it is killed, unless it goes on before.
    go_on_by: Option<Stamp>,
    /// When it is killed, unless it ends before.
    pub(super) kill_at: Option<Stamp>,
}

impl Birth {
    pub(super) fn new(oom_score_adj: Option<i32>) -> Birth {
        Birth {
            binaries: Binaries::own(),
            oom_score_adj: oom_score_adj.map(|value| value.to_string().into_bytes()),
        }
    }

    /// Starts a brain that holds every parked descriptor.
    pub(super) fn start(
        &self,
        incarnation: u32,
        park: &Park,
        exits: &mut Exits,
        safe_mode: bool,
    ) -> io::Result<Brain> {
        let (link, its_end) = link_pair()?;
        let will = Will {
            parked: park.numbers(),
            heir: Heir::Brain {
                link: its_end.as_raw_fd(),
                incarnation,
                keeper_pid: std::process::id().cast_signed(),
                exits: exits.tell_all(),
                duty: Duty {
                    safe_mode,
                    upgrade: self.binaries.outcome(),
                },
            },
        };
        let memfd = will.write()?;
        let announcement = will.announcement(&memfd);
        let descriptors = will.descriptors(&memfd);
        // Opened by number, because the file may be gone; by name only where there is no /proc.
        let mut binary = own_name();
        if let Some(number) = self.binaries.next() {
            binary = format!("/proc/self/fd/{number}").into();
        }
        let mut command = command(binary, descriptors, self.oom_score_adj.clone());
        let child = command.env(ROLE_VARIABLE, announcement).spawn()?;
        let most = match self.binaries.on_trial() {
            true => TRIAL_MAX,
            false => START_MAX,
        };
        Ok(Brain {
            pid: child.id().cast_signed(),
            link: Some(link),
            ready_since: None,
            leaving: None,
            watch: None,
            serve_by: (incarnation > 1).then(|| now().stamp.after(most)),
            go_on_by: None,
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

    /// It says that it serves.
    pub(super) fn serves(&mut self, now: Stamp) {
        self.ready_since.get_or_insert(now);
        self.serve_by = None;
    }

    /// Somebody may have stopped it, or let it go on.
    pub(super) fn look_if_stopped(&mut self, now: Stamp) {
        let stopped = ProcessStat::of(self.pid).is_ok_and(|stat| stat.state == b'T');
        match stopped {
            true => _ = self.go_on_by.get_or_insert(now.after(STOPPED_MAX)),
            false => self.go_on_by = None,
        }
    }

    /// When it is to be killed as things are.
    pub(super) fn doom(&self) -> Option<Stamp> {
        let dooms = [self.kill_at, self.serve_by, self.go_on_by];
        dooms.into_iter().flatten().min()
    }

    /// Kills it if its time is over.
    pub(super) fn kill_if_overdue(&mut self, now: Stamp) {
        if self.doom().is_some_and(|at| now >= at) {
            self.kill();
        }
    }

    /// Kills it. That does no harm at any moment.
    pub(super) fn kill(&mut self) {
        [self.kill_at, self.serve_by, self.go_on_by] = [None; 3];
        self.watch = None;
        // It is our child and only we reap it: the number is its own.
        if let Some(pid) = Pid::from_raw(self.pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
