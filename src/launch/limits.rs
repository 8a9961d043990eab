//! Resource limits: what the daemon raises for itself, and what its programs get instead.
//!
//! Supervisor raises the soft limits of descriptors and processes to `minfds` and `minprocs`, and
//! its programs inherit that. The daemon needs more descriptors than that (three per program), so
//! it takes all it may and programs are given what Supervisor would have given them.

use std::ffi::CStr;
use std::io;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// Where the kernel keeps the readiness of this process to be killed when memory is short.
const OOM_SCORE_ADJ: &CStr = c"/proc/self/oom_score_adj";

/// What programs get, whatever the daemon changed for itself. Determined once by the boot phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Soft `RLIMIT_NOFILE`; `None`: unlimited.
    pub nofile_soft: Option<u64>,
    /// Hard `RLIMIT_NOFILE`; `None`: unlimited.
    pub nofile_hard: Option<u64>,
    /// `oom_score_adj` that the daemon was started with; `None` where `/proc` is not mounted.
    pub oom_score_adj: Option<i32>,
}

/// Raises the limits of this process to `minfds` and `minprocs` where they are lower, and the
/// number of descriptors further, to the hard limit. To be called while still privileged.
///
/// Returns what programs get, and the lines for the log. The error is a whole sentence.
pub fn raise_limits(minfds: u64, minprocs: u64) -> Result<(Limits, Vec<String>), String> {
    let mut lines = Vec::new();
    let asked = [
        (
            Resource::Nofile,
            "RLIMIT_NOFILE",
            "file descriptors",
            "minfds",
            minfds,
        ),
        (
            Resource::Nproc,
            "RLIMIT_NPROC",
            "processes",
            "minprocs",
            minprocs,
        ),
    ];
    for (resource, name, what, option, minimum) in asked {
        let Some(wanted) = raised_to(&getrlimit(resource), minimum) else {
            continue;
        };
        let hard = getrlimit(resource).maximum;
        setrlimit(resource, wanted)
            .map_err(|error| refusal(what, option, minimum, hard, &io::Error::from(error)))?;
        lines.push(format!("Increased {name} limit to {minimum}"));
    }
    let programs = getrlimit(Resource::Nofile);
    let own = Rlimit {
        current: programs.maximum,
        maximum: programs.maximum,
    };
    // Raising the soft limit to the hard one is always allowed; an odd sandbox that refuses it
    // leaves us with what programs get.
    let _ = setrlimit(Resource::Nofile, own);
    let limits = Limits {
        nofile_soft: programs.current,
        nofile_hard: programs.maximum,
        oom_score_adj: oom_score_adj(),
    };
    Ok((limits, lines))
}

impl Limits {
    /// `RLIMIT_NOFILE` for a program.
    pub(super) fn nofile(&self) -> Rlimit {
        Rlimit {
            current: self.nofile_soft,
            maximum: self.nofile_hard,
        }
    }
}

/// The limit to set so that the soft one is at least `minimum`; `None`: it is already. The hard
/// one is raised with it, which only root may.
fn raised_to(limit: &Rlimit, minimum: u64) -> Option<Rlimit> {
    let lacking = limit.current.is_some_and(|soft| soft < minimum);
    lacking.then(|| Rlimit {
        current: Some(minimum),
        maximum: limit.maximum.map(|hard| hard.max(minimum)),
    })
}

fn refusal(what: &str, option: &str, minimum: u64, hard: Option<u64>, why: &io::Error) -> String {
    let hard = hard.map_or_else(|| "unlimited".to_owned(), |hard| hard.to_string());
    format!(
        "{option}={minimum} asks for {minimum} {what}, but the hard limit of this environment is \
         {hard} and cannot be raised: {why}. Raise the hard limit where the daemon is started, or \
         lower {option} in the configuration file"
    )
}

/// `oom_score_adj` of this process, -1000 to 1000; `None` where `/proc` is not mounted.
pub(crate) fn oom_score_adj() -> Option<i32> {
    let text = std::fs::read_to_string(OOM_SCORE_ADJ.to_str().ok()?).ok()?;
    text.trim().parse().ok()
}

/// Sets it, given as text. Raising is always allowed, lowering needs `CAP_SYS_RESOURCE`.
/// Async-signal-safe.
pub(crate) fn set_oom_score_adj(value: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(OOM_SCORE_ADJ, flags, Mode::empty())?;
    rustix::io::write(&file, value).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_only_where_it_lacks() {
        let limit = |current, maximum| Rlimit { current, maximum };
        let table = [
            (limit(Some(1024), Some(4096)), 1024, None),
            (limit(Some(1024), Some(4096)), 200, None),
            (limit(None, None), 1024, None),
            (
                limit(Some(256), Some(4096)),
                1024,
                Some((Some(1024), Some(4096))),
            ),
            (
                limit(Some(256), Some(512)),
                1024,
                Some((Some(1024), Some(1024))),
            ),
            (limit(Some(256), None), 1024, Some((Some(1024), None))),
        ];
        for (before, minimum, expected) in table {
            let got = raised_to(&before, minimum).map(|after| (after.current, after.maximum));
            assert_eq!(got, expected, "{before:?} {minimum}");
        }
    }

    #[test]
    fn a_refusal_names_option_wish_limit_and_cure() {
        let why = io::Error::from(io::ErrorKind::PermissionDenied);
        let text = refusal("file descriptors", "minfds", 9999, Some(512), &why);
        for part in ["minfds=9999", "512", "permission denied", "lower minfds"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
