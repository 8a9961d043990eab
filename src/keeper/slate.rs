//! One record of any length that is replaced as a whole, often, and survives the brain at any
//! instant: for what is too long for a slot of the ledger and changes too often for a sealed blob.
//!
//! Two memory files are written in turn, each with a sequence number and a checksum. A write
//! touches only the older one, so a brain killed in the middle of it leaves the newer one as it was.
//!
//! Copy, little-endian: 4 bytes CRC-32 of the rest, 8 bytes sequence number (from 1), 8 bytes
//! length, payload; what follows is left over from longer records.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, fstat, ftruncate, memfd_create};

use super::blob::{read_exact_at, write_all_at};

const HEADER: usize = 20;

/// Longest payload, in bytes.
pub const PAYLOAD_MAX: usize = 64 * 1024 * 1024;

/// A file that is longer than its record by this much is cut, to give the memory back.
const SLACK: u64 = 64 * 1024;

/// Writes the record, and knows which copy is the newer one.
#[derive(Debug)]
pub struct Slate {
    copies: [OwnedFd; 2],
    sequence: u64,
}

impl Slate {
    /// An empty slate.
    pub fn create() -> io::Result<Slate> {
        let copy = || memfd_create("appctl-slate", MemfdFlags::CLOEXEC);
        Ok(Slate {
            copies: [copy()?, copy()?],
            sequence: 0,
        })
    }

    /// The slate of a predecessor, and what it says; nothing if no copy is intact.
    pub fn open(copies: [OwnedFd; 2]) -> io::Result<(Slate, Option<Vec<u8>>)> {
        let [even, odd] = [read(&copies[0])?, read(&copies[1])?];
        let newest = match (even, odd) {
            (Some(even), Some(odd)) => Some(if even.0 > odd.0 { even } else { odd }),
            (one, other) => one.or(other),
        };
        let sequence = newest.as_ref().map_or(0, |(sequence, _)| *sequence);
        let payload = newest.map(|(_, payload)| payload);
        Ok((Slate { copies, sequence }, payload))
    }

    /// Both memory files, in order; to be parked.
    pub fn copies(&self) -> [BorrowedFd<'_>; 2] {
        [self.copies[0].as_fd(), self.copies[1].as_fd()]
    }

    /// Replaces the record.
    pub fn write(&mut self, payload: &[u8]) -> io::Result<()> {
        if payload.len() > PAYLOAD_MAX {
            let text = format!("{} bytes are more than {PAYLOAD_MAX}", payload.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let sequence = self.sequence + 1;
        let copy = &self.copies[usize::from(sequence % 2 == 1)];
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.extend([0; 4]);
        bytes.extend(sequence.to_le_bytes());
        bytes.extend((payload.len() as u64).to_le_bytes());
        bytes.extend(payload);
        let checksum = crc32fast::hash(&bytes[4..]);
        bytes[..4].copy_from_slice(&checksum.to_le_bytes());
        write_all_at(copy, &bytes, 0)?;
        let length = bytes.len() as u64;
        if fstat(copy)?.st_size.unsigned_abs() > length + SLACK {
            ftruncate(copy, length)?;
        }
        self.sequence = sequence;
        Ok(())
    }
}

/// Sequence number and payload of a copy; nothing if it is not intact.
fn read(copy: &OwnedFd) -> io::Result<Option<(u64, Vec<u8>)>> {
    let size = usize::try_from(fstat(copy)?.st_size).unwrap_or(usize::MAX);
    if size < HEADER || size > HEADER + PAYLOAD_MAX + SLACK as usize {
        return Ok(None);
    }
    let mut bytes = vec![0; size];
    read_exact_at(copy, &mut bytes, 0)?;
    Ok(parse(&bytes))
}

fn parse(bytes: &[u8]) -> Option<(u64, Vec<u8>)> {
    let (checksum, rest) = bytes.split_first_chunk::<4>()?;
    let (sequence, after) = rest.split_first_chunk::<8>()?;
    let (length, after) = after.split_first_chunk::<8>()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let payload = after.get(..length)?;
    let covered = rest.get(..16 + length)?;
    let intact = u32::from_le_bytes(*checksum) == crc32fast::hash(covered);
    intact.then(|| (u64::from_le_bytes(*sequence), payload.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::pwrite;

    fn reopened(slate: &Slate) -> (Slate, Option<Vec<u8>>) {
        let [even, odd] = slate.copies();
        let copy = |fd: BorrowedFd| fd.try_clone_to_owned().unwrap();
        Slate::open([copy(even), copy(odd)]).unwrap()
    }

    #[test]
    fn the_newest_record_is_read_whatever_its_length() {
        let mut slate = Slate::create().unwrap();
        assert_eq!(reopened(&slate).1, None);
        for length in [0, 10, 1_000_000, 3, 500_000, 0, 7] {
            let record = vec![7; length];
            slate.write(&record).unwrap();
            let (mut successor, found) = reopened(&slate);
            assert_eq!(found, Some(record));
            successor.write(b"next").unwrap();
            assert_eq!(reopened(&successor).1, Some(b"next".to_vec()));
            slate = successor;
        }
        let sizes = slate.copies().map(|copy| fstat(copy).unwrap().st_size);
        assert!(sizes.iter().all(|size| *size < 200_000), "{sizes:?}");
    }

    #[test]
    fn a_write_cut_off_leaves_what_was_there() {
        let mut slate = Slate::create().unwrap();
        slate.write(b"first").unwrap();
        slate.write(b"second").unwrap();
        // The third goes where the first is.
        let [_, odd] = slate.copies();
        for cut in 1..25 {
            pwrite(odd, &vec![9; cut], 0).unwrap();
            assert_eq!(reopened(&slate).1, Some(b"second".to_vec()), "{cut}");
        }
        pwrite(slate.copies()[0], &[9; 25], 0).unwrap();
        assert_eq!(reopened(&slate).1, None);
    }
}
