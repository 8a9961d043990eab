//! Who of those that connect gets a place: so many in all, so many for one user or one address, and a
//! reserve for root and the daemon's own user, who must get in when others have filled the house.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_std::channel::{Receiver, Sender, bounded};

use super::limits::Limits;

/// The places of a door. Those who come are told apart by `Who`: a user, or an address.
#[derive(Debug, Clone)]
pub struct Seats<Who: Ord> {
    shared: Arc<Shared<Who>>,
}

#[derive(Debug)]
struct Shared<Who: Ord> {
    /// A bounded channel as semaphore: a message for each permit that is out.
    permits: (Sender<()>, Receiver<()>),
    census: Mutex<Census<Who>>,
}

/// The right to accept one connection, whoever it will be.
#[derive(Debug)]
pub struct Permit<Who: Ord> {
    shared: Arc<Shared<Who>>,
}

/// The place of a client; free again when dropped.
#[derive(Debug)]
pub struct Seat<Who: Ord> {
    permit: Permit<Who>,
    /// `None` for those to whom only the limit in all applies.
    who: Option<Who>,
}

impl<Who: Ord + Clone> Seats<Who> {
    /// All places free.
    pub fn new(limits: Limits) -> Seats<Who> {
        Seats {
            shared: Arc::new(Shared {
                permits: bounded(limits.connections.max(1)),
                census: Mutex::new(Census::new(limits)),
            }),
        }
    }

    /// Waits until there is a place at all. To be had before accepting: who waits in the kernel's
    /// queue costs nothing here.
    pub async fn permit(&self) -> Permit<Who> {
        let shared = self.shared.clone();
        // It cannot be closed: we hold its receiver.
        let _ = shared.permits.0.send(()).await;
        Permit { shared }
    }
}

impl<Who: Ord + Clone> Permit<Who> {
    /// The place of this client; `None` if it has had its share.
    pub fn seat(self, who: Who, privileged: bool) -> Option<Seat<Who>> {
        let who = (!privileged).then_some(who);
        if let Some(who) = &who
            && !census(&self.shared).enter(who)
        {
            return None;
        }
        Some(Seat { permit: self, who })
    }
}

impl<Who: Ord> Drop for Permit<Who> {
    fn drop(&mut self) {
        let _ = self.shared.permits.1.try_recv();
    }
}

impl<Who: Ord> Drop for Seat<Who> {
    fn drop(&mut self) {
        if let Some(who) = &self.who {
            census(&self.permit.shared).leave(who);
        }
    }
}

fn census<Who: Ord>(shared: &Shared<Who>) -> MutexGuard<'_, Census<Who>> {
    shared.census.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many of those without privilege are in, and who.
#[derive(Debug)]
struct Census<Who: Ord> {
    common: usize,
    share: usize,
    inside: BTreeMap<Who, usize>,
}

impl<Who: Ord> Census<Who> {
    fn new(limits: Limits) -> Census<Who> {
        Census {
            common: limits.connections.saturating_sub(limits.reserve),
            share: limits.share,
            inside: BTreeMap::new(),
        }
    }

    fn enter(&mut self, who: &Who) -> bool
    where
        Who: Clone,
    {
        let all: usize = self.inside.values().sum();
        let own = self.inside.get(who).copied().unwrap_or(0);
        if all >= self.common || own >= self.share {
            return false;
        }
        self.inside.insert(who.clone(), own + 1);
        true
    }

    fn leave(&mut self, who: &Who) {
        let Some(own) = self.inside.get_mut(who) else {
            return;
        };
        *own -= 1;
        if *own == 0 {
            self.inside.remove(who);
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
            share: 3,
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
