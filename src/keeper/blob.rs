//! A whole, opaque blob in a sealed memfd: written once, never changed, checked when read.
//!
//! Layout, little-endian: 8 bytes magic, 8 bytes length, 4 bytes CRC-32 of the payload, payload.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create};
use rustix::io::{Errno, pread, pwrite};

const MAGIC: &[u8; 8] = b"appctlB1";
const HEADER: usize = 20;

/// Largest payload, in bytes.
pub const BLOB_MAX: usize = 64 * 1024 * 1024;

/// What makes the content final.
const SEALS: SealFlags = SealFlags::SEAL
    .union(SealFlags::SHRINK)
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE);

/// Writes a blob into a new memfd. `name` is what `/proc/PID/fd` shows for it.
pub fn write(name: &str, payload: &[u8]) -> io::Result<OwnedFd> {
    if payload.len() > BLOB_MAX {
        let text = format!("{name}: {} bytes are more than {BLOB_MAX}", payload.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let memfd = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
    bytes.extend_from_slice(payload);
    write_all_at(&memfd, &bytes, 0)?;
    fcntl_add_seals(&memfd, SEALS)?;
    Ok(memfd)
}

/// Reads a blob. The error says what is wrong with it.
pub fn read(memfd: impl AsFd) -> io::Result<Vec<u8>> {
    let memfd = memfd.as_fd();
    let seals = fcntl_get_seals(memfd).map_err(|_| damaged("it is not a memfd"))?;
    if !seals.contains(SealFlags::WRITE | SealFlags::SHRINK) {
        return Err(damaged("it is not sealed"));
    }
    let size = usize::try_from(fstat(memfd)?.st_size).unwrap_or(0);
    if size < HEADER || size - HEADER > BLOB_MAX {
        return Err(damaged("its size is impossible"));
    }
    let mut bytes = vec![0; size];
    read_exact_at(memfd, &mut bytes, 0)?;
    let (header, payload) = bytes.split_at(HEADER);
    let (magic, rest) = header.split_at(MAGIC.len());
    let (length, checksum) = rest.split_at(8);
    if magic != MAGIC {
        return Err(damaged("it does not begin as one"));
    }
    if length != (payload.len() as u64).to_le_bytes() {
        return Err(damaged("it has another length than it says"));
    }
    if checksum != crc32fast::hash(payload).to_le_bytes() {
        return Err(damaged("its checksum is wrong"));
    }
    Ok(payload.to_vec())
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("blob refused: {why}"))
}

/// Fills the whole buffer from an offset.
pub(super) fn read_exact_at(file: impl AsFd, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match pread(file.as_fd(), rest, offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => done += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes the whole buffer at an offset.
pub(super) fn write_all_at(file: impl AsFd, buffer: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = buffer.get(done..).filter(|rest| !rest.is_empty()) {
        match pwrite(file.as_fd(), rest, offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => done += written,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memfd(bytes: &[u8], seals: SealFlags) -> OwnedFd {
        let memfd = memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap();
        write_all_at(&memfd, bytes, 0).unwrap();
        fcntl_add_seals(&memfd, seals).unwrap();
        memfd
    }

    fn raw(memfd: &OwnedFd) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(fstat(memfd).unwrap().st_size).unwrap()];
        read_exact_at(memfd, &mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn what_is_written_is_read_again_and_again() {
        for payload in [&b""[..], b"x", &[7; 100_000]] {
            let blob = write("test", payload).unwrap();
            assert_eq!(read(&blob).unwrap(), payload);
            assert_eq!(read(&blob).unwrap(), payload);
            assert!(pwrite(&blob, b"y", 30).is_err());
        }
    }

    #[test]
    fn every_damage_is_refused_with_its_reason() {
        let good = raw(&write("test", b"payload").unwrap());
        let mut table: Vec<(Vec<u8>, SealFlags, &str)> = vec![
            (good.clone(), SealFlags::empty(), "not sealed"),
            (vec![], SEALS, "size is impossible"),
            (good[..good.len() - 1].to_vec(), SEALS, "another length"),
            ([&good[..], b"x"].concat(), SEALS, "another length"),
        ];
        for (place, reason) in [
            (0, "does not begin"),
            (9, "another length"),
            (17, "checksum"),
            (25, "checksum"),
        ] {
            let mut bytes = good.clone();
            bytes[place] ^= 1;
            table.push((bytes, SEALS, reason));
        }
        for (bytes, seals, reason) in table {
            let error = read(memfd(&bytes, seals)).unwrap_err().to_string();
            assert!(error.contains(reason), "{reason}: {error}");
        }
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert!(read(file).unwrap_err().to_string().contains("not a memfd"));
        // Positive control: the bytes are good when nothing is changed.
        assert_eq!(read(memfd(&good, SEALS)).unwrap(), b"payload");
    }
}
