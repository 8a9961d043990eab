//! A session: request lines of one connection, answered one after the other.
//!
//! Lines become [`Question`]s for the daemon's turn, its [`Answer`]s become lines. What a session
//! can answer by itself, it does.
//!
//! Must never: change anything itself, let one client wait for another.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_std::channel::{Receiver, Sender, TryRecvError, bounded};

use super::answer::{self, Tally, row_line, trouble_line};
use super::codes::{Code, Trouble};
use super::connection::{Connection, NoLine, before};
use super::follow::{Found, LogFile};
use super::line::{AnswerLine, LINE_MAX, Row};
use super::peer::rights_of;
use super::question::{Answer, Ask, DaemonView, Failure, Question};
use super::request::{self, Request, Tail};
use super::verb::{Verb, help_row};
use super::verbs::{PROTOCOL_VERSION, VERBS};

/// Answers that wait in the channel between the turn and a session.
const ANSWERS_MAX: usize = 64;

/// Events that are sent at once.
const EVENTS_MAX: usize = 64;

/// Answers the requests of a connection until either side ends it.
pub async fn run(connection: Connection, questions: Sender<Question>, guarded: bool) {
    let mut session = Session {
        connection,
        questions,
        guarded,
    };
    // An error here is a client that went away, which is no event worth telling.
    if let Ok(Some(none)) = session.run().await {
        close(session.connection, none).await;
    }
}

/// Tells a client why no line of it is read, and ends the connection.
pub async fn close(mut connection: Connection, none: NoLine) {
    if let Some(trouble) = why(none, &connection) {
        connection.put_line(trouble_line(&trouble));
        let _ = connection.send().await;
    }
}

pub(super) struct Session {
    pub(super) connection: Connection,
    questions: Sender<Question>,
    /// Supervisor's clients have to know a password here.
    guarded: bool,
}

/// Whether more requests are taken.
enum Flow {
    Continue,
    Close,
}

impl Session {
    /// Until the client says `quit`, or sends no more lines for the reason returned.
    async fn run(&mut self) -> io::Result<Option<NoLine>> {
        loop {
            let flow = match self.connection.line().await {
                Ok(line) => self.answer(&line).await?,
                Err(none) => return Ok(Some(none)),
            };
            // With more whole requests at hand, their answers go out together.
            let more = self.connection.pending().contains(&b'\n');
            if !more || self.connection.is_full() {
                self.connection.send().await?;
            }
            if let Flow::Close = flow {
                self.connection.send().await?;
                return Ok(None);
            }
        }
    }

    async fn answer(&mut self, line: &[u8]) -> io::Result<Flow> {
        let Ok(line) = std::str::from_utf8(line) else {
            self.refuse(&Trouble::new(Code::NotUtf8, Code::NotUtf8.meaning()));
            return Ok(Flow::Continue);
        };
        let (verb, request) = match request::read(line) {
            Ok(Some(understood)) => understood,
            Ok(None) => return Ok(Flow::Continue),
            Err(trouble) => {
                self.refuse(&trouble);
                return Ok(Flow::Continue);
            }
        };
        if verb.rights > rights_of(self.connection.peer()) {
            let text = format!("{} needs the right to {}", verb.name, verb.rights.word());
            self.refuse(&Trouble::new(Code::Denied, text));
            return Ok(Flow::Continue);
        }
        match request {
            Request::Ask(ask) => self.relay(verb, ask, answer::row).await?,
            Request::PidOf(selectors) => {
                self.relay(verb, Ask::Status(selectors), pid_row).await?;
            }
            Request::Tail(tail) => self.tail(tail).await?,
            Request::Logs(logs) => self.logs(logs).await?,
            Request::Events { follow, since } => self.events(follow, since).await?,
            Request::Hello(version) => self.hello(version).await?,
            Request::Help(name) => self.help(name),
            Request::Quit => {
                self.done();
                return Ok(Flow::Close);
            }
        }
        Ok(Flow::Continue)
    }

    pub(super) fn refuse(&mut self, trouble: &Trouble) {
        self.connection.put_line(trouble_line(trouble));
    }

    pub(super) fn done(&mut self) {
        self.connection.put_line(AnswerLine::Ok(String::new()));
    }

    async fn hello(&mut self, version: Option<u32>) -> io::Result<()> {
        if version.is_some_and(|version| !(1..=PROTOCOL_VERSION).contains(&version)) {
            let text = format!("this daemon speaks version {PROTOCOL_VERSION}");
            self.refuse(&Trouble::new(Code::UnsupportedVersion, text));
            return Ok(());
        }
        let mut row = Row::of(["appctl"])
            .with("protocol", PROTOCOL_VERSION)
            .with("version", env!("CARGO_PKG_VERSION"));
        if let Some(daemon) = self.daemon().await? {
            row = answer::greeting(row, &daemon);
        }
        if self.guarded {
            row = row.with("password", "required");
        }
        self.connection.put_line(row_line(row));
        self.done();
        Ok(())
    }

    /// The daemon as it is, unless the turn does not answer.
    async fn daemon(&mut self) -> io::Result<Option<DaemonView>> {
        let Ok(answers) = self.ask(Ask::Daemon).await else {
            return Ok(None);
        };
        Ok(match self.next(&answers, false).await? {
            Answer::Daemon(view) => Some(*view),
            _ => None,
        })
    }

    fn help(&mut self, name: Option<&str>) {
        let wanted = |verb: &&Verb| name.is_none_or(|name| name == verb.name);
        for verb in VERBS.iter().filter(wanted) {
            self.connection.put_line(row_line(help_row(verb)));
        }
        self.done();
    }

    /// Puts a question to the turn. The receiver gives the answers; dropping it abandons them.
    pub(super) async fn ask(&self, ask: Ask) -> Result<Receiver<Answer>, Trouble> {
        let (reply, answers) = bounded(ANSWERS_MAX);
        let peer = self.connection.peer();
        let connection = match ask {
            Ask::Upgrade(_) => self.connection.duplicate().ok(),
            _ => None,
        };
        let question = Question {
            ask,
            peer,
            connection,
            reply,
        };
        let deadline = Instant::now() + self.connection.limits().accept;
        match before(deadline, self.questions.send(question)).await {
            Some(Ok(())) => Ok(answers),
            Some(Err(_)) => Err(Trouble::new(
                Code::ShuttingDown,
                Code::ShuttingDown.meaning(),
            )),
            None => Err(Trouble::new(
                Code::Busy,
                "the daemon takes no requests at the moment; try again",
            )),
        }
    }

    /// The next answer. What has gathered is sent before waiting for one.
    pub(super) async fn next(
        &mut self,
        answers: &Receiver<Answer>,
        streams: bool,
    ) -> io::Result<Answer> {
        if self.connection.is_full() {
            self.send(streams).await?;
        }
        let answer = match answers.try_recv() {
            Err(TryRecvError::Empty) => {
                self.send(streams).await?;
                self.connection.unless_hung_up(answers.recv()).await?.ok()
            }
            answer => answer.ok(),
        };
        let lost = || Failure::Other("the daemon ended before it had answered".to_owned());
        Ok(answer.unwrap_or_else(|| Answer::Failed(lost())))
    }

    pub(super) async fn send(&mut self, streams: bool) -> io::Result<()> {
        match streams {
            true => self.connection.send_patiently().await,
            false => self.connection.send().await,
        }
    }

    /// Asks and passes on the answers as rows, and at the end the final line.
    async fn relay(
        &mut self,
        verb: &Verb,
        ask: Ask,
        row: fn(&Answer) -> Option<Row>,
    ) -> io::Result<()> {
        let answers = match self.ask(ask).await {
            Ok(answers) => answers,
            Err(trouble) => {
                self.refuse(&trouble);
                return Ok(());
            }
        };
        let mut tally = Tally::default();
        loop {
            match self.next(&answers, verb.streams).await? {
                Answer::Done => {
                    self.connection.put_line(tally.line());
                    return Ok(());
                }
                Answer::Failed(failure) => {
                    self.refuse(&(&failure).into());
                    return Ok(());
                }
                answer => {
                    tally.note(&answer);
                    if let Some(row) = row(&answer) {
                        self.connection.put_line(row_line(row));
                    }
                }
            }
        }
    }

    /// Sends what happened, by number: first what is kept, then what comes.
    async fn events(&mut self, follow: bool, since: Option<u64>) -> io::Result<()> {
        let answers = match self.ask(Ask::Events).await {
            Ok(answers) => answers,
            Err(trouble) => {
                self.refuse(&trouble);
                return Ok(());
            }
        };
        let bulletin = match self.next(&answers, false).await? {
            Answer::Events(bulletin) => bulletin,
            _ => {
                self.refuse(&Trouble::new(Code::Failed, Code::Failed.meaning()));
                return Ok(());
            }
        };
        let mut seen = match (since, follow) {
            (Some(since), _) => since,
            (None, true) => bulletin.last(),
            (None, false) => bulletin.before_oldest(),
        };
        loop {
            let batch = bulletin.since(seen, EVENTS_MAX);
            seen = batch.seen;
            if batch.missed > 0 {
                let row = answer::missed_row(batch.missed);
                self.connection.put_line(row_line(row));
            }
            for record in &batch.records {
                let row = answer::event_row(&record.facts());
                self.connection.put_line(row_line(row));
            }
            if batch.records.len() == EVENTS_MAX {
                self.send(true).await?;
            } else if follow {
                self.send(true).await?;
                let news = bulletin.news_after(seen);
                self.connection.unless_hung_up(news).await?;
            } else {
                self.done();
                return Ok(());
            }
        }
    }

    /// Asks where a log is.
    async fn locate(&mut self, ask: Ask) -> io::Result<Result<PathBuf, Trouble>> {
        let answers = match self.ask(ask).await {
            Ok(answers) => answers,
            Err(trouble) => return Ok(Err(trouble)),
        };
        loop {
            match self.next(&answers, false).await? {
                Answer::Log(path) => return Ok(Ok(path)),
                Answer::Failed(failure) => return Ok(Err((&failure).into())),
                Answer::Report(report) => {
                    if let Err(refusal) = &report.result {
                        return Ok(Err(refusal.into()));
                    }
                }
                Answer::Done => return Ok(Err((&Failure::NoLogFile).into())),
                _ => {}
            }
        }
    }

    async fn tail(&mut self, tail: Tail) -> io::Result<()> {
        let opened = match self.locate(tail.ask.clone()).await? {
            Err(trouble) => Err(trouble),
            Ok(path) => open(path).await,
        };
        match opened {
            Err(trouble) => self.refuse(&trouble),
            Ok((log, size)) => match self.send_log(&tail, log, size).await? {
                Ok(()) => self.done(),
                Err(error) => {
                    let text = format!("reading the log: {error}");
                    self.refuse(&Trouble::new(Code::Failed, text));
                }
            },
        }
        Ok(())
    }

    /// Sends what is there, then what comes. The outer error is the client's, the inner the log's.
    async fn send_log(
        &mut self,
        tail: &Tail,
        mut log: LogFile,
        size: u64,
    ) -> io::Result<io::Result<()>> {
        let (mut offset, end) = tail.window(size);
        let row = Row::of([tail.block])
            .with("offset", offset)
            .with("size", size);
        self.connection.put_line(row_line(row));
        while offset < end {
            let read;
            (log, read) = log.read(offset, end - offset).await;
            match read {
                Err(error) => return Ok(Err(error)),
                // It was truncated meanwhile.
                Ok(bytes) if bytes.is_empty() => break,
                Ok(bytes) => {
                    offset += bytes.len() as u64;
                    self.send_block(tail, &bytes).await?;
                }
            }
        }
        if !tail.follow {
            return Ok(Ok(()));
        }
        self.send(true).await?;
        loop {
            let found;
            (log, found) = log.next(offset).await;
            match found {
                Err(error) => return Ok(Err(error)),
                Ok(Found::Bytes(bytes)) => {
                    offset += bytes.len() as u64;
                    self.send_block(tail, &bytes).await?;
                }
                Ok(Found::Rotated | Found::Truncated) => {
                    offset = 0;
                    let row = Row::of([tail.block, "restarted"]).with("offset", offset);
                    self.connection.put_line(row_line(row));
                    self.send(true).await?;
                }
                Ok(Found::Nothing) => self.connection.unless_hung_up(log.grown()).await?,
            }
        }
    }

    async fn send_block(&mut self, tail: &Tail, bytes: &[u8]) -> io::Result<()> {
        self.connection.put_line(AnswerLine::Raw {
            length: bytes.len(),
            name: tail.block.to_owned(),
        });
        self.connection.put_raw(bytes);
        self.send(tail.follow).await
    }
}

/// What to tell a client that sends no proper line; nothing if there is nothing to tell.
fn why(none: NoLine, connection: &Connection) -> Option<Trouble> {
    let seconds = |limit: Duration| format!("{} seconds", limit.as_secs());
    let limits = connection.limits();
    let (code, text) = match none {
        NoLine::Finished | NoLine::Broken => return None,
        NoLine::CutOff => (
            Code::BadArguments,
            "the line does not end with a newline and was not carried out".to_owned(),
        ),
        NoLine::TooLong => (
            Code::LineTooLong,
            format!("a line has at most {LINE_MAX} bytes"),
        ),
        NoLine::Idle => (
            Code::Timeout,
            format!("no request came in {}", seconds(limits.idle)),
        ),
        NoLine::Slow => (
            Code::Timeout,
            format!("the line was not complete in {}", seconds(limits.request)),
        ),
    };
    Some(Trouble::new(code, text))
}

/// `NAME PID`, and what is wrong as always.
fn pid_row(answer: &Answer) -> Option<Row> {
    match answer {
        Answer::Process(view) => Some(Row::of([&view.name.to_string(), &view.pid.to_string()])),
        other => answer::row(other),
    }
}

async fn open(path: PathBuf) -> Result<(LogFile, u64), Trouble> {
    LogFile::open(path.clone()).await.map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::NotFound => Code::NoLogFile,
            _ => Code::Failed,
        };
        Trouble::new(code, format!("{}: {error}", path.display()))
    })
}
