//! The listening sockets and the lock of the instance. Plain blocking code for the boot phase.
//!
//! The lock decides who is the daemon of a socket path; the socket file only shows where it
//! listens. A socket is removed only by the holder of the lock, only if it is a socket, and only
//! if nobody answers on it.
//!
//! Must never: unlink anything that is not a socket, follow a symbolic link, widen a mode.

use std::fmt;
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::launch;

/// Connections the kernel holds for us until they are accepted.
const BACKLOG: i32 = 128;

/// Longest path of a unix socket on Linux, in bytes (unix(7): 108 with the final NUL).
const SOCKET_PATH_MAX: usize = 107;

/// Longest text in a lock file that is looked at.
const LOCK_TEXT_MAX: u64 = 32;

/// Owner and group ids to set; `None` leaves that one.
pub type Owner = (Option<u32>, Option<u32>);

/// Why there is no lock or no socket.
#[derive(Debug)]
pub enum ListenError {
    /// Another daemon holds the lock, or answers on the socket.
    AlreadyRunning {
        /// The socket or lock file.
        path: PathBuf,
        /// Its process id, if it can be known.
        pid: Option<i32>,
    },
    /// The path does not fit into a socket address.
    PathTooLong(PathBuf),
    /// There is something else at that path, and it is left alone.
    Occupied {
        /// The path.
        path: PathBuf,
        /// What is expected there.
        expected: &'static str,
    },
    /// The system refuses.
    System {
        /// What was being done.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenError::AlreadyRunning { path, pid: None } => {
                write!(f, "{}: already running", path.display())
            }
            ListenError::AlreadyRunning {
                path,
                pid: Some(pid),
            } => write!(f, "{}: already running, pid {pid}", path.display()),
            ListenError::PathTooLong(path) => write!(
                f,
                "{}: {} bytes are too long for a socket path; at most {SOCKET_PATH_MAX} fit",
                path.display(),
                path.as_os_str().len()
            ),
            ListenError::Occupied { path, expected } => write!(
                f,
                "{}: this is not {expected} and is left alone; remove it or choose another path",
                path.display()
            ),
            ListenError::System { doing, path, error } => {
                write!(f, "{}: {doing}: {error}", path.display())
            }
        }
    }
}

impl std::error::Error for ListenError {}

/// The lock file that belongs to a socket: `<socket>.lock`.
pub fn lock_path(socket: &Path) -> PathBuf {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

/// The socket beside it on which a daemon finds what a killed one left: `<socket>.holder`.
pub fn holder_path(socket: &Path) -> PathBuf {
    let mut path = socket.as_os_str().to_owned();
    path.push(".holder");
    path.into()
}

/// Takes the lock of the instance that listens on `socket` and writes our pid into it. It is held
/// as long as the descriptor is open, in whatever process. The file stays when the lock goes:
/// removing it would let two daemons lock two files of one name.
pub fn lock_instance(socket: &Path) -> Result<OwnedFd, ListenError> {
    let path = lock_path(socket);
    let system = |doing| {
        let path = path.clone();
        move |error: io::Error| ListenError::System { doing, path, error }
    };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(&path);
    let mut file = match opened {
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            return Err(not_a_lock(path));
        }
        opened => opened.map_err(system("opening the lock file"))?,
    };
    // A second name would be somebody's way to make us write into a file of theirs.
    let about = file
        .metadata()
        .map_err(system("looking at the lock file"))?;
    if !about.is_file() || about.nlink() > 1 {
        return Err(not_a_lock(path));
    }
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let pid = read_pid(&mut file);
            return Err(ListenError::AlreadyRunning { path, pid });
        }
        Err(error) => return Err(system("locking")(error.into())),
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(system("writing our pid"))?;
    Ok(file.into())
}

fn not_a_lock(path: PathBuf) -> ListenError {
    let expected = "a lock file of ours";
    ListenError::Occupied { path, expected }
}

fn read_pid(file: &mut fs::File) -> Option<i32> {
    let mut text = String::new();
    file.take(LOCK_TEXT_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 0)
}

/// Makes a listening socket at `path` with exactly these permission bits and owner, in place of a
/// stale one. Call it with the lock held.
///
/// Nobody can use it with other rights at any moment: the socket is born with no more bits than
/// `mode`, for it takes them from its descriptor; and until `listen`, which comes last, connecting
/// to it is refused.
pub fn bind_unix(path: &Path, mode: u32, owner: Owner) -> Result<OwnedFd, ListenError> {
    bind(path, mode, owner, SocketType::STREAM)
}

/// The same for packets, and for nobody but us.
pub fn bind_packets(path: &Path) -> Result<OwnedFd, ListenError> {
    bind(path, 0o600, (None, None), SocketType::SEQPACKET)
}

fn bind(path: &Path, mode: u32, owner: Owner, of_type: SocketType) -> Result<OwnedFd, ListenError> {
    let address = address(path)?;
    remove_stale(path, &address, of_type)?;
    let system = |doing| {
        let path = path.to_owned();
        move |error: Errno| ListenError::System {
            doing,
            path,
            error: error.into(),
        }
    };
    let socket = socket(of_type).map_err(system("making a socket"))?;
    rustix::fs::fchmod(&socket, bits(mode)).map_err(system("setting the mode"))?;
    rustix::net::bind(&socket, &address).map_err(system("binding"))?;
    let ready = give_rights(path, mode, owner)
        .map_err(system("setting owner and mode"))
        .and_then(|()| {
            rustix::net::listen(&socket, BACKLOG).map_err(system("listening on the socket"))
        });
    if let Err(error) = ready {
        // It is ours, it was bound a moment ago; left here it would only be in the way.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(socket)
}

/// Whether somebody listens on this unix socket.
pub fn is_served(path: &Path) -> bool {
    let (Ok(address), Ok(probe)) = (address(path), socket(SocketType::STREAM)) else {
        return false;
    };
    // A queue that is full is somebody's.
    matches!(
        rustix::net::connect(&probe, &address),
        Ok(()) | Err(Errno::AGAIN)
    )
}

fn address(path: &Path) -> Result<SocketAddrUnix, ListenError> {
    let system = |error: Errno| ListenError::System {
        doing: "using it as a socket path",
        path: path.to_owned(),
        error: error.into(),
    };
    if path.as_os_str().len() > SOCKET_PATH_MAX {
        return Err(ListenError::PathTooLong(path.to_owned()));
    }
    if path.as_os_str().is_empty() {
        return Err(system(Errno::INVAL));
    }
    SocketAddrUnix::new(path).map_err(system)
}

fn socket(of_type: SocketType) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, of_type, flags, None)
}

fn bits(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o777)
}

/// Gives a socket of ours this owner, then exactly these permission bits.
pub fn give_rights(path: &Path, mode: u32, (uid, gid): Owner) -> rustix::io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Gid, Uid};
    if uid.is_some() || gid.is_some() {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        rustix::fs::chownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    let now = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?;
    if bits(now.st_mode) != bits(mode) {
        rustix::fs::chmod(path, bits(mode))?;
    }
    Ok(())
}

/// Removes the socket of a daemon that is gone. One that answers is left alone, and so is
/// everything that is not a socket.
fn remove_stale(
    path: &Path,
    address: &SocketAddrUnix,
    of_type: SocketType,
) -> Result<(), ListenError> {
    let system = |doing, error: io::Error| ListenError::System {
        doing,
        path: path.to_owned(),
        error,
    };
    let before = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(|error| system("looking at the path", error))?,
    };
    if !before.file_type().is_socket() {
        return Err(ListenError::Occupied {
            path: path.to_owned(),
            expected: "a socket",
        });
    }
    let probe = socket(of_type).map_err(|error| system("making a socket", error.into()))?;
    match rustix::net::connect(&probe, address) {
        Ok(()) => {
            return Err(ListenError::AlreadyRunning {
                path: path.to_owned(),
                pid: launch::peer_of(&probe)
                    .ok()
                    .map(|peer| peer.pid)
                    .filter(|pid| *pid != 0),
            });
        }
        // Its queue is full, so somebody listens.
        Err(Errno::AGAIN) => {
            return Err(ListenError::AlreadyRunning {
                path: path.to_owned(),
                pid: None,
            });
        }
        Err(Errno::CONNREFUSED) => {}
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(system("asking who listens there", error.into())),
    }
    let still = fs::symlink_metadata(path).map_err(|error| system("looking at the path", error))?;
    if (still.dev(), still.ino()) != (before.dev(), before.ino()) {
        return Err(ListenError::AlreadyRunning {
            path: path.to_owned(),
            pid: None,
        });
    }
    fs::remove_file(path).map_err(|error| system("removing the stale socket", error))
}
