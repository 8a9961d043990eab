//! Answers that say no: the status of HTTP for each code, and the code and text as JSON.

use hyper::StatusCode;
use serde::Serialize;

use crate::control::codes::{Code, Trouble};
use crate::http::reply::{self, Reply};

#[derive(Debug, Serialize)]
struct Problem<'a> {
    error: &'a str,
    text: &'a str,
}

/// The answer to a request that failed as a whole.
pub fn problem(trouble: &Trouble) -> Reply {
    let problem = Problem {
        error: trouble.code.name(),
        text: &trouble.text,
    };
    reply::json(status_of(trouble.code), &problem)
}

/// What HTTP calls it.
pub fn status_of(code: Code) -> StatusCode {
    match code {
        Code::NoSuchProcess | Code::NoSuchGroup | Code::NoLogFile => StatusCode::NOT_FOUND,
        Code::AlreadyStarted
        | Code::NotRunning
        | Code::UnknownState
        | Code::StillRunning
        | Code::AlreadyAdded => StatusCode::CONFLICT,
        Code::BadSignal
        | Code::UnknownVerb
        | Code::BadArguments
        | Code::UnsupportedVersion
        | Code::LineTooLong
        | Code::NotUtf8 => StatusCode::BAD_REQUEST,
        Code::CannotReread => StatusCode::UNPROCESSABLE_ENTITY,
        Code::Denied => StatusCode::FORBIDDEN,
        Code::ShuttingDown | Code::Busy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
