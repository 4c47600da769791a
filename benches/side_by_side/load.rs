//! The client of the measure: keep-alive connections over TLS 1.3, requests signed with SigV4 (`UNSIGNED-PAYLOAD`) unless
//! the service has no signatures, every byte received compared with the pattern that was sent. One JSON line on standard
//! output.

use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use aws_lc_rs::{digest, hmac};
use bytes::Bytes;
use clap::{Parser, ValueEnum};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST, RANGE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs as provider;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use time::macros::format_description;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type Failure = Box<dyn Error + Send + Sync>;

/// A prime near 1 MiB, so that the pattern repeats at no boundary that anything else knows.
const PERIOD: usize = 1_048_573;
const CHUNK: usize = 256 << 10;

#[derive(Clone, Copy, ValueEnum)]
enum Operation {
    Put,
    Get,
    Multipart,
    Range,
    /// A chat message: a JSON document that is posted
    Message,
    /// An upload session of a drive
    Session,
    /// What one put there
    Download,
    Idle,
}

#[derive(Parser)]
struct Arguments {
    operation: Operation,
    #[arg(long)]
    port: u16,
    #[arg(long)]
    ca: PathBuf,
    /// The name that the server is called by
    #[arg(long, default_value = "localhost")]
    host: String,
    /// Requests without a signature
    #[arg(long)]
    unsigned: bool,
    #[arg(long, default_value = "bench")]
    bucket: String,
    /// The objects are KEY-0, KEY-1, ...
    #[arg(long)]
    key: String,
    /// How many different objects
    #[arg(long, default_value_t = 1)]
    keys: u64,
    /// Bytes of an object
    #[arg(long, default_value_t = 4096)]
    size: u64,
    /// Bytes of a range, of a part, or of a session's fragment
    #[arg(long, default_value_t = 65_536)]
    length: u64,
    /// Requests (objects, for multipart and sessions) in all
    #[arg(long, default_value_t = 1)]
    count: u64,
    #[arg(long, default_value_t = 1)]
    connections: u64,
    #[arg(long, default_value = "BENCH")]
    access_key: String,
    #[arg(long)]
    secret_key_file: PathBuf,
    #[arg(long, default_value = "us-east-1")]
    region: String,
}

struct Pattern(Bytes);

impl Pattern {
    fn new() -> Self {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut bytes = Vec::with_capacity(PERIOD + CHUNK + 8);
        while bytes.len() < PERIOD {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        bytes.truncate(PERIOD);
        bytes.extend_from_within(..CHUNK);
        Self(bytes.into())
    }

    /// What object `seed` holds from `at` on: at least one byte, at most `most` and `CHUNK`.
    fn slice(&self, seed: u64, at: u64, most: u64) -> Bytes {
        let start = ((seed.wrapping_mul(7919) % PERIOD as u64 + at) % PERIOD as u64) as usize;
        self.0.slice(start..start + most.min(CHUNK as u64) as usize)
    }

    fn holds(&self, seed: u64, mut at: u64, mut data: &[u8]) -> bool {
        while !data.is_empty() {
            let expected = self.slice(seed, at, data.len() as u64);
            let (now, later) = data.split_at(expected.len());
            if now != expected {
                return false;
            }
            at += now.len() as u64;
            data = later;
        }
        true
    }
}

/// What is sent: a stretch of the pattern, or a document.
enum Outgoing {
    Document(Option<Bytes>),
    Pattern {
        pattern: Arc<Pattern>,
        seed: u64,
        at: u64,
        end: u64,
    },
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        Poll::Ready(match &mut *self {
            Self::Document(document) => document.take().map(|bytes| Ok(Frame::data(bytes))),
            Self::Pattern { at, end, .. } if at == end => None,
            Self::Pattern {
                pattern,
                seed,
                at,
                end,
            } => {
                let bytes = pattern.slice(*seed, *at, *end - *at);
                *at += bytes.len() as u64;
                Some(Ok(Frame::data(bytes)))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Document(document) => document.is_none(),
            Self::Pattern { at, end, .. } => at == end,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Document(document) => document.as_ref().map_or(0, |bytes| bytes.len() as u64),
            Self::Pattern { at, end, .. } => end - at,
        })
    }
}

/// Signature Version 4 over `host`, `x-amz-content-sha256` and `x-amz-date`, the payload unsigned.
struct Signer {
    access_key: String,
    scope: String,
    date: String,
    key: hmac::Key,
    host: String,
    unsigned: bool,
}

impl Signer {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let secret = std::fs::read_to_string(&arguments.secret_key_file)?;
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        let date = time::OffsetDateTime::now_utc().format(&format)?;
        let day = &date[..8];
        let step = |key: &[u8], text: &str| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
        };
        let mut key = step(format!("AWS4{}", secret.trim_end()).as_bytes(), day);
        for text in [arguments.region.as_str(), "s3", "aws4_request"] {
            key = step(key.as_ref(), text);
        }
        Ok(Self {
            access_key: arguments.access_key.clone(),
            scope: format!("{day}/{}/s3/aws4_request", arguments.region),
            key: hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()),
            host: format!("{}:{}", arguments.host, arguments.port),
            unsigned: arguments.unsigned,
            date,
        })
    }

    /// `query` is already in canonical form.
    fn request(
        &self,
        method: Method,
        path: &str,
        query: &str,
        range: Option<(u64, u64)>,
        body: Outgoing,
    ) -> Result<Request<Outgoing>, Failure> {
        let mut request = Request::builder().method(&method).uri(match query {
            "" => path.to_owned(),
            _ => format!("{path}?{query}"),
        });
        request = request.header(HOST, &self.host);
        if let Some((from, to)) = range {
            request = request.header(RANGE, format!("bytes={from}-{to}"));
        }
        if self.unsigned {
            return Ok(request.body(body)?);
        }
        const SIGNED: &str = "host;x-amz-content-sha256;x-amz-date";
        let (host, date, scope) = (&self.host, &self.date, &self.scope);
        let canonical = format!(
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\n\
             x-amz-date:{date}\n\n{SIGNED}\nUNSIGNED-PAYLOAD"
        );
        let hashed = hex::encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}");
        let signature = hex::encode(hmac::sign(&self.key, text.as_bytes()));
        request = request
            .header("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
            .header("x-amz-date", date)
            .header(
                AUTHORIZATION,
                format!(
                    "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={SIGNED}, Signature={signature}",
                    self.access_key
                ),
            );
        Ok(request.body(body)?)
    }
}

struct Run {
    arguments: Arguments,
    pattern: Arc<Pattern>,
    signer: Signer,
    tls: TlsConnector,
    next: AtomicU64,
}

type Connection = SendRequest<Outgoing>;

impl Run {
    async fn connect(&self) -> Result<Connection, Failure> {
        let stream = TcpStream::connect(("127.0.0.1", self.arguments.port)).await?;
        stream.set_nodelay(true)?;
        let stream = self
            .tls
            .connect(ServerName::try_from(self.arguments.host.clone())?, stream)
            .await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn path(&self, seed: u64) -> String {
        format!("/{}/{}-{seed}", self.arguments.bucket, self.arguments.key)
    }

    /// Of a file in a drive.
    fn name(&self, seed: u64) -> String {
        format!("{}-{}-{seed}", self.arguments.bucket, self.arguments.key)
    }

    fn stretch(&self, seed: u64, at: u64, end: u64) -> Outgoing {
        Outgoing::Pattern {
            pattern: self.pattern.clone(),
            seed,
            at,
            end,
        }
    }

    async fn send(
        &self,
        connection: &mut Connection,
        request: Request<Outgoing>,
        expected: StatusCode,
    ) -> Result<http::Response<Incoming>, Failure> {
        connection.ready().await?;
        let what = format!("{} {}", request.method(), request.uri());
        let answer = connection.send_request(request).await?;
        if answer.status() == expected {
            return Ok(answer);
        }
        let status = answer.status();
        let document = answer.into_body().collect().await?.to_bytes();
        let document = String::from_utf8_lossy(&document);
        Err(format!("{what}: {status}\n{document}").into())
    }

    async fn text(&self, answer: http::Response<Incoming>) -> Result<String, Failure> {
        let bytes = answer.into_body().collect().await?.to_bytes();
        Ok(String::from_utf8(bytes.to_vec())?)
    }

    async fn put(&self, connection: &mut Connection, seed: u64) -> Result<u64, Failure> {
        let size = self.arguments.size;
        let body = self.stretch(seed, 0, size);
        let request = self
            .signer
            .request(Method::PUT, &self.path(seed), "", None, body)?;
        let answer = self.send(connection, request, StatusCode::OK).await?;
        self.text(answer).await?;
        Ok(size)
    }

    /// The object, or a stretch of it.
    async fn get(
        &self,
        connection: &mut Connection,
        seed: u64,
        range: Option<(u64, u64)>,
    ) -> Result<u64, Failure> {
        let (expected, (from, to)) = match range {
            Some(range) => (StatusCode::PARTIAL_CONTENT, range),
            None => (StatusCode::OK, (0, self.arguments.size - 1)),
        };
        let body = Outgoing::Document(None);
        let (path, query) = match self.arguments.operation {
            Operation::Download => (
                "/_layouts/15/download.aspx".to_owned(),
                format!("UniqueId={}", self.name(seed)),
            ),
            _ => (self.path(seed), String::new()),
        };
        let request = self
            .signer
            .request(Method::GET, &path, &query, range, body)?;
        let answer = self.send(connection, request, expected).await?;
        let length = to - from + 1;
        let declared = answer.headers().get(CONTENT_LENGTH);
        if declared.and_then(|value| value.to_str().ok()?.parse().ok()) != Some(length) {
            return Err(format!("expected {length} bytes, declared {declared:?}").into());
        }
        let mut body = answer.into_body();
        let mut at = from;
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                if !self.pattern.holds(seed, at, &data) {
                    return Err(format!("object {seed} differs after byte {at}").into());
                }
                at += data.len() as u64;
            }
        }
        match at - from == length {
            true => Ok(length),
            false => Err(format!("{} of {length} bytes came", at - from).into()),
        }
    }

    /// One of many messages of a chat.
    async fn message(&self, connection: &mut Connection, seed: u64) -> Result<u64, Failure> {
        let text = "La réunion de demain est avancée à 9 h 30, salle 114. ".repeat(4);
        let document = format!("{{\"kind\":\"chat\",\"reply_to\":{seed},\"text\":\"{text}\"}}");
        let length = document.len() as u64;
        let path = format!("/{}/messages", self.arguments.bucket);
        let body = Outgoing::Document(Some(document.into()));
        let mut request = self.signer.request(Method::POST, &path, "", None, body)?;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        let answer = self.send(connection, request, StatusCode::CREATED).await?;
        self.text(answer).await?;
        Ok(length)
    }

    async fn multipart(&self, connection: &mut Connection, seed: u64) -> Result<u64, Failure> {
        let (size, part) = (self.arguments.size, self.arguments.length);
        let path = self.path(seed);
        let empty = || Outgoing::Document(None);
        let request = self
            .signer
            .request(Method::POST, &path, "uploads=", None, empty())?;
        let answer = self.send(connection, request, StatusCode::OK).await?;
        let document = self.text(answer).await?;
        let id = document
            .split("<UploadId>")
            .nth(1)
            .and_then(|rest| rest.split('<').next())
            .ok_or("no upload id")?
            .to_owned();
        let id = percent_encoding::utf8_percent_encode(&id, UNRESERVED).to_string();
        let mut completion = String::from("<CompleteMultipartUpload>");
        for (number, at) in (1..).zip((0..size).step_by(part as usize)) {
            let body = self.stretch(seed, at, (at + part).min(size));
            let query = format!("partNumber={number}&uploadId={id}");
            let request = self
                .signer
                .request(Method::PUT, &path, &query, None, body)?;
            let answer = self.send(connection, request, StatusCode::OK).await?;
            let etag = answer.headers().get("etag").ok_or("no etag")?.to_str()?;
            completion.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
            ));
            self.text(answer).await?;
        }
        completion.push_str("</CompleteMultipartUpload>");
        let body = Outgoing::Document(Some(completion.into()));
        let query = format!("uploadId={id}");
        let request = self
            .signer
            .request(Method::POST, &path, &query, None, body)?;
        let answer = self.send(connection, request, StatusCode::OK).await?;
        let document = self.text(answer).await?;
        match document.contains("<CompleteMultipartUploadResult") {
            true => Ok(size),
            false => Err(document.into()),
        }
    }

    async fn session(&self, connection: &mut Connection, seed: u64) -> Result<u64, Failure> {
        let (size, length) = (self.arguments.size, self.arguments.length);
        let path = format!(
            "/_api/v2.0/me/drive/root:/{}:/createUploadSession",
            self.name(seed)
        );
        let body = Outgoing::Document(None);
        let request = self.signer.request(Method::POST, &path, "", None, body)?;
        let answer = self.send(connection, request, StatusCode::OK).await?;
        let document: serde_json::Value = serde_json::from_str(&self.text(answer).await?)?;
        let url = document["uploadUrl"].as_str().ok_or("no session")?;
        let at = url.find("/_api").ok_or("no session of the drive API")?;
        let (path, query) = url[at..].split_once('?').unwrap_or_default();
        for at in (0..size).step_by(length as usize) {
            let end = (at + length).min(size);
            let body = self.stretch(seed, at, end);
            let mut request = self.signer.request(Method::PUT, path, query, None, body)?;
            let range = HeaderValue::from_str(&format!("bytes {at}-{}/{size}", end - 1))?;
            request.headers_mut().insert(CONTENT_RANGE, range);
            let expected = match end == size {
                true => StatusCode::CREATED,
                false => StatusCode::ACCEPTED,
            };
            let answer = self.send(connection, request, expected).await?;
            let document = self.text(answer).await?;
            if end == size && !document.contains(&format!("\"size\":{size}")) {
                return Err(document.into());
            }
        }
        Ok(size)
    }

    async fn worker(self: Arc<Self>) -> Result<(u64, Vec<Duration>), Failure> {
        let mut connection = self.connect().await?;
        let (mut bytes, mut taken) = (0, Vec::new());
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.arguments.count {
                return Ok((bytes, taken));
            }
            let seed = number % self.arguments.keys;
            let begun = Instant::now();
            bytes += match self.arguments.operation {
                Operation::Put => self.put(&mut connection, seed).await?,
                Operation::Get | Operation::Download | Operation::Idle => {
                    self.get(&mut connection, seed, None).await?
                }
                Operation::Message => self.message(&mut connection, number).await?,
                Operation::Multipart => self.multipart(&mut connection, seed).await?,
                Operation::Session => self.session(&mut connection, seed).await?,
                Operation::Range => {
                    state = state
                        .wrapping_add(number)
                        .wrapping_mul(0x5851_F42D_4C95_7F2D)
                        ^ (state >> 29);
                    let last = self.arguments.size - self.arguments.length;
                    let from = ((state >> 11) % last) | 1;
                    let range = (from, from + self.arguments.length - 1);
                    self.get(&mut connection, seed, Some(range)).await?
                }
            };
            taken.push(begun.elapsed());
        }
    }

    /// Opens the connections, makes one request on each, and holds them until a line comes on standard input.
    async fn idle(&self) -> Result<(), Failure> {
        let mut held = Vec::new();
        for _ in 0..self.arguments.connections {
            let mut connection = self.connect().await?;
            self.get(&mut connection, 0, None).await?;
            held.push(connection);
        }
        println!("{{\"connections\": {}}}", held.len());
        std::io::stdout().flush()?;
        tokio::task::spawn_blocking(|| std::io::stdin().lock().read_line(&mut String::new()))
            .await??;
        match held
            .iter()
            .filter(|connection| connection.is_closed())
            .count()
        {
            0 => Ok(()),
            closed => Err(format!("{closed} connections were closed meanwhile").into()),
        }
    }
}

const UNRESERVED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let mut suite = provider::default_provider();
    suite.cipher_suites = vec![provider::cipher_suite::TLS13_AES_256_GCM_SHA384];
    suite.kx_groups = vec![provider::kx_group::X25519];
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&arguments.ca)? {
        roots.add(certificate?)?;
    }
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(suite))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let run = Arc::new(Run {
        signer: Signer::new(&arguments)?,
        pattern: Arc::new(Pattern::new()),
        tls: TlsConnector::from(Arc::new(tls)),
        next: AtomicU64::new(0),
        arguments,
    });
    if matches!(run.arguments.operation, Operation::Idle) {
        return run.idle().await;
    }
    let begun = Instant::now();
    let workers: Vec<_> = (0..run.arguments.connections)
        .map(|_| tokio::spawn(run.clone().worker()))
        .collect();
    let (mut bytes, mut taken) = (0, Vec::new());
    for worker in workers {
        let (more, times) = worker.await??;
        bytes += more;
        taken.extend(times);
    }
    let seconds = begun.elapsed().as_secs_f64();
    taken.sort_unstable();
    let at = |share: f64| {
        let index = ((taken.len() as f64 * share) as usize).min(taken.len().saturating_sub(1));
        taken
            .get(index)
            .map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    let (p50, p99) = (at(0.5), at(0.99));
    println!(
        "{{\"requests\": {}, \"bytes\": {bytes}, \"seconds\": {seconds:.4}, \"p50_ms\": {p50:.3}, \"p99_ms\": {p99:.3}}}",
        taken.len()
    );
    Ok(())
}
