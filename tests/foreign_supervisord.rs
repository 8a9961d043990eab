//! Our `supervisorctl` drives Supervisor's own daemon: over its unix socket and over TCP with a
//! password it says what Supervisor's `supervisorctl` says, word by word.

mod lab;

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;

use lab::http::free_port;
use lab::{APPCTL, Lab, Said, Subject, venv};

const PROGRAMS: &str = "[program:a]\n\
    command=/bin/sh -c 'echo hello; echo ow >&2; exec /bin/cat'\n\
    startsecs=0\nstdout_logfile=@D@/a.log\nstderr_logfile=@D@/a.err\n\
    [program:off]\ncommand=/bin/cat\nautostart=false\nstartsecs=0\nstdout_logfile=@D@/off.log\n\
    [program:gone]\ncommand=@D@/no-such-file\nautostart=false\n\
    [program:plain]\ncommand=@D@/supervisord.conf\nautostart=false\n\
    [program:w]\ncommand=/bin/sleep 1000\nnumprocs=2\nautostart=false\nstartsecs=0\n\
    process_name=%(program_name)s_%(process_num)d\n";

/// What changes between the two readings of the configuration.
const LATER: &str = "[program:a]\ncommand=/bin/cat\nstartsecs=0\n\
    [program:new]\ncommand=/bin/sleep 1000\nautostart=false\n\
    [program:other]\ncommand=/bin/sleep 1000\nstartsecs=0\n";

/// Every command, in most of its forms. `!NAME` puts a configuration in place.
const LINES: &[&str] = &[
    "status",
    "status off",
    "status w:*",
    "status nope a nope:* w:w_1",
    "avail",
    "version",
    "pid off",
    "pid nope",
    "pid w:*",
    "start",
    "start nope nope:*",
    "start gone",
    "start plain",
    "start a",
    "start off w:*",
    "start off",
    "start all",
    "status",
    "stop",
    "stop nope nope:*",
    "stop w:w_1",
    "stop w:w_1",
    "restart w:*",
    "restart",
    "restart off",
    "signal",
    "signal CONT",
    "signal CONT off",
    "signal CONT w:*",
    "signal CONT nope nope:*",
    "signal NOPE off",
    "signal NOPE gone",
    "tail a",
    "tail -3 a",
    "tail a stderr",
    "tail -0 a",
    "tail a nope",
    "tail nope",
    "tail gone",
    "tail -x a",
    "tail",
    "tail a b c d",
    "maintail x",
    "maintail -x",
    "maintail a b",
    "clear",
    "clear nope",
    "clear a off",
    "tail a",
    "reread",
    "reread x",
    "reload x",
    "shutdown x",
    "version x",
    "avail x",
    "add",
    "add a",
    "add nope",
    "remove a",
    "remove nope",
    "fg",
    "fg a b",
    "fg nope",
    "fg gone",
    "open ftp://x",
    "nonsense",
    "help",
    "help tail",
    "!later",
    "reread",
    "avail",
    "update nope new",
    "add other",
    "stop other",
    "remove other",
    "stop w:*",
    "update",
    "update",
    "status",
    "stop a",
    "clear all",
    "status a",
    "!broken",
    "reread",
    "!later",
    "reload",
];

/// A client, told to use a configuration file.
type Client = fn(&Lab) -> Command;

fn theirs(lab: &Lab) -> Command {
    let mut command = Command::new(venv::bin().unwrap().join("supervisorctl"));
    lab.prepare(&mut command);
    command.arg("-c").arg(lab.path("supervisord.conf"));
    command
}

fn ours(lab: &Lab) -> Command {
    let mut command = Command::new(APPCTL);
    lab.prepare(&mut command);
    command.arg0("supervisorctl");
    command.arg("-c").arg(lab.path("supervisord.conf"));
    command
}

/// A lab with Supervisor's daemon, reached by `client` in the way `server` and `url` say.
fn lab(server: &str, url: &str, client: Client) -> Lab {
    let mut lab = Lab::of(Subject::Supervisor(venv::bin().unwrap()));
    configure(&lab, server, url, PROGRAMS);
    lab.launch();
    lab.until("a runs", |lab| {
        let said = client(lab).args(["status", "a"]).output().unwrap();
        String::from_utf8_lossy(&said.stdout).contains("RUNNING")
    });
    lab.until("a has spoken", |lab| {
        lab.read("a.log") == "hello\n" && lab.read("a.err") == "ow\n"
    });
    lab
}

fn configure(lab: &Lab, server: &str, url: &str, programs: &str) {
    lab.write(
        "supervisord.conf",
        &format!(
            "{server}[rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
             [supervisorctl]\n{url}\n\
             [supervisord]\nlogfile=@D@/main.log\npidfile=@D@/daemon.pid\nchildlogdir=@D@\n\
             nodaemon=true\n{programs}"
        ),
    );
}

/// What differs from run to run: pids, uptimes, times of ends, where the lab is.
fn plain(lab: &Lab, text: &str) -> String {
    let text = text.replace(lab.directory(), "@D@");
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        lines.push(match line.split_once("pid ") {
            Some((before, rest)) if rest.contains(", uptime ") => format!("{before}pid …"),
            _ => without_time_of_end(line),
        });
    }
    lines.join("\n")
}

/// `Nov 22 06:19 AM` at the end of a line, its digits and the half of the day taken out.
fn without_time_of_end(line: &str) -> String {
    let Some((rest, "AM" | "PM")) = line.rsplit_once(' ') else {
        return line.to_owned();
    };
    let at = rest.len().saturating_sub("22 06:19".len());
    let time = rest[at..].replace(|letter: char| letter.is_ascii_digit(), "d");
    format!("{}{time} M", &rest[..at])
}

/// Runs the lines, and notes what was said: one entry for each.
fn transcript(lab: &Lab, server: &str, url: &str, client: Client) -> Vec<String> {
    let mut entries = Vec::new();
    for line in LINES {
        match *line {
            "!later" => configure(lab, server, url, LATER),
            "!broken" => configure(lab, server, url, "[program:a]\ncommand=x\nstartsecs=many\n"),
            _ => {
                let said = client(lab).args(line.split(' ')).output().unwrap();
                let Said { code, out, err } = said.into();
                let mut out = plain(lab, &out);
                if line.starts_with("stop") || line.starts_with("restart w") {
                    // Who of several is told first is chance.
                    let mut sorted: Vec<&str> = out.lines().collect();
                    sorted.sort_unstable();
                    out = sorted.join("\n");
                }
                entries.push(format!("$ {line}\n= {code}\n{out}\n{}", plain(lab, &err)));
            }
        }
    }
    entries
}

/// The whole conversation, on a lab of its own.
fn conversation((server, url): (&str, &str), client: Client) -> Vec<String> {
    let (server, url) = (port_of(server), port_of(url));
    let mut lab = lab(&server, &url, client);
    let said = transcript(&lab, &server, &url, client);
    // Supervisor loses a signal that comes while it starts over.
    lab.until("it has started over", |lab| {
        let log = lab.main_log();
        let again = log.rsplit("supervisord started").next();
        log.matches("supervisord started").count() == 2
            && again.is_some_and(|again| again.contains("success: a"))
    });
    lab.shut_down();
    said
}

/// `@P@` in a text stands for a port of this thread.
fn port_of(text: &str) -> String {
    thread_local! {
        static PORT: u16 = free_port();
    }
    PORT.with(|port| text.replace("@P@", &port.to_string()))
}

const UNIX: (&str, &str) = (
    "[unix_http_server]\nfile=@D@/sock\n",
    "serverurl=unix://@D@/sock",
);

const TCP: (&str, &str) = (
    "[unix_http_server]\nfile=@D@/sock\n\
     [inet_http_server]\nport=127.0.0.1:@P@\nusername=user\npassword=se:cret\n",
    "serverurl=http://127.0.0.1:@P@\nusername=user\npassword=se:cret",
);

#[test]
fn it_says_what_supervisors_client_says() {
    thread::scope(|scope| {
        let theirs = scope.spawn(|| conversation(TCP, theirs));
        let over_tcp = scope.spawn(|| conversation(TCP, ours));
        let over_unix = scope.spawn(|| conversation(UNIX, ours));
        let theirs = theirs.join().unwrap();
        for ours in [over_tcp, over_unix] {
            let ours = ours.join().unwrap();
            assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(&theirs) {
                assert_eq!(ours, theirs);
            }
        }
    });
}

#[test]
fn logs_are_followed_and_programs_talked_to_over_http() {
    for (server, url) in [UNIX, TCP] {
        let mut lab = lab(&port_of(server), &port_of(url), ours);
        // tail -f
        let mut tail = ours(&lab)
            .args(["tail", "-f", "a"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = tail.stdout.take().unwrap();
        let mut seen = String::new();
        let mut read_until = |text: &str| {
            while !seen.contains(text) {
                let mut piece = [0; 512];
                let count = out.read(&mut piece).unwrap();
                assert!(count > 0, "ended with {seen:?}");
                seen.push_str(&String::from_utf8_lossy(&piece[..count]));
            }
            seen.clone()
        };
        read_until("hello\n");
        // fg: what is typed arrives, and comes back in the log that is followed.
        let mut fg = ours(&lab)
            .args(["fg", "a"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut typed = fg.stdin.take().unwrap();
        typed.write_all(b"good morning\n").unwrap();
        let all = read_until("good morning\n");
        assert_eq!(all, "==> Press Ctrl-C to exit <==\nhello\ngood morning\n");
        drop(typed);
        let said: Said = fg.wait_with_output().unwrap().into();
        assert_eq!(said.code, 0);
        assert!(said.out.starts_with("==> Press Ctrl-C to exit <==\n"));
        assert!(said.out.ends_with("Exiting foreground\n"), "{said:?}");
        lab::signal(i32::try_from(tail.id()).unwrap(), "INT");
        assert_eq!(tail.wait().unwrap().code(), Some(0));
        let said: Said = ours(&lab)
            .args(["tail", "-f", "nope"])
            .output()
            .unwrap()
            .into();
        assert_eq!(said.code, 1);
        assert!(
            said.err
                .ends_with("/logtail/nope/stdout Cannot read, status code 404\n"),
            "{said:?}"
        );
        lab.shut_down();
    }
}

#[test]
fn passwords_are_asked_for() {
    let (server, url) = (port_of(TCP.0), port_of("serverurl=http://127.0.0.1:@P@"));
    let with_login = |lab: &Lab| {
        let mut command = ours(lab);
        command.args(["-u", "user", "-p", "se:cret"]);
        command
    };
    let mut lab = lab(&server, &url, with_login);
    let needed = "Server requires authentication\n";
    for (login, code, out) in [
        (&[][..], 1, needed),
        (&["-u", "user", "-p", "wrong"], 1, needed),
        (&["-u", "user", "-p", "se:cret"], 0, ""),
    ] {
        for line in ["status a", "reread", "add", "pid a"] {
            let said: Said = ours(&lab)
                .args(login)
                .args(line.split(' '))
                .output()
                .unwrap()
                .into();
            if line != "add" {
                assert_eq!(said.code, code, "{line} {said:?}");
            }
            if code != 0 && line != "add" {
                assert_eq!(said.out, out, "{line}");
            }
        }
    }
    // A shell asks, and goes on with the command.
    let mut shell = ours(&lab)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut typed = shell.stdin.take().unwrap();
    typed.write_all(b"user\nse:cret\nversion\nexit\n").unwrap();
    drop(typed);
    let said: Said = shell.wait_with_output().unwrap().into();
    assert_eq!(said.code, 0);
    assert!(
        said.out
            .starts_with("Server requires authentication\nUsername:Password:\na  "),
        "{said:?}"
    );
    assert!(
        said.out.ends_with("supervisor> 4.3.0\nsupervisor> \n"),
        "{said:?}"
    );
    lab.shut_down();
}
