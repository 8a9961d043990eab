//! Whether the kernel has killed somebody because memory ran out: `oom_kill` of `/proc/vmstat`
//! (since 4.13), which counts those whose cgroup ran out of its share as well.
//!
//! Must never: be taken for more than a coincidence, for it does not say who was killed.

use std::fs;
use std::time::Duration;

use crate::fleet::Stamp;

/// All that were killed at once are told one after the other within this time.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How often it has happened.
#[derive(Debug)]
pub struct OomKills {
    seen: u64,
    last: Option<Stamp>,
}

impl OomKills {
    /// What happened before is of no concern.
    pub fn from_now_on() -> OomKills {
        OomKills {
            seen: count(),
            last: None,
        }
    }

    /// Whether it has happened just now: since this was last asked.
    pub fn happened(&mut self, now: Stamp) -> bool {
        self.count_is(count(), now)
    }

    fn count_is(&mut self, count: u64, now: Stamp) -> bool {
        if count > self.seen {
            self.seen = count;
            self.last = Some(now);
        }
        self.last.is_some_and(|last| now.since(last) < AT_ONCE)
    }
}

/// 0 where it cannot be read.
fn count() -> u64 {
    let text = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    parse(&text).unwrap_or_default()
}

fn parse(vmstat: &str) -> Option<u64> {
    let value = |line: &str| line.strip_prefix("oom_kill ")?.parse().ok();
    vmstat.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_found() {
        let text = "pgfault 1\noom_kill_x 2\noom_kill 16\nnuma_hit 3\n";
        assert_eq!(parse(text), Some(16));
        assert_eq!(parse("pgfault 1\n"), None);
    }

    #[test]
    fn it_counts_for_all_who_end_at_once_and_for_nobody_later() {
        let mut kills = OomKills {
            seen: 3,
            last: None,
        };
        let at = |milliseconds: u64| Stamp(milliseconds * 1_000_000);
        for (count, now, expected) in [
            (3, 0, false),
            (4, 100, true),
            (4, 900, true),
            (4, 1200, false),
            (6, 5000, true),
        ] {
            assert_eq!(kills.count_is(count, at(now)), expected, "{now}");
        }
    }
}
