//! A client of S3: one connection a request, over TLS with one authority pinned, or in clear on loopback. Signs with
//! the digest of every body.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue, RANGE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::adapter::s3::address::{encode_path, encode_query};
use crate::adapter::s3::error::S3Error;
use crate::adapter::s3::sigv4::{Signer, sha256_hex};
use crate::adapter::s3::xml::{self, Malformed};

/// Longest document that is read.
const DOCUMENT_MAX: usize = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the authority's certificate: {0}")]
    Authority(#[from] rustls_pki_types::pem::Error),
    #[error(transparent)]
    Name(#[from] InvalidDnsNameError),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("the request can't be made: {0}")]
    Request(#[from] http::Error),
    #[error("the request can't be signed: {}", .0.code.name)]
    Sign(S3Error),
    #[error("{what} failed: {why}")]
    Failed { what: &'static str, why: String },
    #[error("{}", .0.0)]
    Malformed(Malformed),
}

/// What came back, as far as it came.
#[derive(Debug)]
pub struct Answer {
    /// `None`: the connection was closed before an answer's head.
    pub status: Option<StatusCode>,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Why it broke off before its end.
    pub broken: Option<String>,
}

impl Answer {
    /// S3's code of a refusal.
    pub fn code(&self) -> Option<String> {
        self.named("Code")
    }

    /// The text of an element of an error document.
    fn named(&self, element: &str) -> Option<String> {
        let root = xml::parse(&self.body, DOCUMENT_MAX).ok()?;
        let error = Some(&root).filter(|root| root.name == "Error")?;
        error.text_of(element).map(str::to_owned)
    }

    /// A success that came to its end.
    pub fn is_whole(&self) -> bool {
        self.broken.is_none() && self.status.is_some_and(|status| status.is_success())
    }

    /// The status, S3's code and the gateway's own; or how far it came before it broke off.
    pub fn outcome(&self) -> String {
        let length = self.body.len();
        let stable = self.named("SceauCode");
        let stable = stable
            .map(|stable| format!(" ({stable})"))
            .unwrap_or_default();
        match (self.status, self.code(), &self.broken) {
            (Some(status), Some(code), _) => format!("{} {code}{stable}", status.as_u16()),
            (Some(status), None, None) => format!("{} and {length} bytes", status.as_u16()),
            (_, _, Some(_)) => format!("the connection is broken off after {length} bytes"),
            (None, _, None) => "no answer".to_owned(),
        }
    }

    fn success(self, what: &'static str) -> Result<Self, ClientError> {
        if self.is_whole() {
            return Ok(self);
        }
        let why = self.outcome();
        Err(ClientError::Failed { what, why })
    }
}

/// What is known of an object beside its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Described<'a> {
    pub content_type: &'a str,
    /// A field of user metadata, without `x-amz-meta-`, and its value.
    pub metadata: (&'a str, &'a str),
}

pub struct Client {
    address: SocketAddr,
    /// As the `Host` header has it.
    authority: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    signer: Signer,
}

impl Client {
    /// In clear, for loopback.
    pub fn plain(address: SocketAddr, signer: Signer) -> Self {
        Self {
            address,
            authority: address.to_string(),
            tls: None,
            signer,
        }
    }

    /// TLS 1.3, trusting `authority` (PEM) alone.
    ///
    /// # Errors
    /// The certificate or the host name is malformed.
    pub fn tls(
        address: SocketAddr,
        host: &str,
        authority: &[u8],
        signer: Signer,
    ) -> Result<Self, ClientError> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority)?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(host.to_owned())?;
        Ok(Self {
            address,
            authority: format!("{host}:{}", address.port()),
            tls: Some((TlsConnector::from(Arc::new(config)), name)),
            signer,
        })
    }

    pub async fn create_bucket(&self, bucket: &str) -> Result<(), ClientError> {
        let answer = self
            .send(
                Method::PUT,
                &path(bucket, ""),
                HeaderMap::new(),
                Bytes::new(),
            )
            .await?;
        answer.success("CreateBucket").map(drop)
    }

    pub async fn put(
        &self,
        bucket: &str,
        key: &str,
        described: Described<'_>,
        body: Bytes,
    ) -> Result<(), ClientError> {
        let headers = described.headers()?;
        let answer = self
            .send(Method::PUT, &path(bucket, key), headers, body)
            .await?;
        answer.success("PutObject").map(drop)
    }

    /// A multipart upload in parts of `size` bytes.
    pub async fn put_parts(
        &self,
        bucket: &str,
        key: &str,
        described: Described<'_>,
        body: &Bytes,
        size: usize,
    ) -> Result<(), ClientError> {
        let path = path(bucket, key);
        let created = self
            .send(
                Method::POST,
                &format!("{path}?uploads="),
                described.headers()?,
                Bytes::new(),
            )
            .await?
            .success("CreateMultipartUpload")?;
        let upload =
            xml::initiate_result(&created.body, DOCUMENT_MAX).map_err(ClientError::Malformed)?;
        let mut id = String::new();
        encode_query(&upload, &mut id);
        let mut parts = Vec::new();
        for (number, start) in (1u32..).zip((0..body.len()).step_by(size)) {
            let part = body.slice(start..body.len().min(start + size));
            let target = format!("{path}?partNumber={number}&uploadId={id}");
            let answer = self
                .send(Method::PUT, &target, HeaderMap::new(), part)
                .await?
                .success("UploadPart")?;
            parts.push((number, etag(&answer.headers)));
        }
        let document = xml::complete_document(parts.iter().map(|(n, tag)| (*n, tag.as_str())));
        let target = format!("{path}?uploadId={id}");
        let answer = self
            .send(Method::POST, &target, HeaderMap::new(), document)
            .await?
            .success("CompleteMultipartUpload")?;
        xml::complete_result(&answer.body, DOCUMENT_MAX)
            .map(drop)
            .map_err(ClientError::Malformed)
    }

    /// Whatever is answered, refusals included.
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Answer, ClientError> {
        self.send(
            Method::GET,
            &path(bucket, key),
            HeaderMap::new(),
            Bytes::new(),
        )
        .await
    }

    /// Bytes `first` to `last`, both included.
    pub async fn get_range(
        &self,
        bucket: &str,
        key: &str,
        first: usize,
        last: usize,
    ) -> Result<Answer, ClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, value(&format!("bytes={first}-{last}"))?);
        self.send(Method::GET, &path(bucket, key), headers, Bytes::new())
            .await
    }

    #[cfg(test)]
    pub async fn get_if_match(
        &self,
        bucket: &str,
        key: &str,
        tag: &str,
    ) -> Result<Answer, ClientError> {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::IF_MATCH, value(tag)?);
        self.send(Method::GET, &path(bucket, key), headers, Bytes::new())
            .await
    }

    /// Keys and sizes, as ListObjectsV2 tells them.
    pub async fn list(&self, bucket: &str) -> Result<Vec<(String, u64)>, ClientError> {
        let target = format!("{}?encoding-type=url&list-type=2", path(bucket, ""));
        let answer = self
            .send(Method::GET, &target, HeaderMap::new(), Bytes::new())
            .await?
            .success("ListObjectsV2")?;
        let listing = xml::Listing::parse(answer.body, DOCUMENT_MAX);
        let entries = listing.map_err(ClientError::Malformed)?;
        Ok(entries
            .entries()
            .iter()
            .map(|entry| (entry.key.clone(), entry.size))
            .collect())
    }

    async fn send(
        &self,
        method: Method,
        target: &str,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        headers.insert(HOST, value(&self.authority)?);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        let digest = sha256_hex(&body);
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .body(Full::new(body))?;
        *request.headers_mut() = headers;
        let (mut head, body) = request.into_parts();
        self.signer
            .sign(&mut head, &digest, SystemTime::now())
            .map_err(ClientError::Sign)?;
        let request = Request::from_parts(head, body);
        let stream = TcpStream::connect(self.address).await?;
        match &self.tls {
            Some((connector, name)) => {
                exchange(connector.connect(name.clone(), stream).await?, request).await
            }
            None => exchange(stream, request).await,
        }
    }
}

impl Described<'_> {
    fn headers(&self) -> Result<HeaderMap, ClientError> {
        let (field, text) = self.metadata;
        let name = HeaderName::try_from(format!("x-amz-meta-{field}"));
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, value(self.content_type)?);
        headers.insert(name.map_err(http::Error::from)?, value(text)?);
        Ok(headers)
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, ClientError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let mut answer = Answer {
        status: None,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        broken: None,
    };
    match sender.send_request(request).await {
        Ok(response) => {
            let (head, incoming) = response.into_parts();
            answer.status = Some(head.status);
            answer.headers = head.headers;
            (answer.body, answer.broken) = read(incoming).await;
        }
        Err(error) => answer.broken = Some(error.to_string()),
    }
    driver.abort();
    Ok(answer)
}

/// What came of a body, and why no more.
async fn read(mut incoming: Incoming) -> (Bytes, Option<String>) {
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => body.extend_from_slice(&data),
            Ok(Err(_)) => {}
            Err(error) => return (body.into(), Some(error.to_string())),
        }
    }
    (body.into(), None)
}

fn path(bucket: &str, key: &str) -> String {
    let mut path = format!("/{bucket}");
    if !key.is_empty() {
        path.push('/');
        encode_path(key, &mut path);
    }
    path
}

fn etag(headers: &HeaderMap) -> String {
    headers
        .get(http::header::ETAG)
        .and_then(|tag| tag.to_str().ok())
        .map(|tag| tag.trim_matches('"').to_owned())
        .unwrap_or_default()
}

fn value(text: &str) -> Result<HeaderValue, ClientError> {
    HeaderValue::from_str(text).map_err(|error| ClientError::Request(error.into()))
}
