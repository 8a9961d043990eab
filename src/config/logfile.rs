//! How a log file is rotated and kept: the options that `stdout_logfile`, `stderr_logfile` and the
//! `logfile` of `[supervisord]` have in common, each with its own name in front.

use serde::{Deserialize, Serialize};

use super::python::repr;
use super::reader::{Reader, Scope};
use super::revision::bytes;
use super::value::{self, Refused, refused};

/// How a log file is rotated and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFileConfig {
    /// Rotate after this many bytes; 0 or less = never by size.
    pub maxbytes: i64,
    /// How many rotated files to keep; 0 truncates instead.
    pub backups: u32,
    /// Rotate at these wall-clock moments as well (our addition: `_rotate`).
    pub rotate: Option<RotatePeriod>,
}

/// Wall-clock moments, in local time, at which a log is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RotatePeriod {
    /// `hourly`: at minute 0.
    Hourly,
    /// `daily`: at 00:00.
    Daily,
    /// `weekly`: Monday 00:00.
    Weekly,
    /// `monthly`: on the first, 00:00.
    Monthly,
    /// `HH:MM`: every day then.
    At {
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
    },
    /// `6h`: at 00:00 and every so many hours from there, each day anew.
    Every {
        /// 1 to 24.
        hours: u8,
    },
}

impl LogFileConfig {
    /// Nothing limits the file. For a stream without one.
    pub const UNLIMITED: LogFileConfig = LogFileConfig {
        maxbytes: 0,
        backups: 0,
        rotate: None,
    };

    /// Its options as one would write them, for those who compare; without the name in front.
    pub(super) fn written(&self) -> Vec<(&'static str, String)> {
        let LogFileConfig {
            maxbytes,
            backups,
            rotate,
        } = self;
        let rotate = match rotate {
            None => String::new(),
            Some(RotatePeriod::Hourly) => "hourly".to_owned(),
            Some(RotatePeriod::Daily) => "daily".to_owned(),
            Some(RotatePeriod::Weekly) => "weekly".to_owned(),
            Some(RotatePeriod::Monthly) => "monthly".to_owned(),
            Some(RotatePeriod::At { hour, minute }) => format!("{hour:02}:{minute:02}"),
            Some(RotatePeriod::Every { hours }) => format!("{hours}h"),
        };
        vec![
            ("maxbytes", bytes(u64::try_from(*maxbytes).unwrap_or(0))),
            ("backups", backups.to_string()),
            ("rotate", rotate),
        ]
    }
}

/// Reads the options whose names begin with `logfile`, which is `stdout_logfile` or the like.
pub(super) fn read<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>, logfile: &str) -> LogFileConfig {
    let key = |suffix: &str| format!("{logfile}_{suffix}");
    LogFileConfig {
        maxbytes: reader.read(scope, &key("maxbytes"), 50 << 20, value::signed_bytes),
        backups: reader.read(scope, &key("backups"), 10, count),
        rotate: reader.read(scope, &key("rotate"), None, rotate_period),
    }
}

/// A number of files: nothing below zero has a meaning, so that is 0.
fn count(text: &str) -> Result<u32, Refused> {
    value::integer(text).map(|number| u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

/// `hourly`, `daily`, `weekly`, `monthly`, `HH:MM`, `6h`, or nothing.
fn rotate_period(text: &str) -> Result<Option<RotatePeriod>, Refused> {
    let period = match text.to_lowercase().as_str() {
        "" | "none" | "off" => return Ok(None),
        "hourly" => Some(RotatePeriod::Hourly),
        "daily" => Some(RotatePeriod::Daily),
        "weekly" => Some(RotatePeriod::Weekly),
        "monthly" => Some(RotatePeriod::Monthly),
        other => every_hours(other).or_else(|| every_day_at(other)),
    };
    match period {
        Some(period) => Ok(Some(period)),
        None => refused(
            format!("not a time to rotate at: {}", repr(text)),
            "hourly, daily, weekly, monthly, HH:MM, or 1h to 24h",
        ),
    }
}

fn every_hours(text: &str) -> Option<RotatePeriod> {
    let hours = text.strip_suffix('h')?.parse().ok()?;
    (1..=24)
        .contains(&hours)
        .then_some(RotatePeriod::Every { hours })
}

fn every_day_at(text: &str) -> Option<RotatePeriod> {
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(RotatePeriod::At { hour, minute })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_as_people_write_them() {
        use RotatePeriod::*;
        for (text, expected) in [
            ("", Some(None)),
            ("none", Some(None)),
            ("Daily", Some(Some(Daily))),
            ("monthly", Some(Some(Monthly))),
            (
                "04:30",
                Some(Some(At {
                    hour: 4,
                    minute: 30,
                })),
            ),
            ("6h", Some(Some(Every { hours: 6 }))),
            ("24h", Some(Some(Every { hours: 24 }))),
            ("0h", None),
            ("25h", None),
            ("24:00", None),
            ("6", None),
            ("yearly", None),
        ] {
            assert_eq!(rotate_period(text).ok(), expected, "{text:?}");
        }
    }
}
