//! One server section: the connections of its clients, and which door each request goes to.
//!
//! Must never: answer anything before the credentials are checked and the guard was asked.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_io::Timer;
use async_std::channel::Sender;
use futures_lite::future;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;

use super::asking::Asking;
use super::credentials::{Credentials, Verdict};
use super::forms::{self, Form};
use super::guard::{Deed, Guard};
use super::hang_up::{Socket, Wire, until_gone};
use super::live::Live;
use super::pace::{Pace, Step};
use super::reply::{Endless, Reply, TEXT, because, refusal, unauthorized, whole};
use super::transport::Transport;
use super::xml_rpc::{Interface, read_call, write_response};
use super::{api, metrics, page, tails};
use crate::control::server::{HttpDoor, Talk};
use crate::control::{Peer, Question};

/// Most bytes of a request's body.
pub const REQUEST_MAX: usize = 4 * 1024 * 1024;

/// Most bytes of a request's head.
const HEAD_MAX: usize = 64 * 1024;

/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(20);

/// A server section.
#[derive(Debug, Clone)]
pub struct Site {
    questions: Sender<Question>,
    credentials: Option<Credentials>,
    guard: Guard,
    live: Live,
}

impl Site {
    /// Answers with what the turn says, to whoever has the credentials.
    pub fn new(
        questions: Sender<Question>,
        credentials: Option<Credentials>,
        guard: Guard,
        live: Live,
    ) -> Site {
        Site {
            questions,
            credentials,
            guard,
            live,
        }
    }

    /// Serves a connection of which `received` was read already, until either side ends it.
    pub async fn serve<S>(&self, stream: S, received: Vec<u8>, peer: Option<Peer>)
    where
        S: Wire,
    {
        let pace = Pace::default();
        let service = service_fn(|request| {
            let (pace, wire) = (pace.clone(), stream.clone());
            async move {
                pace.go(Step::Busy);
                let reply = self.answer(request, peer).await;
                let endless = reply.extensions().get::<Endless>().is_some();
                pace.go(if endless { Step::Stream } else { Step::Idle });
                Ok::<_, Infallible>(match endless {
                    true => until_gone(reply, wire.gone()),
                    false => reply,
                })
            }
        });
        let transport = Transport::new(stream.clone(), received, pace.clone());
        // An error here is a client that went away, is too slow, or does not speak HTTP.
        let _ = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .serve_connection(transport, service)
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
        let Ok(path) = percent_decode_str(request.uri().path()).decode_utf8() else {
            return refusal(StatusCode::BAD_REQUEST);
        };
        let path = path.into_owned();
        let deed = deed_of(&path, &request);
        if let Err(suspicion) = self.guard.judge(deed, request.headers()) {
            return because(StatusCode::FORBIDDEN, suspicion.words());
        }
        if path == "/live" && *request.method() == Method::GET {
            return self.live.watch(self.guard.token());
        }
        let asking = Asking::new(self.questions.clone(), peer);
        route(asking, &path, request).await
    }
}

/// What a request is about, as far as the guard is concerned.
fn deed_of(path: &str, request: &Request<Incoming>) -> Deed {
    let looks = matches!(*request.method(), Method::GET | Method::HEAD);
    let acts = || Form::read(query(request), b"").field("action").is_some();
    match path {
        "/" | "/index.html" if looks && acts() => Deed::Link,
        _ if looks => Deed::Look,
        "/" | "/index.html" => Deed::Call,
        _ if path.starts_with("/RPC2") => Deed::Call,
        _ => Deed::Change,
    }
}

/// Supervisor answers to every path that begins with one of the first three.
async fn route(asking: Asking, path: &str, request: Request<Incoming>) -> Reply {
    let method = request.method().clone();
    let looks = matches!(method, Method::GET | Method::HEAD);
    if path.starts_with("/RPC2") {
        return match method {
            Method::POST => remote_call(asking, request).await,
            _ => refusal(StatusCode::BAD_REQUEST),
        };
    }
    if let Some(what) = path.strip_prefix("/logtail") {
        return match looks {
            true => tails::of_process(&asking, what).await,
            false => refusal(StatusCode::BAD_REQUEST),
        };
    }
    if path.starts_with("/mainlogtail") {
        return match looks {
            true => tails::of_the_daemon(&asking).await,
            false => refusal(StatusCode::BAD_REQUEST),
        };
    }
    if let Some(rest) = path.strip_prefix("/api/v1/") {
        let answered = api::answer(&asking, rest, request).await;
        return answered.unwrap_or_else(|| refusal(StatusCode::NOT_FOUND));
    }
    match path {
        "/" | "/index.html" | "/tail.html" if looks || method == Method::POST => {
            old_page(asking, path, request).await
        }
        "/metrics" if looks => metrics::measured(&asking).await,
        "/ok.html" if looks || method == Method::POST => whole(StatusCode::OK, TEXT, "OK"),
        _ if looks => page::file(path).unwrap_or_else(|| refusal(StatusCode::NOT_FOUND)),
        _ => refusal(StatusCode::BAD_REQUEST),
    }
}

/// The page, its forms and links.
async fn old_page(asking: Asking, path: &str, request: Request<Incoming>) -> Reply {
    let query = query(&request).to_owned();
    let body = match request.method() {
        &Method::POST => match body_of(request).await {
            Ok(body) => body,
            Err(status) => return refusal(status),
        },
        _ => Bytes::new(),
    };
    let form = Form::read(&query, &body);
    let interface = Interface::of_the_page(asking.clone());
    if path == "/tail.html" {
        return forms::tail(&interface, &form).await;
    }
    match form.field("action") {
        Some(_) => forms::act(&interface, &form).await,
        None => page::index(&asking, form.field("message").unwrap_or_default()).await,
    }
}

async fn remote_call(asking: Asking, request: Request<Incoming>) -> Reply {
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
    let xml = write_response(&Interface::new(asking).call(call).await);
    whole(StatusCode::OK, "text/xml", xml)
}

impl HttpDoor for Site {
    fn talk(self: Arc<Self>, talk: Talk) -> future::Boxed<()> {
        Box::pin(async move {
            self.serve(Socket::of(talk.stream), talk.received, talk.peer)
                .await;
        })
    }
}

fn query(request: &Request<Incoming>) -> &str {
    request.uri().query().unwrap_or_default()
}

/// A whole body, of bounded size, in bounded time.
pub(super) async fn body_of(request: Request<Incoming>) -> Result<Bytes, StatusCode> {
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
