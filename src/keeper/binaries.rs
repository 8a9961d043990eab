//! Which binary the next brain is started from: the one in force, a candidate on trial, or the one
//! that served before when brains of the newer one die in a row.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::will::OWN_BINARY;

/// The binaries at hand, each held open: it starts whatever becomes of its file.
#[derive(Debug)]
pub(super) struct Binaries {
    /// `None` only where there is no /proc.
    current: Option<OwnedFd>,
    /// What served before `current` did.
    last_good: Option<OwnedFd>,
    candidate: Option<OwnedFd>,
    /// How the last upgrade came out, until that was told.
    outcome: Option<Result<(), String>>,
}

impl Binaries {
    /// The keeper's own binary.
    pub(super) fn own() -> Binaries {
        Binaries {
            current: File::open(OWN_BINARY).ok().map(OwnedFd::from),
            last_good: None,
            candidate: None,
            outcome: None,
        }
    }

    /// The one for the next brain.
    pub(super) fn next(&self) -> Option<RawFd> {
        let binary = self.candidate.as_ref().or(self.current.as_ref());
        binary.map(AsRawFd::as_raw_fd)
    }

    /// The next brain is started from this one.
    pub(super) fn propose(&mut self, candidate: OwnedFd) {
        self.candidate = Some(candidate);
    }

    /// A candidate has its trial, or will have it.
    pub(super) fn on_trial(&self) -> bool {
        self.candidate.is_some()
    }

    /// What a brain started now has to tell of an upgrade.
    pub(super) fn outcome(&self) -> Option<Result<(), String>> {
        // It can tell of nothing unless it serves, and then its trial was a success.
        let on_trial = self.candidate.as_ref().map(|_| Ok(()));
        on_trial.or_else(|| self.outcome.clone())
    }

    /// It was told.
    pub(super) fn outcome_told(&mut self) {
        self.outcome = None;
    }

    /// The brain serves.
    pub(super) fn serves(&mut self) {
        if let Some(candidate) = self.candidate.take() {
            self.last_good = self.current.replace(candidate);
            self.outcome = Some(Ok(()));
        }
    }

    /// The brain did not come to serve. True if it was a candidate: then the next one is started
    /// from what served before.
    pub(super) fn failed(&mut self, reason: impl FnOnce() -> String) -> bool {
        let was_on_trial = self.candidate.take().is_some();
        if was_on_trial {
            self.outcome = Some(Err(reason()));
        }
        was_on_trial
    }

    /// Brains die in a row: from now on the binary that served before.
    pub(super) fn fall_back(&mut self) {
        if let Some(good) = self.last_good.take() {
            self.current = Some(good);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary() -> OwnedFd {
        File::open("/dev/null").unwrap().into()
    }

    #[test]
    fn a_candidate_that_serves_is_in_force_and_the_one_before_is_remembered() {
        let mut binaries = Binaries::own();
        let own = binaries.next();
        let candidate = binary();
        let number = Some(candidate.as_raw_fd());
        assert_eq!(binaries.outcome(), None);
        binaries.propose(candidate);
        assert!(binaries.on_trial());
        assert_eq!(
            (binaries.next(), binaries.outcome()),
            (number, Some(Ok(())))
        );
        binaries.serves();
        assert!(!binaries.on_trial());
        // Until it was told, a brain that follows tells it.
        assert_eq!(
            (binaries.next(), binaries.outcome()),
            (number, Some(Ok(())))
        );
        binaries.outcome_told();
        assert_eq!(binaries.outcome(), None);
        assert!(!binaries.failed(|| unreachable!()));
        binaries.fall_back();
        assert_eq!(binaries.next(), own);
        binaries.fall_back();
        assert_eq!(binaries.next(), own);
    }

    #[test]
    fn a_candidate_that_fails_is_forgotten_but_not_why() {
        let mut binaries = Binaries::own();
        let own = binaries.next();
        binaries.propose(binary());
        assert!(binaries.failed(|| "it crashed".to_owned()));
        assert_eq!(binaries.next(), own);
        assert_eq!(binaries.outcome(), Some(Err("it crashed".to_owned())));
        binaries.serves();
        assert_eq!(binaries.outcome(), Some(Err("it crashed".to_owned())));
    }
}
