//! Opening what bytes are written to, and writing without ever waiting for a reader.
//!
//! Besides regular files these are pipes, terminals and sockets: mostly the daemon's own standard
//! output under the name `/dev/stdout`. A reader that does not read must not hold up the thread,
//! so such targets are opened anew in non-blocking mode; the mode of the descriptor the daemon
//! was given belongs to whoever gave it and stays as it is.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, StatxFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::SendFlags;
use rustix::process::{Gid, Uid};

use crate::config::Owner;

/// Symbolic links followed from one log path.
const LINKS_MAX: u32 = 8;
/// Bytes written at once to a descriptor that may block, after `poll` said there is room.
const POLLED_MAX: usize = 512;

/// How a target takes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file with a size and a name, written at its end. The only kind that is rotated.
    Regular,
    /// A pipe.
    Fifo,
    /// A socket.
    Socket,
    /// Swallows everything.
    Null,
    /// Anything else that never blocks: devices, and whatever regular file the daemon's standard
    /// output was redirected to (its position is shared with others, so it is not ours to choose).
    Plain,
    /// May block: could not be opened anew.
    Polled,
}

/// What a file is like that is not there yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Making {
    /// Its permission bits, before the umask.
    pub usual: u32,
    /// Its permission bits, whatever the umask.
    pub mode: Option<u32>,
    /// Its user and group.
    pub owner: Owner,
}

impl Making {
    /// The bits it is made with; others are added once it has its owner, so that nobody who may
    /// not read it in the end can do so before.
    pub fn first_mode(self) -> u32 {
        match self.is_special() {
            true => self.mode.unwrap_or(self.usual) & 0o600,
            false => self.usual,
        }
    }

    fn is_special(self) -> bool {
        self.mode.is_some() || self.owner != (None, None)
    }

    /// Gives a file that was just made its owner and mode.
    pub fn settle(self, file: &OwnedFd) -> io::Result<()> {
        if !self.is_special() {
            return Ok(());
        }
        let (user, group) = self.owner;
        rustix::fs::fchown(file, user.map(Uid::from_raw), group.map(Gid::from_raw))?;
        let mode = self.mode.unwrap_or_else(|| self.usual & !umask());
        Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?)
    }
}

/// Opens a log path, making the file if it is not there.
pub(super) fn open(path: &Path, making: Making) -> io::Result<(OwnedFd, Kind)> {
    if let Some(number) = standard_number(path) {
        return open_standard(number);
    }
    let file = match open_unfollowed(path, making, LINKS_MAX)? {
        Opened::File(file) => file,
        Opened::Standard(number) => return open_standard(number),
    };
    let kind = match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile => Kind::Regular,
        FileType::Fifo => Kind::Fifo,
        _ => Kind::Plain,
    };
    Ok((file, kind))
}

/// The target of a stream without a file.
pub(super) fn open_null() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        "/dev/null",
        OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// Opens standard output (1) or standard error (2) of the daemon.
pub(super) fn open_standard(number: u8) -> io::Result<(OwnedFd, Kind)> {
    let own = if number == 1 {
        rustix::stdio::stdout()
    } else {
        rustix::stdio::stderr()
    };
    let kind = match FileType::from_raw_mode(rustix::fs::fstat(own)?.st_mode) {
        FileType::RegularFile => Kind::Plain,
        FileType::Socket => Kind::Socket,
        other => {
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let fifo = other == FileType::Fifo;
            // Refused after a change of user, for the descriptor belongs to another one.
            match rustix::fs::open(format!("/proc/self/fd/{number}"), flags, Mode::empty()) {
                Ok(file) => return Ok((file, if fifo { Kind::Fifo } else { Kind::Plain })),
                Err(_) if fifo => Kind::Fifo,
                Err(_) => Kind::Polled,
            }
        }
    };
    Ok((rustix::io::fcntl_dupfd_cloexec(own, 3)?, kind))
}

/// What matters of an open file whenever it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Extent {
    pub inode: u64,
    pub size: u64,
    /// It has no name any more.
    pub is_deleted: bool,
}

/// Looks at an open file without asking for its times: the kernel gives a file exact times, which
/// costs as much as the write of a line, whenever somebody has looked at them since the last write.
pub(super) fn extent(file: &OwnedFd) -> io::Result<Extent> {
    let mask = StatxFlags::SIZE | StatxFlags::NLINK | StatxFlags::INO;
    match rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, mask) {
        Ok(found) => Ok(Extent {
            inode: found.stx_ino,
            size: found.stx_size,
            is_deleted: found.stx_nlink == 0,
        }),
        // A sandbox may know fstat alone.
        Err(_) => {
            let found = rustix::fs::fstat(file)?;
            Ok(Extent {
                inode: found.st_ino,
                size: found.st_size.unsigned_abs(),
                is_deleted: found.st_nlink == 0,
            })
        }
    }
}

/// Writes some bytes; `WouldBlock` where that would mean waiting for a reader.
pub(super) fn write(target: &OwnedFd, kind: Kind, bytes: &[u8], offset: u64) -> io::Result<usize> {
    let written = retry_on_intr(|| match kind {
        Kind::Regular => rustix::io::pwrite(target, bytes, offset),
        Kind::Socket => rustix::net::send(target, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
        Kind::Plain | Kind::Null => rustix::io::write(target, bytes),
        Kind::Fifo | Kind::Polled => {
            let mut poll = [PollFd::new(target, PollFlags::OUT)];
            rustix::event::poll(&mut poll, Some(&Default::default()))?;
            if poll[0].revents().is_empty() {
                return Err(Errno::AGAIN);
            }
            rustix::io::write(target, &bytes[..bytes.len().min(POLLED_MAX)])
        }
    })?;
    if written == 0 && !bytes.is_empty() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(written)
}

/// The last byte of a file of this size, which is open for writing only; a newline if it cannot be
/// read.
pub(super) fn last_byte(file: &OwnedFd, size: u64) -> u8 {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut last = [b'\n'];
    if let Ok(readable) = rustix::fs::open(own, flags, Mode::empty()) {
        let _ = retry_on_intr(|| rustix::io::pread(&readable, &mut last, size.saturating_sub(1)));
    }
    last[0]
}

/// The names by which the daemon's own output is asked for.
fn standard_number(path: &Path) -> Option<u8> {
    match path.to_str()? {
        "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" => Some(1),
        "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" => Some(2),
        _ => None,
    }
}

/// Opens without following a symbolic link in the last component, unless its owner could as well
/// have written the log himself: root, or the user the daemon runs as. A log directory that
/// others can write to would else let them point our writes (as root, often) anywhere.
fn open_unfollowed(path: &Path, making: Making, links: u32) -> io::Result<Opened> {
    let flags =
        OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => Ok(Opened::File(file)),
        Err(Errno::NOENT) => {
            let flags = flags | OFlags::CREATE | OFlags::EXCL;
            let mode = Mode::from_raw_mode(making.first_mode());
            match rustix::fs::open(path, flags, mode) {
                // Made by somebody else meanwhile.
                Err(Errno::EXIST) if links > 0 => open_unfollowed(path, making, links - 1),
                Err(error) => Err(error.into()),
                Ok(file) => {
                    making.settle(&file).inspect_err(|_| {
                        let _ = std::fs::remove_file(path);
                    })?;
                    Ok(Opened::File(file))
                }
            }
        }
        Err(Errno::LOOP) if links > 0 => {
            let target = link_target(path)?;
            match standard_number(&target) {
                Some(number) => Ok(Opened::Standard(number)),
                None => open_unfollowed(&target, making, links - 1),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// The mask of the process, which can only be read by setting it.
fn umask() -> u32 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("Umask:"))?;
            u32::from_str_radix(line.trim(), 8).ok()
        })
        .unwrap_or(0o022)
}

/// What a path with links leads to.
enum Opened {
    File(OwnedFd),
    /// The daemon's own descriptor of this number.
    Standard(u8),
}

/// Where a trusted link leads. The link itself is held open, so that what was checked is read.
fn link_target(path: &Path) -> io::Result<PathBuf> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let link = rustix::fs::open(path, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&link)?;
    if stat.st_uid != 0 && stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "is a symbolic link of user {}, which is not followed",
                stat.st_uid
            ),
        ));
    }
    let target = rustix::fs::readlinkat(&link, "", Vec::new())?;
    let target = Path::new(OsStr::from_bytes(target.as_bytes()));
    Ok(path.parent().unwrap_or(Path::new("")).join(target))
}

/// What a path leads to now.
pub(super) fn stat_path(path: &Path) -> io::Result<Stat> {
    Ok(rustix::fs::statat(rustix::fs::CWD, path, AtFlags::empty())?)
}
