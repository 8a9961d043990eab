//! The ends that the keeper sees: of orphans, which it records before it reaps them, and of the
//! brain, after which it decides when the next one starts and from which binary.

use super::ExitRecord;
use super::ParkKey;
use super::hold;
use super::respawn::Death;
use super::run::{CANNOT_BEGIN, Keeper};
use crate::fleet::{ExitStatus, Stamp};
use crate::launch::{Ended, ProcessStat, peek_any, reap_pid};

const SIGKILL: u8 = libc::SIGKILL as u8;

impl Keeper {
    /// Records, then reaps, everybody who ended. The code to end with, if that is due.
    pub(super) fn reap(&mut self, now: Stamp) -> Option<u8> {
        while let Ok(Some(ended)) = peek_any() {
            let mut end = None;
            if self
                .brain
                .as_ref()
                .is_some_and(|brain| brain.pid == ended.pid)
            {
                end = self.brain_ended(ended.status, now);
            } else {
                self.record(ended);
            }
            // One that cannot be reaped would be seen for ever; it is seen again in the next turn.
            if reap_pid(ended.pid).is_err() || end.is_some() {
                return end;
            }
        }
        None
    }

    /// A zombie keeps its pid and its entry in /proc, so what is read here is about it.
    fn record(&mut self, ended: Ended) {
        let stat = ProcessStat::of(ended.pid).ok();
        let likely_program =
            stat.is_none_or(|stat| stat.group == ended.pid && stat.session == self.session);
        let record = ExitRecord {
            pid: ended.pid,
            start_time: stat.map_or(0, |stat| stat.start_time),
            status: ended.status,
        };
        self.exits.record(record, likely_program);
    }

    /// The brain is a zombie. What it sent before counts, so that is read first.
    fn brain_ended(&mut self, status: ExitStatus, now: Stamp) -> Option<u8> {
        self.read_link(usize::MAX, now);
        let brain = self.brain.take()?;
        if let Some(code) = brain.leaving {
            if let Some(holder) = self.park.get(ParkKey::Holder) {
                // One that does not end is left alone, and ends by itself.
                let _ = hold::end(holder);
            }
            return Some(code);
        }
        if !self.ever_ready {
            return Some(exit_code(status));
        }
        self.wishes.brain_died();
        self.not_parked.clear();
        self.link_full = false;
        let binaries = &mut self.birth.binaries;
        if brain.ready_since.is_some() && binaries.on_trial() {
            // It made way for the candidate.
            self.start_at = now;
            return None;
        }
        if brain.ready_since.is_none() && binaries.failed(|| how_a_trial_ended(status)) {
            self.start_at = now;
            return None;
        }
        let death = Death {
            served: brain.ready_since.map(|since| now.since(since)),
            killed: matches!(
                status,
                ExitStatus::Signal {
                    number: SIGKILL,
                    ..
                }
            ),
        };
        self.start_at = now.after(self.deaths.delay_after(death));
        if self.deaths.many() {
            self.birth.binaries.fall_back();
        }
        None
    }
}

/// Of a candidate that never served.
fn how_a_trial_ended(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("it ended with exit status {code} before it served"),
        ExitStatus::Signal {
            number: SIGKILL, ..
        } => "it did not serve in time".to_owned(),
        ExitStatus::Signal { number, .. } => {
            format!("it was terminated by signal {number} before it served")
        }
        ExitStatus::Unknown => "it ended before it served".to_owned(),
    }
}

/// The code a shell would show.
fn exit_code(status: ExitStatus) -> u8 {
    match status {
        ExitStatus::Code(code) => code,
        ExitStatus::Signal { number, .. } => number.saturating_add(128),
        ExitStatus::Unknown => CANNOT_BEGIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes() {
        let signal = |number| ExitStatus::Signal {
            number,
            core: false,
        };
        let table = [
            (ExitStatus::Code(2), 2),
            (ExitStatus::Code(0), 0),
            (signal(9), 137),
            (signal(255), 255),
            (ExitStatus::Unknown, 1),
        ];
        for (status, code) in table {
            assert_eq!(exit_code(status), code);
        }
    }
}
