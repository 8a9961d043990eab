//! Ticks: when which `TICK_…` is due. Time is only looked at while somebody wants to know it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::{Event, TickPeriod};
use crate::ordered;

/// The periods that somebody subscribed to, and the last moment of each that was told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ticks {
    told: BTreeMap<TickPeriod, i64>,
}

impl Ticks {
    /// Follows these periods from now on, and no others. The period that has begun already is not
    /// told.
    pub fn follow(&mut self, wall: i64, periods: impl Iterator<Item = TickPeriod>) {
        let told = periods.map(|period| {
            let begun = self.told.get(&period).copied();
            (period, begun.unwrap_or(beginning(period, wall)))
        });
        self.told = ordered::map(told);
    }

    /// The ticks that are due, at most one of each period: also when the clock was set back.
    pub fn due(&mut self, wall: i64) -> Vec<Event> {
        let mut due = Vec::new();
        for (period, told) in &mut self.told {
            let (period, when) = (*period, beginning(*period, wall));
            if when != *told {
                *told = when;
                due.push(Event::Tick { period, when });
            }
        }
        due
    }

    /// When the next one is due, in seconds since 1970.
    pub fn next(&self) -> Option<i64> {
        let ends = self.told.iter().map(|(period, at)| at + period.seconds());
        ends.min()
    }
}

/// The last multiple of the period.
fn beginning(period: TickPeriod, wall: i64) -> i64 {
    wall - wall.rem_euclid(period.seconds())
}

#[cfg(test)]
mod tests {
    use super::*;
    use TickPeriod::*;

    fn told(ticks: &mut Ticks, wall: i64) -> Vec<(i64, i64)> {
        let due = ticks.due(wall);
        let facts = due.iter().map(|event| match event {
            Event::Tick { period, when } => (period.seconds(), *when),
            other => panic!("{other:?}"),
        });
        facts.collect()
    }

    #[test]
    fn a_tick_is_told_once_for_each_period_that_is_crossed() {
        let mut ticks = Ticks::default();
        assert_eq!(ticks.next(), None);
        ticks.follow(3598, [Seconds5, Hour].into_iter());
        // (wall, ticks, next)
        let table = [
            (3598, vec![], 3600),
            (3599, vec![], 3600),
            (3600, vec![(5, 3600), (3600, 3600)], 3605),
            (3604, vec![], 3605),
            (3617, vec![(5, 3615)], 3620),
            // Somebody set the clock.
            (3601, vec![(5, 3600)], 3605),
        ];
        for (wall, expected, next) in table {
            assert_eq!(told(&mut ticks, wall), expected, "{wall}");
            assert_eq!(ticks.next(), Some(next), "{wall}");
        }
        ticks.follow(3603, [Hour, Minute].into_iter());
        assert_eq!(ticks.next(), Some(3660));
        assert_eq!(told(&mut ticks, 3660), [(60, 3660)]);
    }
}
