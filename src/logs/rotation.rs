//! When a log is rotated by the clock: pure decisions over seconds.
//!
//! Wall-clock periods are counted in local time. The zone is an argument: a function from seconds
//! since the epoch (UTC) to the seconds that local time is ahead of UTC, which is defined for
//! every moment, also around changes of daylight saving. A boundary that falls into a skipped
//! hour fires once, at the moment the clocks jump over it; one in a doubled hour fires once, the
//! first time.
//!
//! Must never: read a clock, know the zone, touch a file.

use chrono::{Datelike, NaiveDate};

use crate::config::RotatePeriod;

/// Seconds since the epoch, UTC.
pub type Wall = i64;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;
const MONTHS: i64 = 12;
/// 1970-01-01 was a Thursday; three days earlier a week began with Monday 00:00.
const MONDAY: i64 = -3 * DAY;
/// Two changes of the zone's offset are further apart than twice this.
const ZONE_MARGIN: i64 = 30 * HOUR;
/// Boundaries looked at to find the next one. More than one is needed only where a doubled hour
/// shows boundaries again that have fired.
const BOUNDARIES_MAX: i64 = 48;

/// The first boundary after `now`.
pub fn next_boundary(period: RotatePeriod, now: Wall, offset: &dyn Fn(Wall) -> i64) -> Wall {
    let first = number_at(period, now + offset(now)) + 1;
    (first..first + BOUNDARIES_MAX)
        .map(|number| first_moment(local_of(period, number), offset))
        .find(|moment| *moment > now)
        .unwrap_or(now + DAY)
}

/// The number of the last boundary at or before this local time.
fn number_at(period: RotatePeriod, local: i64) -> i64 {
    match period {
        RotatePeriod::Hourly => local.div_euclid(HOUR),
        RotatePeriod::Daily => local.div_euclid(DAY),
        RotatePeriod::Weekly => (local - MONDAY).div_euclid(WEEK),
        RotatePeriod::Monthly => {
            let date =
                NaiveDate::from_epoch_days(i32::try_from(local.div_euclid(DAY)).unwrap_or(0))
                    .unwrap_or_default();
            i64::from(date.year()) * MONTHS + i64::from(date.month0())
        }
        RotatePeriod::At { hour, minute } => (local - time_of_day(hour, minute)).div_euclid(DAY),
        RotatePeriod::Every { hours } => {
            let of_day = local.rem_euclid(DAY).div_euclid(i64::from(hours) * HOUR);
            local.div_euclid(DAY) * per_day(hours) + of_day
        }
    }
}

/// When the boundary of this number is, in local time.
fn local_of(period: RotatePeriod, number: i64) -> i64 {
    match period {
        RotatePeriod::Hourly => number * HOUR,
        RotatePeriod::Daily => number * DAY,
        RotatePeriod::Weekly => MONDAY + number * WEEK,
        RotatePeriod::Monthly => {
            let year = i32::try_from(number.div_euclid(MONTHS)).unwrap_or(0);
            let month = u32::try_from(number.rem_euclid(MONTHS)).unwrap_or(0) + 1;
            let date = NaiveDate::from_ymd_opt(year, month, 1).unwrap_or_default();
            i64::from(date.to_epoch_days()) * DAY
        }
        RotatePeriod::At { hour, minute } => number * DAY + time_of_day(hour, minute),
        RotatePeriod::Every { hours } => {
            let (day, of_day) = (
                number.div_euclid(per_day(hours)),
                number.rem_euclid(per_day(hours)),
            );
            day * DAY + of_day * i64::from(hours) * HOUR
        }
    }
}

fn time_of_day(hour: u8, minute: u8) -> i64 {
    i64::from(hour) * HOUR + i64::from(minute) * 60
}

/// Boundaries in a day that begins with one.
fn per_day(hours: u8) -> i64 {
    (24 + i64::from(hours) - 1) / i64::from(hours)
}

/// The boundary to wait for after the one at `fired` has fired and the clock says `now`.
///
/// A clock that was set back a little would show the boundary that fired last again; it does not
/// fire twice. One that was set back further than that is believed.
pub fn next_after_firing(
    period: RotatePeriod,
    fired: Option<Wall>,
    now: Wall,
    offset: &dyn Fn(Wall) -> i64,
) -> Wall {
    let next = next_boundary(period, now, offset);
    if fired == Some(next) {
        next_boundary(period, next, offset)
    } else {
        next
    }
}

/// The boundary to wait for after somebody set the clock. One that was jumped over is still due,
/// once; one that has moved away is counted anew.
pub fn after_clock_change(
    period: RotatePeriod,
    waited_for: Wall,
    fired: Option<Wall>,
    now: Wall,
    offset: &dyn Fn(Wall) -> i64,
) -> Wall {
    if waited_for <= now {
        waited_for
    } else {
        next_after_firing(period, fired, now, offset)
    }
}

/// Whether a boundary passed between the last write of a file and now.
pub fn has_passed(
    period: RotatePeriod,
    last_write: Wall,
    now: Wall,
    offset: &dyn Fn(Wall) -> i64,
) -> bool {
    next_boundary(period, last_write, offset) <= now
}

/// The first moment at which local clocks show `local` (seconds since 1970-01-01 00:00 local
/// time) or, where they jump over it, anything later.
fn first_moment(local: i64, offset: &dyn Fn(Wall) -> i64) -> Wall {
    let before = offset(local - ZONE_MARGIN);
    let after = offset(local + ZONE_MARGIN);
    for candidate in [before, after] {
        let moment = local - candidate;
        if offset(moment) == candidate {
            return moment;
        }
    }
    // Skipped: the jump lies between the two candidates.
    let (mut early, mut late) = (local - after, local - before);
    while late - early > 1 {
        let middle = early + (late - early) / 2;
        if offset(middle) == before {
            early = middle
        } else {
            late = middle
        }
    }
    late
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDateTime;

    /// Central European time in 2026: summer from 03-29 01:00 UTC to 10-25 01:00 UTC.
    fn berlin(wall: Wall) -> i64 {
        if (utc("2026-03-29 01:00")..utc("2026-10-25 01:00")).contains(&wall) {
            7200
        } else {
            3600
        }
    }

    /// Lord Howe Island in 2026: half an hour, southern summer until 04-04 15:00 UTC.
    fn lord_howe(wall: Wall) -> i64 {
        let winter = utc("2026-04-04 15:00")..utc("2026-10-03 15:30");
        if winter.contains(&wall) {
            37_800
        } else {
            39_600
        }
    }

    /// A zone whose clocks skip midnight: at 2026-10-17 24:00 they go from 00:00 to 01:00.
    fn skips_midnight(wall: Wall) -> i64 {
        if wall >= utc("2026-10-18 04:00") {
            -3 * HOUR
        } else {
            -4 * HOUR
        }
    }

    fn utc(text: &str) -> Wall {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M")
            .unwrap()
            .and_utc()
            .timestamp()
    }

    fn show(wall: Wall) -> String {
        let moment = chrono::DateTime::from_timestamp(wall, 0).unwrap();
        moment.format("%Y-%m-%d %H:%M").to_string()
    }

    #[test]
    fn boundaries_in_local_time() {
        use RotatePeriod::*;
        let at = |hour, minute| At { hour, minute };
        let every = |hours| Every { hours };
        type Zone = fn(Wall) -> i64;
        let table: &[(RotatePeriod, Zone, &str, &str)] = &[
            (Hourly, berlin, "2026-01-10 11:59", "2026-01-10 12:00"),
            (Hourly, berlin, "2026-01-10 12:00", "2026-01-10 13:00"),
            (Daily, berlin, "2026-01-10 12:00", "2026-01-10 23:00"),
            (Daily, berlin, "2026-07-10 12:00", "2026-07-10 22:00"),
            (Daily, berlin, "2026-03-28 23:30", "2026-03-29 22:00"),
            // 2026-01-12 is a Monday.
            (Weekly, berlin, "2026-01-10 12:00", "2026-01-11 23:00"),
            (Weekly, berlin, "2026-01-11 23:00", "2026-01-18 23:00"),
            (at(6, 30), berlin, "2026-01-10 05:29", "2026-01-10 05:30"),
            (at(6, 30), berlin, "2026-01-10 05:30", "2026-01-11 05:30"),
            (Monthly, berlin, "2026-01-31 22:59", "2026-01-31 23:00"),
            (Monthly, berlin, "2026-01-31 23:00", "2026-02-28 23:00"),
            (Monthly, berlin, "2026-12-10 12:00", "2026-12-31 23:00"),
            (Monthly, berlin, "2026-03-10 12:00", "2026-03-31 22:00"),
            (every(6), berlin, "2026-01-10 04:59", "2026-01-10 05:00"),
            (every(6), berlin, "2026-01-10 05:00", "2026-01-10 11:00"),
            (every(6), berlin, "2026-01-10 22:59", "2026-01-10 23:00"),
            // What does not divide the day begins anew with it: 0, 5, 10, 15, 20, 0.
            (every(5), berlin, "2026-01-10 14:00", "2026-01-10 19:00"),
            (every(5), berlin, "2026-01-10 19:00", "2026-01-10 23:00"),
            (every(5), berlin, "2026-01-10 23:00", "2026-01-11 04:00"),
            (every(24), berlin, "2026-01-10 23:00", "2026-01-11 23:00"),
            // On the days of change it stays at the hours the clock shows.
            (every(6), berlin, "2026-03-28 23:00", "2026-03-29 04:00"),
            (every(6), berlin, "2026-10-24 22:00", "2026-10-25 05:00"),
            (every(2), berlin, "2026-03-29 00:00", "2026-03-29 01:00"),
            (every(2), berlin, "2026-10-25 00:10", "2026-10-25 03:00"),
            // Skipped: 02:00 to 03:00 local do not exist; 02:30 fires at the jump.
            (at(2, 30), berlin, "2026-03-29 00:00", "2026-03-29 01:00"),
            (at(2, 30), berlin, "2026-03-29 01:00", "2026-03-30 00:30"),
            (Hourly, berlin, "2026-03-29 00:30", "2026-03-29 01:00"),
            (Hourly, berlin, "2026-03-29 01:00", "2026-03-29 02:00"),
            // Doubled: 02:30 comes at 00:30 and at 01:30 UTC; only the first counts.
            (at(2, 30), berlin, "2026-10-25 00:00", "2026-10-25 00:30"),
            (at(2, 30), berlin, "2026-10-25 00:30", "2026-10-26 01:30"),
            (at(2, 30), berlin, "2026-10-25 01:10", "2026-10-26 01:30"),
            (Hourly, berlin, "2026-10-25 00:00", "2026-10-25 02:00"),
            (Hourly, berlin, "2026-10-25 01:10", "2026-10-25 02:00"),
            (at(1, 45), lord_howe, "2026-04-04 14:00", "2026-04-04 14:45"),
            (at(1, 45), lord_howe, "2026-04-04 14:45", "2026-04-05 15:15"),
            (at(2, 15), lord_howe, "2026-10-03 15:00", "2026-10-03 15:30"),
            (
                Daily,
                skips_midnight,
                "2026-10-17 12:00",
                "2026-10-18 04:00",
            ),
            (
                Daily,
                skips_midnight,
                "2026-10-18 04:00",
                "2026-10-19 03:00",
            ),
        ];
        for (period, zone, now, next) in table {
            let found = next_boundary(*period, utc(now), zone);
            assert_eq!(show(found), *next, "{period:?} after {now} UTC");
        }
    }

    #[test]
    fn every_boundary_of_a_year_fires_once_and_in_order() {
        let end = utc("2027-01-01 00:00");
        for (period, expected) in [
            (RotatePeriod::Daily, 365),
            (
                RotatePeriod::At {
                    hour: 2,
                    minute: 30,
                },
                365,
            ),
            (RotatePeriod::Weekly, 52),
            (RotatePeriod::Monthly, 12),
            (RotatePeriod::Every { hours: 6 }, 4 * 365),
            (RotatePeriod::Every { hours: 7 }, 4 * 365),
            // The doubled hour shows "02:00" twice and the skipped one jumps: 8760 - 1 names.
            (RotatePeriod::Hourly, 8759),
        ] {
            let (mut now, mut count) = (utc("2025-12-31 23:30"), 0);
            loop {
                let next = next_boundary(period, now, &berlin);
                assert!(next > now);
                if next >= end {
                    break;
                }
                (now, count) = (next, count + 1);
            }
            assert_eq!(count, expected, "{period:?}");
        }
    }

    #[test]
    fn a_boundary_missed_while_nobody_ran_is_seen_by_the_last_write() {
        let daily = RotatePeriod::Daily;
        let midnight = utc("2026-01-10 23:00");
        assert!(has_passed(daily, midnight - 1, midnight, &berlin));
        assert!(!has_passed(daily, midnight, midnight + 60, &berlin));
        assert!(!has_passed(daily, midnight - 60, midnight - 1, &berlin));
    }

    #[test]
    fn a_boundary_missed_at_a_change_of_daylight_saving_counts_once() {
        use RotatePeriod::*;
        let at = |hour, minute| At { hour, minute };
        let every = |hours| Every { hours };
        let table: &[(RotatePeriod, &str, &str, bool)] = &[
            // It falls into the hour that is skipped at 01:00 UTC.
            (at(2, 30), "2026-03-29 00:59", "2026-03-29 01:00", true),
            (at(2, 30), "2026-03-29 00:58", "2026-03-29 00:59", false),
            (at(2, 30), "2026-03-29 01:00", "2026-03-30 00:29", false),
            (Hourly, "2026-03-29 00:30", "2026-03-29 01:00", true),
            (every(2), "2026-03-29 00:59", "2026-03-29 01:00", true),
            (every(2), "2026-03-29 01:00", "2026-03-29 01:59", false),
            (Daily, "2026-03-28 22:59", "2026-03-29 21:59", true),
            (Daily, "2026-03-28 23:00", "2026-03-29 21:59", false),
            (Weekly, "2026-03-29 21:59", "2026-03-29 22:00", true),
            (Monthly, "2026-03-31 21:59", "2026-03-31 22:00", true),
            // It comes at 00:30 and, as 02:30 again, at 01:30 UTC.
            (at(2, 30), "2026-10-25 00:29", "2026-10-25 00:30", true),
            (at(2, 30), "2026-10-25 00:30", "2026-10-25 01:45", false),
            (Hourly, "2026-10-25 00:10", "2026-10-25 01:59", false),
            (Hourly, "2026-10-25 01:59", "2026-10-25 02:00", true),
            (every(2), "2026-10-25 00:00", "2026-10-25 02:59", false),
            (Daily, "2026-10-24 22:00", "2026-10-25 22:59", false),
            (Weekly, "2026-10-25 22:59", "2026-10-25 23:00", true),
            (Monthly, "2026-10-01 00:00", "2026-10-31 22:59", false),
            (Monthly, "2026-10-31 22:59", "2026-10-31 23:00", true),
        ];
        for (period, written, now, missed) in table {
            let found = has_passed(*period, utc(written), utc(now), &berlin);
            assert_eq!(found, *missed, "{period:?}: {written} to {now} UTC");
        }
    }

    #[test]
    fn a_clock_set_back_does_not_fire_the_same_boundary_again() {
        let midnight = utc("2026-01-10 23:00");
        let next = |fired, now| next_after_firing(RotatePeriod::Daily, fired, now, &berlin);
        assert_eq!(show(next(Some(midnight), midnight)), "2026-01-11 23:00");
        assert_eq!(
            show(next(Some(midnight), midnight - 600)),
            "2026-01-11 23:00"
        );
        assert_eq!(show(next(None, midnight - 600)), "2026-01-10 23:00");
        assert_eq!(
            show(next(Some(midnight), midnight - 10 * DAY)),
            "2026-01-01 23:00"
        );
    }

    #[test]
    fn a_clock_that_jumps_a_day_either_way_fires_each_boundary_once() {
        let midnight = utc("2026-01-10 23:00");
        let after = |waited_for, fired, now| {
            show(after_clock_change(
                RotatePeriod::Daily,
                waited_for,
                fired,
                now,
                &berlin,
            ))
        };
        let noon = midnight - 11 * HOUR;
        // Forward over a boundary: due now, and the next one is the midnight to come.
        assert_eq!(after(midnight, None, noon + DAY), show(midnight));
        // Forward, but not over it.
        assert_eq!(after(midnight, None, noon + HOUR), show(midnight));
        // Back over the one that fired: that one does not come again.
        let next = midnight + DAY;
        assert_eq!(after(next, Some(midnight), noon), show(next));
        // Back without having fired today.
        assert_eq!(after(next, None, noon), show(midnight));
        // There and back again.
        assert_eq!(after(next + DAY, Some(next), noon), show(midnight));
    }
}
