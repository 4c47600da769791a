//! The bytes below HTTP, to a provider.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::tls_stream::ClientStream;

/// How long an answer is waited for once nothing can be written any more.
const LAST_WORDS: Duration = Duration::from_secs(1);

enum Stream {
    Tls(Box<ClientStream>),
    /// Loopback only.
    Plain(TcpStream),
}

/// A connection. A provider that refuses an upload answers and closes at once; what it answered is still to be
/// read when writing fails. So a write that fails waits, and reading says how the connection ended.
pub(super) struct Wire {
    stream: Stream,
    /// Set once writing failed: how long reading may still have something to say.
    unwritable: Option<Pin<Box<Sleep>>>,
    /// Whether it may end with a farewell: see `poll_shutdown`.
    orderly: bool,
}

impl Wire {
    pub fn tls(stream: ClientStream) -> Self {
        Self::new(Stream::Tls(Box::new(stream)))
    }

    pub fn plain(stream: TcpStream) -> Self {
        Self::new(Stream::Plain(stream))
    }

    fn new(stream: Stream) -> Self {
        Self {
            stream,
            unwritable: None,
            orderly: false,
        }
    }

    /// For what says its own end (a WebSocket's close frame).
    #[must_use]
    pub fn orderly(self) -> Self {
        Self {
            orderly: true,
            ..self
        }
    }

    fn wrote<T>(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match wrote {
            Poll::Ready(Err(_)) => {
                self.unwritable = Some(Box::pin(sleep(LAST_WORDS)));
                // so that reading is tried, and the timer set going
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            wrote => wrote,
        }
    }
}

macro_rules! on_wire {
    ($wire:expr, $stream:ident => $call:expr) => {
        match $wire {
            Stream::Tls($stream) => {
                let $stream = Pin::new($stream.as_mut());
                $call
            }
            Stream::Plain($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = on_wire!(&mut self.stream, stream => stream.poll_read(cx, buf));
        match &mut self.unwritable {
            Some(timer) if read.is_pending() => {
                ready!(timer.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
            }
            _ => read,
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.unwritable.is_some() {
            return Poll::Pending;
        }
        let wrote = on_wire!(&mut self.stream, stream => stream.poll_write(cx, buf));
        self.wrote(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.unwritable.is_some() {
            return Poll::Pending;
        }
        let wrote = on_wire!(&mut self.stream, stream => stream.poll_write_vectored(cx, bufs));
        self.wrote(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tls(stream) => stream.is_write_vectored(),
            Stream::Plain(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unwritable.is_some() {
            return Poll::Pending;
        }
        let flushed = on_wire!(&mut self.stream, stream => stream.poll_flush(cx));
        self.wrote(cx, flushed)
    }

    /// Says no farewell: there are stores that take TLS's `close_notify`, or the end of a connection, in the middle of a
    /// body for the body's end, and keep what came so far as the object. What ends early is reset instead.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.orderly {
            return Poll::Ready(Ok(()));
        }
        on_wire!(&mut self.stream, stream => stream.poll_shutdown(cx))
    }
}
