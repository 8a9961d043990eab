//! A moment in the past, as a person types it.
//!
//! Must never: read a clock. Local time is that of the machine.

use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};

use super::word::shown;

/// Since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// So many microseconds ago.
    Ago(i64),
    /// Microseconds since 1970.
    At(i64),
}

impl Since {
    /// Reads `90s`, `10m`, `2h30m`, `3d`, `1w`; `2026-11-25`, `2026-11-25 09:30`, with seconds,
    /// in local time; or an RFC 3339 time with its zone.
    pub fn read(word: &str) -> Result<Since, String> {
        let found = duration(word).map(Since::Ago);
        found.or_else(|| moment(word).map(Since::At)).ok_or_else(|| {
            format!(
                "{} is no time; write 10m, 2h30m, 2026-11-25, \"2026-11-25 09:30\" or an RFC 3339 time",
                shown(word)
            )
        })
    }

    /// In microseconds since 1970, `now` being now.
    pub fn from(self, now: i64) -> i64 {
        match self {
            Since::Ago(micros) => now.saturating_sub(micros),
            Since::At(micros) => micros,
        }
    }
}

fn duration(word: &str) -> Option<i64> {
    let mut rest = word;
    let mut micros: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let mut letters = after.chars();
        let seconds = match letters.next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 24 * 3600,
            'w' => 7 * 24 * 3600,
            _ => return None,
        };
        let number: i64 = number.parse().ok()?;
        let part = number.checked_mul(seconds * 1_000_000)?;
        micros = micros.checked_add(part)?;
        rest = letters.as_str();
    }
    (!word.is_empty()).then_some(micros)
}

fn moment(word: &str) -> Option<i64> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(word) {
        return Some(moment.timestamp_micros());
    }
    let word = word.replace('T', " ");
    let with_time = || {
        let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"];
        let mut read = formats.iter();
        read.find_map(|format| NaiveDateTime::parse_from_str(&word, format).ok())
    };
    let day = NaiveDate::parse_from_str(&word, "%Y-%m-%d").ok();
    let local = day
        .map(|day| day.and_time(NaiveTime::MIN))
        .or_else(with_time)?;
    // In the hour that a change of the clock skips there is no such moment: the one before counts.
    let found = Local.from_local_datetime(&local).earliest();
    Some(found.map_or_else(
        || local.and_utc().timestamp_micros(),
        |m| m.timestamp_micros(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        const SECOND: i64 = 1_000_000;
        let table = [
            ("90s", Since::Ago(90 * SECOND)),
            ("10m", Since::Ago(600 * SECOND)),
            ("2h30m", Since::Ago(9000 * SECOND)),
            ("1w", Since::Ago(7 * 86_400 * SECOND)),
            ("1970-01-01T00:01:00Z", Since::At(60 * SECOND)),
            ("1970-01-01T01:00:00.5+01:00", Since::At(SECOND / 2)),
        ];
        for (word, expected) in table {
            assert_eq!(Since::read(word), Ok(expected), "{word}");
        }
        let local = |word| match Since::read(word) {
            Ok(Since::At(micros)) => micros,
            other => panic!("{word}: {other:?}"),
        };
        let day = local("2026-11-25");
        assert_eq!(local("2026-11-25 09:30") - day, 34_200 * SECOND);
        assert_eq!(local("2026-11-25T09:30:01") - day, 34_201 * SECOND);
        for word in [
            "",
            "m",
            "10",
            "10x",
            "-5m",
            "999999999999999999d",
            "soon",
            "2026-13-01",
        ] {
            assert!(Since::read(word).is_err(), "{word}");
        }
        assert_eq!(Since::Ago(3).from(10), 7);
        assert_eq!(Since::At(3).from(10), 3);
    }
}
