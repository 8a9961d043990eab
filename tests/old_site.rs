//! What scripts use of Supervisor's site beside XML-RPC: log streams, forms and links, `tail.html`.
//!
//! These run against Python Supervisor as well (`APPCTL_TRIAL_BIN`), except where they say so.

mod lab;

use std::process::Command;

use lab::http::{Http, Reply, ask, free_port, get, request, tcp, unix};
use lab::{Lab, venv};

const PROGRAMS: &str = "[program:a]\ncommand=/bin/cat\nstdout_logfile=@D@/a.log\n\
    stdout_logfile_maxbytes=4KB\nstderr_logfile=@D@/a.err\n\
    [program:off]\ncommand=/bin/cat\nautostart=false\nstdout_logfile=NONE\n\
    [program:gone]\ncommand=@D@/no-such-file\nautostart=false\n\
    [group:g]\nprograms=b\n[program:b]\ncommand=/bin/sleep 1000\nstdout_logfile=@D@/b.log\n";

fn say(lab: &Lab, text: &str) {
    let xml = format!(
        "<methodCall><methodName>supervisor.sendProcessStdin</methodName><params>\
         <param><value><string>a</string></value></param>\
         <param><value><string>{text}\n</string></value></param></params></methodCall>"
    );
    assert_eq!(ask(lab, "POST /RPC2", &[], &xml).status, 200);
}

#[test]
fn logs_are_followed_over_http() {
    let mut lab = Lab::with(PROGRAMS);
    lab.wait_state("a", "RUNNING");
    say(&lab, "first");
    lab.wait_text("a.log", "first");
    for path in ["/logtail/a", "/logtail/a/stdout", "/logtail/a%3Aa"] {
        let kept = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut http = Http::send(unix(&lab), kept.as_bytes());
        assert_eq!(http.status(), 200, "{path}");
        let head = http.head.to_lowercase();
        assert!(
            head.contains("content-type: text/plain;charset=utf-8"),
            "{head}"
        );
        assert!(head.contains("last-modified: "), "{head}");
        assert!(head.contains("x-accel-buffering: no"), "{head}");
        assert!(head.contains("transfer-encoding: chunked"), "{head}");
        http.until("first\n");
        let word = path.replace(['/', '%'], "");
        say(&lab, &word);
        assert_eq!(http.until(&format!("{word}\n")), format!("{word}\n"));
    }
    for path in [
        "/logtail/",
        "/logtail/nosuch",
        "/logtail/a/nosuch",
        "/logtail/off",
    ] {
        assert_eq!(get(&lab, path).status, 404, "{path}");
    }
    assert_eq!(ask(&lab, "POST /logtail/a", &[], "").status, 400);
    let kept = b"GET /mainlogtail HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut main = Http::send(unix(&lab), kept);
    main.until("RUNNING state");
    lab.ctl("start off");
    main.until("spawned: 'off'");
    lab.shut_down();
}

#[test]
fn a_followed_log_goes_on_after_rotation_and_truncation_and_begins_with_its_end() {
    // Supervisor drops the connection where a file became shorter, and cuts at rotations.
    ours_only!();
    let mut lab = Lab::with(PROGRAMS);
    lab.wait_state("a", "RUNNING");
    say(&lab, &"x".repeat(2000));
    lab.until("it is written", |lab| lab.read("a.log").len() > 2000);
    let mut http = Http::send(unix(&lab), &request("GET /logtail/a", &[], b""));
    assert_eq!(http.until("x\n"), format!("{}\n", "x".repeat(1023)));
    for number in 0..40 {
        say(&lab, &format!("{} {number}.", "y".repeat(200)));
    }
    let all = http.until(" 39.");
    for number in 0..40 {
        assert!(all.contains(&format!(" {number}.")), "{number} in {all}");
    }
    assert!(lab.path("a.log.1").exists(), "it was rotated");
    std::fs::write(lab.path("a.log"), "").unwrap();
    http.until("==> File truncated <==\n");
    say(&lab, "after");
    http.until("after\n");
    lab.shut_down();
}

#[test]
fn a_log_is_followed_over_http_1_0() {
    // Supervisor sends nothing before 64 KiB have come.
    ours_only!();
    let mut lab = Lab::with(PROGRAMS);
    lab.wait_state("a", "RUNNING");
    say(&lab, "first");
    lab.wait_text("a.log", "first");
    let mut http = Http::send(unix(&lab), b"GET /logtail/a HTTP/1.0\r\n\r\n");
    assert!(!http.head.contains("chunked"), "{}", http.head);
    http.until("first\n");
    say(&lab, "second");
    http.until("second\n");
    lab.shut_down();
}

/// Where a reply leads, without its host.
fn led(reply: &Reply) -> String {
    let to = reply.header("location").unwrap_or_default();
    let message = to.split_once("?message=").map_or(to, |(_, rest)| rest);
    let mut bytes = Vec::new();
    let mut rest = message.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn links_and_forms_of_the_old_page_do_what_they_did() {
    let mut lab = Lab::with(PROGRAMS);
    lab.wait_state("a", "RUNNING");
    lab.wait_state("g:b", "RUNNING");
    for (query, message) in [
        ("action=stop&processname=a", "Process a stopped"),
        ("action=start&processname=a", "Process a started"),
        (
            "action=start&processname=a",
            "ERROR: Process a: already started",
        ),
        ("action=restart&processname=g%3Ab", "Process g:b restarted"),
        ("action=clearlog&processname=a", "Log for a cleared"),
        (
            "action=start&processname=gone",
            "ERROR: Process gone: no such file",
        ),
        (
            "action=start&processname=nosuch",
            "No such process named nosuch",
        ),
        (
            "action=stop&processname=off",
            "unexpected rpc fault [70] NOT_RUNNING: off",
        ),
    ] {
        let reply = get(&lab, &format!("/index.html?{query}"));
        assert!(matches!(reply.status, 301 | 303), "{}", reply.head);
        assert_eq!(led(&reply), message, "{query}");
    }
    for (query, message) in [
        ("action=refresh", "Page refreshed at "),
        ("action=stopall", "All stopped at "),
        ("action=restartall", "All restarted at "),
    ] {
        let reply = get(&lab, &format!("/?{query}"));
        assert!(led(&reply).starts_with(message), "{query}: {}", led(&reply));
    }
    assert_eq!(lab.state("a"), "RUNNING");
    let form = "Content-Type: application/x-www-form-urlencoded";
    let reply = ask(&lab, "POST /", &[form], "action=stop&processname=a");
    assert_eq!(led(&reply), "Process a stopped");
    assert_eq!(lab.state("a"), "STOPPED");
    lab.shut_down();
}

#[test]
fn pages_that_scripts_read() {
    let mut lab = Lab::with(PROGRAMS);
    lab.wait_state("a", "RUNNING");
    say(&lab, "&lt;b&gt; &amp;");
    lab.wait_text("a.log", "<b> &");
    let page = get(&lab, "/").text();
    for part in [
        "tail.html?processname=a",
        "statusrunning",
        "logtail/a/stderr",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let tail = get(&lab, "/tail.html?processname=a&limit=100").text();
    assert!(tail.contains("&lt;b"), "{tail}");
    assert!(!tail.contains("<b>"), "{tail}");
    for (path, text) in [
        ("/tail.html", "No process name found"),
        ("/tail.html?processname=off", "No file for off"),
        (
            "/tail.html?processname=nosuch",
            "ERROR: unexpected rpc fault [10] BAD_NAME: nosuch",
        ),
        ("/ok.html", "OK"),
        ("/index.html?message=%3Cb%3Ehello", "&lt;b"),
    ] {
        let reply = get(&lab, path);
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.text().contains(text), "{path}: {}", reply.text());
    }
    assert_eq!(get(&lab, "/stylesheets/supervisor.css").status, 200);
    assert_eq!(get(&lab, "/nosuch").status, 404);
    lab.shut_down();
}

#[test]
fn a_browser_cannot_be_talked_into_anything() {
    // Supervisor does what any page makes a browser ask for.
    ours_only!();
    let mut lab = Lab::with(PROGRAMS);
    lab.wait_state("a", "RUNNING");
    let stop = "GET /?action=stop&processname=a";
    let call = "<methodCall><methodName>supervisor.stopAllProcesses</methodName></methodCall>";
    for (line, headers, body) in [
        (stop, &["Accept-Language: en"][..], ""),
        (
            stop,
            &["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"],
            "",
        ),
        ("POST /", &["Origin: http://evil.example"], "action=stopall"),
        ("POST /", &["Origin: null"], "action=stopall"),
        (
            "POST /RPC2",
            &["Origin: http://evil.example", "Content-Type: text/plain"],
            call,
        ),
        ("POST /RPC2", &["Sec-Fetch-Site: cross-site"], call),
    ] {
        let reply = ask(&lab, line, headers, body);
        assert_eq!(reply.status, 403, "{line} {headers:?} {}", reply.text());
    }
    assert_eq!(lab.state("a"), "RUNNING");
    let typed = ask(
        &lab,
        stop,
        &["Accept-Language: en", "Sec-Fetch-Site: none"],
        "",
    );
    assert_eq!(led(&typed), "Process a stopped");
    lab.shut_down();
}

#[test]
fn supervisors_client_follows_logs() {
    ours_only!();
    let port = free_port();
    let mut lab = Lab::new();
    lab.configure(PROGRAMS);
    let text = lab.read("supervisord.conf");
    let server = format!("[inet_http_server]\nport=127.0.0.1:{port}\nusername=u\npassword=p:w\n");
    lab.write("supervisord.conf", &format!("{server}{text}"));
    lab.start();
    lab.wait_state("a", "RUNNING");
    say(&lab, "first");
    lab.wait_text("a.log", "first");
    assert_eq!(
        Http::send(tcp("127.0.0.1", port), &request("GET /logtail/a", &[], b"")).status(),
        401
    );
    let mut theirs = Command::new(venv::bin().unwrap().join("supervisorctl"));
    lab.prepare(&mut theirs);
    theirs.args([
        "-s",
        &format!("http://127.0.0.1:{port}"),
        "-u",
        "u",
        "-p",
        "p:w",
    ]);
    theirs
        .args(["tail", "-f", "a"])
        .env("PYTHONUNBUFFERED", "1");
    let out = std::fs::File::create(lab.path("followed")).unwrap();
    let mut child = theirs.stdout(out).spawn().unwrap();
    lab.wait_text("followed", "first");
    say(&lab, "second");
    lab.wait_text("followed", "second");
    child.kill().unwrap();
    child.wait().unwrap();
    lab.shut_down();
}
