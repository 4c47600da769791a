//! A signing client that drives the adapter's stages as the proxy does.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use sceau::adapter::s3::S3;
use sceau::adapter::s3::address::encode_query;
use sceau::adapter::s3::settings::{
    Addressing, ConditionalWrites, Credential, Integrity, KeyPair, Settings, UpstreamSettings,
};
use sceau::adapter::s3::sigv4::Signer;
use sceau::adapter::{Adapter, Exchange, RefusedRequest};
use sceau::body::{Chunks, Plain, Released};
use sceau::error::Refusal;
use sceau::policy::Policy;
use sceau::seal::{
    Context, EntropyError, EpochKeys, EpochSecret, EpochShort, Epochs, KeyLookup, LookupError,
    SaltSource,
};
use sceau::secret::{Secret, SecretBytes};
use sceau::state::{
    SessionId, SessionLookup, Settings as StateSettings, Spool, SqliteState, StateError, Vault,
};
use sceau::telemetry::RequestId;

use super::pieces::Pieces;
use super::provider::{self, Provider};

pub const HOST: &str = "s3.example.fr";
pub const ACCESS: &str = "CLIENTACCESS";
pub const SECRET: &[u8] = b"client-secret";
/// 2026-11-24T12:00:00Z
pub const NOW: u64 = 1_795_521_600;

struct OneEpoch(Arc<EpochKeys>);

impl KeyLookup for OneEpoch {
    fn epoch(&self, short: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
        match short == self.0.id.short() {
            true => Ok(self.0.clone()),
            false => Err(LookupError::Unknown),
        }
    }
}

impl Epochs for OneEpoch {
    fn current(&self) -> Result<Arc<EpochKeys>, LookupError> {
        Ok(self.0.clone())
    }
}

struct OneSession;

impl SessionLookup for OneSession {
    fn current(&self) -> Result<(SessionId, Arc<Secret<48>>), StateError> {
        Ok(([1; 16], self.by_id(&[1; 16])?))
    }

    fn by_id(&self, id: &SessionId) -> Result<Arc<Secret<48>>, StateError> {
        match *id == [1; 16] {
            true => Ok(Arc::new(Secret::from_slice(&[5; 48]).unwrap())),
            false => Err(StateError::SessionUnknown),
        }
    }
}

fn random(bytes: &mut [u8]) -> Result<(), EntropyError> {
    getrandom::fill(bytes).map_err(|_| EntropyError)
}

/// What a test changes of the settings.
pub struct Config {
    pub policy: Vec<&'static str>,
    pub integrity: Integrity,
    pub conditional_writes: ConditionalWrites,
    pub etag_md5: bool,
    pub max_put: u64,
    pub max_object: u64,
    pub patience: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: Vec::new(),
            integrity: Integrity::None,
            conditional_writes: ConditionalWrites::Yes,
            etag_md5: false,
            max_put: 5 << 30,
            max_object: 5 << 40,
            patience: Duration::from_secs(60),
        }
    }
}

pub struct Gateway {
    pub provider: Arc<Provider>,
    directory: Arc<tempfile::TempDir>,
    adapter: S3,
    policy: Policy,
    signer: Signer,
    clock: AtomicU64,
}

impl Gateway {
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    pub fn with(config: Config) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        Self::on(Provider::new(now()), directory, &config)
    }

    /// Another process on the same state and provider.
    pub fn twin(&self) -> Self {
        Self::on(
            self.provider.clone(),
            self.directory.clone(),
            &Config::default(),
        )
    }

    /// The same provider, and a state that lost everything.
    pub fn after_loss(&self, config: &Config) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        Self::on(self.provider.clone(), directory, config)
    }

    fn on(provider: Arc<Provider>, directory: Arc<tempfile::TempDir>, config: &Config) -> Self {
        let state = Arc::new(SqliteState::open(directory.path()).unwrap());
        let index = Secret::from_slice(&[9; 48]).unwrap();
        let vault = Vault::new(state, &index, Arc::new(OneSession)).unwrap();
        let spool = Spool::open(&StateSettings::new(directory.path())).unwrap();
        let policy = Policy::new(config.policy.iter().map(|&name| name.into()).collect());
        let epoch = EpochSecret::new(Secret::from_slice(&[3; 48]).unwrap());
        let adapter = S3::new(
            settings(config),
            policy.clone(),
            Arc::new(OneEpoch(Arc::new(epoch.keys()))),
            vault,
            spool,
            provider.clone(),
            SaltSource::new(random).unwrap(),
        )
        .with_patience(config.patience);
        let secret = SecretBytes::new(SECRET.to_vec());
        Self {
            provider,
            directory,
            adapter,
            policy,
            signer: Signer::new(ACCESS, secret, "us-east-1"),
            clock: AtomicU64::new(0),
        }
    }

    pub fn state_directory(&self) -> &Path {
        self.directory.path()
    }

    /// The finished and unfinished spools.
    pub fn spools(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for tenant in std::fs::read_dir(self.directory.path().join("spool")).unwrap() {
            let files = std::fs::read_dir(tenant.unwrap().path()).unwrap();
            found.extend(files.map(|file| file.unwrap().path()));
        }
        found
    }

    /// Rows of the state but ETag aliases, as the database counts them.
    pub fn rows(&self) -> usize {
        let path = self.directory.path().join("state.db");
        let db = rusqlite::Connection::open(path).unwrap();
        let count = "SELECT count(*) FROM state WHERE kind <> 4";
        db.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap() as usize
    }

    pub fn ask<'g>(&'g self, method: &str, target: &str) -> Ask<'g> {
        Ask {
            gateway: self,
            method: Method::from_bytes(method.as_bytes()).unwrap(),
            target: target.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            length: true,
            payload: "UNSIGNED-PAYLOAD",
            broken: false,
            cut: 30_000,
        }
    }

    pub fn get<'g>(&'g self, target: &str) -> Ask<'g> {
        self.ask("GET", target)
    }

    pub fn head<'g>(&'g self, target: &str) -> Ask<'g> {
        self.ask("HEAD", target)
    }

    pub fn put<'g>(&'g self, target: &str, body: impl Into<Bytes>) -> Ask<'g> {
        self.ask("PUT", target).body(body)
    }

    pub fn tick(&self) -> SystemTime {
        now() + Duration::from_millis(self.clock.fetch_add(1, Ordering::Relaxed))
    }

    /// The stages, as the proxy drives them.
    pub async fn exchange(&self, head: Parts, body: Plain, now: SystemTime) -> Answer {
        let method = head.method.clone();
        let path = head.uri.path().to_owned();
        let exchange = Exchange {
            request_id: RequestId(7),
            now,
        };
        let outcome = self.perform(&exchange, head, body).await;
        match outcome {
            Ok(response) => Answer::of(response).await,
            Err(refusal) => {
                // as the proxy logs it
                tracing::info!(code = refusal.code.name, %refusal, cause = ?refusal.cause);
                let asked = RefusedRequest {
                    request_id: RequestId(7),
                    method: &method,
                    path: &path,
                    accept: None,
                };
                let response = self.adapter.refuse(&refusal, &asked);
                let mut answer = Answer::of(response.map(Released::document)).await;
                answer.code = refusal.code.name;
                answer
            }
        }
    }

    async fn perform(
        &self,
        exchange: &Exchange,
        head: Parts,
        body: Plain,
    ) -> Result<http::Response<Released>, Refusal> {
        let operation = self.adapter.classify(&head)?;
        let subject = self.adapter.verify(&operation, &head, exchange.now)?;
        let verdict = self.policy.decide(operation.class);
        self.adapter
            .perform(exchange, verdict, operation, subject, head, body)
            .await
    }

    // multipart uploads, in short

    pub async fn begin(&self, key: &str) -> String {
        let answer = self.ask("POST", &format!("/bucket/{key}?uploads")).send();
        answer.await.ok().element("UploadId")
    }

    /// Uploads a part; gives its tag.
    pub async fn part(&self, key: &str, id: &str, number: u32, body: &[u8]) -> String {
        let target = format!("/bucket/{key}?partNumber={number}&uploadId={id}");
        let answer = self.put(&target, body.to_vec()).send().await.ok();
        answer.header("etag")
    }

    pub fn complete<'g>(&'g self, key: &str, id: &str, parts: &[(u32, String)]) -> Ask<'g> {
        let mut document = String::from("<CompleteMultipartUpload>");
        for (number, tag) in parts {
            let _ = write!(
                document,
                "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
            );
        }
        document.push_str("</CompleteMultipartUpload>");
        self.ask("POST", &format!("/bucket/{key}?uploadId={id}"))
            .body(document)
    }

    /// A whole upload of such parts, in order.
    pub async fn upload(&self, key: &str, parts: &[&[u8]]) -> Answer {
        let id = self.begin(key).await;
        let mut tags = Vec::new();
        for (number, part) in (1..).zip(parts) {
            tags.push((number, self.part(key, &id, number, part).await));
        }
        self.complete(key, &id, &tags).send().await
    }

    pub async fn read(&self, key: &str) -> Vec<u8> {
        self.get(&format!("/bucket/{key}")).send().await.ok().body
    }
}

pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn settings(config: &Config) -> Settings {
    Settings {
        name: "test".into(),
        context: Context::new("ministere", "s3", "default").unwrap(),
        hosts: vec![HOST.into()],
        virtual_host: true,
        regions: vec!["us-east-1".into(), "auto".into()],
        upstream: UpstreamSettings {
            authority: provider::HOST.into(),
            region: provider::REGION.into(),
            addressing: Addressing::Path,
            credential: KeyPair {
                access_key: provider::ACCESS.into(),
                secret_key: provider::secret(),
            },
        },
        credentials: vec![Credential {
            client: KeyPair {
                access_key: ACCESS.into(),
                secret_key: SecretBytes::new(SECRET.to_vec()),
            },
            upstream: None,
        }],
        max_put: config.max_put,
        max_object: config.max_object,
        etag_md5: config.etag_md5,
        integrity: config.integrity,
        conditional_writes: config.conditional_writes,
    }
}

/// A request in the making.
pub struct Ask<'g> {
    gateway: &'g Gateway,
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Bytes,
    length: bool,
    payload: &'static str,
    broken: bool,
    cut: usize,
}

impl Ask<'_> {
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let value = HeaderValue::from_bytes(value.as_ref().as_bytes()).unwrap();
        self.headers.append(name, value);
        self
    }

    pub fn payload(mut self, payload: &'static str) -> Self {
        self.payload = payload;
        self
    }

    /// Pieces of that many bytes.
    pub fn cut(mut self, cut: usize) -> Self {
        self.cut = cut;
        self
    }

    /// The connection breaks off behind the body's bytes.
    pub fn broken(mut self) -> Self {
        self.broken = true;
        self
    }

    pub fn without_length(mut self) -> Self {
        self.length = false;
        self
    }

    /// The request as it is sent.
    pub fn signed(&self, now: SystemTime) -> Parts {
        let mut head = self.unsigned();
        let signer = &self.gateway.signer;
        signer.sign(&mut head, self.payload, now).unwrap();
        head
    }

    pub fn unsigned(&self) -> Parts {
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        if !headers.contains_key("host") {
            headers.insert("host", HeaderValue::from_static(HOST));
        }
        if self.length && (!self.body.is_empty() || self.method == Method::PUT) {
            let length = HeaderValue::from(self.body.len());
            headers.entry("content-length").or_insert(length);
        }
        request.into_parts().0
    }

    /// Head and body, unsigned.
    pub fn raw(&self) -> (Parts, Bytes) {
        (self.unsigned(), self.body.clone())
    }

    fn chunks(&self) -> Chunks {
        match self.broken {
            true => Pieces::broken(self.body.clone(), self.cut),
            false => Pieces::of(self.body.clone(), self.cut),
        }
    }

    pub async fn send(self) -> Answer {
        let now = self.gateway.tick();
        let head = self.signed(now);
        let body = Plain::new(self.chunks());
        self.gateway.exchange(head, body, now).await
    }

    /// Without a signature in the head.
    pub async fn send_unsigned(self) -> Answer {
        let now = self.gateway.tick();
        let body = Plain::new(self.chunks());
        self.gateway.exchange(self.unsigned(), body, now).await
    }

    /// By a presigned URL, as SDKs make it: every `x-amz-*` header goes into the query.
    pub async fn send_presigned(mut self) -> Answer {
        let mut target = self.target.clone();
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str("x-id=Operation");
        for (name, value) in self.headers.clone() {
            let name = name.unwrap();
            if name.as_str().starts_with("x-amz-") {
                let _ = write!(target, "&{name}=");
                encode_query(std::str::from_utf8(value.as_bytes()).unwrap(), &mut target);
                self.headers.remove(&name);
            }
        }
        let now = self.gateway.tick();
        self.target = presign(&self.method, &target, now);
        let body = Plain::new(self.chunks());
        self.gateway.exchange(self.unsigned(), body, now).await
    }
}

/// Signs by hand: the library presigns nothing.
fn presign(method: &Method, target: &str, now: SystemTime) -> String {
    use sceau::adapter::s3::sigv4::{SigningKey, sha256_hex};
    let date = sceau::adapter::s3::time::basic(now);
    let scope = format!("{}/us-east-1/s3/aws4_request", &date[..8]);
    let target = format!(
        "{target}&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={ACCESS}%2F{}&X-Amz-Date={date}&X-Amz-Expires=60&X-Amz-SignedHeaders=host",
        scope.replace('/', "%2F")
    );
    let (path, query) = target.split_once('?').unwrap();
    let query = sceau::adapter::s3::query::Query::parse(Some(query)).unwrap();
    let request = format!(
        "{method}\n{path}\n{}\nhost:{HOST}\n\nhost\nUNSIGNED-PAYLOAD",
        query.canonical(None)
    );
    let text = format!(
        "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
        sha256_hex(request.as_bytes())
    );
    let secret = SecretBytes::new(SECRET.to_vec());
    let signature = SigningKey::derive(&secret, &date[..8], "us-east-1").sign(text.as_bytes());
    format!("{target}&X-Amz-Signature={signature}")
}

/// The answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Whether the body broke off.
    pub broken: bool,
    /// The gateway's own code of a refusal.
    pub code: &'static str,
}

impl Answer {
    async fn of(response: http::Response<Released>) -> Self {
        let (head, mut stream) = response.into_parts();
        let (mut body, mut broken) = (Vec::new(), false);
        while let Some(frame) = stream.frame().await {
            match frame {
                Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(_) => {
                    broken = true;
                    break;
                }
            }
        }
        Self {
            status: head.status,
            headers: head.headers,
            body,
            broken,
            code: "",
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The answer, which must be a success.
    pub fn ok(self) -> Self {
        let good = self.status.is_success() && !self.broken;
        assert!(good, "{} {}: {}", self.status, self.code, self.text());
        self
    }

    /// Status and S3's code of a refusal.
    pub fn refused(&self) -> (u16, String) {
        assert!(!self.status.is_success(), "not refused: {}", self.text());
        let code = self.body.is_empty().then(String::new);
        let code = code.unwrap_or_else(|| self.element("Code"));
        (self.status.as_u16(), code)
    }

    pub fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default().to_owned()
    }

    /// The text of the first element of that name.
    pub fn element(&self, name: &str) -> String {
        self.elements(name).into_iter().next().unwrap_or_default()
    }

    pub fn elements(&self, name: &str) -> Vec<String> {
        let text = self.text();
        let mut found = Vec::new();
        for piece in text.split(&format!("<{name}>")).skip(1) {
            let inner = piece.split(&format!("</{name}>")).next().unwrap();
            found.push(inner.replace("&quot;", "\"").replace("&amp;", "&"));
        }
        found
    }
}

/// Content that repeats nowhere.
pub fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(length);
    out
}
