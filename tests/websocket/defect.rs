//! A defect of the gateway, in either direction: both sides end, and nothing looks whole.

use std::time::SystemTime;

use async_trait::async_trait;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{Request, Response, request};
use sceau::adapter::{Adapter, Exchange, Operation, RefusedRequest, Subject};
use sceau::body::{
    Cleared, ClearedMessage, Messages, Opening, Plain, PlainMessage, Released, ReleasedMessage,
    SealedMessage, Switched, Upstream as _,
};
use sceau::error::Refusal;
use sceau::net::Provider;
use sceau::policy::{Class, DocumentPermit, Verdict};
use tungstenite::Message;

use crate::chat::{Chat, End};
use crate::client::{Client, ask, head, tls};
use crate::defective;
use crate::site::Site;
use crate::within;

/// Panics where a message says so.
struct Panicking(DocumentPermit);

impl Messages for Panicking {
    fn outward(&mut self, message: PlainMessage, _: SystemTime) -> Result<ClearedMessage, Refusal> {
        let text = message.as_text().unwrap();
        assert!(!text.contains("out"), "a defect");
        Ok(ClearedMessage::document(text.to_owned(), &self.0))
    }

    fn inward(&mut self, _: SealedMessage) -> Result<ReleasedMessage, Refusal> {
        panic!("a defect");
    }
}

/// Says on `/said` that a WebSocket follows, and on `/unsaid` gives one without having said so.
struct Defect(Provider);

#[async_trait]
impl Adapter for Defect {
    fn classify(&self, head: &request::Parts) -> Result<Operation, Refusal> {
        Ok(Operation {
            name: "Defect".into(),
            class: Class::Transform,
            switches: head.uri.path() == "/said",
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
        _: request::Parts,
        _: Plain,
    ) -> Result<Response<Released>, Refusal> {
        let Verdict::Protect(permit) = verdict else {
            panic!("the verdict of an operation that seals");
        };
        let request = Request::get("/a").header("host", "provider");
        let request = request.body(Cleared::empty()).unwrap();
        let Opening::Switched(answer) = self.0.open(request, 1000).await? else {
            panic!("the chat server switches");
        };
        Ok(Response::new(Released::switched(Switched {
            provider: *answer.into_body(),
            messages: Box::new(Panicking(permit)),
            max_message: 1000,
        })))
    }

    fn refuse(&self, refusal: &Refusal, _: &RefusedRequest<'_>) -> Response<bytes::Bytes> {
        let mut response = Response::new(refusal.code.name.into());
        *response.status_mut() = refusal.status().try_into().unwrap();
        response
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_either_direction_ends_both_sides() {
    let chat = Chat::start().await;
    let site = Site::new(&chat);
    let opened = defective::open(&site.root(), chat.address, Defect).await;
    // the places are given back too: there are two
    for text in ["out", "in", "out", "in"] {
        let mut one = Client::at(&site, opened.address, head("/said", "")).await;
        one.socket.send(Message::text(text)).await.unwrap();
        let end = within("the end", one.socket.next()).await;
        assert!(matches!(end, Some(Err(_)) | None), "{end:?}");
        assert_eq!(chat.end().await, End::Broken, "{text}");
    }
    assert!(!chat.knows("out") && chat.knows("in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_that_did_not_say_so_opens_no_websocket() {
    let chat = Chat::start().await;
    let site = Site::new(&chat);
    let opened = defective::open(&site.root(), chat.address, Defect).await;
    let mut stream = tls(&site, opened.address, b"http/1.1").await;
    let answer = ask(&mut stream, head("/unsaid", "")).await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert_eq!(chat.end().await, End::Broken);
}
