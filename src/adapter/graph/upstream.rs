//! Requests to the provider and its answers: what of a head passes, in either direction. Host and target go on byte for
//! byte: what a session's or a download's address carries is bound to them.

use std::ops::Range;
use std::sync::Arc;

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};

use super::atom::{self, Atom};
use super::route::Api;
use super::settings::{self, Host};
use super::table::Verb;
use super::{Call, Graph};
use crate::adapter::heads::{self, provider_error};
use crate::body::{Cleared, Outbound, Released, Sealed, Upstream};
use crate::error::{INTERNAL, Refusal, UPSTREAM_INVALID};

pub(super) use crate::adapter::heads::{put, text};

/// Fields of the client's head that go to the provider as they are.
const SENT: [&str; 17] = [
    "accept",
    "accept-language",
    "client-request-id",
    "consistencylevel",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "origin",
    "prefer",
    "return-client-request-id",
    "sdkversion",
    "x-clientservice-clienttag",
    "x-http-method",
    "x-ms-cpim-trans",
    "x-requestdigest",
    "x-requested-with",
];
/// Who asks.
const WHO: [&str; 2] = ["authorization", "user-agent"];

/// Fields of the provider's answer that pass to the client as they are.
const PASSED: [&str; 36] = [
    "access-control-allow-origin",
    "access-control-expose-headers",
    "cache-control",
    "client-request-id",
    "content-disposition",
    "content-language",
    "content-type",
    "date",
    "docid",
    "etag",
    "expires",
    "last-modified",
    "microsoftsharepointteamservices",
    "odata-version",
    "pragma",
    "preference-applied",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "request-id",
    "retry-after",
    "set-cookie",
    "sprequestguid",
    "strict-transport-security",
    "vary",
    "warning",
    "www-authenticate",
    "x-cache",
    "x-content-type-options",
    "x-download-options",
    "x-errorcode",
    "x-frame-options",
    "x-ms-ags-diagnostic",
    "x-ms-throttle-scope",
    "x-ms-diagnostics",
    "x-sharepointhealthscore",
];

/// A request to the provider.
pub(super) struct Ask {
    method: Method,
    host: usize,
    /// As the client names the host.
    authority: String,
    /// Path and query.
    target: String,
    headers: HeaderMap,
}

impl Ask {
    /// The client's request.
    pub fn from_client(call: &Call<'_>) -> Self {
        let mut ask = Self::own(call.head.method.clone(), call);
        if let Some(target) = call.asked {
            target.clone_into(&mut ask.target);
        }
        ask.copy(call, &SENT);
        // SharePoint's own interface answers XML to who does not ask for JSON; what the gateway reads itself is JSON
        let accept = text(&ask.headers, ACCEPT).unwrap_or_default();
        let passes = matches!(call.row.verb, Verb::Content | Verb::RestItems | Verb::Bare);
        if call.row.api == Api::Rest && !passes && !accept.contains("json") {
            ask = ask.header(ACCEPT, "application/json;odata=nometadata");
        }
        ask
    }

    /// To the same target, with nothing of the client's head but who asks.
    pub fn own(method: Method, call: &Call<'_>) -> Self {
        let mut ask = Self {
            method,
            host: call.host,
            authority: call.authority.to_owned(),
            target: call.target().to_owned(),
            headers: HeaderMap::with_capacity(16),
        };
        ask.copy(call, &WHO);
        if let Some(value) = crate::adapter::cookie(&call.head.headers) {
            ask.headers.insert(http::header::COOKIE, value);
        }
        ask
    }

    /// To an address that the provider gave and that carries its own proof: the client's credential stays out.
    pub fn at(method: Method, address: &Address<'_>) -> Self {
        Self {
            method,
            host: address.host,
            authority: address.authority.to_owned(),
            target: address.target.to_owned(),
            headers: HeaderMap::with_capacity(8),
        }
    }

    #[must_use]
    pub fn by(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// To another target of the same host.
    #[must_use]
    pub fn to(mut self, target: String) -> Self {
        self.target = target;
        self
    }

    fn copy(&mut self, call: &Call<'_>, names: &[&'static str]) {
        for name in names {
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

    /// Sealed bytes, end excluded.
    #[must_use]
    pub fn range(self, range: &Range<u64>) -> Self {
        let value = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
        self.header(RANGE, &value)
    }
}

/// A URL of the provider's, at a host that the gateway stands before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address<'u> {
    pub host: usize,
    pub authority: &'u str,
    /// Path and query, as they are written.
    pub target: &'u str,
}

/// The ways to the hosts.
pub(super) struct Wire {
    pub hosts: Vec<Host>,
    /// In the order of the hosts.
    pub upstreams: Vec<Arc<dyn Upstream>>,
}

impl Wire {
    /// # Errors
    /// A URL that leads past the gateway.
    pub fn address<'u>(&self, url: &'u str) -> Result<Address<'u>, Refusal> {
        let elsewhere = || {
            Refusal::new(&UPSTREAM_INVALID)
                .message("The provider names a host that the gateway does not stand before.")
        };
        let rest = url.strip_prefix("https://").ok_or_else(elsewhere)?;
        let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(at);
        let plain = !authority.contains(['@', '\\']) && target.starts_with('/');
        let host = settings::host(&self.hosts, authority).filter(|_| plain);
        Ok(Address {
            host: host.ok_or_else(elsewhere)?,
            authority,
            target,
        })
    }

    /// Sends a request. Its body's length goes along where it is known.
    pub async fn send(
        &self,
        ask: Ask,
        body: Cleared<Outbound>,
    ) -> Result<Response<Sealed>, Refusal> {
        let bodied = matches!(ask.method, Method::PUT | Method::POST | Method::PATCH);
        let upstream = self
            .upstreams
            .get(ask.host)
            .ok_or_else(|| Refusal::new(&INTERNAL))?;
        let mut request = Request::new(body);
        *request.method_mut() = ask.method;
        *request.uri_mut() =
            Uri::try_from(ask.target).map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        *request.headers_mut() = ask.headers;
        let length = http_body::Body::size_hint(request.body()).exact();
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(&ask.authority)
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

    pub async fn ask(&self, ask: Ask) -> Result<Response<Sealed>, Refusal> {
        self.send(ask, Cleared::empty()).await
    }
}

impl Graph {
    /// # Errors
    /// A URL that leads past the gateway.
    pub(super) fn address<'u>(&self, url: &'u str) -> Result<Address<'u>, Refusal> {
        self.wire.address(url)
    }

    pub(super) async fn send(
        &self,
        ask: Ask,
        body: Cleared<Outbound>,
    ) -> Result<Response<Sealed>, Refusal> {
        self.wire.send(ask, body).await
    }

    pub(super) async fn ask(&self, ask: Ask) -> Result<Response<Sealed>, Refusal> {
        self.wire.ask(ask).await
    }

    /// The provider's answer where it is no file: its head, and a JSON document whose items are shown as the client knows
    /// them. Any other body is left out.
    ///
    /// # Errors
    /// An answer that is an error without a document, or that leads past the gateway.
    pub(super) fn answer(
        &self,
        call: &Call<'_>,
        response: Response<Sealed>,
    ) -> Result<Response<Released>, Refusal> {
        let (head, body) = response.into_parts();
        let mut headers = self.head(head.status, &head.headers)?;
        let bodied = call.head.method != Method::HEAD;
        let xml = bodied && call.row.api == Api::Rest && atom::is_xml(&head.headers);
        let document = bodied && is_json(&head.headers) || xml;
        if (head.status.is_client_error() || head.status.is_server_error()) && !document {
            return Err(provider_error(head.status, headers));
        }
        let body = if xml {
            Released::rewritten(body, Atom::default())
        } else if document {
            self.items(call, body)
        } else {
            headers.remove(CONTENT_TYPE);
            Released::empty()
        };
        let mut answer = Response::new(body);
        *answer.status_mut() = head.status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    /// What of an answer's head passes.
    ///
    /// # Errors
    /// A `Location` past the gateway.
    pub(super) fn head(
        &self,
        status: StatusCode,
        upstream: &HeaderMap,
    ) -> Result<HeaderMap, Refusal> {
        if status.is_informational() {
            return Err(Refusal::new(&UPSTREAM_INVALID));
        }
        let mut headers = passed(upstream);
        if let Some(location) = upstream.get(LOCATION) {
            let url = location.to_str().unwrap_or_default();
            let own = url.starts_with('/') && !url.starts_with("//") && !url.starts_with("/\\");
            if !own {
                self.address(url)?;
            }
            headers.insert(LOCATION, location.clone());
        }
        Ok(headers)
    }
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    is_one_of(headers, &["application/json", "text/json"])
}

/// Whether a field of the client's head goes to the provider, names of the fields that say who asks among them.
pub(super) fn is_sent(name: &str) -> bool {
    let known = |sent: &str| name.eq_ignore_ascii_case(sent);
    SENT.iter().chain(&WHO).any(|sent| known(sent))
}

/// Whether there is a body of one of these types.
pub(super) fn is_one_of(headers: &HeaderMap, types: &[&str]) -> bool {
    let media = text(headers, CONTENT_TYPE).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    let empty = text(headers, CONTENT_LENGTH) == Some("0");
    !empty && types.iter().any(|name| media.eq_ignore_ascii_case(name))
}

/// Copies the fields that pass as they are.
pub(super) fn passed(upstream: &HeaderMap) -> HeaderMap {
    heads::passed(upstream, &PASSED)
}
