//! Clients that send garbage, too much, too little or nothing: they harm nobody but themselves.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use lab::{Lab, Session, procfs};

/// A lab with one program, RUNNING.
fn lab() -> Lab {
    let lab = Lab::with("[program:a]\ncommand=/bin/sleep 1000\n");
    lab.wait_state("a", "RUNNING");
    lab
}

/// The daemon serves others as if nothing had happened.
#[track_caller]
fn assert_unharmed(lab: &Lab, brain: i32, program: i32) {
    let answer = lab.session().ask("status");
    assert!(answer.is_ok(), "{answer:?}");
    assert!(answer.rows[0].starts_with("a RUNNING"), "{answer:?}");
    assert!(
        answer.rows[0].contains(&format!("pid={program}")),
        "{answer:?}"
    );
    assert_eq!(
        lab.keeper_and_brain().1,
        brain,
        "no brain had to die for it"
    );
}

#[test]
fn nonsense_is_answered_with_an_error() {
    // Without this: a mistyped request hangs, or ends the daemon.
    ours_only!();
    let lab = lab();
    let (brain, program) = (lab.keeper_and_brain().1, lab.pid("a"));
    let mut session = lab.session();
    for request in [
        "nonsense",
        "start",
        "status \"unclosed",
        "signal",
        "tail a b c d e",
        "STATUS",
        "- a",
        "= 5 x",
        "ok",
    ] {
        let answer = session.ask(request);
        assert!(answer.end.starts_with("err "), "{request}: {answer:?}");
        assert!(
            answer.end.split(' ').count() > 2,
            "a code and a sentence: {answer:?}"
        );
    }
    assert!(
        session.ask("status").is_ok(),
        "the session goes on after errors"
    );
    assert_unharmed(&lab, brain, program);
}

#[test]
fn bytes_that_are_no_text_end_the_session_at_worst() {
    // Without this: anyone on the socket can crash the supervisor.
    ours_only!();
    let lab = lab();
    let (brain, program) = (lab.keeper_and_brain().1, lab.pid("a"));
    let hostile: [&[u8]; 9] = [
        b"\xff\xfe\xfd\n",
        b"\0\0\0\0\n",
        b"status \xc3\n",
        b"\n\n\n\n\n",
        b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /RPC2 HTTP/1.1\r\nContent-Length: 999999999999999999999\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"start %s%n%x \x1b[2J\n",
    ];
    for bytes in hostile {
        let mut session = lab.session();
        session.send(bytes);
        drop(session);
        assert_unharmed(&lab, brain, program);
    }
}

#[test]
fn an_endless_line_is_refused_and_not_stored() {
    // Without this: one client makes the daemon eat all memory.
    ours_only!();
    let lab = lab();
    let (brain, program) = (lab.keeper_and_brain().1, lab.pid("a"));
    let before = procfs::pss_kib(brain);
    let mut session = lab.session();
    let piece = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while sent < 64 && session.send(&piece) {
        sent += 1;
    }
    assert!(sent < 64, "64 MiB without a newline were swallowed");
    assert!(
        procfs::pss_kib(brain) < before + 8 * 1024,
        "and kept in memory"
    );
    assert_unharmed(&lab, brain, program);
    // A line that is long, but within the bound, is read as a whole.
    let answer = lab.session().ask(&format!("status {}", "x".repeat(60_000)));
    assert!(answer.end.starts_with("err "), "{answer:?}");
}

#[test]
fn half_a_line_and_idle_clients_keep_nobody_waiting() {
    // Without this: one hanging script locks everyone out.
    ours_only!();
    let lab = lab();
    let (brain, program) = (lab.keeper_and_brain().1, lab.pid("a"));
    let mut sessions: Vec<Session> = (0..40).map(|_| lab.session()).collect();
    for (index, session) in sessions.iter_mut().enumerate() {
        if index % 2 == 0 {
            session.send(b"stat");
        }
    }
    assert_unharmed(&lab, brain, program);
    assert!(sessions[0].send(b"us\n"));
    assert!(
        sessions[0].answer().unwrap().is_ok(),
        "nobody had to be ended for that, and the second half completes the request"
    );
}

#[test]
fn a_crowd_of_clients_is_limited_and_goes_away() {
    // Without this: leaked connections use up the descriptors that programs need.
    ours_only!();
    let lab = lab();
    let (brain, program) = (lab.keeper_and_brain().1, lab.pid("a"));
    let descriptors = || {
        std::fs::read_dir(format!("/proc/{brain}/fd"))
            .unwrap()
            .count()
    };
    assert_unharmed(&lab, brain, program);
    let before = descriptors();
    let crowd: Vec<UnixStream> = (0..1000)
        .map_while(|_| {
            let stream = UnixStream::connect(lab.socket()).ok()?;
            stream.set_nonblocking(true).ok()?;
            Some(stream)
        })
        .take_while(|mut stream| stream.write(b"stat").is_ok())
        .collect();
    assert!(
        descriptors() < before + 900,
        "the number of clients is bounded"
    );
    drop(crowd);
    lab.until("their descriptors are closed", |_| {
        descriptors() <= before + 2
    });
    assert_unharmed(&lab, brain, program);
}

#[test]
fn a_client_that_does_not_read_delays_only_itself() {
    // Without this: a suspended terminal with `tail -f` freezes supervision or logging.
    ours_only!();
    let lab = Lab::with(
        "[program:a]\ncommand=/bin/sleep 1000\n\
         [program:chatty]\ncommand=/usr/bin/seq 1 3000000\nstdout_logfile=@D@/chatty.log\nautostart=false\nautorestart=false\nstartsecs=0\n",
    );
    lab.wait_state("a", "RUNNING");
    let (brain, program) = (lab.keeper_and_brain().1, lab.pid("a"));
    lab.write("chatty.log", "");
    let mut deaf = lab.session();
    assert!(deaf.send(b"tail -f chatty\n"));
    let mut pipelined = lab.session();
    while pipelined.send(&b"status\n".repeat(1000)) {
        // Until our own time-out or a hang-up: answers are not read, so the daemon stops reading.
        if procfs::pss_kib(brain) > 64 * 1024 {
            panic!("answers pile up in the daemon");
        }
        if lab.path("started").exists() {
            break;
        }
        lab.write("started", "");
    }
    lab.expect("start chatty", 0, "chatty: started\n");
    lab.wait_state("chatty", "EXITED");
    lab.until("the log is complete", |lab| {
        std::fs::metadata(lab.path("chatty.log")).is_ok_and(|file| file.len() == 22_888_896)
    });
    assert_unharmed(&lab, brain, program);
}

#[test]
fn random_requests_never_break_it() {
    // Without this: some odd combination of words ends supervision.
    ours_only!();
    let lab = lab();
    let (brain, program) = (lab.keeper_and_brain().1, lab.pid("a"));
    let words = [
        "status",
        "avail",
        "help",
        "version",
        "pid",
        "tail",
        "-f",
        "-5",
        "-99999999999999999999",
        "a",
        "a:a",
        "a:*",
        "*",
        "?",
        "[",
        "all",
        "nosuch",
        "nosuch:*",
        ":",
        "::",
        "\"",
        "'",
        "\\",
        "\"a b\"",
        "stdout",
        "stderr",
        "signal",
        "CONT",
        "events",
        "hello",
        "1",
        "é",
        "\u{0}",
        "",
        "clear",
        "add",
        "remove",
        "=",
        "-",
        "--",
    ];
    // A fixed seed: a failure comes again.
    let mut seed: u64 = 0x5eed;
    let mut next = |bound: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % bound as u64) as usize
    };
    for _ in 0..300 {
        let mut stream = UnixStream::connect(lab.socket()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(5)))
            .unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        for _ in 0..=next(4) {
            let line: Vec<&str> = (0..=next(5)).map(|_| words[next(words.len())]).collect();
            if stream
                .write_all(format!("{}\n", line.join(" ")).as_bytes())
                .is_err()
            {
                break;
            }
        }
        let _ = stream.read(&mut [0; 4096]);
    }
    assert_unharmed(&lab, brain, program);
}
