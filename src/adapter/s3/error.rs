//! S3's errors: the codes, their statuses and sentences as AWS words them, and the XML that carries them.
//!
//! Source: Amazon S3 API Reference, "Error responses".

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};

use super::xml::Writer;
use crate::adapter::RefusedRequest;
use crate::error::{self, Code, Refusal};

/// One of S3's codes with its status and default sentence.
#[derive(Debug, PartialEq, Eq)]
pub struct S3Code {
    pub name: &'static str,
    pub status: u16,
    pub message: &'static str,
    /// The gateway's own stable code that it falls under.
    pub stable: &'static Code,
}

macro_rules! codes {
    ($($ident:ident = $name:literal, $status:literal, $stable:ident, $message:literal;)*) => {
        $(pub const $ident: S3Code = S3Code {
            name: $name, status: $status, message: $message, stable: &error::$stable,
        };)*
        /// Every code that the gateway itself answers with.
        pub const CODES: &[&S3Code] = &[$(&$ident),*];
    };
}

codes! {
    ACCESS_DENIED = "AccessDenied", 403, ACCESS_DENIED, "Access Denied";
    AUTHORIZATION_HEADER_MALFORMED = "AuthorizationHeaderMalformed", 400, ACCESS_DENIED, "The authorization header that you provided is not valid.";
    AUTHORIZATION_QUERY_PARAMETERS_ERROR = "AuthorizationQueryParametersError", 400, ACCESS_DENIED, "The authorization query parameters that you provided are not valid.";
    BAD_DIGEST = "BadDigest", 400, DIGEST_MISMATCH, "The Content-MD5 or checksum value that you specified did not match what the server received.";
    BUCKET_ALREADY_EXISTS = "BucketAlreadyExists", 409, PROTOCOL, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.";
    CONDITIONAL_REQUEST_CONFLICT = "ConditionalRequestConflict", 409, PROTOCOL, "A conflicting operation occurred during the request. Retry the request.";
    ENTITY_TOO_LARGE = "EntityTooLarge", 400, TOO_LARGE, "Your proposed upload exceeds the maximum allowed size";
    ENTITY_TOO_SMALL = "EntityTooSmall", 400, PROTOCOL, "Your proposed upload is smaller than the minimum allowed size";
    EXPIRED_TOKEN = "ExpiredToken", 400, ACCESS_DENIED, "The provided token has expired.";
    INCOMPLETE_BODY = "IncompleteBody", 400, BODY_INCOMPLETE, "You did not provide the number of bytes specified by the Content-Length HTTP header.";
    INTERNAL_ERROR = "InternalError", 500, INTERNAL, "We encountered an internal error. Please try again.";
    INVALID_ACCESS_KEY_ID = "InvalidAccessKeyId", 403, ACCESS_DENIED, "The AWS Access Key Id you provided does not exist in our records.";
    INVALID_ARGUMENT = "InvalidArgument", 400, PROTOCOL, "Invalid Argument";
    INVALID_BUCKET_NAME = "InvalidBucketName", 400, PROTOCOL, "The specified bucket is not valid.";
    INVALID_CHUNK_SIZE = "InvalidChunkSizeError", 403, PROTOCOL, "Only the last chunk is allowed to have a size less than 8192 bytes";
    INVALID_DIGEST = "InvalidDigest", 400, DIGEST_MISMATCH, "The Content-MD5 you specified was invalid.";
    INVALID_OBJECT_STATE = "InvalidObjectState", 403, PROTOCOL, "The operation is not valid for the current state of the object.";
    INVALID_PART = "InvalidPart", 400, PROTOCOL, "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
    INVALID_PART_NUMBER = "InvalidPartNumber", 416, PROTOCOL, "The requested partnumber is not satisfiable";
    INVALID_PART_ORDER = "InvalidPartOrder", 400, PROTOCOL, "The list of parts was not in ascending order. Parts must be ordered by part number.";
    INVALID_RANGE = "InvalidRange", 416, PROTOCOL, "The requested range is not satisfiable";
    INVALID_REQUEST = "InvalidRequest", 400, PROTOCOL, "Invalid Request";
    INVALID_TAG = "InvalidTag", 400, PROTOCOL, "The tag provided was not a valid tag.";
    INVALID_TOKEN = "InvalidToken", 400, ACCESS_DENIED, "The provided token is malformed or otherwise invalid.";
    INVALID_URI = "InvalidURI", 400, PROTOCOL, "Couldn't parse the specified URI.";
    KEY_TOO_LONG = "KeyTooLongError", 400, PROTOCOL, "Your key is too long";
    MALFORMED_POST_REQUEST = "MalformedPOSTRequest", 400, PROTOCOL, "The body of your POST request is not well-formed multipart/form-data.";
    MALFORMED_TRAILER = "MalformedTrailerError", 400, PROTOCOL, "The request contained trailing data that was not well-formed or did not conform to our published schema.";
    MALFORMED_XML = "MalformedXML", 400, PROTOCOL, "The XML you provided was not well-formed or did not validate against our published schema";
    MAX_MESSAGE_LENGTH_EXCEEDED = "MaxMessageLengthExceeded", 400, TOO_LARGE, "Your request was too big.";
    MAX_POST_PRE_DATA_LENGTH_EXCEEDED = "MaxPostPreDataLengthExceededError", 400, TOO_LARGE, "Your POST request fields preceding the upload file were too large.";
    METADATA_TOO_LARGE = "MetadataTooLarge", 400, TOO_LARGE, "Your metadata headers exceed the maximum allowed metadata size";
    METHOD_NOT_ALLOWED = "MethodNotAllowed", 405, PROTOCOL, "The specified method is not allowed against this resource.";
    MISSING_CONTENT_LENGTH = "MissingContentLength", 411, PROTOCOL, "You must provide the Content-Length HTTP header.";
    MISSING_REQUEST_BODY = "MissingRequestBodyError", 400, PROTOCOL, "Request Body is empty";
    NO_SUCH_BUCKET = "NoSuchBucket", 404, PROTOCOL, "The specified bucket does not exist";
    NO_SUCH_KEY = "NoSuchKey", 404, PROTOCOL, "The specified key does not exist.";
    NO_SUCH_UPLOAD = "NoSuchUpload", 404, PROTOCOL, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    NO_SUCH_VERSION = "NoSuchVersion", 404, PROTOCOL, "The specified version does not exist.";
    NOT_IMPLEMENTED = "NotImplemented", 501, OPERATION_UNKNOWN, "A header you provided implies functionality that is not implemented";
    OPERATION_DENIED = "AccessDenied", 403, OPERATION_DENIED, "Access Denied";
    POLICY_VIOLATED = "AccessDenied", 403, ACCESS_DENIED, "Invalid according to Policy";
    PRECONDITION_FAILED = "PreconditionFailed", 412, PROTOCOL, "At least one of the pre-conditions you specified did not hold";
    REQUEST_TIME_TOO_SKEWED = "RequestTimeTooSkewed", 403, ACCESS_DENIED, "The difference between the request time and the current time is too large.";
    REQUEST_TIMEOUT = "RequestTimeout", 400, TOO_SLOW, "Your socket connection to the server was not read from or written to within the timeout period.";
    SERVICE_UNAVAILABLE = "ServiceUnavailable", 503, OVERLOADED, "Service is unable to handle request.";
    SIGNATURE_DOES_NOT_MATCH = "SignatureDoesNotMatch", 403, ACCESS_DENIED, "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    SLOW_DOWN = "SlowDown", 503, OVERLOADED, "Please reduce your request rate.";
    TOO_MANY_PARTS = "InvalidArgument", 400, PROTOCOL, "Part number must be an integer between 1 and 10000, inclusive";
    X_AMZ_CONTENT_SHA256_MISMATCH = "XAmzContentSHA256Mismatch", 400, DIGEST_MISMATCH, "The provided 'x-amz-content-sha256' header does not match what was computed.";
}

/// A request that S3's rules refuse.
#[derive(Debug)]
pub struct S3Error {
    pub code: &'static S3Code,
    /// In place of the code's own sentence.
    pub message: Option<Cow<'static, str>>,
    /// Further elements of the answer (`<Region>`, `<ArgumentName>`).
    pub details: Vec<(&'static str, String)>,
}

impl S3Error {
    pub fn new(code: &'static S3Code) -> Self {
        Self {
            code,
            message: None,
            details: Vec::new(),
        }
    }

    /// The code with a sentence of its own.
    pub fn with(code: &'static S3Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: Some(message.into()),
            details: Vec::new(),
        }
    }

    #[must_use]
    pub fn detail(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    /// `InvalidArgument` with the elements that AWS adds.
    pub fn argument(
        name: impl Into<String>,
        value: impl Into<String>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::with(&INVALID_ARGUMENT, message)
            .detail("ArgumentName", name)
            .detail("ArgumentValue", value)
    }

    /// The sentence that the client reads.
    pub fn text(&self) -> &str {
        self.message.as_deref().unwrap_or(self.code.message)
    }
}

impl std::fmt::Display for S3Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.name, self.text())
    }
}

impl std::error::Error for S3Error {}

impl From<S3Error> for Refusal {
    fn from(error: S3Error) -> Self {
        let message = error.message.unwrap_or(Cow::Borrowed(error.code.message));
        let mut refusal = Refusal::new(error.code.stable)
            .protocol(error.code.name, error.code.status)
            .message(message);
        refusal.details = error.details;
        refusal
    }
}

/// S3's name for a refusal that carries none of its own. Clients retry what is `InternalError`, `SlowDown` or
/// `ServiceUnavailable`, and nothing else.
fn name_for(code: &Code) -> &'static str {
    match code.name {
        "host-unknown" | "framing-ambiguous" | "request-refused" | "headers-too-large" => {
            INVALID_REQUEST.name
        }
        "operation-unknown" => NOT_IMPLEMENTED.name,
        "operation-denied" | "access-denied" => ACCESS_DENIED.name,
        "digest-mismatch" => BAD_DIGEST.name,
        "body-incomplete" => INCOMPLETE_BODY.name,
        "too-slow" => REQUEST_TIMEOUT.name,
        "too-large" => ENTITY_TOO_LARGE.name,
        "overloaded" => SLOW_DOWN.name,
        "draining"
        | "key-unavailable"
        | "state-unavailable"
        | "upstream-unreachable"
        | "upstream-timeout" => SERVICE_UNAVAILABLE.name,
        _ => INTERNAL_ERROR.name,
    }
}

/// The refusal as S3 answers it: an XML document, none for HEAD, the request id in header and document.
pub fn respond(refusal: &Refusal, request: &RefusedRequest<'_>) -> Response<Bytes> {
    let id = request.request_id.to_string();
    let status =
        StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let bodiless = *request.method == Method::HEAD || status == StatusCode::NOT_MODIFIED;
    let body = if bodiless {
        Bytes::new()
    } else {
        document(refusal, request.path, &id)
    };
    let length = body.len();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if !bodiless {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(HeaderName::from_static("x-amz-request-id"), value);
    }
    for (name, value) in &refusal.headers {
        headers.append(name.clone(), value.clone());
    }
    response
}

/// The `<Error>` document. Also what a long copy or completion ends with when it fails after its 200.
pub fn document(refusal: &Refusal, path: &str, request_id: &str) -> Bytes {
    let code = refusal
        .protocol_code
        .as_deref()
        .unwrap_or_else(|| name_for(refusal.code));
    let message = refusal.message.as_deref().unwrap_or(refusal.code.meaning);
    let mut xml = Writer::document();
    xml.open("Error");
    xml.element("Code", code);
    xml.element("Message", message);
    for (name, value) in &refusal.details {
        xml.element(name, value);
    }
    xml.element("Resource", path);
    xml.element("RequestId", request_id);
    xml.element("SceauCode", refusal.code.name);
    xml.close("Error");
    xml.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::RequestId;

    fn answer(method: &Method, refusal: &Refusal) -> Response<Bytes> {
        respond(
            refusal,
            &RefusedRequest {
                request_id: RequestId(7),
                method,
                path: "/bucket/a<b>&\u{1}c",
                accept: None,
            },
        )
    }

    #[test]
    fn the_document_is_as_aws_words_it() {
        let refusal = Refusal::from(
            S3Error::new(&REQUEST_TIME_TOO_SKEWED).detail("MaxAllowedSkewMilliseconds", "900000"),
        );
        let response = answer(&Method::GET, &refusal);
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/xml");
        let id = response.headers()["x-amz-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        assert_eq!(
            body,
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>RequestTimeTooSkewed</Code>\
                 <Message>The difference between the request time and the current time is too large.</Message>\
                 <MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>\
                 <Resource>/bucket/a&lt;b&gt;&amp;\u{fffd}c</Resource><RequestId>{id}</RequestId>\
                 <SceauCode>access-denied</SceauCode></Error>"
            )
        );
    }

    #[test]
    fn head_has_no_body() {
        let response = answer(&Method::HEAD, &Refusal::from(S3Error::new(&NO_SUCH_KEY)));
        assert_eq!(response.status(), 404);
        assert!(response.body().is_empty());
        assert!(!response.headers().contains_key(CONTENT_TYPE));
    }

    #[test]
    fn refusals_of_other_layers_have_a_name_that_clients_know() {
        for code in error::CODES {
            let response = answer(&Method::GET, &Refusal::new(code));
            let body = String::from_utf8(response.body().to_vec()).unwrap();
            assert_eq!(response.status(), code.status);
            assert!(
                CODES
                    .iter()
                    .any(|known| body.contains(&format!("<Code>{}</Code>", known.name)))
            );
            assert!(body.contains(code.name));
        }
    }
}
