//! The opening handshake of a WebSocket with a client (RFC 6455 section 4.2), where the service's adapter serves one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version, request};
use tungstenite::handshake::derive_accept_key;

use crate::error::{INTERNAL, PROTOCOL, Refusal};

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// A client's handshake, found sound.
pub(super) struct Handshake {
    accept: HeaderValue,
}

impl Handshake {
    /// # Errors
    /// The request asks for something else, or wrongly.
    pub fn check(head: &request::Parts) -> Result<Self, Refusal> {
        if head.version != Version::HTTP_11 {
            return Err(wanted("WebSockets are opened over HTTP/1.1."));
        }
        let headers = &head.headers;
        if head.method != Method::GET {
            return Err(refuse("A WebSocket is opened with GET."));
        }
        if !named(headers, CONNECTION, "upgrade") || !is(headers, UPGRADE, "websocket") {
            return Err(wanted("A WebSocket is served here, and nothing else."));
        }
        if !is(headers, SEC_WEBSOCKET_VERSION, "13") {
            let version = HeaderValue::from_static("13");
            return Err(wanted("WebSockets of version 13 are served.")
                .header(SEC_WEBSOCKET_VERSION, version));
        }
        if headers.contains_key(TRANSFER_ENCODING)
            || headers
                .get(CONTENT_LENGTH)
                .is_some_and(|length| length != "0")
        {
            return Err(refuse("A WebSocket is opened without a body."));
        }
        let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
        let (Some(key), None) = (keys.next(), keys.next()) else {
            return Err(refuse("A WebSocket is opened with one key."));
        };
        if !STANDARD.decode(key).is_ok_and(|key| key.len() == 16) {
            return Err(refuse("The WebSocket's key is malformed."));
        }
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()))
            .map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
        Ok(Self { accept })
    }

    /// Makes an answer the one that switches.
    pub fn accept<B>(self, response: &mut Response<B>) {
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, WEBSOCKET);
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
    }
}

fn refuse(why: &'static str) -> Refusal {
    Refusal::new(&PROTOCOL).message(why)
}

fn wanted(why: &'static str) -> Refusal {
    refuse(why)
        .protocol("UpgradeRequired", 426)
        .header(UPGRADE, WEBSOCKET)
}

/// Whether the field stands once and says this.
fn is(headers: &HeaderMap, name: http::HeaderName, value: &str) -> bool {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    first.is_some_and(|first| first.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
        && values.next().is_none()
}

/// Whether the field's lists name this.
fn named(headers: &HeaderMap, name: http::HeaderName, option: &str) -> bool {
    let mut options = headers
        .get_all(name)
        .iter()
        .flat_map(|list| list.as_bytes().split(|b| *b == b','));
    options.any(|named| named.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: [(&str, &str); 4] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "WebSocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn head(fields: &[(&str, &str)]) -> request::Parts {
        let mut request = http::Request::get("/");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    /// The example of RFC 6455 section 1.3.
    #[test]
    fn the_keys_answer_is_the_standards() {
        let mut response = Response::new(());
        Handshake::check(&head(&SOUND))
            .unwrap()
            .accept(&mut response);
        assert_eq!(response.status(), 101);
        let accept = &response.headers()[SEC_WEBSOCKET_ACCEPT];
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_handshake_that_is_another_is_refused() {
        for (at, value, status) in [
            (0, "keep-alive", 426),
            (1, "h2c", 426),
            (1, "websocket, h2c", 426),
            (2, "8", 426),
            (3, "dGhlIHNhbXBsZQ==", 400),
            (3, "?", 400),
        ] {
            let mut fields = SOUND;
            fields[at].1 = value;
            let refusal = Handshake::check(&head(&fields)).err().unwrap();
            assert_eq!(refusal.status(), status, "{value}");
        }
        for (name, value) in [
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("content-length", "1"),
            ("transfer-encoding", "chunked"),
        ] {
            let fields = [&SOUND[..], &[(name, value)]].concat();
            assert!(Handshake::check(&head(&fields)).is_err(), "{name}");
        }
        let mut two = head(&SOUND);
        two.version = Version::HTTP_2;
        assert_eq!(Handshake::check(&two).err().unwrap().status(), 426);
        let mut post = head(&SOUND);
        post.method = Method::POST;
        assert!(Handshake::check(&post).is_err());
    }
}
