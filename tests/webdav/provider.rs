//! A WebDAV provider in memory, which records what it is sent and can be made to misbehave.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use sceau::body::{Cleared, Fault, Outbound, Sealed, Upstream};
use sceau::error::{Refusal, UPSTREAM_OUTCOME_UNKNOWN};

/// A request as it arrived.
pub struct Seen {
    pub method: String,
    pub path: String,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Whether the body's length was told.
    pub sized: bool,
}

/// A body that comes in pieces and does not tell its length.
pub struct Pieces<I>(pub I);

impl<I: Iterator<Item = Bytes> + Unpin> http_body::Body for Pieces<I> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Fault>>> {
        Poll::Ready(self.0.next().map(|piece| Ok(http_body::Frame::data(piece))))
    }
}

type Canned = (u16, Vec<(&'static str, String)>, Vec<u8>);

#[derive(Default)]
pub struct Provider {
    pub files: Mutex<BTreeMap<String, Vec<u8>>>,
    pub seen: Mutex<Vec<Seen>>,
    /// Requests whose body broke off, which changed nothing.
    pub broken: Mutex<Vec<Seen>>,
    /// Answers that are given instead, by method.
    pub canned: Mutex<BTreeMap<&'static str, Canned>>,
    /// Honours `If-Match` of reads.
    pub conditional: bool,
    /// Ignores ranges, as some do.
    pub no_ranges: bool,
    /// Bytes of an answer that come at once; 0: all.
    pub piece: usize,
}

impl Provider {
    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        self.files.lock().unwrap().get(path).cloned()
    }

    pub fn store(&self, path: &str, bytes: &[u8]) {
        self.files
            .lock()
            .unwrap()
            .insert(path.to_owned(), bytes.to_vec());
    }

    pub fn methods(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|seen| seen.method.clone()).collect()
    }

    pub fn answer_with(&self, method: &'static str, answer: Canned) {
        self.canned.lock().unwrap().insert(method, answer);
    }

    fn get(&self, path: &str, headers: &HeaderMap, head: bool) -> Canned {
        let Some(bytes) = self.file(path) else {
            return (404, vec![], b"<html>no</html>".to_vec());
        };
        let mut fields = vec![
            ("etag", format!("\"{}\"", bytes.len())),
            ("content-type", "text/plain".to_owned()),
            ("last-modified", "Tue, 24 Nov 2026 10:00:00 GMT".to_owned()),
        ];
        let tied = headers.get("if-match").filter(|_| self.conditional);
        if tied.is_some_and(|tag| tag.to_str().unwrap() != fields[0].1) {
            return (412, vec![], vec![]);
        }
        let range = headers
            .get("range")
            .filter(|_| !head && !self.no_ranges)
            .map(|value| value.to_str().unwrap().strip_prefix("bytes=").unwrap());
        match range.map(|range| range.split_once('-').unwrap()) {
            Some((start, end)) => {
                let start: usize = start.parse().unwrap();
                let end: usize = end.parse().unwrap();
                if start >= bytes.len() {
                    return (416, vec![], vec![]);
                }
                let end = end.min(bytes.len() - 1);
                let value = format!("bytes {start}-{end}/{}", bytes.len());
                fields.push(("content-range", value));
                let part = bytes[start..=end].to_vec();
                fields.push(("content-length", part.len().to_string()));
                (206, fields, part)
            }
            None => {
                fields.push(("content-length", bytes.len().to_string()));
                (200, fields, if head { vec![] } else { bytes })
            }
        }
    }

    fn listing(&self, path: &str) -> Vec<u8> {
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><D:multistatus xmlns:D=\"DAV:\"><D:response>\
             <D:href>{path}</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype>\
             <D:quota-used-bytes>70000</D:quota-used-bytes></D:prop><D:status>HTTP/1.1 200 OK</D:status>\
             </D:propstat></D:response>"
        );
        for (name, bytes) in self.files.lock().unwrap().range(path.to_owned()..) {
            xml.push_str(&format!(
                "<D:response><D:href>https://dav.provider.example{name}</D:href><D:propstat><D:prop>\
                 <D:getcontentlength>{}</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status>\
                 </D:propstat></D:response>",
                bytes.len()
            ));
        }
        xml.push_str("</D:multistatus>");
        xml.into_bytes()
    }

    fn handle(&self, seen: &Seen) -> Canned {
        let xml = ("content-type", "application/xml".to_owned());
        match seen.method.as_str() {
            "GET" => self.get(&seen.path, &seen.headers, false),
            "HEAD" => self.get(&seen.path, &seen.headers, true),
            "PUT" => {
                self.store(&seen.path, &seen.body);
                let tag = ("etag", format!("\"{}\"", seen.body.len()));
                (201, vec![tag], vec![])
            }
            "DELETE" => {
                self.files.lock().unwrap().remove(&seen.path);
                (204, vec![], vec![])
            }
            "PROPFIND" => (207, vec![xml], self.listing(&seen.path)),
            "LOCK" => {
                let new = !self.files.lock().unwrap().contains_key(&seen.path);
                if new {
                    self.store(&seen.path, b"");
                }
                let token = ("lock-token", "<urn:uuid:1>".to_owned());
                let body = "<D:prop xmlns:D=\"DAV:\"><D:lockdiscovery><D:activelock><D:lockroot><D:href>\
                     https://dav.provider.example/a</D:href></D:lockroot></D:activelock></D:lockdiscovery></D:prop>";
                let status = if new { 201 } else { 200 };
                (status, vec![xml, token], body.as_bytes().to_vec())
            }
            "MOVE" if seen.path.ends_with("/.file") => self.join(seen),
            _ => (204, vec![], vec![]),
        }
    }

    /// As Nextcloud joins an upload: by number, and only when the length is the one announced.
    fn join(&self, seen: &Seen) -> Canned {
        let folder = seen.path.strip_suffix(".file").unwrap();
        let mut files = self.files.lock().unwrap();
        let mut chunks: Vec<(u64, String)> = files
            .keys()
            .filter_map(|path| {
                let name = path.strip_prefix(folder)?;
                let number = name.split('-').next().unwrap().parse().unwrap();
                Some((number, path.clone()))
            })
            .collect();
        chunks.sort();
        let whole: Vec<u8> = chunks
            .iter()
            .flat_map(|(_, path)| files.remove(path).unwrap())
            .collect();
        let announced = seen.headers.get("oc-total-length");
        if announced.is_some_and(|value| value.to_str().unwrap() != whole.len().to_string()) {
            return (400, vec![], vec![]);
        }
        let target = seen.headers["destination"].to_str().unwrap();
        let target = target.strip_prefix("https://dav.provider.example").unwrap();
        files.insert(target.to_owned(), whole);
        (201, vec![("oc-fileid", "7".to_owned())], vec![])
    }
}

#[async_trait]
impl Upstream for Provider {
    async fn send(&self, request: Request<Cleared<Outbound>>) -> Result<Response<Sealed>, Refusal> {
        let (head, mut body) = request.into_parts();
        let mut seen = Seen {
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            target: head.uri.to_string(),
            headers: head.headers,
            body: Vec::new(),
            sized: http_body::Body::size_hint(&body).exact().is_some(),
        };
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => seen.body.extend(frame.into_data().unwrap_or_default()),
                Err(fault) => {
                    self.broken.lock().unwrap().push(seen);
                    return Err(Refusal::new(&UPSTREAM_OUTCOME_UNKNOWN).cause(fault));
                }
            }
        }
        let canned = self
            .canned
            .lock()
            .unwrap()
            .get(seen.method.as_str())
            .cloned();
        let (status, fields, bytes) = canned.unwrap_or_else(|| self.handle(&seen));
        self.seen.lock().unwrap().push(seen);
        let piece = if self.piece == 0 {
            usize::MAX
        } else {
            self.piece
        };
        let pieces: Vec<Bytes> = bytes.chunks(piece).map(Bytes::copy_from_slice).collect();
        let body = Pieces(pieces.into_iter());
        let mut response = Response::builder().status(status);
        for (name, value) in fields {
            response = response.header(name, value);
        }
        Ok(response.body(Sealed::new(Box::pin(body))).unwrap())
    }
}
