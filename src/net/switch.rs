//! The opening handshake of a WebSocket with a provider (RFC 6455 section 4.1). The connection is a fresh one, and no
//! other request is ever sent over it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, Connection};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use super::link::{Link, Sending};
use super::upstream::{Provider, broken};
use super::wire::Wire;
use crate::body::{Cleared, Opening, Outbound, ProviderSocket};
use crate::error::{INTERNAL, Refusal, UPSTREAM_INVALID, UPSTREAM_TIMEOUT, UPSTREAM_UNREACHABLE};

type Driver = Connection<TokioIo<Wire>, Sending>;

impl Provider {
    pub(super) async fn switch(
        &self,
        mut request: Request<Cleared<Outbound>>,
        max_message: usize,
    ) -> Result<Opening, Refusal> {
        let key = generate_key();
        let offered = offer(request.headers_mut(), &key)?;
        let (head, body) = request.into_parts();
        let request = Request::from_parts(head, Sending::new(body).0);
        let wire = self.wire(true).await?;
        let (mut sender, mut driver) = Builder::new()
            .handshake::<_, Sending>(TokioIo::new(wire))
            .await
            .map_err(|error| Refusal::new(&UPSTREAM_UNREACHABLE).cause(error))?;
        let answer = driven(&mut driver, sender.send_request(request));
        let silent = |_| Refusal::new(&UPSTREAM_TIMEOUT);
        let answer = timeout(self.patience(), answer).await.map_err(silent)?;
        let answer = answer.map_err(|error| broken(error, true))?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let link = Link::answering(sender, driver);
            // not to be used again: it may end with a farewell, which a body that breaks off must not have
            let unkept = Arc::default();
            let answered = self.received(answer, link, &Method::GET, unkept).await?;
            return Ok(Opening::Answered(answered));
        }
        check(&answer, &key, &offered)?;
        let over = timeout(self.patience(), driver.without_shutdown()).await;
        let parts = over.map_err(silent)?.map_err(|error| broken(error, true))?;
        let wire = Box::new(parts.io.into_inner());
        let socket = ProviderSocket::new(wire, &parts.read_buf, max_message);
        Ok(Opening::Switched(answer.map(|_| Box::new(socket))))
    }
}

/// Waits for the answer while the connection is driven.
async fn driven(
    driver: &mut Driver,
    answer: impl Future<Output = hyper::Result<Response<Incoming>>>,
) -> hyper::Result<Response<Incoming>> {
    let mut answer = pin!(answer);
    let mut running = true;
    std::future::poll_fn(|cx| {
        if running && driver.poll_without_shutdown(cx).is_ready() {
            running = false;
        }
        match answer.as_mut().poll(cx) {
            Poll::Pending if !running => answer.as_mut().poll(cx),
            polled => polled,
        }
    })
    .await
}

/// Writes the handshake's fields; gives the protocols that the request offers.
fn offer(headers: &mut HeaderMap, key: &str) -> Result<Vec<String>, Refusal> {
    let key = HeaderValue::try_from(key).map_err(|error| Refusal::new(&INTERNAL).cause(error))?;
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(SEC_WEBSOCKET_KEY, key);
    headers.remove(SEC_WEBSOCKET_EXTENSIONS);
    let lists = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let offered = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|name| name.trim().to_owned());
    Ok(offered.collect())
}

/// # Errors
/// The provider has switched to something else than it was asked to.
fn check<B>(answer: &Response<B>, key: &str, offered: &[String]) -> Result<(), Refusal> {
    let headers = answer.headers();
    let text = |name| {
        let mut values = headers.get_all(name).iter();
        let first = values.next().and_then(|value| value.to_str().ok());
        first
            .filter(|_| values.next().is_none())
            .unwrap_or_default()
    };
    let upgrade = text(CONNECTION).split(',');
    let why = if answer.version() != Version::HTTP_11 {
        "The provider does not speak HTTP/1.1."
    } else if !text(UPGRADE).eq_ignore_ascii_case("websocket")
        || !upgrade
            .map(str::trim)
            .any(|name| name.eq_ignore_ascii_case("upgrade"))
    {
        "The provider switches to another protocol."
    } else if text(SEC_WEBSOCKET_ACCEPT) != derive_accept_key(key.as_bytes()) {
        "The provider answers another handshake."
    } else if headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        "The provider uses an extension that was not offered."
    } else if headers.contains_key(SEC_WEBSOCKET_PROTOCOL)
        && !offered
            .iter()
            .any(|name| name == text(SEC_WEBSOCKET_PROTOCOL))
    {
        "The provider speaks a subprotocol that was not offered."
    } else {
        return Ok(());
    };
    Err(Refusal::new(&UPSTREAM_INVALID).message(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    fn answer(fields: &[(&str, &str)]) -> Response<()> {
        let mut answer = Response::builder().status(101);
        for (name, value) in fields {
            answer = answer.header(*name, *value);
        }
        answer.body(()).unwrap()
    }

    #[test]
    fn only_the_answer_to_this_handshake_is_taken() {
        let sound = [
            ("connection", "upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("sec-websocket-protocol", "chat"),
        ];
        let offered = ["chat".to_owned()];
        assert!(check(&answer(&sound), KEY, &offered).is_ok());
        assert!(check(&answer(&sound[..3]), KEY, &offered).is_ok());
        for (at, value) in [
            (0, "close"),
            (1, "h2c"),
            (2, "s3pPLMBiTxaQ9kYGzzhZRbK+xOO="),
            (2, ""),
            (3, "other"),
            (3, ""),
        ] {
            let mut fields = sound;
            fields[at].1 = value;
            assert!(check(&answer(&fields), KEY, &offered).is_err(), "{value}");
        }
        let extended = [&sound[..], &[("sec-websocket-extensions", "x")]].concat();
        assert!(check(&answer(&extended), KEY, &offered).is_err());
        let twice = [&sound[..], &[sound[2]]].concat();
        assert!(check(&answer(&twice), KEY, &offered).is_err());
        let mut old = answer(&sound);
        *old.version_mut() = Version::HTTP_10;
        assert!(check(&old, KEY, &offered).is_err());
    }
}
