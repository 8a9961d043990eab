//! The deployment of the tutorial, on real programs: gunicorn serving a Flask application and two
//! Python workers, from files in `conf.d`, operated as one would on any server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod lab;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use lab::http::free_port;
use lab::numbers::Tally;
use lab::{Lab, Subject, kill, procfs, rotated, venv};

const APPLICATION: &str = "\
import os
from flask import Flask

app = Flask(__name__)

@app.route('/')
def index():
    return 'greeting=' + os.environ['GREETING']
";

const WORKER: &str = "\
import signal, sys, time

def leave(number, frame):
    print(sys.argv[1], 'leaves', file=sys.stderr, flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, leave)
number = 0
while True:
    number += 1
    print(number, flush=True)
    time.sleep(0.001)
";

const WEB: &str = "\
[program:web]
command=@BIN@/gunicorn --workers 2 --bind 127.0.0.1:@PORT@ app:app
directory=%(here)s/../app
environment=GREETING=\"hello, world\"
stopasgroup=true
redirect_stderr=true
stdout_logfile=@D@/logs/web.log
";

const WORKERS: &str = "\
[program:mailer]
command=@BIN@/python worker.py mailer
directory=@D@/app
stdout_logfile=@D@/logs/%(program_name)s.log
stdout_logfile_maxbytes=2KB
stdout_logfile_backups=500
stderr_logfile=@D@/logs/%(program_name)s.err

[program:resizer]
command=@BIN@/python worker.py resizer
directory=@D@/app
stdout_logfile=@D@/logs/%(program_name)s.log
stderr_logfile=@D@/logs/%(program_name)s.err

[group:app_workers]
programs=mailer,resizer
";

const CLOCK: &str = "\
[program:clock]
command=/bin/sh -c 'while date; do sleep 1; done'
stopasgroup=true
stdout_logfile=@D@/logs/clock.log
";

/// A deployment: a lab with the files of the tutorial.
struct Site {
    lab: Lab,
    bin: PathBuf,
    port: u16,
}

impl Site {
    /// Writes everything and starts the daemon.
    fn new(subject: Subject, bin: &Path) -> Site {
        let mut site = Site {
            lab: Lab::of(subject),
            bin: bin.to_owned(),
            port: free_port(),
        };
        fs::create_dir(site.lab.path("logs")).unwrap();
        site.lab.write("app/app.py", APPLICATION);
        site.lab.write("app/worker.py", WORKER);
        site.lab.configure("[include]\nfiles=conf.d/*.conf\n");
        site.write("web", WEB);
        site.write("workers", WORKERS);
        site.lab.start();
        site
    }

    fn write(&self, name: &str, text: &str) {
        let text = text
            .replace("@BIN@", self.bin.to_str().unwrap())
            .replace("@PORT@", &self.port.to_string());
        self.lab.write(&format!("conf.d/{name}.conf"), &text);
    }

    fn wait_running(&self, count: usize) {
        self.lab.until("all programs are RUNNING", |lab| {
            let lines = lab.statuses();
            lines.len() == count && lines.iter().all(|line| line.state == "RUNNING")
        });
    }

    fn wait_greeting(&self, greeting: &str) {
        self.lab
            .until(&format!("the application greets with {greeting}"), |_| {
                get(self.port).is_some_and(|page| page.contains(&format!("greeting={greeting}")))
            });
    }

    /// The words of `status` with pids and uptimes made equal.
    fn shape(&self) -> Vec<String> {
        let normal = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [name, state, "pid", _, "uptime", _] => format!("{name} {state} pid N, uptime T"),
                // The time of death, as in `Nov 22 06:19 AM`.
                [name, state, _, _, _, half @ ("AM" | "PM")] => {
                    format!("{name} {state} at some time {}", half.len())
                }
                _ => words.join(" "),
            }
        };
        self.lab.ctl("status").out.lines().map(normal).collect()
    }
}

/// The page at `/`, if somebody answers.
fn get(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(lab::PATIENCE)).ok()?;
    stream
        .write_all(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        .ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    Some(page)
}

/// The Python environment; the test fails without one, for then it has judged nothing.
fn python() -> PathBuf {
    venv::bin().unwrap_or_else(|why| panic!("no Python environment: {why}"))
}

#[test]
fn a_python_site_is_deployed_and_operated() {
    // Without this: the first thing a new user tries does not work.
    let site = Site::new(Subject::chosen(), &python());
    let lab = &site.lab;
    site.wait_running(3);
    site.wait_greeting("hello, world");

    // A worker dies and is back under a new pid; its neighbours do not notice.
    let (web, resizer) = (lab.pid("web"), lab.pid("app_workers:resizer"));
    let killed = lab.pid("app_workers:mailer");
    kill(killed);
    lab.wait_new_pid("app_workers:mailer", killed);
    assert_eq!(
        (lab.pid("web"), lab.pid("app_workers:resizer")),
        (web, resizer)
    );

    // Small logs are rotated.
    let logs = || rotated(&lab.path("logs/mailer.log"));
    lab.until("the log was rotated five times", |_| logs().len() > 5);

    // A group is stopped and started as one; each says good-bye.
    let said = lab.ctl("stop app_workers:*");
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.out.matches(": stopped\n").count(), 2);
    for name in ["mailer", "resizer"] {
        assert!(
            lab.read(&format!("logs/{name}.err"))
                .ends_with(&format!("{name} leaves\n"))
        );
    }
    Tally::of(&lab.read("logs/resizer.log")).assert_complete();
    for file in logs() {
        let bytes = fs::metadata(&file).unwrap().len();
        // A file may exceed its limit by what came at once, where the machine is busy.
        assert!(bytes <= (2 + 64) * 1024, "{}: {bytes}", file.display());
    }
    assert_eq!(lab.ctl("start app_workers:*").code, 0);
    site.wait_running(3);

    // An edit changes one program and adds another; the third is left alone.
    let workers = lab.pid("app_workers:mailer");
    site.write("web", &WEB.replace("hello, world", "good evening"));
    site.write("clock", CLOCK);
    lab.expect("reread", 0, "clock: available\nweb: changed\n");
    lab.expect(
        "update",
        0,
        "web: stopped\nweb: updated process group\nclock: added process group\n",
    );
    site.wait_running(4);
    site.wait_greeting("good evening");
    assert_eq!(lab.pid("app_workers:mailer"), workers);
    lab.wait_text("logs/clock.log", ":");

    // The end: no process, no port, no socket.
    let mut site = site;
    site.lab.shut_down();
    assert_eq!(get(site.port), None, "the port is free again");
    assert!(!procfs::alive(web));
}

#[test]
fn the_same_files_look_the_same_under_supervisor() {
    // Without this: who switches over finds other names and states than before.
    let bin = python();
    let story = |subject: Subject| -> Vec<Vec<String>> {
        let site = Site::new(subject, &bin);
        let mut shapes = Vec::new();
        site.wait_running(3);
        shapes.push(site.shape());
        assert_eq!(site.lab.ctl("stop app_workers:mailer").code, 0);
        shapes.push(site.shape());
        site.write(
            "broken",
            "[program:broken]\ncommand=/nosuch/program\nstartretries=0\n",
        );
        assert_eq!(site.lab.ctl("update").code, 0);
        site.lab.wait_state("broken", "FATAL");
        shapes.push(site.shape());
        site.write(
            "manual",
            "[program:manual]\ncommand=/bin/sleep 1000\nautostart=false\n",
        );
        assert_eq!(site.lab.ctl("update").code, 0);
        shapes.push(site.shape());
        shapes
    };
    assert_eq!(
        story(Subject::Appctl),
        story(Subject::Supervisor(bin.clone()))
    );
}
