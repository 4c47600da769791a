//! The answer on its way to the client: counted, logged when it is over, and never ended cleanly when it failed.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderName};
use http::{HeaderValue, Method, Response, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

use super::arrival::{Returned, Unread};
use super::asked::Asked;
use super::conversation::Conversation;
use crate::body::{Fault, Released};
use crate::error::Refusal;
use crate::telemetry::RequestId;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-sceau-request-id");
/// So much of a body that nobody wanted is read after an early answer, so that closing does not destroy the answer
/// before the client has read it.
const DRAIN_BYTES: usize = 256 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(2);
/// On HTTP/2 as often again as the client sent as much in that time, 64 MiB in all: a reset leaves the other streams alone, but
/// clients that first send everything wait for room, or drop the answer.
const DRAINS: u32 = 255;

/// The body of every answer.
pub struct Answer {
    /// Bytes that came before the head was sent.
    first: Option<Bytes>,
    body: Released,
    drain: Option<Drain>,
    /// The answer's last byte, which waits for the drain: once it is out, hyper asks for nothing more.
    last: Option<Bytes>,
    over: Box<Over>,
    conversation: Option<Box<Conversation>>,
}

impl Answer {
    /// The WebSocket that follows the head, once.
    pub fn take_conversation(&mut self) -> Option<Box<Conversation>> {
        self.conversation.take()
    }
}

/// What happens when the exchange is over.
struct Over {
    /// `None`: the conversation that follows has a line of its own.
    asked: Option<Asked>,
    status: u16,
    bytes: u64,
    /// How many there are to be, where that is known.
    expected: Option<u64>,
    failed: bool,
    /// Held until the last byte is out.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Over {
    fn aborted(&mut self, fault: &Fault) {
        self.failed = true;
        if let Some(asked) = &mut self.asked {
            let (id, code) = (asked.id, fault.code.name);
            tracing::warn!(%id, code, detail = %fault.detail, "the answer is aborted");
            asked.code = Some(code);
        }
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        let outcome = match self.expected {
            _ if self.failed => "aborted",
            Some(expected) if self.bytes < expected => "cut",
            _ => "done",
        };
        if let Some(asked) = &self.asked {
            asked.log(self.status, self.bytes, outcome);
        }
    }
}

/// Waits for the first bytes, so that what fails before them is answered as an error, not cut off without a word.
///
/// # Errors
/// The body's fault.
pub(super) async fn begin(
    mut response: Response<Released>,
) -> Result<(Response<Released>, Option<Bytes>), Refusal> {
    if response.body().is_end_stream() {
        return Ok((response, None));
    }
    let body = response.body_mut();
    match poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await {
        Some(Ok(frame)) => Ok((response, frame.into_data().ok())),
        Some(Err(fault)) => Err(Refusal::new(fault.code).message(fault.detail)),
        None => Ok((response, None)),
    }
}

pub(super) fn finish(
    mut response: Response<Released>,
    first: Option<Bytes>,
    asked: Asked,
    returned: Returned,
    permit: Option<OwnedSemaphorePermit>,
) -> Response<Answer> {
    let status = response.status().as_u16();
    let unread = returned.take();
    name(&mut response, asked.id);
    let headers = response.headers_mut();
    let one = asked.version != Version::HTTP_2;
    let ambiguous = asked.code == Some(crate::error::FRAMING.name)
        || asked.code == Some(crate::error::HEADERS_TOO_LARGE.name);
    if one && (unread.is_some() || ambiguous) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let drain = unread
        .filter(|unread| !unread.held_back)
        .map(|unread| Drain::new(unread, if one { 0 } else { DRAINS }));
    let bodiless = asked.method == Method::HEAD || status == 304;
    let there = first.as_ref().map_or(0, |first| first.len() as u64);
    let length = |body: &Released| Some(body.size_hint().exact()? + there);
    response.map(|body| Answer {
        first,
        drain,
        last: None,
        over: Box::new(Over {
            asked: Some(asked),
            status,
            bytes: 0,
            expected: if bodiless {
                Some(0)
            } else {
                length(&body).or(Some(u64::MAX))
            },
            failed: false,
            _permit: permit,
        }),
        conversation: None,
        body,
    })
}

/// The head that a conversation follows.
pub(super) fn switch(
    mut response: Response<Released>,
    id: RequestId,
    conversation: Conversation,
) -> Response<Answer> {
    name(&mut response, id);
    let status = response.status().as_u16();
    response.map(|body| Answer {
        first: None,
        drain: None,
        last: None,
        over: Box::new(Over {
            asked: None,
            status,
            bytes: 0,
            expected: Some(0),
            failed: false,
            _permit: None,
        }),
        conversation: Some(Box::new(conversation)),
        body,
    })
}

fn name<B>(response: &mut Response<B>, id: RequestId) {
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        loop {
            if let Some(last) = &this.last {
                if let Some(drain) = &mut this.drain {
                    ready!(drain.poll(cx));
                }
                let last = last.clone();
                (this.drain, this.last) = (None, None);
                this.over.bytes += last.len() as u64;
                return Poll::Ready(Some(Ok(Frame::data(last))));
            }
            let frame = match this.first.take() {
                Some(first) => Some(Ok(Frame::data(first))),
                None => ready!(Pin::new(&mut this.body).poll_frame(cx)),
            };
            let mut data = match frame {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                Some(Err(fault)) => {
                    this.over.aborted(&fault);
                    return Poll::Ready(Some(Err(fault)));
                }
                None => {
                    this.over.expected = Some(this.over.bytes);
                    return Poll::Ready(None);
                }
            };
            let whole = this.over.bytes.saturating_add(data.len() as u64);
            if this.drain.is_some() && Some(whole) == this.over.expected && !data.is_empty() {
                this.last = Some(data.split_off(data.len() - 1));
                if data.is_empty() {
                    continue;
                }
            }
            this.over.bytes += data.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.last.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = [&self.first, &self.last].into_iter().flatten();
        let held: u64 = held.map(|bytes| bytes.len() as u64).sum();
        match self.body.size_hint().exact() {
            Some(length) => SizeHint::with_exact(length + held),
            None => SizeHint::default(),
        }
    }
}

/// Reads what is left of a request's body, within bounds.
struct Drain {
    unread: Unread,
    left: usize,
    again: u32,
    until: Pin<Box<Sleep>>,
}

impl Drain {
    fn new(unread: Unread, again: u32) -> Self {
        Self {
            unread,
            left: DRAIN_BYTES,
            again,
            until: Box::pin(sleep(DRAIN_TIME)),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.left == 0 && self.again > 0 {
                self.again -= 1;
                self.left = DRAIN_BYTES;
                self.until.as_mut().reset(Instant::now() + DRAIN_TIME);
            }
            if self.left == 0 || self.until.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            match ready!(Pin::new(&mut self.unread.incoming).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, Bytes::len);
                    self.left = self.left.saturating_sub(bytes);
                }
                Some(Err(_)) | None => return Poll::Ready(()),
            }
        }
    }
}
