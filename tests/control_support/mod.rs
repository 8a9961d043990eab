//! A daemon's turn that is not one: it answers questions from a small made-up fleet, so that the
//! front door can be tested alone. And a client that speaks to it over a real socket.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use appctl::control::limits::Limits;
use appctl::control::line::AnswerLine;
use appctl::control::listener::bind_unix;
use appctl::control::server::{Rooms, serve_within};
use appctl::control::{
    Answer, Ask, AvailView, Channel, DifferenceKind, Failure, LogDone, LogView, ProcessView,
    Question, RunView,
};
use appctl::events::{Bulletin, Event};
use appctl::fleet::{Done, ProcessName, Refusal, Report, Selector, State};
use appctl::logs::{StreamId, Timeline};
use appctl::state::{Place, Run};
use async_std::channel::{Receiver, bounded};
use async_std::task;

/// No test waits longer than this for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A served socket in a folder of its own, which has the logs as well.
pub struct Daemon {
    pub folder: tempfile::TempDir,
    /// What was asked, in order.
    pub asked: mpsc::Receiver<Ask>,
    /// Asks whose client went away before they were answered.
    pub abandoned: mpsc::Receiver<Ask>,
}

impl Daemon {
    pub fn start() -> Daemon {
        Daemon::within(Limits::default())
    }

    pub fn within(limits: Limits) -> Daemon {
        let (questions, turn) = bounded(16);
        let (tell_asked, asked) = mpsc::channel();
        let (tell_abandoned, abandoned) = mpsc::channel();
        let folder = tempfile::tempdir().unwrap();
        let fleet = Fleet {
            log: folder.path().join("web.log"),
            abandoned: tell_abandoned,
        };
        let daemon = Daemon {
            folder,
            asked,
            abandoned,
        };
        let listener = bind_unix(&daemon.socket(), 0o600, (None, None)).unwrap();
        task::spawn(serve_within(
            limits,
            listener,
            Rooms {
                questions,
                http: None,
                guarded: false,
            },
        ));
        task::spawn(fleet.turn(turn, tell_asked));
        daemon
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub fn log(&self) -> PathBuf {
        self.folder.path().join("web.log")
    }

    pub fn client(&self) -> Client {
        Client::of(UnixStream::connect(self.socket()).unwrap())
    }
}

struct Fleet {
    log: PathBuf,
    abandoned: mpsc::Sender<Ask>,
}

impl Fleet {
    async fn turn(self, questions: Receiver<Question>, asked: mpsc::Sender<Ask>) {
        while let Ok(question) = questions.recv().await {
            let _ = asked.send(question.ask.clone());
            // A task for each, for a reader may be slow.
            task::spawn(answer(question, self.log.clone(), self.abandoned.clone()));
        }
    }
}

async fn answer(question: Question, log: PathBuf, abandoned: mpsc::Sender<Ask>) {
    let Question { ask, reply, .. } = question;
    let waits = matches!(&ask, Ask::Start { selectors, .. } if shown(selectors) == ["never"]);
    if waits {
        while !reply.is_closed() {
            task::sleep(Duration::from_millis(2)).await;
        }
    }
    for item in answers(&ask, log) {
        if reply.send(item).await.is_err() {
            let _ = abandoned.send(ask);
            return;
        }
    }
}

fn shown(selectors: &[Selector]) -> Vec<String> {
    selectors.iter().map(Selector::to_string).collect()
}

fn name(text: &str) -> ProcessName {
    let (group, process) = text.split_once(':').unwrap_or((text, text));
    ProcessName {
        group: group.into(),
        process: process.into(),
    }
}

fn known(text: &str) -> bool {
    ["web", "worker:0", "worker:1"].contains(&text)
}

fn view(text: &str) -> Answer {
    let running = text == "web";
    Answer::Process(Box::new(ProcessView {
        name: name(text),
        state: if running {
            State::Running
        } else {
            State::Stopped
        },
        description: if running {
            "pid 4711, uptime 0:01:02"
        } else {
            "Not started"
        }
        .into(),
        pid: if running { 4711 } else { 0 },
        start: if running { 1_700_000_000 } else { 0 },
        stop: 0,
        now: 1_700_000_062,
        uptime: if running { 62 } else { 0 },
        exit_status: 0,
        ended: String::new(),
        spawn_error: String::new(),
        stdout_logfile: if running { "/var/log/web.log" } else { "" }.into(),
        stderr_logfile: String::new(),
        log_trouble: String::new(),
        left_behind: String::new(),
        disabled: false,
    }))
}

/// A thousand events.
fn events() -> Answer {
    let bulletin = Bulletin::default();
    for _ in 0..1000 {
        bulletin.publish(1_700_000_000, Event::SupervisorRunning);
    }
    Answer::Events(bulletin)
}

/// Every selected process in turn, or that there is none of that name.
fn each(selectors: &[Selector], with: impl Fn(&str) -> Answer) -> Vec<Answer> {
    let mut answers = Vec::new();
    for selector in selectors {
        match selector {
            Selector::All => answers.extend(["web", "worker:0", "worker:1"].map(&with)),
            Selector::Group(group) if group == "worker" => {
                answers.extend(["worker:0", "worker:1"].map(&with));
            }
            Selector::Process(name) if known(&name.to_string()) => {
                answers.push(with(&name.to_string()));
            }
            other => answers.push(report(&other.to_string(), Err(Refusal::NoSuchProcess))),
        }
    }
    answers.push(Answer::Done);
    answers
}

fn report(subject: &str, result: Result<Done, Refusal>) -> Answer {
    Answer::Report(Report {
        subject: subject.into(),
        result,
    })
}

fn groups(groups: &[String], done: Done) -> Vec<Answer> {
    let mut answers: Vec<_> = groups.iter().map(|group| report(group, Ok(done))).collect();
    answers.push(Answer::Done);
    answers
}

fn answers(ask: &Ask, log: PathBuf) -> Box<dyn Iterator<Item = Answer> + Send> {
    let running = |text: &str, done| match text {
        "web" => report(text, Err(Refusal::AlreadyStarted)),
        _ => report(text, Ok(done)),
    };
    let list = match ask {
        Ask::Status(selectors) if selectors.is_empty() => each(&[Selector::All], view),
        // A fleet that is much larger than any buffer on the way.
        Ask::Status(selectors) if shown(selectors) == ["many"] => {
            let many = (0..20_000).map(|n| view(&format!("many:{n}")));
            return Box::new(many.chain([Answer::Done]));
        }
        Ask::Status(selectors) => each(selectors, view),
        Ask::Start { selectors, .. } => each(selectors, |name| running(name, Done::Started)),
        Ask::Stop { selectors, .. } => each(selectors, |name| match name {
            "web" => report(name, Ok(Done::Stopped)),
            _ => report(name, Err(Refusal::NotRunning)),
        }),
        Ask::Restart(selectors) => each(selectors, |name| report(name, Ok(Done::Started))),
        Ask::Signal { selectors, .. } => each(selectors, |name| report(name, Ok(Done::Signalled))),
        Ask::Pid => vec![Answer::Value("4700".into()), Answer::Done],
        Ask::Version => vec![Answer::Value("0.1.0".into()), Answer::Done],
        // No verb of the line protocol asks for these.
        Ask::Daemon | Ask::Configuration => vec![Answer::Done],
        Ask::History(selectors) => each(selectors, |text| {
            Answer::Run(Box::new(RunView {
                name: name(text),
                run: Run {
                    started: 1_700_000_000,
                    why: "asked".into(),
                    by: Some(0),
                    pid: 4711,
                    ended: Some(1_700_000_062),
                    how: "exit status 0".into(),
                    peak_memory: 1_048_576,
                    stdout: Some(Place {
                        inode: 77,
                        offset: 4096,
                    }),
                    stderr: None,
                },
            }))
        }),
        Ask::Enable { enabled, selectors } => each(selectors, |text| Answer::Enabled {
            name: name(text),
            enabled: *enabled,
        }),
        Ask::Avail => vec![
            Answer::Available(AvailView {
                name: name("web"),
                in_use: true,
                autostart: true,
                group_priority: 999,
                process_priority: 999,
            }),
            Answer::Done,
        ],
        Ask::Reread => vec![
            Answer::Difference {
                group: "web".into(),
                kind: DifferenceKind::Changed,
            },
            Answer::Done,
        ],
        Ask::Add(names) => groups(names, Done::Added),
        Ask::Remove(names) => groups(names, Done::Removed),
        Ask::Plan(following) => {
            let deed = appctl::fleet::Deed::Restart;
            let steps = following.groups.iter().cloned();
            let mut steps: Vec<Answer> = steps
                .map(|subject| Answer::Planned { subject, deed })
                .collect();
            steps.push(Answer::Done);
            steps
        }
        Ask::Update(following) => groups(&following.groups, Done::Updated),
        Ask::Clear(selectors) => each(selectors, |text| Answer::LogReport {
            name: name(text),
            result: Ok(LogDone::Cleared),
        }),
        Ask::Rotate(selectors) => each(selectors, |text| Answer::LogReport {
            name: name(text),
            result: Err(Failure::NoLogFile),
        }),
        Ask::LogOf { name, .. } if name.to_string() == "web" => {
            vec![Answer::Log(log), Answer::Done]
        }
        Ask::LogOf { .. } => vec![Answer::Failed(Failure::Refused(Refusal::NoSuchProcess))],
        Ask::Logs(_) => {
            let timeline = Timeline::new(Default::default(), StreamId(0));
            let view = LogView {
                name: name("web"),
                channel: Channel::Stdout,
                path: log,
                timeline,
            };
            vec![Answer::LogOf(Box::new(view)), Answer::Done]
        }
        Ask::MainLog => vec![Answer::Failed(Failure::NoLogFile)],
        Ask::Events => vec![events()],
        Ask::Measures => vec![Answer::Done],
        Ask::Reload => vec![
            Answer::Diagnostic("supervisord.conf:7: no such option: commnad".into()),
            Answer::Failed(Failure::CannotReread("1 error".into())),
        ],
        Ask::Upgrade(_) => vec![Answer::Failed(Failure::Other("no such binary".into()))],
        Ask::StartOver
        | Ask::Shutdown
        | Ask::ClearMain
        | Ask::RotateMain
        | Ask::Reopen
        | Ask::Stdin { .. }
        | Ask::Remote { .. } => {
            vec![Answer::Done]
        }
    };
    Box::new(list.into_iter())
}

/// A client that knows nothing but lines.
pub struct Client {
    pub stream: UnixStream,
    pub reader: BufReader<UnixStream>,
}

impl Client {
    pub fn of(stream: UnixStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::new(stream.try_clone().unwrap());
        Client { stream, reader }
    }

    pub fn at(socket: &Path) -> Client {
        Client::of(UnixStream::connect(socket).unwrap())
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// The next line without its newline; `None` at the end.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let count = self.reader.read_line(&mut line).unwrap();
        (count > 0).then(|| line.trim_end_matches('\n').to_owned())
    }

    /// The lines of one answer, the final one included.
    pub fn answer(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().expect("the connection ended in an answer");
            let is_final = line.starts_with("ok") || line.starts_with("err");
            lines.push(line);
            if is_final {
                return lines;
            }
        }
    }

    /// Sends a line and returns its answer.
    pub fn ask(&mut self, line: &str) -> Vec<String> {
        self.send(format!("{line}\n"));
        self.answer()
    }

    /// The next raw block.
    pub fn block(&mut self) -> (String, Vec<u8>) {
        let line = self.line().expect("a block");
        let Ok(AnswerLine::Raw { length, name }) = line.parse() else {
            panic!("not a block: {line}");
        };
        let mut bytes = vec![0; length + 1];
        self.reader.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(b'\n'));
        (name, bytes)
    }

    /// Holds a conversation written down as in docs/protocol.md, `> ` what is sent and `< ` what
    /// comes. `same` compares a line that came with the one that was expected; against a daemon
    /// whose pids and times differ it looks away from those.
    pub fn hold(&mut self, conversation: &str, same: impl Fn(&str, &str) -> bool) {
        for line in conversation.lines() {
            if let Some(request) = line.strip_prefix("> ") {
                self.send(format!("{request}\n"));
            } else if let Some(expected) = line.strip_prefix("< ") {
                let came = self.line().expect(expected);
                assert!(same(&came, expected), "came: {came}\nexpected: {expected}");
            }
        }
    }

    /// Everything until the daemon hangs up.
    pub fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        // A client that still was sending when the daemon closed may see a reset at the end.
        let _ = self.reader.read_to_end(&mut rest);
        rest
    }

    pub fn close_half(&self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
}
