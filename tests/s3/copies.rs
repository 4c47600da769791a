//! CopyObject and UploadPartCopy.

use std::time::Duration;

use super::client::{Ask, Config, Gateway, bytes};
use super::provider::{Provider, Seen, Twist};

const PART: usize = 5 << 20;

fn copy<'g>(gateway: &'g Gateway, from: &str, to: &str) -> Ask<'g> {
    gateway
        .put(&format!("/bucket/{to}"), "")
        .header("x-amz-copy-source", format!("/bucket/{from}"))
}

fn copies(seen: &Seen) -> bool {
    seen.header("x-amz-copy-source").is_some()
}

async fn with_metadata(gateway: &Gateway, key: &str, content: &[u8]) {
    gateway
        .put(&format!("/bucket/{key}"), content.to_vec())
        .header("content-type", "text/one")
        .header("x-amz-meta-a", "one")
        .send()
        .await
        .ok();
}

#[tokio::test]
async fn an_object_is_copied_by_the_provider_and_opens_at_its_new_place() {
    let gateway = Gateway::new();
    let content = bytes(300_000, 1);
    with_metadata(&gateway, "a%20b", &content).await;
    gateway.provider.seen();
    let done = copy(&gateway, "a%20b", "c").send().await.ok();
    let bytes_up: usize = gateway.provider.seen().iter().map(|s| s.body.len()).sum();
    assert_eq!(bytes_up, 0, "the bytes stay at the provider");
    let got = gateway.get("/bucket/c").send().await.ok();
    assert!(got.body == content);
    assert_eq!(got.header("content-type"), "text/one");
    assert_eq!(got.header("x-amz-meta-a"), "one");
    assert_eq!(got.header("etag"), done.element("ETag"));
    // replaced
    let replaced = copy(&gateway, "c", "d")
        .header("x-amz-metadata-directive", "REPLACE")
        .header("content-type", "text/two")
        .header("x-amz-meta-b", "two");
    replaced.send().await.ok();
    let got = gateway.get("/bucket/d").send().await.ok();
    assert!(got.body == content);
    assert_eq!(got.header("content-type"), "text/two");
    assert_eq!(got.header("x-amz-meta-a"), "");
    assert_eq!(got.header("x-amz-meta-b"), "two");
    // of many runs, and a directory marker
    gateway.upload("m", &[&bytes(PART, 2), b"end"]).await.ok();
    copy(&gateway, "m", "n").send().await.ok();
    assert!(gateway.read("n").await == [&bytes(PART, 2)[..], b"end"].concat());
    gateway.put("/bucket/dir/", "").send().await.ok();
    copy(&gateway, "dir/", "other/").send().await.ok();
    assert_eq!(gateway.read("other/").await, b"");
}

#[tokio::test]
async fn a_copy_onto_itself_must_change_something() {
    let gateway = Gateway::new();
    with_metadata(&gateway, "k", b"content").await;
    let refused = copy(&gateway, "k", "k").send().await.refused();
    assert_eq!(refused, (400, "InvalidRequest".into()));
    let class = copy(&gateway, "k", "k").header("x-amz-storage-class", "STANDARD_IA");
    class.send().await.ok();
    let replaced = copy(&gateway, "k", "k")
        .header("x-amz-metadata-directive", "REPLACE")
        .header("x-amz-meta-a", "two");
    replaced.send().await.ok();
    let got = gateway.get("/bucket/k").send().await.ok();
    assert_eq!(
        (got.header("x-amz-meta-a"), got.body),
        ("two".into(), b"content".to_vec())
    );
    let odd = copy(&gateway, "k", "l").header("x-amz-metadata-directive", "MOVE");
    assert_eq!(odd.send().await.refused().1, "InvalidArgument");
}

#[tokio::test]
async fn only_the_sources_own_object_is_copied() {
    let gateway = Gateway::new();
    with_metadata(&gateway, "a", &bytes(1000, 1)).await;
    with_metadata(&gateway, "b", &bytes(1000, 2)).await;
    let b = gateway.provider.object("bucket", "b").unwrap();
    gateway.provider.store("bucket", "a", b.clone());
    gateway.provider.seen();
    let refused = copy(&gateway, "a", "c").send().await;
    assert_eq!(refused.code, "object-substituted");
    let mut foreign = b;
    foreign.headers.clear();
    gateway.provider.store("bucket", "a", foreign);
    let refused = copy(&gateway, "a", "c").send().await;
    assert_eq!(refused.code, "object-unsealed");
    assert!(!gateway.provider.seen().iter().any(copies));
    assert_eq!(copy(&gateway, "none", "c").send().await.refused().0, 404);
    // replaced after it was verified
    let act = |provider: &Provider| {
        let mut object = provider.object("bucket", "b").unwrap();
        object.etag = "f".repeat(32);
        provider.store("bucket", "b", object);
    };
    gateway.provider.twist(copies, Twist::First(Box::new(act)));
    assert_eq!(copy(&gateway, "b", "c").send().await.refused().0, 412);
    assert!(gateway.provider.object("bucket", "c").is_none());
}

#[tokio::test]
async fn conditions_on_the_source_and_on_the_target() {
    let gateway = Gateway::new();
    with_metadata(&gateway, "k", b"content").await;
    let tag = gateway.head("/bucket/k").send().await.ok().header("etag");
    for (name, value, good) in [
        ("x-amz-copy-source-if-match", tag.as_str(), true),
        ("x-amz-copy-source-if-match", "\"x\"", false),
        ("x-amz-copy-source-if-none-match", &tag, false),
        ("x-amz-copy-source-if-none-match", "\"x\"", true),
        (
            "x-amz-copy-source-if-modified-since",
            "Wed, 25 Nov 2026 12:00:00 GMT",
            false,
        ),
        (
            "x-amz-copy-source-if-unmodified-since",
            "Mon, 23 Nov 2026 12:00:00 GMT",
            false,
        ),
    ] {
        let done = copy(&gateway, "k", "l").header(name, value).send().await;
        match good {
            true => drop(done.ok()),
            false => assert_eq!(done.refused(), (412, "PreconditionFailed".into()), "{name}"),
        }
    }
    let taken = copy(&gateway, "k", "l").header("if-none-match", "*");
    assert_eq!(taken.send().await.refused().0, 412);
}

#[tokio::test]
async fn a_version_is_copied() {
    let gateway = Gateway::new();
    gateway.provider.versioned();
    let one = gateway.put("/bucket/k", "one").send().await.ok();
    gateway.put("/bucket/k", "two").send().await.ok();
    let from = format!("k?versionId={}", one.header("x-amz-version-id"));
    let done = copy(&gateway, &from, "k").send().await.ok();
    assert!(!done.header("x-amz-version-id").is_empty());
    assert_eq!(gateway.read("k").await, b"one");
}

#[tokio::test]
async fn a_source_too_large_for_one_copy_is_said_to_be() {
    let gateway = Gateway::new();
    gateway
        .upload("k", &[&bytes(PART, 1), &bytes(PART, 2)])
        .await
        .ok();
    let small = gateway.after_loss(&Config {
        max_put: (PART + 100_000) as u64,
        ..Config::default()
    });
    let refused = copy(&small, "k", "l").send().await.refused();
    assert_eq!(refused, (400, "EntityTooLarge".into()));
}

#[tokio::test]
async fn parts_are_copied_by_opening_and_sealing_anew() {
    let gateway = Gateway::new();
    let content = [bytes(PART, 1), bytes(PART, 2)].concat();
    gateway
        .upload("m", &[&content[..PART], &content[PART..]])
        .await
        .ok();
    gateway.put("/bucket/s", bytes(9000, 3)).send().await.ok();
    let id = gateway.begin("k").await;
    let part = |number: u32, from: &str, range: Option<&str>| {
        let target = format!("/bucket/k?partNumber={number}&uploadId={id}");
        let ask = gateway
            .put(&target, "")
            .header("x-amz-copy-source", format!("bucket/{from}"));
        match range {
            Some(range) => ask.header("x-amz-copy-source-range", range),
            None => ask,
        }
    };
    let tags = [
        (1, part(1, "m", None).send().await.ok().element("ETag")),
        (
            2,
            part(2, "m", Some("bytes=5-5242899"))
                .send()
                .await
                .ok()
                .element("ETag"),
        ),
        (
            3,
            part(3, "s", Some("bytes=10-19"))
                .send()
                .await
                .ok()
                .element("ETag"),
        ),
    ];
    gateway.complete("k", &id, &tags).send().await.ok();
    let expected = [
        &content[..],
        &content[5..5_242_900],
        &bytes(9000, 3)[10..20],
    ]
    .concat();
    assert!(gateway.read("k").await == expected);
    let id = gateway.begin("k").await;
    for (range, code) in [
        ("bytes=0-9000", "InvalidRange"),
        ("bytes=5-", "InvalidArgument"),
        ("bytes=-5", "InvalidArgument"),
        ("0-5", "InvalidArgument"),
    ] {
        let target = format!("/bucket/k?partNumber=1&uploadId={id}");
        let ask = gateway
            .put(&target, "")
            .header("x-amz-copy-source", "bucket/s");
        let refused = ask.header("x-amz-copy-source-range", range).send().await;
        assert_eq!(refused.refused().1, code, "{range}");
    }
    // replaced between its head and its bytes: once more
    let act = |provider: &Provider| {
        let object = provider.object("bucket", "t").unwrap();
        provider.store("bucket", "s", object);
    };
    gateway.put("/bucket/s", bytes(500, 5)).send().await.ok();
    let newer = gateway.provider.object("bucket", "s").unwrap();
    gateway.put("/bucket/s", bytes(9000, 3)).send().await.ok();
    gateway.provider.store("bucket", "t", newer);
    let ranged = |s: &Seen| s.is("GET", "/bucket/s") && s.header("range").is_some();
    gateway.provider.twist(ranged, Twist::First(Box::new(act)));
    let target = format!("/bucket/k?partNumber=1&uploadId={id}");
    let ask = gateway
        .put(&target, "")
        .header("x-amz-copy-source", "bucket/s");
    let tag = ask.send().await.ok().element("ETag");
    gateway.complete("k", &id, &[(1, tag)]).send().await.ok();
    assert!(gateway.read("k").await == bytes(500, 5));
}

#[tokio::test]
async fn a_damaged_source_makes_no_part() {
    let gateway = Gateway::new();
    gateway
        .put("/bucket/s", bytes(200_000, 1))
        .send()
        .await
        .ok();
    let mut object = gateway.provider.object("bucket", "s").unwrap();
    let mut damaged = object.bytes.to_vec();
    damaged[150_000] ^= 1;
    object.bytes = damaged.into();
    gateway.provider.store("bucket", "s", object);
    let id = gateway.begin("k").await;
    let target = format!("/bucket/k?partNumber=1&uploadId={id}");
    let ask = gateway
        .put(&target, "")
        .header("x-amz-copy-source", "bucket/s");
    let refused = ask.send().await;
    assert_eq!(refused.code, "object-damaged");
    assert!(gateway.spools().is_empty());
}

#[tokio::test]
async fn a_lasting_copy_answers_early_and_tells_its_outcome_inside() {
    let gateway = Gateway::with(Config {
        patience: Duration::ZERO,
        ..Config::default()
    });
    with_metadata(&gateway, "k", b"content").await;
    let done = copy(&gateway, "k", "l").send().await.ok();
    assert!(done.text().starts_with("<?xml") && !done.element("ETag").is_empty());
    let inside = Twist::Instead(200, "InternalError");
    gateway.provider.twist(copies, inside);
    let failed = copy(&gateway, "k", "m").send().await;
    assert_eq!(
        (failed.status.as_u16(), failed.element("Code")),
        (200, "InternalError".into())
    );
    let refused = copy(&gateway, "none", "m").send().await;
    assert_eq!(refused.element("Code"), "NoSuchKey");
}
