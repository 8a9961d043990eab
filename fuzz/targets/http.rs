//! A whole connection of HTTP: hyper, the guard, the routes and what is behind them, with a daemon that
//! answers at once.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use appctl::control::{Answer, Ask, DaemonState, DaemonView, Failure, ProcessView, Question};
use appctl::events::{Bulletin, Event};
use appctl::fleet::{ProcessName, State};
use appctl::http::{Credentials, Guard, Live, Site, Wire};
use async_std::channel::{Receiver, bounded};
use futures_lite::{AsyncRead, AsyncWrite, future};

use super::pieces::Pieces;

/// The connection ends, and what is sent is responses of HTTP.
pub fn check(data: &[u8]) {
    let (questions, asked) = bounded(16);
    let guarded = data.first().is_some_and(|byte| byte % 4 == 0);
    let credentials = guarded.then(|| Credentials::new("u".to_owned(), "p".to_owned()));
    let live = Live::new(questions.clone());
    let site = Site::new(questions, credentials, Guard::new(None), live);
    let client = Client::sending(data);
    let talk = site.serve(client.clone(), Vec::new(), None);
    async_io::block_on(future::or(talk, answering(asked)));
    let received = client.0.lock().expect("nothing panicked");
    let received = received.received.as_slice();
    assert!(received.is_empty() || received.starts_with(b"HTTP/1."));
    let knows = data.windows(6).any(|it| it.eq_ignore_ascii_case(b"basic "));
    assert!(!guarded || knows || !received.starts_with(b"HTTP/1.1 2"));
}

/// How often a client that has sent everything is asked for more before it hangs up: whoever works for
/// it gets on meanwhile.
const PATIENCE: u32 = 40;

/// The beginning of what a client is sent is kept.
const KEPT: usize = 64;

/// A client that sends an input in pieces, takes everything it is sent, and hangs up.
#[derive(Clone)]
struct Client(Arc<Mutex<Sending>>);

struct Sending {
    pieces: Pieces,
    patience: u32,
    received: Vec<u8>,
}

impl Client {
    fn sending(data: &[u8]) -> Client {
        Client(Arc::new(Mutex::new(Sending {
            pieces: Pieces::of(data),
            patience: PATIENCE,
            received: Vec::new(),
        })))
    }

    /// Whether it waits no more.
    fn is_gone(&self, context: &Context<'_>) -> bool {
        let mut sending = self.0.lock().expect("nothing panicked");
        let gone = sending.patience == 0;
        if !gone {
            sending.patience -= 1;
            std::thread::yield_now();
            context.waker().wake_by_ref();
        }
        gone
    }
}

impl Wire for Client {
    fn gone(&self) -> future::Boxed<()> {
        let client = self.clone();
        Box::pin(future::poll_fn(move |context| {
            match client.is_gone(context) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }))
    }
}

impl AsyncRead for Client {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut sending = self.0.lock().expect("nothing panicked");
        let piece = sending.pieces.take(into.len());
        let count = piece.len();
        into[..count].copy_from_slice(piece);
        drop(sending);
        match count > 0 || self.is_gone(context) {
            true => Poll::Ready(Ok(count)),
            false => Poll::Pending,
        }
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut sending = self.0.lock().expect("nothing panicked");
        let room = KEPT.saturating_sub(sending.received.len()).min(bytes.len());
        sending.received.extend_from_slice(&bytes[..room]);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The daemon's turn, which knows one process.
async fn answering(asked: Receiver<Question>) {
    let bulletin = Bulletin::default();
    bulletin.publish(1, Event::SupervisorRunning);
    while let Ok(question) = asked.recv().await {
        let items = match question.ask {
            Ask::Status(_) => vec![Answer::Process(Box::new(process())), Answer::Done],
            Ask::LogOf { .. } | Ask::MainLog => vec![Answer::Log(log())],
            Ask::Events => vec![Answer::Events(bulletin.clone())],
            Ask::Daemon => vec![Answer::Daemon(Box::new(daemon())), Answer::Done],
            Ask::Pid | Ask::Version => vec![Answer::Value("7".to_owned()), Answer::Done],
            Ask::Stdin { .. } => vec![Answer::Failed(Failure::NoInput)],
            Ask::Plan(_) => vec![Answer::Failed(Failure::CannotReread("bad".to_owned()))],
            _ => vec![Answer::Done],
        };
        for item in items {
            // Whoever asked may have gone.
            let _ = question.reply.send(item).await;
        }
    }
    future::pending().await
}

/// Any file does.
fn log() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
}

fn process() -> ProcessView {
    ProcessView {
        name: ProcessName {
            group: "a".to_owned(),
            process: "a".to_owned(),
        },
        state: State::Running,
        description: "pid 7, uptime 0:00:01".to_owned(),
        pid: 7,
        start: 1,
        stop: 0,
        now: 2,
        uptime: 1,
        exit_status: 0,
        ended: String::new(),
        spawn_error: String::new(),
        stdout_logfile: String::new(),
        stderr_logfile: String::new(),
        log_trouble: String::new(),
        left_behind: String::new(),
        disabled: false,
    }
}

fn daemon() -> DaemonView {
    DaemonView {
        identifier: "supervisor".to_owned(),
        pid: 7,
        state: DaemonState::Running,
        serves_supervisor: true,
    }
}
