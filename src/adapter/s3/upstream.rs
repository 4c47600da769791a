//! Requests to the provider: addressed, re-signed, their errors read.

use std::ops::Range;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HOST, IF_MATCH, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};

use super::address::Address;
use super::call::{Call, Place};
use super::core::Core;
use super::error::{
    ACCESS_DENIED, INTERNAL_ERROR, INVALID_REQUEST, METHOD_NOT_ALLOWED, NO_SUCH_KEY,
    NOT_IMPLEMENTED, PRECONDITION_FAILED, S3Code, SERVICE_UNAVAILABLE, SLOW_DOWN,
};
use super::settings::Addressing;
use super::sigv4::Signer;
use super::{etag, query, xml};
use crate::body::{Cleared, Outbound, Sealed};
use crate::error::{INTERNAL, PROVIDER_ERROR, Refusal, UPSTREAM_INVALID, UPSTREAM_REFUSED};

/// The body is not hashed for the signature: TLS carries it, and the format authenticates it.
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const BUCKET_OWNER: HeaderName = HeaderName::from_static("x-amz-expected-bucket-owner");
const SOURCE_OWNER: HeaderName = HeaderName::from_static("x-amz-source-expected-bucket-owner");
const REQUEST_PAYER: HeaderName = HeaderName::from_static("x-amz-request-payer");
/// The provider's error documents are short.
const ERROR_LIMIT: usize = 64 * 1024;

/// Errors that speak of the gateway's own credential, not of the client's.
const OWN_FAULT: [&str; 8] = [
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "InvalidToken",
    "ExpiredToken",
    "RequestTimeTooSkewed",
    "AuthorizationHeaderMalformed",
    "MissingSecurityHeader",
    "XAmzContentSHA256Mismatch",
];

/// A request to the provider, before it is signed.
pub(super) struct Ask {
    method: Method,
    address: Address,
    query: String,
    headers: HeaderMap,
    payload: &'static str,
}

impl Ask {
    pub fn new(method: Method, address: &Address) -> Self {
        Self {
            method,
            address: address.clone(),
            query: String::new(),
            headers: HeaderMap::with_capacity(16),
            payload: UNSIGNED_PAYLOAD,
        }
    }

    /// For an object, in the version that the place names.
    pub fn object(method: Method, place: &Place) -> Self {
        let ask = Self::new(method, &place.address);
        match &place.version {
            Some(version) => ask.query("versionId", version),
            None => ask,
        }
    }

    pub fn get(place: &Place) -> Self {
        Self::object(Method::GET, place)
    }

    pub fn head(place: &Place) -> Self {
        Self::object(Method::HEAD, place)
    }

    /// End excluded; `u64::MAX` leaves the end open.
    pub fn range(self, range: Range<u64>) -> Self {
        let value = match range.end {
            u64::MAX => format!("bytes={}-", range.start),
            end => format!("bytes={}-{}", range.start, end - 1),
        };
        self.header(RANGE, &value)
    }

    /// `tag` is the provider's, without quotes.
    pub fn if_match(self, tag: &str) -> Self {
        self.header(IF_MATCH, &etag::quote(tag))
    }

    /// A value that no header can carry is left out; callers pass what they read from headers.
    pub fn header(mut self, name: impl Into<HeaderName>, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name.into(), value);
        }
        self
    }

    pub fn query(mut self, name: &str, value: &str) -> Self {
        query::push(&mut self.query, name, value);
        self
    }

    /// An encoded query, as it is.
    pub fn raw_query(mut self, encoded: &str) -> Self {
        encoded.clone_into(&mut self.query);
        self
    }

    /// Copies the named fields of the client's head where they are there.
    pub fn copy(mut self, from: &HeaderMap, names: &[&'static str]) -> Self {
        for name in names {
            for value in from.get_all(*name) {
                self.headers
                    .append(HeaderName::from_static(name), value.clone());
            }
        }
        self
    }

    /// The body comes in chunks with a checksum behind them; `length` is that of its content.
    pub fn checksummed(mut self, length: u64) -> Self {
        self.payload = UNSIGNED_TRAILER;
        self.headers.insert(
            "x-amz-trailer",
            HeaderValue::from_static("x-amz-checksum-crc32c"),
        );
        self.headers
            .insert(CONTENT_ENCODING, HeaderValue::from_static("aws-chunked"));
        self.headers
            .insert("x-amz-decoded-content-length", HeaderValue::from(length));
        self
    }

    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }
}

impl Core {
    /// Sends a request without a body.
    pub(super) async fn ask(&self, call: &Call, ask: Ask) -> Result<Response<Sealed>, Refusal> {
        self.send(call, ask, Cleared::empty()).await
    }

    /// Signs with the upstream's credential and sends. The body's length is exact.
    pub(super) async fn send(
        &self,
        call: &Call,
        ask: Ask,
        body: Cleared<Outbound>,
    ) -> Result<Response<Sealed>, Refusal> {
        let upstream = &self.settings.upstream;
        let (host, mut path) = match (upstream.addressing, ask.address.bucket()) {
            (Addressing::Virtual, Some(bucket)) => (
                format!("{bucket}.{}", upstream.authority),
                ask.address.upstream_path_virtual(),
            ),
            _ => (upstream.authority.clone(), ask.address.upstream_path()),
        };
        if !ask.query.is_empty() {
            path.push('?');
            path.push_str(&ask.query);
        }
        let mut request = Request::new(body);
        *request.method_mut() = ask.method;
        *request.uri_mut() =
            Uri::try_from(path).map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        *request.headers_mut() = ask.headers;
        add_owners(call, &ask.address, request.headers_mut());
        let length = http_body::Body::size_hint(request.body()).exact();
        let headers = request.headers_mut();
        let host = HeaderValue::try_from(host).map_err(|e| Refusal::new(&INTERNAL).cause(e))?;
        headers.insert(HOST, host);
        match length {
            Some(0) => {}
            Some(length) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            None => return Err(Refusal::new(&INTERNAL).message("A body without a length.")),
        }
        let (mut head, body) = request.into_parts();
        self.signer(call)
            .sign(&mut head, ask.payload, call.exchange.now)?;
        self.upstream.send(Request::from_parts(head, body)).await
    }

    /// The credential that the provider knows the client by.
    fn signer(&self, call: &Call) -> &Signer {
        match self.clients.0.get(&call.verified.access_key) {
            Some((_, signer)) => signer,
            None => &self.signer,
        }
    }

    /// Reads the provider's error and words it for the client. What concerns the gateway's own credential is not
    /// the client's business and becomes a 502.
    pub(super) async fn upstream_refusal(&self, response: Response<Sealed>) -> Refusal {
        let (head, body) = response.into_parts();
        let document = match body.collect(ERROR_LIMIT).await {
            Ok(document) => document,
            Err(refusal) => return refusal,
        };
        if head.status.is_success() || head.status.is_informational() {
            return Refusal::new(&UPSTREAM_INVALID).message(format!(
                "The provider answered {} unasked.",
                head.status.as_u16()
            ));
        }
        let mut refusal = provider_error(head.status, &document);
        for name in ["x-amz-delete-marker", "x-amz-version-id", "retry-after"] {
            if let Some(value) = head.headers.get(name) {
                refusal = refusal.header(HeaderName::from_static(name), value.clone());
            }
        }
        refusal
    }
}

/// What a client says of who pays and who owns goes along with each request that serves it; a copy's source may be
/// another's.
fn add_owners(call: &Call, address: &Address, headers: &mut HeaderMap) {
    let same = address.bucket() == call.address.bucket();
    let owner = if same { BUCKET_OWNER } else { SOURCE_OWNER };
    for (from, to) in [(owner, BUCKET_OWNER), (REQUEST_PAYER, REQUEST_PAYER)] {
        if let Some(value) = call.headers.get(from) {
            headers.insert(to, value.clone());
        }
    }
}

/// The error inside a 200 (copies, completions), if the document is one.
pub(super) fn inner_error(document: &[u8]) -> Option<Refusal> {
    xml::provider_error(document, ERROR_LIMIT)
        .map(|_| provider_error(StatusCode::INTERNAL_SERVER_ERROR, document))
}

/// The refusal for an error document.
fn provider_error(status: StatusCode, document: &[u8]) -> Refusal {
    match xml::provider_error(document, ERROR_LIMIT) {
        Some(error) if OWN_FAULT.contains(&error.code.as_str()) || status.is_redirection() => {
            Refusal::new(&UPSTREAM_REFUSED).message(format!(
                "The provider refuses the gateway's request: {}.",
                error.code
            ))
        }
        Some(error) => Refusal::new(&PROVIDER_ERROR)
            .protocol(error.code, status.as_u16())
            .message(error.message),
        None => match by_status(status) {
            Some(known) => Refusal::new(&PROVIDER_ERROR)
                .protocol(known.name, status.as_u16())
                .message(known.message),
            None => Refusal::new(&UPSTREAM_INVALID)
                .message(format!("The provider answered {}.", status.as_u16())),
        },
    }
}

/// What a status without a document means (the answer to a HEAD has none).
fn by_status(status: StatusCode) -> Option<&'static S3Code> {
    match status.as_u16() {
        400 => Some(&INVALID_REQUEST),
        403 => Some(&ACCESS_DENIED),
        404 => Some(&NO_SUCH_KEY),
        405 => Some(&METHOD_NOT_ALLOWED),
        412 => Some(&PRECONDITION_FAILED),
        429 => Some(&SLOW_DOWN),
        500 => Some(&INTERNAL_ERROR),
        501 => Some(&NOT_IMPLEMENTED),
        503 => Some(&SERVICE_UNAVAILABLE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_providers_error_is_worded_for_the_client() {
        let document = b"<Error><Code>NoSuchBucket</Code><Message>a &amp; b</Message></Error>";
        let refusal = provider_error(StatusCode::NOT_FOUND, document);
        assert_eq!(refusal.protocol_code.as_deref(), Some("NoSuchBucket"));
        assert_eq!(refusal.message.as_deref(), Some("a & b"));
        assert_eq!(refusal.status(), 404);
    }

    #[test]
    fn the_gateways_own_credential_is_not_the_clients_fault() {
        let document = b"<Error><Code>SignatureDoesNotMatch</Code></Error>";
        let refusal = provider_error(StatusCode::FORBIDDEN, document);
        assert_eq!(refusal.status(), 502);
        assert_eq!(refusal.code, &UPSTREAM_REFUSED);
        let document =
            b"<Error><Code>PermanentRedirect</Code><Endpoint>else.where</Endpoint></Error>";
        let refusal = provider_error(StatusCode::MOVED_PERMANENTLY, document);
        assert_eq!(refusal.status(), 502);
    }

    #[test]
    fn an_error_inside_a_success_is_found() {
        let document = b"<?xml version=\"1.0\"?>\n   <Error><Code>InternalError</Code></Error>";
        assert_eq!(inner_error(document).unwrap().status(), 500);
        assert!(inner_error(b"<CopyObjectResult><ETag>a</ETag></CopyObjectResult>").is_none());
        assert!(inner_error(b"").is_none());
    }

    #[test]
    fn an_answer_without_a_document_goes_by_its_status() {
        assert_eq!(provider_error(StatusCode::NOT_FOUND, b"").status(), 404);
        assert_eq!(
            provider_error(StatusCode::IM_A_TEAPOT, b"").code,
            &UPSTREAM_INVALID
        );
    }
}
