//! A daemon that answers requests from a script, and the client programs run against it.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

/// Ends an answer after which the daemon keeps the connection open and says no more.
pub const STREAM: &str = "\u{0}stream";

/// A fake daemon and the directory it lives in.
pub struct Fake {
    pub directory: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// A daemon with answers for these request lines. Others are refused.
    pub fn answering(script: &[(&str, &str)]) -> Fake {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("s.sock")).unwrap();
        let script: HashMap<String, String> = script
            .iter()
            .map(|(request, answer)| (request.to_string(), answer.to_string()))
            .collect();
        let script = Arc::new(script);
        let requests = Arc::new(Mutex::new(Vec::new()));
        let fake = Fake {
            directory,
            requests: requests.clone(),
        };
        for name in [
            "supervisorctl",
            "supervisord",
            "pidproxy",
            "echo_supervisord_conf",
        ] {
            symlink(
                env!("CARGO_BIN_EXE_appctl"),
                fake.directory.path().join(name),
            )
            .unwrap();
        }
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (script, requests) = (script.clone(), requests.clone());
                std::thread::spawn(move || serve(stream, &script, &requests));
            }
        });
        fake
    }

    /// A directory with the programs and no daemon.
    pub fn absent() -> Fake {
        let fake = Fake::answering(&[]);
        std::fs::remove_file(fake.socket()).unwrap();
        fake
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("s.sock")
    }

    pub fn url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The request lines so far, without `hello`.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub fn program(&self, name: &str) -> Command {
        let path = match name {
            "appctl" => PathBuf::from(env!("CARGO_BIN_EXE_appctl")),
            name => self.directory.path().join(name),
        };
        let mut command = Command::new(path);
        command.current_dir(self.directory.path());
        command
            .env_remove("NO_COLOR")
            .env("HOME", self.directory.path());
        command.stdin(Stdio::null());
        command
    }

    /// `supervisorctl -s URL …` split at blanks.
    pub fn supervisorctl(&self, line: &str) -> Seen {
        let mut command = self.program("supervisorctl");
        command
            .args(["-s", &self.url()])
            .args(line.split_whitespace());
        Seen::of(command.output().unwrap())
    }

    /// `appctl -s SOCKET …` split at blanks.
    pub fn appctl(&self, line: &str) -> Seen {
        let mut command = self.program("appctl");
        command
            .arg("-s")
            .arg(self.socket())
            .args(line.split_whitespace());
        Seen::of(command.output().unwrap())
    }

    /// A program fed with this input.
    pub fn fed(&self, mut command: Command, input: &str) -> Seen {
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        Seen::of(child.wait_with_output().unwrap())
    }
}

fn serve(stream: UnixStream, script: &HashMap<String, String>, requests: &Mutex<Vec<String>>) {
    let mut answers = stream.try_clone().unwrap();
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let request = line.trim_end();
        if request == "hello" {
            answers.write_all(b"- appctl protocol=1\nok\n").unwrap();
            continue;
        }
        if request.starts_with("POST ") {
            // It was not quick enough to say hello, and is asked whether it is ours.
            let head = b"HTTP/1.1 200 OK\r\nServer: appctl\r\nContent-Length: 0\r\n\r\n";
            let _ = answers.write_all(head);
            return;
        }
        requests.lock().unwrap().push(request.to_string());
        let answer = match script.get(request) {
            Some(answer) => answer.clone(),
            None => format!("err unknown-verb \"nothing scripted for {request}\"\n"),
        };
        let streams = answer.strip_suffix(STREAM);
        // A client that has seen enough may be gone.
        let _ = answers.write_all(streams.unwrap_or(&answer).as_bytes());
        if streams.is_some() {
            let _ = lines.read_line(&mut line);
            return;
        }
    }
}

/// What a program did.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Seen {
    pub fn of(output: Output) -> Seen {
        Seen {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Exit status and standard output; nothing was complained about.
    pub fn said(&self) -> (i32, &str) {
        assert_eq!(self.err, "", "standard error");
        (self.code.unwrap(), &self.out)
    }
}
