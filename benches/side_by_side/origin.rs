//! The store at the end of the measured path: objects in memory, as much of S3, WebDAV, a chat and a drive as the
//! measure needs, no signatures checked.
//!
//! `origin ADDRESS:PORT CHAIN KEY DIRECTORY`; bodies above 128 MiB lie in unlinked files of the directory.

mod drive;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::error::Error;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

type Failure = Box<dyn Error + Send + Sync>;

const IN_MEMORY: u64 = 128 << 20;
const READ: u64 = 256 << 10;

enum Piece {
    Memory(Bytes),
    File(File, u64),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(_, length) => *length,
        }
    }

    fn read(&self, at: u64, most: u64) -> std::io::Result<Bytes> {
        let count = (self.len() - at).min(most).min(READ) as usize;
        match self {
            Self::Memory(bytes) => Ok(bytes.slice(at as usize..at as usize + count)),
            Self::File(file, _) => {
                let mut buffer = vec![0; count];
                file.read_exact_at(&mut buffer, at)?;
                Ok(buffer.into())
            }
        }
    }
}

struct Object {
    pieces: Vec<Arc<Piece>>,
    etag: String,
    kept: HeaderMap,
}

impl Object {
    fn len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }

    fn read(&self, mut at: u64, most: u64) -> std::io::Result<Bytes> {
        for piece in &self.pieces {
            if at < piece.len() {
                return piece.read(at, most);
            }
            at -= piece.len();
        }
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

struct Upload {
    kept: HeaderMap,
    parts: BTreeMap<u32, (Arc<Piece>, String)>,
}

/// An answer's body: a slice of an object, or a text.
enum Answer {
    Text(Option<Bytes>),
    Slice {
        object: Arc<Object>,
        at: u64,
        end: u64,
    },
}

impl Body for Answer {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(match &mut *self {
            Self::Text(text) => text.take().map(|text| Ok(Frame::data(text))),
            Self::Slice { at, end, .. } if at == end => None,
            Self::Slice { object, at, end } => Some(object.read(*at, *end - *at).map(|bytes| {
                *at += bytes.len() as u64;
                Frame::data(bytes)
            })),
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_none(),
            Self::Slice { at, end, .. } => at == end,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Text(text) => text.as_ref().map_or(0, |text| text.len() as u64),
            Self::Slice { at, end, .. } => end - at,
        })
    }
}

struct Store {
    directory: PathBuf,
    counter: AtomicU64,
    objects: Mutex<HashMap<String, Arc<Object>>>,
    uploads: Mutex<HashMap<String, Upload>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Answer> {
    let text = text.into();
    let mut answer = Response::new(Answer::Text((!text.is_empty()).then_some(text)));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}

fn refuse(status: StatusCode, code: &str) -> Response<Answer> {
    text(
        status,
        format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>"),
    )
}

/// The value of a query key; an empty string when it has none.
fn query<'a>(query: &'a str, key: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == key).then_some(value)
    })
}

/// First and last byte, inclusive.
fn range(value: &str, length: u64) -> Option<(u64, u64)> {
    let (from, to) = value.strip_prefix("bytes=")?.split_once('-')?;
    if from.is_empty() {
        let suffix = to.parse::<u64>().ok()?;
        return (suffix > 0 && length > 0).then(|| (length.saturating_sub(suffix), length - 1));
    }
    let from = from.parse::<u64>().ok()?;
    let to = if to.is_empty() {
        length.checked_sub(1)?
    } else {
        to.parse::<u64>().ok()?.min(length.checked_sub(1)?)
    };
    (from <= to).then_some((from, to))
}

fn kept(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-amz-meta-") || *name == CONTENT_TYPE)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

impl Store {
    fn next(&self) -> String {
        format!("{:032x}", self.counter.fetch_add(1, Ordering::Relaxed))
    }

    async fn receive(&self, headers: &HeaderMap, mut body: Incoming) -> Result<Piece, Failure> {
        let length: u64 = headers
            .get(CONTENT_LENGTH)
            .ok_or("no length")?
            .to_str()?
            .parse()?;
        if length <= IN_MEMORY {
            let mut buffer = Vec::with_capacity(length as usize);
            while let Some(frame) = body.frame().await {
                if let Ok(data) = frame?.into_data() {
                    buffer.extend_from_slice(&data);
                }
            }
            return match buffer.len() as u64 == length {
                true => Ok(Piece::Memory(buffer.into())),
                false => Err("short body".into()),
            };
        }
        let file = tempfile::tempfile_in(&self.directory)?;
        let mut at = 0;
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                file.write_all_at(&data, at)?;
                at += data.len() as u64;
            }
        }
        match at == length {
            true => Ok(Piece::File(file, length)),
            false => Err("short body".into()),
        }
    }

    async fn put(&self, request: Request<Incoming>) -> Result<Response<Answer>, Failure> {
        let (head, body) = request.into_parts();
        let pairs = head.uri.query().unwrap_or_default();
        let piece = Arc::new(self.receive(&head.headers, body).await?);
        let etag = self.next();
        let shown = HeaderValue::from_str(&format!("\"{etag}\""))?;
        if let Some(id) = query(pairs, "uploadId") {
            let number = query(pairs, "partNumber")
                .ok_or("no part number")?
                .parse()?;
            match lock(&self.uploads).get_mut(id) {
                Some(upload) => upload.parts.insert(number, (piece, etag)),
                None => return Ok(refuse(StatusCode::NOT_FOUND, "NoSuchUpload")),
            };
        } else {
            let object = Object {
                pieces: vec![piece],
                etag,
                kept: kept(&head.headers),
            };
            lock(&self.objects).insert(head.uri.path().to_owned(), Arc::new(object));
        }
        let mut answer = text(StatusCode::OK, "");
        answer.headers_mut().insert(ETAG, shown);
        Ok(answer)
    }

    fn get(&self, path: &str, asked: &HeaderMap) -> Result<Response<Answer>, Failure> {
        let Some(object) = lock(&self.objects).get(path).cloned() else {
            return Ok(match path.trim_matches('/').contains('/') {
                true => refuse(StatusCode::NOT_FOUND, "NoSuchKey"),
                false => text(
                    StatusCode::OK,
                    "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
                ),
            });
        };
        let length = object.len();
        let mut status = StatusCode::OK;
        let (mut at, mut end) = (0, length);
        let mut headers = object.kept.clone();
        if let Some(wanted) = asked.get(RANGE) {
            let Some((from, to)) = range(wanted.to_str()?, length) else {
                return Ok(refuse(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"));
            };
            (at, end) = (from, to + 1);
            status = StatusCode::PARTIAL_CONTENT;
            headers.insert(
                CONTENT_RANGE,
                HeaderValue::from_str(&format!("bytes {from}-{to}/{length}"))?,
            );
        }
        headers.insert(
            ETAG,
            HeaderValue::from_str(&format!("\"{}\"", object.etag))?,
        );
        headers.insert(
            "last-modified",
            HeaderValue::from_static("Mon, 02 Nov 2026 10:00:00 GMT"),
        );
        headers.insert("accept-ranges", HeaderValue::from_static("bytes"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(end - at));
        let mut answer = Response::new(Answer::Slice { object, at, end });
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    async fn post(&self, request: Request<Incoming>) -> Result<Response<Answer>, Failure> {
        let (head, body) = request.into_parts();
        let pairs = head.uri.query().unwrap_or_default();
        let document = body.collect().await?.to_bytes();
        if head.uri.path().ends_with("/messages") {
            let mut answer = text(StatusCode::CREATED, "{\"id\":1}");
            let json = HeaderValue::from_static("application/json");
            answer.headers_mut().insert(CONTENT_TYPE, json);
            return Ok(answer);
        }
        if query(pairs, "uploads").is_some() {
            let id = self.next();
            let upload = Upload {
                kept: kept(&head.headers),
                parts: BTreeMap::new(),
            };
            lock(&self.uploads).insert(id.clone(), upload);
            let (bucket, key) = head
                .uri
                .path()
                .trim_start_matches('/')
                .split_once('/')
                .unwrap_or_default();
            return Ok(text(
                StatusCode::OK,
                format!(
                    "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key>\
                     <UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                ),
            ));
        }
        let Some(upload) = query(pairs, "uploadId").and_then(|id| lock(&self.uploads).remove(id))
        else {
            return Ok(refuse(StatusCode::NOT_FOUND, "NoSuchUpload"));
        };
        let document = std::str::from_utf8(&document)?;
        let named: Vec<u32> = document
            .split("<PartNumber>")
            .skip(1)
            .filter_map(|rest| rest.split('<').next()?.trim().parse().ok())
            .collect();
        let pieces: Option<Vec<_>> = named
            .iter()
            .map(|number| upload.parts.get(number).map(|(piece, _)| piece.clone()))
            .collect();
        let Some(pieces) = pieces.filter(|pieces| !pieces.is_empty()) else {
            return Ok(refuse(StatusCode::BAD_REQUEST, "InvalidPart"));
        };
        let etag = format!("{}-{}", self.next(), pieces.len());
        let answer = format!(
            "<CompleteMultipartUploadResult><ETag>\"{etag}\"</ETag></CompleteMultipartUploadResult>"
        );
        let object = Object {
            pieces,
            etag,
            kept: upload.kept,
        };
        lock(&self.objects).insert(head.uri.path().to_owned(), Arc::new(object));
        Ok(text(StatusCode::OK, answer))
    }

    fn delete(&self, request: &Request<Incoming>) -> Response<Answer> {
        let pairs = request.uri().query().unwrap_or_default();
        match query(pairs, "uploadId") {
            Some(id) => drop(lock(&self.uploads).remove(id)),
            None => drop(lock(&self.objects).remove(request.uri().path())),
        }
        text(StatusCode::NO_CONTENT, "")
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        let answered = match *request.method() {
            _ if drive::is(request.uri().path()) => drive::answer(self, request).await,
            Method::PUT => self.put(request).await,
            Method::GET | Method::HEAD => self.get(request.uri().path(), request.headers()),
            Method::POST => self.post(request).await,
            Method::DELETE => Ok(self.delete(&request)),
            _ => Ok(refuse(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed")),
        };
        answered.unwrap_or_else(|error| {
            eprintln!("origin: {error}");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")
        })
    }
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, store: Arc<Store>) -> Result<(), Failure> {
    stream.set_nodelay(true)?;
    let stream = tls.accept(stream).await?;
    let service = service_fn(move |request| {
        let store = store.clone();
        async move { Ok::<_, Infallible>(store.answer(request).await) }
    });
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, chain, key, directory] = arguments.as_slice() else {
        return Err("origin ADDRESS:PORT CHAIN KEY DIRECTORY".into());
    };
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384];
    let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<Vec<_>, _>>()?;
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    let tls = TlsAcceptor::from(Arc::new(tls));
    let store = Arc::new(Store {
        directory: directory.into(),
        counter: AtomicU64::new(1),
        objects: Mutex::default(),
        uploads: Mutex::default(),
    });
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (tls, store) = (tls.clone(), store.clone());
        tokio::spawn(async move {
            if let Err(error) = serve(stream, tls, store).await
                && std::env::var_os("ORIGIN_VERBOSE").is_some()
            {
                eprintln!("origin: {error}");
            }
        });
    }
}
