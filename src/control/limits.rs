//! The limits of the front door, each with its name. Those of the text itself are in `line.rs`.

use std::time::Duration;

/// What a door allows. Tests make it narrower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all. Further ones wait in the kernel's queue.
    pub connections: usize,
    /// Of those, kept free for root and the daemon's own user.
    pub reserve: usize,
    /// Of those, at most for one other user, or for one address.
    pub share: usize,
    /// How long a connection may be silent between two requests.
    pub idle: Duration,
    /// How long the rest of a request line may take after its first byte.
    pub request: Duration,
    /// How long a client may take nothing of an answer before it is given up. Streams are exempt:
    /// a slow reader of a log costs its place and an offset.
    pub stall: Duration,
    /// How long the daemon's turn may take to accept a request.
    pub accept: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 256,
            reserve: 16,
            share: 64,
            idle: Duration::from_secs(300),
            request: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            accept: Duration::from_secs(5),
        }
    }
}
