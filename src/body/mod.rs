//! Bytes in motion. Four types say what a body is, and no conversion exists that would let plaintext leave or
//! unauthenticated bytes arrive:
//!
//! - [`Plain`]: what the client sends. Becomes a [`Cleared`] body only by sealing, or by a permit of the policy.
//! - [`Cleared`]: the only body that [`Upstream::send`] takes.
//! - [`Sealed`]: what the provider answers. Becomes a [`Released`] body only by opening, or by a permit.
//! - [`Released`]: the only body that a client is given.
//!
//! The messages of a WebSocket are of the same four kinds.

mod assembled;
mod checksummed;
mod cleared;
mod fragment;
mod inflate;
mod lasting;
mod message;
mod open;
mod portion;
mod released;
mod rewrite;
mod scan;
mod seal;
mod socket;
mod tail;

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::{Code, Refusal, UPSTREAM_INVALID};

pub use assembled::{Piece, Pieces};
pub use cleared::{Cleared, Outbound, Plain};
pub use fragment::{Closing, FragmentBody, Keep, SealedRest};
pub use inflate::{Coding, Inflated};
pub use lasting::{Work, within};
pub use message::{
    ClearedMessage, Messages, PlainMessage, ReleasedMessage, SealedMessage, Switched,
};
pub use open::OpenBody;
pub use portion::{Portion, Portions};
pub use released::{Released, Sealed};
pub use rewrite::Rewrite;
pub use scan::{Guide, ScanBody};
pub use seal::{SealBody, SealPlan, Tail};
pub use socket::{ClientSocket, Duplex, Event, Farewell, ProviderSocket, SocketError};
pub use tail::SealedTail;

/// A stream of bytes whose error is a [`Fault`]. It ends cleanly only by its own end, never by a dropped producer.
pub type Chunks = Pin<Box<dyn http_body::Body<Data = Bytes, Error = Fault> + Send>>;

/// What broke a stream in motion. The stream is aborted, never ended.
#[derive(Debug, Clone)]
pub struct Fault {
    pub code: &'static Code,
    pub detail: Cow<'static, str>,
}

impl Fault {
    pub fn new(code: &'static Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name, self.detail)
    }
}

impl std::error::Error for Fault {}

/// Where a body in motion leaves the refusal that broke it, so that whoever awaits the upstream's answer can give
/// the client the cause (a wrong digest, say) instead of the effect (an upstream that was broken off).
#[derive(Debug, Clone, Default)]
pub struct FaultSlot(Arc<Mutex<Option<Refusal>>>);

impl FaultSlot {
    /// Keeps the first refusal; gives the fault that the stream is to end with.
    pub fn refuse(&self, refusal: Refusal) -> Fault {
        let fault = Fault::new(refusal.code, refusal.to_string());
        let mut slot = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        slot.get_or_insert(refusal);
        fault
    }

    pub fn take(&self) -> Option<Refusal> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take()
    }
}

/// The way to the provider. Takes nothing but what was cleared; the answer's body is opaque until opened.
#[async_trait]
pub trait Upstream: Send + Sync {
    /// Sends a request whose head is complete (authority, signature, length) and gives the answer's head.
    ///
    /// # Errors
    /// `UPSTREAM_*` codes; `UPSTREAM_OUTCOME_UNKNOWN` when the request may have taken effect.
    async fn send(
        &self,
        request: http::Request<Cleared<Outbound>>,
    ) -> Result<http::Response<Sealed>, Refusal>;

    /// Asks to open a WebSocket; `request` is complete but for the fields of the handshake. Only protocols that it offers
    /// (`Sec-WebSocket-Protocol`) are taken, and no extension. `max_message`: bytes of the provider's longest message.
    ///
    /// # Errors
    /// `UPSTREAM_*` codes; a way that knows no WebSockets opens none.
    async fn open(
        &self,
        _request: http::Request<Cleared<Outbound>>,
        _max_message: usize,
    ) -> Result<Opening, Refusal> {
        Err(Refusal::new(&UPSTREAM_INVALID).message("This provider opens no WebSocket."))
    }
}

/// What a provider says to a handshake.
pub enum Opening {
    /// It has switched; the answer's head was checked.
    Switched(http::Response<Box<ProviderSocket>>),
    /// It answered otherwise.
    Answered(http::Response<Sealed>),
}
