//! Clients: one that writes bytes as they are given, and hyper's for HTTP/2.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request};
use http_body::{Body, Frame};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore, SupportedCipherSuite, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName};
use sceau::adapter::s3::sigv4::Signer;
use sceau::secret::SecretBytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::site::{Gateway, Site};
use crate::within;

pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
pub type Tls = TlsStream<TcpStream>;
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
pub type Two = SendRequest<BoxBody<Bytes, Failure>>;

pub struct Client {
    pub address: SocketAddr,
    ca: CertificateDer<'static>,
    provider: CryptoProvider,
    signer: Signer,
}

/// How a client does TLS.
pub struct Hello<'a> {
    pub name: &'a str,
    pub protocol: &'a str,
    pub versions: &'a [&'static SupportedProtocolVersion],
}

impl Hello<'_> {
    pub const ONE: Self = Self {
        name: "localhost",
        protocol: "http/1.1",
        versions: &[&rustls::version::TLS13],
    };
    pub const TWO: Self = Self {
        protocol: "h2",
        ..Self::ONE
    };
}

impl Client {
    pub fn new(site: &Site, gateway: &Gateway) -> Self {
        Self::at(site, gateway.address, "EXAMPLE", &site.secret)
    }

    pub fn at(site: &Site, address: SocketAddr, access_key: &str, secret: &str) -> Self {
        let secret = SecretBytes::new(secret.trim_end().as_bytes().to_vec());
        Self {
            address,
            ca: site.ca.clone(),
            provider: aws_lc_rs::default_provider(),
            signer: Signer::new(access_key, secret, "us-east-1"),
        }
    }

    /// With this authority instead.
    pub fn trusting(mut self, ca: CertificateDer<'static>) -> Self {
        self.ca = ca;
        self
    }

    /// With this cipher suite only.
    pub fn with_suite(mut self, suite: SupportedCipherSuite) -> Self {
        self.provider.cipher_suites = vec![suite];
        self
    }

    pub async fn hello(&self, hello: &Hello<'_>) -> std::io::Result<Tls> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(self.provider.clone()))
            .with_protocol_versions(hello.versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![hello.protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(hello.name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
    }

    pub async fn one(&self) -> One {
        let stream = within("the handshake", self.hello(&Hello::ONE)).await;
        One {
            stream: stream.unwrap(),
            rest: Vec::new(),
        }
    }

    pub async fn two(&self) -> Two {
        let stream = within("the handshake", self.hello(&Hello::TWO))
            .await
            .unwrap();
        let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        sender
    }

    pub fn signed(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        payload: &str,
    ) -> Parts {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(format!("https://localhost{path}"));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        self.signer
            .sign(&mut head, payload, SystemTime::now())
            .unwrap();
        head
    }

    /// A signed head as HTTP/1.1 has it.
    pub fn head(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> String {
        text(&self.signed(method, path, fields, UNSIGNED))
    }

    /// A signed PUT's head with its length.
    pub fn put(&self, path: &str, length: usize) -> String {
        self.head("PUT", path, &[("content-length", &length.to_string())])
    }

    /// Stores an object.
    pub async fn store(&self, path: &str, content: &[u8]) {
        let mut one = self.one().await;
        one.send(self.put(path, content.len())).await;
        one.send(content).await;
        let reply = one.reply().await;
        assert_eq!(reply.status, 200, "{}", reply.head);
    }
}

pub fn text(head: &Parts) -> String {
    let target = head.uri.path_and_query().unwrap();
    let mut text = format!("{} {target} HTTP/1.1\r\n", head.method);
    for (name, value) in &head.headers {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    text + "\r\n"
}

/// A request for HTTP/2, where the host stands in the target only.
pub fn request(mut head: Parts, body: BoxBody<Bytes, Failure>) -> Request<BoxBody<Bytes, Failure>> {
    head.headers.remove("host");
    Request::from_parts(head, body)
}

pub fn full(bytes: impl Into<Bytes>) -> BoxBody<Bytes, Failure> {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}

/// A body that is fed by hand; it ends when the sender is dropped.
pub struct Fed(mpsc::Receiver<Result<Bytes, Failure>>);

pub fn fed() -> (mpsc::Sender<Result<Bytes, Failure>>, Fed) {
    let (sender, receiver) = mpsc::channel(4);
    (sender, Fed(receiver))
}

impl Body for Fed {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let polled = self.0.poll_recv(cx);
        polled.map(|next| next.map(|piece| piece.map(Frame::data)))
    }
}

/// One answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// It came to the end that its framing declares.
    pub whole: bool,
}

impl Reply {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A client of HTTP/1.1 that has no opinion about what it sends.
pub struct One {
    pub stream: Tls,
    rest: Vec<u8>,
}

impl One {
    /// A gateway that has closed already is no failure: what it answered is then to be read.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        };
        let _ = within("the gateway reads", sent).await;
    }

    /// The next answer; status 0 when there is none.
    pub async fn reply(&mut self) -> Reply {
        within("an answer", self.read_reply()).await
    }

    async fn read_reply(&mut self) -> Reply {
        let end = loop {
            if let Some(end) = memchr::memmem::find(&self.rest, b"\r\n\r\n") {
                break end + 4;
            }
            if self.stream.read_buf(&mut self.rest).await.unwrap_or(0) == 0 {
                return Reply {
                    status: 0,
                    head: String::from_utf8_lossy(&self.rest).into_owned(),
                    body: Vec::new(),
                    whole: false,
                };
            }
        };
        let head = String::from_utf8(self.rest.drain(..end).collect()).unwrap();
        let mut reply = Reply {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: Vec::new(),
            whole: false,
        };
        assert_eq!(reply.field("transfer-encoding"), None);
        let length = reply
            .field("content-length")
            .map_or(0, |n| n.parse().unwrap());
        while self.rest.len() < length {
            if self.stream.read_buf(&mut self.rest).await.unwrap_or(0) == 0 {
                break;
            }
        }
        let there = self.rest.len().min(length);
        reply.body = self.rest.drain(..there).collect();
        reply.whole = there == length;
        reply
    }

    /// Asserts that the gateway ends the connection without another byte.
    pub async fn closed(&mut self, case: &str) {
        let ended = within("the gateway closes", async {
            self.stream.read_buf(&mut self.rest).await
        });
        let ended = ended.await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{case}: {ended:?}");
        assert_eq!(String::from_utf8_lossy(&self.rest), "", "{case}");
    }
}
