//! Responses in every form and in any pieces, and URLs.

use std::io::Write;
use std::os::unix::net::UnixStream;

use super::*;

/// A response read from a server that sends these bytes in pieces of this size and closes.
fn read(bytes: &[u8], size: usize) -> Result<(u16, bool, Vec<u8>), Lost> {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let mut wire = Wire {
        socket: Socket::Unix(ours),
        received: Vec::new(),
        interrupts: None,
    };
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || {
        for piece in bytes.chunks(size) {
            theirs.write_all(piece).unwrap();
        }
    });
    let result = wire.response(None).and_then(|(head, mut body)| {
        let mut whole = Vec::new();
        while let Some(piece) = body.next(&mut wire, None)? {
            whole.extend(piece);
        }
        Ok((head.status, head.keeps_alive, whole))
    });
    drop(wire);
    let _ = writer.join();
    result
}

#[test]
fn bodies_of_every_kind_in_any_pieces() {
    type Expected<'a> = (u16, bool, &'a [u8]);
    let table: &[(&[u8], Expected<'_>)] = &[
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            (200, true, b"hello"),
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: close\r\n\r\n",
            (200, false, b""),
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x\r\nlo\r\n0\r\n\r\n",
            (200, true, b"hello"),
        ),
        (
            b"HTTP/1.0 404 Not Found\r\n\r\nno such thing",
            (404, false, b"no such thing"),
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            (204, true, b""),
        ),
    ];
    for (bytes, (status, keeps_alive, body)) in table {
        for size in [1, 2, 7, 1000] {
            let read = read(bytes, size).unwrap();
            assert_eq!(read, (*status, *keeps_alive, body.to_vec()));
        }
    }
}

#[test]
fn what_is_no_response_is_an_error() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"- appctl protocol=1\r\n\r\n",
        b"HTTP/1.1 200",
        b"",
    ] {
        assert!(read(bytes, 1000).is_err(), "{bytes:?}");
    }
}

#[test]
fn urls_name_hosts_and_ports() {
    let table = [
        ("http://localhost:9001", Some(("localhost", 9001))),
        ("http://localhost:9001/RPC2", Some(("localhost", 9001))),
        ("http://user:pass@host", Some(("host", 80))),
        ("http://[::1]:9001", Some(("::1", 9001))),
        ("http://[::1]", Some(("::1", 80))),
        ("http://host:x", None),
        ("ftp://host", None),
    ];
    for (url, expected) in table {
        assert_eq!(host_and_port(url), expected, "{url}");
    }
}
