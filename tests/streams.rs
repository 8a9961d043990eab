//! Streams that do not go to their file as they are: every line of them arrives once, whatever
//! happens to the brain.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use lab::http::free_port;
use lab::numbers::Tally;
use lab::{Lab, rotated, tools};

/// Kills the brain ten times while a log grows.
fn kill_brain_under_load(lab: &Lab, log: &str) {
    for _ in 0..10 {
        let bytes = |lab: &Lab| std::fs::metadata(lab.path(log)).map_or(0, |file| file.len());
        let before = bytes(lab);
        lab.replace_brain();
        lab.until("output flows again", |lab| bytes(lab) != before);
    }
}

#[test]
fn stripped_streams_lose_and_double_no_line_when_the_brain_is_killed() {
    // Without this: whoever strips colours from a log gives up the promise that nothing is lost.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "coloured",
        "e=$(printf '\\033'); i=1\n\
         while :; do seq -f \"$e[1m%.0f$e[0m\" $i $((i+9999)); i=$((i+10000)); sleep 0.02; done",
    );
    let lab = lab.started(
        "strip_ansi=true\n\
         [program:a]\ncommand=@D@/coloured\nstdout_logfile=@D@/a.log\nstopasgroup=true\n\
         stdout_logfile_maxbytes=500KB\nstdout_logfile_backups=1000\n",
    );
    lab.wait_text("a.log", "\n");
    kill_brain_under_load(&lab, "a.log");
    assert_eq!(lab.ctl("stop a").code, 0);
    let files = rotated(&lab.path("a.log"));
    let tally = Tally::of_files(&files);
    eprintln!("{} lines in {} files", tally.lines, files.len());
    tally.assert_complete();
}

/// What the program wrote, out of `prefix` or `json` records. A record that was torn counts as a
/// line that is no number; parts of a line are put together.
fn written(records: &str) -> String {
    let mut text = String::new();
    for record in records
        .split_inclusive('\n')
        .filter(|record| record.ends_with('\n'))
    {
        let record = record.trim_end();
        let head = record.starts_with("20") || record.starts_with("{\"time\":\"20");
        let part = record
            .split_once(" stdout | ")
            .or_else(|| record.split_once(" stdout + "))
            .or_else(|| record.split_once("\"message\":\""))
            .filter(|_| head);
        let part = part.map_or("torn", |(_, part)| part);
        text += part
            .trim_end_matches("\"}")
            .trim_end_matches("\",\"partial\":true}");
        if !record.contains(" stdout + ") && !record.ends_with(",\"partial\":true}") {
            text.push('\n');
        }
    }
    text
}

#[test]
fn lines_with_time_and_name_lose_and_double_nothing_when_the_brain_is_killed() {
    // Without this: whoever wants times in his logs gives up the promise that nothing is lost.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "bursts",
        "trap 'end=1' TERM; i=1\n\
         while [ -z \"$end\" ]; do seq $i $((i+4999)); i=$((i+5000)); sleep 0.02; done",
    );
    let options = "stdout_logfile_maxbytes=500KB\nstdout_logfile_backups=1000\n";
    let lab = lab.started(&format!(
        "[program:prefix]\ncommand=@D@/bursts\nstdout_logfile=@D@/prefix.log\nstdout_format=prefix\n{options}\
         [program:json]\ncommand=@D@/bursts\nstdout_logfile=@D@/json.log\nstdout_format=json\n\
         stdout_format_time=local\n{options}"
    ));
    lab.wait_text("json.log", "\"message\":\"");
    kill_brain_under_load(&lab, "prefix.log");
    assert_eq!(lab.ctl("stop all").code, 0);
    for name in ["prefix", "json"] {
        let files = rotated(&lab.path(&format!("{name}.log")));
        let records: String = files
            .iter()
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect();
        let tally = Tally::of(&written(&records));
        eprintln!("{name}: {} lines in {} files", tally.lines, files.len());
        tally.assert_complete();
        assert!(files.len() > 2, "there were rotations");
    }
}

#[test]
fn the_beginning_of_a_line_is_written_soon_and_its_end_at_the_end_of_the_program() {
    // Without this: a prompt without newline is never seen, or the last words of a program are not.
    ours_only!();
    let lab = Lab::new();
    lab.script(
        "prompt",
        "printf 'password: '; while [ ! -e @D@/go ]; do sleep 0.01; done; echo ok; printf bye",
    );
    let lab = lab.started(
        "[program:a]\ncommand=@D@/prompt\nstdout_logfile=@D@/a.log\nstdout_format=prefix\n\
         redirect_stderr=true\nautorestart=false\nstartsecs=0\n",
    );
    lab.wait_text("a.log", " a stdout + password: \n");
    lab.write("go", "");
    lab.wait_state("a", "EXITED");
    let text = lab.read("a.log");
    let records: Vec<&str> = text
        .lines()
        .map(|record| record.split_once('Z').unwrap().1)
        .collect();
    assert_eq!(
        records,
        [
            " a stdout + password: ",
            " a stdout | ok",
            " a stdout | bye"
        ]
    );
    // And `logs` knows when it was written.
    assert_eq!(
        lab.appctl("logs --since 1h -n 1 --no-prefix")
            .out
            .split(" a ")
            .nth(1),
        Some("stdout | bye\n")
    );
    assert_eq!(lab.appctl("logs --since 2100-01-01").out, "");
}

/// What comes to a datagram socket, until it is told to stop by the last line of a program.
fn receive(socket: &UnixDatagram, last: &str) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    let mut bytes = vec![0; 65536];
    socket.set_read_timeout(Some(lab::PATIENCE)).unwrap();
    while !messages
        .last()
        .is_some_and(|message| message.trim_end().ends_with(last))
    {
        let count = socket.recv(&mut bytes).unwrap();
        messages.push(String::from_utf8_lossy(&bytes[..count]).into_owned());
    }
    messages
}

#[test]
fn a_real_syslog_understands_what_it_is_sent() {
    // Without this: messages that look right here arrive elsewhere under wrong tags and facilities.
    ours_only!();
    if !tools::has("rsyslogd", "messages to a syslog that is not ours") {
        return;
    }
    let lab = Lab::new();
    let (udp, tcp) = (free_port(), free_port());
    lab.write(
        "rsyslog.conf",
        &format!(
            "module(load=\"imuxsock\" SysSock.Use=\"off\")\nmodule(load=\"imudp\")\nmodule(load=\"imtcp\")\n\
             input(type=\"imuxsock\" Socket=\"@D@/syslog\")\n\
             input(type=\"imudp\" address=\"127.0.0.1\" port=\"{udp}\")\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{tcp}\")\n\
             template(name=\"it\" type=\"string\" string=\"%inputname% %syslogfacility-text%.%syslogseverity-text% \
             v%protocol-version% [%programname%]%msg%\\n\")\n\
             action(type=\"omfile\" file=\"@D@/received\" template=\"it\")\n"
        ),
    );
    let _rsyslogd = Running(
        Command::new("rsyslogd")
            .args(["-n", "-f"])
            .arg(lab.path("rsyslog.conf"))
            .arg("-i")
            .arg(lab.path("rsyslog.pid"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    lab.wait_file("syslog");
    lab.until("it listens", |_| {
        std::net::TcpStream::connect(("127.0.0.1", tcp)).is_ok()
    });
    lab.script(
        "speak",
        "printf '%s: one\\ntwo <5> [x] ü\\n' $1; printf 'no end'; exec sleep 1000",
    );
    let mut programs = String::new();
    for (number, (to, format)) in [
        ("syslog://@D@/syslog".to_owned(), "rfc3164"),
        (format!("udp://127.0.0.1:{udp}"), "rfc3164"),
        (format!("udp://127.0.0.1:{udp}"), "rfc5424"),
        (format!("tcp://127.0.0.1:{tcp}"), "rfc3164"),
        (format!("tcp://127.0.0.1:{tcp}"), "rfc5424"),
    ]
    .iter()
    .enumerate()
    {
        programs += &format!(
            "[program:p{number}]\ncommand=@D@/speak p{number}\nstdout_logfile={to}\n\
             stdout_syslog_tag=tag{number}\nstdout_syslog_facility=local{number}\n\
             stdout_syslog_format={format}\n"
        );
    }
    let lab = lab.started(&programs);
    for (number, (input, version)) in [
        ("imuxsock", 0),
        ("imudp", 0),
        ("imudp", 1),
        ("imtcp", 0),
        ("imtcp", 1),
    ]
    .iter()
    .enumerate()
    {
        // What stands behind the colon of an old message begins with its blank.
        let blank = if *version == 0 { " " } else { "" };
        for text in [&format!("p{number}: one"), "two <5> [x] ü", "no end"] {
            let expected =
                format!("{input} local{number}.info v{version} [tag{number}]{blank}{text}\n");
            lab.wait_text("received", &expected);
        }
    }
}

/// A process that ends with its test.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn output_goes_to_several_places_at_once() {
    // Without this: a container needs a sidecar to have its logs in a file and on its output, and
    // whoever has a syslog needs a pipe to `logger` for each program.
    ours_only!();
    let lab = Lab::new();
    let syslog = UnixDatagram::bind(lab.path("syslog")).unwrap();
    let journal = UnixDatagram::bind(lab.path("journal")).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let (udp_port, tcp_port) = (
        udp.local_addr().unwrap().port(),
        tcp.local_addr().unwrap().port(),
    );
    let lab = lab.started(&format!(
        "silent=true\n\
         [program:a]\ncommand=/usr/bin/seq 1 50\nautorestart=false\nstartsecs=0\n\
         stdout_syslog_tag=shop\nstdout_syslog_facility=local0\nstdout_format=prefix\n\
         stdout_logfile=@D@/a,b.log, /dev/stdout, syslog://@D@/syslog, journald://@D@/journal, \
         udp://127.0.0.1:{udp_port}, tcp://127.0.0.1:{tcp_port}\n"
    ));
    let messages = receive(&syslog, " 50");
    assert_eq!(messages.len(), 50);
    assert!(
        messages[0].starts_with("<134>") && messages[0].ends_with(" shop: 1"),
        "{messages:?}"
    );
    let messages = receive(&journal, "=50");
    assert_eq!(messages.len(), 50);
    assert!(
        messages[1].ends_with("APPCTL_NAME=a\nAPPCTL_STREAM=stdout\nMESSAGE=2\n"),
        "{messages:?}"
    );
    udp.set_read_timeout(Some(lab::PATIENCE)).unwrap();
    let mut bytes = [0; 1000];
    let count = udp.recv(&mut bytes).unwrap();
    let message = String::from_utf8_lossy(&bytes[..count]);
    assert!(
        message.starts_with("<134>1 20") && message.ends_with(" shop - stdout - 1"),
        "{message}"
    );
    let (mut connection, _) = tcp.accept().unwrap();
    let mut all = String::new();
    connection.set_read_timeout(Some(lab::PATIENCE)).unwrap();
    while !all.ends_with(" 50") {
        let count = connection.read(&mut bytes).unwrap();
        all.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    assert_eq!(all.matches(" shop - stdout - ").count(), 50);
    for file in ["a,b.log", "daemon.out"] {
        Tally::of(&written(&lab.wait_text(file, "| 50\n"))).assert_complete();
    }
}

#[test]
fn a_dead_or_slow_place_holds_up_nothing_and_is_told() {
    // Without this: a syslog that hangs stops every program that logs to it.
    ours_only!();
    let lab = Lab::new();
    // Nobody reads the one, nobody listens at the other.
    let slow = UnixDatagram::bind(lab.path("slow")).unwrap();
    let lab = lab.started(
        "[program:a]\ncommand=/usr/bin/seq 1 20000\nautorestart=false\nstartsecs=0\n\
         stdout_logfile=@D@/a.log, syslog://@D@/slow, syslog://@D@/dead\n\
         [program:b]\ncommand=/bin/sh -c \"echo one; exec sleep 1000\"\n\
         stdout_logfile=NONE, syslog://@D@/late\n",
    );
    lab.wait_state("a", "EXITED");
    Tally::of(&lab.wait_text("a.log", "\n20000\n")).assert_complete();
    lab.wait_main_log("cannot write to syslog://");
    let trouble = |lab: &Lab, name: &str| {
        let answer = lab.session().ask(&format!("status {name}"));
        answer.rows.concat().contains("log_trouble")
    };
    lab.until("the trouble shows in status", |lab| {
        trouble(lab, "a") && trouble(lab, "b")
    });
    let late = UnixDatagram::bind(lab.path("late")).unwrap();
    assert!(receive(&late, " one")[0].contains(" supervisord["));
    lab.until("it is over", |lab| !trouble(lab, "b"));
    // What the slow one did not get is counted.
    let mut bytes = [0; 1000];
    slow.set_read_timeout(Some(lab::PATIENCE)).unwrap();
    loop {
        let count = slow.recv(&mut bytes).unwrap();
        if String::from_utf8_lossy(&bytes[..count]).contains("lines were dropped here") {
            break;
        }
    }
}

#[test]
fn the_daemons_own_output_is_never_sought_or_rotated() {
    // Without this: "Illegal seek" for everyone who forgets `stdout_logfile_maxbytes=0`.
    ours_only!();
    let lab = Lab::new();
    let mut command = lab.daemon_command();
    lab.configure(
        "silent=true\n[program:a]\ncommand=/usr/bin/seq 1 50000\nautorestart=false\nstartsecs=0\n\
         stdout_logfile=/dev/stdout\nstdout_logfile_maxbytes=1KB\n",
    );
    let mut daemon = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut seen = String::new();
    let mut out = daemon.stdout.take().unwrap();
    let mut piece = [0; 4096];
    while !seen.ends_with("\n50000\n") {
        let count = out.read(&mut piece).unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(std::str::from_utf8(&piece[..count]).unwrap());
    }
    Tally::of(&seen).assert_complete();
    // A device is neither read nor removed.
    let refused = "a: ERROR (unknown error reading log)\n";
    lab.expect("tail a", 1, refused);
    lab.expect("clear a", 1, "a: ERROR (failed)\n");
    lab::signal(daemon.id() as i32, "TERM");
    assert!(daemon.wait().unwrap().success());
}
