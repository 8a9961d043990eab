//! Which rotated files of a log are too many, too old or too large together. Pure.

use super::rotation::Wall;
use crate::config::{LogFileConfig, RotateSuffix};

/// What counts of a rotated file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// In bytes.
    pub size: u64,
    /// When it was last written.
    pub modified: Wall,
}

/// How many of these files, youngest first, may stay; those behind them go. `current` is the size
/// of the file that is being written.
pub fn kept(files: &[Kept], config: &LogFileConfig, current: u64, now: Wall) -> usize {
    // Numbers are counted where they are shifted: what is above them is not ours to remove.
    let by_count = match config.rotate_suffix {
        RotateSuffix::Number => files.len(),
        RotateSuffix::Timestamp => usize::try_from(config.backups).unwrap_or(usize::MAX),
    };
    let limit = u64::try_from(config.maxbytes).unwrap_or(0).max(current);
    let room = match config.maxtotal {
        0 => u64::MAX,
        maxtotal => maxtotal.saturating_sub(limit),
    };
    let mut total: u64 = 0;
    files
        .iter()
        .take(by_count)
        .take_while(|file| {
            total = total.saturating_add(file.size);
            total <= room && !is_too_old(file.modified, config, now)
        })
        .count()
}

/// When the next of these files, all of which may stay now, becomes too old.
pub fn next_expiry(files: &[Kept], config: &LogFileConfig) -> Option<Wall> {
    let oldest = files.iter().map(|file| file.modified).min()?;
    (config.maxage > 0).then(|| oldest.saturating_add(age(config)))
}

fn is_too_old(modified: Wall, config: &LogFileConfig, now: Wall) -> bool {
    config.maxage > 0 && modified.saturating_add(age(config)) <= now
}

fn age(config: &LogFileConfig) -> i64 {
    i64::try_from(config.maxage).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(sizes_and_times: &[(u64, Wall)]) -> Vec<Kept> {
        let kept = |(size, modified): &(u64, Wall)| Kept {
            size: *size,
            modified: *modified,
        };
        sizes_and_times.iter().map(kept).collect()
    }

    #[test]
    fn limits_alone_and_together() {
        let found = files(&[(10, 90), (10, 80), (10, 70), (10, 60)]);
        let config = |suffix, backups, maxage, maxtotal, maxbytes| LogFileConfig {
            rotate_suffix: suffix,
            backups,
            maxage,
            maxtotal,
            maxbytes,
            ..LogFileConfig::UNLIMITED
        };
        use RotateSuffix::{Number, Timestamp};
        for (config, current, expected) in [
            (config(Number, 1, 0, 0, 0), 0, 4),
            (config(Timestamp, 9, 0, 0, 0), 0, 4),
            (config(Timestamp, 1, 0, 0, 0), 0, 1),
            (config(Number, 9, 31, 0, 0), 0, 3),
            (config(Number, 9, 30, 0, 0), 0, 2),
            (config(Number, 9, 0, 30, 0), 0, 3),
            (config(Number, 9, 0, 30, 0), 1, 2),
            // The file being written counts with what it may become.
            (config(Number, 9, 0, 30, 10), 1, 2),
            (config(Number, 9, 0, 30, 40), 0, 0),
            (config(Timestamp, 3, 11, 25, 0), 0, 1),
        ] {
            assert_eq!(kept(&found, &config, current, 100), expected, "{config:?}");
        }
        let aged = config(Number, 9, 50, 0, 0);
        assert_eq!(next_expiry(&found, &aged), Some(110));
        assert_eq!(next_expiry(&[], &aged), None);
        assert_eq!(next_expiry(&found, &LogFileConfig::UNLIMITED), None);
    }
}
