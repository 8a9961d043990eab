//! A program on a terminal of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A program, the other end of its terminal, and what it showed there.
pub struct Terminal {
    pub child: Child,
    master: File,
    /// Everything that was shown.
    pub shown: String,
    /// Up to where that was waited for.
    seen: usize,
}

impl Terminal {
    /// Runs a command on a terminal that calls itself `term`.
    pub fn run(mut command: Command, term: &str) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().unwrap())
            .unwrap();
        let end = || Stdio::from(OwnedFd::from(slave.try_clone().unwrap()));
        command.stdin(end()).stdout(end()).stderr(end());
        command.env("TERM", term);
        let child = command.spawn().unwrap();
        Terminal {
            child,
            master: File::from(master),
            shown: String::new(),
            seen: 0,
        }
    }

    pub fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until this text was shown after the last one waited for.
    pub fn wait_for(&mut self, text: &str) {
        while !self.shown[self.seen..].contains(text) {
            assert!(self.read(), "no {text:?} in {:?}", self.shown);
        }
        let behind = &self.shown[self.seen..];
        self.seen += behind.find(text).unwrap() + text.len();
    }

    /// Waits until the program has ended; its exit code.
    pub fn wait_end(&mut self) -> i32 {
        while self.read() {}
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// Reads what comes next; false at the end.
    fn read(&mut self) -> bool {
        let mut piece = [0; 4096];
        let mut waited = [PollFd::new(&self.master, PollFlags::IN)];
        let patience = Timespec {
            tv_sec: 20,
            tv_nsec: 0,
        };
        let ready = poll(&mut waited, Some(&patience)).unwrap();
        assert_ne!(ready, 0, "no more in time than {:?}", self.shown);
        let count = self.master.read(&mut piece).unwrap_or(0);
        let text = String::from_utf8_lossy(&piece[..count]);
        self.shown.push_str(&text);
        count > 0
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
