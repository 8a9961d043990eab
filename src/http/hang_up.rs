//! Notices that a client is gone to which something without an end is sent.
//!
//! hyper sees it by reading, and reads nothing while bytes of a further request wait; and a log that is
//! silent gives nothing to write. Such a client would keep its place for as long.
//!
//! Must never: read.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::{AsyncRead, AsyncWrite, FutureExt, future};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Frame};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::reply::{Body, Reply};

/// How often a client that has sent more than is read is looked at: the reactor cannot wait for a
/// hang-up alone.
const LOOK: Duration = Duration::from_secs(1);

/// A connection.
pub trait Wire: AsyncRead + AsyncWrite + Clone + Unpin + Send + 'static {
    /// Waits until the client has closed its end, whatever else it has sent.
    fn gone(&self) -> future::Boxed<()>;
}

/// A connected socket, which hyper reads from and writes to while another waits for its end. In the
/// words of the standard library it is one of Unix, whatever it is: both are read and written alike,
/// and so hyper is compiled for one kind.
#[derive(Debug, Clone)]
pub struct Socket(Arc<Async<UnixStream>>);

impl Socket {
    /// Shares it.
    pub fn of(stream: Async<UnixStream>) -> Socket {
        Socket(Arc::new(stream))
    }

    /// Shares one of TCP.
    pub fn of_tcp(stream: Async<TcpStream>) -> io::Result<Socket> {
        let stream = UnixStream::from(OwnedFd::from(stream.into_inner()?));
        Ok(Socket::of(Async::new_nonblocking(stream)?))
    }
}

impl Wire for Socket {
    fn gone(&self) -> future::Boxed<()> {
        let stream = self.0.clone();
        Box::pin(async move {
            while stream.readable().await.is_ok() && !is_closed(&stream) {
                Timer::after(LOOK).await;
            }
        })
    }
}

fn is_closed(stream: impl AsFd) -> bool {
    let mut fds = [PollFd::new(&stream, PollFlags::RDHUP)];
    let polled = poll(&mut fds, Some(&Timespec::default()));
    let ended = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
    polled.is_ok() && fds[0].revents().intersects(ended)
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self.0).poll_write_vectored(context, pieces)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self.0).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self.0).poll_close(context)
    }
}

/// The reply, cut off when the client is gone.
pub fn until_gone(reply: Reply, gone: future::Boxed<()>) -> Reply {
    reply.map(|body| UntilGone { body, gone }.boxed_unsync())
}

struct UntilGone {
    body: Body,
    gone: future::Boxed<()>,
}

impl hyper::body::Body for UntilGone {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.gone.poll(context).is_ready() {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }
}
