//! What two parties could read differently is answered with an error and the connection closed; nothing of it goes on.

use crate::client::{Client, One, UNSIGNED};
use crate::frames::Frames;
use crate::recorder::Recorder;
use crate::site::{Gateway, Site};

async fn up() -> (Recorder, Site, Gateway) {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url());
    let gateway = site.start().await;
    (recorder, site, gateway)
}

/// Heads in whose place a sound one would be served; `HEAD` stands for the fields of a signed GET.
const REFUSED: &[(&str, &str)] = &[
    ("bare LF", "GET /bbb/k HTTP/1.1\n{F}\r\n"),
    (
        "bare LF in a field",
        "GET /bbb/k HTTP/1.1\r\n{F}X-A: b\n\r\n",
    ),
    ("bare CR", "GET /bbb/k HTTP/1.1\r\n{F}X-A: b\rc\r\n\r\n"),
    (
        "folded field",
        "GET /bbb/k HTTP/1.1\r\n{F}X-A: b\r\n c\r\n\r\n",
    ),
    (
        "space before the colon",
        "GET /bbb/k HTTP/1.1\r\n{F}X-A : b\r\n\r\n",
    ),
    ("no colon", "GET /bbb/k HTTP/1.1\r\n{F}X-A\r\n\r\n"),
    ("no name", "GET /bbb/k HTTP/1.1\r\n{F}: b\r\n\r\n"),
    (
        "NUL in a value",
        "GET /bbb/k HTTP/1.1\r\n{F}X-A: b\0c\r\n\r\n",
    ),
    ("NUL in the target", "GET /bbb/k\0 HTTP/1.1\r\n{F}\r\n"),
    (
        "two hosts",
        "GET /bbb/k HTTP/1.1\r\n{F}Host: localhost\r\n\r\n",
    ),
    (
        "two different hosts",
        "GET /bbb/k HTTP/1.1\r\n{F}Host: elsewhere\r\n\r\n",
    ),
    (
        "a list of hosts",
        "GET /bbb/k HTTP/1.1\r\nHost: localhost, elsewhere\r\n\r\n",
    ),
    ("no host", "GET /bbb/k HTTP/1.1\r\nX-A: b\r\n\r\n"),
    ("an empty host", "GET /bbb/k HTTP/1.1\r\nHost:\r\n\r\n"),
    (
        "user information",
        "GET /bbb/k HTTP/1.1\r\nHost: u@localhost\r\n\r\n",
    ),
    (
        "the target names another host",
        "GET http://elsewhere/bbb/k HTTP/1.1\r\n{F}\r\n",
    ),
    (
        "length and chunks",
        "GET /bbb/k HTTP/1.1\r\n{F}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunks and length",
        "GET /bbb/k HTTP/1.1\r\n{F}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    ),
    (
        "two lengths",
        "GET /bbb/k HTTP/1.1\r\n{F}Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    ),
    (
        "a list of lengths",
        "GET /bbb/k HTTP/1.1\r\n{F}Content-Length: 0, 0\r\n\r\n",
    ),
    (
        "a signed length",
        "GET /bbb/k HTTP/1.1\r\n{F}Content-Length: +0\r\n\r\n",
    ),
    (
        "an endless length",
        "GET /bbb/k HTTP/1.1\r\n{F}Content-Length: 99999999999999999999\r\n\r\n",
    ),
    (
        "gzip, chunked",
        "GET /bbb/k HTTP/1.1\r\n{F}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked, identity",
        "GET /bbb/k HTTP/1.1\r\n{F}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked twice",
        "GET /bbb/k HTTP/1.1\r\n{F}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "xchunked",
        "GET /bbb/k HTTP/1.1\r\n{F}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    ("HTTP/1.0", "GET /bbb/k HTTP/1.0\r\n{F}\r\n"),
    ("HTTP/2.0 in text", "GET /bbb/k HTTP/2.0\r\n{F}\r\n"),
    ("no version", "GET /bbb/k\r\n\r\n"),
    ("two spaces", "GET  /bbb/k HTTP/1.1\r\n{F}\r\n"),
    ("a line before", "\r\nGET /bbb/k HTTP/1.1\r\n{F}\r\n"),
    ("CONNECT", "CONNECT localhost:443 HTTP/1.1\r\n{F}\r\n"),
    ("TRACE", "TRACE /bbb/k HTTP/1.1\r\n{F}\r\n"),
    ("a star", "GET * HTTP/1.1\r\n{F}\r\n"),
    ("no path", "GET b/k HTTP/1.1\r\n{F}\r\n"),
    ("a backslash", "GET /bbb\\k HTTP/1.1\r\n{F}\r\n"),
    ("a fragment", "GET /bbb/k#f HTTP/1.1\r\n{F}\r\n"),
    (
        "an expectation",
        "GET /bbb/k HTTP/1.1\r\n{F}Expect: miracles\r\n\r\n",
    ),
    (
        "two upgrades",
        "GET /bbb/k HTTP/1.1\r\n{F}Upgrade: a\r\nUpgrade: b\r\n\r\n",
    ),
];

async fn refused(one: &mut One, name: &str) {
    let reply = one.reply().await;
    assert!((400..600).contains(&reply.status), "{name}: {}", reply.head);
    assert!(reply.whole, "{name}");
    one.closed(name).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_heads_are_refused_and_the_connection_closed() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    let good = client.head("GET", "/bbb/k", &[]);
    let (_, fields) = good.split_once("\r\n").unwrap();
    let fields = fields.strip_suffix("\r\n").unwrap();
    // each alone, and as the second of two, with a good one behind it that must not be served
    for (name, text) in REFUSED {
        let text = text.replace("{F}", fields);
        let mut one = client.one().await;
        one.send(format!("{text}{good}")).await;
        refused(&mut one, name).await;
    }
    assert_eq!(recorder.seen().len(), 0);
    for (name, text) in REFUSED {
        let before = recorder.seen().len();
        let text = text.replace("{F}", fields);
        let mut one = client.one().await;
        one.send(format!("{good}{text}{good}")).await;
        assert_eq!(one.reply().await.status, 404, "{name}");
        refused(&mut one, name).await;
        assert_eq!(recorder.seen().len(), before + 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_heads_pass_the_same_gate() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    for (method, name, value) in [
        ("GET", "host", "elsewhere"),
        ("GET", "content-length", "0, 0"),
        ("GET", "transfer-encoding", "chunked"),
        ("GET", "connection", "close"),
        ("GET", "upgrade", "websocket"),
        ("GET", "expect", "miracles"),
        ("TRACE", "x-a", "b"),
        ("CONNECT", "x-a", "b"),
    ] {
        let mut head = client.signed(method, "/bbb/k", &[], UNSIGNED);
        head.headers.remove("host");
        head.headers.insert(name, value.parse().unwrap());
        let mut frames = Frames::connect(&client).await;
        frames.headers(1, &head, true).await;
        let end = frames.end_of(1).await;
        let refused = end.status.is_some_and(|status| status >= 400);
        assert!(
            refused || end.reset.is_some() || end.gone,
            "{name}: {end:?}"
        );
    }
    assert_eq!(recorder.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn oversized_heads_are_answered_431() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    let long = "a".repeat(17 * 1024);
    let many: String = (0..200).map(|n| format!("X-{n}: a\r\n")).collect();
    // far more than is read, which must not cost the client the answer
    let endless = format!("X-A: {}", "a".repeat(200 * 1024));
    for head in [
        format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-A: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n"),
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{endless}\r\n"),
    ] {
        let mut one = client.one().await;
        one.send(head).await;
        let reply = one.reply().await;
        assert_eq!(reply.status, 431);
        assert!(reply.field("x-sceau-request-id").is_some());
        one.closed("").await;
    }
    assert_eq!(recorder.seen().len(), 0);
}

/// Chunked bodies whose framing is broken: the recorder never gets a whole object.
#[tokio::test(flavor = "multi_thread")]
async fn broken_chunks_are_refused() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    let head = client.head("PUT", "/bbb/k", &[("transfer-encoding", "chunked")]);
    let aws = client.signed(
        "PUT",
        "/bbb/k",
        &[
            ("transfer-encoding", "chunked"),
            ("content-encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "5"),
            ("x-amz-trailer", "x-amz-checksum-crc32"),
        ],
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    );
    for head in [head, crate::client::text(&aws)] {
        for body in [
            "5;ext=1\r\nhello\r\n0\r\n\r\n",
            "5\nhello\r\n0\r\n\r\n",
            "5\r\nhelloX0\r\n\r\n",
            "5 \r\nhello\r\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "-5\r\nhello\r\n0\r\n\r\n",
            "\r\nhello\r\n0\r\n\r\n",
            "fffffffffffffffff\r\nhello",
            "5\r\nhello\r\n0\r\nx: y\n\r\n",
        ] {
            let mut one = client.one().await;
            one.send(format!("{head}{body}")).await;
            let reply = one.reply().await;
            assert!(
                matches!(reply.status, 0 | 400..600),
                "{body:?}: {}",
                reply.head
            );
            one.closed("").await;
        }
    }
    assert!(recorder.seen().iter().all(|seen| !seen.whole));
    assert_eq!(recorder.stored("/bbb/k"), None);
}

/// A body that is hidden from one reader is a request to another: none may come out on the other side.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_smuggled() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    let hidden = client.head("GET", "/bbb/hidden", &[]);
    let length = hidden.len().to_string();
    let chunked = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    let two: &[(&str, &str)] = &[
        ("content-length", &length),
        ("transfer-encoding", "chunked"),
    ];
    for (fields, body) in [
        (two, format!("0\r\n\r\n{hidden}")),
        (two, chunked.clone()),
        (
            &[("content-length", "0"), ("content-length", &length)],
            hidden.clone(),
        ),
        (&[("content-length", &length)], hidden.clone()),
        (&[("transfer-encoding", "chunked")], chunked),
        (&[("transfer-encoding", " chunked\u{b}")], hidden.clone()),
        (
            &[
                ("transfer-encoding", "chunked"),
                ("transfer-encoding", "identity"),
            ],
            hidden.clone(),
        ),
    ] {
        let mut head = client.head("GET", "/bbb/k", &[]);
        head.truncate(head.len() - 2);
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut one = client.one().await;
        one.send(format!("{head}\r\n{body}")).await;
        let reply = one.reply().await;
        assert!((400..600).contains(&reply.status), "{}", reply.head);
    }
    assert!(
        recorder
            .seen()
            .iter()
            .all(|seen| !seen.line().contains("hidden"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn good_requests_in_a_row_are_answered_in_order() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    let mut all = Vec::new();
    for n in 0..20 {
        let content = format!("content {n}");
        all.extend(client.put(&format!("/bbb/{n}"), content.len()).into_bytes());
        all.extend(content.into_bytes());
        all.extend(client.head("GET", &format!("/bbb/{n}"), &[]).into_bytes());
    }
    let mut one = client.one().await;
    // pieces that end anywhere
    for piece in all.chunks(777) {
        one.send(piece).await;
    }
    for n in 0..20 {
        assert_eq!(one.reply().await.status, 200);
        assert_eq!(one.reply().await.text(), format!("content {n}"));
    }
    assert_eq!(recorder.seen().len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_host_gets_a_problem_document() {
    let (recorder, site, gateway) = up().await;
    let client = Client::new(&site, &gateway);
    for host in ["elsewhere.example", "localhost.example", "127.0.0.1"] {
        let mut one = client.one().await;
        one.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        let reply = one.reply().await;
        assert_eq!(reply.status, 421);
        assert_eq!(
            reply.field("content-type"),
            Some("application/problem+json")
        );
        let id = reply.field("x-sceau-request-id").unwrap().to_owned();
        let problem: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(problem["code"], "host-unknown");
        assert_eq!(problem["instance"], format!("urn:sceau:request:{id}"));
    }
    assert_eq!(recorder.seen().len(), 0);
}
