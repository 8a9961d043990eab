//! Collects what is measured, for whoever asks.

use super::brain::Brain;
use super::processes::{MAIN_LOG, stream_of};
use crate::control::Channel;
use crate::control::measures::{Measures, ProcessMeasures};
use crate::logs::mainlog;

impl Brain {
    /// Everything that is counted and measured.
    pub(super) fn measures(&self) -> Measures {
        let counts = self.plane.counts();
        let holdings = self.plane.holdings();
        let processes = self.processes.iter().filter_map(|(id, held)| {
            let of_fleet = self.fleet.get(*id)?;
            let pid = of_fleet.pid().unwrap_or(0);
            let started = of_fleet.started();
            let uptime = started.map_or(0, |moment| self.now.stamp.since(moment.stamp).as_secs());
            let bytes = |channel| counts.bytes(stream_of(*id, channel));
            let dropped = |channel| counts.dropped(stream_of(*id, channel));
            Some(ProcessMeasures {
                name: held.name.clone(),
                state: of_fleet.state(),
                pid,
                start: started.map_or(0, |moment| moment.wall),
                uptime: if pid == 0 { 0 } else { uptime },
                starts: held.runs,
                ended: of_fleet.exit_status(),
                log_bytes: [bytes(Channel::Stdout), bytes(Channel::Stderr)],
                log_dropped: [dropped(Channel::Stdout), dropped(Channel::Stderr)],
                log_trouble: !held.trouble().is_empty(),
            })
        });
        let pools = self.listeners.pools.iter();
        Measures {
            keeper: self.keeper.pid,
            turns: self.turn_times,
            events: self.bulletin.last(),
            main_log_bytes: counts.bytes(MAIN_LOG),
            main_log_dropped: mainlog::dropped(),
            discarded: pools
                .map(|(name, pool)| (name.clone(), pool.discarded()))
                .collect(),
            logs_held: holdings.used(),
            logs_removed: holdings.removed(),
            processes: processes.collect(),
        }
    }
}
