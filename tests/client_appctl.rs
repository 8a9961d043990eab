//! `appctl` against a scripted daemon: listings, JSON, exit statuses, following, and what it says
//! when it cannot.
#![allow(clippy::unwrap_used)]

mod client_fake;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use client_fake::{Fake, STREAM, Seen};
use rustix::process::{Pid, Signal, kill_process};

const RUNNING: &str = "- web RUNNING pid=12 uptime=62 description=\"pid 12, uptime 0:01:02\" start=1 now=63 group=web\n";

#[test]
fn status_and_its_exit_statuses() {
    let stopped = "- job STOPPED description=\"Not started\" group=job\n";
    let starting = "- slow STARTING pid=13 group=slow\n";
    let fake = Fake::answering(&[
        ("status", &format!("{RUNNING}{stopped}ok\n")),
        ("status web", &format!("{RUNNING}ok\n")),
        ("status slow", &format!("{starting}ok\n")),
        (
            "status web nope",
            &format!(
                "{RUNNING}- nope error code=no-such-process text=\"no process has that name\"\nerr partial x\n"
            ),
        ),
        (
            "status nope",
            "err no-such-process nope: no process has that name\n",
        ),
        ("status -- -odd", "ok\n"),
    ]);
    let web = "web                              RUNNING   pid 12, uptime 0:01:02\n";
    let job = "job                              STOPPED   Not started\n";
    assert_eq!(
        fake.appctl("status").said(),
        (3, format!("{web}{job}").as_str())
    );
    assert_eq!(fake.appctl("status web").said(), (0, web));
    assert_eq!(fake.appctl("status slow").said().0, 3);
    assert_eq!(fake.appctl("status -- -odd").said(), (0, ""));
    let seen = fake.appctl("status web nope");
    assert_eq!((seen.code, seen.out.as_str()), (Some(4), web));
    assert_eq!(seen.err, "nope: no process has that name\n");
    let seen = fake.appctl("status nope");
    assert_eq!((seen.code, seen.out.as_str()), (Some(4), ""));
    assert_eq!(seen.err, "appctl: nope: no process has that name\n");
}

#[test]
fn listings_as_json() {
    let fake = Fake::answering(&[
        ("status", &format!("{RUNNING}ok\n")),
        (
            "avail",
            "- web in-use auto group_priority=1 process_priority=2 group=web\nok\n",
        ),
        ("reread", "- new available\nok\n"),
        (
            "events",
            "- PROCESS_STATE_EXITED sequence=5 time=9 name=web group=web from=RUNNING to=EXITED pid=12 why=\"exit status 1\"\nok\n",
        ),
    ]);
    let read = |line: &str| -> serde_json::Value {
        let seen = fake.appctl(line);
        let (code, out) = seen.said();
        assert_eq!(code, 0, "{line}");
        serde_json::from_str(out).unwrap()
    };
    let status = read("status --json");
    assert_eq!(status[0]["name"], "web");
    assert_eq!(status[0]["state"], "RUNNING");
    assert_eq!(status[0]["uptime"], 62);
    let avail = read("avail --json");
    assert_eq!(
        (&avail[0]["in_use"], &avail[0]["process_priority"]),
        (&true.into(), &2.into())
    );
    assert_eq!(
        read("reread --json")[0],
        serde_json::json!({"group": "new", "change": "available"})
    );
    let event = read("events --json");
    assert_eq!(
        (&event["to"], &event["why"]),
        (&"EXITED".into(), &"exit status 1".into())
    );
}

#[test]
fn deeds() {
    let fake = Fake::answering(&[
        (
            "start web job",
            "- job error code=already-started text=\"it is started already\"\n- web started\nerr partial x\n",
        ),
        ("start --no-wait web", "- web started\nok\n"),
        (
            "start bad",
            "- bad error code=no-file text=\"can't find command '/x'\"\nerr no-file x\n",
        ),
        (
            "stop web",
            "- web error code=not-running text=\"it is not running\"\nerr not-running x\n",
        ),
        (
            "signal HUP web",
            "- web error code=not-running text=\"it is not running\"\nerr not-running x\n",
        ),
        ("restart web", "- web stopped\n- web started\nok\n"),
        ("clearmain", "ok\n"),
        ("clear web", "- web cleared\nok\n"),
        ("reload", "ok\n"),
        ("reload --all", "ok\n"),
        (
            "update",
            "- diagnostic=\"c.conf:3: no such user\"\nerr cannot-reread the configuration is broken\n",
        ),
        ("pid web", "- web RUNNING pid=12 group=web\nok\n"),
        ("pid", "- 77\nok\n"),
        ("status web", &format!("{RUNNING}ok\n")),
    ]);
    let done = |line: &str| {
        let seen = fake.appctl(line);
        (seen.code.unwrap(), seen.out, seen.err)
    };
    let said = |code: i32, out: &str, err: &str| (code, out.to_string(), err.to_string());
    for (line, expected) in [
        (
            "start web job",
            said(0, "job: it is started already\nweb: started\n", ""),
        ),
        ("start --no-wait web", said(0, "web: started\n", "")),
        ("start bad", said(1, "", "bad: can't find command '/x'\n")),
        ("stop web", said(0, "web: it is not running\n", "")),
        ("signal HUP web", said(1, "", "web: it is not running\n")),
        ("restart web", said(0, "web: stopped\nweb: started\n", "")),
        ("clear --main web", said(0, "web: cleared\n", "")),
        ("reload", said(0, "", "")),
        ("reload --all", said(0, "", "")),
        (
            "update",
            said(
                1,
                "",
                "c.conf:3: no such user\nappctl: the configuration is broken\n",
            ),
        ),
        ("pid web", said(0, "12\n", "")),
        ("pid", said(0, "77\n", "")),
        (
            "start",
            said(
                2,
                "",
                "appctl: start what? Name it; see `appctl help start`\n",
            ),
        ),
        (
            "nonsense",
            said(
                2,
                "",
                "appctl: there is no command nonsense; `appctl help` lists them\n",
            ),
        ),
    ] {
        assert_eq!(done(line), expected, "{line}");
    }
}

#[test]
fn logs_are_raw_in_a_pipe() {
    let fake = Fake::answering(&[
        ("tail web stdout", "= 4 stdout\na\x1b[2\nok\n"),
        ("tail -c 100 web stderr", "= 1 stderr\nx\nok\n"),
        ("tail --from 0 web stdout", "= 1 stdout\ny\nok\n"),
        ("maintail -c 5", "= 1 main\nz\nok\n"),
        (
            "tail none stdout",
            "err no-log-file there is no such log file\n",
        ),
    ]);
    assert_eq!(fake.appctl("tail web").said(), (0, "a\x1b[2"));
    assert_eq!(fake.appctl("tail -100 web stderr").said(), (0, "x"));
    assert_eq!(fake.appctl("tail -n 0 web").said(), (0, "y"));
    assert_eq!(fake.appctl("maintail -5").said(), (0, "z"));
    let seen = fake.appctl("tail none");
    assert_eq!(
        (seen.code, seen.err.as_str()),
        (Some(1), "appctl: there is no such log file\n")
    );
}

#[test]
fn ctrl_c_ends_following_with_success() {
    let stream = format!("= 6 stdout\nready\n\n{STREAM}");
    let fake = Fake::answering(&[
        ("tail -f web stdout", &stream),
        (
            "events -f",
            &format!("- PROCESS_STATE_STARTING sequence=1 name=web group=web\n{STREAM}"),
        ),
    ]);
    for (program, line, code, last) in [
        ("appctl", "tail -f web", 0, ""),
        ("appctl", "events -f", 0, ""),
        ("supervisorctl", "tail -f web", 0, "\n"),
    ] {
        let mut command = fake.program(program);
        command.args(["-s", &fake.url()]).args(line.split(' '));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        // Ctrl-C may come as soon as something of the answer is there, not before.
        while !text.contains("ready") && !text.contains("STARTING") {
            assert_ne!(out.read_line(&mut text).unwrap(), 0, "{line}: {text}");
        }
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        assert_eq!(
            (child.wait().unwrap().code(), rest.as_str()),
            (Some(code), last),
            "{line}"
        );
    }
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let long = "x".repeat(60_000);
    let fake = Fake::answering(&[(
        "tail -f web stdout",
        &format!("= 60000 stdout\n{long}\n").repeat(100),
    )]);
    let mut command = fake.program("appctl");
    command.args(["-s", &fake.url(), "tail", "-f", "web"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let seen = Seen::of(child.wait_with_output().unwrap());
    assert_eq!((seen.code, seen.err.as_str()), (Some(141), ""));
}

#[test]
fn a_daemon_that_cannot_be_reached_is_named() {
    let fake = Fake::absent();
    let path = fake.socket();
    let seen = fake.appctl("status");
    assert_eq!(seen.code, Some(4));
    let missing = format!("no daemon is listening on {}: no such file", path.display());
    assert!(
        seen.err.contains(&missing) && seen.err.contains("`appctl daemon`"),
        "{}",
        seen.err
    );
    drop(UnixListener::bind(&path).unwrap());
    assert!(fake.appctl("stop web").err.contains("left behind"));
    let http = Seen::of(
        fake.program("appctl")
            .args(["-s", "http://localhost:9001", "status"])
            .output()
            .unwrap(),
    );
    assert_eq!(http.code, Some(4));
    assert!(http.err.contains("only unix sockets"), "{}", http.err);
}

#[test]
fn a_brain_that_dies_with_the_connection_is_followed_by_another() {
    let fake = Fake::absent();
    let listener = UnixListener::bind(fake.socket()).unwrap();
    let daemon = std::thread::spawn(move || {
        // The first brain dies before hello, the second before the answer.
        drop(listener.accept().unwrap());
        for answers in [false, true] {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let mut stream = stream;
            assert_eq!(lines.next().unwrap().unwrap(), "hello");
            stream.write_all(b"ok\n").unwrap();
            assert_eq!(lines.next().unwrap().unwrap(), "status");
            if answers {
                stream
                    .write_all(format!("{RUNNING}ok\n").as_bytes())
                    .unwrap();
            }
        }
    });
    assert_eq!(fake.appctl("status").said().0, 0);
    daemon.join().unwrap();
}

#[test]
fn following_goes_on_with_the_next_brain_at_the_same_place() {
    let fake = Fake::absent();
    let listener = UnixListener::bind(fake.socket()).unwrap();
    let daemon = std::thread::spawn(move || {
        let script = [
            (
                "tail -f -c 5 web stdout",
                "- stdout offset=10 size=13\n= 3 stdout\none\n",
            ),
            (
                "tail -f --from 13 web stdout",
                "- stdout offset=13\n= 4 stdout\n two\n- stdout restarted\n= 2 stdout\n 3\n",
            ),
            ("tail -f --from 2 web stdout", "- stdout offset=2\nok\n"),
        ];
        for (expected, answer) in script {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            assert_eq!(lines.next().unwrap().unwrap(), "hello");
            stream.write_all(b"ok\n").unwrap();
            assert_eq!(lines.next().unwrap().unwrap(), expected);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    assert_eq!(fake.appctl("tail -f -5 web").said(), (0, "one two 3"));
    daemon.join().unwrap();
}

#[test]
fn what_changes_something_is_not_asked_twice() {
    let fake = Fake::absent();
    let listener = UnixListener::bind(fake.socket()).unwrap();
    let daemon = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut stream = stream;
        lines.next();
        stream.write_all(b"ok\n").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "restart web");
        drop((lines, stream));
        listener.set_nonblocking(true).unwrap();
        listener
    });
    let seen = fake.appctl("restart web");
    assert_eq!(seen.code, Some(1));
    assert!(
        seen.err.contains("hung up before it had answered"),
        "{}",
        seen.err
    );
    let listener = daemon.join().unwrap();
    assert!(listener.accept().is_err(), "it came back");
}

#[test]
fn the_shell_reads_lines() {
    let fake = Fake::answering(&[
        ("status", &format!("{RUNNING}ok\n")),
        ("stop \"two words\"", "- \"two words\" stopped\nok\n"),
    ]);
    let mut command = fake.program("appctl");
    command.arg("-s").arg(fake.socket());
    let seen = fake.fed(command, "stop 'two words'\nstat\nquit\nnot read\n");
    assert_eq!(seen.code, Some(0));
    assert_eq!(
        seen.out,
        "web                              RUNNING   pid 12, uptime 0:01:02\n\
         appctl> two words: stopped\nappctl> appctl> "
    );
    assert_eq!(
        seen.err,
        "appctl: there is no command stat; did you mean status?\n"
    );
}
