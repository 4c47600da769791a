//! Stands in the provider's place: keeps every byte it is sent, and does what a test tells it.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A connection, with or without TLS.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// What becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Keep,
    /// Orderly: over TLS with close_notify.
    Close,
    /// Over TLS without close_notify.
    Break,
    /// It stays open and nobody reads it any more.
    Stall,
}

/// What the recorder does with one request.
#[derive(Debug, Clone)]
pub enum Act {
    /// As a store.
    Serve,
    /// After so many bytes of the body (`None`: all), these bytes are the answer.
    Answer(Option<usize>, String, Then),
    /// The stored object, but only so many bytes of its body.
    Cut(usize, Then),
    /// The stored object, one bit flipped there.
    Flip(usize),
}

/// A request as it came in.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub head: String,
    pub body: Vec<u8>,
    /// The body came to the end that its framing declares.
    pub whole: bool,
    /// Nothing more can come.
    pub over: bool,
}

impl Seen {
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

struct Stored {
    fields: Vec<String>,
    body: Vec<u8>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    acts: Mutex<VecDeque<Act>>,
    objects: Mutex<HashMap<String, Stored>>,
    connections: Mutex<usize>,
}

pub struct Recorder {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Recorder {
    pub async fn start() -> Self {
        Self::listen(None).await
    }

    pub async fn with_tls(config: rustls::ServerConfig) -> Self {
        Self::listen(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        let serving = shared.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(connection(stream, tls.clone(), serving.clone()));
            }
        });
        Self {
            address,
            shared,
            task,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What is done with the next requests, in order; afterwards the recorder is a store again.
    pub fn next(&self, acts: impl IntoIterator<Item = Act>) {
        self.shared.acts.lock().unwrap().extend(acts);
    }

    /// A store again at once.
    pub fn forget_acts(&self) {
        self.shared.acts.lock().unwrap().clear();
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        *self.shared.connections.lock().unwrap()
    }

    /// The sealed bytes of an object, when one is stored.
    pub fn stored(&self, path: &str) -> Option<Vec<u8>> {
        let objects = self.shared.objects.lock().unwrap();
        objects.get(path).map(|stored| stored.body.clone())
    }

    /// Waits until the request with this number, from 0, is over; gives it.
    pub async fn over(&self, number: usize) -> Seen {
        crate::until("the recorder's request is over", || {
            self.seen().get(number).is_some_and(|seen| seen.over)
        })
        .await;
        self.seen()[number].clone()
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    *shared.connections.lock().unwrap() += 1;
    stream.set_nodelay(true).unwrap();
    match tls {
        None => serve(stream, &shared).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                serve(stream, &shared).await;
            }
        }
    }
}

/// One connection's requests, one after the other.
async fn serve<W: Wire>(mut wire: W, shared: &Shared) {
    let mut rest = Vec::new();
    while let Some(head) = head(&mut wire, &mut rest).await {
        let number = {
            let mut seen = shared.seen.lock().unwrap();
            seen.push(Seen {
                head,
                ..Seen::default()
            });
            seen.len() - 1
        };
        let act = shared
            .acts
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Act::Serve);
        let then = perform(&mut wire, &mut rest, number, act, shared).await;
        shared.seen.lock().unwrap()[number].over = true;
        match then {
            Then::Keep => {}
            Then::Close => {
                let _ = wire.shutdown().await;
                return;
            }
            Then::Break => return,
            Then::Stall => tokio::time::sleep(Duration::from_secs(3600)).await,
        }
    }
}

async fn head<W: Wire>(wire: &mut W, rest: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = memchr::memmem::find(rest, b"\r\n\r\n") {
            let head = rest.drain(..end + 4).collect();
            return Some(String::from_utf8(head).unwrap());
        }
        if wire.read_buf(rest).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

/// Reads up to `limit` bytes of the body into the record; true when it came to its declared end.
async fn body<W: Wire>(
    wire: &mut W,
    rest: &mut Vec<u8>,
    number: usize,
    limit: usize,
    shared: &Shared,
) -> bool {
    let length: usize = {
        let seen = shared.seen.lock().unwrap();
        assert_eq!(seen[number].field("transfer-encoding"), None);
        seen[number]
            .field("content-length")
            .map_or(0, |length| length.parse().unwrap())
    };
    let mut read = 0;
    while read < length.min(limit) {
        if rest.is_empty() && wire.read_buf(rest).await.unwrap_or(0) == 0 {
            return false;
        }
        let now = rest.len().min(length - read);
        read += now;
        let mut seen = shared.seen.lock().unwrap();
        seen[number].body.extend(rest.drain(..now));
        seen[number].whole = read == length;
    }
    if length == 0 {
        shared.seen.lock().unwrap()[number].whole = true;
    }
    true
}

async fn perform<W: Wire>(
    wire: &mut W,
    rest: &mut Vec<u8>,
    number: usize,
    act: Act,
    shared: &Shared,
) -> Then {
    let limit = match &act {
        Act::Answer(Some(limit), ..) => *limit,
        _ => usize::MAX,
    };
    if !body(wire, rest, number, limit, shared).await {
        return Then::Break;
    }
    let seen = shared.seen.lock().unwrap()[number].clone();
    let (answer, then) = match act {
        Act::Serve => (store(&seen, shared), Then::Keep),
        Act::Answer(_, answer, then) => (answer.into_bytes(), then),
        Act::Cut(length, then) => {
            let mut answer = store(&seen, shared);
            let body = memchr::memmem::find(&answer, b"\r\n\r\n").unwrap() + 4;
            answer.truncate(body + length);
            (answer, then)
        }
        Act::Flip(at) => {
            let mut answer = store(&seen, shared);
            let body = memchr::memmem::find(&answer, b"\r\n\r\n").unwrap() + 4;
            answer[body + at] ^= 1;
            (answer, Then::Keep)
        }
    };
    match wire.write_all(&answer).await.and(wire.flush().await) {
        Ok(()) => then,
        Err(_) => Then::Break,
    }
}

/// What a store would answer, whole.
fn store(seen: &Seen, shared: &Shared) -> Vec<u8> {
    let mut parts = seen.line().split(' ');
    let method = parts.next().unwrap().to_owned();
    let target = parts.next().unwrap();
    let path = target.split('?').next().unwrap().to_owned();
    let mut objects = shared.objects.lock().unwrap();
    if method == "PUT" {
        let carried = |line: &&str| line.to_ascii_lowercase().starts_with("x-amz-meta-");
        let fields = seen
            .head
            .lines()
            .filter(carried)
            .map(str::to_owned)
            .collect();
        let body = seen.body.clone();
        objects.insert(path, Stored { fields, body });
        return b"HTTP/1.1 200 OK\r\nETag: \"0123456789abcdef0123456789abcdef\"\r\nContent-Length: 0\r\n\r\n"
            .to_vec();
    }
    let Some(stored) = objects.get(&path) else {
        let document = "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>";
        let head = format!(
            "HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\n\r\n",
            document.len()
        );
        let document = if method == "HEAD" { "" } else { document };
        return format!("{head}{document}").into_bytes();
    };
    let whole = stored.body.len();
    let range = seen.field("range").and_then(|range| {
        let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
        let to: usize = to.parse().unwrap_or(usize::MAX);
        Some((from.parse().ok()?, to.min(whole - 1)))
    });
    let (from, to) = range.map_or((0, whole), |(from, to)| (from, to + 1));
    let mut head = match range {
        None => "HTTP/1.1 200 OK\r\n".to_owned(),
        Some((from, to)) => {
            format!("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{to}/{whole}\r\n")
        }
    };
    head.push_str("ETag: \"0123456789abcdef0123456789abcdef\"\r\n");
    head.push_str("Last-Modified: Tue, 24 Nov 2026 10:00:00 GMT\r\n");
    for field in &stored.fields {
        head.push_str(field);
        head.push_str("\r\n");
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", to - from));
    let mut answer = head.into_bytes();
    if method != "HEAD" {
        answer.extend_from_slice(&stored.body[from..to]);
    }
    answer
}
