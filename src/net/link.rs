//! One connection to a provider. It has no task of its own: whoever sends the request or reads the answer drives it, on
//! the thread that seals, so that no byte changes hands between tasks.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep};

use super::wire::Wire;
use crate::body::{Cleared, Fault, Outbound};
use crate::proxy::Pace;

/// Bytes that hyper buffers of one answer.
const BODY_BUFFER: usize = 128 * 1024;
/// Idle connections that are kept of one provider.
const KEPT: usize = 256;
/// An idle connection is not reused after this: providers close theirs later, so that a request rarely meets a close.
const KEPT_TIME: Duration = Duration::from_secs(15);

/// How a request's body fares, for whoever waits for the answer.
#[derive(Default)]
pub(super) struct Progress {
    /// Frames that were taken.
    taken: AtomicU64,
    /// Whether it waits for whoever makes the body, not for the provider.
    starved: AtomicBool,
    /// Whether the body was handed over to its end.
    ended: AtomicBool,
}

impl Progress {
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// A request's body on its way out.
pub(super) struct Sending {
    body: Cleared<Outbound>,
    progress: Arc<Progress>,
}

impl Sending {
    pub fn new(body: Cleared<Outbound>) -> (Self, Arc<Progress>) {
        let progress = Arc::new(Progress {
            ended: body.is_end_stream().into(),
            ..Progress::default()
        });
        let sending = Self {
            body,
            progress: progress.clone(),
        };
        (sending, progress)
    }
}

impl Body for Sending {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let starved = polled.is_pending();
        if !starved {
            self.progress.taken.fetch_add(1, Ordering::Relaxed);
        }
        self.progress.starved.store(starved, Ordering::Relaxed);
        let ended = match &polled {
            Poll::Ready(None) => true,
            // nobody asks for more once the declared length is out
            Poll::Ready(Some(Ok(_))) => {
                self.body.is_end_stream() || self.body.size_hint().exact() == Some(0)
            }
            Poll::Ready(Some(Err(_))) | Poll::Pending => false,
        };
        if ended {
            self.progress.ended.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

type Driver = Pin<Box<Connection<TokioIo<Wire>, Sending>>>;

/// Why a request brought no answer.
pub(super) enum LinkError {
    /// The connection was gone before anything was sent: here is the request again.
    Unsent(Box<Request<Sending>>),
    /// No answer in time.
    Silent,
    Broken(hyper::Error),
}

pub(super) struct Link {
    sender: SendRequest<Sending>,
    /// `None` once it has ended.
    driver: Option<Driver>,
    idle_since: Instant,
}

impl Link {
    pub async fn new(wire: Wire) -> Result<Self, hyper::Error> {
        let (sender, driver) = Builder::new()
            .max_buf_size(BODY_BUFFER)
            .handshake(TokioIo::new(wire))
            .await?;
        Ok(Self {
            sender,
            driver: Some(Box::pin(driver)),
            idle_since: Instant::now(),
        })
    }

    /// Over a connection that was driven until it gave an answer.
    pub fn answering(
        sender: SendRequest<Sending>,
        connection: Connection<TokioIo<Wire>, Sending>,
    ) -> Self {
        Self {
            sender,
            driver: Some(Box::pin(connection)),
            idle_since: Instant::now(),
        }
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(cx).is_ready()
        {
            self.driver = None;
        }
    }

    /// Whether another request may be sent; notices when the provider has closed.
    pub fn usable(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        self.driver.is_some() && self.sender.is_ready() && !self.stale()
    }

    fn stale(&self) -> bool {
        self.idle_since.elapsed() >= KEPT_TIME
    }

    /// Sends; `patience` is how long the provider may do nothing at all.
    pub async fn send(
        &mut self,
        request: Request<Sending>,
        progress: &Progress,
        patience: Duration,
    ) -> Result<Response<Incoming>, LinkError> {
        let mut answer = std::pin::pin!(self.sender.try_send_request(request));
        let mut timer = std::pin::pin!(sleep(patience));
        let mut seen = 0;
        let driver = &mut self.driver;
        std::future::poll_fn(|cx| {
            if let Some(running) = driver
                && running.as_mut().poll(cx).is_ready()
            {
                *driver = None;
            }
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(answer.map_err(|mut error| match error.take_message() {
                    Some(request) => LinkError::Unsent(Box::new(request)),
                    None => LinkError::Broken(error.into_error()),
                }));
            }
            while timer.as_mut().poll(cx).is_ready() {
                let taken = progress.taken.load(Ordering::Relaxed);
                if taken == seen && !progress.starved.load(Ordering::Relaxed) {
                    return Poll::Ready(Err(LinkError::Silent));
                }
                seen = taken;
                timer.as_mut().reset(Instant::now() + patience);
            }
            Poll::Pending
        })
        .await
    }
}

/// Connections that wait for their next request; the one used last is taken first.
#[derive(Default)]
pub(super) struct Idle(Mutex<Vec<Link>>);

impl Idle {
    pub fn take(&self) -> Option<Link> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Connections lie in the order of their last use, so those that went stale are the first.
    fn keep(&self, link: Link) {
        let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = links.iter().take_while(|link| link.stale()).count();
        let surplus = (links.len() + 1).saturating_sub(KEPT);
        links.drain(..stale.max(surplus));
        links.push(link);
    }
}

/// An answer's body together with the connection that it comes over.
pub(super) struct Receiving {
    incoming: Incoming,
    /// The connection goes back when the body has been read to its end.
    link: Option<Link>,
    idle: Arc<Idle>,
    pace: Pace,
}

impl Receiving {
    pub fn new(incoming: Incoming, link: Link, patience: Duration, idle: Arc<Idle>) -> Self {
        Self {
            incoming,
            link: Some(link),
            idle,
            pace: Pace::new(patience, 0),
        }
    }

    /// Gives the connection back, if it can carry another request.
    fn over(&mut self, cx: &mut Context<'_>) {
        if let Some(mut link) = self.link.take() {
            link.idle_since = Instant::now();
            if link.usable(cx) {
                self.idle.keep(link);
            }
        }
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // asking for a frame lets the connection read one, so it is driven again after the asking
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        if let Some(link) = &mut self.link {
            link.drive(cx);
        }
        Pin::new(&mut self.incoming).poll_frame(cx)
    }
}

impl Receiving {
    /// The next frame; `None` at the end, after which the connection is free again.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ReceiveError>>> {
        match self.next(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let _ = self.pace.moved(0);
                if self.incoming.is_end_stream() {
                    self.over(cx);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.link = None;
                Poll::Ready(Some(Err(ReceiveError::Broken(error))))
            }
            Poll::Ready(None) => {
                self.over(cx);
                Poll::Ready(None)
            }
            Poll::Pending => {
                ready!(self.pace.poll_wait(cx));
                self.link = None;
                Poll::Ready(Some(Err(ReceiveError::Silent)))
            }
        }
    }

    /// For an answer without a body: the connection is free at once.
    pub fn settle(&mut self, cx: &mut Context<'_>) {
        if self.incoming.is_end_stream() {
            self.over(cx);
        }
    }

    pub fn body(&self) -> &Incoming {
        &self.incoming
    }
}

pub(super) enum ReceiveError {
    Silent,
    Broken(hyper::Error),
}
