//! Tests of the places where a stream goes beside its file.

use super::*;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;

fn outlets(destination: Destination) -> Outlets {
    Outlets::new(&[OutletConfig {
        destination,
        file: LogFileConfig {
            maxbytes: 10,
            backups: 2,
            ..LogFileConfig::UNLIMITED
        },
        style: SyslogStyle::default(),
        origin: Origin {
            name: "web".into(),
            process: "web".into(),
            stream: "stdout",
            pid: 7,
        },
    }])
}

fn later(now: Now, time: Duration) -> Now {
    Now {
        instant: now.instant + time,
        ..now
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_syslog_that_comes_back_gets_what_waited() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut outlets = outlets(Destination::Syslog(Some(path.clone())));
    let now = Now::read();
    outlets.offer(b"one\ntwo\n", b"", now);
    let told = outlets.flush(now);
    assert!(matches!(told, Some(OutletNews::Troubled(text)) if text.contains("No such file")));
    let listener = UnixDatagram::bind(&path).unwrap();
    assert_eq!(outlets.flush(now), None, "it is not time yet");
    let now = later(now, Duration::from_secs(1));
    assert_eq!(outlets.flush(now), Some(OutletNews::Recovered));
    let mut bytes = [0; 100];
    for line in ["one", "two"] {
        let count = listener.recv(&mut bytes).unwrap();
        assert!(text(&bytes[..count]).ends_with(&format!(" supervisord[7]: web {line}")));
    }
    assert_eq!(outlets.due, None);
}

#[test]
fn what_a_slow_peer_does_not_take_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let listener = UnixDatagram::bind(&path).unwrap();
    let mut outlets = outlets(Destination::Journal(Some(path)));
    let mut now = Now::read();
    let mut offered = 0;
    for _ in 0..100 {
        for _ in 0..100 {
            outlets.offer(format!("{offered}\n").as_bytes(), b"", now);
            offered += 1;
        }
        assert_eq!(outlets.flush(now), None);
        assert!(outlets.list[0].bytes <= WAITING_MAX);
    }
    assert!(outlets.list[0].dropped > 0);
    let (mut seen, mut missing) = (0, 0);
    listener.set_nonblocking(true).unwrap();
    let mut bytes = [0; 1000];
    while seen + missing < offered {
        now = later(now, PAUSE);
        outlets.flush(now);
        while let Ok(count) = listener.recv(&mut bytes) {
            let message = text(&bytes[..count]);
            let line = message.split("MESSAGE=").nth(1).unwrap().trim_end();
            match line.strip_prefix("appctl: ") {
                None => seen += 1,
                Some(marker) => {
                    missing += marker.split(' ').next().unwrap().parse::<u32>().unwrap();
                }
            }
        }
    }
    assert_eq!(seen + missing, offered);
}

#[test]
fn udp_and_tcp() {
    let now = Now::read();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = udp.local_addr().unwrap().to_string();
    let mut to_udp = outlets(Destination::Udp(address));
    to_udp.offer(b"one\n", b"", now);
    assert_eq!(to_udp.flush(now), None);
    let mut bytes = [0; 1000];
    let count = udp.recv(&mut bytes).unwrap();
    assert!(text(&bytes[..count]).starts_with("<14>1 20"));
    assert!(text(&bytes[..count]).ends_with(" web - stdout - one"));

    let tcp = TcpListener::bind("localhost:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let mut to_tcp = outlets(Destination::Tcp(format!("localhost:{port}")));
    let mut now = now;
    let mut read = Vec::new();
    for line in ["one\n", "two\n"] {
        to_tcp.offer(line.as_bytes(), b"", now);
    }
    // The name is looked up and the connection made meanwhile.
    while !to_tcp.list[0].waiting.is_empty() {
        now = later(now, PAUSE);
        to_tcp.flush(now);
        std::thread::yield_now();
    }
    drop(to_tcp);
    tcp.accept().unwrap().0.read_to_end(&mut read).unwrap();
    let all = text(&read);
    let (length, rest) = all.split_once(' ').unwrap();
    let (first, second) = rest.split_at(length.parse().unwrap());
    assert!(first.ends_with(" one") && second.ends_with(" two"), "{all}");
}

#[test]
fn a_second_file_gets_lines_as_they_are_written_and_is_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy");
    let mut outlets = outlets(Destination::Path(path.clone()));
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name));
    let now = Now::read();
    assert_eq!((outlets.due.is_some(), outlets.flush(now)), (true, None));
    assert_eq!(text("copy").unwrap(), "", "it is there from the beginning");
    outlets.offer(b"plain\n", b"formed\nmore\nlast", now);
    assert_eq!(outlets.flush(now), None);
    assert_eq!(text("copy.1").unwrap(), "formed\nmore\n");
    assert_eq!(text("copy").unwrap(), "last");
    outlets.rotate_soon(true, now);
    assert_eq!(outlets.flush(now), None);
    assert_eq!(text("copy").unwrap(), "last", "its line has not ended");
    outlets.offer(b"", b"\nnew\n", now);
    assert_eq!(outlets.flush(now), None);
    assert_eq!(text("copy.2").unwrap(), "formed\nmore\n");
    assert_eq!(text("copy.1").unwrap(), "last\n");
    assert_eq!(text("copy").unwrap(), "new\n");
    assert_eq!(outlets.take_grown(), 21);
    std::fs::remove_file(folder.path().join("copy.1")).unwrap();
    std::fs::remove_file(folder.path().join("copy.2")).unwrap();
    for name in ["copy.1", "copy.2"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    outlets.rotate_soon(true, now);
    let told = outlets.flush(now);
    assert!(matches!(told, Some(OutletNews::Troubled(text)) if text.contains("cannot rotate")));
}
