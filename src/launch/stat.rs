//! `/proc/PID/stat` (proc(5)): who a process is.
//!
//! Must never: be the only proof of identity for a signal; that is what pidfds are for.

use std::io;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags};

/// More than 52 numbers of 20 digits and a name of 64 bytes can take.
const LENGTH_MAX: usize = 2048;

/// What `/proc/PID/stat` says about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessStat {
    /// State letter: `R`, `S`, `D`, `Z`, …
    pub state: u8,
    /// Parent (field 4).
    pub parent: i32,
    /// Process group (field 5).
    pub group: i32,
    /// Session (field 6).
    pub session: i32,
    /// CPU time so far, user and system, in clock ticks (fields 14 and 15).
    cpu_ticks: u64,
    /// Memory in use, in pages (field 24).
    resident_pages: u64,
    /// Start time in clock ticks since boot (field 22). Ticks are 10 ms: two processes can share
    /// one, but not with the same pid unless pids wrap within it.
    pub start_time: u64,
}

impl ProcessStat {
    /// Reads it. A zombie still has one; a reaped process has none (`NotFound`).
    pub fn of(pid: i32) -> io::Result<ProcessStat> {
        let text = read(pid).map_err(|error| {
            // A process reaped between open and read answers ESRCH.
            match error.raw_os_error() {
                Some(libc::ESRCH) => io::Error::from(io::ErrorKind::NotFound),
                _ => error,
            }
        })?;
        ProcessStat::parse(&text).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("/proc/{pid}/stat is not in the format of proc(5)"),
            )
        })
    }

    /// CPU time so far, user and system.
    pub fn cpu(&self) -> Duration {
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        Duration::from_millis(self.cpu_ticks.saturating_mul(1000) / per_second)
    }

    /// Memory in use, in bytes.
    pub fn resident(&self) -> u64 {
        let page = rustix::param::page_size() as u64;
        self.resident_pages.saturating_mul(page)
    }

    /// The name in field 2 may hold blanks, newlines and parentheses: the last `)` ends it.
    fn parse(text: &[u8]) -> Option<ProcessStat> {
        let end_of_name = text.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(text.get(end_of_name + 1..)?).ok()?;
        // The first word after the name is field 3.
        let field = |number: usize| rest.split_ascii_whitespace().nth(number - 3);
        let number = |of: usize| field(of)?.parse::<u64>().ok();
        Some(ProcessStat {
            state: *field(3)?.as_bytes().first()?,
            parent: field(4)?.parse().ok()?,
            group: field(5)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            cpu_ticks: number(14)? + number(15)?,
            resident_pages: number(24)?,
            start_time: number(22)?,
        })
    }
}

/// The file, which the kernel makes when it is read: all of it, for there is room.
fn read(pid: i32) -> io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(LENGTH_MAX);
    let file = rustix::fs::open(format!("/proc/{pid}/stat"), OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::read(&file, spare_capacity(&mut text))?;
    Ok(text)
}

/// The status of a zombie as wait(2) gives it (field 52); `None` if this process is none, or gone.
pub(super) fn exit_code(pid: i32, start_time: u64) -> Option<i32> {
    let text = read(pid).ok()?;
    let stat = ProcessStat::parse(&text)?;
    let last = text.rsplit(|byte| *byte == b' ').next()?;
    let code = std::str::from_utf8(last).ok()?.trim_end().parse().ok()?;
    (stat.state == b'Z' && stat.start_time == start_time).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAIL: &str = "S 1 42 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 20 0";

    #[test]
    fn the_last_parenthesis_ends_the_name() {
        let expected = Some(ProcessStat {
            state: b'S',
            parent: 1,
            group: 42,
            session: 7,
            cpu_ticks: 11,
            resident_pages: 20,
            start_time: 987654,
        });
        for name in ["cat", "a b", ") S 9 9 9", "x\ny", "((", ""] {
            let text = format!("42 ({name}) {TAIL}");
            assert_eq!(ProcessStat::parse(text.as_bytes()), expected, "{name:?}");
        }
    }

    #[test]
    fn damage_is_refused() {
        for text in [
            "",
            "42",
            "42 (x",
            "42 (x)",
            "42 (x) S 1 2 3",
            "42 (x) S a b c d e f g h i j k l m n o p q r s",
        ] {
            assert_eq!(ProcessStat::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(ProcessStat::parse(b"1 (x) \xff"), None);
    }

    #[test]
    fn our_own_is_readable_and_nobodys_is_not_found() {
        let own = ProcessStat::of(std::process::id() as i32).unwrap();
        assert_eq!(own.group, rustix::process::getpgrp().as_raw_nonzero().get());
        assert_eq!(
            ProcessStat::of(i32::MAX).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
