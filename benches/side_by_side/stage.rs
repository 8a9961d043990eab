//! A stage: one supervisor with its programs in a directory of its own, and ways to look at it.
//!
//! Programs tell that they run through a FIFO, so that all supervisors are judged by the same sign.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Who supervises.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Appctl,
    Supervisor,
    Loop,
}

/// The binary that is measured: `$APPCTL`, else the one of this build.
pub fn appctl() -> PathBuf {
    std::env::var_os("APPCTL").map_or_else(|| env!("CARGO_BIN_EXE_appctl").into(), PathBuf::from)
}

fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// A peer's program in C, compiled once.
pub fn compiled(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("benches/peers/{name}.c"));
    let program = target().join(format!("bench-{name}"));
    let status = Command::new("cc")
        .arg("-O2")
        .arg("-o")
        .arg(&program)
        .arg(source)
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "cc is needed for the peers"
    );
    program
}

/// The directory of Supervisor's programs; `None`, said once, where it cannot be installed.
fn supervisor() -> Option<PathBuf> {
    static BIN: OnceLock<Option<PathBuf>> = OnceLock::new();
    BIN.get_or_init(|| {
        let root = target().join("bench-venv");
        let bin = root.join("bin");
        let run = |command: &mut Command| {
            let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
            quiet.status().is_ok_and(|status| status.success())
        };
        let there = bin.join("supervisord").exists()
            || run(Command::new("python3").args(["-m", "venv"]).arg(&root))
                && run(Command::new(bin.join("pip")).args(["install", "supervisor==4.3.0"]));
        if !there {
            eprintln!("Supervisor cannot be installed from PyPI: rows go without it");
        }
        there.then_some(bin)
    })
    .clone()
}

/// A supervisor and its programs; they end with it.
pub struct Stage {
    peer: Peer,
    directory: tempfile::TempDir,
    daemon: Child,
    fifo: File,
    /// From the start of the supervisor until every program ran.
    pub boot: Duration,
    pids: Vec<i32>,
}

impl Stage {
    /// Starts `count` programs with these options each; `None`: this peer is not installed.
    pub fn open(peer: Peer, count: usize, options: &str) -> Option<Stage> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = |name: &str| directory.path().join(name);
        let status = Command::new("mkfifo").arg(at("fifo")).status();
        assert!(status.is_ok_and(|status| status.success()));
        let ready = compiled("ready");
        let command = format!("{} {}", ready.display(), at("fifo").display());
        let mut programs = String::new();
        for number in 0..count {
            write!(
                programs,
                "[program:p{number}]\ncommand={command}\nstdout_logfile=NONE\nstderr_logfile=NONE\n\
                 {options}"
            )
            .expect("a string takes everything");
        }
        configure(directory.path(), &programs);
        // Open for writing as well, so that it never ends.
        let fifo = File::options()
            .read(true)
            .write(true)
            .open(at("fifo"))
            .expect("the FIFO");
        let mut start = match peer {
            Peer::Loop => {
                let mut command = Command::new(compiled("loop"));
                command.arg(count.to_string()).arg(ready).arg(at("fifo"));
                command.stdin(Stdio::piped());
                command
            }
            _ => daemon(peer, directory.path())?,
        };
        let began = Instant::now();
        let daemon = start.spawn().expect("a supervisor that starts");
        let mut stage = Stage {
            peer,
            daemon,
            fifo,
            boot: Duration::ZERO,
            pids: Vec::new(),
            directory,
        };
        for _ in 0..count {
            let pid = stage.next();
            stage.pids.push(pid);
        }
        stage.boot = began.elapsed();
        Some(stage)
    }

    /// The pid of the next program that says that it runs.
    fn next(&mut self) -> i32 {
        let mut pid = [0; 4];
        self.fifo
            .read_exact(&mut pid)
            .expect("four bytes from the FIFO");
        i32::from_ne_bytes(pid)
    }

    /// Kills the last program; how long it takes until its successor runs.
    pub fn kill_and_wait(&mut self) -> Duration {
        // Until the supervisor has dealt with the start and sleeps.
        std::thread::sleep(Duration::from_millis(20));
        let pid = self.pids.pop().expect("a program");
        let began = Instant::now();
        let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it lives");
        let successor = self.next();
        let took = began.elapsed();
        self.pids.push(successor);
        took
    }

    /// The socket of its server.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("s.sock")
    }

    /// appctl with these programs, its socket open.
    pub fn for_logs(directory: &Path, programs: &str) -> Stage {
        let home = tempfile::tempdir_in(directory).expect("a temporary directory");
        configure(home.path(), programs);
        let mut command = daemon(Peer::Appctl, home.path()).expect("our own");
        let stage = Stage {
            peer: Peer::Appctl,
            daemon: command.spawn().expect("a supervisor that starts"),
            fifo: File::open("/dev/null").expect("/dev/null"),
            boot: Duration::ZERO,
            pids: Vec::new(),
            directory: home,
        };
        let socket = stage.directory.path().join("s.sock");
        until(|| UnixStream::connect(&socket).is_ok());
        stage
    }

    /// Our own client.
    pub fn client_command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(appctl());
        let file = self.directory.path().join("s.conf");
        command.arg("-c").arg(file).args(words);
        command.stdout(Stdio::null());
        command
    }

    /// Runs the peer's client.
    pub fn client(&self, words: &[&str]) {
        self.run(&self.own_client(), words);
    }

    /// The peer's client under its own name.
    pub fn own_client(&self) -> PathBuf {
        match self.peer {
            Peer::Supervisor => supervisor().expect("installed").join("supervisorctl"),
            _ => appctl(),
        }
    }

    /// Our client under the name of Supervisor's: a link, made beside the configuration.
    pub fn link(&self) -> PathBuf {
        let link = self.directory.path().join("supervisorctl");
        let _ = std::os::unix::fs::symlink(appctl(), &link);
        link
    }

    /// Runs a client.
    pub fn run(&self, program: &Path, words: &[&str]) {
        let mut command = Command::new(program);
        let file = self.directory.path().join("s.conf");
        let status = command
            .arg("-c")
            .arg(file)
            .args(words)
            .stdout(Stdio::null())
            .status();
        assert!(status.is_ok(), "a client that starts");
    }

    /// Until the start has been forgotten: every program counts as RUNNING, and a little more.
    pub fn settle(&self) {
        std::thread::sleep(Duration::from_millis(2_500));
    }

    /// The supervisor's processes, without the programs.
    fn processes(&self) -> Vec<i32> {
        let root = self.daemon.id().cast_signed();
        let mut processes = vec![root];
        if self.peer == Peer::Appctl {
            let children = format!("/proc/{root}/task/{root}/children");
            let children = fs::read_to_string(children).unwrap_or_default();
            processes.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse::<i32>().ok()),
            );
            processes.extend(holder_at(&holder_socket(&self.socket())));
        }
        processes
    }

    /// Proportional share of memory of all the supervisor's processes.
    pub fn pss_kilobytes(&self) -> u64 {
        let of = |pid: i32| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with("Pss:"));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        };
        self.processes().into_iter().filter_map(of).sum()
    }

    /// How often its threads have been given the processor.
    pub fn switches(&self) -> u64 {
        let of_thread = |status: PathBuf| -> u64 {
            let text = fs::read_to_string(status).unwrap_or_default();
            text.lines()
                .filter(|line| line.contains("ctxt_switches"))
                .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
                .sum()
        };
        let of = |pid: i32| -> u64 {
            let threads = fs::read_dir(format!("/proc/{pid}/task"))
                .into_iter()
                .flatten();
            threads
                .flatten()
                .map(|thread| of_thread(thread.path().join("status")))
                .sum()
        };
        self.processes().into_iter().map(of).sum()
    }

    /// Processor time it has used.
    pub fn cpu(&self) -> Duration {
        let tick = rustix::param::clock_ticks_per_second();
        let of = |pid: i32| -> u64 {
            let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields: Vec<&str> = text
                .rsplit(") ")
                .next()
                .unwrap_or_default()
                .split(' ')
                .collect();
            let number = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok());
            number(11).unwrap_or(0) + number(12).unwrap_or(0)
        };
        let ticks: u64 = self.processes().into_iter().map(of).sum();
        Duration::from_millis(ticks * 1_000 / tick)
    }
}

/// Processor time of a process.
pub fn cpu_of(pid: i32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Whether a process has ended and was not waited for.
pub fn is_zombie(pid: i32) -> bool {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    text.rsplit(") ")
        .next()
        .is_some_and(|rest| rest.starts_with('Z'))
}

impl Drop for Stage {
    fn drop(&mut self) {
        match self.peer {
            Peer::Loop => drop(self.daemon.stdin.take()),
            _ => {
                let pid = rustix::process::Pid::from_child(&self.daemon);
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        let _ = self.daemon.wait();
    }
}

fn configure(directory: &Path, programs: &str) {
    let at = directory.display();
    let text = format!(
        "[supervisord]\nlogfile={at}/main.log\npidfile={at}/pid\nnodaemon=true\nsilent=true\n\
         minfds=8192\n\
         [unix_http_server]\nfile={at}/s.sock\n[rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
         [supervisorctl]\nserverurl=unix://{at}/s.sock\n{programs}"
    );
    fs::write(directory.join("s.conf"), text).expect("a configuration");
}

fn daemon(peer: Peer, directory: &Path) -> Option<Command> {
    let mut command = match peer {
        Peer::Supervisor => Command::new(supervisor()?.join("supervisord")),
        _ => {
            let mut command = Command::new(appctl());
            command.arg("daemon");
            command
        }
    };
    command
        .arg("-c")
        .arg(directory.join("s.conf"))
        .process_group(0);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Some(command)
}

/// How long so many bytes of lines take through `cat` into one file, and its processor time.
pub fn cat(bytes: u64) -> (Duration, Duration) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = File::create(directory.path().join("log")).expect("a file");
    let began = Instant::now();
    let mut lines = Command::new(compiled("produce"))
        .arg((bytes / 64).to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the producer");
    let from = lines.stdout.take().expect("its pipe");
    let mut cat = Command::new("cat")
        .stdin(from)
        .stdout(file)
        .spawn()
        .expect("cat");
    let pid = cat.id().cast_signed();
    until(|| is_zombie(pid));
    let (took, cpu) = (began.elapsed(), cpu_of(pid));
    let _ = lines.wait();
    assert!(cat.wait().is_ok_and(|status| status.success()));
    (took, cpu)
}

/// How long so many bytes take through a supervisor into rotated files, and its processor time;
/// `None` if it is not installed or lines are missing.
pub fn logged(peer: Peer, bytes: u64) -> Option<(Duration, Duration)> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = directory.path().display();
    let lines = bytes / 64;
    configure(
        directory.path(),
        &format!(
            "[program:p]\ncommand={} {lines}\nautostart=false\nautorestart=false\nstartsecs=0\n\
             stdout_logfile={at}/log\nstdout_logfile_maxbytes=50MB\nstdout_logfile_backups=10\n",
            compiled("produce").display()
        ),
    );
    let daemon = daemon(peer, directory.path())?
        .spawn()
        .expect("a supervisor that starts");
    let stage = Stage {
        peer,
        daemon,
        fifo: File::open("/dev/null").expect("/dev/null"),
        boot: Duration::ZERO,
        pids: Vec::new(),
        directory,
    };
    let socket = stage.directory.path().join("s.sock");
    until(|| UnixStream::connect(&socket).is_ok());
    let before = stage.cpu();
    let began = Instant::now();
    stage.client(&["start", "p"]);
    let last = format!("{:020} ", lines - 1);
    until(|| tail(&stage.directory.path().join("log")).contains(&last));
    let took = began.elapsed();
    let cpu = stage.cpu() - before;
    verify(stage.directory.path(), lines).then_some((took, cpu))
}

/// Where the holder of the daemon at this socket listens.
fn holder_socket(socket: &Path) -> PathBuf {
    let mut name = socket.as_os_str().to_owned();
    name.push(".holder");
    name.into()
}

/// The holder of program pipes that listens here. It is nobody's child, and other daemons of this
/// machine have theirs.
fn holder_at(socket: &Path) -> Option<i32> {
    let sockets = fs::read_to_string("/proc/net/unix").ok()?;
    let path = socket.to_str()?;
    let line = sockets
        .lines()
        .find(|line| line.split_whitespace().nth(7) == Some(path))?;
    let link = format!("socket:[{}]", line.split_whitespace().nth(6)?);
    let has_it = |pid: &i32| {
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten();
        let mut targets = descriptors.flatten().map(|it| fs::read_link(it.path()));
        targets.any(|target| target.is_ok_and(|target| target.as_os_str() == link.as_str()))
    };
    let is_holder = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "holder\n")
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|pid| is_holder(pid) && has_it(pid))
}

#[track_caller]
pub fn until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "it takes too long");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;
        let file = File::open(path)?;
        let from = file.metadata()?.len().saturating_sub(64);
        let mut bytes = vec![0; 64];
        let count = file.read_at(&mut bytes, from)?;
        bytes.truncate(count);
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

/// The lines that were kept are consecutive and end with the last one.
fn verify(directory: &Path, lines: u64) -> bool {
    let name = |number: u32| match number {
        0 => directory.join("log"),
        number => directory.join(format!("log.{number}")),
    };
    let kept: Vec<Vec<u8>> = (0..=10)
        .rev()
        .filter_map(|number| fs::read(name(number)).ok())
        .collect();
    let text: Vec<u8> = kept.concat();
    let numbers = text
        .chunks(64)
        .map(|line| std::str::from_utf8(&line[..20]).ok()?.parse::<u64>().ok());
    let first = lines - (text.len() / 64) as u64;
    text.len().is_multiple_of(64) && numbers.eq((first..lines).map(Some))
}
