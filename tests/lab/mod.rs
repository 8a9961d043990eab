//! The lab: one temporary directory, one daemon of the real binary in it, ways to ask and to wait.
//!
//! Every test here judges from outside: it writes a `supervisord.conf`, starts the daemon, runs
//! `supervisorctl` (the same binary under that name) and looks at /proc and at files. Waiting is
//! always for a condition with a deadline, never for a time.
//!
//! With `APPCTL_TRIAL_BIN=DIR` the tests judge `DIR/supervisord` and `DIR/supervisorctl` instead:
//! run them on Python Supervisor to see that an expectation is Supervisor's behaviour and not our
//! invention. Tests of what only appctl promises begin with [`ours_only!`].
//!
//! A lab leaves nothing behind. All its processes carry its marker in their environment; when it
//! is dropped the daemon is asked to end, and whatever then still lives fails the test.

// Each test binary compiles this library and uses a part of it.
#![allow(dead_code)]

pub mod disk;
pub mod http;
pub mod numbers;
pub mod procfs;
pub mod session;
pub mod terminal;
pub mod tools;
pub mod venv;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub use procfs::{kill, signal};
pub use session::Session;

/// The binary under test.
pub const APPCTL: &str = env!("CARGO_BIN_EXE_appctl");

/// How long a condition may take to come true before the test fails. Generous: it is only ever
/// waited out by a failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The variable that marks every process of a lab; its value names the lab.
const MARKER: &str = "APPCTL_LAB";

/// Whose daemon and client are judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The binary of this package.
    Appctl,
    /// The `supervisord` and `supervisorctl` of this directory.
    Supervisor(PathBuf),
}

impl Subject {
    /// What `APPCTL_TRIAL_BIN` says, else appctl.
    pub fn chosen() -> Subject {
        match std::env::var_os("APPCTL_TRIAL_BIN") {
            Some(bin) => Subject::Supervisor(PathBuf::from(bin)),
            None => Subject::Appctl,
        }
    }

    /// The daemon, without arguments.
    pub fn daemon(&self) -> Command {
        match self {
            Subject::Appctl => {
                let mut command = Command::new(APPCTL);
                command.arg("daemon");
                command
            }
            Subject::Supervisor(bin) => Command::new(bin.join("supervisord")),
        }
    }

    /// `supervisorctl`, without arguments.
    pub fn supervisorctl(&self) -> Command {
        match self {
            Subject::Appctl => {
                let mut command = Command::new(APPCTL);
                command.arg0("supervisorctl");
                command
            }
            Subject::Supervisor(bin) => Command::new(bin.join("supervisorctl")),
        }
    }
}

/// Leaves the test if another supervisor is judged: what follows is a promise of appctl alone.
#[macro_export]
macro_rules! ours_only {
    () => {
        if $crate::lab::Subject::chosen() != $crate::lab::Subject::Appctl {
            return;
        }
    };
}

/// One line of `supervisorctl status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// `group:process`, or the bare name.
    pub name: String,
    /// RUNNING and so on.
    pub state: String,
    /// The rest of the line.
    pub description: String,
}

impl Status {
    /// The pid in the description; 0 if there is none.
    pub fn pid(&self) -> i32 {
        self.description
            .strip_prefix("pid ")
            .and_then(|rest| rest.split(',').next())
            .and_then(|pid| pid.parse().ok())
            .unwrap_or(0)
    }
}

/// What a command said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Exit code; -1 after death by signal.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Said {
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A temporary directory with one daemon.
pub struct Lab {
    subject: Subject,
    directory: tempfile::TempDir,
    marker: String,
    daemon: Option<Child>,
    /// A mount namespace of its own is prepared by this command.
    namespace: Option<String>,
}

impl Lab {
    /// An empty lab for the subject that the environment chooses.
    pub fn new() -> Lab {
        Lab::of(Subject::chosen())
    }

    /// An empty lab.
    pub fn of(subject: Subject) -> Lab {
        static LABS: AtomicU32 = AtomicU32::new(0);
        let directory = tempfile::Builder::new()
            .prefix("appctl-lab-")
            .tempdir()
            .unwrap();
        // Programs run as other users must be able to come in.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        Lab {
            subject,
            directory,
            marker: format!("{}-{number}", std::process::id()),
            daemon: None,
            namespace: None,
        }
    }

    /// The daemon finds no cgroups: it lives in a mount namespace of its own, and there is none in
    /// it. Only for root.
    pub fn without_cgroups(self) -> Lab {
        self.in_namespace("umount -alt cgroup2")
    }

    /// The daemon lives in a mount namespace of its own, which this command prepares; `@D@` in it
    /// is the lab's directory. Only for root.
    pub fn in_namespace(mut self, prepare: &str) -> Lab {
        self.namespace = Some(prepare.replace("@D@", self.directory()));
        self
    }

    /// A lab with these programs, its daemon answering.
    pub fn with(programs: &str) -> Lab {
        Lab::new().started(programs)
    }

    /// This lab, which has its scripts already, with these programs, its daemon answering.
    pub fn started(mut self, programs: &str) -> Lab {
        self.configure(programs);
        self.start();
        self
    }

    // Files.

    /// A path in the lab.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The lab's directory as text.
    pub fn directory(&self) -> &str {
        self.directory.path().to_str().unwrap()
    }

    /// Writes a file; `@D@` in the text becomes the lab's directory.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text.replace("@D@", self.directory())).unwrap();
        path
    }

    /// Writes an executable `/bin/sh` script; `@D@` becomes the lab's directory.
    pub fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.write(name, &format!("#!/bin/sh\n{body}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Writes `supervisord.conf` with the lab's daemon sections, `[supervisord]` being the last
    /// of them, followed by `text`: further options of `[supervisord]`, then programs.
    pub fn configure(&self, text: &str) {
        let head = "[unix_http_server]\nfile=@D@/sock\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
             [supervisorctl]\nserverurl=unix://@D@/sock\n\
             [supervisord]\nlogfile=@D@/main.log\npidfile=@D@/daemon.pid\nchildlogdir=@D@\n\
             nodaemon=true\n";
        self.write("supervisord.conf", &format!("{head}{text}\n"));
    }

    /// The text of a file; empty if there is none.
    pub fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    /// The daemon's own log.
    pub fn main_log(&self) -> String {
        self.read("main.log")
    }

    /// The unix socket.
    pub fn socket(&self) -> PathBuf {
        self.path("sock")
    }

    // The daemon.

    /// The daemon on the lab's configuration file, in the lab's directory, marked.
    pub fn daemon_command(&self) -> Command {
        let mut command = self.subject.daemon();
        if let Some(prepare) = &self.namespace {
            let mut inside = Command::new("unshare");
            let prepare = format!("{prepare} && exec \"$0\" \"$@\"");
            inside.args(["--mount", "/bin/sh", "-c", &prepare]);
            inside.arg(command.get_program()).args(command.get_args());
            command = inside;
        }
        command.arg("-c").arg(self.path("supervisord.conf"));
        self.prepare(&mut command);
        command
    }

    /// Gives any command the lab's environment and working directory.
    pub fn prepare(&self, command: &mut Command) {
        command
            .current_dir(self.directory.path())
            .env(MARKER, &self.marker)
            .env("LC_ALL", "C.UTF-8")
            // Meant for the tests, and not for what they try.
            .env_remove("APPCTL_TEST_EVERYTHING")
            .stdin(Stdio::null());
    }

    /// Starts the daemon in the foreground and waits until it answers. Its output is in
    /// `daemon.out`.
    pub fn start(&mut self) {
        self.launch();
        self.until("the daemon answers", |lab| {
            UnixStream::connect(lab.socket()).is_ok() && lab.ctl("pid").code == 0
        });
    }

    /// Starts the daemon in the foreground and waits for nothing.
    pub fn launch(&mut self) {
        assert!(self.daemon.is_none(), "one daemon per lab");
        let output = File::options()
            .create(true)
            .append(true)
            .open(self.path("daemon.out"))
            .unwrap();
        let mut command = self.daemon_command();
        command
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0);
        self.daemon = Some(command.spawn().unwrap());
    }

    /// The daemon's pid: of the process started here, else what the pid file says.
    pub fn daemon_pid(&self) -> i32 {
        match &self.daemon {
            Some(child) => i32::try_from(child.id()).unwrap(),
            None => self.read("daemon.pid").trim().parse().unwrap_or(0),
        }
    }

    /// Sends a signal to the daemon.
    pub fn signal_daemon(&self, name: &str) {
        signal(self.daemon_pid(), name);
    }

    /// Waits for the daemon to end; its exit code (-1 after death by signal).
    pub fn wait_end(&mut self) -> i32 {
        let mut child = self.daemon.take().expect("a daemon in the foreground");
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            if Instant::now() > deadline {
                self.daemon = Some(child);
                self.fail("the daemon did not end");
            }
            thread::sleep(POLL);
        }
    }

    /// SIGTERM to the daemon, then [`Lab::expect_end`].
    #[track_caller]
    pub fn shut_down(&mut self) {
        self.signal_daemon("TERM");
        self.expect_end();
    }

    /// Waits for the orderly end of the daemon: nothing is left of it.
    #[track_caller]
    pub fn expect_end(&mut self) {
        assert_eq!(self.wait_end(), 0, "exit code of the daemon");
        // The holder's descriptors are closed, and it said to be gone, a moment before it is.
        self.until("no process is left of the daemon", |lab| {
            lab.processes().is_empty()
        });
        assert!(!self.socket().exists(), "socket left after the daemon");
        assert!(
            !self.path("daemon.pid").exists(),
            "pid file left after the daemon"
        );
    }

    /// All processes of the lab: pid and command line.
    pub fn processes(&self) -> Vec<(i32, String)> {
        procfs::marked(&format!("{MARKER}={}", self.marker))
    }

    /// The keeper's and the brain's pid. The brain is the keeper's child that runs our binary.
    pub fn keeper_and_brain(&self) -> (i32, i32) {
        let keeper = self.daemon_pid();
        let brain = self.wait_some("a brain", |_| procfs::brain_of(keeper));
        (keeper, brain)
    }

    /// Kills the brain and waits until another one is there, served or not; its pid.
    #[track_caller]
    pub fn replace_brain(&self) -> i32 {
        let (keeper, brain) = self.keeper_and_brain();
        kill(brain);
        self.wait_some("another brain is there", |_| {
            procfs::brain_of(keeper).filter(|pid| *pid != brain)
        })
    }

    // Asking.

    /// Runs `supervisorctl` with these blank-separated words.
    pub fn ctl(&self, words: &str) -> Said {
        self.ctl_command(words).output().unwrap().into()
    }

    /// `supervisorctl` with these words, to be run by the caller.
    pub fn ctl_command(&self, words: &str) -> Command {
        let mut command = self.subject.supervisorctl();
        self.prepare(&mut command);
        command
            .arg("-c")
            .arg(self.path("supervisord.conf"))
            .args(words.split_whitespace());
        command
    }

    /// Runs `supervisorctl` and expects this exit code and exactly this standard output.
    #[track_caller]
    pub fn expect(&self, words: &str, code: i32, out: &str) {
        let said = self.ctl(words);
        assert_eq!(
            (said.code, said.out.as_str()),
            (code, out),
            "`{words}` said on stderr: {}\n{}",
            said.err,
            self.evidence()
        );
    }

    /// Runs `appctl` with these words on the lab's configuration.
    pub fn appctl(&self, words: &str) -> Said {
        let mut command = Command::new(APPCTL);
        self.prepare(&mut command);
        command
            .arg("-c")
            .arg(self.path("supervisord.conf"))
            .args(words.split_whitespace())
            .output()
            .unwrap()
            .into()
    }

    /// A connection that speaks the line protocol.
    pub fn session(&self) -> Session {
        Session::connect(&self.socket())
    }

    /// Every line of `status`.
    pub fn statuses(&self) -> Vec<Status> {
        self.ctl("status")
            .out
            .lines()
            .filter_map(|line| {
                let (name, rest) = line.split_once(' ')?;
                let (state, description) = rest.trim_start().split_once(' ').unwrap_or((rest, ""));
                Some(Status {
                    name: name.to_owned(),
                    state: state.trim().to_owned(),
                    description: description.trim().to_owned(),
                })
            })
            .collect()
    }

    /// One line of `status`, if there is such a process.
    pub fn status(&self, name: &str) -> Option<Status> {
        self.statuses().into_iter().find(|line| line.name == name)
    }

    /// State of a process; empty if there is no such process.
    pub fn state(&self, name: &str) -> String {
        self.status(name).map(|line| line.state).unwrap_or_default()
    }

    /// Pid of a running process.
    #[track_caller]
    pub fn pid(&self, name: &str) -> i32 {
        let pid = self.status(name).map_or(0, |line| line.pid());
        assert!(pid > 1, "{name} has no pid\n{}", self.evidence());
        pid
    }

    // Waiting.

    /// Waits until the condition holds.
    #[track_caller]
    pub fn until(&self, what: &str, mut condition: impl FnMut(&Lab) -> bool) {
        self.wait_some(what, |lab| condition(lab).then_some(()));
    }

    /// Waits until the probe finds something.
    #[track_caller]
    pub fn wait_some<T>(&self, what: &str, mut probe: impl FnMut(&Lab) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = probe(self) {
                return found;
            }
            if Instant::now() > deadline {
                self.fail(&format!("waited in vain until {what}"));
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until a process is in this state.
    #[track_caller]
    pub fn wait_state(&self, name: &str, state: &str) {
        self.until(&format!("{name} is {state}"), |lab| {
            lab.state(name) == state
        });
    }

    /// Waits until a process is RUNNING under another pid than this one; the new pid.
    #[track_caller]
    pub fn wait_new_pid(&self, name: &str, old: i32) -> i32 {
        self.wait_some(
            &format!("{name} is RUNNING under another pid than {old}"),
            |lab| {
                let line = lab.status(name)?;
                (line.state == "RUNNING" && line.pid() != old).then(|| line.pid())
            },
        )
    }

    /// Waits until a file contains a text; the whole file.
    #[track_caller]
    pub fn wait_text(&self, file: &str, text: &str) -> String {
        self.wait_some(&format!("{file} contains {text:?}"), |lab| {
            Some(lab.read(file)).filter(|content| content.contains(text))
        })
    }

    /// Waits until the main log contains a text; the whole log.
    #[track_caller]
    pub fn wait_main_log(&self, text: &str) -> String {
        self.wait_text("main.log", text)
    }

    /// Waits until a file is there.
    #[track_caller]
    pub fn wait_file(&self, file: &str) {
        self.until(&format!("there is {file}"), |lab| lab.path(file).exists());
    }

    /// Waits until a process is gone.
    #[track_caller]
    pub fn wait_gone(&self, pid: i32) {
        self.until(&format!("pid {pid} is gone"), |_| !procfs::alive(pid));
    }

    // Failing.

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        panic!("{what}\n{}", self.evidence());
    }

    /// What one wants to see of a failure.
    pub fn evidence(&self) -> String {
        let last = |name: &str| {
            let text = self.read(name);
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(40)..].join("\n")
        };
        let mut evidence = Vec::new();
        writeln!(evidence, "--- status\n{}", self.ctl("status").out).unwrap();
        writeln!(evidence, "--- main.log\n{}", last("main.log")).unwrap();
        writeln!(evidence, "--- daemon.out\n{}", last("daemon.out")).unwrap();
        String::from_utf8_lossy(&evidence).into_owned()
    }

    /// Kills every process of the lab, however it was started, until none is left.
    pub fn kill_all(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let living = self.processes();
            for (pid, _) in &living {
                kill(*pid);
            }
            if let Some(daemon) = &mut self.daemon {
                let _ = daemon.try_wait();
            }
            if living.is_empty() || Instant::now() > deadline {
                break;
            }
            thread::sleep(POLL);
        }
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.wait();
        }
    }
}

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(10);

impl Drop for Lab {
    fn drop(&mut self) {
        let failed = thread::panicking();
        let pid = self.daemon_pid();
        if !failed && pid > 1 && procfs::alive(pid) {
            signal(pid, "TERM");
            let deadline = Instant::now() + PATIENCE;
            while Instant::now() < deadline && procfs::alive(pid) {
                if let Some(daemon) = &mut self.daemon {
                    let _ = daemon.try_wait();
                }
                thread::sleep(POLL);
            }
        }
        // A killed shell leaves the `sleep` it was waiting for, which ends by itself at once.
        let mut left = self.processes();
        let deadline = Instant::now() + PATIENCE;
        while !failed && !left.is_empty() && Instant::now() < deadline {
            thread::sleep(POLL);
            left = self.processes();
        }
        self.kill_all();
        assert!(failed || left.is_empty(), "left by the lab: {left:?}");
    }
}

/// Waits until the probe finds something, for what needs no lab.
#[track_caller]
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(POLL);
    }
}

/// True if the tests run as root; some things can only be seen then.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// `path`, `path.1`, `path.2`, … as far as they exist, oldest first.
pub fn rotated(path: &Path) -> Vec<PathBuf> {
    let mut files = vec![path.to_owned()];
    for number in 1.. {
        let file = PathBuf::from(format!("{}.{number}", path.display()));
        if !file.exists() {
            break;
        }
        files.push(file);
    }
    files.reverse();
    files
}
