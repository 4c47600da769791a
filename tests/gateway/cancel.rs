//! A client that goes away, or takes back what it began: the provider must never see a clean end of it.

use http_body_util::BodyExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Client, UNSIGNED, fed, full, request};
use crate::frames::Frames;
use crate::recorder::Recorder;
use crate::site::{Gateway, Site};
use crate::{pattern, until};

async fn up() -> (Recorder, Site, Gateway) {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url());
    let gateway = site.start().await;
    (recorder, site, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_stays_incomplete() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    // just before the end, in the middle, at once; with and without close_notify; with a length, with chunks
    let mut number = 0;
    for sent in [300_000 - 1, 150_000, 0] {
        for orderly in [false, true] {
            let mut one = client.one().await;
            one.send(client.put("/bbb/k", 300_000)).await;
            one.send(&pattern(300_000)[..sent]).await;
            until("the provider is asked", || recorder.seen().len() > number).await;
            if orderly {
                let _ = one.stream.shutdown().await;
            }
            drop(one);
            let seen = recorder.over(number).await;
            assert!(!seen.whole, "{sent} {orderly}");
            number += 1;
        }
    }
    assert_eq!(recorder.stored("/bbb/k"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_reset_stays_incomplete() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    let mut two = client.two().await;
    let (frames, body) = fed();
    let head = client.signed("PUT", "/bbb/k", &[("content-length", "300000")], UNSIGNED);
    let answer = tokio::spawn(two.send_request(request(head, body.boxed())));
    frames.send(Ok(pattern(200_000).into())).await.unwrap();
    until("the provider is asked", || recorder.seen().len() == 1).await;
    frames.send(Err("taken back".into())).await.unwrap();
    assert!(answer.await.unwrap().is_err());
    assert!(!recorder.over(0).await.whole);
    // the connection itself goes on
    let head = client.signed("GET", "/bbb/k", &[], UNSIGNED);
    let answer = two.send_request(request(head, full(""))).await.unwrap();
    assert_eq!(answer.status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http2_body_of_another_length_than_declared_stays_incomplete() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    for sent in [199_999, 200_001] {
        let before = recorder.seen().len();
        let mut frames = Frames::connect(&client).await;
        let head = client.signed("PUT", "/bbb/k", &[("content-length", "200000")], UNSIGNED);
        frames.headers(1, &head, false).await;
        frames.data(1, &pattern(sent), true).await;
        let end = frames.end_of(1).await;
        assert!(end.status.is_none_or(|status| status >= 400), "{end:?}");
        let seen = recorder.seen();
        assert!(seen[before..].iter().all(|seen| !seen.whole), "{sent}");
    }
    assert_eq!(recorder.stored("/bbb/k"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_nobody_wants_any_more_is_not_fetched_on() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    client.store("/bbb/k", &pattern(64 << 20)).await;
    let before = recorder.connections();
    let mut one = client.one().await;
    one.send(client.head("GET", "/bbb/k", &[])).await;
    let mut some = [0; 100_000];
    one.stream.read_exact(&mut some).await.unwrap();
    drop(one);
    // the recorder can't write the rest, so its request ends; the connection is not used again
    recorder.over(1).await;
    client.store("/bbb/other", b"content").await;
    assert_eq!(recorder.connections(), before + 1);
}
