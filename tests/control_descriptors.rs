//! What the front door does when descriptors run out. A process of its own, for it lowers the
//! limit of descriptors.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod control_support;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use control_support::{Client, Daemon, PATIENCE};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap()
}

#[test]
fn without_descriptors_clients_wait_and_nothing_spins() {
    let daemon = Daemon::start();
    // The runtime has opened by now what it needs.
    assert_eq!(daemon.client().ask("version"), ["- 0.1.0", "ok"]);

    let socket: OwnedFd =
        rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    let limit = getrlimit(Resource::Nofile);
    // No new descriptor can be opened, for every number below is taken or above the limit.
    let full = Rlimit {
        current: Some(0),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, full).unwrap();
    rustix::net::connect(&socket, &SocketAddrUnix::new(daemon.socket()).unwrap()).unwrap();
    let mut stream = UnixStream::from(socket);
    stream.write_all(b"version\n").unwrap();

    let before = cpu_time();
    stream
        .set_read_timeout(Some(Duration::from_millis(1000)))
        .unwrap();
    let waited = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(
        waited.kind(),
        ErrorKind::WouldBlock,
        "served on descriptor {}?",
        stream.as_raw_fd()
    );
    let spent = cpu_time() - before;
    assert!(spent < Duration::from_millis(200), "spun for {spent:?}");

    setrlimit(Resource::Nofile, limit).unwrap();
    assert_eq!(Client::of(stream).answer(), ["- 0.1.0", "ok"]);
    assert_eq!(daemon.client().ask("version"), ["- 0.1.0", "ok"]);

    // Others have taken all there are: a few clients are served all the same, one after the other.
    let low = Rlimit {
        current: Some(200),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, low).unwrap();
    let sockets: Vec<OwnedFd> = (0..3)
        .map(|_| rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap())
        .collect();
    let mut taken = Vec::new();
    for socket in sockets {
        // A copy of it, for a client reads and writes.
        let copy = socket.try_clone().unwrap();
        while let Ok(null) = File::open("/dev/null") {
            taken.push(null);
        }
        rustix::net::connect(&socket, &SocketAddrUnix::new(daemon.socket()).unwrap()).unwrap();
        let (stream, mut writer) = (UnixStream::from(socket), UnixStream::from(copy));
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        writer.write_all(b"version\nquit\n").unwrap();
        let mut answer = String::new();
        (&stream).read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "- 0.1.0\nok\nok\n");
    }
    setrlimit(Resource::Nofile, limit).unwrap();
}
