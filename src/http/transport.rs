//! Joins hyper and the runtime: reads that begin with what was received already, and timers.
//!
//! Must never: read more than hyper has room for, for what is read here is lost elsewhere.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Sleep, Write};

/// How much is read at once.
const READ_SIZE: usize = 8 * 1024;

/// A stream as hyper wants it.
pub struct Transport<S> {
    stream: S,
    /// Received before it was known that the client speaks HTTP.
    received: Vec<u8>,
    taken: usize,
}

impl<S> Transport<S> {
    /// A stream, and what was read from it so far.
    pub fn new(stream: S, received: Vec<u8>) -> Transport<S> {
        Transport {
            stream,
            received,
            taken: 0,
        }
    }
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
        let count = ready!(read)?;
        into.put_slice(&piece[..count]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> Write for Transport<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}

/// Timers on the reactor.
#[derive(Debug, Clone, Copy)]
pub struct Clock;

impl hyper::rt::Timer for Clock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Nap(Timer::after(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Nap(Timer::at(deadline)))
    }
}

struct Nap(Timer);

impl Future for Nap {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context).map(drop)
    }
}

impl Sleep for Nap {}
