//! Replies, and what is in the head of every one.
//!
//! Must never: let a browser run, frame or guess at anything that is not ours.

use std::convert::Infallible;
use std::io;

use futures_lite::Stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// A body: whole, or a stream. A stream that fails is cut off, which the client sees.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A reply.
pub type Reply = Response<Body>;

/// Plain text.
pub const TEXT: &str = "text/plain; charset=utf-8";
/// A page.
pub const HTML: &str = "text/html; charset=utf-8";

/// Scripts and styles are files of ours, nothing is loaded from elsewhere or inline, and nobody
/// puts us in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

const ALWAYS: [(HeaderName, &str); 5] = [
    (
        header::SERVER,
        concat!("appctl/", env!("CARGO_PKG_VERSION")),
    ),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "same-origin"),
];

/// Marks a reply whose body has no end.
#[derive(Debug, Clone, Copy)]
pub struct Endless;

/// A whole reply.
pub fn whole(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let body = Full::new(body.into()).map_err(|never: Infallible| match never {});
    headed(status, kind, body.boxed_unsync())
}

/// A value as JSON.
pub fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(mut text) => {
            text.push(b'\n');
            whole(status, "application/json", text)
        }
        // Plain structures of numbers and texts always serialize.
        Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// A reply that goes on as the stream does.
pub fn stream<S>(kind: &'static str, stream: S) -> Reply
where
    S: Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static,
{
    let body = StreamBody::new(stream).boxed_unsync();
    let mut reply = headed(StatusCode::OK, kind, body);
    // Tells nginx not to hold it back.
    set(&mut reply, "x-accel-buffering", "no");
    reply
}

/// The same, of a stream that has no end of its own.
pub fn endless<S>(kind: &'static str, endless: S) -> Reply
where
    S: Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static,
{
    let mut reply = stream(kind, endless);
    reply.extensions_mut().insert(Endless);
    reply
}

fn headed(status: StatusCode, kind: &'static str, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}

/// Sets a header.
pub fn set(reply: &mut Reply, name: &'static str, value: &'static str) {
    let name = HeaderName::from_static(name);
    reply
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}

/// A small page that says the code and what it means. The connection ends with it.
pub fn refusal(status: StatusCode) -> Reply {
    because(status, status.canonical_reason().unwrap_or_default())
}

/// The same with another explanation. The explanation is ours: nothing a client sent is in it.
pub fn because(status: StatusCode, why: &str) -> Reply {
    let number = status.as_u16();
    let meaning = status.canonical_reason().unwrap_or_default();
    let page = format!(
        "<!doctype html>\n<title>{number} {meaning}</title>\n<h1>{number}</h1>\n<p>{why}</p>\n"
    );
    let mut reply = whole(status, HTML, page);
    set(&mut reply, "connection", "close");
    reply
}

/// 401, with the realm that Supervisor has.
pub fn unauthorized() -> Reply {
    let mut reply = refusal(StatusCode::UNAUTHORIZED);
    set(&mut reply, "www-authenticate", "Basic realm=\"default\"");
    reply
}
