//! One client's way to the daemon's turn: questions out, whole answers back.
//!
//! Every door of HTTP asks through here. Must never: wait for the turn without a limit, change
//! anything itself.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_io::Timer;
use async_std::channel::{Receiver, Sender, bounded};
use futures_lite::future;

use crate::control::{Answer, Ask, DaemonView, Failure, Peer, ProcessView, Question};
use crate::events::Bulletin;
use crate::fleet::{Refusal, Report, Selector};

/// How long the turn may take to accept a question.
const ACCEPT_MAX: Duration = Duration::from_secs(5);

/// Answers that wait in the channel between the turn and a client.
const ANSWERS_MAX: usize = 64;

/// One client's way to the turn.
#[derive(Debug, Clone)]
pub struct Asking {
    questions: Sender<Question>,
    peer: Option<Peer>,
}

impl Asking {
    /// For this client; one that came by TCP has no peer.
    pub fn new(questions: Sender<Question>, peer: Option<Peer>) -> Asking {
        Asking { questions, peer }
    }

    /// Puts a question. The receiver gives the answers; dropping it abandons them.
    pub async fn put(&self, ask: Ask) -> Result<Receiver<Answer>, Failure> {
        let (reply, answers) = bounded(ANSWERS_MAX);
        let peer = self.peer;
        let question = Question {
            ask,
            peer,
            connection: None,
            reply,
        };
        let late = async {
            Timer::at(Instant::now() + ACCEPT_MAX).await;
            let text = "the daemon is busy; try again";
            Err(Failure::Other(text.to_owned()))
        };
        let sent = async {
            let sent = self.questions.send(question).await;
            sent.map_err(|_| Failure::Refused(Refusal::ShuttingDown))
        };
        future::or(sent, late).await?;
        Ok(answers)
    }

    /// Every item of an answer.
    pub async fn ask(&self, ask: Ask) -> Result<Vec<Answer>, Failure> {
        let answers = self.put(ask).await?;
        let mut items = Vec::new();
        loop {
            match answers.recv().await {
                Ok(Answer::Done) => return Ok(items),
                // Where a log is, is a whole answer.
                Ok(log @ Answer::Log(_)) => return Ok(vec![log]),
                Ok(Answer::Failed(failure)) => return Err(failure),
                Ok(item) => items.push(item),
                Err(_) => {
                    let text = "the daemon ended before it had answered";
                    return Err(Failure::Other(text.to_owned()));
                }
            }
        }
    }

    /// Processes as they are; no selector: all. What cannot be selected is a failure.
    pub async fn processes(&self, selectors: Vec<Selector>) -> Result<Vec<ProcessView>, Failure> {
        let mut views = Vec::new();
        for answer in self.ask(Ask::Status(selectors)).await? {
            match answer {
                Answer::Process(view) => views.push(*view),
                Answer::Report(Report {
                    result: Err(refusal),
                    ..
                }) => return Err(Failure::Refused(refusal)),
                _ => {}
            }
        }
        Ok(views)
    }

    /// Where a log is.
    pub async fn log(&self, ask: Ask) -> Result<PathBuf, Failure> {
        let answers = self.ask(ask).await?;
        let found = answers.into_iter().find_map(|answer| match answer {
            Answer::Log(path) => Some(path),
            _ => None,
        });
        found.ok_or(Failure::NoLogFile)
    }

    /// The daemon as it is.
    pub async fn daemon(&self) -> Result<DaemonView, Failure> {
        let answers = self.ask(Ask::Daemon).await?;
        let found = answers.into_iter().find_map(|answer| match answer {
            Answer::Daemon(view) => Some(*view),
            _ => None,
        });
        found.ok_or_else(|| Failure::Other("the daemon did not describe itself".to_owned()))
    }

    /// What happened, to be read by number.
    pub async fn bulletin(&self) -> Result<Bulletin, Failure> {
        let answers = self.put(Ask::Events).await?;
        match answers.recv().await {
            Ok(Answer::Events(bulletin)) => Ok(bulletin),
            Ok(Answer::Failed(failure)) => Err(failure),
            _ => Err(Failure::Other(
                "the daemon did not tell its events".to_owned(),
            )),
        }
    }
}
