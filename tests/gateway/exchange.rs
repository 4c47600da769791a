//! One exchange: what of a request goes on, when a body is asked for, and how an early answer or a wrong body ends.

use aws_lc_rs::{digest, hmac};

use crate::client::{Client, text};
use crate::pattern;
use crate::recorder::{Act, Recorder, Then};
use crate::site::{Gateway, Site, UPSTREAM_SECRET};

async fn up() -> (Recorder, Site, Gateway) {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url());
    let gateway = site.start().await;
    (recorder, site, gateway)
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_of_the_connection_stay_on_it() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    let mut head = client.put("/bbb/k", 5);
    head.truncate(head.len() - 2);
    let fields = [
        ("Connection", "keep-alive, TE, Upgrade"),
        ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"),
        ("Trailer", "X-A"),
        ("Upgrade", "websocket"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic c2VjcmV0"),
        ("Expect", "100-continue"),
        ("Cookie", "a=b"),
        ("X-Forwarded-For", "10.0.0.1"),
    ];
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut one = client.one().await;
    one.send(format!("{head}\r\nhello")).await;
    assert_eq!(one.reply().await.status, 100);
    assert_eq!(one.reply().await.status, 200);
    let seen = recorder.over(0).await;
    for (name, _) in fields {
        assert_eq!(seen.field(name), None, "{}", seen.head);
    }
    // nor anything of the client's own signature, nor the content's beginning in clear
    assert!(!seen.head.contains("EXAMPLE") && !seen.head.contains(UPSTREAM_SECRET));
    assert!(memchr::memmem::find(&seen.body, b"hello").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_field_that_names_a_field_of_the_request_is_refused() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    for nominated in ["x-amz-storage-class", "close, X-Amz-Date", "authorization"] {
        let fields = [("x-amz-storage-class", "COLD"), ("content-length", "0")];
        let mut head = client.head("PUT", "/bbb/k", &fields);
        head.truncate(head.len() - 2);
        let mut one = client.one().await;
        one.send(format!("{head}Connection: {nominated}\r\n\r\n"))
            .await;
        assert_eq!(one.reply().await.status, 400);
        one.closed("").await;
    }
    assert_eq!(recorder.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_asked_for_only_once_the_request_is_accepted() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    let expecting = |path: &str| {
        let mut head = client.put(path, 5);
        head.truncate(head.len() - 2);
        head + "Expect: 100-continue\r\n\r\n"
    };
    // a wrong signature: no 100, one final answer
    let mut one = client.one().await;
    one.send(expecting("/bbb/k").replace("/bbb/k", "/bbb/x"))
        .await;
    let reply = one.reply().await;
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("SignatureDoesNotMatch"));
    one.closed("").await;
    assert_eq!(recorder.seen().len(), 0);
    // a provider that can't be reached: no 100 either
    let nowhere = Site::new(&format!("http://{}", crate::site::free_address()));
    let dead = nowhere.start().await;
    let mut one = Client::new(&nowhere, &dead).one().await;
    one.send(
        Client::new(&nowhere, &dead)
            .put("/bbb/k", 5)
            .replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"),
    )
    .await;
    assert_eq!(one.reply().await.status, 502);
    // accepted: 100, then 200
    let mut one = client.one().await;
    one.send(expecting("/bbb/k")).await;
    assert_eq!(one.reply().await.status, 100);
    one.send("hello").await;
    assert_eq!(one.reply().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_error_reaches_the_client_and_closes_its_connection() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    let document = "<Error><Code>QuotaExceeded</Code><Message>full</Message></Error>";
    let answer = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{document}",
        document.len()
    );
    // a provider that closes at once makes it a race, which must not be lost
    for then in [vec![Then::Stall], vec![Then::Close; 10]].concat() {
        recorder.next([Act::Answer(Some(100_000), answer.clone(), then)]);
        let mut one = client.one().await;
        // more is declared than ever comes: only an answer that does not wait for the body can be one
        one.send(client.put("/bbb/k", 100 << 20)).await;
        one.send(pattern(1 << 20)).await;
        let reply = one.reply().await;
        assert_eq!(reply.status, 403, "{then:?} {}", reply.text());
        assert!(reply.text().contains("QuotaExceeded"));
        assert_eq!(reply.field("connection"), Some("close"));
        one.closed("").await;
    }
}

/// A provider that says yes before it has the object has not got the object.
#[tokio::test(flavor = "multi_thread")]
async fn an_early_success_is_none() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    let answer = "HTTP/1.1 200 OK\r\nETag: \"0123456789abcdef0123456789abcdef\"\r\nContent-Length: 0\r\n\r\n";
    recorder.next([Act::Answer(Some(100_000), answer.into(), Then::Stall)]);
    let mut one = client.one().await;
    one.send(client.put("/bbb/k", 100 << 20)).await;
    one.send(pattern(1 << 20)).await;
    let reply = one.reply().await;
    assert_eq!(reply.status, 502);
    assert!(reply.text().contains("upstream-outcome-unknown"));
    one.closed("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_is_read_within_bounds_only() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    let length = 200 << 20;
    let mut one = client.one().await;
    one.send(client.put("/bbb/k", length).replace("/bbb/k", "/bbb/x"))
        .await;
    let upload = async {
        let piece = pattern(1 << 20);
        for _ in 0..length >> 20 {
            use tokio::io::AsyncWriteExt as _;
            if one.stream.write_all(&piece).await.is_err() {
                return false;
            }
        }
        true
    };
    assert!(
        !crate::within("an end", upload).await,
        "all of the body was taken"
    );
    assert_eq!(recorder.seen().len(), 0);
    // a short one is read, so that the answer arrives whatever the client does first
    let mut one = client.one().await;
    one.send(client.put("/bbb/k", 100_000).replace("/bbb/k", "/bbb/x"))
        .await;
    one.send(pattern(100_000)).await;
    assert_eq!(one.reply().await.status, 403);
    one.closed("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_longer_than_declared_ends_where_it_was_declared() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    let mut one = client.one().await;
    one.send(client.put("/bbb/k", 5)).await;
    one.send("hello, and more\r\n").await;
    assert_eq!(one.reply().await.status, 200);
    assert_eq!(one.reply().await.status, 400);
    one.closed("").await;
    assert_eq!(recorder.seen().len(), 1);
    assert_eq!(one_object(&client, "/bbb/k").await, b"hello");
}

async fn one_object(client: &Client, path: &str) -> Vec<u8> {
    let mut one = client.one().await;
    one.send(client.head("GET", path, &[])).await;
    let reply = one.reply().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.body
}

/// The next signature of a chunked upload.
fn chunk_signature(key: &hmac::Key, date: &str, previous: &str, data: &[u8]) -> String {
    let sha = |data: &[u8]| hex::encode(digest::digest(&digest::SHA256, data));
    let day = &date[..8];
    let text = format!(
        "AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{day}/us-east-1/s3/aws4_request\n{previous}\n{}\n{}",
        sha(b""),
        sha(data)
    );
    hex::encode(hmac::sign(key, text.as_bytes()))
}

fn signing_key(secret: &str, day: &str) -> hmac::Key {
    let mut key = format!("AWS4{}", secret.trim_end()).into_bytes();
    for part in [day, "us-east-1", "s3", "aws4_request"] {
        let step = hmac::Key::new(hmac::HMAC_SHA256, &key);
        key = hmac::sign(&step, part.as_bytes()).as_ref().to_vec();
    }
    hmac::Key::new(hmac::HMAC_SHA256, &key)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_with_a_wrong_signature_never_completes_an_object() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    let (first, second) = (pattern(200_000), pattern(70_000));
    for wrong in [false, true] {
        let mut framed = Vec::new();
        let head = |length: usize| {
            client.signed(
                "PUT",
                "/bbb/k",
                &[
                    ("content-length", &length.to_string()),
                    ("content-encoding", "aws-chunked"),
                    ("x-amz-decoded-content-length", "270000"),
                ],
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            )
        };
        // the length of a chunk's line does not depend on its signature
        let length = [first.len(), second.len(), 0]
            .iter()
            .map(|n| format!("{n:x};chunk-signature=\r\n\r\n").len() + 64 + n)
            .sum();
        let head = head(length);
        let field = |name: &str| head.headers[name].to_str().unwrap().to_owned();
        let date = field("x-amz-date");
        let key = signing_key(&site.secret, &date[..8]);
        let mut previous = field("authorization")
            .rsplit_once('=')
            .unwrap()
            .1
            .to_owned();
        for chunk in [first.as_slice(), second.as_slice(), b""] {
            previous = chunk_signature(&key, &date, &previous, chunk);
            framed.extend(format!("{:x};chunk-signature={previous}\r\n", chunk.len()).into_bytes());
            framed.extend_from_slice(chunk);
            framed.extend_from_slice(b"\r\n");
        }
        if wrong {
            // a byte of the second chunk
            framed[230_000] ^= 1;
        }
        let mut one = client.one().await;
        one.send(text(&head)).await;
        one.send(&framed).await;
        let reply = one.reply().await;
        let seen = recorder.over(usize::from(wrong)).await;
        if wrong {
            assert_eq!(reply.status, 403, "{}", reply.text());
            assert!(reply.text().contains("SignatureDoesNotMatch"));
            assert!(!seen.whole && !seen.body.is_empty());
        } else {
            assert_eq!(reply.status, 200, "{}", reply.text());
            assert!(seen.whole);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_checksum_never_completes_an_object() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    let content = pattern(200_000);
    let crc = |content: &[u8]| {
        use base64::Engine as _;
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32IsoHdlc, content) as u32;
        base64::engine::general_purpose::STANDARD.encode(crc.to_be_bytes())
    };
    for (number, wrong) in [false, true].into_iter().enumerate() {
        let value = crc(if wrong { b"something else" } else { &content });
        let mut framed = format!("{:x}\r\n", content.len()).into_bytes();
        framed.extend_from_slice(&content);
        framed.extend(format!("\r\n0\r\nx-amz-checksum-crc32:{value}\r\n\r\n").into_bytes());
        let fields = [
            ("content-length", framed.len().to_string()),
            ("content-encoding", "aws-chunked".into()),
            ("x-amz-decoded-content-length", content.len().to_string()),
            ("x-amz-trailer", "x-amz-checksum-crc32".into()),
        ];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let head = client.signed(
            "PUT",
            "/bbb/k",
            &fields,
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        );
        let mut one = client.one().await;
        one.send(text(&head)).await;
        one.send(&framed).await;
        let reply = one.reply().await;
        let seen = recorder.over(number).await;
        if wrong {
            assert_eq!(reply.status, 400);
            assert!(reply.text().contains("BadDigest"), "{}", reply.text());
            assert!(!seen.whole && !seen.body.is_empty());
        } else {
            assert_eq!(reply.status, 200, "{}", reply.text());
            assert!(seen.whole);
        }
    }
}
