//! HTTP clients that send garbage, too much, too little or nothing, and every hole that supervisors
//! with a web server have had: they harm nobody, and learn nothing.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::io::{Read, Write};
use std::net::TcpStream;

use lab::http::{Http, Reply, ask, free_port, get, request, tcp};
use lab::{Lab, PATIENCE};

const PROGRAMS: &str = "[program:a]\ncommand=/bin/cat\nstdout_logfile=@D@/a.log\n\
    environment=SECRET=\"hunter2\"\n";

/// A lab with these server sections in front.
fn serving(servers: &str) -> Lab {
    let mut lab = Lab::new();
    lab.configure(PROGRAMS);
    let text = lab.read("supervisord.conf");
    lab.write("supervisord.conf", &format!("{servers}{text}"));
    lab.start();
    lab.wait_state("a", "RUNNING");
    lab
}

/// A lab that serves a TCP port without a password.
fn open_port() -> (Lab, u16) {
    let port = free_port();
    let lab = serving(&format!("[inet_http_server]\nport=127.0.0.1:{port}\n"));
    (lab, port)
}

/// The daemon serves others as if nothing had happened, and did not have to die for it.
#[track_caller]
fn assert_unharmed(lab: &Lab, brain: i32) {
    let answer = lab.session().ask("status");
    assert!(answer.rows[0].starts_with("a RUNNING"), "{answer:?}");
    assert_eq!(get(lab, "/api/v1/processes/a").status, 200);
    assert_eq!(lab.keeper_and_brain().1, brain);
}

fn raw(port: u16, bytes: &[u8]) -> Reply {
    Http::send(tcp("127.0.0.1", port), bytes).whole()
}

#[test]
fn garbage_is_refused() {
    ours_only!();
    let (mut lab, port) = open_port();
    let brain = lab.keeper_and_brain().1;
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(1000));
    let wide = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(1_000_000));
    let table: [(&[u8], &[u16]); 16] = [
        (b"\0\xff\xfe\r\n\r\n", &[400, 0]),
        (b"nonsense\r\n\r\n", &[400]),
        (b"GET / HTTP/9.9\r\n\r\n", &[400, 505]),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", &[400]),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA\0: b\r\n\r\n", &[400]),
        (b"GET http://[/ HTTP/1.1\r\nHost: x\r\n\r\n", &[400]),
        (
            b"GET /%ff%fe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[400],
        ),
        (
            b"GET /%g1%2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            &[404],
        ),
        (b"POST /RPC2 HTTP/1.1\r\nContent-Length: -1\r\n\r\n", &[400]),
        (
            b"POST /RPC2 HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            &[400],
        ),
        (
            b"POST /RPC2 HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            &[400],
        ),
        (
            b"POST /RPC2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &[411],
        ),
        (
            b"POST /RPC2 HTTP/1.1\r\nTransfer-Encoding: x\r\nContent-Length: 1\r\n\r\nx",
            &[400],
        ),
        (long.as_bytes(), &[414, 431, 400, 0]),
        (many.as_bytes(), &[431]),
        (wide.as_bytes(), &[431, 0]),
    ];
    for (bytes, statuses) in table {
        let status = raw(port, bytes).status;
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
        assert!(statuses.contains(&status), "{status} for {shown:?}");
        assert_unharmed(&lab, brain);
    }
    // A body without an end is not gathered without one.
    let mut stream = tcp("127.0.0.1", port);
    let head = b"POST /api/v1/stdin/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head).unwrap();
    let chunk = format!("10000\r\n{}\r\n", "z".repeat(0x10000));
    let mut sent = 0;
    while sent < 1000 && stream.write_all(chunk.as_bytes()).is_ok() {
        sent += 1;
    }
    assert!(sent < 1000, "it took {sent} chunks of 64 KiB");
    assert_unharmed(&lab, brain);
    lab.shut_down();
}

/// What the server says before it hangs up.
fn last_words(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn slow_clients_are_ended_and_hold_up_nobody() {
    ours_only!();
    let (mut lab, port) = open_port();
    let brain = lab.keeper_and_brain().1;
    let mut slow_body = tcp("127.0.0.1", port);
    let head = b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n<";
    slow_body.write_all(head).unwrap();
    // More than there is room for: some send half a head, some nothing.
    let crowd: Vec<TcpStream> = (0..300)
        .map(|number| {
            let mut stream = tcp("127.0.0.1", port);
            if number % 2 == 0 {
                stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").unwrap();
            }
            stream
        })
        .collect();
    assert_unharmed(&lab, brain);
    // They are ended, and the port serves again, the crowd being there still.
    lab.until("the port serves", |_| serves(port));
    assert_unharmed(&lab, brain);
    drop(crowd);
    let words = last_words(slow_body);
    assert!(words.contains(" 408 "), "{words}");
    lab.shut_down();
}

#[test]
fn clients_that_are_gone_leave_their_places() {
    // Found by fuzzing: bytes of a further request hid from the server that nobody listened any more.
    ours_only!();
    let (mut lab, port) = open_port();
    let brain = lab.keeper_and_brain().1;
    for _ in 0..300 {
        let mut bytes = request("GET /logtail/a", &[], b"");
        bytes.extend(b"GET");
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
            break;
        };
        let _ = stream.write_all(&bytes);
        let _ = stream.read(&mut [0; 10]);
    }
    lab.until("the port serves", |_| serves(port));
    assert_unharmed(&lab, brain);
    lab.shut_down();
}

/// Whether the port answers a fresh connection.
fn serves(port: u16) -> bool {
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let reply = Http::send(stream, &request("GET /ok.html", &[], b"")).whole();
    reply.text() == "OK"
}

/// A connection from another address of this machine.
fn from_elsewhere(port: u16) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, ipproto, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::TCP)).unwrap();
    let address = |text: &str| -> std::net::SocketAddr { text.parse().unwrap() };
    bind(&socket, &address("127.0.0.2:0")).unwrap();
    connect(&socket, &address(&format!("127.0.0.1:{port}"))).unwrap();
    TcpStream::from(socket)
}

#[test]
fn one_address_does_not_shut_out_others() {
    ours_only!();
    let (mut lab, port) = open_port();
    let brain = lab.keeper_and_brain().1;
    let crowd: Vec<TcpStream> = (0..240).map(|_| tcp("127.0.0.1", port)).collect();
    let reply = Http::send(tcp("127.0.0.1", port), b"").whole();
    assert_eq!(reply.status, 503);
    assert!(reply.text().contains("Too many connections"));
    let reply = Http::send(from_elsewhere(port), &request("GET /ok.html", &[], b"")).whole();
    assert_eq!(reply.text(), "OK");
    assert_unharmed(&lab, brain);
    drop(crowd);
    lab.until("the port serves", |_| serves(port));
    lab.shut_down();
}

#[test]
fn a_client_that_reads_nothing_costs_no_memory() {
    ours_only!();
    let (mut lab, port) = open_port();
    let brain = lab.keeper_and_brain().1;
    lab.write("a.log", &"a line of a large log\n".repeat(2_000_000));
    let before = lab::procfs::status_field(brain, "VmRSS");
    let stalled: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = tcp("127.0.0.1", port);
            let line = "GET /api/v1/log/a?download=yes";
            stream.write_all(&request(line, &[], b"")).unwrap();
            stream
        })
        .collect();
    for stream in &stalled {
        lab.until("its answer has begun", |_| {
            stream.peek(&mut [0; 1]).is_ok_and(|count| count == 1)
        });
    }
    assert_unharmed(&lab, brain);
    let number = |text: Option<String>| -> u64 {
        let text = text.unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    };
    let grown = number(lab::procfs::status_field(brain, "VmRSS")) - number(before);
    assert!(grown < 20 * 1024, "{grown} KiB for 20 times 44 MB");
    drop(stalled);
    lab.shut_down();
}

fn call(lab: &Lab, xml: &str) -> Reply {
    ask(lab, "POST /RPC2", &["Content-Type: text/xml"], xml)
}

#[test]
fn xml_cannot_grow_in_the_reader() {
    ours_only!();
    let (mut lab, _) = open_port();
    let brain = lab.keeper_and_brain().1;
    let laughs: String = (1..10)
        .map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10)))
        .collect();
    let deep = format!("{}{}", "<value><array><data>".repeat(50_000), "x");
    let body = |value: &str| {
        format!(
            "<methodCall><methodName>supervisor.startProcess</methodName><params><param>{value}\
             </param></params></methodCall>"
        )
    };
    for xml in [
        format!(
            "<!DOCTYPE x [<!ENTITY l0 \"ha\">{laughs}]>{}",
            body("<value>&l9;</value>")
        ),
        format!(
            "<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]>{}",
            body("<value>&f;</value>")
        ),
        body("<value>&unknown;</value>"),
        body(&deep),
        body("<value><int>99999999999999999999</int></value>"),
        body("<value><base64>%%%</base64></value>"),
        body("<value><array><data></array></value>"),
        "<methodCall".repeat(100_000),
        String::from_utf8_lossy(&[b'<'; 100_000]).into_owned(),
    ] {
        let reply = call(&lab, &xml);
        let shown = &xml[..xml.len().min(80)];
        assert_eq!(reply.status, 400, "{shown}: {}", reply.text());
        assert!(!reply.text().contains("root:"));
    }
    let wide = "<value><int>1</int></value>".repeat(100_000);
    let reply = call(
        &lab,
        &body(&format!(
            "<value><array><data>{wide}</data></array></value>"
        )),
    );
    assert!(
        reply.text().contains("INCORRECT_PARAMETERS"),
        "{}",
        reply.text()
    );
    let calls = "<value><struct/></value>".repeat(1001);
    let reply = call(
        &lab,
        &format!(
            "<methodCall><methodName>system.multicall</methodName><params><param><value><array>\
             <data>{calls}</data></array></value></param></params></methodCall>"
        ),
    );
    assert!(reply.text().contains("at most 1000"), "{}", reply.text());
    assert_unharmed(&lab, brain);
    lab.shut_down();
}

#[test]
fn methods_are_those_of_the_table() {
    // CVE-2017-11610: names were looked up attribute by attribute, down to os.system.
    ours_only!();
    let (mut lab, _) = open_port();
    for method in [
        "supervisor.supervisord.options.warnings.linecache.os.system",
        "supervisor.supervisord.options.execve",
        "supervisor.__class__",
        "supervisor._update",
        "supervisor.",
        ".getState",
        "getState",
        "system.__init__",
        "supervisor.getState.x",
        "__import__('os').system",
        "Supervisor.getState",
        "supervisor.getState ",
    ] {
        let text = call(
            &lab,
            &format!(
                "<methodCall><methodName>{method}</methodName><params><param><value>touch \
                 {}/owned</value></param></params></methodCall>",
                lab.directory()
            ),
        )
        .text();
        // Blanks around a name do not count.
        let expected = if method.ends_with(' ') {
            "INCORRECT"
        } else {
            "UNKNOWN_METHOD"
        };
        assert!(text.contains(expected), "{method}: {text}");
        assert!(!text.contains("__class__"), "names are not reflected");
    }
    assert!(!lab.path("owned").exists());
    lab.shut_down();
}

#[test]
fn no_path_leads_to_a_file() {
    ours_only!();
    let (mut lab, _) = open_port();
    for path in [
        "/logtail/../../../../etc/passwd",
        "/logtail/..%2f..%2f..%2fetc%2fpasswd",
        "/logtail//etc/passwd",
        "/logtail/a/../../../etc/passwd",
        "/logtail/a:..%2fetc%2fpasswd",
        "/stylesheets/../../../etc/passwd",
        "/stylesheets/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/etc/passwd",
        "/api/v1/log/..%2F..%2Fetc%2Fpasswd",
        "/api/v1/log/a/%2fetc%2fpasswd",
        "/tail.html?processname=../../etc/passwd",
    ] {
        let reply = get(&lab, path);
        assert!(!reply.text().contains("root:"), "{path}");
        if !path.starts_with("/tail.html") {
            assert!(
                [400, 404].contains(&reply.status),
                "{path}: {}",
                reply.status
            );
        }
    }
    lab.shut_down();
}

#[test]
fn nothing_a_client_sends_becomes_markup_or_a_header() {
    ours_only!();
    let (mut lab, _) = open_port();
    let script = "%3Cscript%3Ealert(1)%3C/script%3E";
    for path in [
        format!("/?message={script}"),
        format!("/tail.html?processname={script}"),
        format!("/{script}"),
        format!("/logtail/{script}"),
        format!("/api/v1/log/{script}"),
        format!("/api/v1/processes/{script}"),
    ] {
        let reply = get(&lab, &path);
        let is_page = reply
            .header("content-type")
            .unwrap()
            .starts_with("text/html");
        assert!(
            !is_page || !reply.text().contains("<script>alert"),
            "{path}"
        );
        assert_eq!(
            reply.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
    }
    let reply = get(
        &lab,
        "/?action=start&processname=a%0d%0aSet-Cookie:%20b=c%0d%0a%0d%0a%3Cb%3E",
    );
    assert_eq!(reply.status, 303);
    assert_eq!(reply.header("set-cookie"), None, "{}", reply.head);
    lab.shut_down();
}

#[test]
fn every_path_asks_for_the_password() {
    ours_only!();
    let port = free_port();
    let mut lab = serving(&format!(
        "[inet_http_server]\nport=127.0.0.1:{port}\nusername=u\npassword=p\n"
    ));
    for path in [
        "/",
        "/index.html?action=stop&processname=a",
        "/tail.html",
        "/ok.html",
        "/appctl.js",
        "/appctl.css",
        "/logtail/a",
        "/mainlogtail",
        "/live",
        "/metrics",
        "/api/v1/processes",
        "/api/v1/events",
        "/nothing",
    ] {
        for word in [
            "",
            "Authorization: Basic dTpw\0x",
            "Authorization: Basic dTp4",
            "Authorization: Basic dTo=",
            "Authorization: Basic Og==",
        ] {
            let headers: &[&str] = if word.is_empty() { &[] } else { &[word] };
            let reply = raw(port, &request(&format!("GET {path}"), headers, b""));
            assert!(
                [400, 401].contains(&reply.status),
                "{path} {word:?}: {}",
                reply.status
            );
            assert!(!reply.text().contains("hunter2"));
        }
    }
    // u:p
    let right = request("GET /ok.html", &["Authorization: Basic dTpw"], b"");
    assert_eq!(raw(port, &right).status, 200);
    assert_eq!(lab.state("a"), "RUNNING");
    lab.shut_down();
}

#[test]
fn a_name_that_leads_here_is_no_way_in_for_a_browser() {
    // DNS rebinding: a page of evil.example asks evil.example, which has become 127.0.0.1.
    ours_only!();
    let (mut lab, port) = open_port();
    let evil = "Host: evil.example:9001";
    let browser = "Accept-Language: en-US,en;q=0.9";
    for path in ["/", "/api/v1/processes", "/live", "/metrics", "/logtail/a"] {
        let reply = raw(
            port,
            &request(&format!("GET {path}"), &[evil, browser], b""),
        );
        assert_eq!(reply.status, 403, "{path}");
    }
    let origin = "Origin: http://evil.example:9001";
    let stop = "<methodCall><methodName>supervisor.stopAllProcesses</methodName></methodCall>";
    let reply = raw(
        port,
        &request("POST /RPC2", &[evil, origin], stop.as_bytes()),
    );
    assert_eq!(reply.status, 403);
    // A program is not a browser: it knows whom it asks.
    let reply = raw(port, &request("GET /api/v1/processes", &[evil], b""));
    assert_eq!(reply.status, 200);
    let reply = raw(
        port,
        &request("GET /", &["Host: localhost:9001", browser], b""),
    );
    assert_eq!(reply.status, 200);
    assert_eq!(lab.state("a"), "RUNNING");
    lab.shut_down();
}

#[test]
fn environments_are_told_to_nobody() {
    ours_only!();
    let (mut lab, _) = open_port();
    let mut told = String::new();
    for path in [
        "/",
        "/api/v1/processes",
        "/api/v1/available",
        "/api/v1/daemon",
        "/metrics",
        "/api/v1/events?follow=no",
    ] {
        told.push_str(&get(&lab, path).text());
    }
    for method in ["getAllConfigInfo", "getAllProcessInfo"] {
        let xml = format!("<methodCall><methodName>supervisor.{method}</methodName></methodCall>");
        told.push_str(&call(&lab, &xml).text());
    }
    told.push_str(
        &Http::send(lab::http::unix(&lab), &request("GET /live", &[], b"")).until("usage"),
    );
    assert!(told.contains("a.log"));
    assert!(!told.contains("hunter2"));
    lab.shut_down();
}

#[test]
fn several_ports_names_and_families_are_served() {
    ours_only!();
    let has_six = std::net::TcpListener::bind("[::1]:0").is_ok();
    let (four, six, name) = (free_port(), free_port(), free_port());
    let mut servers = format!(
        "[inet_http_server]\nport=127.0.0.1:{four}\n[inet_http_server:name]\nport=localhost:{name}\n"
    );
    if has_six {
        servers.push_str(&format!("[inet_http_server:six]\nport=[::1]:{six}\n"));
    }
    let mut lab = serving(&servers);
    let mut reached = vec![("127.0.0.1", four), ("localhost", name)];
    if has_six {
        reached.push(("::1", six));
    }
    for (host, port) in reached {
        let reply = Http::send(tcp(host, port), &request("GET /ok.html", &[], b"")).whole();
        assert_eq!(reply.text(), "OK", "{host}:{port}");
    }
    lab.shut_down();
}

#[test]
fn an_open_port_of_every_address_is_served_on_this_machine_only() {
    ours_only!();
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let port = free_port();
    let mut lab = serving(&format!("[inet_http_server]\nport=[::]:{port}\n"));
    let reply = Http::send(tcp("::1", port), &request("GET /ok.html", &[], b"")).whole();
    assert_eq!(reply.text(), "OK");
    assert!(
        lab.main_log().contains("is served on ::1 only"),
        "{}",
        lab.main_log()
    );
    lab.shut_down();
}
