//! Lines to the machine's syslog, by datagrams to its local socket. A syslog that is not there or
//! does not read costs the line, never a wait.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Where every syslog daemon listens.
const SOCKET: &str = "/dev/log";

/// Facility `user`, severity `info`: what Supervisor sends every line with.
const PRIORITY: u8 = 8 + 6;

/// A way to the local syslog.
#[derive(Debug)]
pub struct Syslog {
    socket: UnixDatagram,
    path: PathBuf,
    pid: u32,
}

impl Syslog {
    /// To the syslog of this machine, as process `pid`. Nobody needs to listen yet.
    pub fn new(pid: u32) -> io::Result<Syslog> {
        Syslog::to(Path::new(SOCKET), pid)
    }

    fn to(path: &Path, pid: u32) -> io::Result<Syslog> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Syslog {
            socket,
            path: path.to_owned(),
            pid,
        })
    }

    /// Sends a text, line by line.
    pub fn send(&self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            let message = format!("<{PRIORITY}>supervisord[{}]: {line}", self.pid);
            // By path each time: a syslog that was restarted is found again.
            self.socket.send_to(message.as_bytes(), &self.path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_whole_also_after_the_syslog_came_back() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let syslog = Syslog::to(&path, 7).unwrap();
        assert!(syslog.send("nobody").is_err());
        for _ in 0..2 {
            let listener = UnixDatagram::bind(&path).unwrap();
            syslog.send("one\ntwo").unwrap();
            let mut bytes = [0; 64];
            for expected in ["<14>supervisord[7]: one", "<14>supervisord[7]: two"] {
                let count = listener.recv(&mut bytes).unwrap();
                assert_eq!(&bytes[..count], expected.as_bytes());
            }
            std::fs::remove_file(&path).unwrap();
        }
    }
}
