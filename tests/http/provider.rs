//! A small provider in memory: it keeps what it is sent, and answers it back.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use sceau::body::{Cleared, Fault, Outbound, Sealed, Upstream};
use sceau::error::Refusal;

/// A request as the provider saw it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

pub type Canned = (u16, Vec<(&'static str, String)>, Vec<u8>);

#[derive(Default)]
pub struct Provider {
    pub asked: Mutex<Vec<Asked>>,
    /// Requests whose body broke off, which changed nothing.
    pub broken: Mutex<Vec<Asked>>,
    /// Answers by path; else what was stored there.
    pub canned: Mutex<HashMap<String, Canned>>,
    pub stored: Mutex<HashMap<String, Vec<u8>>>,
}

impl Provider {
    pub fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    pub fn can(&self, path: &str, status: u16, kind: &str, body: impl Into<Vec<u8>>) {
        let headers = vec![("content-type", kind.to_owned())];
        self.can_with(path, status, headers, body);
    }

    pub fn can_with(
        &self,
        path: &str,
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: impl Into<Vec<u8>>,
    ) {
        let canned = (status, headers, body.into());
        self.canned.lock().unwrap().insert(path.to_owned(), canned);
    }

    fn answer(&self, asked: &Asked) -> Canned {
        let path = asked.target.split('?').next().unwrap();
        if let Some(canned) = self.canned.lock().unwrap().get(path) {
            return canned.clone();
        }
        if !matches!(asked.method.as_str(), "GET" | "HEAD") {
            let mut stored = self.stored.lock().unwrap();
            stored.insert(path.to_owned(), asked.body.clone());
            return (
                201,
                vec![("content-type", "application/json".into())],
                b"{}".into(),
            );
        }
        match self.stored.lock().unwrap().get(path) {
            None => (
                404,
                vec![("content-type", "application/json".into())],
                b"{}".into(),
            ),
            Some(body) => ranged(asked, body),
        }
    }
}

fn ranged(asked: &Asked, body: &[u8]) -> Canned {
    let tag = ("etag", "\"v1\"".to_owned());
    let kind = ("content-type", "application/octet-stream".to_owned());
    let total = body.len();
    let range = asked.headers.get("range").map(|value| {
        let (a, b) = value
            .to_str()
            .unwrap()
            .strip_prefix("bytes=")
            .unwrap()
            .split_once('-')
            .unwrap();
        (
            a.parse::<usize>().unwrap(),
            (b.parse::<usize>().unwrap() + 1).min(total),
        )
    });
    match range {
        None => (
            200,
            vec![kind, tag, ("content-length", total.to_string())],
            body.to_vec(),
        ),
        Some((start, end)) => {
            let place = format!("bytes {start}-{}/{total}", end - 1);
            let length = (end - start).to_string();
            let headers = vec![
                kind,
                tag,
                ("content-range", place),
                ("content-length", length),
            ];
            (206, headers, body[start..end].to_vec())
        }
    }
}

/// Of an answer's body: cuts fall everywhere.
const PIECE: usize = 61;

struct Pieces(VecDeque<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }
}

#[async_trait]
impl Upstream for Provider {
    async fn send(&self, request: Request<Cleared<Outbound>>) -> Result<Response<Sealed>, Refusal> {
        let (head, mut body) = request.into_parts();
        let mut asked = Asked {
            method: head.method.to_string(),
            target: head.uri.to_string(),
            headers: head.headers,
            body: Vec::new(),
        };
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => asked.body.extend(frame.into_data().unwrap_or_default()),
                Err(fault) => {
                    self.broken.lock().unwrap().push(asked);
                    return Err(Refusal::new(fault.code));
                }
            }
        }
        let (status, headers, body) = self.answer(&asked);
        self.asked.lock().unwrap().push(asked);
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        let pieces: VecDeque<Bytes> = body.chunks(PIECE).map(Bytes::copy_from_slice).collect();
        Ok(response
            .body(Sealed::new(Box::pin(Pieces(pieces))))
            .unwrap())
    }
}
