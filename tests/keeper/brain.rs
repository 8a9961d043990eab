//! A brain that does what it is told on standard input and tells on standard output.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;

use appctl::config::LaunchConfig;
use appctl::fleet::{ExitStatus, ProcessName};
use appctl::keeper::{Duty, FromKeeper, Inheritance, Link, ParkKey};
use appctl::launch::{ChildEnds, Limits, find_started, pipe_inode, spawn};
use async_io::Async;
use futures_lite::future::{block_on, or};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Resource, Signal, getpid, getrlimit, kill_process};

enum Woken {
    Command(String),
    Keeper(FromKeeper),
}

struct Brain {
    link: Option<Link>,
    inheritance: Inheritance,
}

/// One line, in one write.
fn tell(line: &str) {
    let _ = io::stdout().write_all(format!("{line}\n").as_bytes());
    let _ = io::stdout().flush();
}

fn show(status: ExitStatus) -> String {
    match status {
        ExitStatus::Code(code) => format!("code {code}"),
        ExitStatus::Signal { number, .. } => format!("signal {number}"),
        ExitStatus::Unknown => "unknown".to_owned(),
    }
}

pub fn run(link: Link, inheritance: Inheritance) -> ExitCode {
    let keys: Vec<String> = inheritance
        .parked
        .iter()
        .map(|(key, _)| format!("{key:?}"))
        .collect();
    tell(&format!(
        "brain {} pid {} keeper {} parked {} {}",
        inheritance.incarnation,
        std::process::id(),
        inheritance.keeper_pid,
        keys.len(),
        keys.first().map_or("", String::as_str),
    ));
    if inheritance.duty != Duty::default() {
        tell(&format!("duty {:?}", inheritance.duty));
    }
    for record in &inheritance.exits {
        tell(&format!("inherited {} {}", record.pid, show(record.status)));
    }
    let commands = Async::new(io::stdin().as_fd().try_clone_to_owned().unwrap()).unwrap();
    let mut brain = Brain {
        link: Some(link),
        inheritance,
    };
    loop {
        match brain.next(&commands) {
            Woken::Keeper(told) => brain.told(told),
            Woken::Command(line) => {
                if let Some(code) = brain.obey(&line) {
                    return code;
                }
            }
        }
    }
}

/// A byte at a time: what follows the line belongs to the next brain.
async fn line(commands: &Async<OwnedFd>) -> Woken {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        let read = commands
            .read_with(|fd| Ok(rustix::io::read(fd, &mut byte)?))
            .await;
        match (read, byte) {
            (Ok(1), [b'\n']) => break,
            (Ok(1), [byte]) => line.push(byte),
            // The test is gone.
            _ => std::process::exit(99),
        }
    }
    Woken::Command(String::from_utf8_lossy(&line).into_owned())
}

impl Brain {
    fn next(&self, commands: &Async<OwnedFd>) -> Woken {
        block_on(or(line(commands), async {
            match &self.link {
                Some(link) => Woken::Keeper(link.next().await),
                None => std::future::pending().await,
            }
        }))
    }

    fn told(&mut self, told: FromKeeper) {
        match told {
            FromKeeper::Exited(record) => {
                tell(&format!("exited {} {}", record.pid, show(record.status)));
            }
            FromKeeper::Signal(notice) => {
                tell(&format!(
                    "signal {} from {} uid {}",
                    notice.number, notice.pid, notice.uid
                ));
            }
            FromKeeper::NotParked(keys) => tell(&format!("not parked {}", keys.len())),
            FromKeeper::Gone => {
                tell("gone");
                self.link = None;
            }
        }
    }

    fn link(&self) -> &Link {
        self.link.as_ref().unwrap()
    }

    fn obey(&mut self, line: &str) -> Option<ExitCode> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let number = || rest.parse::<i32>().unwrap();
        match verb {
            "ready" => self.link().ready().unwrap(),
            "leave" => self.link().leave(u8::try_from(number()).unwrap()).unwrap(),
            "exit" => return Some(ExitCode::from(u8::try_from(number()).unwrap())),
            "die" => kill_process(getpid(), Signal::KILL).unwrap(),
            // In one go, and more than the keeper reads at once.
            "last-words" => {
                let null = File::open("/dev/null").unwrap();
                for number in 0..100 {
                    let key = ParkKey::Stderr(number);
                    self.link().park(&[(key, null.as_fd())]).unwrap();
                }
                self.park_pipe(77, "last words");
                self.link().ready().unwrap();
                kill_process(getpid(), Signal::KILL).unwrap();
            }
            "hang-up" => self.link = None,
            "signal-keeper" => {
                let keeper = Pid::from_raw(self.inheritance.keeper_pid).unwrap();
                kill_process(keeper, Signal::from_named_raw(number()).unwrap()).unwrap();
            }
            "pipe" => {
                let (key, text) = rest.split_once(' ').unwrap();
                self.park_pipe(key.parse().unwrap(), text);
            }
            "many" => self.park_many(usize::try_from(number()).unwrap()),
            "unpark" => self
                .link()
                .unpark(&[ParkKey::Stdout(rest.parse().unwrap())])
                .unwrap(),
            "read" => self.read(rest.parse().unwrap()),
            "start" => self.start(rest, File::open("/dev/null").unwrap().into()),
            "storm" => self.storm(),
            // It never comes to the end of this turn.
            "turn" => std::mem::forget(self.link().watch().map(|watch| watch.start())),
            "two-turns" => {
                let watch = self.link().watch().unwrap();
                watch.start();
                watch.stop();
            }
            "propose" => {
                let binary = File::open(rest).unwrap().into();
                self.link().proposal().unwrap().make(&binary, None).unwrap();
            }
            "told" => self.link().unpark(&[ParkKey::Asker]).unwrap(),
            "find" => self.find(rest.parse().unwrap()),
            "acknowledge" => self.acknowledge(number()),
            "environment" => tell(&format!("{:?}", std::env::var_os("APPCTL_ROLE"))),
            other => panic!("{other}"),
        }
        tell(&format!("done {verb}"));
        None
    }

    /// Parks the read end of a pipe that holds some text.
    fn park_pipe(&self, key: u64, text: &str) {
        let (read, write) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&write, text.as_bytes()).unwrap();
        self.link()
            .park(&[(ParkKey::Stdout(key), read.as_fd())])
            .unwrap();
    }

    fn park_many(&self, count: usize) {
        let null = File::open("/dev/null").unwrap();
        let descriptors: Vec<(ParkKey, BorrowedFd<'_>)> = (0..count)
            .map(|number| (ParkKey::Stderr(number as u64), null.as_fd()))
            .collect();
        self.link().park(&descriptors).unwrap();
    }

    /// What an inherited pipe holds.
    fn read(&self, key: u64) {
        let parked = self.inheritance.parked.iter();
        let found = parked
            .rev()
            .find(|(parked, _)| *parked == ParkKey::Stdout(key));
        let mut buffer = [0; 64];
        let text = match found {
            Some((_, pipe)) => {
                let length = rustix::io::read(pipe, &mut buffer).unwrap();
                String::from_utf8_lossy(&buffer[..length]).into_owned()
            }
            None => "nothing".to_owned(),
        };
        tell(&format!("content {text}"));
    }

    /// Starts programs until it is killed.
    fn storm(&self) {
        loop {
            let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
            tell(&format!("intent {}", pipe_inode(&read).unwrap()));
            self.start("exec sleep 1000", read);
            drop(write);
        }
    }

    fn find(&self, inode: u64) {
        match find_started(Some(self.inheritance.keeper_pid), inode).unwrap() {
            Some(living) => tell(&format!("found {}", living.pid)),
            None => tell("found nothing"),
        }
    }

    fn start(&self, script: &str, stdin: OwnedFd) {
        let config = LaunchConfig {
            command: format!("sh -c '{script}'"),
            directory: None,
            user: None,
            umask: None,
            environment: Default::default(),
            serverurl: None,
            first_server: None,
            redirect_stderr: false,
        };
        let nofile = getrlimit(Resource::Nofile);
        let limits = Limits {
            nofile_soft: nofile.current,
            nofile_hard: nofile.maximum,
            oom_score_adj: None,
        };
        let name = ProcessName {
            group: "p".into(),
            process: "p".into(),
        };
        let ends = ChildEnds {
            stdin,
            stdout: io::stdout().as_fd().try_clone_to_owned().unwrap(),
            stderr: None,
        };
        let living = spawn(&name, &config, ends, &limits).unwrap();
        tell(&format!("started {}", living.pid));
    }

    fn acknowledge(&self, pid: i32) {
        for record in self
            .inheritance
            .exits
            .iter()
            .filter(|record| record.pid == pid)
        {
            self.link().acknowledge(*record).unwrap();
        }
    }
}
