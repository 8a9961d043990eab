//! CPU and memory of processes, read from /proc when somebody asks.
//!
//! Must never: be read while nobody looks.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::launch::ProcessStat;
use crate::ordered;

/// CPU in thousandths of one processor since the last reading, if there was one, and memory in KiB.
pub type Share = (Option<u64>, u64);

/// What processes use.
#[derive(Debug, Serialize)]
pub struct Usage {
    /// The daemon's brain.
    pub daemon: Share,
    /// Every process that runs, by name.
    pub processes: BTreeMap<String, Share>,
}

/// Remembers what CPU time was used, to tell the difference.
#[derive(Debug, Default)]
pub struct Meter {
    last: BTreeMap<i32, (u64, Duration)>,
    when: Option<Instant>,
}

impl Meter {
    /// Reads /proc: to be called where waiting does no harm.
    pub fn read(&mut self, pids: Vec<(String, i32)>) -> Usage {
        let now = Instant::now();
        let elapsed = self.when.replace(now).map(|when| now - when);
        let old = std::mem::take(&mut self.last);
        let mut share = |pid: i32| -> Option<Share> {
            let stat = ProcessStat::of(pid).ok()?;
            self.last.insert(pid, (stat.start_time, stat.cpu()));
            let before = old.get(&pid).filter(|(start, _)| *start == stat.start_time);
            let used = before.map(|(_, before)| stat.cpu().saturating_sub(*before));
            let cpu = used
                .zip(elapsed)
                .map(|(used, elapsed)| thousandths(used, elapsed));
            Some((cpu, stat.resident() / 1024))
        };
        Usage {
            daemon: i32::try_from(std::process::id())
                .ok()
                .and_then(&mut share)
                .unwrap_or_default(),
            processes: ordered::map(
                pids.into_iter()
                    .filter_map(|(name, pid)| Some((name, share(pid)?))),
            ),
        }
    }
}

fn thousandths(used: Duration, elapsed: Duration) -> u64 {
    let elapsed = elapsed.as_micros().max(1);
    u64::try_from(used.as_micros() * 1000 / elapsed).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_needs_two_readings() {
        let own = std::process::id() as i32;
        let pids = vec![("me".to_owned(), own), ("nobody".to_owned(), i32::MAX)];
        let mut meter = Meter::default();
        let first = meter.read(pids.clone());
        assert_eq!(first.processes.len(), 1, "who is gone has no share");
        assert_eq!(first.processes["me"].0, None);
        assert!(first.processes["me"].1 > 100, "{first:?}");
        let second = meter.read(pids);
        assert!(second.processes["me"].0.is_some());
        assert!(second.daemon.0.is_some());
    }

    #[test]
    fn shares_are_thousandths_of_one_processor() {
        let ms = Duration::from_millis;
        assert_eq!(thousandths(ms(50), ms(2000)), 25);
        assert_eq!(thousandths(ms(4000), ms(2000)), 2000);
        assert_eq!(thousandths(ms(1), Duration::ZERO), 1_000_000);
    }
}
