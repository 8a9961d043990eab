//! The keeper's loop.
//!
//! It waits for signals and for the brain's packets, and for nothing else. Its tables are bounded
//! and it allocates nothing that stays.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use super::brain::{Birth, Brain};
use super::exits::Exits;
use super::hold::start_holder;
use super::message::{FromBrain, ToBrain, decode, encode};
use super::packet::{self, Received};
use super::park::Park;
use super::respawn::{Death, Deaths};
use super::will::{Heir, Will};
use super::wishes::{WISHES, Wishes};
use super::{ParkKey, SignalNotice};
use crate::fleet::Stamp;
use crate::launch::{
    ProcessStat, SignalMask, SignalSet, SignalSource, let_go_of_terminal, now, oom_score_adj,
    reset_disposition, set_oom_score_adj,
};

/// The keeper's name as the kernel shows it (at most 15 bytes).
const NAME: &std::ffi::CStr = c"appctl";

/// Exempts a process from being killed when memory is short.
pub(super) const OOM_EXEMPT: &[u8] = b"-1000";

/// For brains: killed late, for their successors cost time.
const OOM_BRAIN: i32 = -900;

/// Most packets of the brain that are read before the keeper looks at signals again.
const PACKETS_PER_TURN: usize = 64;

/// Most keys of descriptors without room that wait to be told; more are a symptom of the same.
const NOT_PARKED_MAX: usize = 256;

/// Exit code of a keeper that could not begin, or could not start its first brain.
pub(super) const CANNOT_BEGIN: u8 = 1;

/// If the environment says that this process was exec'd as the keeper: runs it to its end. The
/// caller is `main`, before anything else.
pub fn run_if_keeper() -> Option<ExitCode> {
    let keeper = Will::of_this_process("keeper")?.and_then(|mut will| {
        let parked = will.claim_parked()?;
        let Heir::Keeper {
            lock,
            ready,
            detached,
        } = *will.heir()
        else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let lock = lock.map(|number| will.claim(number)).transpose()?;
        let ready = ready.map(|number| will.claim(number)).transpose()?;
        Keeper::new(parked, lock, ready, detached)
    });
    let code = match keeper {
        Ok(mut keeper) => keeper.run(),
        Err(error) => {
            complain("the keeper cannot begin", &error);
            CANNOT_BEGIN
        }
    };
    Some(ExitCode::from(code))
}

/// Only before the first brain was ready: somebody who started the daemon is still looking.
fn complain(what: &str, error: &io::Error) {
    eprintln!("appctl: {what}: {error}");
}

#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) signals: SignalSource,
    pub(super) park: Park,
    pub(super) exits: Exits,
    pub(super) wishes: Wishes,
    /// Keys to tell that there was no room for.
    pub(super) not_parked: Vec<ParkKey>,
    pub(super) birth: Birth,
    pub(super) deaths: Deaths,
    pub(super) brain: Option<Brain>,
    /// When the next brain is started, if there is none.
    pub(super) start_at: Stamp,
    pub(super) incarnation: u32,
    pub(super) ever_ready: bool,
    /// The link takes no more packets until the brain has read some.
    pub(super) link_full: bool,
    /// Our session; 0 if it is of an outer pid namespace, or unknown.
    pub(super) session: i32,
    pub(super) ready: Option<OwnedFd>,
    pub(super) detached: bool,
    /// Open as long as we live.
    pub(super) _lock: Option<OwnedFd>,
}

impl Keeper {
    fn new(
        parked: Vec<(ParkKey, OwnedFd)>,
        lock: Option<OwnedFd>,
        ready: Option<OwnedFd>,
        detached: bool,
    ) -> io::Result<Keeper> {
        // Whoever started us may have ignored it, and then children vanish without a status. The
        // brain inherits what is set here.
        reset_disposition(libc::SIGCHLD);
        // Blocked also means: queued for a PID 1, which loses unblocked signals without a handler.
        let read: Vec<i32> = WISHES.into_iter().chain([libc::SIGCHLD]).collect();
        SignalMask::replace(SignalSet::of(&read)).keep();
        let signals = SignalSource::of(SignalSet::of(&read))?;
        // Any number but zero switches it on.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let _ = rustix::thread::set_name(NAME);
        let own_pid = std::process::id().cast_signed();
        let inherited = oom_score_adj();
        let exempt = set_oom_score_adj(OOM_EXEMPT).is_ok();
        let brains = inherited
            .filter(|_| exempt)
            .map(|value| value.min(OOM_BRAIN));
        Ok(Keeper {
            signals,
            park: Park::new(parked, getrlimit(Resource::Nofile).current),
            exits: Exits::default(),
            wishes: Wishes::default(),
            not_parked: Vec::new(),
            birth: Birth::new(brains),
            deaths: Deaths::default(),
            brain: None,
            start_at: now().stamp,
            incarnation: 0,
            ever_ready: false,
            link_full: false,
            session: ProcessStat::of(own_pid).map_or(0, |stat| stat.session),
            ready,
            detached,
            _lock: lock,
        })
    }

    fn run(&mut self) -> u8 {
        loop {
            let now = now().stamp;
            self.read_signals(now);
            self.read_link(PACKETS_PER_TURN, now);
            if let Some(code) = self.reap(now) {
                return code;
            }
            if let Some(code) = self.start_brain_if_due(now) {
                return code;
            }
            self.tell(now);
            if let Some(brain) = &mut self.brain {
                brain.kill_if_overdue(now);
            }
            self.wait();
        }
    }

    /// Waits until there is something to do. What it misses is seen in the next turn anyway.
    fn wait(&mut self) {
        let deadline = match &self.brain {
            Some(brain) => brain.doom(),
            None => Some(self.start_at),
        };
        let left = deadline.map(|at| at.since(now().stamp));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut sources = Vec::with_capacity(2);
        sources.push(PollFd::from_borrowed_fd(
            self.signals.as_fd(),
            PollFlags::IN,
        ));
        if let Some(link) = self.brain.as_ref().and_then(|brain| brain.link.as_ref()) {
            let wanted = if self.link_full {
                PollFlags::OUT
            } else {
                PollFlags::empty()
            };
            sources.push(PollFd::from_borrowed_fd(
                link.as_fd(),
                PollFlags::IN | wanted,
            ));
        }
        let watch = self.brain.as_ref().and_then(|brain| brain.watch.as_ref());
        sources.extend(watch.map(|it| PollFd::from_borrowed_fd(it.as_fd(), PollFlags::IN)));
        let holder = self.park.get(ParkKey::Holder);
        sources.extend(holder.map(|it| PollFd::from_borrowed_fd(it, PollFlags::empty())));
        match poll(&mut sources, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            // Out of kernel memory: not to turn into a busy loop.
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
        let holder = sources.pop_if(|_| holder.is_some());
        let holder_gone = holder.is_some_and(|it| it.revents().contains(PollFlags::HUP));
        let watch = sources.pop_if(|_| watch.is_some());
        let turn_hangs = watch.is_some_and(|it| it.revents().contains(PollFlags::IN));
        drop(sources);
        if holder_gone {
            self.holder_gone();
        }
        if let Some(brain) = self.brain.as_mut().filter(|_| turn_hangs) {
            brain.kill();
        }
    }

    /// Another one is started before the next brain; which comes now, for this one still parks
    /// with the holder that is gone.
    fn holder_gone(&mut self) {
        self.park.remove(ParkKey::Holder);
        if let Some(brain) = &mut self.brain {
            brain.kill();
        }
    }

    /// Without a holder: starts one, if there was one before.
    fn start_holder(&mut self) {
        let had_one = self.park.get(ParkKey::HolderListener).is_some();
        if had_one && self.park.get(ParkKey::Holder).is_none() {
            let all: Vec<_> = self.park.all().collect();
            if let Ok(Some(connection)) = start_holder(&all, false) {
                self.park.put(ParkKey::Holder, connection);
            }
        }
    }

    fn read_signals(&mut self, now: Stamp) {
        while let Ok(Some(arrived)) = self.signals.next() {
            // Who ended is asked in every turn.
            if arrived.number == libc::SIGCHLD {
                if let Some(brain) = &mut self.brain {
                    brain.look_if_stopped(now);
                }
                continue;
            }
            self.wishes.received(SignalNotice {
                number: u8::try_from(arrived.number).unwrap_or(0),
                pid: arrived.pid,
                uid: arrived.uid,
            });
        }
    }

    /// Reads what the brain sent, at most `most` packets.
    pub(super) fn read_link(&mut self, most: usize, now: Stamp) {
        for _ in 0..most {
            let link = self.brain.as_ref().and_then(|brain| brain.link.as_ref());
            let Some(link) = link else {
                return;
            };
            match packet::receive(link) {
                // What cannot be read comes from a newer brain and is not meant for us.
                Ok(Received::Packet(packet, descriptors)) => {
                    if let Some(message) = decode(&packet) {
                        self.handle(message, descriptors, now);
                    }
                }
                Ok(Received::Unreadable) => {}
                Ok(Received::Nothing) => return,
                Ok(Received::Closed) | Err(_) => {
                    if let Some(brain) = &mut self.brain {
                        brain.link_closed(now);
                    }
                    return;
                }
            }
        }
    }

    fn handle(&mut self, message: FromBrain, descriptors: Vec<OwnedFd>, now: Stamp) {
        match message {
            FromBrain::Park(keys) => self.park(keys, descriptors),
            FromBrain::Unpark(keys) => self.unpark(keys),
            FromBrain::Acknowledge { pid, start_time } => self.exits.acknowledge(pid, start_time),
            FromBrain::Ready => self.brain_ready(now),
            FromBrain::Leave(code) => {
                if let Some(brain) = &mut self.brain {
                    brain.leaves(code, now);
                }
            }
            FromBrain::Watch => {
                if let Some(brain) = &mut self.brain {
                    brain.watch = descriptors.into_iter().next();
                }
            }
            FromBrain::Upgrade => self.upgrade(descriptors),
        }
    }

    /// The brain makes way for one of another binary.
    fn upgrade(&mut self, descriptors: Vec<OwnedFd>) {
        let mut descriptors = descriptors.into_iter();
        let Some(candidate) = descriptors.next() else {
            return;
        };
        self.birth.binaries.propose(candidate);
        if let Some(asker) = descriptors.next() {
            self.park.put(ParkKey::Asker, asker);
        }
        if let Some(brain) = &mut self.brain {
            brain.kill();
        }
    }

    fn unpark(&mut self, keys: Vec<ParkKey>) {
        for key in keys {
            if key == ParkKey::Asker {
                self.birth.binaries.outcome_told();
            }
            self.park.remove(key);
        }
    }

    /// Descriptors that this process had no room for are missing at the end.
    fn park(&mut self, keys: Vec<ParkKey>, descriptors: Vec<OwnedFd>) {
        let mut descriptors = descriptors.into_iter();
        for key in keys {
            let descriptor = descriptors.next();
            let parked = descriptor.is_some_and(|descriptor| self.park.put(key, descriptor));
            if !parked && self.not_parked.len() < NOT_PARKED_MAX {
                self.not_parked.push(key);
            }
        }
    }

    fn brain_ready(&mut self, now: Stamp) {
        let Some(brain) = &mut self.brain else {
            return;
        };
        brain.serves(now);
        self.birth.binaries.serves();
        self.wishes.settled();
        self.ever_ready = true;
        if let Some(ready) = self.ready.take() {
            // Whoever waited for it may be gone.
            let _ = rustix::io::write(&ready, b"\n");
        }
        if std::mem::take(&mut self.detached) {
            // Whoever started us waits for our copies of its descriptors to be closed as well.
            let_go_of_terminal();
        }
    }

    fn start_brain_if_due(&mut self, now: Stamp) -> Option<u8> {
        if self.brain.is_some() || now < self.start_at {
            return None;
        }
        self.start_holder();
        let safe_mode = self.deaths.many() && !self.birth.binaries.on_trial();
        match self
            .birth
            .start(self.incarnation + 1, &self.park, &mut self.exits, safe_mode)
        {
            Ok(brain) => {
                self.incarnation += 1;
                self.brain = Some(brain);
            }
            Err(error) if !self.ever_ready => {
                complain("the brain cannot be started", &error);
                return Some(CANNOT_BEGIN);
            }
            Err(error)
                if self
                    .birth
                    .binaries
                    .failed(|| format!("it cannot be executed: {error}")) => {}
            Err(_) => {
                let unborn = Death {
                    served: None,
                    killed: false,
                };
                self.start_at = now.after(self.deaths.delay_after(unborn));
            }
        }
        None
    }

    /// Tells the brain what it was not told, as far as the link takes it.
    fn tell(&mut self, now: Stamp) {
        self.link_full = false;
        while let Some(brain) = &mut self.brain {
            let Some(link) = &brain.link else {
                return;
            };
            let message = if let Some(notice) = self.wishes.next() {
                ToBrain::Signal(notice)
            } else if let Some(record) = self.exits.next() {
                ToBrain::Exited(record)
            } else if !self.not_parked.is_empty() {
                ToBrain::NotParked(self.not_parked.clone())
            } else {
                return;
            };
            // Bounded by NOT_PARKED_MAX, every message fits.
            let packet = encode(&message).unwrap_or_default();
            match packet::send(link, &packet, &[]) {
                Ok(()) => {}
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {
                    self.link_full = true;
                    return;
                }
                Err(_) => {
                    // Its last words may still be there to be read, and after them the end. If
                    // there is none, the kernel was short of memory and it is tried again.
                    self.read_link(usize::MAX, now);
                    self.link_full = true;
                    return;
                }
            }
            let ready = brain.ready_since.is_some();
            match message {
                ToBrain::Signal(_) => self.wishes.told(ready),
                ToBrain::Exited(_) => self.exits.told(),
                ToBrain::NotParked(_) => self.not_parked.clear(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_list_of_unparked_keys_fits_a_packet() {
        let keys = vec![ParkKey::Stderr(u64::MAX); NOT_PARKED_MAX];
        assert!(encode(&ToBrain::NotParked(keys)).is_some());
    }
}
