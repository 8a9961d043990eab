//! Trees of programs whose main process has ended: what each is looked at for, and what becomes of
//! it after it was looked at. Data, and decisions that are pure; what is done is in `leftovers.rs`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::fd::AsFd;
use std::time::Duration;

use async_std::channel::{Receiver, Sender, bounded};

use super::turn::Outcome;
use crate::config::{Policy, Signal};
use crate::control::Answer;
use crate::fleet::{Done, ProcessId, Report, Stamp};
use crate::launch::{self, Cgroup, Cgroups, Marks, Member, Membership, Push, Round};
use crate::ordered;

/// How long after SIGKILL it is looked whether somebody is still there. Who is then, hangs in the
/// kernel or is not ours to kill.
pub(super) const KILLED_TIME: Duration = Duration::from_secs(2);

/// While something is to end, it is looked at least this often for what was started meanwhile.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Set in the tokens of pidfds of tree members, which no run has.
pub(super) const OF_TREE: u64 = 1 << 63;

/// How many of those that are left are named.
const NAMED_MAX: usize = 5;

/// What a tree is looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// To show what is left of a run that ended by itself.
    Show,
    /// The news that the program has stopped waits for its end.
    Stop,
    /// The next start waits for its end.
    Start,
    /// Its process has left the configuration, or the daemon is leaving.
    Leave,
    /// Somebody asked a program to stop that had ended by itself.
    Clear,
}

/// Somebody who waits until nothing needs to be waited for any more: told by being dropped.
pub(super) type Waiter = Sender<Infallible>;

/// Trees whose end the news of a stop waits for, by the name of their program.
#[derive(Default)]
pub(super) struct Awaited(pub(super) BTreeMap<String, Receiver<Infallible>>);

impl Awaited {
    /// Waits for those that this part of the answer tells of. What was stopped of such a program is
    /// what it left behind.
    pub(super) async fn before(&mut self, answer: &mut Answer) {
        match answer {
            Answer::Report(Report { subject, result }) => {
                if let Some(gone) = self.0.remove(subject) {
                    let _ = gone.recv().await;
                    *result = Ok(Done::Stopped);
                }
            }
            Answer::Done => {
                for gone in self.0.values() {
                    let _ = gone.recv().await;
                }
            }
            _ => {}
        }
    }
}

/// The tree of a program whose main process has ended.
#[derive(Debug)]
pub struct Tree {
    pub(super) name: String,
    pub(super) aim: Aim,
    pub(super) push: Push,
    pub(super) marks: Marks,
    pub(super) members: Vec<Member>,
    /// A round was begun since its aim is what it is.
    pub(super) seen: bool,
    /// When it is to be looked at, by itself.
    pub(super) look_at: Option<Stamp>,
    /// When it is killed.
    pub(super) kill_at: Option<Stamp>,
    /// When it is given up.
    pub(super) give_up_at: Option<Stamp>,
    /// Who asked for its end.
    pub(super) waiters: Vec<Waiter>,
}

/// What becomes of a tree after it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing is left, or what is left is to be shown: who waits may go on.
    Done,
    /// It is looked at again, then or when one of its members ends.
    Wait(Stamp),
}

/// What a round did, and who was there.
#[derive(Debug)]
pub struct Found {
    pub(super) process: ProcessId,
    pub(super) push: Push,
    /// It was the first one with this aim.
    pub(super) first: bool,
    pub(super) members: Vec<Member>,
}

/// Trees of programs whose main process has ended.
#[derive(Debug)]
pub struct Trees {
    pub(super) all: BTreeMap<ProcessId, Tree>,
    /// Begins every token, so that those of two daemons differ.
    instance: String,
    cgroups: Option<Cgroups>,
    /// A round is under way.
    pub(super) looking: bool,
    pub(super) found: Sender<Vec<Found>>,
    /// What rounds found.
    pub founds: Receiver<Vec<Found>>,
    /// The end of the daemon waits for trees.
    pub(super) leaving: Option<Outcome>,
}

impl Trees {
    /// None yet. The ledger goes from brain to brain, and so its inode names the daemon.
    pub fn new(ledger: impl AsFd) -> std::io::Result<Trees> {
        let instance = launch::pipe_inode(ledger)?.to_string();
        let (found, founds) = bounded(1);
        Ok(Trees {
            all: BTreeMap::new(),
            cgroups: Cgroups::make(&instance),
            instance,
            looking: false,
            found,
            founds,
            leaving: None,
        })
    }

    /// When something is due by itself.
    pub fn next_deadline(&self) -> Option<Stamp> {
        let due = self.all.values().flat_map(|tree| {
            let look_at = tree.look_at.filter(|_| !self.looking);
            look_at.into_iter().chain(tree.kill_at)
        });
        due.min()
    }

    /// What is left of the last runs of a process, in words; empty if nothing is.
    pub fn left_behind(&self, id: ProcessId) -> String {
        let tree = self.all.get(&id);
        tree.map_or_else(String::new, |tree| named(&tree.members))
    }

    /// What tells that a process comes from this program, one of `row` that are started in one go.
    pub fn membership(&self, program: &str, row: usize) -> Membership {
        Membership {
            token: Some(self.token(program)),
            cgroup: self.cgroups.as_ref().and_then(|it| it.of(program)),
            row,
        }
    }

    pub(super) fn token(&self, program: &str) -> String {
        format!("{}:{program}", self.instance)
    }

    pub(super) fn cgroup(&self, program: &str) -> Option<Cgroup> {
        self.cgroups.as_ref().and_then(|it| it.of(program))
    }

    /// The place of the cgroups is not needed any more.
    pub fn close(&self) {
        self.cgroups.iter().for_each(Cgroups::remove);
    }
}

impl Tree {
    pub(super) fn aim_at(&mut self, aim: Aim, push: Push, now: Stamp) {
        self.aim = aim;
        self.push = push;
        self.seen = false;
        self.kill_at = None;
        self.give_up_at = None;
        self.look_at = Some(now);
    }

    pub(super) fn round(&self) -> Round {
        let known = self.members.iter().map(|member| {
            let key = (member.living.pid, member.living.start_time);
            (key, member.asked)
        });
        Round {
            marks: self.marks.clone(),
            push: self.push,
            known: ordered::map(known),
        }
    }
}

/// Pure: what becomes of a tree with so many members.
pub(super) fn next(push: Push, left: usize, now: Stamp, give_up_at: Option<Stamp>) -> Next {
    match push {
        _ if left == 0 => Next::Done,
        // Nobody waits, and the end of each of them is told.
        Push::Look => Next::Done,
        Push::Kill if give_up_at.is_some_and(|at| at <= now) => Next::Done,
        Push::Ask | Push::Kill => Next::Wait(now.after(LOOK_INTERVAL)),
    }
}

/// SIGKILL as `stopsignal` leaves no time to ask.
pub(super) fn first_push(policy: &Policy) -> Push {
    if policy.stopsignal == Signal(9) {
        Push::Kill
    } else {
        Push::Ask
    }
}

/// `pid 12 (sleep), pid 13 (sh)`.
pub(super) fn named(members: &[Member]) -> String {
    let name = |member: &Member| format!("pid {} ({})", member.living.pid, member.name);
    let mut names: Vec<String> = members.iter().take(NAMED_MAX).map(name).collect();
    if members.len() > NAMED_MAX {
        names.push(format!("{} more", members.len() - NAMED_MAX));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_of_a_tree() {
        let (now, later) = (Stamp(100), Stamp(200));
        let again = Next::Wait(now.after(LOOK_INTERVAL));
        let table = [
            (Push::Ask, 0, None, Next::Done),
            (Push::Kill, 0, Some(later), Next::Done),
            (Push::Look, 3, None, Next::Done),
            (Push::Ask, 1, None, again),
            (Push::Kill, 1, Some(later), again),
            // Hangs in the kernel, or is not ours to kill: shown, and nobody waits for ever.
            (Push::Kill, 1, Some(now), Next::Done),
        ];
        for (push, left, give_up_at, expected) in table {
            assert_eq!(
                next(push, left, now, give_up_at),
                expected,
                "{push:?} {left}"
            );
        }
    }
}
