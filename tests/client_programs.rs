//! The other programs this binary stands in for, and the shell on a terminal.
#![allow(clippy::unwrap_used)]

mod client_fake;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};

use client_fake::{Fake, STREAM, Seen};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

#[test]
fn supervisord_reads_its_options() {
    let fake = Fake::absent();
    let run = |arguments: &[&str]| {
        Seen::of(
            fake.program("supervisord")
                .args(arguments)
                .output()
                .unwrap(),
        )
    };
    assert_eq!(run(&["-v"]).said(), (0, "4.3.0\n"));
    assert_eq!(run(&["--vers"]).said(), (0, "4.3.0\n"));
    for flag in ["-h", "-?", "--help"] {
        let seen = run(&[flag]);
        let (code, out) = seen.said();
        assert!(code == 0 && out.contains("-n/--nodaemon"), "{flag}");
    }
    let name = fake
        .directory
        .path()
        .join("supervisord")
        .display()
        .to_string();
    for (arguments, problem) in [
        (&["-Z"][..], "option -Z not recognized"),
        (&["-l"], "option -l requires argument"),
        (&["--log=x"], "option --log not a unique prefix"),
        (
            &["-n", "foo"],
            "positional arguments are not supported: ['foo']",
        ),
        (&["-la", "-lb"], "conflicting command line option '-l'"),
    ] {
        let seen = run(arguments);
        assert_eq!((seen.code, seen.out.as_str()), (Some(2), ""));
        assert_eq!(
            seen.err,
            format!("Error: {problem}\nFor help, use {name} -h\n")
        );
    }
}

#[test]
fn supervisorctl_reads_its_options() {
    let fake = Fake::absent();
    let run = |arguments: &[&str]| {
        Seen::of(
            fake.program("supervisorctl")
                .args(arguments)
                .output()
                .unwrap(),
        )
    };
    let (code, help) = (run(&["-h"]).code, run(&["-h"]).out);
    assert!(
        code == Some(0) && help.contains("-s/--serverurl URL"),
        "{help}"
    );
    let seen = run(&["-s", "foo", "status"]);
    assert_eq!(seen.code, Some(2));
    assert!(seen.err.starts_with(
        "Error: invalid value for -s 'foo': value 'foo' is not a URL\nFor help, use "
    ));
    // Options end at the first word.
    assert_eq!(run(&["-s", &fake.url(), "status", "-c", "x"]).code, Some(4));
}

#[test]
fn pidproxy_passes_signals_and_the_exit_status_on() {
    let fake = Fake::absent();
    let pid_file = fake.directory.path().join("pid");
    let script = "trap 'exit 7' TERM; echo $$ >pid.new && mv pid.new pid && echo up; \
                  while :; do read line || exit 9; done";
    let mut command = fake.program("pidproxy");
    command.arg(&pid_file).args(["/bin/sh", "-c", script]);
    // A descendant that reads a pipe of ours ends with us at the latest.
    let mut proxy = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = [0; 3];
    proxy.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    kill_process(Pid::from_child(&proxy), Signal::TERM).unwrap();
    assert_eq!(finish(proxy), Some(7));

    let usage = Seen::of(fake.program("pidproxy").arg("pid").output().unwrap());
    assert!(
        usage.code == Some(1) && usage.out.contains("Usage:"),
        "{usage:?}"
    );
    let missing = Seen::of(
        fake.program("pidproxy")
            .args(["pid", "/none"])
            .output()
            .unwrap(),
    );
    assert!(
        missing.code == Some(1) && missing.err.contains("/none"),
        "{missing:?}"
    );
}

/// Waits without closing standard input first, which could be what ends the program.
fn finish(mut child: Child) -> Option<i32> {
    let stdin = child.stdin.take();
    let code = child.wait().unwrap().code();
    drop(stdin);
    code
}

#[test]
fn pidproxy_says_when_there_is_no_pid_file() {
    let fake = Fake::absent();
    let mut command = fake.program("pidproxy");
    command.args(["none.pid", "/bin/sh", "-c", "echo up; read line; exit 3"]);
    let mut proxy = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut up = [0; 3];
    let stdout = proxy.stdout.as_mut().unwrap();
    stdout.read_exact(&mut up).unwrap();
    kill_process(Pid::from_child(&proxy), Signal::HUP).unwrap();
    let mut said = vec![0; "Can't read child pidfile none.pid!\n".len()];
    proxy
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut said)
        .unwrap();
    assert_eq!(
        String::from_utf8(said).unwrap(),
        "Can't read child pidfile none.pid!\n"
    );
    proxy.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    assert_eq!(proxy.wait().unwrap().code(), Some(3));
}

/// A program on a terminal of its own.
struct Terminal {
    master: File,
    child: Child,
    shown: String,
}

impl Terminal {
    fn run(mut command: std::process::Command) -> Terminal {
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
        command.env("TERM", "xterm");
        let child = command.spawn().unwrap();
        Terminal {
            master: File::from(master),
            child,
            shown: String::new(),
        }
    }

    fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until this text was shown after the last one waited for.
    fn wait_for(&mut self, text: &str) {
        let mut piece = [0; 4096];
        while !self.shown.contains(text) {
            let mut waited = [PollFd::new(&self.master, PollFlags::IN)];
            let ready = poll(
                &mut waited,
                Some(&Timespec {
                    tv_sec: 20,
                    tv_nsec: 0,
                }),
            )
            .unwrap();
            assert_ne!(ready, 0, "no {text:?} in time, but {:?}", self.shown);
            let count = self.master.read(&mut piece).unwrap_or(0);
            assert_ne!(count, 0, "no {text:?} in {:?}", self.shown);
            self.shown
                .push_str(&String::from_utf8_lossy(&piece[..count]));
        }
        let end = self.shown.find(text).unwrap() + text.len();
        self.shown.drain(..end);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_shell_edits_completes_and_survives_ctrl_c() {
    let status = "- web RUNNING pid=1 description=\"pid 1, uptime 0:00:01\" group=web\nok\n";
    let fake = Fake::answering(&[
        ("status", status),
        ("stop web", "- web stopped\nok\n"),
        (
            "tail -f web stdout",
            &format!("= 9 stdout\n\x1b[2Jready\n{STREAM}"),
        ),
        ("start web", STREAM),
    ]);
    let mut command = fake.program("supervisorctl");
    let history = fake.directory.path().join("history");
    command.args(["-s", &fake.url(), "-r"]).arg(&history);
    let mut terminal = Terminal::run(command);
    terminal.wait_for("\u{1b}[32mRUNNING");
    terminal.wait_for("supervisor> ");
    terminal.type_in("sto\tw\t\r");
    terminal.wait_for("web: stopped");
    terminal.wait_for("supervisor> ");
    // Log bytes are harmless on a terminal, and Ctrl-C leads back to the prompt.
    terminal.type_in("tail -f web\r");
    terminal.wait_for("\\x1b[2J");
    terminal.wait_for("ready");
    kill_process(Pid::from_child(&terminal.child), Signal::INT).unwrap();
    terminal.wait_for("supervisor> ");
    terminal.type_in("\u{4}");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
    let kept = fs::read_to_string(history).unwrap();
    assert!(
        kept.contains("stop web") && kept.contains("tail -f web"),
        "{kept}"
    );
}

#[test]
fn a_waiting_command_in_the_shell_can_be_left() {
    let fake = Fake::answering(&[
        ("status", "ok\n"),
        ("start web", &format!("- pool:a started\n{STREAM}")),
    ]);
    let mut command = fake.program("appctl");
    command.arg("-s").arg(fake.socket());
    let mut terminal = Terminal::run(command);
    terminal.wait_for("appctl> ");
    terminal.type_in("start web\r");
    terminal.wait_for("pool:a: started");
    kill_process(Pid::from_child(&terminal.child), Signal::INT).unwrap();
    terminal.wait_for("goes on in the daemon");
    terminal.wait_for("appctl> ");
    terminal.type_in("\u{3}");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
}
