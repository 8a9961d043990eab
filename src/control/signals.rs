//! Names of signals, as `signal` takes them.

use crate::config::Signal;

/// Linux's signals (signal(7)), and the other names they go by.
const NAMES: &[(&str, u8)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("RTMIN", 34),
    ("RTMAX", 64),
];

/// The signal of that name, with or without `SIG`, in any case, or of that number. 0 asks whether
/// a process is there, as in kill(2), and Supervisor takes it too.
pub fn signal(word: &str) -> Option<Signal> {
    if let Ok(number) = word.parse::<u8>() {
        return (number <= 64).then_some(Signal(number));
    }
    let upper = word.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let found = NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, number)| Signal(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name_and_number() {
        let table = [
            ("HUP", Some(1)),
            ("sigterm", Some(15)),
            ("SigUsr1", Some(10)),
            ("9", Some(9)),
            ("0", Some(0)),
            ("64", Some(64)),
            ("65", None),
            ("-9", None),
            ("SIGSIGHUP", None),
            ("", None),
            ("WHATEVER", None),
        ];
        for (word, number) in table {
            assert_eq!(signal(word), number.map(Signal), "{word}");
        }
    }
}
