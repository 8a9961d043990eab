//! The ledger: a memfd of numbered slots that survives the brain at any instant.
//!
//! Each slot has two copies that are written in turn, each with a sequence number and a checksum.
//! A write touches only the older copy with one `pwrite`, so a brain killed in the middle of it
//! leaves the newer copy as it was. Payloads are opaque and framed by length, never by lines: text
//! that a program chose cannot become a record.
//!
//! Copy, little-endian: 4 bytes CRC-32 of the rest, 2 bytes length (0xffff: vacated), 2 bytes
//! zero, 8 bytes sequence number (from 1), payload, zeroes. After the first copy, in a corner that
//! the second copy's place leaves free, a child leaves the note of its birth (`launch::birth`).

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, fstat, ftruncate, memfd_create};

use super::blob::{read_exact_at, write_all_at};
use crate::launch::{BIRTH_NOTE_LENGTH, BirthNote, Cradle};

/// A page holds eight of these, so no copy straddles two pages.
const PLACE: usize = 512;
const SLOT: usize = 2 * PLACE;
/// Bytes of one copy.
const COPY: usize = PLACE - BIRTH_NOTE_LENGTH;
const HEADER: usize = 16;
const VACATED: u16 = u16::MAX;

/// Slots added at a time, in whole pages.
const GROWTH: u32 = 64;

/// Most slots of a ledger.
pub const SLOTS_MAX: u32 = 65_536;

/// Longest payload of a slot, in bytes.
pub const PAYLOAD_MAX: usize = COPY - HEADER;

/// Writes slots and knows which copy of each is the newer one.
#[derive(Debug)]
pub struct Ledger {
    memfd: OwnedFd,
    /// Newest sequence number of each slot, 0 for one never written.
    sequences: Vec<u64>,
}

/// What a ledger says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// The newest intact payload of each slot that is in use.
    pub slots: Vec<(u32, Vec<u8>)>,
    /// Slots of which no copy is intact, and so nothing is known.
    pub damaged: Vec<u32>,
    /// What the last child that was started for each slot noted of itself.
    pub births: BTreeMap<u32, BirthNote>,
}

/// One copy of a slot as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Copy {
    /// Never written.
    Blank,
    /// Neither blank nor right.
    Damaged,
    /// Intact; no payload if the slot was vacated.
    Intact(u64, Option<Vec<u8>>),
}

impl Ledger {
    /// An empty ledger.
    pub fn create() -> io::Result<Ledger> {
        let memfd = memfd_create("appctl-ledger", MemfdFlags::CLOEXEC)?;
        Ok(Ledger {
            memfd,
            sequences: Vec::new(),
        })
    }

    /// The memory file, to be parked.
    pub fn into_memory(self) -> OwnedFd {
        self.memfd
    }

    /// The ledger of a predecessor, and what it says.
    pub fn open(memfd: OwnedFd) -> io::Result<(Ledger, Contents)> {
        let size = usize::try_from(fstat(&memfd)?.st_size).unwrap_or(0);
        let count = size / SLOT;
        if count > SLOTS_MAX as usize || size % SLOT != 0 {
            let text = format!("the ledger has an impossible size of {size} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let mut bytes = vec![0; count * SLOT];
        read_exact_at(&memfd, &mut bytes, 0)?;
        let mut contents = Contents::default();
        let mut sequences = Vec::with_capacity(count);
        for (slot, bytes) in (0u32..).zip(bytes.chunks_exact(SLOT)) {
            let (even, odd) = bytes.split_at(PLACE);
            let (even, birth) = even.split_at(COPY);
            let odd = &odd[..COPY];
            let (sequence, payload, damaged) = newest(&Copy::parse(even), &Copy::parse(odd));
            contents
                .births
                .extend(birth.try_into().map(|note| (slot, BirthNote::read(note))));
            sequences.push(sequence);
            contents
                .slots
                .extend(payload.map(|payload| (slot, payload)));
            contents.damaged.extend(damaged.then_some(slot));
        }
        Ok((Ledger { memfd, sequences }, contents))
    }

    /// What it says now, as a successor would read it.
    pub fn read_all(&self) -> io::Result<Contents> {
        Ok(Ledger::open(self.memfd.try_clone()?)?.1)
    }

    /// Replaces the payload of a slot.
    pub fn write(&mut self, slot: u32, payload: &[u8]) -> io::Result<()> {
        if payload.len() > PAYLOAD_MAX {
            let text = format!(
                "a ledger record of {} bytes is longer than {PAYLOAD_MAX}",
                payload.len()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        // PAYLOAD_MAX fits 16 bits.
        self.write_copy(
            slot,
            u16::try_from(payload.len()).unwrap_or(VACATED),
            payload,
        )
    }

    /// Where the child of a start is to note who it is: in the memory of this ledger.
    pub fn cradle(&self, slot: u32, run: u64) -> Cradle {
        let offset = (slot as usize * SLOT + COPY) as u64;
        Cradle { run, offset }
    }

    /// Empties a slot.
    pub fn vacate(&mut self, slot: u32) -> io::Result<()> {
        self.write_copy(slot, VACATED, &[])
    }

    fn write_copy(&mut self, slot: u32, length: u16, payload: &[u8]) -> io::Result<()> {
        self.grow_to_hold(slot)?;
        let index = slot as usize;
        let Some(sequence) = self.sequences.get_mut(index) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let next = *sequence + 1;
        let offset = index * SLOT + if next % 2 == 0 { 0 } else { PLACE };
        write_all_at(&self.memfd, &encode(next, length, payload), offset as u64)?;
        *sequence = next;
        Ok(())
    }

    fn grow_to_hold(&mut self, slot: u32) -> io::Result<()> {
        if (slot as usize) < self.sequences.len() {
            return Ok(());
        }
        if slot >= SLOTS_MAX {
            let text = format!("the ledger has {SLOTS_MAX} slots at most");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let count = (slot / GROWTH + 1) * GROWTH;
        ftruncate(&self.memfd, u64::from(count) * SLOT as u64)?;
        self.sequences.resize(count as usize, 0);
        Ok(())
    }
}

impl AsFd for Ledger {
    /// To be parked in the keeper.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.memfd.as_fd()
    }
}

fn encode(sequence: u64, length: u16, payload: &[u8]) -> [u8; COPY] {
    let mut copy = [0; COPY];
    copy[4..6].copy_from_slice(&length.to_le_bytes());
    copy[8..16].copy_from_slice(&sequence.to_le_bytes());
    for (place, byte) in copy[HEADER..].iter_mut().zip(payload) {
        *place = *byte;
    }
    let checksum = crc32fast::hash(&copy[4..]);
    copy[..4].copy_from_slice(&checksum.to_le_bytes());
    copy
}

impl Copy {
    fn parse(bytes: &[u8]) -> Copy {
        if bytes.iter().all(|byte| *byte == 0) {
            return Copy::Blank;
        }
        Copy::parse_written(bytes).unwrap_or(Copy::Damaged)
    }

    fn parse_written(bytes: &[u8]) -> Option<Copy> {
        let (checksum, rest) = bytes.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*checksum) != crc32fast::hash(rest) {
            return None;
        }
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (sequence, payload) = rest.get(2..)?.split_first_chunk::<8>()?;
        let length = u16::from_le_bytes(*length);
        let payload = match length {
            VACATED => None,
            length => Some(payload.get(..usize::from(length))?.to_vec()),
        };
        Some(Copy::Intact(u64::from_le_bytes(*sequence), payload))
    }
}

/// The sequence number to go on from, the payload, and whether all that was written is damaged.
fn newest(even: &Copy, odd: &Copy) -> (u64, Option<Vec<u8>>, bool) {
    match (even, odd) {
        (Copy::Intact(a, payload), Copy::Intact(b, _)) if a > b => (*a, payload.clone(), false),
        (_, Copy::Intact(sequence, payload)) => (*sequence, payload.clone(), false),
        (Copy::Intact(sequence, payload), _) => (*sequence, payload.clone(), false),
        // The very first write of a slot was cut off: there has never been anything in it.
        (Copy::Blank, Copy::Blank | Copy::Damaged) => (0, None, false),
        (Copy::Damaged, _) => (0, None, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn contents(ledger: &Ledger) -> Contents {
        ledger.read_all().unwrap()
    }

    fn damage(ledger: &Ledger, offset: usize, bytes: &[u8]) {
        write_all_at(&ledger.memfd, bytes, offset as u64).unwrap();
    }

    #[test]
    fn the_newest_payload_is_read_and_a_vacated_slot_is_empty() {
        let mut ledger = Ledger::create().unwrap();
        assert_eq!(contents(&ledger), Contents::default());
        ledger.write(0, b"a").unwrap();
        ledger.write(200, &[9; PAYLOAD_MAX]).unwrap();
        ledger.write(0, b"b").unwrap();
        ledger.write(0, b"").unwrap();
        ledger.write(3, b"x").unwrap();
        ledger.vacate(3).unwrap();
        ledger.vacate(4).unwrap();
        let expected = vec![(0, vec![]), (200, vec![9; PAYLOAD_MAX])];
        assert_eq!(contents(&ledger).slots, expected);
        assert_eq!(contents(&ledger).damaged, [0; 0]);
    }

    #[test]
    fn a_successor_goes_on_where_the_predecessor_stopped() {
        let mut ledger = Ledger::create().unwrap();
        ledger.write(1, b"one").unwrap();
        ledger.write(1, b"two").unwrap();
        let (mut successor, found) = Ledger::open(ledger.memfd).unwrap();
        assert_eq!(found.slots, [(1, b"two".to_vec())]);
        successor.write(1, b"three").unwrap();
        assert_eq!(contents(&successor).slots, [(1, b"three".to_vec())]);
    }

    #[test]
    fn a_write_cut_off_leaves_what_was_there() {
        let mut ledger = Ledger::create().unwrap();
        ledger.write(0, b"first").unwrap();
        let second = encode(2, 6, b"second");
        for cut in [1, 4, 8, 15, 17, 22] {
            damage(&ledger, 0, &[0; COPY]);
            damage(&ledger, 0, &second[..cut]);
            let found = contents(&ledger).slots;
            // All after the payload is zero, as the copy was: the cut at its end is complete.
            let expected: &[u8] = if cut < 22 { b"first" } else { b"second" };
            assert_eq!(found, [(0, expected.to_vec())], "{cut}");
        }
    }

    #[test]
    fn the_first_write_cut_off_is_an_empty_slot_and_total_damage_is_told() {
        let mut ledger = Ledger::create().unwrap();
        ledger.write(1, b"").unwrap();
        damage(&ledger, PLACE, b"xyz");
        assert_eq!(contents(&ledger).damaged, [0; 0]);
        damage(&ledger, 0, b"xyz");
        assert_eq!(contents(&ledger).damaged, [0]);
        assert_eq!(contents(&ledger).slots, [(1, vec![])]);
    }

    #[test]
    fn a_birth_is_noted_beside_whatever_is_recorded() {
        let mut ledger = Ledger::create().unwrap();
        ledger.write(0, &[9; PAYLOAD_MAX]).unwrap();
        ledger.write(1, &[9; PAYLOAD_MAX]).unwrap();
        let cradle = ledger.cradle(1, 7);
        let note = (7_u128 | 42_u128 << 64).to_le_bytes();
        damage(&ledger, cradle.offset as usize, &note);
        ledger.write(1, &[8; PAYLOAD_MAX]).unwrap();
        ledger.write(1, &[7; PAYLOAD_MAX]).unwrap();
        let contents = contents(&ledger);
        assert_eq!(contents.births[&1], BirthNote { run: 7, pid: 42 });
        assert_eq!(contents.births[&0], BirthNote { run: 0, pid: 0 });
        let payloads = [9, 7].map(|byte| vec![byte; PAYLOAD_MAX]);
        assert_eq!(
            contents.slots,
            [0, 1].into_iter().zip(payloads).collect::<Vec<_>>()
        );
    }

    #[test]
    fn bounds_are_refused_by_name() {
        let mut ledger = Ledger::create().unwrap();
        let error = ledger
            .write(0, &[0; PAYLOAD_MAX + 1])
            .unwrap_err()
            .to_string();
        assert!(error.contains("longer than 480"), "{error}");
        let error = ledger.write(SLOTS_MAX, b"").unwrap_err().to_string();
        assert!(error.contains("65536 slots"), "{error}");
        ftruncate(&ledger.memfd, 17).unwrap();
        let error = ledger.read_all().unwrap_err().to_string();
        assert!(error.contains("17 bytes"), "{error}");
    }

    proptest! {
        /// Whatever one copy holds, the other is read, and nothing panics.
        #[test]
        fn garbage_in_one_copy_never_hides_the_other(garbage in proptest::collection::vec(any::<u8>(), COPY)) {
            let mut ledger = Ledger::create().unwrap();
            ledger.write(0, b"kept").unwrap();
            damage(&ledger, 0, &garbage);
            prop_assert_eq!(contents(&ledger).slots, vec![(0, b"kept".to_vec())]);
        }
    }
}
