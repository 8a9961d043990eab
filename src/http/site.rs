//! One server section: answers the requests of its connections.
//!
//! Must never: answer anything before the credentials are checked.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Timer;
use async_std::channel::Sender;
use futures_lite::future;
use futures_lite::{AsyncRead, AsyncWrite};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};

use super::credentials::{Credentials, Verdict};
use super::interface::Interface;
use super::transport::{Clock, Transport};
use super::value::{read_call, write_response};
use crate::control::server::{HttpDoor, Talk};
use crate::control::{Peer, Question};

/// Most bytes of a request's body.
pub const REQUEST_MAX: usize = 4 * 1024 * 1024;

/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(30);

/// How long a connection may be silent between two requests, or take for the head of one.
const HEAD_TIME: Duration = Duration::from_secs(300);

/// Where XML-RPC is. Supervisor answers to every path that begins so.
const RPC: &str = "/RPC2";

type Reply = Response<Full<Bytes>>;

/// A server section.
#[derive(Debug, Clone)]
pub struct Site {
    questions: Sender<Question>,
    credentials: Option<Credentials>,
}

impl Site {
    /// Answers with what the turn says, to whoever has the credentials.
    pub fn new(questions: Sender<Question>, credentials: Option<Credentials>) -> Site {
        Site {
            questions,
            credentials,
        }
    }

    /// Serves a connection of which `received` was read already, until either side ends it.
    pub(super) async fn serve<S>(&self, stream: S, received: Vec<u8>, peer: Option<Peer>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service =
            service_fn(
                |request| async move { Ok::<_, Infallible>(self.answer(request, peer).await) },
            );
        // An error here is a client that went away or does not speak HTTP.
        let _ = http1::Builder::new()
            .timer(Clock)
            .header_read_timeout(HEAD_TIME)
            .serve_connection(Transport::new(stream, received), service)
            .await;
    }

    async fn answer(&self, request: Request<Incoming>, peer: Option<Peer>) -> Reply {
        if let Some(credentials) = &self.credentials {
            let given = request.headers().get(header::AUTHORIZATION);
            match credentials.judge(given.map(HeaderValue::as_bytes)) {
                Verdict::Welcome => {}
                Verdict::Unknown => return unauthorized(),
                Verdict::Garbled => return refusal(StatusCode::BAD_REQUEST),
            }
        }
        if !request.uri().path().starts_with(RPC) {
            return refusal(StatusCode::NOT_FOUND);
        }
        if request.method() != Method::POST {
            return refusal(StatusCode::BAD_REQUEST);
        }
        self.remote_call(request, peer).await
    }

    async fn remote_call(&self, request: Request<Incoming>, peer: Option<Peer>) -> Reply {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
        match length {
            None => return refusal(StatusCode::LENGTH_REQUIRED),
            Some(length) if length > REQUEST_MAX => return refusal(StatusCode::PAYLOAD_TOO_LARGE),
            Some(_) => {}
        }
        let body = match body_of(request).await {
            Ok(body) => body,
            Err(status) => return refusal(status),
        };
        let call = match read_call(&body) {
            Ok(call) => call,
            Err(why) => {
                log::error!("XML-RPC request data is invalid: {}", why.0);
                return refusal(StatusCode::BAD_REQUEST);
            }
        };
        let interface = Interface::new(self.questions.clone(), peer);
        let xml = write_response(&interface.call(call).await);
        reply(StatusCode::OK, "text/xml", xml)
    }
}

impl HttpDoor for Site {
    fn talk(self: Arc<Self>, talk: Talk) -> future::Boxed<()> {
        Box::pin(async move {
            self.serve(talk.stream, talk.received, talk.peer).await;
        })
    }
}

async fn body_of(request: Request<Incoming>) -> Result<Bytes, StatusCode> {
    let collect = async {
        let body = Limited::new(request.into_body(), REQUEST_MAX);
        match body.collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(StatusCode::PAYLOAD_TOO_LARGE)
            }
            Err(_) => Err(StatusCode::BAD_REQUEST),
        }
    };
    let late = async {
        Timer::at(Instant::now() + BODY_TIME).await;
        Err(StatusCode::REQUEST_TIMEOUT)
    };
    future::or(collect, late).await
}

fn unauthorized() -> Reply {
    let mut reply = refusal(StatusCode::UNAUTHORIZED);
    let challenge = HeaderValue::from_static("Basic realm=\"default\"");
    reply
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge);
    reply
}

/// A small page that says the code and what it means.
fn refusal(status: StatusCode) -> Reply {
    let meaning = status.canonical_reason().unwrap_or_default();
    let number = status.as_u16();
    let page = format!(
        "<!doctype html>\n<title>{number} {meaning}</title>\n<h1>{number}</h1>\n<p>{meaning}</p>\n"
    );
    let mut reply = reply(status, "text/html; charset=utf-8", page);
    let close = HeaderValue::from_static("close");
    reply.headers_mut().insert(header::CONNECTION, close);
    reply
}

fn reply(status: StatusCode, kind: &'static str, text: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(text)));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let server = HeaderValue::from_static(concat!("appctl/", env!("CARGO_PKG_VERSION")));
    headers.insert(header::SERVER, server);
    reply
}
