//! PutObject, GetObject, HeadObject, DeleteObject.

use http::HeaderMap;
use sceau::adapter::s3::checksum::{self, Algorithm};
use sceau::adapter::s3::settings::ConditionalWrites;
use sceau::state::{SqliteState, State as _, Table};

use super::client::{Config, Gateway, NOW, bytes};
use super::provider::{Object, Provider, Seen, Twist};

const SIZES: [usize; 9] = [
    0, 1, 65_535, 65_536, 65_537, 131_072, 327_679, 327_681, 700_001,
];

fn sealed_length(provider: &Provider, key: &str) -> usize {
    provider.object("bucket", key).unwrap().bytes.len()
}

#[tokio::test]
async fn what_is_put_comes_back_at_every_boundary() {
    let gateway = Gateway::new();
    for size in SIZES {
        let content = bytes(size, 1);
        gateway.put("/bucket/k", content.clone()).send().await.ok();
        let got = gateway.get("/bucket/k").send().await.ok();
        assert!(got.body == content, "{size}");
        assert_eq!(got.header("content-length"), size.to_string());
        let head = gateway.head("/bucket/k").send().await.ok();
        assert_eq!(head.header("content-length"), size.to_string());
        assert_eq!(head.header("etag"), got.header("etag"));
        assert!(sealed_length(&gateway.provider, "k") > size);
    }
}

#[tokio::test]
async fn ranges_of_one_run_cost_one_request() {
    let gateway = Gateway::new();
    let content = bytes(300_000, 2);
    gateway.put("/bucket/k", content.clone()).send().await.ok();
    for (range, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=65535-65536", 65_535..65_537),
        ("bytes=100000-200000", 100_000..200_001),
        ("bytes=299999-", 299_999..300_000),
        ("bytes=70000-", 70_000..300_000),
        ("bytes=0-999999999", 0..300_000),
    ] {
        gateway.provider.seen();
        let got = gateway
            .get("/bucket/k")
            .header("range", range)
            .send()
            .await
            .ok();
        assert_eq!(got.status, 206, "{range}");
        assert!(got.body == content[expected.clone()], "{range}");
        let shown = format!("bytes {}-{}/300000", expected.start, expected.end - 1);
        assert_eq!(got.header("content-range"), shown);
        assert_eq!(gateway.provider.seen().len(), 1, "{range}");
    }
    let got = gateway.get("/bucket/k").header("range", "bytes=-7");
    assert!(got.send().await.ok().body == content[299_993..]);
    let got = gateway.get("/bucket/k").header("range", "bytes=0-1,5-6");
    let got = got.send().await.ok();
    assert_eq!((got.status.as_u16(), got.body.len()), (200, 300_000));
    let head = gateway.head("/bucket/k").header("range", "bytes=5-9");
    let head = head.send().await.ok();
    assert_eq!(head.status, 206);
    assert_eq!(head.header("content-length"), "5");
}

#[tokio::test]
async fn what_lies_beyond_the_end_is_416_with_the_plaintexts_length() {
    let gateway = Gateway::new();
    gateway.put("/bucket/k", bytes(1000, 3)).send().await.ok();
    gateway.put("/bucket/empty", "").send().await.ok();
    for (key, range, shown) in [
        ("k", "bytes=1000-", "bytes */1000"),
        ("k", "bytes=1100-1200", "bytes */1000"),
        ("k", "bytes=99999999-", "bytes */1000"),
        ("k", "bytes=-0", "bytes */1000"),
        ("empty", "bytes=0-0", "bytes */0"),
    ] {
        let target = format!("/bucket/{key}");
        let got = gateway.get(&target).header("range", range).send().await;
        assert_eq!(got.refused(), (416, "InvalidRange".into()), "{range}");
        assert_eq!(got.header("content-range"), shown, "{range}");
    }
    // a range that If-Range overrules is no error, even beyond the end
    let got = gateway
        .get("/bucket/k")
        .header("range", "bytes=99999999-")
        .header("if-range", "\"other\"")
        .send()
        .await
        .ok();
    assert_eq!((got.status.as_u16(), got.body.len()), (200, 1000));
}

#[tokio::test]
async fn conditions_of_reads_speak_of_what_the_client_sees() {
    let gateway = Gateway::new();
    let put = gateway.put("/bucket/k", "hello").send().await.ok();
    let tag = put.header("etag");
    assert!(tag.ends_with("-0\""), "{tag}");
    let opaque = tag.replace("-0", "");
    for form in [&tag, &opaque, &"*".to_owned()] {
        let got = gateway.get("/bucket/k").header("if-match", form);
        assert_eq!(got.send().await.ok().body, b"hello");
        let got = gateway.get("/bucket/k").header("if-none-match", form);
        let got = got.send().await;
        assert_eq!((got.status.as_u16(), got.body.len()), (304, 0));
        assert_eq!(got.header("etag"), tag);
    }
    let got = gateway.get("/bucket/k").header("if-match", "\"other\"");
    assert_eq!(
        got.send().await.refused(),
        (412, "PreconditionFailed".into())
    );
    let got = gateway
        .get("/bucket/k")
        .header("if-unmodified-since", "Mon, 23 Nov 2026 12:00:00 GMT");
    assert_eq!(got.send().await.refused().0, 412);
    let got = gateway
        .get("/bucket/k")
        .header("range", "bytes=1-2")
        .header("if-range", &tag);
    assert_eq!(got.send().await.ok().body, b"el");
    let got = gateway
        .get("/bucket/k")
        .header("range", "bytes=1-2")
        .header("if-range", "\"other\"");
    assert_eq!(got.send().await.ok().body, b"hello");
}

#[tokio::test]
async fn conditions_of_writes_reach_the_provider_in_its_own_terms() {
    let gateway = Gateway::new();
    let tag = gateway
        .put("/bucket/k", "one")
        .header("if-none-match", "*")
        .send()
        .await
        .ok()
        .header("etag");
    let again = gateway.put("/bucket/k", "two").header("if-none-match", "*");
    assert_eq!(again.send().await.refused().0, 412);
    let wrong = gateway.put("/bucket/k", "two").header("if-match", "\"x\"");
    assert_eq!(wrong.send().await.refused().0, 412);
    let absent = gateway.put("/bucket/n", "two").header("if-match", &tag);
    assert_eq!(absent.send().await.refused().0, 404);
    let right = gateway.put("/bucket/k", "two").header("if-match", &tag);
    right.send().await.ok();
    assert_eq!(gateway.read("k").await, b"two");
    let tag2 = gateway.head("/bucket/k").send().await.ok().header("etag");
    let stale = gateway.ask("DELETE", "/bucket/k").header("if-match", &tag);
    assert_eq!(stale.send().await.refused().0, 412);
    let odd = gateway.put("/bucket/k", "3").header("if-none-match", &tag2);
    assert_eq!(odd.send().await.refused(), (501, "NotImplemented".into()));
    let fresh = gateway.ask("DELETE", "/bucket/k").header("if-match", &tag2);
    fresh.send().await.ok();
    assert!(gateway.provider.object("bucket", "k").is_none());
}

#[tokio::test]
async fn a_provider_that_ignores_conditions_is_found_out_once_a_bucket() {
    let probing = || {
        Gateway::with(Config {
            conditional_writes: ConditionalWrites::Probe,
            ..Config::default()
        })
    };
    let gateway = probing();
    gateway.provider.ignores_conditions();
    for _ in 0..2 {
        let put = gateway
            .put("/bucket/lock", "a")
            .header("if-none-match", "*");
        assert_eq!(put.send().await.refused(), (501, "NotImplemented".into()));
    }
    let seen = gateway.provider.seen();
    assert_eq!(seen.len(), 3, "two writes and a deletion, once");
    assert!(seen.iter().all(|s| s.uri.path().contains(".sceau-probe-")));
    assert!(gateway.provider.object("bucket", "lock").is_none());

    let gateway = probing();
    let put = || {
        gateway
            .put("/bucket/lock", "a")
            .header("if-none-match", "*")
    };
    put().send().await.ok();
    assert_eq!(put().send().await.refused().0, 412);

    // an error of the provider says nothing of conditions
    let gateway = probing();
    let put = || {
        gateway
            .put("/bucket/lock", "a")
            .header("if-none-match", "*")
    };
    let probes = |s: &Seen| s.method == "PUT" && s.uri.path().contains("probe");
    gateway
        .provider
        .twist(probes, Twist::Instead(503, "SlowDown"));
    assert_eq!(put().send().await.refused().0, 503);
    put().send().await.ok();
}

#[tokio::test]
async fn metadata_comes_back_and_the_provider_sees_none_of_it() {
    let gateway = Gateway::new();
    let put = gateway
        .put("/bucket/k", "x")
        .header("content-type", "text/x-secret")
        .header("content-disposition", "attachment; filename=secret")
        .header("content-encoding", "aws-chunked,gzip")
        .header("cache-control", "no-store")
        .header("content-language", "fr")
        .header("expires", "Tue, 24 Nov 2026 12:00:00 GMT")
        .header("x-amz-meta-secret-name", "secret value é")
        .header("x-amz-storage-class", "STANDARD_IA");
    put.send().await.ok();
    let stored = gateway.provider.object("bucket", "k").unwrap().headers;
    assert_eq!(stored["content-type"], "application/octet-stream");
    assert_eq!(stored["x-amz-storage-class"], "STANDARD_IA");
    for (name, value) in &stored {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        assert!(!text.contains("secret") && !name.as_str().contains("secret"));
    }
    for ask in [gateway.get("/bucket/k"), gateway.head("/bucket/k")] {
        let got = ask.send().await.ok();
        assert_eq!(got.header("content-type"), "text/x-secret");
        assert_eq!(got.header("content-encoding"), "gzip");
        assert_eq!(got.header("content-language"), "fr");
        assert_eq!(got.header("cache-control"), "no-store");
        let value = &got.headers["x-amz-meta-secret-name"];
        assert_eq!(value.as_bytes(), "secret value é".as_bytes());
        assert!(!got.headers.keys().any(|k| k.as_str().contains("sceau")));
        assert_eq!(got.header("x-amz-storage-class"), "STANDARD_IA");
    }
    let target = "/bucket/k?response-content-type=a%2Fb&response-cache-control=max-age%3D1";
    let got = gateway.get(target).send().await.ok();
    assert_eq!(got.header("content-type"), "a/b");
    assert_eq!(got.header("cache-control"), "max-age=1");
}

#[tokio::test]
async fn the_metadata_budget_is_as_documented() {
    let gateway = Gateway::new();
    let value = "v".repeat(1150);
    let put = gateway.put("/bucket/k", "x").header("x-amz-meta-a", &value);
    put.send().await.ok();
    let got = gateway.head("/bucket/k").send().await.ok();
    assert_eq!(got.header("x-amz-meta-a"), value);
    for size in [1400, 2050] {
        gateway.provider.seen();
        let value = "v".repeat(size);
        let put = gateway.put("/bucket/k", "x").header("x-amz-meta-a", &value);
        let refused = put.send().await.refused();
        assert_eq!(refused, (400, "MetadataTooLarge".into()));
        assert!(gateway.provider.seen().is_empty());
    }
}

#[tokio::test]
async fn directory_markers_hold_nothing_at_the_provider() {
    let gateway = Gateway::new();
    let put = gateway
        .put("/bucket/dir/", "")
        .header("content-type", "application/x-directory")
        .header("x-amz-meta-mtime", "1");
    let tag = put.send().await.ok().header("etag");
    let stored = gateway.provider.object("bucket", "dir/").unwrap();
    assert!(stored.bytes.is_empty());
    let got = gateway.get("/bucket/dir/").send().await.ok();
    assert_eq!(got.header("content-length"), "0");
    assert_eq!(got.header("content-type"), "application/x-directory");
    assert_eq!(got.header("x-amz-meta-mtime"), "1");
    assert_eq!(got.header("etag"), tag);
    let ranged = gateway.get("/bucket/dir/").header("range", "bytes=0-0");
    assert_eq!(ranged.send().await.refused().0, 416);
    gateway
        .put("/bucket/dir/", "content")
        .send()
        .await
        .refused();
    // an empty object without its metadata, or with another's, is no marker
    let mut foreign = stored.clone();
    foreign.headers = HeaderMap::new();
    gateway.provider.store("bucket", "dir/", foreign);
    let got = gateway.get("/bucket/dir/").send().await;
    assert_eq!(got.code, "object-unsealed");
    gateway.provider.store("bucket", "other/", stored.clone());
    let got = gateway.get("/bucket/other/").send().await;
    assert_eq!(got.code, "object-substituted");
    let mut filled = stored;
    filled.bytes = vec![1; 600].into();
    gateway.provider.store("bucket", "dir/", filled);
    let got = gateway.get("/bucket/dir/").send().await;
    assert_eq!(got.code, "object-substituted");
}

#[tokio::test]
async fn what_was_not_sealed_here_is_never_given_out() {
    let gateway = Gateway::new();
    gateway
        .put("/bucket/a", bytes(100_000, 4))
        .send()
        .await
        .ok();
    gateway
        .put("/bucket/b", bytes(100_000, 5))
        .send()
        .await
        .ok();
    let (a, b) = (
        gateway.provider.object("bucket", "a").unwrap(),
        gateway.provider.object("bucket", "b").unwrap(),
    );
    // another object's bytes and metadata, another object's bytes, another key's object
    gateway.provider.store("bucket", "a", b.clone());
    let got = gateway.get("/bucket/a").send().await;
    assert_eq!(got.code, "object-substituted");
    let mut mixed = a.clone();
    mixed.bytes = b.bytes.clone();
    gateway.provider.store("bucket", "a", mixed.clone());
    let got = gateway.get("/bucket/a").send().await;
    assert_eq!(got.code, "object-damaged");
    let got = gateway.get("/bucket/a").header("range", "bytes=9-99");
    let got = got.send().await;
    assert_eq!(got.code, "object-damaged");
    // a bit flipped in the second segment: the first may be given out, nothing of the second
    let mut flipped = a.clone();
    let mut damaged = a.bytes.to_vec();
    damaged[70_000] ^= 1;
    flipped.bytes = damaged.into();
    gateway.provider.store("bucket", "a", flipped);
    let got = gateway.get("/bucket/a").send().await;
    assert!(got.broken && got.body.len() <= 65_536);
    // cut short
    let mut short = a.clone();
    short.bytes = a.bytes.slice(..a.bytes.len() - 1);
    gateway.provider.store("bucket", "a", short);
    let got = gateway.get("/bucket/a").send().await;
    assert!(got.broken || !got.status.is_success());
    // in clear
    let mut clear = a.clone();
    clear.headers = HeaderMap::new();
    clear.bytes = "in clear".into();
    gateway.provider.store("bucket", "a", clear);
    for ask in [gateway.get("/bucket/a"), gateway.head("/bucket/a")] {
        let got = ask.send().await;
        assert_eq!((got.status.as_u16(), got.code), (502, "object-unsealed"));
    }
}

#[tokio::test]
async fn an_object_replaced_between_two_requests_is_read_once_more() {
    let gateway = Gateway::new();
    let (one, two) = (bytes(200_000, 6), bytes(150_000, 7));
    gateway.put("/bucket/k", two.clone()).send().await.ok();
    let newer = gateway.provider.object("bucket", "k").unwrap();
    gateway.put("/bucket/k", one).send().await.ok();
    let older = gateway.provider.object("bucket", "k").unwrap();
    let swap = |object: &Object| {
        let object = object.clone();
        let act = move |provider: &Provider| provider.store("bucket", "k", object);
        let ranged = |s: &Seen| s.header("range").is_some();
        gateway.provider.twist(ranged, Twist::First(Box::new(act)));
    };
    // the last bytes: HEAD first, then the range, which finds another object
    let last = || gateway.get("/bucket/k").header("range", "bytes=-10").send();
    swap(&newer);
    assert!(last().await.ok().body == two[149_990..]);
    // replaced again and again: an error that clients retry, never a mixture
    swap(&older);
    swap(&newer);
    let refused = last().await.refused();
    assert_eq!(refused, (503, "ServiceUnavailable".into()));
    // a provider that ignores If-Match shows another tag
    gateway.provider.ignores_conditions();
    swap(&older);
    let got = last().await.ok();
    assert!(got.body == bytes(200_000, 6)[199_990..]);
}

#[tokio::test]
async fn checksums_come_back() {
    let gateway = Gateway::new();
    let content = bytes(100_000, 8);
    for algorithm in Algorithm::FLEXIBLE {
        let value = checksum::of(algorithm, &content).base64();
        let put = gateway
            .put("/bucket/k", content.clone())
            .header(algorithm.header(), &value);
        assert_eq!(put.send().await.ok().header(algorithm.header()), value);
        for ask in [gateway.get("/bucket/k"), gateway.head("/bucket/k")] {
            let got = ask.header("x-amz-checksum-mode", "ENABLED").send();
            let got = got.await.ok();
            assert_eq!(got.header(algorithm.header()), value);
            assert_eq!(got.header("x-amz-checksum-type"), "FULL_OBJECT");
        }
        let quiet = gateway.head("/bucket/k").send().await.ok();
        assert_eq!(quiet.header(algorithm.header()), "");
        let attributes = gateway
            .get("/bucket/k?attributes")
            .header("x-amz-object-attributes", "Checksum,ObjectSize,ETag");
        let attributes = attributes.send().await.ok();
        assert_eq!(attributes.element(algorithm.element().unwrap()), value);
        assert_eq!(attributes.element("ObjectSize"), "100000");
        let range = gateway
            .get("/bucket/k")
            .header("x-amz-checksum-mode", "ENABLED")
            .header("range", "bytes=0-9");
        assert_eq!(range.send().await.ok().header(algorithm.header()), "");
    }
}

#[tokio::test]
async fn a_wrong_digest_stores_nothing() {
    let gateway = Gateway::new();
    let content = bytes(100_000, 9);
    for algorithm in Algorithm::FLEXIBLE.into_iter().chain([Algorithm::Md5]) {
        let value = checksum::of(algorithm, b"other").base64();
        let put = gateway
            .put("/bucket/k", content.clone())
            .header(algorithm.header(), &value);
        assert_eq!(put.send().await.refused(), (400, "BadDigest".into()));
    }
    for ask in [
        gateway.put("/bucket/k", "a").header("content-md5", "bad"),
        gateway
            .put("/bucket/k", "a")
            .header("x-amz-checksum-crc32", "bad"),
        gateway
            .put("/bucket/k", "a")
            .header("x-amz-checksum-sha512", "bad"),
        gateway.put("/bucket/k", "a").header("content-length", "5"),
        gateway
            .put("/bucket/k", "abcdef")
            .header("content-length", "5"),
        gateway.put("/bucket/k", "abc").broken(),
        gateway.put("/bucket/k", "abc").without_length(),
    ] {
        let refused = ask.send().await.refused();
        assert!((400..502).contains(&refused.0), "{refused:?}");
    }
    assert!(gateway.provider.object("bucket", "k").is_none());
}

#[tokio::test]
async fn keys_are_what_the_client_says() {
    let gateway = Gateway::new();
    let long = "k".repeat(1024);
    for (number, target) in [
        "a//b",
        "/leading",
        "a/./b/../c",
        "a+b",
        "a%2Bb",
        "a%20b",
        "%E2%82%AC%F0%9F%94%92",
        "a%25b",
        "a%3Fb%23c",
        "%C3%A9/%65%CC%81",
        &long,
    ]
    .into_iter()
    .enumerate()
    {
        let target = format!("/bucket/{target}");
        let content = vec![number as u8; 10];
        gateway.put(&target, content.clone()).send().await.ok();
        let got = gateway.get(&target).send().await.ok();
        assert_eq!(got.body, content, "{target}");
    }
    assert!(gateway.provider.object("bucket", "a/./b/../c").is_some());
    assert!(gateway.provider.object("bucket", "€🔒").is_some());
    let got = gateway.put(&format!("/bucket/{long}k"), "x").send().await;
    assert_eq!(got.refused(), (400, "KeyTooLongError".into()));
    // virtual-host style names the same object
    let got = gateway.get("/a+b").header("host", "bucket.s3.example.fr");
    assert_eq!(got.send().await.ok().body, vec![4; 10]);
}

#[tokio::test]
async fn too_large_is_said_before_a_byte_is_read() {
    let gateway = Gateway::with(Config {
        max_put: 100_000,
        max_object: 50_000,
        ..Config::default()
    });
    gateway.put("/bucket/k", bytes(50_000, 1)).send().await.ok();
    gateway.provider.seen();
    for length in ["50001", "99999", "100000", "18446744073709551615"] {
        // the body would break at once if it were read
        let put = gateway.put("/bucket/k", "").broken();
        let put = put.header("content-length", length).send().await;
        assert_eq!(put.refused(), (400, "EntityTooLarge".into()), "{length}");
    }
    assert!(gateway.provider.seen().is_empty());
}

#[tokio::test]
async fn an_md5_may_be_the_tag_where_the_operator_wants_it() {
    let config = || Config {
        etag_md5: true,
        ..Config::default()
    };
    let gateway = Gateway::with(config());
    let md5 = checksum::of(Algorithm::Md5, b"hello");
    let put = gateway.put("/bucket/k", "hello");
    let put = put.header("content-md5", md5.base64()).send().await.ok();
    let tag = format!("\"{}\"", md5.hex());
    assert_eq!(put.header("etag"), tag);
    assert_eq!(
        gateway.head("/bucket/k").send().await.ok().header("etag"),
        tag
    );
    let list = gateway.get("/bucket?list-type=2").send().await.ok();
    assert_eq!(list.element("ETag"), tag);
    let got = gateway.get("/bucket/k").header("if-match", &tag);
    got.send().await.ok();
    // without the state: opaque everywhere, and still the same everywhere
    let lost = gateway.after_loss(&config());
    let head = lost.head("/bucket/k").send().await.ok().header("etag");
    assert!(head.ends_with("-0\""));
    let list = lost.get("/bucket?list-type=2").send().await.ok();
    assert_eq!(list.element("ETag"), head);
}

#[tokio::test]
async fn a_tag_that_the_state_no_longer_keeps_is_opaque() {
    let gateway = Gateway::with(Config {
        etag_md5: true,
        ..Config::default()
    });
    let md5 = checksum::of(Algorithm::Md5, b"hello");
    for target in ["/bucket/a", "/bucket/b"] {
        let put = gateway.put(target, "hello");
        put.header("content-md5", md5.base64()).send().await.ok();
    }
    let shown = async |target| gateway.head(target).send().await.ok().header("etag");
    let tag = format!("\"{}\"", md5.hex());
    let state = SqliteState::open(gateway.state_directory()).unwrap();
    assert_eq!(state.trim(Table::Alias, 2).await.unwrap().rows, 0);
    let nine_years = NOW + 9 * 365 * 24 * 3600;
    state.sweep(nine_years).await.unwrap();
    assert_eq!(
        (shown("/bucket/a").await, shown("/bucket/b").await),
        (tag.clone(), tag.clone())
    );
    assert_eq!(state.trim(Table::Alias, 0).await.unwrap().rows, 2);
    for target in ["/bucket/a", "/bucket/b"] {
        let opaque = shown(target).await;
        assert!(opaque.ends_with("-0\""), "{opaque}");
        let got = gateway.get(target).header("if-match", &opaque);
        assert_eq!(got.send().await.ok().body, b"hello");
    }
}

#[tokio::test]
async fn versions_are_kept_apart() {
    let gateway = Gateway::new();
    gateway.provider.versioned();
    let one = gateway.put("/bucket/k", "one").send().await.ok();
    let two = gateway.put("/bucket/k", "two!").send().await.ok();
    let (one, two) = (
        one.header("x-amz-version-id"),
        two.header("x-amz-version-id"),
    );
    assert!(one != two && !one.is_empty());
    let target = format!("/bucket/k?versionId={one}");
    let got = gateway.get(&target).send().await.ok();
    assert_eq!(got.body, b"one");
    assert_eq!(got.header("x-amz-version-id"), one);
    let list = gateway.get("/bucket?versions").send().await.ok();
    assert_eq!(list.elements("Size"), ["3", "4"]);
    assert_eq!(list.elements("VersionId"), [one, two]);
    let got = gateway.get("/bucket/k?versionId=none").send().await;
    assert_eq!(got.refused().1, "NoSuchVersion");
}

#[tokio::test]
async fn an_answer_before_the_bodys_end_is_no_success() {
    let gateway = Gateway::new();
    let wrong = checksum::of(Algorithm::Crc32, b"other").base64();
    let put = gateway.put("/bucket/k", bytes(1000, 1));
    let put = put.header("x-amz-checksum-crc32", wrong).send().await;
    assert_eq!(put.refused(), (400, "BadDigest".into()));
    let seen = gateway.provider.seen();
    assert!(seen[0].broken, "the provider's body never ended cleanly");
}

/// An object of no bytes at all has the same metadata: only the length in the header tells that this one has some.
#[tokio::test]
async fn an_object_cut_to_the_size_of_another_is_never_told_of() {
    let gateway = Gateway::new();
    gateway.put("/bucket/e", "").send().await.ok();
    gateway.put("/bucket/k", "content").send().await.ok();
    let mut cut = gateway.provider.object("bucket", "k").unwrap();
    cut.bytes = cut.bytes.slice(..sealed_length(&gateway.provider, "e"));
    gateway.provider.store("bucket", "k", cut);
    let stale = |range| {
        let get = gateway.get("/bucket/k").header("range", range);
        get.header("if-range", "\"stale\"")
    };
    for ask in [
        gateway.get("/bucket/k"),
        gateway.head("/bucket/k"),
        gateway.get("/bucket/k?partNumber=1"),
        stale("bytes=0-"),
        stale("bytes=-1"),
    ] {
        let answer = ask.send().await;
        assert_eq!(answer.code, "object-damaged");
        assert_eq!(answer.status, 502);
    }
}
