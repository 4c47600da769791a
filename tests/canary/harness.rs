//! What the canary needs of every adapter: markers, what was sent with them, a recorder in the provider's place, the log.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use sceau::body::{Cleared, Plain, Released, Sealed, Upstream};
use sceau::policy::{Class, Policy, RelayPermit, Verdict};

use crate::search::{Marker, Search};

/// A request of the client's with markers in it.
pub struct Sent {
    pub name: String,
    pub head: Parts,
    pub body: Bytes,
    /// The fields whose markers it was made with.
    pub carries: Vec<String>,
}

/// The markers of a play, and the requests that carried them.
#[derive(Default)]
pub struct Marks {
    pub markers: Vec<Marker>,
    fresh: Vec<String>,
    pub sent: Vec<Sent>,
}

impl Marks {
    /// What must not be seen, whether a request carries it or not.
    pub fn note(&mut self, field: &str, bytes: &[u8]) {
        self.markers.push(Marker {
            field: field.to_owned(),
            bytes: bytes.to_vec(),
        });
    }

    /// 32 random characters that any field can hold, for the next request.
    pub fn marker(&mut self, field: &str) -> String {
        self.draw(
            field,
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
        )
    }

    /// The same without capitals.
    pub fn lower_marker(&mut self, field: &str) -> String {
        self.draw(field, b"abcdefghijklmnopqrstuvwxyz012345")
    }

    fn draw(&mut self, field: &str, letters: &[u8]) -> String {
        let mut random = [0; 32];
        getrandom::fill(&mut random).unwrap();
        let text: String = random
            .iter()
            .map(|byte| char::from(letters[usize::from(*byte) % letters.len()]))
            .collect();
        self.note(field, text.as_bytes());
        self.fresh.push(field.to_owned());
        text
    }

    /// Content with a marker at its beginning, across a segment's boundary and at its end.
    pub fn content(&mut self, field: &str, length: usize) -> Vec<u8> {
        let mut content = vec![0; length];
        getrandom::fill(&mut content).unwrap();
        let places = [0, 65_520, length.saturating_sub(32)];
        for at in places.into_iter().filter(|at| at + 32 <= length) {
            let marker = self.marker(field);
            content[at..at + 32].copy_from_slice(marker.as_bytes());
        }
        content
    }

    /// Keeps a request, which carries the markers made since the last one.
    pub fn sent(&mut self, name: &str, head: Parts, body: impl Into<Bytes>) {
        self.sent.push(Sent {
            name: name.to_owned(),
            head,
            body: body.into(),
            carries: std::mem::take(&mut self.fresh),
        });
    }

    pub fn search(&self) -> Search {
        Search::new(&self.markers)
    }
}

/// All that one request showed.
pub struct Received {
    pub place: String,
    pub bytes: Vec<u8>,
}

pub fn received(place: String, headers: &HeaderMap, body: &[u8]) -> Received {
    let mut bytes = format!("{place}\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(body);
    Received { place, bytes }
}

/// A provider that keeps what it was sent, of requests that broke off too.
pub trait Recorder: Upstream {
    /// What came since the last call.
    fn received(&self) -> Vec<Received>;
}

/// Lets pass what the gateway would never let pass.
fn unsealed() -> RelayPermit {
    match Policy::default().decide(Class::Pass) {
        Verdict::Relay(permit) => permit,
        _ => unreachable!("what passes is relayed"),
    }
}

/// Sends each request as it came from the client, with sealing taken out: every marker that it carries must be caught.
pub async fn control<R: Recorder>(search: &Search, sent: &[Sent], recorder: impl Fn() -> Arc<R>) {
    let permit = unsealed();
    for sent in sent {
        let recorder = recorder();
        let body = Cleared::relayed(Plain::whole(sent.body.clone()), &permit);
        let _ = recorder
            .send(Request::from_parts(sent.head.clone(), body))
            .await;
        let all = recorder.received();
        let [received] = &all[..] else {
            panic!("void: {} was recorded {} times", sent.name, all.len());
        };
        let hits = search.find(&received.place, &received.bytes);
        for field in &sent.carries {
            let caught = hits
                .iter()
                .any(|hit| hit.starts_with(&format!("{field} (")));
            assert!(caught, "void: {field} of {} was not caught", sent.name);
        }
    }
}

/// What the provider itself answers, with opening taken out.
pub async fn answered(answer: Response<Sealed>) -> Received {
    let (head, body) = answer.into_parts();
    let body = Released::relayed(body, &unsealed());
    let bytes = body.collect().await.unwrap().to_bytes();
    received(head.status.to_string(), &head.headers, &bytes)
}

pub fn no_leaks(search: &Search, all: &[Received]) {
    let mut hits: Vec<_> = all
        .iter()
        .flat_map(|received| search.find(&received.place, &received.bytes))
        .collect();
    hits.sort();
    hits.dedup();
    assert!(
        hits.is_empty(),
        "{} leaks:\n{}",
        hits.len(),
        hits.join("\n")
    );
}

/// The files below a directory, their names among what they show.
pub fn files(directory: &Path) -> Vec<Received> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(&path, found),
                false => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    walk(directory, &mut found);
    found
        .into_iter()
        .map(|path| {
            let content = std::fs::read(&path).unwrap();
            received(path.display().to_string(), &HeaderMap::new(), &content)
        })
        .collect()
}

/// The log of all adapters, at its most talkative.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Begins to listen to the log.
pub fn listen() {
    LOG.get_or_init(|| {
        let log = Log::default();
        let writer = log.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .init();
        log
    });
}

/// What was logged until now, which must hold these words, else nobody listened.
pub fn logged(words: &[&str]) -> Received {
    let bytes = LOG.get().unwrap().0.lock().unwrap().clone();
    for word in words {
        let heard = memchr::memmem::find(&bytes, word.as_bytes()).is_some();
        assert!(heard, "void: {word} is not in the log");
    }
    Received {
        place: "the log".into(),
        bytes,
    }
}
