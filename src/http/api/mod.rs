//! `/api/v1/…`: the daemon for programs and for the page, in JSON (docs/http.md).
//!
//! GET looks, POST changes. `looks` answers the first, `deeds` does the second, `logs` sends pieces
//! of log files, `problem` is every answer that says no.
//!
//! Must never: answer a GET with a change.

mod deeds;
mod logs;
mod looks;
mod problem;

pub use looks::DaemonFacts;

use hyper::body::Incoming;
use hyper::{Method, Request};

use super::asking::Asking;
use super::forms::Form;
use super::reply::Reply;
use super::site::body_of;
use crate::control::codes::{Code, Trouble};
use problem::problem;

/// Answers what comes after `/api/v1/`; `None`: it is not answered here.
pub async fn answer(asking: &Asking, rest: &str, request: Request<Incoming>) -> Option<Reply> {
    let query = Form::read(request.uri().query().unwrap_or_default(), b"");
    let (what, name) = rest.split_once('/').unwrap_or((rest, ""));
    let answered = match *request.method() {
        Method::GET | Method::HEAD => {
            let resumed = request.headers().get("last-event-id");
            let resumed = resumed.and_then(|id| id.to_str().ok()?.parse().ok());
            looks::look(asking, what, name, &query, resumed).await
        }
        Method::POST => {
            let body = match body_of(request).await {
                Ok(body) => body,
                Err(status) => return Some(super::reply::refusal(status)),
            };
            deeds::carry_out(asking, what, name, &query, &body).await
        }
        _ => Some(Err(Trouble::new(
            Code::BadArguments,
            "GET looks and POST changes; there are no other methods",
        ))),
    };
    answered.map(|answer| answer.unwrap_or_else(|trouble| problem(&trouble)))
}

/// A reply, or why there is none.
type Answered = Result<Reply, Trouble>;

/// `yes`, `true`, `1`, or the other way round.
fn flag(query: &Form, name: &str, otherwise: bool) -> Result<bool, Trouble> {
    match query.field(name) {
        None => Ok(otherwise),
        Some("yes" | "true" | "1") => Ok(true),
        Some("no" | "false" | "0") => Ok(false),
        Some(_) => Err(Trouble::new(
            Code::BadArguments,
            format!("{name} is yes or no"),
        )),
    }
}

fn number<T: std::str::FromStr>(query: &Form, name: &str) -> Result<Option<T>, Trouble> {
    let bad = || Trouble::new(Code::BadArguments, format!("{name} is a number"));
    let text = query.field(name);
    text.map(|text| text.parse().map_err(|_| bad())).transpose()
}
