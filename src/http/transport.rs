//! Joins hyper and the runtime: reads that begin with what was received already, and the ends of
//! patience with slow clients.
//!
//! Must never: read more than hyper has room for, for what is read here is lost elsewhere.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_io::Timer;
use futures_lite::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Write};

use super::pace::{Pace, STALL_TIME, Step};

/// How much is read at once.
const READ_SIZE: usize = 8 * 1024;

/// A stream as hyper wants it.
pub struct Transport<S> {
    stream: S,
    /// Received before it was known that the client speaks HTTP.
    received: Vec<u8>,
    taken: usize,
    pace: Pace,
    /// The end of patience with the client's step of this number.
    silence: Option<(u32, Timer)>,
    /// The end of patience with a client that takes nothing.
    stall: Option<Timer>,
}

impl<S> Transport<S> {
    /// A stream, what was read from it so far, and how far it is.
    pub fn new(stream: S, received: Vec<u8>, pace: Pace) -> Transport<S> {
        Transport {
            stream,
            received,
            taken: 0,
            pace,
            silence: None,
            stall: None,
        }
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (number, step) = self.pace.now();
        let Some(patience) = step.patience() else {
            self.silence = None;
            return Poll::Pending;
        };
        if self.silence.as_ref().is_none_or(|(of, _)| *of != number) {
            self.silence = Some((number, Timer::after(patience)));
        }
        match &mut self.silence {
            Some((_, timer)) => over(timer, context),
            None => Poll::Pending,
        }
    }

    fn poll_stall<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.pace.now().1 == Step::Stream {
            return Poll::Pending;
        }
        let timer = self.stall.get_or_insert_with(|| Timer::after(STALL_TIME));
        over(timer, context)
    }
}

/// An error once the timer has rung.
fn over<T>(timer: &mut Timer, context: &mut Context<'_>) -> Poll<io::Result<T>> {
    let rung = Pin::new(timer).poll(context);
    rung.map(|_| Err(io::ErrorKind::TimedOut.into()))
}

impl<S: AsyncRead + Unpin> Read for Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let left = &this.received[this.taken..];
        if !left.is_empty() {
            let count = left.len().min(into.remaining());
            into.put_slice(&left[..count]);
            this.taken += count;
            if this.taken == this.received.len() {
                this.received = Vec::new();
                this.taken = 0;
            }
            return Poll::Ready(Ok(()));
        }
        let mut piece = [0; READ_SIZE];
        let room = into.remaining().min(READ_SIZE);
        let read = Pin::new(&mut this.stream).poll_read(context, &mut piece[..room]);
        let Poll::Ready(count) = read else {
            return this.poll_silence(context);
        };
        let count = count?;
        into.put_slice(&piece[..count]);
        if count > 0 && this.pace.now().1 == Step::Idle {
            this.pace.go(Step::Head);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Write for Transport<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, bytes) {
            Poll::Pending => self.poll_stall(context),
            written => {
                self.stall = None;
                written
            }
        }
    }

    /// What many pages are sent is shared: it is written from where it is, not copied together.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(context, pieces) {
            Poll::Pending => self.poll_stall(context),
            written => {
                self.stall = None;
                written
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}
