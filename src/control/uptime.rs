//! How long something has lasted, as Supervisor shows it.

/// `H:MM:SS`, with `1 day, ` or `N days, ` in front (Python's `timedelta`).
pub fn uptime(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{}:{:02}:{:02}", rest / 3_600, rest / 60 % 60, rest % 60);
    match days {
        0 => clock,
        1 => format!("1 day, {clock}"),
        _ => format!("{days} days, {clock}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes_are_pythons() {
        for (seconds, text) in [
            (0, "0:00:00"),
            (59, "0:00:59"),
            (36_000, "10:00:00"),
            (86_400, "1 day, 0:00:00"),
            (200_000, "2 days, 7:33:20"),
        ] {
            assert_eq!(uptime(seconds), text);
        }
    }
}
