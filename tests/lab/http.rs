//! HTTP as any client can speak it, written by hand: a test that shared the daemon's library would
//! share its mistakes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU16, Ordering};

use super::{Lab, PATIENCE, wait_for};

/// A whole reply.
#[derive(Debug, Clone)]
pub struct Reply {
    /// 200 and so on; 0 if the server closed the connection without a word.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body, without the marks of chunks.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header, named in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// A connection to a server.
pub trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// A request and, step by step, its reply.
pub struct Http {
    stream: BufReader<Box<dyn Wire>>,
    /// Status line and headers.
    pub head: String,
    chunked: bool,
}

/// A request: `GET /path`, further header lines, a body.
pub fn request(line: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let mut text = format!("{line} HTTP/1.1\r\n");
    if !headers.iter().any(|line| line.starts_with("Host:")) {
        text.push_str("Host: localhost\r\n");
    }
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    if !line.starts_with("GET") {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("Connection: close\r\n\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

impl Http {
    /// Sends bytes and reads the head of the reply.
    pub fn send(stream: impl Wire + 'static, bytes: &[u8]) -> Http {
        let mut http = Http {
            stream: BufReader::new(Box::new(stream)),
            head: String::new(),
            chunked: false,
        };
        // A server that refuses may hang up before it has read everything.
        let _ = http.stream.get_mut().write_all(bytes);
        let mut line = Vec::new();
        while http.stream.read_until(b'\n', &mut line).unwrap_or(0) > 2 {
            http.head.push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
        http.chunked = header(&http.head, "transfer-encoding") == Some("chunked");
        http
    }

    /// The status; 0 if there was no reply.
    pub fn status(&self) -> u16 {
        let code = self.head.split(' ').nth(1);
        code.and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// What comes next of the body; empty at its end.
    pub fn piece(&mut self) -> Vec<u8> {
        if !self.chunked {
            let buffer = self.stream.fill_buf().unwrap_or_default().to_vec();
            self.stream.consume(buffer.len());
            return buffer;
        }
        let mut size = String::new();
        if self.stream.read_line(&mut size).unwrap_or(0) == 0 {
            return Vec::new();
        }
        let size = usize::from_str_radix(size.trim(), 16).expect("the size of a chunk");
        let mut bytes = vec![0; size + 2];
        self.stream.read_exact(&mut bytes).expect("a whole chunk");
        bytes.truncate(size);
        bytes
    }

    /// Reads the body until it holds this text; everything read so far.
    #[track_caller]
    pub fn until(&mut self, text: &str) -> String {
        let mut all = Vec::new();
        loop {
            let piece = self.piece();
            all.extend_from_slice(&piece);
            let read = String::from_utf8_lossy(&all).into_owned();
            if read.contains(text) {
                return read;
            }
            assert!(
                !piece.is_empty(),
                "the stream ended before {text:?}: {read}"
            );
        }
    }

    /// Reads to the end.
    pub fn whole(mut self) -> Reply {
        let mut body = Vec::new();
        loop {
            let piece = self.piece();
            if piece.is_empty() {
                break;
            }
            body.extend_from_slice(&piece);
        }
        Reply {
            status: self.status(),
            head: self.head,
            body,
        }
    }
}

/// A connection to the lab's unix socket.
pub fn unix(lab: &Lab) -> UnixStream {
    let stream = UnixStream::connect(lab.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A connection to a port of this machine, as soon as somebody listens.
pub fn tcp(host: &str, port: u16) -> TcpStream {
    let stream = wait_for("a listening port", || TcpStream::connect((host, port)).ok());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Asks the lab's unix socket.
pub fn ask(lab: &Lab, line: &str, headers: &[&str], body: &str) -> Reply {
    Http::send(unix(lab), &request(line, headers, body.as_bytes())).whole()
}

/// Asks the lab's unix socket for a path.
pub fn get(lab: &Lab, path: &str) -> Reply {
    ask(lab, &format!("GET {path}"), &[], "")
}

/// A port where nobody listens, and that nobody is given: below those that the kernel gives to
/// whoever asks for any, and each time another one.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run at the same time begin at different places.
    let begin = (std::process::id() % 200) as u16 * 100;
    wait_for("a free port", || {
        let next = begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        let port = 10_000 + next;
        TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
    })
}
