//! Clients: one that speaks the protocol, and one that writes bytes as they are given.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tungstenite::protocol::{CloseFrame, Role};
use tungstenite::{Bytes, Message};

use crate::site::{Gateway, Site};
use crate::within;

type Tls = TlsStream<TcpStream>;

/// The example of RFC 6455.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub async fn tls(site: &Site, address: SocketAddr, protocol: &[u8]) -> Tls {
    let mut roots = RootCertStore::empty();
    roots.add(site.ca.clone()).unwrap();
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    within("the handshake", connector.connect(name, stream))
        .await
        .unwrap()
}

/// A handshake's head; `fields` are lines of their own.
pub fn head(path: &str, fields: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{fields}\r\n"
    )
}

/// Sends bytes; gives the head of what is answered.
pub async fn ask(stream: &mut Tls, request: impl AsRef<[u8]>) -> String {
    stream.write_all(request.as_ref()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match within("an answer", stream.read_u8()).await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

pub struct Client {
    pub socket: WebSocketStream<Tls>,
    pub head: String,
}

impl Client {
    pub async fn open(site: &Site, gateway: &Gateway, path: &str) -> Self {
        Self::open_with(site, gateway, head(path, "")).await
    }

    pub async fn open_with(site: &Site, gateway: &Gateway, request: impl AsRef<[u8]>) -> Self {
        Self::at(site, gateway.address, request).await
    }

    pub async fn at(site: &Site, address: SocketAddr, request: impl AsRef<[u8]>) -> Self {
        let mut stream = tls(site, address, b"http/1.1").await;
        let head = ask(&mut stream, request).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(
            head.to_lowercase()
                .contains(&format!("sec-websocket-accept: {ACCEPT}").to_lowercase())
        );
        let socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        Self { socket, head }
    }

    pub async fn say(&mut self, text: &str) {
        let message = serde_json::json!({"type": "say", "text": text});
        self.send(&message.to_string()).await;
    }

    pub async fn order(&mut self, what: &str) {
        let message = serde_json::json!({"type": "order", "do": what});
        self.send(&message.to_string()).await;
    }

    pub async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Writes bytes past the protocol.
    pub async fn raw(&mut self, bytes: &[u8]) {
        let stream = self.socket.get_mut();
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
    }

    pub async fn next(&mut self) -> Message {
        within("a message", self.socket.next())
            .await
            .expect("a message")
            .unwrap()
    }

    /// The next text's member `text`.
    pub async fn hears(&mut self) -> String {
        let message = self.next().await;
        let value: serde_json::Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        value["text"].as_str().unwrap_or_default().to_owned()
    }

    /// What the gateway says at the end, other messages aside; the connection then ends.
    pub async fn closed(&mut self) -> (u16, String) {
        let frame = loop {
            match self.next().await {
                Message::Close(frame) => break frame,
                Message::Text(_) | Message::Binary(_) => panic!("a message before the end"),
                _ => {}
            }
        };
        let CloseFrame { code, reason } = frame.expect("a code");
        let rest = within("the end", self.socket.next()).await;
        assert!(rest.is_none(), "{rest:?}");
        (code.into(), reason.to_string())
    }
}

/// One frame as clients send them: masked, with a mask of zeros.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = crate::chat::frame(first, payload);
    frame[1] |= 0x80;
    let at = frame.len() - payload.len();
    frame.splice(at..at, [0; 4]);
    frame
}

pub fn ping(payload: &'static [u8]) -> Message {
    Message::Ping(Bytes::from_static(payload))
}
