//! How far a connection is with its requests, and how long a client may take with each step.
//!
//! The site says when a request is whole and when it is answered; the transport sees bytes come
//! and ends connections that are too slow. They share a [`Pace`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long the head of a request may take, from its first byte, or from the connection on.
pub const HEAD_TIME: Duration = Duration::from_secs(10);

/// How long a connection may be silent between two requests. Supervisor keeps silent connections
/// for half an hour at least, and clients hold theirs for as long.
pub const IDLE_TIME: Duration = Duration::from_secs(30 * 60);

/// How long a client may take nothing of an answer. Streams are exempt: a slow reader of a log
/// costs its place and an offset.
pub const STALL_TIME: Duration = Duration::from_secs(30);

/// What a connection is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The first request is awaited, or a head has begun to come.
    Head,
    /// A request is carried out.
    Busy,
    /// An answer that has no end is sent.
    Stream,
    /// The last request is answered; nothing of the next has come.
    Idle,
}

const STEPS: [Step; 4] = [Step::Head, Step::Busy, Step::Stream, Step::Idle];

impl Step {
    /// How long the client may send nothing.
    pub fn patience(self) -> Option<Duration> {
        match self {
            Step::Head => Some(HEAD_TIME),
            Step::Idle => Some(IDLE_TIME),
            Step::Busy | Step::Stream => None,
        }
    }
}

/// The step a connection is at, and a number that changes with every step.
#[derive(Debug, Clone, Default)]
pub struct Pace(Arc<AtomicU32>);

impl Pace {
    /// The next step.
    pub fn go(&self, step: Step) {
        let turn = (self.0.load(Ordering::Relaxed) & !3).wrapping_add(4);
        self.0.store(turn | step as u32, Ordering::Relaxed);
    }

    /// The step, and which in the life of the connection it is.
    pub fn now(&self) -> (u32, Step) {
        let word = self.0.load(Ordering::Relaxed);
        (word, STEPS[(word & 3) as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_steps_are_told_apart() {
        let pace = Pace::default();
        assert_eq!(pace.now().1, Step::Head);
        let mut seen = vec![pace.now().0];
        for step in [Step::Busy, Step::Idle, Step::Head, Step::Head, Step::Stream] {
            pace.go(step);
            assert_eq!(pace.now().1, step);
            assert!(!seen.contains(&pace.now().0));
            seen.push(pace.now().0);
        }
    }
}
