//! The way to a provider: connections are kept and reused, nothing is sent that was not cleared, and an outcome that is
//! not known is said to be unknown.

use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;

use super::link::{Idle, Link, LinkError, ReceiveError, Receiving, Sending};
use super::tls::ClientTls;
use super::tls_stream::ClientStream;
use super::wire::Wire;
use crate::body::{Cleared, Fault, Outbound, Sealed, Upstream};
use crate::error::{
    Code, Refusal, UPSTREAM_INVALID, UPSTREAM_OUTCOME_UNKNOWN, UPSTREAM_TIMEOUT,
    UPSTREAM_UNREACHABLE,
};

/// How a provider is reached.
pub struct ProviderSettings {
    pub host: String,
    pub port: u16,
    /// Where to connect instead, when names lead back to the gateway.
    pub connect: Option<(String, u16)>,
    /// `None`: plain HTTP, which the configuration allows on loopback only.
    pub tls: Option<ClientTls>,
    pub connect_timeout: Duration,
    /// How long the provider may do nothing at all while something is expected of it.
    pub response_timeout: Duration,
}

/// See the module.
#[derive(Clone)]
pub struct Provider(Arc<Shared>);

struct Shared {
    settings: ProviderSettings,
    idle: Arc<Idle>,
}

impl Provider {
    pub fn new(settings: ProviderSettings) -> Self {
        Self(Arc::new(Shared {
            settings,
            idle: Arc::default(),
        }))
    }

    /// The connection that was used last, if it still stands.
    async fn kept(&self) -> Option<Link> {
        std::future::poll_fn(|cx| {
            loop {
                let Some(mut link) = self.0.idle.take() else {
                    return Poll::Ready(None);
                };
                if link.usable(cx) {
                    return Poll::Ready(Some(link));
                }
            }
        })
        .await
    }

    /// Name and certificate are the endpoint's, in virtual-host addressing too: the `Host` field names the bucket.
    async fn connect(&self) -> Result<Link, Refusal> {
        let limit = self.0.settings.connect_timeout;
        let timed = tokio::time::timeout(limit, self.wire()).await;
        let wire = timed.map_err(|_| {
            Refusal::new(&UPSTREAM_TIMEOUT).message("The provider can't be reached in time.")
        })?;
        let wire = wire.map_err(|error| Refusal::new(&UPSTREAM_UNREACHABLE).cause(error))?;
        Link::new(wire)
            .await
            .map_err(|error| Refusal::new(&UPSTREAM_UNREACHABLE).cause(error))
    }

    async fn wire(&self) -> std::io::Result<Wire> {
        let settings = &self.0.settings;
        let (host, port) = match &settings.connect {
            Some((host, port)) => (host.as_str(), *port),
            None => (settings.host.as_str(), settings.port),
        };
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        // however the connection ends, the provider sees a reset and never an end: see `Wire::poll_shutdown`
        stream.set_zero_linger()?;
        let Some(tls) = &settings.tls else {
            return Ok(Wire::plain(stream));
        };
        let name = ServerName::try_from(settings.host.clone()).map_err(std::io::Error::other)?;
        let stream = ClientStream::connect(tls.0.clone(), name, stream).await?;
        Ok(Wire::tls(stream))
    }
}

#[async_trait]
impl Upstream for Provider {
    async fn send(&self, request: Request<Cleared<Outbound>>) -> Result<Response<Sealed>, Refusal> {
        let patience = self.0.settings.response_timeout;
        let method = request.method().clone();
        let safe = method.is_safe() && request.body().is_end_stream();
        let (head, body) = request.into_parts();
        let (body, progress) = Sending::new(body);
        let again = safe.then(|| head.clone());
        let mut request = Request::from_parts(head, body);
        let mut reused = self.kept().await;
        loop {
            let fresh = reused.is_none();
            let mut link = match reused.take() {
                Some(link) => link,
                None => self.connect().await?,
            };
            let error = match link.send(request, &progress, patience).await {
                // whoever says yes to half a body has not got the whole
                Ok(response) if response.status().is_success() && !progress.ended() => {
                    return Err(Refusal::new(&UPSTREAM_OUTCOME_UNKNOWN)
                        .message("The provider answered before it had the whole body."));
                }
                Ok(response) => return self.received(response, link, &method).await,
                Err(error) => error,
            };
            request = match (error, &again) {
                (LinkError::Unsent(request), _) if !fresh => *request,
                // a kept connection that the provider closed as the request went out: reading again does no harm
                (LinkError::Broken(error), Some(head))
                    if !fresh && !error.is_user() && !error.is_parse() =>
                {
                    Request::from_parts(head.clone(), Sending::new(Cleared::empty()).0)
                }
                (LinkError::Unsent(_), _) => return Err(Refusal::new(&UPSTREAM_UNREACHABLE)),
                (LinkError::Silent, _) => return Err(Refusal::new(&UPSTREAM_TIMEOUT)),
                (LinkError::Broken(error), _) => return Err(broken(error, safe)),
            };
        }
    }
}

impl Provider {
    async fn received(
        &self,
        response: Response<hyper::body::Incoming>,
        link: Link,
        method: &Method,
    ) -> Result<Response<Sealed>, Refusal> {
        check(&response, method)?;
        let (head, incoming) = response.into_parts();
        let patience = self.0.settings.response_timeout;
        let mut receiving = Receiving::new(incoming, link, patience, self.0.idle.clone());
        std::future::poll_fn(|cx| {
            receiving.settle(cx);
            Poll::Ready(())
        })
        .await;
        let body = Sealed::new(Box::pin(Answered(receiving)));
        Ok(Response::from_parts(head, body))
    }
}

/// A broken exchange: the body's own fault where it was that, else the provider's.
fn broken(error: hyper::Error, safe: bool) -> Refusal {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(fault) = inner.downcast_ref::<Fault>() {
            return Refusal::new(fault.code).message(fault.detail.clone());
        }
        source = inner.source();
    }
    let code: &'static Code = if error.is_parse() {
        &UPSTREAM_INVALID
    } else if safe {
        &UPSTREAM_UNREACHABLE
    } else {
        &UPSTREAM_OUTCOME_UNKNOWN
    };
    Refusal::new(code).cause(error)
}

/// An answer whose end can't be told from a break is refused.
fn check<B>(response: &Response<B>, method: &Method) -> Result<(), Refusal> {
    let bodiless = *method == Method::HEAD
        || response.status().is_informational()
        || matches!(
            response.status(),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    let headers = response.headers();
    let chunked = headers
        .get(TRANSFER_ENCODING)
        .is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    let why = if response.version() != Version::HTTP_11 {
        "The provider does not speak HTTP/1.1."
    } else if headers.contains_key(TRANSFER_ENCODING) && !chunked {
        "The provider's answer has an unknown transfer coding."
    } else if !bodiless && !chunked && !headers.contains_key(CONTENT_LENGTH) {
        "The provider's answer has no length."
    } else {
        return Ok(());
    };
    Err(Refusal::new(&UPSTREAM_INVALID).message(why))
}

/// The body of an answer.
struct Answered(Receiving);

impl Body for Answered {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        self.0.poll_frame(cx).map(|frame| {
            frame.map(|frame| {
                frame.map_err(|error| match error {
                    ReceiveError::Silent => {
                        Fault::new(&UPSTREAM_TIMEOUT, "the provider sends nothing")
                    }
                    ReceiveError::Broken(error) => {
                        Fault::new(&UPSTREAM_UNREACHABLE, error.to_string())
                    }
                })
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.body().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.body().size_hint()
    }
}
