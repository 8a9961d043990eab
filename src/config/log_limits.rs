//! How much all program logs may have together: `log_budget` and `log_min_free` of `[supervisord]`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::reader::{Reader, Scope};
use super::revision::bytes;
use super::value::{self, Refused, refused};

/// A budget below this has no room for several files.
const SMALL: u64 = 4 << 20;

/// Limits of all program logs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogBudget {
    /// Bytes of all of them, rotated files included; 0 = no limit.
    pub total: u64,
    /// What stays free of the disks that they are on.
    pub min_free: MinFree,
}

impl LogBudget {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        self.total == 0 && self.min_free.is_none()
    }
}

/// A part of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MinFree {
    /// So many bytes; 0 = no limit.
    Bytes(u64),
    /// So many hundredths of it.
    Percent(u8),
}

impl MinFree {
    /// Whether nothing has to be free.
    pub fn is_none(self) -> bool {
        matches!(self, MinFree::Bytes(0) | MinFree::Percent(0))
    }

    /// Of a disk with so many bytes.
    pub fn of(self, disk: u64) -> u64 {
        match self {
            MinFree::Bytes(bytes) => bytes,
            MinFree::Percent(percent) => disk / 100 * u64::from(percent),
        }
    }
}

impl Default for MinFree {
    fn default() -> MinFree {
        MinFree::Bytes(0)
    }
}

impl fmt::Display for MinFree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MinFree::Bytes(count) => f.write_str(&bytes(*count)),
            MinFree::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// Reads both, and says which values can hardly be meant.
pub(super) fn read<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>) -> LogBudget {
    let budget = LogBudget {
        total: reader.read(scope, "log_budget", 0, value::bytes),
        min_free: read_min_free(reader, scope),
    };
    if (1..SMALL).contains(&budget.total) {
        let message = format!(
            "{} for all program logs together: most of what they write is dropped; at least {} \
             make sense",
            bytes(budget.total),
            bytes(SMALL)
        );
        reader.warn(scope, "log_budget", message);
    }
    if let MinFree::Percent(percent @ 51..) = budget.min_free {
        let message = format!(
            "{percent}% of a disk kept free: where it is fuller, no program log is written; up to \
             50% make sense"
        );
        reader.warn(scope, "log_min_free", message);
    }
    budget
}

/// A percent sign behind nothing but digits is one, not the beginning of something to be expanded.
fn read_min_free<'a>(reader: &mut Reader<'a>, scope: &Scope<'a>) -> MinFree {
    let entry = reader.entry(scope, "log_min_free");
    let plain = entry.map(|entry| entry.value.trim().to_owned());
    let is_plain = |text: &String| {
        let number = text.strip_suffix('%');
        number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match plain.filter(is_plain).map(|text| min_free(&text)) {
        None => reader.read(scope, "log_min_free", MinFree::default(), min_free),
        Some(Ok(found)) => found,
        Some(Err(refused)) => {
            reader.refuse(scope, "log_min_free", &refused.words, refused.expected);
            MinFree::default()
        }
    }
}

/// `500MB` or `5%`.
fn min_free(text: &str) -> Result<MinFree, Refused> {
    let expected = "bytes, such as 500MB, or a percentage up to 99%";
    match text.trim().strip_suffix('%') {
        None => value::bytes(text)
            .map(MinFree::Bytes)
            .map_err(|refused| Refused {
                expected,
                ..refused
            }),
        Some(number) => match number.trim().parse() {
            Ok(percent @ 0..=99) => Ok(MinFree::Percent(percent)),
            _ => refused(format!("not a percentage: {text}"), expected),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_stay_free() {
        for (text, expected, shown) in [
            ("0", MinFree::Bytes(0), "0"),
            ("500MB", MinFree::Bytes(500 << 20), "500MB"),
            ("5%", MinFree::Percent(5), "5%"),
            (" 99 %", MinFree::Percent(99), "99%"),
        ] {
            let read = min_free(text).unwrap();
            assert_eq!((read, read.to_string().as_str()), (expected, shown));
        }
        for text in ["", "5 MB free", "%", "100%", "-1%", "1.5%"] {
            assert!(min_free(text).is_err(), "{text}");
        }
        assert_eq!(MinFree::Percent(5).of(2000), 100);
        assert_eq!(MinFree::Bytes(5).of(2000), 5);
    }
}
