//! Plays a scenario on the programs of a directory, and notes what is seen: one entry for each
//! step that shows something.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::lab::terminal::Terminal;
use super::lab::{self, Lab, Said, Subject};
use super::plain::plain;
use super::rpc;
use super::scenario::{Scenario, Step};

/// Where the programs of one subject are.
pub type Bin = PathBuf;

/// What was seen of each step; nothing of steps that only do something.
pub fn play(scenario: &Scenario, bin: &Path) -> Vec<Option<String>> {
    let mut play = Play {
        lab: Lab::of(Subject::Supervisor(bin.to_path_buf())),
        bin,
        scenario,
    };
    for (name, text) in &scenario.files {
        play.lab.write(name, text);
    }
    for (name, text) in &scenario.scripts {
        play.lab.script(name, text.trim_end());
    }
    play.configure("");
    let steps = scenario.steps.iter();
    let seen = steps.map(|listed| play.step(&listed.step)).collect();
    drop(play);
    seen
}

struct Play<'a> {
    lab: Lab,
    bin: &'a Path,
    scenario: &'a Scenario,
}

impl Play<'_> {
    fn configure(&self, name: &str) {
        let config = self.scenario.configs.iter().find(|(it, _)| it == name);
        self.lab
            .configure(config.map_or("", |(_, text)| text.as_str()));
    }

    fn step(&mut self, step: &Step) -> Option<String> {
        let lab = &mut self.lab;
        match step {
            Step::Daemon => lab.start(),
            Step::Launch => lab.launch(),
            Step::Await { name, state } => lab.wait_state(name, state),
            Step::Until { file, text } => drop(lab.wait_text(file, text)),
            Step::Signal(name) => lab.signal_daemon(name),
            Step::Use(name) => self.configure(name),
            Step::Ctl(words) => return Some(self.noted(self.lab.ctl(words))),
            Step::Sorted(words) => {
                let mut said = self.lab.ctl(words);
                let mut lines: Vec<&str> = said.out.lines().collect();
                lines.sort_unstable();
                said.out = lines.iter().map(|line| format!("{line}\n")).collect();
                return Some(self.noted(said));
            }
            Step::Shell(lines) => return Some(self.shell(lines)),
            Step::Terminal(dialogue) => return Some(self.terminal(dialogue)),
            Step::Follow { text, words } => return Some(self.follow(text, words)),
            Step::Rpc { method, arguments } => {
                let arguments = arguments.replace("@D@", self.lab.directory());
                return Some(self.lines('|', &rpc::call(&self.lab, method, &arguments)));
            }
            Step::Post(xml) => return Some(self.lines('|', &rpc::post(&self.lab, xml))),
            Step::Http { line, headers } => {
                let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
                let reply = lab::http::ask(&self.lab, line, &headers, "");
                let leads = reply.header("location").unwrap_or_default();
                return Some(self.lines('|', &format!("HTTP {} {leads}", reply.status)));
            }
            Step::Stale => drop(UnixListener::bind(lab.socket()).unwrap()),
            Step::Supervisord(words) => {
                let words = words.replace("@D@", self.lab.directory());
                return Some(self.noted(self.supervisord(&words)));
            }
            Step::Refused(paragraph) => return Some(self.refused(paragraph)),
            Step::Sh(command) => {
                // A condition that never comes true fails the step, and not all of the others.
                let mut shell = Command::new("timeout");
                self.lab.prepare(&mut shell);
                shell.env("BIN", self.bin);
                shell.args(["30", "/bin/sh", "-c", command]);
                let said = shell.output().unwrap();
                return Some(self.noted(said.into()));
            }
            Step::Show(file) => return Some(self.lines('|', &self.lab.read(file))),
            Step::MainLog(text) => {
                let log = self.lab.main_log();
                let lines = log.lines().filter(|line| line.contains(text.as_str()));
                let lines: String = lines.map(|line| format!("{line}\n")).collect();
                return Some(self.lines('|', &lines));
            }
            Step::End => {
                let code = lab.wait_end();
                let socket = lab.socket().exists();
                let pidfile = lab.path("daemon.pid").exists();
                return Some(format!("= {code}\n| socket {socket}, pid file {pidfile}\n"));
            }
        }
        None
    }

    fn supervisord(&self, words: &str) -> Said {
        let mut command = Command::new(self.bin.join("supervisord"));
        self.lab.prepare(&mut command);
        // Errors name every variable there is.
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("PATH", path)
            .env("LC_ALL", "C.UTF-8");
        command.args(words.split_whitespace());
        ended(command, "supervisord")
    }

    fn refused(&self, paragraph: &str) -> String {
        let text = format!("[supervisord]\nlogfile=@D@/refused.log\n{paragraph}\n");
        let file = self.lab.write("refused.conf", &text);
        let mut said = self.supervisord(&format!("-n -c {}", file.display()));
        // We tell every mistake; Supervisor's two lines come last.
        let lines: Vec<&str> = said.err.lines().collect();
        let last = lines.iter().rposition(|line| line.starts_with("Error: "));
        let last = &lines[last.unwrap_or(0)..];
        // In the foreground the main log is told there too, as far as it got.
        said.out.clear();
        said.err = last.iter().map(|line| format!("{line}\n")).collect();
        self.noted(said)
    }

    fn shell(&self, lines: &str) -> String {
        let mut command = self.lab.ctl_command("");
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut shell = command.spawn().unwrap();
        let mut typed = shell.stdin.take().unwrap();
        for line in lines.split(';') {
            typed.write_all(line.trim().as_bytes()).unwrap();
            typed.write_all(b"\n").unwrap();
        }
        drop(typed);
        self.noted(shell.wait_with_output().unwrap().into())
    }

    fn terminal(&self, dialogue: &[(String, String)]) -> String {
        let client = self.lab.ctl_command("");
        // With a terminal that is its own, or Ctrl-C means nothing to Supervisor.
        let mut command = Command::new("setsid");
        self.lab.prepare(&mut command);
        command.arg("-c").arg(client.get_program());
        command.args(client.get_args());
        let mut terminal = Terminal::run(command, "dumb");
        let mut code = None;
        for (typed, shown) in dialogue {
            terminal.type_in(typed);
            match shown.trim_start() {
                "END" => code = Some(terminal.wait_end()),
                shown => terminal.wait_for(shown),
            }
        }
        let shown = terminal.shown.replace(['\r', '\u{7}'], "");
        format!("= {}\n{}", code.unwrap_or(-1), self.lines('|', &shown))
    }

    fn follow(&self, text: &str, words: &str) -> String {
        let mut command = self.lab.ctl_command(words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = command.spawn().unwrap();
        let mut out = running.stdout.take().unwrap();
        let mut seen = Vec::new();
        let mut piece = [0; 512];
        while !String::from_utf8_lossy(&seen).contains(text) {
            let count = out.read(&mut piece).unwrap();
            assert!(count > 0, "{words} ended before it wrote {text:?}");
            seen.extend_from_slice(&piece[..count]);
        }
        lab::signal(i32::try_from(running.id()).unwrap(), "INT");
        let code = running.wait().unwrap().code().unwrap_or(-1);
        // What comes at Ctrl-C depends on what Python does just then; where in the main log it
        // begins depends on pids.
        let seen = String::from_utf8_lossy(&seen);
        let (before, _) = seen.split_once(text).unwrap();
        let before = match words.starts_with("maintail") {
            true => before.lines().next().unwrap_or_default(),
            false => before,
        };
        format!(
            "= {code}\n{}",
            self.lines('|', &format!("{before}{text}\n"))
        )
    }

    /// Exit code, standard output, standard error.
    fn noted(&self, said: Said) -> String {
        let mut entry = format!("= {}\n", said.code);
        entry.push_str(&self.lines('|', &said.out));
        entry.push_str(&self.lines('!', &said.err));
        entry
    }

    fn lines(&self, mark: char, text: &str) -> String {
        let bin = self.bin.to_str().unwrap();
        let text = plain(text, self.lab.directory(), bin);
        let ended = text.strip_suffix('\n');
        let mut lines: String = ended
            .unwrap_or(&text)
            .split('\n')
            .map(|line| format!("{mark} {line}\n"))
            .collect();
        if text.is_empty() {
            lines.clear();
        } else if ended.is_none() {
            lines.push_str("\\ no newline\n");
        }
        lines
    }
}

/// Runs a command that ends by itself.
fn ended(mut command: Command, name: &str) -> Said {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    let deadline = Instant::now() + lab::PATIENCE;
    while running.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            running.kill().unwrap();
            panic!("{name} does not end: {command:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    running.wait_with_output().unwrap().into()
}
