//! The messages between keeper, brain and holder: one SOCK_SEQPACKET packet each. Pure.
//!
//! A packet is one byte of version and the message in postcard's format. An old keeper drives new
//! brains for years: variants and [`ParkKey`]s are only ever appended, never changed or reordered,
//! and either side skips a packet it cannot read.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ExitRecord, ParkKey, SignalNotice};

/// First byte of every packet.
const VERSION: u8 = 1;

/// Most descriptors of one packet; the kernel's limit is 253 (`SCM_MAX_FD`).
pub(super) const PARK_BATCH: usize = 250;

/// Longest packet, in bytes: a full batch of the longest keys is about 3 KiB.
pub(super) const PACKET_MAX: usize = 4096;

/// What a brain tells the keeper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum FromBrain {
    /// Park the descriptors that come with this packet under these keys, in this order.
    Park(Vec<ParkKey>),
    /// Close these.
    Unpark(Vec<ParkKey>),
    /// This exit has been dealt with.
    Acknowledge {
        /// Pid.
        pid: i32,
        /// Start time in clock ticks.
        start_time: u64,
    },
    /// The brain serves.
    Ready,
    /// The brain is about to end on purpose.
    Leave(u8),
    /// Rings when a turn takes too long; comes with the timer.
    Watch,
    /// Try the binary that comes with this packet in the place of the brain that says so; the
    /// second descriptor, if there is one, leads to whoever wants to know how it came out.
    Upgrade,
}

/// What the keeper tells a brain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ToBrain {
    /// An orphan ended.
    Exited(ExitRecord),
    /// The daemon received a signal.
    Signal(SignalNotice),
    /// There was no room for descriptors with these keys.
    NotParked(Vec<ParkKey>),
}

/// What the holder is told by keeper, brain or boot phase. It may be older than who tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ToHolder {
    /// Hold the descriptors that come with this packet under these keys, in this order.
    Park(Vec<ParkKey>),
    /// Close these.
    Unpark(Vec<ParkKey>),
    /// This process is the brain.
    Serving {
        /// Pid.
        pid: i32,
        /// Start time in clock ticks.
        start_time: u64,
    },
    /// Give everything to who says this, the daemon from now on.
    Claim,
    /// End.
    End,
}

/// What the holder answers to a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum FromHolder {
    /// The descriptors that come with this packet are held under these keys.
    Held(Vec<ParkKey>),
    /// That was all.
    All {
        /// Pid and start time of the brain that said last that it serves.
        brain: Option<(i32, u64)>,
    },
}

/// A message as a packet; `None` if it would be too long.
pub(super) fn encode(message: &impl Serialize) -> Option<Vec<u8>> {
    let packet = postcard::to_extend(message, vec![VERSION]).ok()?;
    (packet.len() <= PACKET_MAX).then_some(packet)
}

/// A packet as a message; `None` if it is of another version or damaged.
pub(super) fn decode<Message: DeserializeOwned>(packet: &[u8]) -> Option<Message> {
    let body = packet.strip_prefix(&[VERSION])?;
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Some(message),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::ExitStatus;
    use proptest::prelude::*;

    #[test]
    fn messages_survive_the_way() {
        let longest = vec![ParkKey::Stderr(u64::MAX); PARK_BATCH];
        let table = [
            FromBrain::Park(longest.clone()),
            FromBrain::Unpark(longest),
            FromBrain::Park(vec![]),
            FromBrain::Acknowledge {
                pid: i32::MAX,
                start_time: u64::MAX,
            },
            FromBrain::Ready,
            FromBrain::Leave(255),
            FromBrain::Watch,
            FromBrain::Upgrade,
        ];
        for message in table {
            let packet = encode(&message).unwrap();
            assert!(packet.len() <= PACKET_MAX);
            assert_eq!(decode(&packet), Some(message));
        }
        let status = ExitStatus::Signal {
            number: 9,
            core: true,
        };
        let record = ExitRecord {
            pid: 1,
            start_time: 2,
            status,
        };
        let notice = SignalNotice {
            number: 15,
            pid: 3,
            uid: 4,
        };
        let table = [
            ToBrain::Exited(record),
            ToBrain::Signal(notice),
            ToBrain::NotParked(vec![ParkKey::Ledger]),
        ];
        for message in table {
            assert_eq!(decode(&encode(&message).unwrap()), Some(message));
        }
    }

    /// The bytes are a promise to keepers that were started long ago.
    #[test]
    fn the_format_stays() {
        let table: [(FromBrain, &[u8]); 6] = [
            (FromBrain::Watch, &[1, 5]),
            (FromBrain::Upgrade, &[1, 6]),
            (FromBrain::Ready, &[1, 3]),
            (FromBrain::Leave(7), &[1, 4, 7]),
            (
                FromBrain::Park(vec![ParkKey::Settings, ParkKey::Stdin(300)]),
                &[1, 0, 2, 0, 9, 0xac, 2],
            ),
            (
                FromBrain::Acknowledge {
                    pid: -1,
                    start_time: 5,
                },
                &[1, 2, 1, 5],
            ),
        ];
        for (message, bytes) in table {
            assert_eq!(encode(&message).unwrap(), bytes);
        }
    }

    #[test]
    fn damage_is_refused() {
        for packet in [
            &[][..],
            &[1],
            &[2, 3],
            &[1, 99],
            &[1, 3, 0],
            &[1, 0, 250],
            &[1, 4],
        ] {
            assert_eq!(decode::<FromBrain>(packet), None, "{packet:?}");
        }
        assert!(encode(&FromBrain::Park(vec![ParkKey::Stderr(u64::MAX); 500])).is_none());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(packet in proptest::collection::vec(any::<u8>(), 0..PACKET_MAX)) {
            let _ = decode::<FromBrain>(&packet);
            let _ = decode::<ToBrain>(&packet);
            let versioned = [&[VERSION][..], &packet].concat();
            let _ = decode::<FromBrain>(&versioned);
            let _ = decode::<ToBrain>(&versioned);
        }
    }
}
