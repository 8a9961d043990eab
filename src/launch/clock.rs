//! The clocks. Nothing else reads them on behalf of decisions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::fleet::{Moment, Stamp};

/// The clocks, read together: `CLOCK_MONOTONIC`, which decides, and `CLOCK_REALTIME`, which is
/// reported. The monotonic one is the same for every brain of one boot.
pub fn now() -> Moment {
    let monotonic = clock_gettime(ClockId::Monotonic);
    let wall = clock_gettime(ClockId::Realtime);
    let seconds = u64::try_from(monotonic.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(monotonic.tv_nsec).unwrap_or(0);
    Moment {
        stamp: Stamp(
            seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(nanoseconds),
        ),
        wall: wall.tv_sec,
    }
}

/// How long it is until a moment of the wall clock, given in seconds since 1970.
pub fn until(wall: i64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let wall = Duration::from_secs(u64::try_from(wall).unwrap_or(0));
    wall.saturating_sub(now.unwrap_or(wall))
}
