//! Who of those that connect gets a place: so many in all, so many for one user, and a reserve
//! for root and the daemon's own user, who must get in when others have filled the house.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_std::channel::{Receiver, Sender, bounded};

use super::limits::Limits;

/// The places of a door.
#[derive(Debug, Clone)]
pub struct Seats {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// A bounded channel as semaphore: a message for each permit that is out.
    permits: (Sender<()>, Receiver<()>),
    census: Mutex<Census>,
}

/// The right to accept one connection, whoever it will be.
#[derive(Debug)]
pub struct Permit {
    shared: Arc<Shared>,
}

/// The place of a client; free again when dropped.
#[derive(Debug)]
pub struct Seat {
    permit: Permit,
    /// `None` for those to whom only the limit in all applies.
    user: Option<u32>,
}

impl Seats {
    /// All places free.
    pub fn new(limits: Limits) -> Seats {
        Seats {
            shared: Arc::new(Shared {
                permits: bounded(limits.connections.max(1)),
                census: Mutex::new(Census::new(limits)),
            }),
        }
    }

    /// Waits until there is a place at all. To be had before accepting: who waits in the kernel's
    /// queue costs nothing here.
    pub async fn permit(&self) -> Permit {
        let shared = self.shared.clone();
        // It cannot be closed: we hold its receiver.
        let _ = shared.permits.0.send(()).await;
        Permit { shared }
    }
}

impl Permit {
    /// The place of this user; `None` if the user has had its share.
    pub fn seat(self, uid: u32, privileged: bool) -> Option<Seat> {
        let user = (!privileged).then_some(uid);
        if let Some(uid) = user
            && !census(&self.shared).enter(uid)
        {
            return None;
        }
        Some(Seat { permit: self, user })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let _ = self.shared.permits.1.try_recv();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(uid) = self.user {
            census(&self.permit.shared).leave(uid);
        }
    }
}

fn census(shared: &Shared) -> MutexGuard<'_, Census> {
    shared.census.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many of those without privilege are in, and of which user.
#[derive(Debug)]
struct Census {
    common: usize,
    per_user: usize,
    users: BTreeMap<u32, usize>,
}

impl Census {
    fn new(limits: Limits) -> Census {
        Census {
            common: limits.connections.saturating_sub(limits.reserve),
            per_user: limits.per_user,
            users: BTreeMap::new(),
        }
    }

    fn enter(&mut self, uid: u32) -> bool {
        let all: usize = self.users.values().sum();
        let own = self.users.get(&uid).copied().unwrap_or(0);
        if all >= self.common || own >= self.per_user {
            return false;
        }
        self.users.insert(uid, own + 1);
        true
    }

    fn leave(&mut self, uid: u32) {
        let Some(own) = self.users.get_mut(&uid) else {
            return;
        };
        *own -= 1;
        if *own == 0 {
            self.users.remove(&uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_std::task::block_on;
    use futures_lite::future;

    fn limits() -> Limits {
        Limits {
            connections: 6,
            reserve: 2,
            per_user: 3,
            ..Limits::default()
        }
    }

    #[test]
    fn users_have_their_share_and_the_privileged_the_rest() {
        block_on(async {
            let seats = Seats::new(limits());
            let enter = async |uid, privileged| seats.permit().await.seat(uid, privileged);
            let mut in_there = Vec::new();
            for _ in 0..3 {
                in_there.push(enter(7, false).await.unwrap());
            }
            assert!(enter(7, false).await.is_none(), "a fourth of one user");
            in_there.push(enter(8, false).await.unwrap());
            assert!(enter(9, false).await.is_none(), "into the reserve");
            in_there.push(enter(0, true).await.unwrap());
            in_there.push(enter(0, true).await.unwrap());
            let waiting = future::poll_once(seats.permit()).await;
            assert!(waiting.is_none(), "a seventh has to wait");

            in_there.remove(0);
            assert!(enter(7, false).await.is_some());
            in_there.clear();
            for _ in 0..20 {
                assert!(enter(7, false).await.is_some(), "places come back");
            }
        });
    }
}
