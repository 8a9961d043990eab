//! HTTP: what XML-RPC costs with many programs, and what open pages cost.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::stage::{Peer, Stage};

/// Open pages.
pub const TABS: usize = 200;

/// One call of XML-RPC, with its whole answer.
pub fn call(socket: &Path, method: &str) -> Duration {
    call_with(socket, method, "")
}

/// The same with an argument, a `<value>`.
pub fn call_with(socket: &Path, method: &str, value: &str) -> Duration {
    let parameter = match value {
        "" => String::new(),
        value => format!("<params><param>{value}</param></params>"),
    };
    let body = format!("<methodCall><methodName>{method}</methodName>{parameter}</methodCall>");
    let request = format!(
        "POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let began = Instant::now();
    let answer = exchange(socket, &request);
    assert!(answer.contains("</methodResponse>"), "a whole answer");
    began.elapsed()
}

fn exchange(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("a listening socket");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// What open pages cost.
pub struct Cost {
    /// 99 of 100 requests of the line protocol were answered within this time.
    pub p99: Duration,
    /// How much the daemon grew for each page, in KiB.
    pub growth: f64,
    /// From a request to stop a process until the last page was told.
    pub told: Duration,
}

/// Opens pages, and asks the daemon other things for so long.
pub fn pages(time: Duration) -> Cost {
    let stage = Stage::open(Peer::Appctl, 100, "").expect("ours is there");
    stage.settle();
    let before = stage.pss_kilobytes();
    let mut pages: Vec<UnixStream> = (0..TABS)
        .map(|_| {
            let mut page = UnixStream::connect(stage.socket()).expect("a listening socket");
            page.write_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .expect("a request");
            page
        })
        .collect();
    for page in &mut pages {
        read_until(page, "event: snapshot");
        page.set_nonblocking(true).expect("a socket");
    }
    let mut times = Vec::new();
    let end = Instant::now() + time;
    while Instant::now() < end {
        let began = Instant::now();
        exchange(&stage.socket(), "status\nquit\n");
        times.push(began.elapsed());
        // A page that reads nothing would be let go.
        for page in &mut pages {
            while page.read(&mut [0; 65536]).is_ok_and(|count| count > 0) {}
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let growth = stage.pss_kilobytes().saturating_sub(before) as f64 / TABS as f64;
    times.sort_unstable();
    for page in &pages {
        page.set_nonblocking(false).expect("a socket");
    }
    let began = Instant::now();
    exchange(&stage.socket(), "stop --no-wait p0\nquit\n");
    for page in &mut pages {
        read_until(page, "\"state\":\"STOP");
    }
    Cost {
        p99: times[times.len() * 99 / 100],
        growth,
        told: began.elapsed(),
    }
}

fn read_until(stream: &mut UnixStream, text: &str) {
    let mut all = String::new();
    let mut piece = [0; 65536];
    while !all.contains(text) {
        let count = stream.read(&mut piece).expect("a stream that goes on");
        assert!(count > 0, "the stream ended");
        all.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
}
