//! How much room the logs of all programs have together, and what goes when it gets tight. Pure.
//!
//! Two limits: the bytes of all logs (`log_budget`), and what is to stay free of each disk they are
//! on (`log_min_free`). Below each lies a reserve, which is restored before it is used up:
//!
//! 1. the oldest rotated files go, whichever program they are of;
//! 2. files that are being written and have more than an eighth of the budget are closed, and where
//!    all this does not do, the largest of the others, so that they are rotated files the next time.
//!    (Not for a disk: what fills it may be somebody else, and all logs would go in vain.)
//!
//! What is still missing then, `allowance` has to withhold.

use std::cmp::Reverse;
use std::fmt;

use super::plane::StreamId;
use super::rotation::Wall;
use crate::config::{LogBudget, MinFree, readable_bytes};
use crate::ordered;

/// The reserve of a disk at most: with more, logs would go for nothing.
const DISK_RESERVE_MAX: u64 = 64 << 20;

/// A reserve at least. Some of it is for programs that write little while loud ones are held up, so
/// it is more than what is taken at once.
const RESERVE_MIN: u64 = 1 << 20;

/// A file of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// Whose.
    pub stream: StreamId,
    /// The device it is on.
    pub disk: u64,
    /// In bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: Wall,
    /// It is the one that is being written.
    pub is_current: bool,
}

/// A disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disk {
    /// The device.
    pub id: u64,
    /// Bytes that are free for us.
    pub free: u64,
    /// All its bytes.
    pub size: u64,
}

/// A limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// Of all logs together.
    Total(u64),
    /// Of one disk: what is to stay free of it.
    Disk { id: u64, min_free: MinFree },
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Total(bytes) => {
                write!(f, "the log_budget of {} is used up", readable_bytes(*bytes))
            }
            Limit::Disk { min_free, .. } => {
                write!(
                    f,
                    "its disk has no more free than the log_min_free of {min_free}"
                )
            }
        }
    }
}

/// How much may still be written before a limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Which limit.
    pub limit: Limit,
    /// Bytes.
    pub left: u64,
    /// What should be left.
    pub reserve: u64,
}

impl Room {
    /// Whether it is time to look what can be done.
    pub fn is_short(&self) -> bool {
        self.left < self.reserve / 2
    }
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Rotated files that go, by their places in the list.
    pub remove: Vec<usize>,
    /// Streams whose files are to be rotated.
    pub close: Vec<StreamId>,
    /// What there is room for afterwards.
    pub rooms: Vec<Room>,
    /// The limit for which something is removed.
    pub because: Option<Limit>,
}

/// The reserve below this budget.
pub(super) fn reserve(total: u64) -> u64 {
    (total / 16).max(RESERVE_MIN).min(total / 2)
}

/// What is to be done, with these files on these disks.
pub(super) fn plan(held: &[Held], disks: &[Disk], budget: LogBudget) -> Plan {
    let used: u64 = held.iter().map(|file| file.size).sum();
    let mut over = match budget.total {
        0 => 0,
        total => used.saturating_sub(total - reserve(total)),
    };
    let lacking = |disk: &Disk| {
        let wanted = budget.min_free.of(disk.size) + disk_reserve(disk);
        (disk.id, wanted.saturating_sub(disk.free))
    };
    let is_limited = |_: &&Disk| !budget.min_free.is_none();
    let mut lacking = ordered::map(disks.iter().filter(is_limited).map(lacking));

    let mut plan = Plan {
        because: (over > 0).then_some(Limit::Total(budget.total)),
        ..Plan::default()
    };
    let mut archives: Vec<usize> = (0..held.len()).filter(|at| !held[*at].is_current).collect();
    ordered::sort_by_key(&mut archives, |at| held[*at].modified);
    for at in archives {
        let Held { disk, size, .. } = held[at];
        let of_disk = lacking.get_mut(&disk).filter(|lacking| **lacking > 0);
        if over == 0 && of_disk.is_none() {
            continue;
        }
        over = over.saturating_sub(size);
        if let Some(lacking) = of_disk {
            *lacking = lacking.saturating_sub(size);
            plan.because.get_or_insert(Limit::Disk {
                id: disk,
                min_free: budget.min_free,
            });
        }
        plan.remove.push(at);
    }
    let mut largest_first: Vec<&Held> = held.iter().filter(|file| file.is_current).collect();
    ordered::sort_by_key(&mut largest_first, |file| Reverse(file.size));
    let large = match budget.total {
        0 => u64::MAX,
        total => total / 8,
    };
    for file in largest_first {
        if file.size <= large && (over == 0 || file.size == 0) {
            break;
        }
        over = over.saturating_sub(file.size);
        plan.close.push(file.stream);
    }
    let mut gone = vec![false; held.len()];
    plan.remove.iter().for_each(|at| gone[*at] = true);
    let is_left = |at: &usize| !gone[*at];
    let left: Vec<Held> = (0..held.len()).filter(is_left).map(|at| held[at]).collect();
    let freed_of = |disk: &Disk| -> u64 {
        let removed = plan.remove.iter().map(|at| held[*at]);
        let of_disk = removed.filter(|file| file.disk == disk.id);
        of_disk.map(|file| file.size).sum()
    };
    let freed = |disk: &Disk| Disk {
        free: disk.free + freed_of(disk),
        ..*disk
    };
    let disks: Vec<Disk> = disks.iter().map(freed).collect();
    plan.rooms = rooms(&left, &disks, budget);
    plan
}

/// How much may be written before each limit is reached.
pub(super) fn rooms(held: &[Held], disks: &[Disk], budget: LogBudget) -> Vec<Room> {
    let used: u64 = held.iter().map(|file| file.size).sum();
    let of_total = (budget.total > 0).then(|| Room {
        limit: Limit::Total(budget.total),
        left: budget.total.saturating_sub(used),
        reserve: reserve(budget.total),
    });
    let limited = disks.iter().filter(|_| !budget.min_free.is_none());
    let of_disks = limited.map(|disk| Room {
        limit: Limit::Disk {
            id: disk.id,
            min_free: budget.min_free,
        },
        left: disk.free.saturating_sub(budget.min_free.of(disk.size)),
        reserve: disk_reserve(disk),
    });
    of_total.into_iter().chain(of_disks).collect()
}

fn disk_reserve(disk: &Disk) -> u64 {
    (disk.size / 64).clamp(RESERVE_MIN, DISK_RESERVE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn held(stream: u64, disk: u64, size: u64, modified: Wall, is_current: bool) -> Held {
        Held {
            stream: StreamId(stream),
            disk,
            size,
            modified,
            is_current,
        }
    }

    /// Names of what is removed, streams that are closed, what is left of each limit.
    fn outcome(
        files: &[Held],
        disks: &[Disk],
        budget: LogBudget,
    ) -> (Vec<usize>, Vec<u64>, Vec<u64>) {
        let plan = plan(files, disks, budget);
        let close = plan.close.iter().map(|stream| stream.0).collect();
        (
            plan.remove,
            close,
            plan.rooms.iter().map(|room| room.left).collect(),
        )
    }

    #[test]
    fn the_oldest_go_first_whoever_they_are_of() {
        let mb = |count: u64| count << 20;
        let files = [
            held(1, 7, mb(100), 50, true),
            held(1, 7, mb(100), 20, false),
            held(2, 8, mb(60), 50, true),
            held(2, 8, mb(100), 10, false),
            held(2, 8, mb(100), 30, false),
        ];
        let of = |total, min_free| LogBudget {
            total: mb(total),
            min_free,
        };
        let disk = |id, free| Disk {
            id,
            free: mb(free),
            size: mb(6400),
        };
        let roomy = [disk(7, 5000), disk(8, 5000)];
        let none = MinFree::default();
        for (budget, disks, remove, close, left) in [
            (of(0, none), roomy, vec![], vec![], vec![]),
            (of(1600, none), roomy, vec![], vec![], vec![1140]),
            // A sixteenth is the reserve; more than an eighth is closed.
            (of(496, none), roomy, vec![], vec![1], vec![36]),
            (of(480, none), roomy, vec![3], vec![1], vec![120]),
            (of(320, none), roomy, vec![3, 1], vec![1, 2], vec![60]),
            (of(160, none), roomy, vec![3, 1, 4], vec![1, 2], vec![0]),
            // A disk has only the files that are on it, and nothing is closed for it.
            (
                of(0, MinFree::Bytes(mb(1000))),
                [disk(7, 1100), disk(8, 1000)],
                vec![3],
                vec![],
                vec![100, 100],
            ),
            (
                of(0, MinFree::Percent(50)),
                [disk(7, 100), disk(8, 4000)],
                vec![1],
                vec![],
                vec![0, 800],
            ),
        ] {
            let left = left.into_iter().map(mb).collect();
            let expected = (remove, close, left);
            assert_eq!(outcome(&files, &disks, budget), expected, "{budget:?}");
        }
    }

    proptest! {
        /// Whatever there is: the file that is being written is never removed, nothing goes that
        /// need not, and if anything rotated is left, the limits and their reserves are kept.
        #[test]
        fn the_limits_are_kept_with_as_little_as_possible(
            files in proptest::collection::vec((0_u64..5, 0_u64..2, 0_u64..1000, 0_i64..50, any::<bool>()), 0..40),
            free in (0_u64..5000, 0_u64..5000),
            total in 0_u64..20_000,
            min_free in 0_u64..3000,
        ) {
            let files: Vec<Held> = files.into_iter().map(|(s, d, n, m, c)| held(s, d, n, m, c)).collect();
            let disks = [free.0, free.1];
            let disks = [0, 1].map(|id| Disk { id, free: disks[id as usize], size: 6400 });
            let plan = plan(&files, &disks, LogBudget { total, min_free: MinFree::Bytes(min_free) });
            prop_assert!(plan.remove.iter().all(|at| !files[*at].is_current));
            let satisfied = |gone: &[usize]| {
                let left = |file: &dyn Fn(usize) -> bool| -> u64 {
                    (0..files.len()).filter(|at| file(*at)).map(|at| files[at].size).sum()
                };
                let kept = left(&|at| !gone.contains(&at));
                let within = total == 0 || kept <= total - reserve(total);
                within && disks.iter().all(|disk| {
                    let freed = left(&|at| gone.contains(&at) && files[at].disk == disk.id);
                    min_free == 0 || disk.free + freed >= min_free + disk_reserve(disk)
                })
            };
            let archives = files.iter().filter(|file| !file.is_current).count();
            if plan.remove.len() < archives && total > 0 && min_free == 0 {
                prop_assert!(satisfied(&plan.remove));
            }
            if let [before @ .., last] = plan.remove.as_slice()
                && files[*last].size > 0
            {
                prop_assert!(!satisfied(before));
            }
            let times: Vec<Wall> = plan.remove.iter().map(|at| files[*at].modified).collect();
            prop_assert!(times.is_sorted());
        }
    }
}
