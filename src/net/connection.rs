//! One connection of a client, from its handshake to its end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};

use super::guarded::{Guarded, Times, Watch};
use super::listener::EdgeBounds;
use crate::body::Fault;
use crate::proxy::{Answer, Conversation, Proxy};

/// Bytes that hyper buffers of one connection's body.
const BODY_BUFFER: usize = 128 * 1024;
/// HTTP/2: what a stream and a connection may send ahead, and what is buffered of an answer.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
const SEND_BUFFER: usize = 128 * 1024;
/// Resets, of one kind that the library counts or of exchanges that had begun, after which an HTTP/2 connection is closed (rapid reset and its kin).
const RESETS: usize = 64;

/// Serves a connection until it ends, breaks, or has been drained.
pub(super) async fn serve<S>(
    stream: S,
    two: bool,
    proxy: Arc<Proxy>,
    bounds: EdgeBounds,
    drain: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let watch = Arc::new(Watch::default());
    let times = Times {
        head: bounds.header_timeout,
        idle: bounds.idle,
        minimum_rate: bounds.minimum_rate,
    };
    let head_limit = (!two).then_some(bounds.header_bytes);
    let io = TokioIo::new(Guarded::new(stream, head_limit, times, watch.clone()));
    let exchanges = Arc::new(Exchanges {
        proxy,
        watch,
        heads: AtomicUsize::new(0),
        kept: AtomicUsize::new(0),
        taken_back: AtomicUsize::new(0),
        abused: Notify::new(),
        stalls: two.then(Stalls::default),
        switching: Mutex::default(),
    });
    let serving = exchanges.clone();
    // boxed, so that its memory is gone while the connection is idle
    let service = service_fn(move |request| Box::pin(Exchanges::serve(serving.clone(), request)));
    let ended = if two {
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(bounds.streams)
            .max_header_list_size(u32::try_from(bounds.header_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_pending_accept_reset_streams(RESETS)
            .max_local_error_reset_streams(RESETS)
            .serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = drained(drain) => {
                exchanges.watch.draining.store(true, Ordering::Relaxed);
                connection.as_mut().graceful_shutdown();
                connection.await
            }
            () = exchanges.abused.notified() => {
                tracing::info!("a client takes back most of what it asks for; its connection is closed");
                return;
            }
            () = exchanges.stalled(bounds.idle) => {
                tracing::info!("a client reads too slowly; its connection is closed");
                return;
            }
        }
    } else {
        let connection = hyper::server::conn::http1::Builder::new()
            .max_buf_size(BODY_BUFFER)
            .serve_connection(io, service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = drained(drain) => {
                exchanges.watch.draining.store(true, Ordering::Relaxed);
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
    let switching = exchanges.switching();
    if let Some(switching) = switching {
        let heads = exchanges.heads.load(Ordering::Relaxed);
        // no part of this future, which every connection has
        Box::pin(switching.converse::<S>(heads)).await;
    }
}

/// A connection that is to carry a WebSocket from now on.
struct Switching {
    conversation: Box<Conversation>,
    upgrade: OnUpgrade,
}

impl Switching {
    /// `heads`: those of the connection that were served.
    async fn converse<S>(self, heads: usize)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok(upgraded) = self.upgrade.await else {
            return;
        };
        let Ok(parts) = upgraded.downcast::<TokioIo<Guarded<S>>>() else {
            tracing::error!("an upgraded connection is another");
            return;
        };
        let stream = parts.io.into_inner();
        let ahead = stream.switched_clean(heads).then_some(parts.read_buf);
        self.conversation.run(stream, ahead).await;
    }
}

/// Ready when the gateway drains.
async fn drained(mut drain: watch::Receiver<bool>) {
    if drain.wait_for(|drain| *drain).await.is_err() {
        std::future::pending().await
    }
}

struct Exchanges {
    proxy: Arc<Proxy>,
    watch: Arc<Watch>,
    heads: AtomicUsize,
    /// Exchanges that came to their end, and those that the client took back.
    kept: AtomicUsize,
    taken_back: AtomicUsize,
    abused: Notify,
    /// HTTP/2 only: on HTTP/1.1 the connection itself notices a client that does not read.
    stalls: Option<Stalls>,
    /// Set by the exchange after which the connection carries no other.
    switching: Mutex<Option<Switching>>,
}

impl Exchanges {
    async fn serve(
        self: Arc<Self>,
        mut request: Request<Incoming>,
    ) -> Result<Response<Watched>, Infallible> {
        self.watch.open.fetch_add(1, Ordering::Relaxed);
        let mut open = Open {
            exchanges: self.clone(),
            ended: false,
        };
        let head = self.heads.fetch_add(1, Ordering::Relaxed);
        let upgrade = hyper::upgrade::on(&mut request);
        let mut response = self.proxy.serve(request, self.watch.fault(head)).await;
        if let Some(conversation) = response.body_mut().take_conversation() {
            let switching = Switching {
                conversation,
                upgrade,
            };
            *lock(&self.switching) = Some(switching);
            self.watch.switched.store(true, Ordering::Relaxed);
        }
        open.ended = response.body().is_end_stream();
        Ok(response.map(|answer| Watched {
            answer,
            stall: self.stalls.as_ref().map(Stalls::begin),
            open,
        }))
    }

    fn switching(&self) -> Option<Switching> {
        lock(&self.switching).take()
    }

    /// Ready when a stream's client has taken nothing for that long.
    async fn stalled(&self, idle: Duration) {
        let Some(stalls) = &self.stalls else {
            return std::future::pending().await;
        };
        loop {
            tokio::time::sleep(idle / 4).await;
            if stalls.any(idle) {
                return;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An exchange, from its head until its answer is handed out or nobody wants it any more.
struct Open {
    exchanges: Arc<Exchanges>,
    ended: bool,
}

impl Drop for Open {
    fn drop(&mut self) {
        let exchanges = &self.exchanges;
        exchanges.watch.open.fetch_sub(1, Ordering::Relaxed);
        if self.ended {
            exchanges.kept.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let taken_back = exchanges.taken_back.fetch_add(1, Ordering::Relaxed) + 1;
        if taken_back > RESETS && taken_back > exchanges.kept.load(Ordering::Relaxed) {
            exchanges.abused.notify_one();
        }
    }
}

/// Answers whose last frame nobody has fetched the next of.
struct Stalls {
    begun: Instant,
    answers: Mutex<Vec<Weak<Stall>>>,
}

impl Default for Stalls {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            answers: Mutex::default(),
        }
    }
}

struct Stall {
    begun: Instant,
    /// When the last frame was handed out, in milliseconds since `begun`.
    handed: AtomicU64,
    waiting: AtomicBool,
}

impl Stalls {
    fn begin(&self) -> Arc<Stall> {
        let stall = Arc::new(Stall {
            begun: self.begun,
            handed: AtomicU64::new(0),
            waiting: AtomicBool::new(false),
        });
        let mut answers = lock(&self.answers);
        answers.retain(|answer| answer.strong_count() > 0);
        answers.push(Arc::downgrade(&stall));
        stall
    }

    fn any(&self, idle: Duration) -> bool {
        let now = millis(self.begun);
        let answers = lock(&self.answers);
        answers.iter().filter_map(Weak::upgrade).any(|stall| {
            stall.waiting.load(Ordering::Relaxed)
                && u128::from(now.saturating_sub(stall.handed.load(Ordering::Relaxed)))
                    > idle.as_millis()
        })
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// An answer that keeps its connection informed.
struct Watched {
    answer: Answer,
    stall: Option<Arc<Stall>>,
    open: Open,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let polled = Pin::new(&mut self.answer).poll_frame(cx);
        if let Some(stall) = &self.stall {
            let handed = matches!(polled, Poll::Ready(Some(Ok(_))));
            stall.handed.store(millis(stall.begun), Ordering::Relaxed);
            stall.waiting.store(handed, Ordering::Relaxed);
        }
        // what fails on the gateway's side was not taken back by the client
        self.open.ended = match &polled {
            Poll::Ready(Some(Ok(_))) => self.answer.is_end_stream(),
            Poll::Ready(_) => true,
            Poll::Pending => false,
        };
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.answer.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.answer.size_hint()
    }
}
