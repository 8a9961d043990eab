//! Who waits for which answer: tickets, and the ways back behind them.
//!
//! Must never: decide what is answered, or make the turn wait for somebody who listens slowly.

use std::collections::{BTreeMap, VecDeque};

use async_std::channel::{Sender, unbounded};
use futures_lite::FutureExt;

use super::trees::Awaited;
use crate::control::{Answer, Failure, LogDone};
use crate::fleet::{Refusal, Report, Ticket};
use crate::logs::StreamId;

/// Somebody who waits for an answer, or nobody.
pub type Asker = Option<Sender<Answer>>;

/// Answers that are not complete yet.
#[derive(Debug, Default)]
pub struct Answers {
    last: u64,
    open: BTreeMap<Ticket, Open>,
    /// Who waits for what is being done to a log.
    log_deeds: BTreeMap<(StreamId, LogDone), Vec<Ticket>>,
    /// Who waits until all logs are open again, in the order in which that was asked for.
    reopening: VecDeque<Asker>,
}

#[derive(Debug)]
struct Open {
    reply: Sender<Answer>,
    /// How many parts are still to come.
    parts: usize,
}

impl Answers {
    /// A ticket that nobody has yet.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.last += 1;
        Ticket(self.last)
    }

    /// What comes under this ticket is for this asker, and over when as many parts are.
    pub(super) fn expect(&mut self, ticket: Ticket, parts: usize, reply: Sender<Answer>) {
        if parts == 0 {
            send(&reply, Answer::Done);
        } else {
            self.open.insert(ticket, Open { reply, parts });
        }
    }

    /// Passes on one item of an answer; whether somebody still listens who did before.
    pub(super) fn pass_on(&mut self, ticket: Ticket, answer: Answer) -> bool {
        let heard = |open: &Open| open.reply.try_send(answer).is_ok();
        if self.open.get(&ticket).is_none_or(heard) {
            return true;
        }
        self.open.remove(&ticket);
        false
    }

    /// Passes on the last item of a part; it is heard when the last part is done.
    pub(super) fn finish(&mut self, ticket: Ticket, answer: Answer) {
        let Some(open) = self.open.get_mut(&ticket) else {
            return;
        };
        open.parts -= 1;
        if open.parts == 0
            && let Some(open) = self.open.remove(&ticket)
        {
            send(&open.reply, answer);
        }
    }

    /// Something is being done to a log for this ticket.
    pub(super) fn await_log(&mut self, stream: StreamId, done: LogDone, ticket: Ticket) {
        let waiting = self.log_deeds.entry((stream, done)).or_default();
        waiting.push(ticket);
    }

    /// It is done: who waited for that.
    pub(super) fn log_done(&mut self, stream: StreamId, done: LogDone) -> Vec<Ticket> {
        self.log_deeds.remove(&(stream, done)).unwrap_or_default()
    }

    /// All logs are being opened again, for this asker.
    pub(super) fn await_reopened(&mut self, asker: Asker) {
        self.reopening.push_back(asker);
    }

    /// All logs are open again, for who asked first.
    pub(super) fn reopened(&mut self) {
        if let Some(reply) = self.reopening.pop_front().flatten() {
            send(&reply, Answer::Done);
        }
    }

    /// The daemon ends, and with it every answer.
    pub(super) fn end(self) {
        for open in self.open.into_values() {
            send(&open.reply, Answer::Done);
        }
    }
}

/// A way back that never makes the turn wait, for an answer is as long as there are processes: a
/// task of its own waits for the session instead.
pub(super) fn unhurried(reply: Sender<Answer>) -> Sender<Answer> {
    unhurried_after(reply, Awaited::default())
}

/// The same, for an answer whose parts wait for the end of trees as well.
pub(super) fn unhurried_after(reply: Sender<Answer>, mut trees: Awaited) -> Sender<Answer> {
    let (soon, waiting) = unbounded();
    async_std::task::spawn(
        async move {
            while let Ok(mut answer) = waiting.recv().await {
                trees.before(&mut answer).await;
                if reply.send(answer).await.is_err() {
                    break;
                }
            }
        }
        .boxed(),
    );
    soon
}

/// Sends without waiting; a client that went away is no error.
pub(super) fn send(reply: &Sender<Answer>, answer: Answer) {
    let _ = reply.try_send(answer);
}

/// A whole answer that is one value.
pub(super) fn value(reply: &Sender<Answer>, value: String) {
    send(reply, Answer::Value(value));
    send(reply, Answer::Done);
}

/// Ends an answer with a failure in words.
pub(super) fn fail(reply: &Sender<Answer>, text: impl Into<String>) {
    send(reply, Answer::Failed(Failure::Other(text.into())));
}

/// What is answered of something that cannot be selected.
pub(super) fn refused(subject: String, refusal: Refusal) -> Answer {
    Answer::Report(Report {
        subject,
        result: Err(refusal),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_over_when_all_its_parts_are() {
        let mut answers = Answers::default();
        let (reply, heard) = unbounded();
        let ticket = answers.ticket();
        answers.expect(ticket, 2, reply);
        answers.finish(ticket, Answer::Done);
        assert!(answers.pass_on(ticket, Answer::Value("a".into())));
        assert_eq!(heard.len(), 1, "the end of the first part is not heard");
        answers.finish(ticket, Answer::Done);
        answers.finish(ticket, Answer::Done);
        assert_eq!(heard.len(), 2);
        assert!(
            answers.pass_on(ticket, Answer::Done),
            "nobody ever listened"
        );

        let (reply, heard) = unbounded();
        answers.expect(ticket, 0, reply);
        assert_eq!(heard.len(), 1, "nothing is to come");
    }

    #[test]
    fn who_hangs_up_is_told_of_once() {
        let mut answers = Answers::default();
        let (reply, heard) = unbounded();
        let ticket = answers.ticket();
        assert_ne!(answers.ticket(), ticket);
        answers.expect(ticket, 1, reply);
        drop(heard);
        assert!(!answers.pass_on(ticket, Answer::Done));
        assert!(answers.pass_on(ticket, Answer::Done));
    }
}
