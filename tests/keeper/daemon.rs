//! A daemon under test: a real keeper with brains that are told what to do.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// How long anything may take on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Daemon {
    /// The process started: the keeper, or what wraps it.
    pub child: Child,
    commands: ChildStdin,
    lines: File,
    pending: Vec<u8>,
    /// Pid of the newest brain.
    pub brain: i32,
    /// Pid of the keeper, as the brain sees it.
    pub keeper: i32,
}

impl Daemon {
    /// Starts a daemon; its first brain lives when this returns.
    pub fn start(arguments: &[&str]) -> Daemon {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("boot").args(arguments);
        Daemon::start_by(command)
    }

    /// The same by a command of one's own.
    pub fn start_by(mut command: Command) -> Daemon {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let commands = child.stdin.take().unwrap();
        let lines = std::os::fd::OwnedFd::from(child.stdout.take().unwrap());
        let mut daemon = Daemon {
            child,
            commands,
            lines: lines.into(),
            pending: Vec::new(),
            brain: 0,
            keeper: 0,
        };
        daemon.expect_brain(1);
        daemon
    }

    /// Waits for a brain; the rest of its line is returned.
    pub fn expect_brain(&mut self, incarnation: u32) -> String {
        let line = self.expect(&format!("brain {incarnation} pid "));
        let words: Vec<&str> = line.split(' ').collect();
        self.brain = words[3].parse().unwrap();
        self.keeper = words[5].parse().unwrap();
        words[6..].join(" ")
    }

    pub fn command(&mut self, line: &str) {
        self.commands
            .write_all(format!("{line}\n").as_bytes())
            .unwrap();
    }

    /// A command that the brain survives.
    pub fn ask(&mut self, line: &str) {
        self.command(line);
        let verb = line.split(' ').next().unwrap();
        self.expect(&format!("done {verb}"));
    }

    /// Starts a program through the brain; its pid.
    pub fn start_program(&mut self, script: &str) -> i32 {
        self.command(&format!("start {script}"));
        let line = self.expect("started ");
        self.expect("done start");
        line["started ".len()..].parse().unwrap()
    }

    /// The next line that begins like this; others before it are skipped.
    pub fn expect(&mut self, beginning: &str) -> String {
        let mut skipped = Vec::new();
        loop {
            match self.line() {
                Some(line) if line.starts_with(beginning) => return line,
                Some(line) => skipped.push(line),
                None => panic!("no {beginning:?} in {skipped:?}"),
            }
        }
    }

    /// The next line, whatever it is; `None` at the end.
    pub fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            let mut source = [PollFd::from_borrowed_fd(self.lines.as_fd(), PollFlags::IN)];
            let most = Timespec::try_from(PATIENCE).unwrap();
            if poll(&mut source, Some(&most)).unwrap() == 0 {
                return None;
            }
            let mut buffer = [0; 4096];
            let length = self.lines.read(&mut buffer).unwrap();
            if length == 0 {
                return None;
            }
            self.pending.extend_from_slice(&buffer[..length]);
        }
    }

    /// Kills the brain and waits until the keeper has seen it.
    pub fn kill_brain(&mut self) {
        kill(self.brain, Signal::KILL);
        let brain = self.brain;
        until("the brain is reaped", || !alive(brain));
    }

    pub fn signal_keeper(&self, signal: Signal) {
        kill(self.keeper, signal);
    }

    /// The keeper's exit code; 128 and more: the signal that killed it.
    pub fn exit_code(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let status = self.child.wait().unwrap();
        status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        kill_all_children();
    }
}

/// Kills everything that was left to us, the subreaper of all daemons under test.
fn kill_all_children() {
    loop {
        for pid in children_of(std::process::id().cast_signed()) {
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
        // Until there are no children any more; new ones are left to us while others end.
        match waitpid(None, WaitOptions::empty()) {
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

pub fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

pub fn alive(pid: i32) -> bool {
    fs::exists(format!("/proc/{pid}")).unwrap()
}

/// Pids of all children, zombies included.
pub fn children_of(parent: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let text = text.unwrap_or_default();
    text.split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect()
}

pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
