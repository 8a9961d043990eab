//! Sessions over real sockets, with clients that behave well, badly and not at all.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod control_support;

use std::fs;
use std::io::{BufRead, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use appctl::control::limits::Limits;
use appctl::control::line::{AnswerLine, LINE_MAX, RAW_MAX};
use appctl::control::verbs::VERBS;
use appctl::control::{Ask, Question};
use control_support::{Client, Daemon, PATIENCE};
use proptest::prelude::*;

/// A client that expects one more line, which begins like this, and then the end.
fn assert_ends_with(mut client: Client, begin: &str) {
    let line = client.line().unwrap();
    assert!(line.starts_with(begin), "{line}");
    assert_eq!(client.rest(), b"", "the connection goes on");
}

#[test]
fn requests_of_one_connection_are_answered_in_order() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    assert_eq!(client.ask("version"), ["- 0.1.0", "ok"]);
    assert_eq!(
        client.ask("pid web worker:0"),
        ["- web 4711", "- worker:0 0", "ok"]
    );
    assert_eq!(
        client.ask("start worker:* nosuch"),
        [
            "- worker:0 started",
            "- worker:1 started",
            "- nosuch error code=no-such-process text=\"no process has that name\"",
            "err partial 1 of 3 not done",
        ]
    );
    assert_eq!(client.ask("hello 1").len(), 2);
    assert!(client.ask("hello 2")[0].starts_with("err unsupported-version"));
    assert_eq!(client.ask("help").len(), VERBS.len() + 1);
    assert_eq!(client.ask("quit"), ["ok"]);
    assert_eq!(client.rest(), b"");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    let mut writer = client.stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        for n in 0..3000 {
            writeln!(writer, "{}", ["version", "pid web", "nosuch"][n % 3]).unwrap();
        }
    });
    for n in 0..3000 {
        let answer = client.answer();
        match n % 3 {
            0 => assert_eq!(answer, ["- 0.1.0", "ok"]),
            1 => assert_eq!(answer, ["- web 4711", "ok"]),
            _ => assert!(answer[0].starts_with("err unknown-verb")),
        }
    }
    sender.join().unwrap();
}

#[test]
fn an_answer_is_not_held_back_by_half_a_line_behind_it() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    client.send("nosuch\nvers");
    assert!(client.answer()[0].starts_with("err unknown-verb"));
    client.send("ion\r\n\n \n");
    assert_eq!(client.answer(), ["- 0.1.0", "ok"]);
}

#[test]
fn a_client_that_ended_its_half_gets_the_whole_answer() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    client.send("status many\nversion\n");
    client.close_half();
    assert_eq!(client.answer().len(), 20_001);
    assert_eq!(client.rest(), b"- 0.1.0\nok\n");
}

#[test]
fn a_line_that_was_cut_off_is_not_carried_out() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    client.send("version\nstop web");
    client.close_half();
    assert_eq!(client.answer(), ["- 0.1.0", "ok"]);
    assert_ends_with(client, "err bad-arguments the line does not end");
    assert_eq!(daemon.asked.iter().next(), Some(Ask::Version));
    assert!(
        daemon.asked.try_recv().is_err(),
        "the half line was carried out"
    );
}

#[test]
fn garbage_is_answered_with_an_error_and_forgiven() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    let table: &[(&[u8], &str)] = &[
        (b"\xff\xfe\xfd\n", "err not-utf8"),
        (b"\x00\x00\n", "err bad-arguments"),
        (b"\x1b[2Jstatus\n", "err bad-arguments"),
        (b"'open\n", "err bad-arguments"),
        (b"- web started\n", "err unknown-verb"),
        (b"get / http/1.1\n", "err unknown-verb"),
        (
            b"start\n",
            "err bad-arguments no process is named; usage: start",
        ),
    ];
    for (line, begin) in table {
        client.send(line);
        let answer = client.answer();
        assert!(answer[0].starts_with(begin), "{line:?}: {answer:?}");
    }
    assert_eq!(client.ask("version"), ["- 0.1.0", "ok"]);
}

#[test]
fn a_line_may_be_so_long_and_no_longer() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    let filled = format!("stdin web {}", "x".repeat(LINE_MAX - "stdin web ".len()));
    assert_eq!(client.ask(&filled), ["ok"]);
    client.send(format!("{filled}x\n"));
    assert_ends_with(client, "err line-too-long");

    // Without a newline there is no need to wait for more.
    let mut client = daemon.client();
    client.send("y".repeat(LINE_MAX + 1));
    assert_ends_with(client, "err line-too-long");
}

#[test]
fn silent_and_slow_clients_are_told_and_closed() {
    let daemon = Daemon::within(Limits {
        idle: Duration::from_millis(50),
        ..Limits::default()
    });
    assert_ends_with(daemon.client(), "err timeout no request came");
    let daemon = Daemon::within(Limits {
        request: Duration::from_millis(50),
        ..Limits::default()
    });
    let mut client = daemon.client();
    client.send("stat");
    assert_ends_with(client, "err timeout the line was not complete");
    let mut client = daemon.client();
    client.send("GE");
    assert_ends_with(client, "err timeout the line was not complete");
    // A byte now and then is no way around it.
    let mut client = daemon.client();
    let mut writer = client.stream.try_clone().unwrap();
    let step = Some(Duration::from_millis(10));
    client.stream.set_read_timeout(step).unwrap();
    while writer.write_all(b"x").is_ok() && client.reader.fill_buf().is_err() {}
    client.stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_ends_with(client, "err timeout the line was not complete");
}

/// A client that follows a log, however short the limits are.
fn follower(daemon: &Daemon) -> Client {
    let follow = |_| {
        let mut client = daemon.client();
        // On a busy machine its request may come too late.
        client.stream.write_all(b"tail -f web\n").ok()?;
        let line = client.line().unwrap_or_default();
        let begun = line == "- stdout offset=0 size=0";
        assert!(begun || line.starts_with("err timeout"), "{line}");
        begun.then_some(client)
    };
    (0..1000).find_map(follow).expect("a stream")
}

#[test]
fn a_stream_is_not_idle() {
    let daemon = Daemon::within(Limits {
        idle: Duration::from_millis(50),
        request: Duration::from_millis(50),
        stall: Duration::from_millis(50),
        ..Limits::default()
    });
    fs::write(daemon.log(), "").unwrap();
    let mut client = follower(&daemon);
    // Others show that every limit has passed, several times.
    for _ in 0..4 {
        assert_ends_with(daemon.client(), "err timeout");
    }
    fs::write(daemon.log(), "late\n").unwrap();
    assert_eq!(client.block(), ("stdout".into(), b"late\n".to_vec()));
}

#[test]
fn a_slow_reader_delays_nobody_else_and_misses_nothing() {
    let daemon = Daemon::start();
    let mut slow = daemon.client();
    slow.send("status many\n");
    assert!(slow.line().unwrap().starts_with("- many:0 STOPPED"));
    for _ in 0..20 {
        assert_eq!(daemon.client().ask("version"), ["- 0.1.0", "ok"]);
    }
    for n in 1..20_000 {
        assert!(slow.line().unwrap().starts_with(&format!("- many:{n} ")));
    }
    assert_eq!(slow.line().unwrap(), "ok");
}

#[test]
fn a_reader_that_stands_still_is_given_up() {
    let daemon = Daemon::within(Limits {
        stall: Duration::from_millis(50),
        ..Limits::default()
    });
    let mut client = daemon.client();
    client.send("status many\n");
    let abandoned = daemon.abandoned.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(abandoned, Ask::Status(_)));
}

#[test]
fn a_client_that_hangs_up_abandons_its_request() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    client.send("start never\n");
    daemon.asked.recv_timeout(PATIENCE).unwrap();
    drop(client);
    let abandoned = daemon.abandoned.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(abandoned, Ask::Start { .. }));

    let mut client = daemon.client();
    client.send("events -f --since 0\n");
    client.close_half();
    for n in 1..1000 {
        let line = client.line().unwrap();
        assert!(line.contains(&format!(" sequence={n} ")), "{line}");
    }
    drop(client);
}

#[test]
fn three_hundred_clients_are_all_served() {
    let daemon = Daemon::start();
    let mut clients: Vec<Client> = (0..300).map(|_| daemon.client()).collect();
    for client in &mut clients {
        client.send("version\n");
    }
    // Those for whom there is no place yet get one when others leave.
    for mut client in clients {
        assert_eq!(client.answer(), ["- 0.1.0", "ok"]);
    }
}

#[test]
fn a_turn_that_takes_nothing_is_called_busy_and_one_that_ended_gone() {
    let limits = Limits {
        accept: Duration::from_millis(50),
        ..Limits::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let listener = appctl::control::listener::bind_unix(&socket, 0o600, (None, None)).unwrap();
    let (questions, turn) = async_std::channel::bounded(1);
    let fill = questions.clone();
    let serving = appctl::control::server::serve_within(
        limits,
        listener,
        appctl::control::server::Rooms {
            questions,
            http: None,
            guarded: false,
        },
    );
    async_std::task::spawn(serving);
    let ask = || {
        let (reply, answers) = async_std::channel::bounded(1);
        let question = Question {
            ask: Ask::Pid,
            peer: None,
            connection: None,
            reply,
        };
        (question, answers)
    };
    fill.try_send(ask().0).unwrap();
    let mut client = Client::at(&socket);
    let answer = client.ask("version");
    assert!(answer[0].starts_with("err busy"), "{answer:?}");

    turn.try_recv().unwrap();
    client.send("version\n");
    let question = async_std::task::block_on(turn.recv()).unwrap();
    assert_eq!(question.ask, Ask::Version);
    drop(question);
    assert!(client.answer()[0].starts_with("err failed the daemon ended before"));

    drop(turn);
    assert!(client.ask("version")[0].starts_with("err shutting-down"));
}

#[test]
fn http_is_told_apart() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    // It is answered, and hung up on, as soon as the blank after the method has come.
    for piece in ["PO", "S", "T /RPC2 HTTP/1.1\r\nHost: x\r\n\r\n"] {
        client.send(piece);
    }
    client.close_half();
    let response = String::from_utf8(client.rest()).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 501 Not Implemented\r\n"),
        "{head}"
    );
    assert!(head.contains("Connection: close"), "{head}");
    assert!(
        head.contains(&format!("Content-Length: {}", body.len())),
        "{head}"
    );
}

#[test]
fn logs_are_sent_by_offset() {
    let daemon = Daemon::start();
    let mut client = daemon.client();
    assert!(client.ask("tail web")[0].starts_with("err no-log-file"));
    assert!(client.ask("tail nosuch")[0].starts_with("err no-such-process"));
    assert!(client.ask("maintail")[0].starts_with("err no-log-file"));
    let text: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
    fs::write(daemon.log(), &text).unwrap();

    client.send("tail -c 7 web\n");
    assert_eq!(client.line().unwrap(), "- stdout offset=199993 size=200000");
    assert_eq!(client.block(), ("stdout".into(), text[199_993..].to_vec()));
    assert_eq!(client.answer(), ["ok"]);

    client.send("tail --from 0 web STDERR\n");
    assert_eq!(client.line().unwrap(), "- stderr offset=0 size=200000");
    let mut read = Vec::new();
    while read.len() < text.len() {
        let (name, bytes) = client.block();
        assert!(bytes.len() <= RAW_MAX && name == "stderr");
        read.extend(bytes);
    }
    assert_eq!(read, text);
    assert_eq!(client.answer(), ["ok"]);
    assert_eq!(client.ask("tail --from 200000 web").last().unwrap(), "ok");
}

#[test]
fn a_followed_log_is_followed_over_its_rotation() {
    let daemon = Daemon::start();
    fs::write(daemon.log(), "old\n").unwrap();
    let mut client = daemon.client();
    client.send("tail -f web\n");
    assert_eq!(client.line().unwrap(), "- stdout offset=0 size=4");
    assert_eq!(client.block().1, b"old\n");
    let mut writer = fs::OpenOptions::new()
        .append(true)
        .open(daemon.log())
        .unwrap();
    writer.write_all(b"more\n").unwrap();
    assert_eq!(client.block().1, b"more\n");
    fs::rename(daemon.log(), daemon.folder.path().join("web.log.1")).unwrap();
    writer.write_all(b"last\n").unwrap();
    fs::write(daemon.log(), "new\n").unwrap();
    assert_eq!(client.block().1, b"last\n");
    assert_eq!(client.line().unwrap(), "- stdout restarted offset=0");
    assert_eq!(client.block().1, b"new\n");
}

/// Everything that comes back is a line of an answer, and there is an answer to whatever is not
/// blank, unless it knocks at another door.
fn assert_answered(daemon: &Daemon, bytes: &[u8]) {
    let mut stream = UnixStream::connect(daemon.socket()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let writer = stream.try_clone().unwrap();
    let sent = bytes.to_vec();
    let sender = std::thread::spawn(move || {
        // The daemon may close in the middle of it.
        let _ = (&writer).write_all(&sent);
        let _ = writer.shutdown(std::net::Shutdown::Write);
    });
    let mut read = Vec::new();
    let _ = stream.read_to_end(&mut read);
    sender.join().unwrap();
    let text = String::from_utf8(read).unwrap();
    if text.starts_with("HTTP/1.1 501") {
        return;
    }
    let lines: Vec<AnswerLine> = text.lines().map(|line| line.parse().unwrap()).collect();
    let blank = |line: &[u8]| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        line.iter().all(|byte| matches!(byte, b' ' | b'\t'))
    };
    let ends_in_half = !bytes.is_empty() && !bytes.ends_with(b"\n");
    if ends_in_half || !bytes.split(|byte| *byte == b'\n').all(blank) {
        assert!(
            matches!(
                lines.last(),
                Some(AnswerLine::Ok(_) | AnswerLine::Err { .. })
            ),
            "{bytes:?}: {text}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_are_answered(
        cases in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 8),
        odd in "(status|start|hello|signal|help|quit|update|\u{1b}|\n| |\"|'|\\\\|-|--no-wait|:|\\*){0,20}",
    ) {
        static DAEMON: std::sync::LazyLock<std::sync::Mutex<Daemon>> =
            std::sync::LazyLock::new(|| std::sync::Mutex::new(Daemon::start()));
        let daemon = DAEMON.lock().unwrap();
        for case in cases {
            assert_answered(&daemon, &case);
        }
        assert_answered(&daemon, odd.as_bytes());
    }
}
