//! HTTP/2: whole objects, and the floods and stalls that it makes possible.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;

use crate::client::{Client, UNSIGNED, fed, full, request};
use crate::frames::Frames;
use crate::recorder::{Act, Recorder, Then};
use crate::site::{Gateway, Site};
use crate::{pattern, until, within};

async fn up(limits: &str) -> (Recorder, Site, Gateway) {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url()).limits(limits);
    let gateway = site.start().await;
    (recorder, site, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_go_both_ways() {
    let (recorder, site, gateway) = up("").await;
    let client = Client::new(&site, &gateway);
    let content = pattern(5 << 20);
    let mut two = client.two().await;
    let length = content.len().to_string();
    let head = client.signed("PUT", "/bbb/k", &[("content-length", &length)], UNSIGNED);
    let body = full(Bytes::from(content.clone()));
    let answer = within("an answer", two.send_request(request(head, body)))
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    // several at once over one connection
    let mut gets = Vec::new();
    for _ in 0..4 {
        let head = client.signed("GET", "/bbb/k", &[], UNSIGNED);
        let answer = two.send_request(request(head, full("")));
        gets.push(tokio::spawn(async {
            let answer = answer.await.unwrap();
            assert_eq!(answer.status(), 200);
            assert!(answer.headers().contains_key("x-sceau-request-id"));
            answer.into_body().collect().await.unwrap().to_bytes()
        }));
    }
    for get in gets {
        let got = within("the content", get).await.unwrap();
        assert!(got == content);
    }
    assert_eq!(recorder.seen().len(), 5);
}

/// Some clients read no answer before they have sent everything, and wait for room until then.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_is_read_within_bounds() {
    let (recorder, site, gateway) = up("").await;
    let client = Client::new(&site, &gateway);
    let mut two = client.two().await;
    for (mib, whole) in [(16, true), (200, false)] {
        let length = (mib << 20).to_string();
        let mut head = client.signed("PUT", "/bbb/k", &[("content-length", &length)], UNSIGNED);
        head.uri = "https://localhost/bbb/x".parse().unwrap();
        let (feed, body) = fed();
        let feeding = tokio::spawn(async move {
            let piece = Bytes::from(pattern(1 << 20));
            for _ in 0..mib {
                if feed.send(Ok(piece.clone())).await.is_err() {
                    return false;
                }
            }
            true
        });
        let answer = within("an answer", two.send_request(request(head, body.boxed()))).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 403);
        let document = within("its end", answer.into_body().collect()).await;
        assert!(!document.unwrap().to_bytes().is_empty());
        assert_eq!(within("the upload's end", feeding).await.unwrap(), whole);
    }
    assert_eq!(recorder.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_streams_than_allowed_are_refused() {
    let (recorder, site, gateway) = up("streams = 4").await;
    let client = Client::new(&site, &gateway);
    let mut frames = Frames::connect(&client).await;
    let head = client.signed("PUT", "/bbb/k", &[("content-length", "5")], UNSIGNED);
    for stream in [1, 3, 5, 7] {
        frames.headers(stream, &head, false).await;
    }
    until("all are served", || recorder.seen().len() == 4).await;
    frames.headers(9, &head, false).await;
    let end = frames.end_of(9).await;
    assert_eq!(end.reset, Some(7), "REFUSED_STREAM: {end:?}");
    // the others end as they would have
    frames.data(1, b"hello", true).await;
    let end = frames.end_of(1).await;
    assert_eq!(end.status, Some(200));
    assert_eq!(recorder.seen().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_fields_beyond_the_limit_is_refused() {
    let (recorder, site, gateway) = up("").await;
    let client = Client::new(&site, &gateway);
    let long = "a".repeat(20 * 1024);
    let many = vec![("x-a", "a"); 2000];
    for fields in [vec![("x-a", long.as_str())], many] {
        let head = client.signed("GET", "/bbb/k", &fields, UNSIGNED);
        let mut frames = Frames::connect(&client).await;
        frames.headers(1, &head, true).await;
        let end = frames.end_of(1).await;
        assert!(
            end.status == Some(431) || end.gone || end.reset.is_some(),
            "{end:?}"
        );
    }
    assert_eq!(recorder.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_resets_what_it_opens_loses_its_connection() {
    let (recorder, site, gateway) = up("").await;
    let client = Client::new(&site, &gateway);
    let head = client.signed("GET", "/bbb/k", &[], UNSIGNED);
    // as fast as possible, and so slowly that each has begun
    for slowly in [false, true] {
        if slowly {
            recorder.next((0..200).map(|_| Act::Answer(None, String::new(), Then::Stall)));
        }
        let mut frames = Frames::connect(&client).await;
        let flood = async {
            let mut stream = 1;
            while stream < 20_001 {
                let before = recorder.seen().len();
                if !frames.headers(stream, &head, true).await {
                    break;
                }
                if slowly {
                    let begun = until("it has begun", || recorder.seen().len() > before);
                    let _ = tokio::time::timeout(Duration::from_secs(1), begun).await;
                }
                if !frames.reset(stream).await {
                    break;
                }
                stream += 2;
            }
            stream
        };
        let reached = within("the gateway to close", flood).await;
        assert!(reached < 20_001, "slowly: {slowly}");
        let end = frames.end_of(u32::MAX).await;
        assert!(end.gone);
    }
    // others are served
    recorder.forget_acts();
    client.store("/bbb/k", b"content").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_client_takes_nothing_is_given_up() {
    let (recorder, site, gateway) = up("idle_timeout = \"1s\"").await;
    let client = Client::new(&site, &gateway);
    client.store("/bbb/k", &pattern(4 << 20)).await;
    let mut frames = Frames::with_window(&client, 1000).await;
    let head = client.signed("GET", "/bbb/k", &[], UNSIGNED);
    frames.headers(1, &head, true).await;
    // the connection is anything but idle
    let pings = async {
        while frames.ping().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within("the gateway to close", pings).await;
    let end = frames.end_of(1).await;
    assert!(end.gone && !end.clean, "{end:?}");
    assert!(recorder.over(1).await.over);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_streams_is_closed() {
    let (_recorder, site, gateway) = up("idle_timeout = \"1s\"").await;
    let client = Client::new(&site, &gateway);
    let mut unused = Frames::connect(&client).await;
    assert!(unused.end_of(1).await.gone);
    let head = client.signed("GET", "/bbb/k", &[], UNSIGNED);
    for _ in 0..5 {
        let mut used = Frames::connect(&client).await;
        used.headers(1, &head, true).await;
        assert_eq!(used.end_of(1).await.status, Some(404));
        assert!(used.end_of(3).await.gone);
    }
}
