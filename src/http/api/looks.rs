//! What can be looked at.

use hyper::StatusCode;
use serde::Serialize;

use super::logs::{self, Wanted};
use super::{Answered, flag, number};
use crate::control::codes::Trouble;
use crate::control::facts::ProcessFacts;
use crate::control::{Answer, Ask, DaemonState, DaemonView, RunFacts, selector};
use crate::fleet::{Report, Selector};
use crate::http::asking::Asking;
use crate::http::events;
use crate::http::forms::Form;
use crate::http::reply;

/// The daemon.
#[derive(Debug, Serialize)]
pub struct DaemonFacts<'a> {
    identifier: &'a str,
    version: &'static str,
    pid: i32,
    state: &'static str,
}

impl<'a> DaemonFacts<'a> {
    /// Those of a daemon.
    pub fn of(view: &'a DaemonView) -> DaemonFacts<'a> {
        DaemonFacts {
            identifier: &view.identifier,
            version: env!("CARGO_PKG_VERSION"),
            pid: view.pid,
            state: match view.state {
                DaemonState::Running => "running",
                DaemonState::Restarting => "restarting",
                DaemonState::Leaving => "leaving",
            },
        }
    }
}

/// A process of the configuration.
#[derive(Debug, Serialize)]
struct AvailFacts<'a> {
    name: String,
    group: &'a str,
    process: &'a str,
    in_use: bool,
    autostart: bool,
    group_priority: i64,
    process_priority: i64,
}

/// Answers a GET; `None`: there is no such thing. `resumed`: the event after which a client that was
/// cut off goes on.
pub async fn look(
    asking: &Asking,
    what: &str,
    name: &str,
    query: &Form,
    resumed: Option<u64>,
) -> Option<Answered> {
    Some(match what {
        "processes" => processes(asking, name).await,
        "daemon" if name.is_empty() => daemon(asking).await,
        "history" => history(asking, name).await,
        "available" if name.is_empty() => available(asking).await,
        "log" => log(asking, name, query).await,
        "mainlog" if name.is_empty() => main_log(asking, query).await,
        "events" if name.is_empty() => since(asking, query, resumed).await,
        _ => return None,
    })
}

/// All, or what a selector selects.
fn selected(name: &str) -> Result<Vec<Selector>, Trouble> {
    Ok(match name {
        "" => Vec::new(),
        name => vec![selector::selector(name).map_err(super::deeds::unreadable)?],
    })
}

/// One process by its own name as an object, several as an array.
async fn processes(asking: &Asking, name: &str) -> Answered {
    let selectors = selected(name)?;
    let one = matches!(selectors[..], [Selector::Process(_)]);
    let views = asking.processes(selectors).await;
    let views = views.map_err(|failure| Trouble::from(&failure))?;
    let facts: Vec<_> = views.iter().map(ProcessFacts::of).collect();
    Ok(match (one, &facts[..]) {
        (true, [facts]) => reply::json(StatusCode::OK, facts),
        _ => reply::json(StatusCode::OK, &facts),
    })
}

async fn daemon(asking: &Asking) -> Answered {
    let view = asking.daemon().await;
    let view = view.map_err(|failure| Trouble::from(&failure))?;
    Ok(reply::json(StatusCode::OK, &DaemonFacts::of(&view)))
}

/// The last runs, oldest first.
async fn history(asking: &Asking, name: &str) -> Answered {
    let answers = asking.ask(Ask::History(selected(name)?)).await;
    let answers = answers.map_err(|failure| Trouble::from(&failure))?;
    let mut runs = Vec::new();
    for answer in &answers {
        match answer {
            Answer::Run(view) => runs.push(RunFacts::of(view)),
            Answer::Report(Report {
                result: Err(refusal),
                ..
            }) => return Err(Trouble::from(refusal)),
            _ => {}
        }
    }
    Ok(reply::json(StatusCode::OK, &runs))
}

async fn available(asking: &Asking) -> Answered {
    let answers = asking.ask(Ask::Avail).await;
    let answers = answers.map_err(|failure| Trouble::from(&failure))?;
    let facts: Vec<_> = answers
        .iter()
        .filter_map(|answer| match answer {
            Answer::Available(view) => Some(AvailFacts {
                name: view.name.to_string(),
                group: &view.name.group,
                process: &view.name.process,
                in_use: view.in_use,
                autostart: view.autostart,
                group_priority: view.group_priority,
                process_priority: view.process_priority,
            }),
            _ => None,
        })
        .collect();
    Ok(reply::json(StatusCode::OK, &facts))
}

async fn log(asking: &Asking, name: &str, query: &Form) -> Answered {
    let (name, channel) = logs::named(name)?;
    let file = format!("{name}.{}.log", channel.word());
    let wanted = wanted(query)?;
    logs::send(asking, Ask::LogOf { name, channel }, wanted, &file).await
}

async fn main_log(asking: &Asking, query: &Form) -> Answered {
    let wanted = wanted(query)?;
    logs::send(asking, Ask::MainLog, wanted, "main.log").await
}

fn wanted(query: &Form) -> Result<Wanted, Trouble> {
    Ok(Wanted {
        offset: number(query, "offset")?,
        limit: number(query, "limit")?,
        follow: flag(query, "follow", false)?,
        download: flag(query, "download", false)?,
    })
}

async fn since(asking: &Asking, query: &Form, resumed: Option<u64>) -> Answered {
    let since = resumed.or(number(query, "since")?);
    let follow = flag(query, "follow", true)?;
    let bulletin = asking.bulletin().await;
    let bulletin = bulletin.map_err(|failure| Trouble::from(&failure))?;
    Ok(match follow {
        true => events::stream(bulletin, since),
        false => events::kept(&bulletin, since),
    })
}
