//! Signals sent to the daemon, kept until a brain deals with them. Pure.
//!
//! A wish to stop is never forgotten: every brain from then on is told, for the one that was told
//! may have died before it acted. The others (reload, reopen) are told again only if the brain
//! that was told died before it was ready.

use super::SignalNotice;

/// What people wish of the daemon by signal.
pub(super) const WISHES: [i32; 6] = [
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
];

/// Wishes by number, each at most once: the newest sender of a signal that comes twice is kept.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// The brain at hand was not told.
    untold: Vec<SignalNotice>,
    /// The brain at hand was told, and is not ready yet.
    unsettled: Vec<SignalNotice>,
    /// The first wish to stop.
    stop: Option<SignalNotice>,
}

impl Wishes {
    /// A signal arrived.
    pub(super) fn received(&mut self, notice: SignalNotice) {
        if is_stop(notice) {
            self.stop.get_or_insert(notice);
        }
        put(&mut self.untold, notice);
    }

    /// The next one to tell.
    pub(super) fn next(&self) -> Option<SignalNotice> {
        self.untold.first().copied()
    }

    /// [`Wishes::next`] was told to the brain, which is ready or not.
    pub(super) fn told(&mut self, ready: bool) {
        if self.untold.is_empty() {
            return;
        }
        let notice = self.untold.remove(0);
        if !ready {
            put(&mut self.unsettled, notice);
        }
    }

    /// The brain is ready: what it was told is its business now.
    pub(super) fn settled(&mut self) {
        self.unsettled.clear();
    }

    /// The brain died: its successor must hear what may have been lost with it.
    pub(super) fn brain_died(&mut self) {
        for notice in std::mem::take(&mut self.unsettled)
            .into_iter()
            .chain(self.stop)
        {
            if !self
                .untold
                .iter()
                .any(|other| other.number == notice.number)
            {
                self.untold.push(notice);
            }
        }
    }
}

fn is_stop(notice: SignalNotice) -> bool {
    matches!(
        i32::from(notice.number),
        libc::SIGTERM | libc::SIGINT | libc::SIGQUIT
    )
}

fn put(notices: &mut Vec<SignalNotice>, notice: SignalNotice) {
    notices.retain(|other| other.number != notice.number);
    notices.push(notice);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(number: i32) -> SignalNotice {
        SignalNotice {
            number: u8::try_from(number).unwrap(),
            pid: 7,
            uid: 0,
        }
    }

    /// `H`, `T`: a signal arrives. `>`: all are told. `r`: the brain is ready. `x`: it dies.
    fn untold_after(story: &str) -> String {
        let mut wishes = Wishes::default();
        let mut ready = false;
        for step in story.chars() {
            match step {
                'H' => wishes.received(notice(libc::SIGHUP)),
                'T' => wishes.received(notice(libc::SIGTERM)),
                '>' => {
                    while wishes.next().is_some() {
                        wishes.told(ready);
                    }
                }
                'r' => {
                    ready = true;
                    wishes.settled();
                }
                'x' => {
                    ready = false;
                    wishes.brain_died();
                }
                other => panic!("{other}"),
            }
        }
        let names = wishes
            .untold
            .iter()
            .map(|notice| match i32::from(notice.number) {
                libc::SIGHUP => 'H',
                _ => 'T',
            });
        names.collect()
    }

    #[test]
    fn stories() {
        let table = [
            ("", ""),
            ("H", "H"),
            ("HH", "H"),
            ("HT", "HT"),
            ("rH>", ""),
            // Told before it was ready, and it died.
            ("H>x", "H"),
            ("H>rx", ""),
            ("rH>x", ""),
            // While no brain lives.
            ("rxH", "H"),
            // A wish to stop comes back for every brain.
            ("rT>", ""),
            ("rT>x", "T"),
            ("rT>x>rx>rx", "T"),
            ("T>x", "T"),
            ("rxT", "T"),
        ];
        for (story, expected) in table {
            assert_eq!(untold_after(story), expected, "{story}");
        }
    }

    #[test]
    fn the_table_is_bounded() {
        let mut wishes = Wishes::default();
        for _ in 0..1000 {
            for number in WISHES {
                wishes.received(notice(number));
                wishes.told(false);
                wishes.received(notice(number));
                wishes.brain_died();
            }
        }
        assert_eq!(wishes.untold.len(), WISHES.len());
        assert!(wishes.unsettled.is_empty());
    }
}
