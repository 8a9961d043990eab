//! Log files as bodies of replies: a piece, or the end of a file and what is written from then on.
//!
//! Must never: hold more than one block of a file, change a byte of it.

use std::io;
use std::path::PathBuf;

use futures_lite::Stream;
use futures_lite::stream::unfold;
use hyper::body::{Bytes, Frame};

use crate::control::follow::{Found, LogFile};

/// Supervisor's word for a file that became shorter.
const TRUNCATED: &[u8] = b"==> File truncated <==\n";

/// A file that is sent.
struct Sending {
    log: LogFile,
    offset: u64,
    /// Where to stop; `None`: never.
    end: Option<u64>,
    failed: bool,
}

/// The bytes from `offset` to `end`, or without an end those that come.
pub fn of(
    log: LogFile,
    offset: u64,
    end: Option<u64>,
) -> impl Stream<Item = io::Result<Frame<Bytes>>> + Send {
    let sending = Sending {
        log,
        offset,
        end,
        failed: false,
    };
    unfold(sending, |sending| async move {
        match sending.end {
            Some(end) => piece(sending, end).await,
            None => followed(sending).await,
        }
    })
}

/// Opens a log file; also tells its size.
pub async fn open(path: PathBuf) -> io::Result<(LogFile, u64)> {
    LogFile::open(path).await
}

type Step = Option<(io::Result<Frame<Bytes>>, Sending)>;

async fn piece(mut sending: Sending, end: u64) -> Step {
    if sending.failed || sending.offset >= end {
        return None;
    }
    let read;
    (sending.log, read) = sending.log.read(sending.offset, end - sending.offset).await;
    match read {
        // It was truncated meanwhile.
        Ok(bytes) if bytes.is_empty() => None,
        Ok(bytes) => {
            sending.offset += bytes.len() as u64;
            Some((Ok(Frame::data(bytes.into())), sending))
        }
        Err(error) => Some(failed(sending, error)),
    }
}

async fn followed(mut sending: Sending) -> Step {
    if sending.failed {
        return None;
    }
    loop {
        let found;
        (sending.log, found) = sending.log.next(sending.offset).await;
        match found {
            Ok(Found::Bytes(bytes)) => {
                sending.offset += bytes.len() as u64;
                return Some((Ok(Frame::data(bytes.into())), sending));
            }
            Ok(Found::Rotated) => sending.offset = 0,
            Ok(Found::Truncated) => {
                sending.offset = 0;
                return Some((Ok(Frame::data(Bytes::from_static(TRUNCATED))), sending));
            }
            Ok(Found::Nothing) => sending.log.grown().await,
            Err(error) => return Some(failed(sending, error)),
        }
    }
}

fn failed(sending: Sending, error: io::Error) -> (io::Result<Frame<Bytes>>, Sending) {
    let sending = Sending {
        failed: true,
        ..sending
    };
    (Err(error), sending)
}
