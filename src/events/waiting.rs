//! Events that wait in the pools, as a successor is told of them: encoded when they change, and not
//! at each of the many steps in which listeners take them.
//!
//! Of each pool the oldest are told, within a bound. As long as enough of those are left, nothing has
//! to be done for one that is taken, nor for one that comes behind them.
//!
//! Pure.

use std::collections::BTreeMap;

use super::pool::{Envelope, Pool};
use super::pools::Pools;

/// The events that wait, encoded.
#[derive(Debug, Default)]
pub struct Waiting {
    bytes: Vec<u8>,
    told: BTreeMap<String, Told>,
}

/// Which events of a pool are in the bytes, by their serials: from here to before there.
#[derive(Debug, Clone, Copy)]
struct Told {
    from: u64,
    to: u64,
    /// They were all that waited.
    all: bool,
}

impl Told {
    /// Whether it is still good enough for what the pool has now.
    fn serves(self, pool: &Pool) -> bool {
        let Told { from, to, all } = self;
        if all {
            return pool.end() == to;
        }
        let left = to.saturating_sub(pool.begin().max(from));
        pool.end() > to && left * 2 >= to - from
    }
}

impl Waiting {
    /// What waits in these pools, at most so many bytes of each.
    pub fn of(&mut self, pools: &Pools, most: usize) -> &[u8] {
        let told = |(name, pool): (&String, &Pool)| {
            let told = self.told.get(name);
            told.is_some_and(|told| told.serves(pool))
        };
        let serves = pools.len() == self.told.len() && pools.iter().all(told);
        if !serves {
            self.tell(pools, most);
        }
        &self.bytes
    }

    fn tell(&mut self, pools: &Pools, most: usize) {
        self.told.clear();
        let mut events: BTreeMap<&str, Vec<&Envelope>> = BTreeMap::new();
        for (name, pool) in pools.iter() {
            let (oldest, to) = pool.oldest(most);
            let from = pool.begin();
            let all = to == pool.end();
            self.told.insert(name.clone(), Told { from, to, all });
            events.insert(name, oldest);
        }
        // Structures of numbers and texts always serialize.
        self.bytes = postcard::to_stdvec(&events).unwrap_or_default();
    }

    /// Gives pools what was told of them.
    pub fn give_back(bytes: &[u8], pools: &mut Pools) {
        let events: Result<BTreeMap<String, Vec<Envelope>>, _> = postcard::from_bytes(bytes);
        for (name, events) in events.unwrap_or_default() {
            if let Some(pool) = pools.named(&name) {
                pool.give_back(events);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{EventType, ListenerConfig};
    use crate::events::Event;
    use crate::fleet::{ProcessId, Stamp};

    const A: ProcessId = ProcessId(1);

    fn pools() -> Pools {
        let config = ListenerConfig {
            events: vec![EventType::ProcessGroup],
            buffer_size: 1_000,
        };
        let mut pools = Pools::default();
        pools.add(0, "pool", &config, &[A]);
        pools
    }

    fn happen(pools: &mut Pools, count: usize) {
        for _ in 0..count {
            let group = "x".repeat(10);
            pools.accept(&Event::GroupAdded { group }, &mut Vec::new());
        }
    }

    fn say(pools: &mut Pools, text: &str) {
        let pool = pools.of(A).unwrap();
        pool.heard(Stamp(0), A, text.as_bytes(), &mut Vec::new());
        pools.dispatch(Stamp(u64::MAX), |_| true, &mut Vec::new());
    }

    /// The serials that a listener is sent, in order, until it is sent none.
    fn sent(mut pools: Pools) -> Vec<u64> {
        let mut serials = Vec::new();
        pools.of(A).unwrap().started(A);
        say(&mut pools, "READY\n");
        while let Some(text) = pools.of(A).unwrap().unwritten(A, "s") {
            let text = String::from_utf8(text).unwrap();
            let serial = text.split("serial:").nth(1).unwrap();
            serials.push(serial.split(' ').next().unwrap().parse().unwrap());
            say(&mut pools, "RESULT 2\nOKREADY\n");
        }
        serials
    }

    #[test]
    fn a_successor_knows_what_waits_whenever_it_takes_over() {
        let (mut pools, mut waiting) = (pools(), Waiting::default());
        let most = 1_000_000;
        let check = |pools: &Pools, waiting: &mut Waiting| {
            let mut successor = pools.without_waiting();
            Waiting::give_back(waiting.of(pools, most), &mut successor);
            assert_eq!(sent(successor), sent(pools.clone()));
        };
        happen(&mut pools, 5);
        check(&pools, &mut waiting);
        for text in [
            "READY\n",
            "RESULT 2\nOKREADY\n",
            "RESULT 4\nFAIL",
            "READY\n",
        ] {
            say(&mut pools, text);
            check(&pools, &mut waiting);
        }
        happen(&mut pools, 3);
        check(&pools, &mut waiting);
        pools.remove(0, "pool");
        assert_eq!(waiting.of(&pools, most).len(), 1);
    }

    #[test]
    fn what_is_far_behind_costs_nothing() {
        let (mut pools, mut waiting) = (pools(), Waiting::default());
        happen(&mut pools, 100);
        // Ten events or so.
        let first = waiting.of(&pools, 500).to_vec();
        happen(&mut pools, 50);
        say(&mut pools, "READY\n");
        assert_eq!(waiting.of(&pools, 500), first);
        let mut successor = pools.without_waiting();
        Waiting::give_back(&first, &mut successor);
        let known = sent(successor);
        assert_eq!(known, (0..known.len() as u64).collect::<Vec<_>>());
        assert!((5..20).contains(&known.len()), "{known:?}");
        for _ in 0..known.len() / 2 + 1 {
            say(&mut pools, "RESULT 2\nOKREADY\n");
        }
        assert_ne!(waiting.of(&pools, 500), first, "half of them are gone");
    }
}
