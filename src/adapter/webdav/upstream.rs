//! Requests to the provider and its answers: what of a head passes, in either direction.

use std::ops::Range;
use std::sync::Arc;

use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, IF_MATCH,
    LOCATION, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};

use super::finder::Finder;
use super::links::Inward;
use super::listing::Listing;
use super::long::Known;
use super::{Call, WebDav, condition};
use crate::adapter::heads::{self, provider_error};
use crate::body::{Cleared, Outbound, Released, Sealed, Upstream};
use crate::error::{INTERNAL, PROTOCOL, Refusal, UPSTREAM_INVALID};

pub(super) use crate::adapter::heads::{put, text};

/// Fields of the client's head that go to the provider as they are.
const SENT: [&str; 19] = [
    "accept",
    "accept-language",
    "authorization",
    "brief",
    "cookie",
    "depth",
    "lock-token",
    "ocs-apirequest",
    "overwrite",
    "prefer",
    "requesttoken",
    "timeout",
    "translate",
    "user-agent",
    "x-oc-ctime",
    "x-oc-mtime",
    "x-requested-with",
    "if-modified-since",
    "if-unmodified-since",
];
/// Conditions on entity tags, which are the provider's.
const CONDITIONS: [&str; 2] = ["if-match", "if-none-match"];

/// Fields of the provider's answer that pass to the client as they are.
const PASSED: [&str; 31] = [
    "authentication-info",
    "cache-control",
    "content-disposition",
    "content-language",
    "content-security-policy",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "lock-token",
    "ms-author-via",
    "oc-etag",
    "oc-fileid",
    "pragma",
    "preference-applied",
    "referrer-policy",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "timeout",
    "vary",
    "www-authenticate",
    "x-content-type-options",
    "x-frame-options",
    "x-oc-ctime",
    "x-oc-mtime",
    "x-permitted-cross-domain-policies",
    "x-robots-tag",
    "x-xss-protection",
    "x-user-id",
];

pub(super) const DESTINATION: HeaderName = HeaderName::from_static("destination");
pub(super) const IF: HeaderName = HeaderName::from_static("if");

/// A request to the provider.
#[derive(Clone)]
pub(super) struct Ask {
    method: Method,
    path: String,
    headers: HeaderMap,
}

impl Ask {
    /// Of nobody's request.
    pub fn bare(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            headers: HeaderMap::with_capacity(8),
        }
    }

    /// With nothing of the client's head but who asks.
    pub fn own(method: Method, call: &Call<'_>) -> Self {
        let mut ask = Self {
            method,
            path: call.path.to_owned(),
            headers: HeaderMap::with_capacity(16),
        };
        ask.copy(call, &["authorization", "cookie", "user-agent"]);
        ask
    }

    /// The client's request, with the URLs in its head mapped.
    ///
    /// # Errors
    /// A `Destination` or `If` that is malformed or elsewhere.
    pub fn from_client(call: &Call<'_>) -> Result<Self, Refusal> {
        let mut ask = Self::own(call.head.method.clone(), call);
        ask.copy(call, &SENT);
        ask.copy(call, &CONDITIONS);
        if let Some(value) = single(call, DESTINATION)? {
            ask = ask.header(DESTINATION, &call.links.outward(value)?);
        }
        if let Some(value) = single(call, IF)? {
            ask = ask.header(IF, &condition::outward(value, &call.links)?);
        }
        Ok(ask)
    }

    fn copy(&mut self, call: &Call<'_>, names: &[&'static str]) {
        for name in names {
            self.headers.remove(*name);
            if *name == COOKIE.as_str() {
                if let Some(value) = crate::adapter::cookie(&call.head.headers) {
                    self.headers.insert(COOKIE, value);
                }
                continue;
            }
            for value in call.head.headers.get_all(*name) {
                self.headers
                    .append(HeaderName::from_static(name), value.clone());
            }
        }
    }

    /// A value that no header can carry is left out; callers pass what they read from headers.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    #[must_use]
    pub fn without(mut self, name: HeaderName) -> Self {
        self.headers.remove(name);
        self
    }

    /// Another resource than the client's.
    #[must_use]
    pub fn at(self, path: String) -> Self {
        Self { path, ..self }
    }

    /// Says that a document follows, where one does.
    #[must_use]
    pub fn xml(self, document: &[u8]) -> Self {
        if document.is_empty() {
            return self;
        }
        self.header(CONTENT_TYPE, "application/xml; charset=\"utf-8\"")
    }

    /// Sealed bytes, end excluded.
    #[must_use]
    pub fn range(self, range: &Range<u64>) -> Self {
        let value = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        self.header(RANGE, &value)
    }

    /// Only the version that has this tag. A weak tag matches nothing, so it is not asked for.
    #[must_use]
    pub fn if_match(self, tag: Option<&str>) -> Self {
        match tag.filter(|tag| tag.starts_with('"')) {
            Some(tag) => self.header(IF_MATCH, tag),
            None => self,
        }
    }

    /// A value that is not to be shown.
    #[must_use]
    pub fn secret(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sends the request to the provider that `authority` names. The body's length goes along where it is known.
    ///
    /// # Errors
    /// The provider can't be reached, or compresses unasked.
    pub async fn send(
        self,
        upstream: &dyn Upstream,
        authority: &str,
        body: Cleared<Outbound>,
    ) -> Result<Response<Sealed>, Refusal> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() =
            Uri::try_from(self.path).map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        *request.headers_mut() = self.headers;
        let length = http_body::Body::size_hint(request.body()).exact();
        let bodied = matches!(*request.method(), Method::PUT);
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(authority)
            .map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        headers.insert(HOST, host);
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(length) = length.filter(|length| *length > 0 || bodied) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let response = upstream.send(request).await?;
        let coded = response.headers().get(CONTENT_ENCODING);
        if coded.is_some_and(|coding| coding != "identity") {
            return Err(Refusal::new(&UPSTREAM_INVALID)
                .message("The provider compresses its answers unasked."));
        }
        Ok(response)
    }
}

/// A field that stands once at most.
fn single<'c>(call: &'c Call<'_>, name: HeaderName) -> Result<Option<&'c str>, Refusal> {
    let mut values = call.head.headers.get_all(&name).iter();
    let wrong = || Refusal::new(&PROTOCOL).message(format!("The `{name}` field is malformed."));
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| wrong()),
        (Some(_), Some(_)) => Err(wrong()),
    }
}

/// The way to the provider, for what outlives a request's handler too.
#[derive(Clone)]
pub(super) struct Way {
    upstream: Arc<dyn Upstream>,
    /// `host` or `host:port`.
    authority: String,
}

impl Way {
    pub fn new(upstream: Arc<dyn Upstream>, authority: String) -> Self {
        Self {
            upstream,
            authority,
        }
    }

    /// Sends a request. Its body's length goes along where it is known.
    pub async fn send(
        &self,
        ask: Ask,
        body: Cleared<Outbound>,
    ) -> Result<Response<Sealed>, Refusal> {
        ask.send(self.upstream.as_ref(), &self.authority, body)
            .await
    }
}

impl WebDav {
    pub(super) async fn send(
        &self,
        ask: Ask,
        body: Cleared<Outbound>,
    ) -> Result<Response<Sealed>, Refusal> {
        self.way.send(ask, body).await
    }

    pub(super) async fn ask(&self, ask: Ask) -> Result<Response<Sealed>, Refusal> {
        self.send(ask, Cleared::empty()).await
    }

    fn listing(&self, call: &Call<'_>) -> Listing {
        let finder = self.long.as_ref().map(|names| {
            let ask = Ask::own(Method::GET, call);
            Finder::new(names.clone(), ask)
        });
        Listing::new(Arc::clone(&call.links), call.lengths, finder)
    }

    /// The provider's answer where it has no payload: its head mapped, a document rewritten as it streams, any other
    /// body left out.
    ///
    /// # Errors
    /// An answer that is an error without a document, or that leads past the gateway.
    pub(super) fn answer(
        &self,
        call: &Call<'_>,
        response: Response<Sealed>,
    ) -> Result<Response<Released>, Refusal> {
        let (head, body) = response.into_parts();
        let status = head.status;
        if status.is_informational() {
            return Err(Refusal::new(&UPSTREAM_INVALID));
        }
        let mut headers = passed(&head.headers);
        if let Some(location) = head.headers.get(LOCATION) {
            let url = location.to_str().ok().filter(|url| !url.starts_with("//"));
            match url.map(|url| call.links.inward(url, &Known::new())) {
                Some(Inward::Mapped(url)) => put(&mut headers, LOCATION, &url),
                // what was made here needs no address of another's
                _ if status.is_success() => {}
                _ => {
                    return Err(Refusal::new(&UPSTREAM_INVALID)
                        .message("The provider redirects to another host."));
                }
            }
        }
        let document = is_xml(&head.headers) && call.head.method != Method::HEAD;
        if status == StatusCode::MULTI_STATUS && !document {
            return Err(Refusal::new(&UPSTREAM_INVALID)
                .message("The provider's listing is no XML document."));
        }
        if (status.is_client_error() || status.is_server_error()) && !document {
            return Err(provider_error(status, headers));
        }
        let body = if document {
            Released::rewritten(body, self.listing(call))
        } else {
            headers.remove(CONTENT_TYPE);
            Released::empty()
        };
        let mut answer = Response::new(body);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }
}

/// A media type of XML, and a body that may be there.
fn is_xml(headers: &HeaderMap) -> bool {
    if text(headers, CONTENT_LENGTH) == Some("0") {
        return false;
    }
    let Some(value) = text(headers, CONTENT_TYPE) else {
        return false;
    };
    let media = value.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/xml")
        || media.eq_ignore_ascii_case("text/xml")
        || media.to_ascii_lowercase().ends_with("+xml") && !media.contains("html")
}

/// Copies the fields that pass as they are.
pub(super) fn passed(upstream: &HeaderMap) -> HeaderMap {
    heads::passed(upstream, &PASSED)
}
