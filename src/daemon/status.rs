//! The description of a process in `status`, computed where the clock is: in the daemon. Pure.

use chrono::{DateTime, Local, TimeZone};

use crate::control::uptime;
use crate::fleet::State;

/// What a description is made of.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// State.
    pub state: State,
    /// Pid, 0 if none.
    pub pid: i32,
    /// Seconds since its start.
    pub uptime: u64,
    /// Wall clock of its last start, 0 if never.
    pub start: i64,
    /// Wall clock of its last end, 0 if never.
    pub stop: i64,
    /// Why it could not be started.
    pub spawn_error: &'a str,
}

/// Supervisor's description (its `status` column three), times in local time.
pub fn description(facts: Facts<'_>) -> String {
    describe_in(facts, &Local)
}

fn describe_in<Zone: TimeZone>(facts: Facts<'_>, zone: &Zone) -> String
where
    Zone::Offset: std::fmt::Display,
{
    match facts.state {
        State::Running => format!("pid {}, uptime {}", facts.pid, uptime(facts.uptime)),
        State::Starting | State::Stopping | State::Unknown => String::new(),
        State::Backoff | State::Fatal if facts.spawn_error.is_empty() => {
            "unknown error (try \"tail <name>\")".to_owned()
        }
        State::Backoff | State::Fatal => facts.spawn_error.to_owned(),
        State::Stopped | State::Exited if facts.start == 0 || facts.stop == 0 => {
            "Not started".to_owned()
        }
        State::Stopped | State::Exited => time_of_death(facts.stop, zone),
    }
}

fn time_of_death<Zone: TimeZone>(stop: i64, zone: &Zone) -> String
where
    Zone::Offset: std::fmt::Display,
{
    match DateTime::from_timestamp(stop, 0) {
        Some(moment) => moment
            .with_timezone(zone)
            .format("%b %d %I:%M %p")
            .to_string(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;

    fn of(state: State, start: i64, stop: i64, spawn_error: &str) -> String {
        let facts = Facts {
            state,
            pid: 12,
            uptime: 3_723,
            start,
            stop,
            spawn_error,
        };
        describe_in(facts, &Utc)
    }

    #[test]
    fn descriptions_are_supervisors() {
        let death = 1_795_328_340; // 2026-11-22 06:19 UTC
        assert_eq!(of(State::Running, 1, 0, ""), "pid 12, uptime 1:02:03");
        assert_eq!(of(State::Starting, 1, 0, ""), "");
        assert_eq!(
            of(State::Fatal, 1, 2, ""),
            "unknown error (try \"tail <name>\")"
        );
        assert_eq!(of(State::Backoff, 1, 2, "no"), "no");
        assert_eq!(of(State::Stopped, 0, 0, ""), "Not started");
        assert_eq!(of(State::Exited, 1, death, ""), "Nov 22 06:19 AM");
    }
}
