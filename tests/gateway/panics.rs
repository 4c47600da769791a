//! A defect in the middle of an exchange: whatever panics, neither side sees a clean end of what was being sent.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Request, Response, request};
use http_body::{Body, Frame};
use sceau::adapter::{Adapter, Exchange, Operation, RefusedRequest, Subject};
use sceau::body::{Cleared, Fault, Plain, Released, Upstream as _};
use sceau::error::Refusal;
use sceau::net::Provider;
use sceau::policy::{Class, Verdict};

use crate::client::Client;
use crate::defective;
use crate::frames::Frames;
use crate::recorder::Recorder;
use crate::site::Site;

/// Some frames, then a panic.
struct Panicking(usize);

impl Body for Panicking {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        assert!(self.0 > 0, "a defect");
        self.0 -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[7; 40_000])))))
    }
}

/// Panics where the path says.
struct Defect(Provider);

#[async_trait]
impl Adapter for Defect {
    fn classify(&self, _: &request::Parts) -> Result<Operation, Refusal> {
        Ok(Operation {
            name: "Defect".into(),
            class: Class::Pass,
            switches: false,
            detail: Box::new(()),
        })
    }

    fn verify(&self, _: &Operation, _: &request::Parts, _: SystemTime) -> Result<Subject, Refusal> {
        Ok(Subject {
            principal: "anyone".into(),
            proof: Box::new(()),
        })
    }

    async fn perform(
        &self,
        _: &Exchange,
        verdict: Verdict,
        _: Operation,
        _: Subject,
        head: request::Parts,
        _: Plain,
    ) -> Result<Response<Released>, Refusal> {
        match head.uri.path() {
            "/upload" => {
                let Verdict::Relay(permit) = verdict else {
                    panic!("the verdict of a plain operation");
                };
                let body = Cleared::relayed(Plain::new(Box::pin(Panicking(20))), &permit);
                let request = Request::put("/bbb/k")
                    .header("host", "provider")
                    .header(CONTENT_LENGTH, 1_000_000)
                    .body(body)
                    .unwrap();
                self.0.send(request).await?;
                unreachable!("the body panics");
            }
            "/chunked" => Ok(Response::new(Released::written(Box::pin(Panicking(20))))),
            "/declared" => {
                let mut response = Response::new(Released::written(Box::pin(Panicking(20))));
                response
                    .headers_mut()
                    .insert(CONTENT_LENGTH, 1_000_000.into());
                Ok(response)
            }
            _ => panic!("a defect"),
        }
    }

    fn refuse(&self, _: &Refusal, _: &RefusedRequest<'_>) -> Response<Bytes> {
        Response::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_never_ends_a_body_cleanly() {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url());
    let opened = defective::open(&site.root(), recorder.address, Defect).await;
    let client = Client::at(&site, opened.address, "ANYONE", "");
    // more often than requests may be under way at once: a panic gives its place back
    for round in 0..3 {
        for path in ["/perform", "/upload", "/declared", "/chunked"] {
            let mut one = client.one().await;
            one.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
                .await;
            let (mut got, mut more) = (Vec::new(), true);
            while more {
                use tokio::io::AsyncReadExt as _;
                let read = crate::within("an end", one.stream.read_buf(&mut got)).await;
                more = read.is_ok_and(|n| n > 0);
            }
            assert!(!got.ends_with(b"0\r\n\r\n"), "{path}");
            assert!(got.len() < 1_000_000, "{path}");
            let mut two = Frames::with_window(&client, 1 << 20).await;
            let (head, ()) = Request::get(format!("https://localhost{path}"))
                .body(())
                .unwrap()
                .into_parts();
            two.headers(1, &head, true).await;
            let end = two.end_of(1).await;
            assert!(!end.clean, "{path}: {end:?}");
        }
        for upload in 0..2 {
            assert!(!recorder.over(2 * round + upload).await.whole);
        }
    }
}
