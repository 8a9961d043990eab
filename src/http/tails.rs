//! `/logtail/NAME[/CHANNEL]` and `/mainlogtail`: the end of a log and what is written from then on,
//! as Supervisor's clients follow it.
//!
//! Must never: take a path from a client. A name leads to a process, and the process to its file.

use std::path::PathBuf;

use hyper::StatusCode;
use hyper::header::{HeaderValue, LAST_MODIFIED};

use super::asking::Asking;
use super::reply::{self, Reply, refusal};
use super::stream;
use crate::control::{Ask, Channel, selector};

/// How much of the log is sent first.
const HEAD: u64 = 1024;

/// Supervisor's own spelling.
const KIND: &str = "text/plain;charset=utf-8";

/// Follows a log of a process: `/NAME` or `/NAME/CHANNEL`.
pub async fn of_process(asking: &Asking, what: &str) -> Reply {
    let what = what.trim_start_matches('/');
    let (name, channel) = what.split_once('/').unwrap_or((what, "stdout"));
    let channel = match channel {
        "stdout" => Channel::Stdout,
        "stderr" => Channel::Stderr,
        _ => return refusal(StatusCode::NOT_FOUND),
    };
    let Ok(name) = selector::name(name) else {
        return refusal(StatusCode::NOT_FOUND);
    };
    match asking.log(Ask::LogOf { name, channel }).await {
        Ok(path) => follow(path).await,
        Err(_) => refusal(StatusCode::NOT_FOUND),
    }
}

/// Follows the main log.
pub async fn of_the_daemon(asking: &Asking) -> Reply {
    match asking.log(Ask::MainLog).await {
        Ok(path) => follow(path).await,
        Err(_) => refusal(StatusCode::NOT_FOUND),
    }
}

async fn follow(path: PathBuf) -> Reply {
    let Ok((log, size)) = stream::open(path).await else {
        return refusal(StatusCode::NOT_FOUND);
    };
    let changed = log.changed();
    let body = stream::of(log, size.saturating_sub(HEAD), None);
    let mut reply = reply::endless(KIND, body);
    let changed = changed.map(chrono::DateTime::<chrono::Utc>::from);
    if let Ok(changed) = changed
        && let Ok(value) = HeaderValue::try_from(changed.format("%a, %d %b %Y %T GMT").to_string())
    {
        reply.headers_mut().insert(LAST_MODIFIED, value);
    }
    reply
}
