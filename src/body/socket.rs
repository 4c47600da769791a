//! The two ends of a WebSocket (RFC 6455). Each side's pings are answered here and go no further; extensions are never
//! negotiated, so a frame with a reserved bit is refused.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;
use tungstenite::error::ProtocolError;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message, Utf8Bytes};

use super::message::Payload;
use super::{ClearedMessage, PlainMessage, ReleasedMessage, SealedMessage};

/// Read at a time. Small, because every idle WebSocket holds two; what a long message needs is held while it comes.
const READ: usize = 2048;
/// Pings that are answered while the peer does not read.
const UNREAD_PINGS: u8 = 32;
/// How long a side has for its close frame, and then for the end of its connection.
const PARTING: Duration = Duration::from_secs(1);
/// Bytes of a close frame's reason (RFC 6455 section 5.5: a control frame has 125, its code takes 2).
const REASON: usize = 123;

/// A connection whose protocol was switched.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// What comes from a side.
pub enum Event<M> {
    Message(M),
    /// A ping or a pong.
    Alive,
    Closed(Option<Farewell>),
}

/// A close frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Farewell {
    pub code: u16,
    /// In UTF-8; what does not fit a frame is cut off.
    pub reason: String,
}

impl Farewell {
    pub fn new(code: u16, reason: &str) -> Self {
        Self {
            code,
            reason: reason.to_owned(),
        }
    }

    fn frame(&self) -> CloseFrame {
        let mut end = self.reason.len().min(REASON);
        while !self.reason.is_char_boundary(end) {
            end -= 1;
        }
        CloseFrame {
            code: CloseCode::from(self.code),
            reason: Utf8Bytes::from(&self.reason[..end]),
        }
    }
}

/// Why a side can't go on.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("the connection ended without a close frame")]
    Gone,
    #[error("{0}")]
    Broken(io::Error),
    #[error("a text is not UTF-8")]
    Utf8,
    #[error("a message is too long")]
    TooLong,
    /// Frames that break the protocol.
    #[error("{0}")]
    Frames(ProtocolError),
    #[error("pings are not let be answered")]
    Pings,
}

impl From<Error> for SocketError {
    fn from(error: Error) -> Self {
        match error {
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Gone,
            Error::Io(error) => Self::Broken(error),
            Error::Utf8(_) => Self::Utf8,
            Error::Capacity(_) => Self::TooLong,
            Error::Protocol(error) => Self::Frames(error),
            other => Self::Broken(io::Error::other(other)),
        }
    }
}

/// Lends an asynchronous stream to the library, which knows `WouldBlock` only.
struct Lent<S> {
    stream: S,
    waker: Waker,
}

fn would_block<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<S: Duplex> io::Read for Lent<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        let mut cx = Context::from_waker(&self.waker);
        would_block(Pin::new(&mut self.stream).poll_read(&mut cx, &mut buf))?;
        Ok(buf.filled().len())
    }
}

impl<S: Duplex> io::Write for Lent<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let mut cx = Context::from_waker(&self.waker);
        would_block(Pin::new(&mut self.stream).poll_write(&mut cx, buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut cx = Context::from_waker(&self.waker);
        would_block(Pin::new(&mut self.stream).poll_flush(&mut cx))
    }
}

/// Either end.
struct Socket<S> {
    inner: WebSocket<Lent<S>>,
    unflushed: bool,
    /// Answered since the last flush that ended.
    pings: u8,
    /// What is read can't be understood any more.
    lost: bool,
}

impl<S: Duplex> Socket<S> {
    /// `ahead`: bytes that were read already.
    fn new(stream: S, ahead: &[u8], role: Role, max_message: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .write_buffer_size(0)
            .max_message_size(Some(max_message))
            .max_frame_size(Some(max_message));
        let lent = Lent {
            stream,
            waker: Waker::noop().clone(),
        };
        Self {
            inner: WebSocket::from_partially_read(lent, ahead.to_vec(), role, Some(config)),
            unflushed: false,
            pings: 0,
            lost: false,
        }
    }

    fn attend(&mut self, cx: &Context<'_>) {
        let waker = &mut self.inner.get_mut().waker;
        if !waker.will_wake(cx.waker()) {
            waker.clone_from(cx.waker());
        }
    }

    fn poll_receive(&mut self, cx: &Context<'_>) -> Poll<Result<Event<Payload>, SocketError>> {
        self.attend(cx);
        let message = match self.inner.read() {
            Ok(message) => message,
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return Poll::Pending;
            }
            Err(error) => {
                self.lost = true;
                return Poll::Ready(Err(error.into()));
            }
        };
        Poll::Ready(Ok(match message {
            Message::Text(text) => Event::Message(Payload::Text(text)),
            Message::Binary(bytes) => Event::Message(Payload::Binary(bytes)),
            Message::Ping(_) => {
                self.unflushed = true;
                self.pings += 1;
                if self.pings > UNREAD_PINGS {
                    return Poll::Ready(Err(SocketError::Pings));
                }
                Event::Alive
            }
            Message::Pong(_) | Message::Frame(_) => Event::Alive,
            Message::Close(frame) => Event::Closed(frame.map(|frame| Farewell {
                code: frame.code.into(),
                reason: frame.reason.to_string(),
            })),
        }))
    }

    fn write(&mut self, message: Message) -> Result<(), SocketError> {
        self.unflushed = true;
        match self.inner.write(message) {
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            done => Ok(done?),
        }
    }

    fn poll_flush(&mut self, cx: &Context<'_>) -> Poll<Result<(), SocketError>> {
        if !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        self.attend(cx);
        match self.inner.flush() {
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Ok(()) | Err(Error::ConnectionClosed) => {
                (self.unflushed, self.pings) = (false, 0);
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }

    /// Closes, and waits for the other side to do so too, but not for long.
    async fn part(&mut self, farewell: Option<&Farewell>) {
        let _ = self.write(Message::Close(farewell.map(Farewell::frame)));
        let closed = async {
            if poll_fn(|cx| self.poll_flush(cx)).await.is_err() {
                self.lost = true;
            }
            while !self.lost {
                let _ = poll_fn(|cx| self.poll_receive(cx)).await;
            }
        };
        let _ = timeout(PARTING, closed).await;
        let stream = &mut self.inner.get_mut().stream;
        let ended = async {
            poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await?;
            // what lies unread when a socket is closed makes it send a reset, which overtakes the close frame
            poll_fn(|cx| discard(stream, cx)).await
        };
        let _ = timeout(PARTING, ended).await;
    }
}

fn discard<S: Duplex>(stream: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    let mut space = [0; READ];
    loop {
        let mut buf = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut *stream).poll_read(cx, &mut buf))?;
        if buf.filled().is_empty() {
            return Poll::Ready(Ok(()));
        }
    }
}

fn event<M>(
    polled: Poll<Result<Event<Payload>, SocketError>>,
    wrap: impl FnOnce(Payload) -> M,
) -> Poll<Result<Event<M>, SocketError>> {
    polled.map(|event| {
        Ok(match event? {
            Event::Message(payload) => Event::Message(wrap(payload)),
            Event::Alive => Event::Alive,
            Event::Closed(farewell) => Event::Closed(farewell),
        })
    })
}

/// The provider's side: takes nothing but what was cleared.
pub struct ProviderSocket(Socket<Box<dyn Duplex>>);

impl ProviderSocket {
    /// `ahead`: bytes that came with the answer's head. `max_message`: bytes of the longest message.
    pub fn new(stream: Box<dyn Duplex>, ahead: &[u8], max_message: usize) -> Self {
        Self(Socket::new(stream, ahead, Role::Client, max_message))
    }

    /// # Errors
    /// The provider can't be understood, or is gone.
    pub fn poll_receive(
        &mut self,
        cx: &Context<'_>,
    ) -> Poll<Result<Event<SealedMessage>, SocketError>> {
        event(self.0.poll_receive(cx), SealedMessage)
    }

    /// Goes out with the next flush.
    ///
    /// # Errors
    /// The provider is gone.
    pub fn send(&mut self, message: ClearedMessage) -> Result<(), SocketError> {
        self.0.write(Message::Text(message.0.into()))
    }

    /// # Errors
    /// The provider is gone.
    pub fn ping(&mut self) -> Result<(), SocketError> {
        self.0.write(Message::Ping(Bytes::new()))
    }

    /// # Errors
    /// The provider is gone.
    pub fn poll_flush(&mut self, cx: &Context<'_>) -> Poll<Result<(), SocketError>> {
        self.0.poll_flush(cx)
    }

    /// Closes with a code and a word of the gateway's own: what a client says there would go in clear.
    pub async fn part(&mut self, code: Option<u16>, word: &'static str) {
        let farewell = code.map(|code| Farewell::new(code, word));
        self.0.part(farewell.as_ref()).await;
    }
}

/// The client's side: is given nothing but what was released.
pub struct ClientSocket<S>(Socket<S>);

impl<S: Duplex> ClientSocket<S> {
    /// `ahead`: bytes that were read already. `max_message`: bytes of the longest message.
    pub fn new(stream: S, ahead: &[u8], max_message: usize) -> Self {
        Self(Socket::new(stream, ahead, Role::Server, max_message))
    }

    /// # Errors
    /// The client can't be understood, or is gone.
    pub fn poll_receive(
        &mut self,
        cx: &Context<'_>,
    ) -> Poll<Result<Event<PlainMessage>, SocketError>> {
        event(self.0.poll_receive(cx), PlainMessage)
    }

    /// Goes out with the next flush.
    ///
    /// # Errors
    /// The client is gone.
    pub fn send(&mut self, message: ReleasedMessage) -> Result<(), SocketError> {
        self.0.write(message.0.into_message())
    }

    /// # Errors
    /// The client is gone.
    pub fn ping(&mut self) -> Result<(), SocketError> {
        self.0.write(Message::Ping(Bytes::new()))
    }

    /// # Errors
    /// The client is gone.
    pub fn poll_flush(&mut self, cx: &Context<'_>) -> Poll<Result<(), SocketError>> {
        self.0.poll_flush(cx)
    }

    /// Nothing more of it is read: nobody could say what it is.
    pub fn disregard(&mut self) {
        self.0.lost = true;
    }

    pub async fn part(&mut self, farewell: Option<&Farewell>) {
        self.0.part(farewell).await;
    }
}
