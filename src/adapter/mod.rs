//! Protocol knowledge, one folder a protocol. An adapter reads no clock, draws no randomness of its own and opens no
//! connection: time comes with the exchange, the way to the provider is a trait.
//!
//! The stages run in a fixed order, driven by `proxy`: `classify` (unknown is refused), `verify` (the client's own
//! signature), the policy's verdict, `perform`. `refuse` words an error in the protocol's own form.

pub mod admin;
mod alike;
pub mod graph;
mod heads;
pub mod http;
pub mod json;
mod opening;
mod page;
mod pinned;
mod problem;
mod range;
pub mod s3;
mod spooling;
pub mod text;
pub mod webdav;

pub use self::problem::problem;

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ::http::header::{AUTHORIZATION, COOKIE};
use ::http::{HeaderMap, HeaderValue, Response, Uri, request};
use async_trait::async_trait;
use bytes::Bytes;

use crate::body::{Plain, Released};
use crate::error::{INTERNAL, KEY_UNAVAILABLE, OPERATION_DENIED, Refusal};
use crate::policy::{Class, Verdict};
use crate::seal::{EntropyError, EpochKeys, Epochs, LookupError, SaltSource};
use crate::telemetry::RequestId;

/// What a request asks for.
pub struct Operation {
    /// The protocol's own name (`PutObject`), or that of the operator's rule; goes to the log.
    pub name: Cow<'static, str>,
    pub class: Class,
    /// Whether a WebSocket follows: `proxy` then holds the client to the handshake, and lets the answer switch.
    pub switches: bool,
    /// What the adapter learned while classifying; its own.
    pub detail: Box<dyn Any + Send + Sync>,
}

/// Who asks, as proven by the client's signature.
pub struct Subject {
    /// The credential's public name; goes to the log.
    pub principal: Arc<str>,
    /// What the adapter learned while verifying; its own.
    pub proof: Box<dyn Any + Send + Sync>,
}

/// One request on its way: what the layers below can't know.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    pub request_id: RequestId,
    pub now: SystemTime,
}

impl Exchange {
    /// Nanoseconds since 1970.
    fn nanos(&self) -> u128 {
        self.now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos())
    }

    /// Seconds since 1970.
    fn unix(&self) -> u64 {
        u64::try_from(self.nanos() / 1_000_000_000).unwrap_or(u64::MAX)
    }

    /// Draws something that no two requests share.
    fn draw<T>(
        &self,
        salts: &SaltSource,
        draw: fn(&SaltSource, u128, &[u8]) -> Result<T, EntropyError>,
    ) -> Result<T, Refusal> {
        let request = self.request_id.0.to_be_bytes();
        draw(salts, self.nanos(), &request).map_err(|error| Refusal::new(&INTERNAL).cause(error))
    }
}

/// The epoch to seal under.
fn current(epochs: &dyn Epochs) -> Result<Arc<EpochKeys>, Refusal> {
    epochs.current().map_err(|error| match error {
        LookupError::Unknown => Refusal::new(&KEY_UNAVAILABLE),
        LookupError::Unavailable(why) => Refusal::new(&KEY_UNAVAILABLE).message(why),
    })
}

/// What an error answer may name.
#[derive(Debug, Clone, Copy)]
pub struct RefusedRequest<'a> {
    pub request_id: RequestId,
    pub method: &'a ::http::Method,
    /// The raw path, without the query.
    pub path: &'a str,
    /// What the client says that it reads.
    pub accept: Option<&'a str>,
}

/// Who asked, where that became known only while the request was performed (a form's fields); in the answer's
/// extensions, for the log.
#[derive(Debug, Clone)]
pub struct Principal(pub Arc<str>);

#[async_trait]
pub trait Adapter: Send + Sync {
    /// # Errors
    /// Whatever the adapter does not know is refused.
    fn classify(&self, head: &request::Parts) -> Result<Operation, Refusal>;

    /// # Errors
    /// The client's signature or credential is missing, wrong or expired.
    fn verify(
        &self,
        operation: &Operation,
        head: &request::Parts,
        now: SystemTime,
    ) -> Result<Subject, Refusal>;

    /// Does what was asked, within the verdict.
    ///
    /// # Errors
    /// Anything that fails before the answer's head stands; later failures abort the body.
    async fn perform(
        &self,
        exchange: &Exchange,
        verdict: Verdict,
        operation: Operation,
        subject: Subject,
        head: request::Parts,
        body: Plain,
    ) -> Result<Response<Released>, Refusal>;

    /// The refusal in the protocol's own form. A HEAD request's answer has no body.
    fn refuse(&self, refusal: &Refusal, request: &RefusedRequest<'_>) -> Response<Bytes>;
}

/// The host that a request names: HTTP/2's authority, or the `Host` field (`proxy` has checked that they agree).
pub(crate) fn authority<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(::http::header::HOST)?.to_str().ok(),
    }
}

/// # Errors
/// Digest credentials, which repeat path and query as the client wrote them (RFC 7616, section 3.4): the provider would
/// read there what is sealed in the request's target.
fn check_credentials(headers: &HeaderMap) -> Result<(), Refusal> {
    const SCHEME: &[u8] = b"digest";
    let digest = |value: &HeaderValue| {
        let scheme = value.as_bytes().trim_ascii_start().get(..SCHEME.len());
        scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME))
    };
    if headers.get_all(AUTHORIZATION).iter().any(digest) {
        return Err(Refusal::new(&OPERATION_DENIED)
            .message("Digest credentials repeat the URL, and what stands in it is sealed here."));
    }
    Ok(())
}

/// The cookies in one field: HTTP/2 splits them, and providers want one (RFC 9113, section 8.2.3).
fn cookie(headers: &HeaderMap) -> Option<HeaderValue> {
    let cookies: Vec<_> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let joined = HeaderValue::from_bytes(&cookies.join(&b"; "[..])).ok()?;
    (!cookies.is_empty()).then_some(joined)
}
