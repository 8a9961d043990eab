//! What can be done, by POST: the verbs of the line protocol (docs/protocol.md) under their names.

use hyper::StatusCode;
use serde::Serialize;

use super::problem::status_of;
use super::{Answered, flag};
use crate::config::Signal;
use crate::control::answer::{deed_word, done_word, log_done_word};
use crate::control::codes::{Code, Trouble};
use crate::control::{Answer, Ask, DifferenceKind, Following, selector};
use crate::fleet::Selector;
use crate::http::asking::Asking;
use crate::http::forms::Form;
use crate::http::reply;

/// What became of everything that was asked for.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    results: Vec<Item>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<Difference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Vec<Planned>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diagnostics: Vec<String>,
    /// Why the whole failed.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

/// What became of one process or group: either `done`, or `error` and `text`.
#[derive(Debug, Serialize)]
struct Item {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<&'static str>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    problem: Option<Problem>,
}

#[derive(Debug, Serialize)]
struct Problem {
    error: &'static str,
    text: String,
    #[serde(skip)]
    code: Code,
}

/// What an update would do to a process or a group, and for which of its options.
#[derive(Debug, Serialize)]
struct Planned {
    name: String,
    deed: &'static str,
    options: Vec<Different>,
}

#[derive(Debug, Serialize)]
struct Different {
    option: String,
    old: String,
    new: String,
    place: String,
}

#[derive(Debug, Serialize)]
struct Difference {
    group: String,
    change: &'static str,
}

/// A name that cannot be read.
pub fn unreadable(text: String) -> Trouble {
    Trouble::new(Code::BadArguments, text)
}

/// Carries out a POST; `None`: there is no such verb.
pub async fn carry_out(
    asking: &Asking,
    verb: &str,
    name: &str,
    query: &Form,
    body: &[u8],
) -> Option<Answered> {
    let ask = match read(verb, name, query, body) {
        Ok(ask) => ask?,
        Err(trouble) => return Some(Err(trouble)),
    };
    Some(outcome(asking, ask).await)
}

fn read(verb: &str, name: &str, query: &Form, body: &[u8]) -> Result<Option<Ask>, Trouble> {
    let of_daemon = match verb {
        "reread" => Some(Ask::Reread),
        "reload" => Some(match flag(query, "all", false)? {
            true => Ask::StartOver,
            false => Ask::Reload,
        }),
        "reopen" => Some(Ask::Reopen),
        "clearmain" => Some(Ask::ClearMain),
        "shutdown" => Some(Ask::Shutdown),
        _ => None,
    };
    if let Some(ask) = of_daemon {
        return match name {
            "" => Ok(Some(ask)),
            _ => Err(unreadable(format!("{verb} takes no name"))),
        };
    }
    let groups = || match name {
        "" => Vec::new(),
        name => vec![name.to_owned()],
    };
    let selected = || -> Result<Vec<Selector>, Trouble> {
        Ok(vec![selector::selector(name).map_err(unreadable)?])
    };
    let following = || Following {
        groups: groups(),
        whole_groups: false,
    };
    Ok(Some(match verb {
        "plan" => Ask::Plan(following()),
        "update" => Ask::Update(following()),
        "add" | "remove" if name.is_empty() => return Err(unreadable("name a group".to_owned())),
        "add" => Ask::Add(groups()),
        "remove" => Ask::Remove(groups()),
        "start" => Ask::Start {
            selectors: selected()?,
            wait: flag(query, "wait", true)?,
        },
        "stop" => Ask::Stop {
            selectors: selected()?,
            wait: flag(query, "wait", true)?,
        },
        "restart" => Ask::Restart(selected()?),
        "enable" | "disable" => Ask::Enable {
            enabled: verb == "enable",
            selectors: selected()?,
        },
        "clear" => Ask::Clear(selected()?),
        "rotate" => Ask::Rotate(selected()?),
        "signal" => {
            let text = query.field("signal").unwrap_or_default();
            let signal = Signal::parse(text)
                .map_err(|_| Trouble::new(Code::BadSignal, Code::BadSignal.meaning()))?;
            Ask::Signal {
                signal,
                selectors: selected()?,
            }
        }
        "stdin" => Ask::Stdin {
            name: selector::name(name).map_err(unreadable)?,
            bytes: body.to_vec(),
        },
        _ => return Ok(None),
    }))
}

async fn outcome(asking: &Asking, ask: Ask) -> Answered {
    let plans = matches!(ask, Ask::Plan(_));
    let answers = asking.put(ask).await;
    let answers = answers.map_err(|failure| Trouble::from(&failure))?;
    let mut outcome = Outcome {
        plan: plans.then(Vec::new),
        ..Outcome::default()
    };
    loop {
        match answers.recv().await {
            Ok(Answer::Done) => break,
            Ok(Answer::Failed(failure)) => {
                outcome.problem = Some((&failure).into());
                break;
            }
            Ok(answer) => outcome.note(answer),
            Err(_) => {
                let text = "the daemon ended before it had answered";
                return Err(Trouble::new(Code::Failed, text));
            }
        }
    }
    Ok(reply::json(outcome.status(), &outcome))
}

impl Outcome {
    /// Takes in one item of an answer.
    fn note(&mut self, answer: Answer) {
        match answer {
            Answer::Report(report) => self.results.push(Item {
                name: report.subject,
                done: report.result.as_ref().ok().map(|done| done_word(*done)),
                problem: report.result.as_ref().err().map(Problem::from),
            }),
            Answer::LogReport { name, result } => self.results.push(Item {
                name: name.to_string(),
                done: result.as_ref().ok().map(|done| log_done_word(*done)),
                problem: result.as_ref().err().map(Problem::from),
            }),
            Answer::Enabled { name, enabled } => self.results.push(Item {
                name: name.to_string(),
                done: Some(if enabled { "enabled" } else { "disabled" }),
                problem: None,
            }),
            Answer::Difference { group, kind } => self.differences.push(Difference {
                group,
                change: match kind {
                    DifferenceKind::Available => "available",
                    DifferenceKind::Changed => "changed",
                    DifferenceKind::Disappeared => "disappeared",
                },
            }),
            Answer::Planned { subject, deed } => {
                self.plan.get_or_insert_default().push(Planned {
                    name: subject,
                    deed: deed_word(deed),
                    options: Vec::new(),
                });
            }
            // They come behind what they are the reason for.
            Answer::Different(view) => {
                if let Some(planned) = self.plan.iter_mut().flatten().next_back() {
                    planned.options.push(Different {
                        option: view.option,
                        old: view.old,
                        new: view.new,
                        place: view.place,
                    });
                }
            }
            Answer::Diagnostic(text) => self.diagnostics.push(text),
            _ => {}
        }
    }

    /// OK if everything was done, else what HTTP calls the first trouble.
    fn status(&self) -> StatusCode {
        let of_items = self.results.iter().filter_map(|item| item.problem.as_ref());
        let first = self.problem.iter().chain(of_items).next();
        first.map_or(StatusCode::OK, |problem| status_of(problem.code))
    }
}

impl<T> From<&T> for Problem
where
    for<'a> Trouble: From<&'a T>,
{
    fn from(reason: &T) -> Problem {
        let Trouble { code, text } = reason.into();
        Problem {
            error: code.name(),
            text,
            code,
        }
    }
}
