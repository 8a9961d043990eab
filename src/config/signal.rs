//! Names and numbers of signals.

use super::model::Signal;
use super::nearest::nearest;
use super::python;

/// Linux's signals: the name first that Supervisor prints, then the other names of its number.
const NAMES: &[(u8, &[&str])] = &[
    (1, &["HUP"]),
    (2, &["INT"]),
    (3, &["QUIT"]),
    (4, &["ILL"]),
    (5, &["TRAP"]),
    (6, &["ABRT", "IOT"]),
    (7, &["BUS"]),
    (8, &["FPE"]),
    (9, &["KILL"]),
    (10, &["USR1"]),
    (11, &["SEGV"]),
    (12, &["USR2"]),
    (13, &["PIPE"]),
    (14, &["ALRM"]),
    (15, &["TERM"]),
    (16, &["STKFLT"]),
    (17, &["CHLD", "CLD"]),
    (18, &["CONT"]),
    (19, &["STOP"]),
    (20, &["TSTP"]),
    (21, &["TTIN"]),
    (22, &["TTOU"]),
    (23, &["URG"]),
    (24, &["XCPU"]),
    (25, &["XFSZ"]),
    (26, &["VTALRM"]),
    (27, &["PROF"]),
    (28, &["WINCH"]),
    (29, &["POLL", "IO"]),
    (30, &["PWR"]),
    (31, &["SYS"]),
    (RTMIN, &["RTMIN"]),
    (RTMAX, &["RTMAX"]),
];

/// What else begins with `SIG` in Python's module of signals.
const CONSTANTS: &[(u8, &[&str])] = &[
    (0, &["_DFL", "_BLOCK"]),
    (1, &["_IGN", "_UNBLOCK"]),
    (2, &["_SETMASK"]),
];

/// First real-time signal a program may use; the C library keeps 32 and 33.
const RTMIN: u8 = 34;
const RTMAX: u8 = 64;

/// Why a text names no signal; the two kinds that Supervisor tells apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignalProblem {
    /// Not a name; with the nearest one.
    Name(Option<&'static str>),
    /// A number that is no signal.
    Number,
}

impl Signal {
    /// Every name, without `SIG`.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().flat_map(|(_, names)| names.iter().copied())
    }

    /// Reads a name with or without `SIG` in any case, a number, or `RTMIN+n`. 0 is one that is
    /// never delivered; Python takes the names of some of its other constants as well.
    pub fn parse(text: &str) -> Result<Signal, SignalProblem> {
        if let Ok(number) = python::integer(text, 10) {
            return match u8::try_from(number) {
                Ok(n @ (0..=31 | RTMIN..=RTMAX)) => Ok(Signal(n)),
                _ => Err(SignalProblem::Number),
            };
        }
        let upper = python::strip(text).to_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some(offset) = name.strip_prefix("RTMIN+") {
            return match offset.parse::<u8>().map(|n| n.saturating_add(RTMIN)) {
                Ok(n) if n <= RTMAX => Ok(Signal(n)),
                _ => Err(SignalProblem::Number),
            };
        }
        NAMES
            .iter()
            .chain(CONSTANTS)
            .find(|(_, names)| names.contains(&name))
            .map(|(number, _)| Signal(*number))
            .ok_or_else(|| {
                let all = NAMES.iter().flat_map(|(_, names)| names.iter().copied());
                SignalProblem::Name(nearest(name, all))
            })
    }

    /// The name as Supervisor prints it (`SIGTERM`), or `signal 40` where there is none.
    pub fn name(self) -> String {
        NAMES
            .iter()
            .find(|(number, _)| *number == self.0)
            .and_then(|(_, names)| names.first())
            .map_or_else(|| format!("signal {}", self.0), |name| format!("SIG{name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_names_and_numbers() {
        let table = [
            ("TERM", Ok(15)),
            ("sigint", Ok(2)),
            (" SIGHUP ", Ok(1)),
            ("cld", Ok(17)),
            ("IO", Ok(29)),
            ("9", Ok(9)),
            ("+9", Ok(9)),
            ("64", Ok(64)),
            ("40", Ok(40)),
            ("rtmin+3", Ok(37)),
            ("RTMAX", Ok(64)),
            ("RTMIN+31", Err(SignalProblem::Number)),
            ("0", Ok(0)),
            ("32", Err(SignalProblem::Number)),
            ("65", Err(SignalProblem::Number)),
            ("-1", Err(SignalProblem::Number)),
            ("999", Err(SignalProblem::Number)),
            ("SIG_IGN", Ok(1)),
            ("sig_dfl", Ok(0)),
            ("SIG_FOO", Err(SignalProblem::Name(None))),
            ("TREM", Err(SignalProblem::Name(Some("TERM")))),
            ("", Err(SignalProblem::Name(None))),
        ];
        for (text, expected) in table {
            assert_eq!(Signal::parse(text), expected.map(Signal), "{text}");
        }
    }

    #[test]
    fn every_name_is_read_back() {
        for number in (1..=31).chain([RTMIN, RTMAX]) {
            assert_eq!(
                Signal::parse(&Signal(number).name()),
                Ok(Signal(number)),
                "{number}"
            );
        }
        assert_eq!(Signal(17).name(), "SIGCHLD");
        assert_eq!(Signal(29).name(), "SIGPOLL");
        assert_eq!(Signal(40).name(), "signal 40");
    }
}
