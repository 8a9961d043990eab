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
    /// What rotated files are called (our addition: `_rotate_suffix`).
    pub rotate_suffix: RotateSuffix,
    /// Remove rotated files that were last written so many seconds ago; 0 = never by age (our
    /// addition: `_maxage`).
    pub maxage: u64,
    /// Remove the oldest when all files of this log have more bytes; 0 = never (our addition:
    /// `_maxtotal`).
    pub maxtotal: u64,
    /// Compress rotated files (our addition: `_compress`).
    pub compress: Option<Compression>,
    /// Permission bits of new files, whatever the umask (our addition: `_mode`).
    pub mode: Option<u32>,
    /// User and group of new files (our addition: `_owner`).
    pub owner: Owner,
}

/// User and group ids; `None` leaves the daemon's.
pub type Owner = (Option<u32>, Option<u32>);

/// What a rotated file is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RotateSuffix {
    /// `number`: `.1` is the youngest.
    #[default]
    Number,
    /// `timestamp`: the moment of rotation.
    Timestamp,
}

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// `gzip`.
    Gzip,
    /// `zstd`.
    Zstd,
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
        rotate_suffix: RotateSuffix::Number,
        maxage: 0,
        maxtotal: 0,
        compress: None,
        mode: None,
        owner: (None, None),
    };

    /// Its options as one would write them, for those who compare; without the name in front.
    pub(super) fn written(&self) -> Vec<(&'static str, String)> {
        let LogFileConfig {
            maxbytes,
            backups,
            rotate,
            rotate_suffix,
            maxage,
            maxtotal,
            compress,
            mode,
            owner,
        } = self;
        let or_nothing = |text: Option<String>| text.unwrap_or_default();
        let id = |id: &Option<u32>| or_nothing(id.map(|id| id.to_string()));
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
            (
                "rotate_suffix",
                match rotate_suffix {
                    RotateSuffix::Number => "number".to_owned(),
                    RotateSuffix::Timestamp => "timestamp".to_owned(),
                },
            ),
            ("maxage", format!("{maxage}s")),
            ("maxtotal", bytes(*maxtotal)),
            (
                "compress",
                or_nothing(compress.map(|how| match how {
                    Compression::Gzip => "gzip".to_owned(),
                    Compression::Zstd => "zstd".to_owned(),
                })),
            ),
            ("mode", or_nothing(mode.map(|mode| format!("0{mode:o}")))),
            (
                "owner",
                match owner {
                    (None, None) => String::new(),
                    (user, group) => format!("{}:{}", id(user), id(group)),
                },
            ),
        ]
    }
}

/// Reads the options whose names begin with `logfile`, which is `stdout_logfile` or the like.
pub(super) fn read<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>, logfile: &str) -> LogFileConfig {
    let host = reader.host;
    let key = |suffix: &str| format!("{logfile}_{suffix}");
    let maxage = reader.read(scope, &key("maxage"), 0, age);
    let maxtotal = reader.read(scope, &key("maxtotal"), 0, value::bytes);
    // Who limits by age or in total does not expect a count that nobody wrote down.
    let limited = maxage > 0 || maxtotal > 0;
    let backups = if limited { u32::MAX } else { 10 };
    LogFileConfig {
        maxbytes: reader.read(scope, &key("maxbytes"), 50 << 20, value::signed_bytes),
        backups: reader.read(scope, &key("backups"), backups, count),
        rotate: reader.read(scope, &key("rotate"), None, rotate_period),
        rotate_suffix: reader.read(
            scope,
            &key("rotate_suffix"),
            RotateSuffix::Number,
            rotate_suffix,
        ),
        maxage,
        maxtotal,
        compress: reader.read(scope, &key("compress"), None, compression),
        mode: reader.read(scope, &key("mode"), None, |text| {
            value::octal(text).map(|mode| Some(mode & 0o7777))
        }),
        owner: reader.read(scope, &key("owner"), (None, None), |text| {
            value::owner(host, text)
        }),
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

fn rotate_suffix(text: &str) -> Result<RotateSuffix, Refused> {
    match text.to_lowercase().as_str() {
        "number" => Ok(RotateSuffix::Number),
        "timestamp" => Ok(RotateSuffix::Timestamp),
        _ => refused(
            format!("not a suffix for rotated files: {}", repr(text)),
            "number or timestamp",
        ),
    }
}

fn compression(text: &str) -> Result<Option<Compression>, Refused> {
    match text.to_lowercase().as_str() {
        "" | "none" | "off" => Ok(None),
        "gzip" => Ok(Some(Compression::Gzip)),
        "zstd" => Ok(Some(Compression::Zstd)),
        _ => refused(
            format!("not a way to compress: {}", repr(text)),
            "gzip, zstd or none",
        ),
    }
}

/// Seconds, with the unit that has to be there: `90s`, `30m`, `12h`, `14d`, `8w`. 0 is no limit.
fn age(text: &str) -> Result<u64, Refused> {
    let lower = text.to_lowercase();
    let units = [
        ("s", 1),
        ("m", 60),
        ("h", 3600),
        ("d", 86_400),
        ("w", 604_800),
    ];
    let written = units
        .into_iter()
        .find_map(|(unit, seconds)| Some((lower.strip_suffix(unit)?, seconds)))
        .or_else(|| (lower == "0").then_some(("0", 1)))
        .and_then(|(number, seconds)| number.trim().parse::<u64>().ok()?.checked_mul(seconds));
    match written {
        Some(seconds) => Ok(seconds),
        None => refused(
            format!("not an age: {}", repr(text)),
            "a number with its unit, such as 12h, 14d or 8w",
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

    #[test]
    fn ages_have_a_unit() {
        for (text, expected) in [
            ("14d", Some(14 * 86_400)),
            ("2W", Some(2 * 604_800)),
            ("90s", Some(90)),
            ("36 h", Some(36 * 3600)),
            ("0", Some(0)),
            ("14", None),
            ("d", None),
            ("-1d", None),
            ("99999999999999999999w", None),
        ] {
            assert_eq!(age(text).ok(), expected, "{text:?}");
        }
    }
}
