//! The daemon's own log: flexi_logger behind the `log` macros, Supervisor's line format, and a
//! pipe as target. The log plane reads that pipe like any program's, so the main log is rotated,
//! survives a killed brain, and never makes the brain wait for a disk.
//!
//! When the pipe is full (a disk that hangs), lines are dropped and counted; the count is written
//! as soon as there is room.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use flexi_logger::writers::LogWriter;
use flexi_logger::{DeferredNow, ErrorChannel, LogSpecification, Logger, LoggerHandle};
use log::{Level, LevelFilter, Record};

use super::syslog::Syslog;
use crate::config::{LogLevel, bytes_repr};

/// Targets that carry the two levels `log` does not have.
const CRITICAL: &str = "critical";
const BLATHER: &str = "blather";

static HANDLE: OnceLock<LoggerHandle> = OnceLock::new();

/// Starts the main log. `pipe` is its write end, in non-blocking mode; `echo` copies every line
/// to standard output, `syslog` gets the same lines.
pub fn start(level: LogLevel, pipe: OwnedFd, echo: bool, syslog: Option<Syslog>) -> io::Result<()> {
    let writer = PipeWriter {
        pipe,
        echo,
        syslog,
        dropped: AtomicU64::new(0),
    };
    let handle = Logger::with(specification(level))
        .log_to_writer(Box::new(writer))
        .error_channel(ErrorChannel::DevNull)
        .panic_if_error_channel_is_broken(false)
        .start()
        .map_err(io::Error::other)?;
    HANDLE
        .set(handle)
        .map_err(|_| io::Error::other("the main log was started twice"))
}

/// Writes lines of this level and above from now on.
pub fn set_level(level: LogLevel) {
    if let Some(handle) = HANDLE.get() {
        handle.set_new_spec(specification(level));
    }
}

/// Writes a line.
pub fn write(level: LogLevel, text: &str) {
    match level {
        LogLevel::Critical => log::error!(target: CRITICAL, "{text}"),
        LogLevel::Error => log::error!("{text}"),
        LogLevel::Warn => log::warn!("{text}"),
        LogLevel::Info => log::info!("{text}"),
        LogLevel::Debug => log::debug!("{text}"),
        LogLevel::Trace => log::trace!("{text}"),
        LogLevel::Blather => log::trace!(target: BLATHER, "{text}"),
    }
}

/// Repeats a piece of a program's output at level debug, as Supervisor words it. A piece that is
/// no text is shown as Python shows bytes.
pub fn repeat(name: &str, mut piece: &[u8]) {
    while !piece.is_empty() {
        let (now, later) = piece.split_at(record_length(piece));
        match std::str::from_utf8(now) {
            Ok(text) => log::debug!("{name} output:\n{text}"),
            Err(_) => log::debug!("{name} output:\nUndecodable: {}", bytes_repr(now)),
        }
        piece = later;
    }
}

/// How much of a piece goes into one record: less than the pipe takes whole, and no part of a
/// character.
fn record_length(piece: &[u8]) -> usize {
    const RECORD_MAX: usize = 3000;
    const CONTINUATION: std::ops::RangeInclusive<u8> = 0x80..=0xbf;
    if piece.len() <= RECORD_MAX {
        return piece.len();
    }
    let begins_character = |at: &usize| !CONTINUATION.contains(&piece[*at]);
    let at = (RECORD_MAX - 3..=RECORD_MAX).rev().find(begins_character);
    at.unwrap_or(RECORD_MAX)
}

/// Only our own lines: the runtime's are of no use to an operator.
fn specification(level: LogLevel) -> LogSpecification {
    let (own, blather) = match level {
        LogLevel::Critical => (LevelFilter::Off, LevelFilter::Off),
        LogLevel::Error => (LevelFilter::Error, LevelFilter::Off),
        LogLevel::Warn => (LevelFilter::Warn, LevelFilter::Off),
        LogLevel::Info => (LevelFilter::Info, LevelFilter::Off),
        LogLevel::Debug => (LevelFilter::Debug, LevelFilter::Off),
        LogLevel::Trace => (LevelFilter::Trace, LevelFilter::Off),
        LogLevel::Blather => (LevelFilter::Trace, LevelFilter::Trace),
    };
    LogSpecification::builder()
        .default(LevelFilter::Off)
        .module("appctl", own)
        .module(CRITICAL, LevelFilter::Error)
        .module(BLATHER, blather)
        .build()
}

/// `2026-11-22 07:31:55,544 INFO text`.
fn format_line(now: &mut DeferredNow, record: &Record<'_>) -> String {
    let level = match (record.level(), record.target()) {
        (_, CRITICAL) => "CRIT",
        (_, BLATHER) => "BLAT",
        (Level::Error, _) => "ERRO",
        (Level::Warn, _) => "WARN",
        (Level::Info, _) => "INFO",
        (Level::Debug, _) => "DEBG",
        (Level::Trace, _) => "TRAC",
    };
    format!(
        "{} {level} {}\n",
        now.now().format("%Y-%m-%d %H:%M:%S,%3f"),
        record.args()
    )
}

/// Lines that could not be written, all of them.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many lines of the main log could not be written so far.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

struct PipeWriter {
    pipe: OwnedFd,
    echo: bool,
    syslog: Option<Syslog>,
    dropped: AtomicU64,
}

impl LogWriter for PipeWriter {
    fn write(&self, now: &mut DeferredNow, record: &Record<'_>) -> io::Result<()> {
        let line = format_line(now, record);
        if self.echo {
            // A broken standard output must not disturb the log file.
            let _ = io::stdout().write_all(line.as_bytes());
        }
        if let Some(syslog) = &self.syslog {
            // Syslog has no place to tell that it is not there.
            let _ = syslog.send(&line);
        }
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            let stamp = now.now().format("%Y-%m-%d %H:%M:%S,%3f");
            let gap = format!(
                "{stamp} WARN {dropped} lines were dropped: the log could not be written\n"
            );
            if rustix::io::write(&self.pipe, gap.as_bytes()).is_ok() {
                self.dropped.fetch_sub(dropped, Ordering::Relaxed);
            }
        }
        // A line of up to 4096 bytes is written whole or not at all; a longer one may be cut.
        if rustix::io::write(&self.pipe, line.as_bytes()).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_does_not_part_a_character() {
        assert_eq!(record_length(b"abc"), 3);
        assert_eq!(record_length(&[b'a'; 5000]), 3000);
        assert_eq!(record_length(&[0x80; 5000]), 3000);
        let text = format!("a{}", "é".repeat(3000));
        assert_eq!(record_length(text.as_bytes()), 2999);
    }

    #[test]
    fn bytes_are_shown_as_python_shows_them() {
        let table: &[(&[u8], &str)] = &[
            (b"a\n\xff", r"b'a\n\xff'"),
            (b"it's", "b\"it's\""),
            (b"\"it's\" \\", r#"b'"it\'s" \\'"#),
        ];
        for (bytes, shown) in table {
            assert_eq!(bytes_repr(bytes), *shown);
        }
    }
}
