//! OneDrive for Business in memory, as far as its documentation tells: what it stores is what it is sent, sessions take
//! multiples of 320 KiB below 60 MiB in order, downloads are redirected. It records requests and can be made to fail.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use sceau::adapter::graph::quickxor::QuickXor;
use sceau::body::{Cleared, Fault, Outbound, Sealed, Upstream};
use sceau::error::{Refusal, UPSTREAM_OUTCOME_UNKNOWN};
use serde_json::{Value, json};

use crate::fuse::Fuse;
use crate::library::Library;

pub const GRAPH: &str = "graph.microsoft.com";
pub const TENANT: &str = "contoso-my.sharepoint.com";
pub const UNIT: u64 = 327_680;
const LIMIT: u64 = 60 << 20;

/// A request as it arrived.
pub struct Seen {
    pub method: String,
    pub host: String,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
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

pub type Canned = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// What goes wrong with a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fail {
    /// It comes to its end and is not taken; no answer.
    Dropped,
    /// It is taken; no answer.
    Lost,
    /// So many bytes are taken; no answer.
    Partly(u64),
    Status(u16),
}

#[derive(Clone)]
pub struct File {
    pub name: String,
    pub bytes: Vec<u8>,
    pub version: u32,
}

#[derive(Default, Clone)]
pub struct Session {
    pub name: String,
    pub defer: bool,
    pub total: Option<u64>,
    pub received: Vec<u8>,
}

#[derive(Default)]
pub struct Provider {
    /// By id.
    pub files: Mutex<BTreeMap<String, File>>,
    pub sessions: Mutex<BTreeMap<String, Session>>,
    pub library: Library,
    pub seen: Mutex<Vec<Seen>>,
    pub fails: Mutex<VecDeque<Option<Fail>>>,
    /// Answers that are given instead, by method and beginning of the target.
    pub canned: Mutex<Vec<(&'static str, &'static str, Canned)>>,
    /// Ignores ranges, as some do.
    pub no_ranges: bool,
    /// Says `X-Y` where it expects bytes.
    pub closed_ranges: bool,
    /// Each piece of a body is a step, and so are what comes of it and the answer.
    pub fuse: Option<Arc<Fuse>>,
}

pub fn json_answer(status: u16, document: &Value) -> Canned {
    let kind = (
        "content-type",
        "application/json; odata.metadata=minimal".to_owned(),
    );
    (status, vec![kind], document.to_string().into_bytes())
}

/// What `$select` names of an item, and nothing else.
fn selected(list: Option<&str>, item: &Value) -> Value {
    let Some(list) = list else {
        return item.clone();
    };
    let list = percent_decode_str(list).decode_utf8().unwrap();
    let names: Vec<&str> = list.split(',').collect();
    let members = item.as_object().unwrap().iter();
    let kept = members.filter(|(name, _)| names.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The value of `$select` in a query, or in what stands behind `children(`.
fn select(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("select=")?;
    rest.split(['&', ';', ')']).next()
}

pub fn error(status: u16, code: &str) -> Canned {
    json_answer(status, &json!({"error": {"code": code, "message": "m"}}))
}

impl Provider {
    pub fn store(&self, name: &str, bytes: &[u8]) -> String {
        let mut files = self.files.lock().unwrap();
        let known = files.iter().find(|(_, file)| file.name == name);
        let id = known.map_or(format!("01ID{}", files.len()), |(id, _)| id.clone());
        let version = files.get(&id).map_or(1, |file| file.version + 1);
        files.insert(
            id.clone(),
            File {
                name: name.to_owned(),
                bytes: bytes.to_vec(),
                version,
            },
        );
        id
    }

    pub fn file(&self, name: &str) -> Option<File> {
        let files = self.files.lock().unwrap();
        files.values().find(|file| file.name == name).cloned()
    }

    pub fn fail(&self, fails: &[Option<Fail>]) {
        self.fails.lock().unwrap().extend(fails);
    }

    pub fn count(&self, method: &str, part: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        let fits = |seen: &&Seen| seen.method == method && seen.target.contains(part);
        seen.iter().filter(fits).count()
    }

    pub fn item(id: &str, file: &File) -> Value {
        let mut hash = QuickXor::default();
        hash.update(&file.bytes);
        json!({
            "@microsoft.graph.downloadUrl":
                format!("https://{TENANT}/_layouts/15/download.aspx?UniqueId={id}&Translate=false&tempauth=v1.e%2Bx%3d"),
            "eTag": format!("\"{{{id}}},{}\"", file.version),
            "id": id,
            "name": file.name,
            "cTag": format!("\"c:{{{id}}},{}\"", file.version),
            "size": file.bytes.len(),
            "parentReference": {"driveType": "business", "driveId": "b!drive", "id": "01ROOT"},
            "file": {
                "mimeType": "application/octet-stream",
                "hashes": {"quickXorHash": STANDARD.encode(hash.value())},
            },
        })
    }

    fn handle(&self, seen: &Seen) -> Canned {
        if let Some(answer) = self.mailbox(seen) {
            return answer;
        }
        let (path, query) = seen.target.split_once('?').unwrap_or((&seen.target, ""));
        let name = path
            .split_once("root:/")
            .map(|(_, rest)| rest.split(':').next().unwrap().to_owned());
        match (seen.method.as_str(), name) {
            _ if path.contains("/_api/web/") => self.library.handle(seen),
            _ if path.ends_with("/uploadSession") => self.session(seen),
            ("PUT", Some(name)) if path.ends_with("/content") => {
                let id = self.store(&name, &seen.body);
                let file = self.file(&name).unwrap();
                json_answer(
                    if file.version == 1 { 201 } else { 200 },
                    &selected(select(query), &Self::item(&id, &file)),
                )
            }
            ("PUT", Some(name)) => self.commit(seen, &name),
            ("GET", Some(name)) => {
                let files = self.files.lock().unwrap();
                let found = files.iter().find(|(_, file)| file.name == name);
                let Some((id, file)) = found else {
                    return error(404, "itemNotFound");
                };
                let item = Self::item(id, file);
                if !path.ends_with("/content") {
                    return json_answer(200, &selected(select(query), &item));
                }
                let tag = item["eTag"].as_str().unwrap();
                if seen.header("if-none-match") == tag {
                    return (304, vec![("etag", tag.to_owned())], vec![]);
                }
                let url = item["@microsoft.graph.downloadUrl"].as_str().unwrap();
                (302, vec![("location", url.to_owned())], vec![])
            }
            ("GET" | "HEAD", None) if path.ends_with("/download.aspx") => self.download(seen),
            ("GET", None) if path.ends_with("/children") => {
                json_answer(200, &json!({"value": self.children(select(query))}))
            }
            ("GET", None) if path.ends_with("/root") => {
                let root = json!({"id": "01ROOT", "size": 1_000_000, "folder": {"childCount": 1}});
                let (query, inner) = query.split_once("children(").unwrap_or((query, ""));
                let mut root = selected(select(query), &root);
                root["children"] = self.children(select(inner)).into();
                json_answer(200, &root)
            }
            ("POST", Some(name)) if path.ends_with("createUploadSession") => {
                let asked: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
                let mut sessions = self.sessions.lock().unwrap();
                let target = format!(
                    "/personal/u/_api/v2.0/drives/b!drive/items/01ROOT/uploadSession?guid='{}'&dc=0&tempauth=v1.a%2Bb%3d",
                    sessions.len()
                );
                let url = format!("https://{TENANT}{target}");
                sessions.insert(
                    target,
                    Session {
                        name,
                        defer: asked["deferCommit"] == true,
                        ..Session::default()
                    },
                );
                json_answer(
                    200,
                    &json!({"uploadUrl": url, "expirationDateTime": "2026-12-01T00:00:00Z"}),
                )
            }
            ("POST", None) if path.ends_with("/$batch") => self.batch(seen),
            ("DELETE", _) => (204, vec![], vec![]),
            _ => error(404, "itemNotFound"),
        }
    }

    fn children(&self, list: Option<&str>) -> Vec<Value> {
        let files = self.files.lock().unwrap();
        let items = files.iter().map(|(id, file)| Self::item(id, file));
        items.map(|item| selected(list, &item)).collect()
    }

    fn batch(&self, seen: &Seen) -> Canned {
        let asked: Value = serde_json::from_slice(&seen.body).unwrap();
        let answers: Vec<Value> = asked["requests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|inner| {
                let url = inner["url"].as_str().unwrap().trim_start_matches('/');
                let alone = Seen {
                    method: inner["method"].as_str().unwrap().to_owned(),
                    host: seen.host.clone(),
                    target: format!("/v1.0/{url}"),
                    headers: HeaderMap::new(),
                    body: inner["body"].to_string().into_bytes(),
                };
                let (status, fields, body) = self.handle(&alone);
                let fields: BTreeMap<&str, String> = fields.into_iter().collect();
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                json!({"id": inner["id"], "status": status, "headers": fields, "body": body})
            })
            .rev()
            .collect();
        json_answer(200, &json!({"responses": answers}))
    }

    fn download(&self, seen: &Seen) -> Canned {
        if !seen
            .target
            .ends_with("&Translate=false&tempauth=v1.e%2Bx%3d")
        {
            return error(403, "accessDenied");
        }
        let id = seen.target.split_once("UniqueId=").unwrap().1;
        let id = id.split('&').next().unwrap();
        let Some(file) = self.files.lock().unwrap().get(id).cloned() else {
            return error(404, "itemNotFound");
        };
        let mut fields = vec![("etag", format!("\"{{{id}}},{}\"", file.version))];
        let range = Some(seen.header("range")).filter(|range| !range.is_empty() && !self.no_ranges);
        let (status, bytes) = match range {
            None => (200, file.bytes),
            Some(range) => {
                let (start, end) = range
                    .strip_prefix("bytes=")
                    .unwrap()
                    .split_once('-')
                    .unwrap();
                let start: usize = start.parse().unwrap();
                if start >= file.bytes.len() {
                    return (416, vec![], vec![]);
                }
                let end = end.parse::<usize>().unwrap().min(file.bytes.len() - 1);
                let value = format!("bytes {start}-{end}/{}", file.bytes.len());
                fields.push(("content-range", value));
                (206, file.bytes[start..=end].to_vec())
            }
        };
        fields.push(("content-length", bytes.len().to_string()));
        let head = seen.method == "HEAD";
        (status, fields, if head { vec![] } else { bytes })
    }

    fn expected(&self, session: &Session, total: u64) -> Value {
        let next = session.received.len() as u64;
        if next == total {
            json!([])
        } else if self.closed_ranges {
            json!([format!("{next}-{}", total - 1)])
        } else {
            json!([format!("{next}-")])
        }
    }

    fn session(&self, seen: &Seen) -> Canned {
        if seen.headers.contains_key("authorization") {
            return error(401, "unauthenticated");
        }
        let mut sessions = self.sessions.lock().unwrap();
        let Some(session) = sessions.get_mut(&seen.target) else {
            return error(404, "itemNotFound");
        };
        let status = |session: &Session| {
            let total = session.total.unwrap_or(u64::MAX);
            json!({"expirationDateTime": "2026-12-01T00:00:00Z", "nextExpectedRanges": self.expected(session, total)})
        };
        match seen.method.as_str() {
            "GET" => json_answer(200, &status(session)),
            "DELETE" => {
                sessions.remove(&seen.target);
                (204, vec![], vec![])
            }
            "POST" => {
                let whole = sessions.remove(&seen.target).unwrap();
                drop(sessions);
                self.finish(whole)
            }
            _ => {
                let range = seen.header("content-range").strip_prefix("bytes ").unwrap();
                let (range, total) = range.split_once('/').unwrap();
                let (first, last) = range.split_once('-').unwrap();
                let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
                let total: u64 = total.parse().unwrap();
                let length = last + 1 - first;
                if length != seen.body.len() as u64 || length >= LIMIT {
                    return error(400, "invalidRequest");
                }
                if *session.total.get_or_insert(total) != total {
                    return error(400, "invalidRequest");
                }
                if first != session.received.len() as u64 {
                    return error(416, "invalidRange");
                }
                let whole = last + 1 == total;
                if !whole && length % UNIT != 0 {
                    return error(400, "invalidRequest");
                }
                session.received.extend_from_slice(&seen.body);
                if !whole || session.defer {
                    return json_answer(202, &status(session));
                }
                let whole = sessions.remove(&seen.target).unwrap();
                drop(sessions);
                self.finish(whole)
            }
        }
    }

    fn finish(&self, session: Session) -> Canned {
        let id = self.store(&session.name, &session.received);
        let file = self.file(&session.name).unwrap();
        json_answer(201, &Self::item(&id, &file))
    }

    /// A file is made of a session whose own name was taken.
    fn commit(&self, seen: &Seen, name: &str) -> Canned {
        let asked: Value = serde_json::from_slice(&seen.body).unwrap();
        let url = asked["@microsoft.graph.sourceUrl"].as_str().unwrap();
        let target = url.strip_prefix(&format!("https://{TENANT}")).unwrap();
        let session = self.sessions.lock().unwrap().remove(target);
        match session {
            Some(session) => self.finish(Session {
                name: name.to_owned(),
                ..session
            }),
            None => error(404, "itemNotFound"),
        }
    }

    async fn step(&self) {
        if let Some(fuse) = &self.fuse {
            fuse.step().await;
        }
    }

    fn answer(&self, seen: &Seen) -> Result<Canned, Refusal> {
        let unknown = || Refusal::new(&UPSTREAM_OUTCOME_UNKNOWN);
        let canned = self.canned.lock().unwrap();
        let found = canned
            .iter()
            .find(|(method, target, _)| *method == seen.method && seen.target.starts_with(target));
        if let Some((_, _, answer)) = found {
            return Ok(answer.clone());
        }
        drop(canned);
        let session = ["/uploadSession", "/AttachmentSessions("]
            .iter()
            .any(|part| seen.method == "PUT" && seen.target.contains(part));
        let fragment = session || seen.target.contains("Upload(");
        let fail = if fragment {
            self.fails.lock().unwrap().pop_front().flatten()
        } else {
            None
        };
        match fail {
            None => Ok(self.handle(seen)),
            Some(Fail::Dropped) => Err(unknown()),
            Some(Fail::Lost) => {
                self.handle(seen);
                Err(unknown())
            }
            Some(Fail::Partly(n)) => {
                let mut sessions = self.sessions.lock().unwrap();
                let session = sessions.get_mut(&seen.target).unwrap();
                session.received.extend_from_slice(&seen.body[..n as usize]);
                Err(unknown())
            }
            Some(Fail::Status(status)) => Ok(error(status, "x")),
        }
    }
}

#[async_trait]
impl Upstream for Provider {
    async fn send(&self, request: Request<Cleared<Outbound>>) -> Result<Response<Sealed>, Refusal> {
        let (head, mut body) = request.into_parts();
        let length = head.headers.get("content-length");
        let length: Option<usize> = length.map(|value| value.to_str().unwrap().parse().unwrap());
        let mut whole = Vec::new();
        // as a server does: what has its length is complete, whatever comes of its sender
        while length.is_none_or(|length| whole.len() < length) {
            let Some(frame) = body.frame().await else {
                break;
            };
            let frame =
                frame.map_err(|fault| Refusal::new(&UPSTREAM_OUTCOME_UNKNOWN).cause(fault))?;
            whole.extend_from_slice(&frame.into_data().unwrap());
            self.step().await;
        }
        assert_eq!(whole.len(), length.unwrap_or(whole.len()));
        let seen = Seen {
            method: head.method.to_string(),
            host: head.headers["host"].to_str().unwrap().to_owned(),
            target: head.uri.to_string(),
            headers: head.headers,
            body: whole,
        };
        self.step().await;
        let answer = self.answer(&seen);
        self.seen.lock().unwrap().push(seen);
        self.step().await;
        let (status, fields, bytes) = answer?;
        let pieces: Vec<Bytes> = bytes.chunks(16_384).map(Bytes::copy_from_slice).collect();
        let mut response = Response::builder().status(status);
        for (name, value) in fields {
            response = response.header(name, value);
        }
        let body = Sealed::new(Box::pin(Pieces(pieces.into_iter())));
        Ok(response.body(body).unwrap())
    }
}
