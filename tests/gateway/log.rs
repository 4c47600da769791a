//! What the log says, and what it never says, at its most talkative.

use base64::Engine as _;
use rustix::process::Signal;

use crate::client::{Client, UNSIGNED, full, request};
use crate::drain::Process;
use crate::recorder::{Act, Recorder, Then};
use crate::site::{Site, UPSTREAM_SECRET};
use crate::{pattern, until};

const BODY: &str = "a body that is nobody's business";

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_the_request_and_tells_no_secret() {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url());
    site.edit(Site::GATEWAY, "# filter = \"info\"", "filter = \"trace\"");
    let address = site.bind();
    let mut process = Process::start(&site, address).await;
    let client = Client::at(&site, address, "EXAMPLE", &site.secret);
    let mut ids = Vec::new();
    let mut secrets = Vec::new();
    let mut keep = |head: &str| {
        let line = head
            .lines()
            .find(|line| line.starts_with("authorization"))
            .unwrap();
        secrets.push(line.rsplit_once("Signature=").unwrap().1.to_owned());
    };
    let mut one = client.one().await;
    for (method, path) in [
        ("PUT", "/bbb/a-name-of-somebody"),
        (
            "GET",
            "/bbb/a-name-of-somebody?response-content-type=text%2Fa-query-value",
        ),
        ("GET", "/bbb/a-name-of-somebody?a-query-key=a-query-value"),
        ("PUT", "/bbb/a-name-of-somebody?uploadId=a-query-value"),
    ] {
        let length = if method == "PUT" {
            BODY.len().to_string()
        } else {
            "0".into()
        };
        let head = client.head(
            method,
            path,
            &[
                ("content-length", &length),
                ("x-amz-meta-a", "a-meta-value"),
            ],
        );
        keep(&head);
        one.send(&head).await;
        if method == "PUT" {
            one.send(BODY).await;
        }
        let reply = one.reply().await;
        assert_ne!(reply.status, 0);
        ids.push(reply.field("x-sceau-request-id").unwrap().to_owned());
        if reply.field("connection") == Some("close") {
            one = client.one().await;
        }
    }
    // refused, broken at the provider, cut at the provider, and over HTTP/2
    for act in [
        Act::Answer(None, String::new(), Then::Close),
        Act::Cut(10, Then::Close),
        Act::Flip(300),
    ] {
        recorder.next([act]);
        let head = client.head("GET", "/bbb/a-name-of-somebody", &[]);
        keep(&head);
        let mut one = client.one().await;
        one.send(&head).await;
        ids.push(
            one.reply()
                .await
                .field("x-sceau-request-id")
                .unwrap()
                .to_owned(),
        );
    }
    let head = client
        .head("GET", "/bbb/a-name-of-somebody", &[])
        .replace("Signature=", "Signature=0");
    keep(&head);
    let mut one = client.one().await;
    one.send(&head).await;
    ids.push(
        one.reply()
            .await
            .field("x-sceau-request-id")
            .unwrap()
            .to_owned(),
    );
    let mut two = client.two().await;
    let head = client.signed(
        "GET",
        "/bbb/a-name-of-somebody?versionId=a-query-value",
        &[],
        UNSIGNED,
    );
    keep(&crate::client::text(&head));
    let answer = two.send_request(request(head, full(""))).await.unwrap();
    ids.push(
        answer.headers()["x-sceau-request-id"]
            .to_str()
            .unwrap()
            .to_owned(),
    );
    drop(answer);
    drop(two);
    for seen in recorder.seen() {
        keep(
            &seen
                .head
                .to_ascii_lowercase()
                .replace("signature=", "Signature="),
        );
    }
    process.signal(Signal::TERM);
    process.ended().await;
    let log = process.text();

    for id in &ids {
        let lines: Vec<serde_json::Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
            .filter(|line: &serde_json::Value| line["id"] == **id && line.get("outcome").is_some())
            .collect();
        assert_eq!(lines.len(), 1, "one line for {id}");
        for field in ["method", "status", "bytes", "ms", "operation"] {
            assert!(lines[0].get(field).is_some(), "{field}: {}", lines[0]);
        }
    }
    secrets.extend([site.secret.trim().to_owned(), UPSTREAM_SECRET.to_owned()]);
    let passphrase = std::fs::read_to_string(site.root().join("secrets/passphrase")).unwrap();
    secrets.push(passphrase.trim().to_owned());
    secrets.extend(
        [
            "a-query",
            "a-meta-value",
            "a-name-of-somebody",
            "Signature=",
            "AWS4-HMAC",
            &BODY[..12],
        ]
        .map(str::to_owned),
    );
    for secret in secrets.iter().filter(|secret| secret.len() > 4) {
        let coded = base64::engine::general_purpose::STANDARD.encode(secret);
        for form in [
            secret.clone(),
            hex::encode(secret),
            coded[..coded.len() - 4].to_owned(),
        ] {
            let line = log.lines().find(|line| line.contains(&form));
            assert_eq!(line, None, "{form}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_of_an_answer_is_told_apart() {
    let recorder = Recorder::start().await;
    let site = Site::new(&recorder.url());
    let address = site.bind();
    let process = Process::start(&site, address).await;
    let client = Client::at(&site, address, "EXAMPLE", &site.secret);
    client.store("/bbb/k", &pattern(64 << 20)).await;
    recorder.next([Act::Cut(300_000, Then::Close)]);
    let mut one = client.one().await;
    one.send(client.head("GET", "/bbb/k", &[])).await;
    assert!(!one.reply().await.whole);
    let mut one = client.one().await;
    one.send(client.head("GET", "/bbb/k", &[])).await;
    let mut some = [0; 10_000];
    tokio::io::AsyncReadExt::read_exact(&mut one.stream, &mut some)
        .await
        .unwrap();
    drop(one);
    for outcome in ["done", "aborted", "cut"] {
        let text = format!("\"outcome\":\"{outcome}\"");
        until("the line", || process.text().contains(&text)).await;
    }
}
