//! The files of a log: the one at its path, and the rotated ones beside it, compressed or not.
//!
//! Where a file is there in two forms, as in the middle of being compressed, the plain one counts.
//! What rotated files are called, `names` knows.
//!
//! Must never: open anything but a regular file, hold more of one than a block.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::names::{self, Suffix};
use crate::config::Compression;
use crate::ordered;

/// Most memory that reading one compressed file may take for its window.
const WINDOW_MAX: u64 = 8 * 1024 * 1024;

/// How a file holds its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    Plain,
    Gzip,
    Zstd,
}

/// One file of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub path: PathBuf,
    pub form: Form,
    /// Device and inode.
    pub identity: (u64, u64),
    pub size: u64,
    /// When it was last written to, in microseconds since 1970.
    pub modified: i64,
}

/// The files of a log, oldest first. The last one is that at its path, if there is one.
pub(super) fn pieces(path: &Path) -> io::Result<Vec<Piece>> {
    let form = |suffix: &Suffix| match suffix.packing {
        None => Form::Plain,
        Some(Compression::Gzip) => Form::Gzip,
        Some(Compression::Zstd) => Form::Zstd,
    };
    let mut rotated = names::list(path)?;
    ordered::sort_by_key(&mut rotated, |file| {
        (file.suffix.place.age(), form(&file.suffix))
    });
    rotated.dedup_by_key(|file| file.suffix.place);
    let rotated = rotated.into_iter().rev();
    let all = rotated.map(|file| (form(&file.suffix), file.path));
    let found = all.chain([(Form::Plain, path.to_owned())]);
    Ok(found.filter_map(|(form, path)| look(form, path)).collect())
}

/// What is at a path now, if it is a regular file.
pub(super) fn look(form: Form, path: PathBuf) -> Option<Piece> {
    let about = std::fs::metadata(&path).ok()?;
    about.is_file().then(|| Piece {
        form,
        identity: identity(&about),
        size: about.len(),
        modified: modified(&about),
        path,
    })
}

/// Device and inode.
pub(super) fn identity(about: &Metadata) -> (u64, u64) {
    (about.dev(), about.ino())
}

/// When it was last written to, in microseconds since 1970.
pub(super) fn modified(about: &Metadata) -> i64 {
    about.mtime() * 1_000_000 + about.mtime_nsec() / 1000
}

/// Opens a regular file, without waiting for the other end of a FIFO.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

/// The bytes of a file as they were written.
pub(super) fn unpack(file: File, form: Form) -> io::Result<Box<dyn Read + Send>> {
    Ok(match form {
        Form::Plain => Box::new(file),
        Form::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Form::Zstd => Box::new(Frames {
            frame: None,
            file: io::BufReader::new(file),
        }),
    })
}

/// Reads a zstd file, which may consist of several frames.
struct Frames {
    frame: Option<ZstdFrame>,
    file: io::BufReader<File>,
}

type ZstdFrame = ruzstd::decoding::FrameDecoder;

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use ruzstd::decoding::BlockDecodingStrategy;
        loop {
            let frame = match &mut self.frame {
                Some(frame) => frame,
                None if io::BufRead::fill_buf(&mut self.file)?.is_empty() => return Ok(0),
                None => {
                    let mut frame = ZstdFrame::new();
                    frame.set_max_window_size(WINDOW_MAX);
                    frame.init(&mut self.file).map_err(io::Error::other)?;
                    self.frame.insert(frame)
                }
            };
            if frame.can_collect() == 0 && !frame.is_finished() {
                let strategy = BlockDecodingStrategy::UptoBlocks(1);
                frame
                    .decode_blocks(&mut self.file, strategy)
                    .map_err(io::Error::other)?;
            }
            let read = frame.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            if frame.is_finished() {
                self.frame = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    #[test]
    fn files_of_a_log_are_told_from_their_neighbours() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "a.log",
            "a.log.1",
            "a.log.2.gz",
            "a.log.10.zst",
            "a.log.2",
            "a.log.20260101",
            "a.log.bak",
            "a.log.1.tmp",
            "b.log.1",
            "a.log.20261125T093000Z-10.gz",
            "a.log.20261125T093000Z-9",
            "a.log.20261124T235959Z",
            "a.log.20261126T093000Z-10",
            "a.log.20261126T093000Z",
            "a.log.20261126T093000Z-9.zst",
            "a.log.",
            "a.log.0",
        ] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        fs::create_dir(folder.path().join("a.log.3")).unwrap();
        let found = pieces(&folder.path().join("a.log")).unwrap();
        let name = |piece: &Piece| piece.path.file_name().unwrap().display().to_string();
        let names: Vec<String> = found.iter().map(name).collect();
        assert_eq!(
            names,
            [
                "a.log.10.zst",
                "a.log.2",
                "a.log.1",
                "a.log.20261124T235959Z",
                "a.log.20261125T093000Z-9",
                "a.log.20261125T093000Z-10.gz",
                "a.log.20261126T093000Z",
                "a.log.20261126T093000Z-9.zst",
                "a.log.20261126T093000Z-10",
                "a.log",
            ]
        );
    }

    #[test]
    fn compressed_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let text: Vec<u8> = (0..50_000)
            .flat_map(|n| format!("{n}\n").into_bytes())
            .collect();
        let (half, rest) = text.split_at(text.len() / 2);
        let zip = |bytes: &[u8]| {
            let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            zip.write_all(bytes).unwrap();
            zip.finish().unwrap()
        };
        let zst = |bytes: &[u8]| {
            let level = ruzstd::encoding::CompressionLevel::Fastest;
            ruzstd::encoding::compress_to_vec(bytes, level)
        };
        for (form, packed) in [
            (Form::Gzip, [zip(half), zip(rest)].concat()),
            (Form::Zstd, [zst(half), zst(rest)].concat()),
            (Form::Plain, text.clone()),
        ] {
            let path = folder.path().join("packed");
            fs::write(&path, packed).unwrap();
            let mut read = Vec::new();
            let mut reader = unpack(open(&path).unwrap(), form).unwrap();
            reader.read_to_end(&mut read).unwrap();
            assert!(read == text, "{form:?}");
        }
    }
}
