//! What happened, by number: as server-sent events (the format of `EventSource`), or what is kept as
//! JSON.
//!
//! Must never: queue for a slow reader; it keeps a number, and is told what it missed.

use std::collections::VecDeque;
use std::io;

use futures_lite::stream::unfold;
use hyper::StatusCode;
use hyper::body::{Bytes, Frame};
use serde::Serialize;

use super::reply::{self, Reply};
use crate::events::{Bulletin, Facts};

/// Events that are sent at once.
const BATCH: usize = 64;

/// The type of a stream of events.
pub const EVENT_STREAM: &str = "text/event-stream";

/// One message of a stream of events. Data is JSON, which has no newline in it.
pub fn message(kind: &str, id: Option<u64>, data: &impl Serialize) -> String {
    // Plain structures of numbers and texts always serialize.
    let data = serde_json::to_string(data).unwrap_or_default();
    match id {
        Some(id) => format!("event: {kind}\nid: {id}\ndata: {data}\n\n"),
        None => format!("event: {kind}\ndata: {data}\n\n"),
    }
}

/// Every event after `since`, or from now on.
pub fn stream(bulletin: Bulletin, since: Option<u64>) -> Reply {
    let seen = since.unwrap_or_else(|| bulletin.last());
    // Something at once, so that the client knows that it is connected.
    let first = VecDeque::from([": these are the events\n\n".to_owned()]);
    let events = unfold(
        (bulletin, seen, first),
        |(bulletin, mut seen, mut ready)| async move {
            loop {
                if let Some(text) = ready.pop_front() {
                    let frame = Frame::data(Bytes::from(text));
                    return Some((Ok::<_, io::Error>(frame), (bulletin, seen, ready)));
                }
                bulletin.news_after(seen).await;
                let batch = bulletin.since(seen, BATCH);
                seen = batch.seen;
                let mut text = String::new();
                if batch.missed > 0 {
                    text.push_str(&message("missed", None, &batch.missed));
                }
                for record in &batch.records {
                    text.push_str(&message("event", Some(record.sequence), &record.facts()));
                }
                if !text.is_empty() {
                    ready.push_back(text);
                }
            }
        },
    );
    reply::endless(EVENT_STREAM, events)
}

#[derive(Debug, Serialize)]
struct Kept {
    missed: u64,
    last: u64,
    events: Vec<Facts>,
}

/// What is kept of the events after `since`.
pub fn kept(bulletin: &Bulletin, since: Option<u64>) -> Reply {
    let after = since.unwrap_or_else(|| bulletin.before_oldest());
    let batch = bulletin.since(after, usize::MAX);
    let kept = Kept {
        missed: batch.missed,
        last: batch.seen,
        events: batch.records.iter().map(|record| record.facts()).collect(),
    };
    reply::json(StatusCode::OK, &kept)
}
