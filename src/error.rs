//! Refusals: every way a request can fail, as a value. They become responses in one place (`proxy::respond`).

use std::borrow::Cow;
use std::fmt;

/// Whose fault a refusal is; decides the status class and who is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client sent something that is wrong or not allowed.
    Client,
    /// The gateway is not able to serve: keys, state, overload, a defect.
    Gateway,
    /// The provider failed, or answered something that can't be trusted.
    Upstream,
}

/// A stable code: operators search for it, `docs/errors.md` lists it. Never renamed.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    pub name: &'static str,
    /// HTTP status, unless the protocol asks for another.
    pub status: u16,
    pub side: Side,
    /// One sentence for the person who reads the answer.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($ident:ident = $name:literal, $status:literal, $side:ident, $meaning:literal;)*) => {
        $(pub const $ident: Code = Code { name: $name, status: $status, side: Side::$side, meaning: $meaning };)*
        /// Every code, in the order of `docs/errors.md`.
        pub const CODES: &[&Code] = &[$(&$ident),*];
    };
}

codes! {
    FRAMING = "framing-ambiguous", 400, Client, "The request's framing is ambiguous or malformed.";
    HOST_UNKNOWN = "host-unknown", 421, Client, "No service is configured for this host.";
    HEADERS_TOO_LARGE = "headers-too-large", 431, Client, "The request's headers exceed the limit.";
    PROTOCOL = "request-refused", 400, Client, "The protocol's rules refuse this request.";
    OPERATION_UNKNOWN = "operation-unknown", 501, Client, "The gateway does not know this operation, so it refuses it.";
    OPERATION_DENIED = "operation-denied", 403, Client, "The service's policy refuses this operation.";
    ACCESS_DENIED = "access-denied", 403, Client, "The client's signature or credential is not accepted.";
    DIGEST_MISMATCH = "digest-mismatch", 400, Client, "The body does not match the digest or length that the client declared.";
    BODY_INCOMPLETE = "body-incomplete", 400, Client, "The body ended before its declared length.";
    TOO_SLOW = "too-slow", 408, Client, "The client sent or read nothing for too long.";
    TOO_LARGE = "too-large", 400, Client, "The body exceeds what the upstream can hold once sealed.";
    RULE_VIOLATED = "rule-violated", 403, Client, "The request holds something that the service's rules do not name.";
    FIELD_TOO_LONG = "field-too-long", 400, Client, "A value is too long for the provider's field once sealed.";
    ENCODING_UNKNOWN = "encoding-unknown", 415, Client, "The body's type or encoding is not one that the service's rules name.";
    MAIL_OUTSIDE = "mail-outside", 403, Client, "Somebody outside of the named domains is among the readers.";
    SEARCH_SEALED = "search-sealed", 403, Client, "What is sealed can't be searched, filtered or sorted by the provider.";
    OVERLOADED = "overloaded", 503, Gateway, "The gateway is at its limit; try again.";
    DRAINING = "draining", 503, Gateway, "The gateway is shutting down; try again.";
    KEY_UNAVAILABLE = "key-unavailable", 503, Gateway, "The key that is needed can't be had now.";
    STATE_UNAVAILABLE = "state-unavailable", 503, Gateway, "The gateway's state store can't be used now.";
    INTERNAL = "internal", 500, Gateway, "The gateway failed; nothing was released.";
    UPSTREAM_UNREACHABLE = "upstream-unreachable", 502, Upstream, "The provider can't be reached.";
    UPSTREAM_TIMEOUT = "upstream-timeout", 504, Upstream, "The provider did not answer in time.";
    UPSTREAM_OUTCOME_UNKNOWN = "upstream-outcome-unknown", 502, Upstream, "The provider broke off after the request went out; whether it took effect is not known.";
    UPSTREAM_INVALID = "upstream-invalid", 502, Upstream, "The provider's answer is malformed.";
    UPSTREAM_REFUSED = "upstream-refused", 502, Upstream, "The provider refused the gateway's own credential or request.";
    PROVIDER_ERROR = "provider-error", 502, Upstream, "The provider answered an error, which is passed on.";
    OBJECT_UNSEALED = "object-unsealed", 502, Upstream, "The stored object was not sealed by this gateway's service.";
    OBJECT_DAMAGED = "object-damaged", 502, Upstream, "The stored object failed authentication; nothing of it is released.";
    OBJECT_SUBSTITUTED = "object-substituted", 502, Upstream, "The stored object is not the one that belongs at this place.";
}

/// A request that is refused: what the client is told, and what the log is told.
#[derive(Debug)]
pub struct Refusal {
    pub code: &'static Code,
    /// The protocol's own code where it has one (`SignatureDoesNotMatch`).
    pub protocol_code: Option<Cow<'static, str>>,
    /// The status where the protocol asks for another than the code's.
    pub status: Option<u16>,
    /// What the client is told beyond the code's meaning. Never a secret, never payload.
    pub message: Option<Cow<'static, str>>,
    /// Header fields that belong to the answer (`Content-Range` of a 416, say).
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// Further elements of the answer in the protocol's form (`<Resource>`, say).
    pub details: Vec<(&'static str, String)>,
    /// For the log only.
    pub cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Refusal {
    pub fn new(code: &'static Code) -> Self {
        Self {
            code,
            protocol_code: None,
            status: None,
            message: None,
            headers: Vec::new(),
            details: Vec::new(),
            cause: None,
        }
    }

    #[must_use]
    pub fn message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = Some(message.into());
        self
    }

    #[must_use]
    pub fn protocol(mut self, code: impl Into<Cow<'static, str>>, status: u16) -> Self {
        self.protocol_code = Some(code.into());
        self.status = Some(status);
        self
    }

    #[must_use]
    pub fn header(mut self, name: http::HeaderName, value: http::HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    #[must_use]
    pub fn detail(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    #[must_use]
    pub fn cause(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub fn status(&self) -> u16 {
        self.status.unwrap_or(self.code.status)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.name)?;
        if let Some(code) = &self.protocol_code {
            write!(f, " ({code})")?;
        }
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => write!(f, ": {}", self.code.meaning),
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
