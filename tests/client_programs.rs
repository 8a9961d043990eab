//! The other programs this binary stands in for, and the shell on a terminal.
#![allow(clippy::unwrap_used)]

mod client_fake;
#[path = "lab/terminal.rs"]
mod terminal;

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Stdio};

use client_fake::{Fake, STREAM, Seen};
use rustix::process::{Pid, Signal, kill_process};
use terminal::Terminal;

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
    let mut terminal = Terminal::run(command, "xterm");
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
    assert_eq!(terminal.wait_end(), 0);
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
    let mut terminal = Terminal::run(command, "xterm");
    terminal.wait_for("appctl> ");
    terminal.type_in("start web\r");
    terminal.wait_for("pool:a: started");
    kill_process(Pid::from_child(&terminal.child), Signal::INT).unwrap();
    terminal.wait_for("goes on in the daemon");
    terminal.wait_for("appctl> ");
    terminal.type_in("\u{3}");
    assert_eq!(terminal.wait_end(), 0);
}

/// What a terminal that knows no escape sequences shows.
#[test]
fn the_shell_needs_no_escape_sequences() {
    let web = "- web RUNNING pid=1 description=\"pid 1, uptime 0:00:01\" group=web\n";
    let pool = "- pool:a STOPPED description=\"Not started\" group=pool\n";
    let fake = Fake::answering(&[
        ("status", &format!("{web}{pool}ok\n")),
        ("stop web", "- web stopped\nok\n"),
    ]);
    let history = fake.directory.path().join("history");
    fs::write(&history, "version\n").unwrap();
    let mut command = fake.program("supervisorctl");
    command.args(["-s", &fake.url(), "-r"]).arg(&history);
    let mut terminal = Terminal::run(command, "dumb");
    terminal.wait_for("supervisor> ");
    terminal.type_in("sto\tw\t\r");
    terminal.wait_for("stop web ");
    terminal.wait_for("web: stopped");
    terminal.wait_for("supervisor> ");
    terminal.type_in("start pool:\t\t");
    terminal.wait_for("pool:*   pool:a");
    terminal.wait_for("supervisor> start pool:");
    // Ctrl-U, a word too much, a letter too much, what was typed before.
    terminal.type_in("\u{15}nope stop\u{17}\u{17}status x\u{7f}web\r");
    terminal.wait_for("RUNNING");
    terminal.wait_for("supervisor> ");
    terminal.type_in("\u{10}\u{1b}[A\u{1b}[B\u{10}\u{10}\u{15}");
    terminal.wait_for("version");
    terminal.type_in("\u{3}");
    assert_eq!(terminal.wait_end(), 0);
    assert!(!terminal.shown.contains('\u{1b}'), "{:?}", terminal.shown);
    let kept = fs::read_to_string(history).unwrap();
    assert_eq!(kept, "version\nstop web \nstatus web\n");
}
