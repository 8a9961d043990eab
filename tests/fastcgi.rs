//! `[fcgi-program:x]` from outside: a FastCGI server from PyPI, and the client of the FastCGI
//! development kit.

mod lab;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::process::Command;
use std::thread;

use lab::http::free_port;
use lab::{Lab, kill, tools, venv};

/// Answers every request with its pid.
const SERVER: &str = "import os\n\
    from flipflop import WSGIServer\n\
    def application(environ, start_response):\n\
    \x20   start_response('200 OK', [('Content-Type', 'text/plain')])\n\
    \x20   return [('pid %d\\n' % os.getpid()).encode()]\n\
    WSGIServer(application).run()\n";

fn lab() -> Lab {
    let lab = Lab::new();
    lab.write("server.py", SERVER);
    lab
}

fn command() -> String {
    let bin = venv::bin().unwrap_or_else(|why| panic!("no Python environment: {why}"));
    format!("{} @D@/server.py", bin.join("python").display())
}

/// Makes a request, which waits in the queue for as long as nobody accepts it; the pid of who
/// answered.
fn request(connect: &str) -> Option<i32> {
    // Debian's libfcgi-bin.
    if !tools::has("cgi-fcgi", "requests to FastCGI programs") {
        return None;
    }
    let output = Command::new("cgi-fcgi")
        .args(["-bind", "-connect", connect])
        .env("REQUEST_METHOD", "GET")
        .env("SCRIPT_NAME", "/")
        .env("SERVER_NAME", "x")
        .env("SERVER_PORT", "80")
        .env("SERVER_PROTOCOL", "HTTP/1.0")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let pid = text.lines().find_map(|line| line.strip_prefix("pid "));
    let pid = pid.and_then(|pid| pid.parse().ok());
    Some(pid.unwrap_or_else(|| panic!("{output:?}")))
}

fn input_of(pid: i32) -> String {
    let target = fs::read_link(format!("/proc/{pid}/fd/0")).unwrap();
    target.to_string_lossy().into_owned()
}

#[test]
fn a_unix_socket_is_shared_and_kept() {
    ours_only!();
    let owner = match lab::is_root() {
        true => "socket_owner=nobody:1\n",
        false => "",
    };
    let mut lab = lab().started(&format!(
        "[fcgi-program:web]\ncommand={}\nsocket=unix://@D@/web.sock\nsocket_mode=0750\n\
         {owner}numprocs=2\nprocess_name=w%(process_num)d\nstartsecs=0\nsocket_backlog=33\n",
        command()
    ));
    lab.wait_state("web:w0", "RUNNING");
    lab.wait_state("web:w1", "RUNNING");
    let file = lab.path("web.sock");
    let about = fs::symlink_metadata(&file).unwrap();
    assert!(about.file_type().is_socket());
    assert_eq!(about.mode() & 0o777, 0o750);
    if lab::is_root() {
        assert_eq!((about.uid(), about.gid()), (65534, 1));
    }
    let pids = [lab.pid("web:w0"), lab.pid("web:w1")];
    assert!(input_of(pids[0]).starts_with("socket:"));
    assert_eq!(input_of(pids[0]), input_of(pids[1]));
    if let Some(pid) = request(file.to_str().unwrap()) {
        assert!(pids.contains(&pid));
    }

    // Over a restart of each, and over the death of the brain.
    let socket = input_of(pids[0]);
    lab.expect("restart web:w0", 0, "web:w0: stopped\nweb:w0: started\n");
    kill(pids[1]);
    let second = lab.wait_new_pid("web:w1", pids[1]);
    let (_, brain) = lab.keeper_and_brain();
    kill(brain);
    lab.expect("restart web:w0", 0, "web:w0: stopped\nweb:w0: started\n");
    assert_eq!(lab.pid("web:w1"), second);
    assert_eq!(input_of(lab.pid("web:w0")), socket);
    assert_eq!(input_of(second), socket);
    if let Some(pid) = request(file.to_str().unwrap()) {
        assert!([lab.pid("web:w0"), second].contains(&pid));
    }
    assert_eq!(fs::symlink_metadata(&file).unwrap().ino(), about.ino());

    // With the last process it goes, and comes with the next.
    assert_eq!(lab.ctl("stop web:*").code, 0);
    lab.until("the socket is gone", |_| !file.exists());
    lab.wait_main_log(&format!("INFO Closing socket unix://{}", file.display()));
    lab.expect("start web:w1", 0, "web:w1: started\n");
    request(file.to_str().unwrap());

    // Another path: the old one goes with its group.
    let text = lab.read("supervisord.conf");
    lab.write("supervisord.conf", &text.replace("web.sock", "new.sock"));
    assert_eq!(lab.ctl("update").code, 0);
    lab.wait_state("web:w1", "RUNNING");
    assert!(!file.exists());
    let file = lab.path("new.sock");
    request(file.to_str().unwrap());
    lab.shut_down();
    assert!(!file.exists());
}

#[test]
fn programs_of_a_group_have_sockets_too() {
    ours_only!();
    let port = free_port();
    let mut lab = lab().started(&format!(
        "[group:g]\nprograms=unix,tcp,plain\n\
         [fcgi-program:unix]\ncommand={command}\nsocket=unix://@D@/u.sock\nstartsecs=0\n\
         [fcgi-program:tcp]\ncommand={command}\nsocket=tcp://127.0.0.1:{port}\nstartsecs=0\n\
         [program:plain]\ncommand=sleep 1000\nstartsecs=0\n",
        command = command()
    ));
    for name in ["g:unix", "g:tcp", "g:plain"] {
        lab.wait_state(name, "RUNNING");
    }
    for (name, connect) in [
        ("g:unix", lab.path("u.sock").display().to_string()),
        ("g:tcp", format!("127.0.0.1:{port}")),
    ] {
        assert!(input_of(lab.pid(name)).starts_with("socket:"), "{name}");
        if let Some(pid) = request(&connect) {
            assert_eq!(pid, lab.pid(name));
        }
    }
    assert!(input_of(lab.pid("g:plain")).starts_with("pipe:"));
    // There is no way to send such a program something.
    let answer = lab.session().ask("stdin g:tcp hello");
    assert!(answer.end.starts_with("err no-input "), "{answer:?}");
    lab.shut_down();
}

#[test]
fn a_socket_that_cannot_be_had_is_the_trouble_of_its_program_alone() {
    ours_only!();
    let port = free_port();
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let mut lab = lab();
    lab.write("occupied", "not a socket");
    lab.configure(&format!(
        "[fcgi-program:tcp]\ncommand=sleep 1000\nsocket=tcp://127.0.0.1:{port}\nstartretries=0\n\
         [fcgi-program:unix]\ncommand=sleep 1000\nsocket=unix://@D@/occupied\nstartretries=0\n\
         [program:other]\ncommand=sleep 1000\nstartsecs=0\n",
    ));
    lab.start();
    lab.wait_state("other", "RUNNING");
    for (name, why) in [("tcp", "in use"), ("unix", "left alone")] {
        lab.wait_state(name, "FATAL");
        let status = lab.status(name).unwrap();
        let text = "could not create FastCGI socket ";
        assert!(status.description.starts_with(text), "{status:?}");
        assert!(status.description.contains(why), "{status:?}");
    }
    assert_eq!(lab.read("occupied"), "not a socket");
    // It starts once the port is free.
    drop(taken);
    lab.expect("start tcp", 0, "tcp: started\n");
    lab.shut_down();
}

#[test]
fn a_socket_in_no_directory_is_refused_at_start() {
    ours_only!();
    let lab = lab();
    lab.configure("[fcgi-program:a]\ncommand=cat\nsocket=unix://@D@/nowhere/a.sock\n");
    let output = lab.daemon_command().output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("Could not create FastCGI socket unix://"),
        "{text}"
    );
    assert!(text.contains("No such file or directory"), "{text}");
}

/// Answers questions for the address of any name with 127.0.0.1, and none for other addresses.
fn answer(names: &UdpSocket, query: &[u8], asked_by: SocketAddr) {
    let question = 12 + query[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let wants_ipv4 = query[question - 4..question - 2] == [0, 1];
    let mut reply = query[..question].to_vec();
    // An answer, with as many addresses.
    reply[2..4].copy_from_slice(&[0x81, 0x80]);
    reply[6..12].copy_from_slice(&[0, u8::from(wants_ipv4), 0, 0, 0, 0]);
    if wants_ipv4 {
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
    names.send_to(&reply, asked_by).unwrap();
}

#[test]
fn a_slow_name_server_keeps_only_its_program_waiting() {
    ours_only!();
    if !lab::is_root() {
        return;
    }
    // A name server of this test alone: port 53 of an address that nobody else has.
    let [_, b, c, d] = std::process::id().to_be_bytes();
    let names = UdpSocket::bind((Ipv4Addr::new(127, 64 | b, c, d), 53)).unwrap();
    names.set_read_timeout(Some(lab::PATIENCE)).unwrap();
    let port = free_port();
    let mut lab = lab().in_namespace("mount --bind @D@/resolv.conf /etc/resolv.conf");
    lab.write(
        "resolv.conf",
        &format!(
            "nameserver {}\noptions timeout:30 attempts:1\n",
            names.local_addr().unwrap().ip()
        ),
    );
    lab.configure(&format!(
        "[fcgi-program:web]\ncommand={}\nsocket=tcp://app.example:{port}\nstartsecs=0\n\
         [program:other]\ncommand=sleep 1000\nstartsecs=0\n",
        command()
    ));
    lab.start();
    let mut query = [0; 512];
    let (length, asked_by) = names.recv_from(&mut query).unwrap();
    // It asks, and gets no answer yet: all else goes on.
    lab.wait_state("other", "RUNNING");
    lab.expect("stop other", 0, "other: stopped\n");
    assert_eq!(lab.state("web"), "STARTING");
    thread::spawn(move || {
        let mut asked = (length, asked_by);
        loop {
            answer(&names, &query[..asked.0], asked.1);
            match names.recv_from(&mut query) {
                Ok(again) => asked = again,
                Err(_) => break,
            }
        }
    });
    lab.wait_state("web", "RUNNING");
    if let Some(pid) = request(&format!("127.0.0.1:{port}")) {
        assert_eq!(pid, lab.pid("web"));
    }
    lab.shut_down();
}
