//! The tree of a program: every process that comes from it, also those that left its process group
//! or whose parent is gone.
//!
//! What belongs to a tree is told by marks: the cgroup, a variable in the first environment, the
//! process group of the main process, a pipe of the program among the first three descriptors, and
//! descent from something marked. A process without any of these, and without a parent that has
//! one, cannot be told from a stranger and is never touched; only the cgroup leaves no such gap.
//!
//! Signals go by pidfd, and the start time is compared after that was opened, so a number that is
//! used again is never hit.
//!
//! Must never: decide when a tree is to end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::cgroup::Cgroup;
use super::living::{Living, adopt};
use super::signal::kill;
use super::stat::ProcessStat;
use crate::config::Signal;
use crate::ordered;

/// Marks what a program starts; its value names daemon and program.
pub(crate) const TREE_VARIABLE: &str = "APPCTL_TREE";

/// How long a round of SIGKILL goes on while processes appear.
const KILL_TIME: Duration = Duration::from_secs(1);

/// How long it is waited for those that were killed before the next look.
const DEATH_TIME: Duration = Duration::from_millis(20);

const SIGKILL: Signal = Signal(9);
const SIGCONT: Signal = Signal(18);

/// The kernel's own processes are children of this one.
const KERNEL: i32 = 2;

/// What the processes of one tree have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// Value of [`TREE_VARIABLE`] in their environment; empty: none.
    pub token: String,
    /// Their cgroup, if they have one of their own.
    pub cgroup: Option<Cgroup>,
    /// Pid and start time of the main process, which led a process group and has ended just now.
    pub leader: Option<(i32, u64)>,
    /// Inodes of the pipes that were its standard descriptors.
    pub pipes: Vec<u64>,
}

/// What a round does beside looking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// Nothing.
    Look,
    /// Asks those to end that were not asked before.
    Ask,
    /// Kills all.
    Kill,
}

/// A round for one tree.
#[derive(Debug, Clone)]
pub struct Round {
    /// Which tree.
    pub marks: Marks,
    /// What to do with it.
    pub push: Push,
    /// Pid and start time of those that belong to it whatever their marks say now, with whether
    /// they were asked to end.
    pub known: BTreeMap<(i32, u64), bool>,
}

/// A living process of a tree.
#[derive(Debug)]
pub struct Member {
    /// The process.
    pub living: Living,
    /// Its name as the kernel shows it.
    pub name: String,
    /// It was asked to end.
    pub asked: bool,
}

/// A process as it is found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    pid: i32,
    start_time: u64,
    parent: i32,
    group: i32,
    dead: bool,
    /// By variable, pipe, cgroup or because it was known: the tree it belongs to.
    marked: Option<usize>,
}

/// Carries the rounds out, and says what was there: for [`Push::Kill`], what is there still.
/// `spared` are never touched, nor what comes from them alone. Reads `/proc` once, and for kills
/// some more times; takes milliseconds.
pub fn sweep(mut rounds: Vec<Round>, spared: &BTreeSet<i32>) -> Vec<Vec<Member>> {
    let until = Instant::now() + KILL_TIME;
    loop {
        let mut found = find(&rounds, spared);
        let (mut killed, mut cgroups) = (Vec::new(), Vec::new());
        for (round, members) in rounds.iter_mut().zip(&mut found) {
            let to_kill = match round.push {
                Push::Look => false,
                Push::Ask => {
                    members.iter_mut().for_each(ask);
                    // What forks and ends all the time is never seen in /proc.
                    members.is_empty()
                }
                Push::Kill => true,
            };
            if let Some(cgroup) = round.marks.cgroup.as_ref().filter(|_| to_kill) {
                cgroup.kill();
                cgroups.push(cgroup);
            }
            let key = |member: &Member| (member.living.pid, member.living.start_time);
            let known = members.iter().map(|member| (key(member), member.asked));
            round.known.extend(known);
            if to_kill {
                for member in members.iter() {
                    // One that may not be signalled is found again, and told of.
                    let _ = kill(&member.living, SIGKILL, false);
                }
                killed.extend(members.iter());
            }
        }
        let deaths_until = Instant::now() + DEATH_TIME;
        // Whoever was too quick to be seen in /proc may be in the middle of a write.
        let empty = cgroups.iter().all(|it| it.wait_empty(deaths_until));
        if killed.is_empty() && empty || Instant::now() >= until {
            return found;
        }
        wait_for_deaths(&killed, deaths_until);
    }
}

/// SIGTERM, and SIGCONT for one that was stopped and could not hear it.
fn ask(member: &mut Member) {
    if !std::mem::replace(&mut member.asked, true) {
        let _ = kill(&member.living, Signal(15), false);
        let _ = kill(&member.living, SIGCONT, false);
    }
}

/// Waits until they have ended, but not longer than until then.
fn wait_for_deaths(members: &[&Member], until: Instant) {
    for member in members {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).ok();
        let mut sources = [PollFd::new(&member.living.pidfd, PollFlags::IN)];
        let _ = poll(&mut sources, timeout.as_ref());
    }
}

fn find(rounds: &[Round], spared: &BTreeSet<i32>) -> Vec<Vec<Member>> {
    let seen = look_around(rounds, spared);
    let leaders: Vec<_> = rounds.iter().map(|round| round.marks.leader).collect();
    let mut found: Vec<Vec<Member>> = rounds.iter().map(|_| Vec::new()).collect();
    for (tree, pid, start_time) in belonging(&seen, &leaders, spared) {
        let Ok(Some(living)) = adopt(pid, start_time) else {
            continue;
        };
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        found[tree].push(Member {
            living,
            name: name.trim_end().to_owned(),
            asked: rounds[tree].known.get(&(pid, start_time)) == Some(&true),
        });
    }
    found
}

/// Every process, marked where it shows whose it is. What the spared show is not looked at, which
/// is most of the work where many programs run.
fn look_around(rounds: &[Round], spared: &BTreeSet<i32>) -> Vec<Seen> {
    let mut in_cgroups: BTreeMap<i32, usize> = BTreeMap::new();
    let mut known: BTreeMap<(i32, u64), usize> = BTreeMap::new();
    let mut tokens: BTreeMap<&[u8], usize> = BTreeMap::new();
    let mut pipes: BTreeMap<String, usize> = BTreeMap::new();
    for (tree, round) in rounds.iter().enumerate() {
        let marks = &round.marks;
        if let Some(cgroup) = &marks.cgroup {
            in_cgroups.extend(cgroup.processes().into_iter().map(|pid| (pid, tree)));
        }
        known.extend(round.known.keys().map(|key| (*key, tree)));
        if !marks.token.is_empty() {
            tokens.insert(marks.token.as_bytes(), tree);
        }
        let inodes = marks.pipes.iter();
        pipes.extend(inodes.map(|inode| (format!("pipe:[{inode}]"), tree)));
    }
    let Ok(listing) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = listing
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let stat = ProcessStat::of(pid).ok()?;
        let no_member = pid == KERNEL || stat.parent == KERNEL || spared.contains(&pid);
        let shown = || token_of(pid, &tokens).or_else(|| pipe_of(pid, &pipes));
        let marked = (in_cgroups.get(&pid))
            .or_else(|| known.get(&(pid, stat.start_time)))
            .copied();
        Some(Seen {
            pid,
            start_time: stat.start_time,
            parent: stat.parent,
            group: stat.group,
            dead: matches!(stat.state, b'Z' | b'X'),
            marked: marked.or_else(|| if no_member { None } else { shown() }),
        })
    })
    .collect()
}

fn token_of(pid: i32, tokens: &BTreeMap<&[u8], usize>) -> Option<usize> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    let token = variables.find_map(|variable| {
        variable
            .strip_prefix(TREE_VARIABLE.as_bytes())?
            .strip_prefix(b"=")
    });
    tokens.get(token?).copied()
}

fn pipe_of(pid: i32, pipes: &BTreeMap<String, usize>) -> Option<usize> {
    if pipes.is_empty() {
        return None;
    }
    (0..=2).find_map(|number| {
        let target = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
        pipes.get(Path::new(&target).to_str()?).copied()
    })
}

/// Which processes belong to which tree: tree, pid and start time. Pure.
///
/// The number of a group stays taken as long as it has members. So if its leader is gone, or is
/// still there as a zombie, the group is the one that the program led.
fn belonging(
    seen: &[Seen],
    leaders: &[Option<(i32, u64)>],
    spared: &BTreeSet<i32>,
) -> Vec<(usize, i32, u64)> {
    let by_pid: BTreeMap<i32, &Seen> = ordered::map(seen.iter().map(|one| (one.pid, one)));
    let leaders = leaders
        .iter()
        .enumerate()
        .filter_map(|(tree, leader)| Some((tree, (*leader)?)))
        .filter(|(_, (pid, start_time))| {
            (by_pid.get(pid)).is_none_or(|other| other.start_time == *start_time)
        });
    let groups: BTreeMap<i32, usize> = ordered::map(leaders.map(|(tree, (pid, _))| (pid, tree)));
    let tree_of = |one: &Seen| {
        let mut ancestor = Some(one);
        // No line of ancestors is longer than there are processes, however it changed meanwhile.
        for _ in seen {
            let here = ancestor.filter(|here| here.pid > 1 && !spared.contains(&here.pid))?;
            let mark = here.marked.or_else(|| groups.get(&here.group).copied());
            if mark.is_some() {
                return mark;
            }
            ancestor = by_pid.get(&here.parent).copied();
        }
        None
    };
    seen.iter()
        .filter(|one| !one.dead)
        .filter_map(|one| Some((tree_of(one)?, one.pid, one.start_time)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(pid: i32, parent: i32, group: i32, marked: Option<usize>) -> Seen {
        Seen {
            pid,
            start_time: 100,
            parent,
            group,
            dead: false,
            marked,
        }
    }

    fn pids(seen: &[Seen], leaders: &[Option<(i32, u64)>], spared: &[i32]) -> Vec<(usize, i32)> {
        belonging(seen, leaders, &spared.iter().copied().collect())
            .into_iter()
            .map(|(tree, pid, _)| (tree, pid))
            .collect()
    }

    #[test]
    fn marks_groups_and_descent_tell_a_tree() {
        let table = [
            // The child of a marked process belongs to it, whatever its own group and marks.
            (
                vec![seen(10, 5, 10, Some(0)), seen(11, 10, 11, None)],
                vec![(0, 10), (0, 11)],
            ),
            // The group of the main process, which is gone.
            (
                vec![seen(10, 5, 7, None), seen(11, 10, 11, None)],
                vec![(0, 10), (0, 11)],
            ),
            // Nobody's.
            (vec![seen(10, 5, 10, None), seen(11, 1, 12, None)], vec![]),
            // The nearest mark decides.
            (
                vec![
                    seen(10, 5, 10, Some(0)),
                    seen(11, 10, 11, Some(1)),
                    seen(12, 11, 12, None),
                ],
                vec![(0, 10), (1, 11), (1, 12)],
            ),
        ];
        for (all, expected) in table {
            assert_eq!(
                pids(&all, &[Some((7, 100)), None], &[5]),
                expected,
                "{all:?}"
            );
        }
    }

    #[test]
    fn innocents_are_never_hit() {
        // The number of the main process is another's by now, and with it that of the group.
        let recycled = Seen {
            start_time: 200,
            ..seen(7, 1, 7, None)
        };
        let all = [recycled, seen(8, 7, 7, None)];
        assert_eq!(pids(&all, &[Some((7, 100))], &[]), []);
        // Init, our own processes and other programs are spared, with what comes from them alone.
        let all = [
            seen(1, 0, 1, Some(0)),
            seen(5, 1, 5, Some(0)),
            seen(6, 5, 6, None),
        ];
        assert_eq!(pids(&all, &[None], &[5]), []);
        // The dead need no signal; a circle of parents, read while it changed, ends.
        let zombie = Seen {
            dead: true,
            ..seen(7, 1, 7, Some(0))
        };
        assert_eq!(
            pids(
                &[zombie, seen(8, 9, 8, None), seen(9, 8, 9, None)],
                &[None],
                &[]
            ),
            []
        );
    }

    /// A small world of processes: parents and groups among pids 2 to 12, some of them marked.
    fn world() -> impl Strategy<Value = Vec<Seen>> {
        let one = (
            2..=12,
            0..=12,
            2..=12,
            prop::option::weighted(0.2, 0..2_usize),
            any::<bool>(),
        );
        prop::collection::vec(one, 0..12).prop_map(|all| {
            let mut by_pid = BTreeMap::new();
            for (pid, parent, group, marked, dead) in all {
                let one = Seen {
                    dead,
                    ..seen(pid, parent, group, marked)
                };
                by_pid.insert(pid, one);
            }
            by_pid.into_values().collect()
        })
    }

    proptest! {
        #[test]
        fn a_tree_is_whole_and_has_no_strangers(
            all in world(),
            leader in prop::option::of(2..=12),
            spared in prop::collection::btree_set(2..=12, 0..3),
        ) {
            let leaders = [leader.map(|pid| (pid, 100)), None];
            let found = belonging(&all, &leaders, &spared);
            let tree_of = |pid: i32| found.iter().find(|it| it.1 == pid).map(|it| it.0);
            let mut once: Vec<i32> = found.iter().map(|it| it.1).collect();
            once.dedup();
            prop_assert_eq!(once.len(), found.len(), "in one tree, once");
            for one in &all {
                let own = one.marked.or(leader.filter(|it| *it == one.group).map(|_| 0));
                let is_spared = one.pid == 1 || spared.contains(&one.pid);
                let tree = tree_of(one.pid);
                if is_spared || one.dead {
                    prop_assert_eq!(tree, None, "{:?}", one);
                } else if own.is_some() {
                    prop_assert_eq!(tree, own, "its own marks decide: {:?}", one);
                } else if let Some(parent) = all.iter().find(|it| it.pid == one.parent)
                    && !parent.dead
                    && !spared.contains(&parent.pid)
                {
                    prop_assert_eq!(tree, tree_of(parent.pid), "as its parent: {:?}", one);
                } else if spared.contains(&one.parent) || !all.iter().any(|it| it.pid == one.parent) {
                    prop_assert_eq!(tree, None, "nobody's: {:?}", one);
                }
            }
        }
    }
}
