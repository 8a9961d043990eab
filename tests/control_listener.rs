//! The lock and the socket file: who gets them, with what mode, and what is left alone.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;

use appctl::control::listener::{ListenError, bind_unix, lock_instance, lock_path};

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_socket_has_exactly_the_mode_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o600, 0o660, 0o700, 0o770, 0o666, 0o777] {
        let path = folder.path().join(format!("socket-{mode:o}"));
        let socket = bind_unix(&path, mode, (None, None)).unwrap();
        assert_eq!(mode_of(&path), mode, "{mode:o}");
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
        UnixStream::connect(&path).unwrap();
        drop(socket);
    }
}

#[test]
fn the_socket_has_the_owner_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let own = fs::metadata(folder.path()).unwrap();
    // Only root may give things away.
    let (uid, gid) = if own.uid() == 0 {
        (12_345, 54_321)
    } else {
        (own.uid(), own.gid())
    };
    let _socket = bind_unix(&path, 0o660, (Some(uid), Some(gid))).unwrap();
    let about = fs::symlink_metadata(&path).unwrap();
    assert_eq!(
        (about.uid(), about.gid(), mode_of(&path)),
        (uid, gid, 0o660)
    );
}

#[test]
fn a_stale_socket_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    drop(UnixListener::bind(&path).unwrap());

    assert!(UnixStream::connect(&path).is_err());
    let _socket = bind_unix(&path, 0o600, (None, None)).unwrap();
    UnixStream::connect(&path).unwrap();
}

#[test]
fn what_is_not_a_stale_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), "precious").unwrap();
    fs::create_dir(at("folder")).unwrap();
    symlink(at("file"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    for name in ["file", "folder", "link", "dangling"] {
        let error = bind_unix(&at(name), 0o600, (None, None)).unwrap_err();
        assert!(
            matches!(error, ListenError::Occupied { .. }),
            "{name}: {error}"
        );
        assert!(fs::symlink_metadata(at(name)).is_ok(), "{name} is gone");
    }
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "precious");

    let _datagrams = UnixDatagram::bind(at("datagrams")).unwrap();
    assert!(bind_unix(&at("datagrams"), 0o600, (None, None)).is_err());
    assert!(fs::symlink_metadata(at("datagrams")).is_ok());
}

#[test]
fn a_socket_that_answers_belongs_to_somebody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    let error = bind_unix(&path, 0o600, (None, None))
        .unwrap_err()
        .to_string();
    let pid = std::process::id();
    assert_eq!(
        error,
        format!("{}: already running, pid {pid}", path.display())
    );
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_second_daemon_is_refused_by_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let lock = lock_instance(&path).unwrap();
    assert_eq!(mode_of(&lock_path(&path)), 0o600);
    let pid = std::process::id();
    let error = lock_instance(&path).unwrap_err();
    assert!(
        matches!(&error, ListenError::AlreadyRunning { pid: Some(told), .. } if *told == pid as i32),
        "{error}"
    );
    drop(lock);
    // Written over, not added to.
    let _lock = lock_instance(&path).unwrap();
    assert_eq!(
        fs::read_to_string(lock_path(&path)).unwrap(),
        format!("{pid}\n")
    );
}

#[test]
fn a_lock_file_that_is_none_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("precious"), "precious").unwrap();
    symlink(at("precious"), at("a.lock")).unwrap();
    fs::hard_link(at("precious"), at("b.lock")).unwrap();
    let fifo = at("c.lock");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
    for name in ["a", "b", "c"] {
        let error = lock_instance(&at(name)).unwrap_err();
        assert!(
            matches!(error, ListenError::Occupied { .. }),
            "{name}: {error}"
        );
    }
    fs::create_dir(at("d.lock")).unwrap();
    assert!(lock_instance(&at("d")).is_err());
    assert_eq!(fs::read_to_string(at("precious")).unwrap(), "precious");
}

#[test]
fn paths_that_cannot_be_used_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("x".repeat(108));
    let error = bind_unix(&long, 0o600, (None, None))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("too long for a socket path; at most 107 fit"),
        "{error}"
    );
    let prefix = folder.path().as_os_str().len() + 1;
    let longest = folder.path().join("x".repeat(107 - prefix));
    let _socket = bind_unix(&longest, 0o600, (None, None)).unwrap();

    let missing = folder.path().join("missing/socket");
    let error = bind_unix(&missing, 0o600, (None, None))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("missing/socket: binding: No such file"),
        "{error}"
    );
    let error = lock_instance(&missing).unwrap_err().to_string();
    assert!(
        error.contains("missing/socket.lock: opening the lock file: No such"),
        "{error}"
    );
    assert!(bind_unix(Path::new(""), 0o600, (None, None)).is_err());
}
