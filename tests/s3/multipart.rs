//! Multipart uploads: attempts, orders, races, and what is left behind.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use sceau::adapter::s3::checksum::{self, Algorithm};
use tokio::sync::Notify;

use super::client::{Config, Gateway, bytes};
use super::provider::{Seen, Twist};

const PART: usize = 5 << 20;

fn completes(seen: &Seen) -> bool {
    seen.method == "POST" && seen.uri.query().is_some_and(|q| q.starts_with("uploadId"))
}

fn nothing_left(gateway: &Gateway) {
    assert!(gateway.spools().is_empty(), "{:?}", gateway.spools());
    assert_eq!(gateway.rows(), 0);
}

#[tokio::test]
async fn parts_in_any_order_and_of_any_length() {
    let gateway = Gateway::new();
    let parts = [
        bytes(PART + 1, 1),
        bytes(PART, 2),
        bytes(PART + 77_777, 3),
        bytes(1, 4),
    ];
    let id = gateway.begin("k").await;
    let mut tags = Vec::new();
    for number in [2, 4, 1, 3] {
        let part = &parts[number as usize - 1];
        tags.push((number, gateway.part("k", &id, number, part).await));
    }
    tags.sort();
    assert_eq!(gateway.spools().len(), 1, "the short one");
    let done = gateway.complete("k", &id, &tags).send().await.ok();
    assert_eq!(done.element("Key"), "k");
    assert_eq!(done.element("Location"), "https://s3.example.fr/bucket/k");
    let whole = parts.concat();
    assert!(gateway.read("k").await == whole);
    assert!(gateway.spools().is_empty());
    assert_eq!(gateway.rows(), 1, "only the kept result");
    for (number, part) in (1..).zip(&parts) {
        let target = format!("/bucket/k?partNumber={number}");
        let got = gateway.get(&target).send().await.ok();
        assert!(got.body == *part && got.status == 206);
        assert_eq!(got.header("x-amz-mp-parts-count"), "4");
    }
    let beyond = gateway.get("/bucket/k?partNumber=5").send().await;
    assert_eq!(beyond.refused(), (416, "InvalidPartNumber".into()));
    let attributes = gateway
        .get("/bucket/k?attributes")
        .header("x-amz-object-attributes", "ObjectParts,ObjectSize");
    let attributes = attributes.send().await.ok();
    assert_eq!(attributes.element("PartsCount"), "4");
    let sizes: Vec<String> = parts.iter().map(|part| part.len().to_string()).collect();
    assert_eq!(attributes.elements("Size"), sizes);
    assert_eq!(attributes.element("ObjectSize"), whole.len().to_string());
}

#[tokio::test]
async fn ranges_of_many_runs_cost_one_request_once_the_trailer_is_known() {
    let gateway = Gateway::new();
    let parts = [bytes(PART + 5, 1), bytes(PART, 2), bytes(100, 3)];
    gateway
        .upload("k", &[&parts[0], &parts[1], &parts[2]])
        .await
        .ok();
    let whole = parts.concat();
    let n = whole.len();
    // cold, in a process that has read nothing yet: a guess that ends where runs meet must not do
    let spanning = gateway.twin();
    let got = spanning
        .get("/bucket/k")
        .header("range", "bytes=65536-5242900");
    assert!(got.send().await.ok().body == whole[65_536..5_242_901]);
    for (range, expected) in [
        ("bytes=0-0", 0..1),
        ("bytes=5242884-5242886", 5_242_884..5_242_887),
        ("bytes=5000000-6000000", 5_000_000..6_000_001),
        ("bytes=10485764-", 10_485_764..n),
        ("bytes=-150", n - 150..n),
    ] {
        gateway.provider.seen();
        let got = gateway.get("/bucket/k").header("range", range);
        let got = got.send().await.ok();
        assert!(got.body == whole[expected], "{range}");
        assert_eq!(got.status, StatusCode::PARTIAL_CONTENT);
        let most = if range == "bytes=0-0" { 3 } else { 1 };
        let cost = gateway.provider.seen().len();
        assert!(cost <= most, "{range} cost {cost} requests");
    }
}

#[tokio::test]
async fn an_attempt_repeated_with_another_length_settles_itself() {
    let (small, large) = (bytes(1000, 1), bytes(PART, 2));
    for (first, second) in [(&small, &large), (&large, &small)] {
        let gateway = Gateway::new();
        let id = gateway.begin("k").await;
        let old = gateway.part("k", &id, 1, first).await;
        let new = gateway.part("k", &id, 1, second).await;
        assert_ne!(old, new);
        let list = gateway.get(&format!("/bucket/k?uploadId={id}"));
        let list = list.send().await.ok();
        assert_eq!(list.elements("ETag"), std::slice::from_ref(&new));
        assert_eq!(list.element("Size"), second.len().to_string());
        gateway.complete("k", &id, &[(1, new)]).send().await.ok();
        assert!(gateway.read("k").await == *second);
    }
}

#[tokio::test]
async fn the_same_content_twice_is_one_tag_and_the_provider_decides() {
    let gateway = Gateway::new();
    let part = bytes(PART, 1);
    let md5 = checksum::of(Algorithm::Md5, &part);
    let id = gateway.begin("k").await;
    let target = format!("/bucket/k?partNumber=1&uploadId={id}");
    for gateway in [&gateway, &gateway.twin()] {
        let put = gateway.put(&target, part.clone());
        put.header("content-md5", md5.base64()).send().await.ok();
    }
    let tag = format!("\"{}\"", md5.hex());
    gateway.complete("k", &id, &[(1, tag)]).send().await.ok();
    assert!(gateway.read("k").await == part);
}

#[tokio::test]
async fn an_attempt_that_the_provider_no_longer_holds_is_an_invalid_part() {
    let gateway = Gateway::new();
    let id = gateway.begin("k").await;
    let old = gateway.part("k", &id, 1, &bytes(PART, 1)).await;
    gateway.part("k", &id, 1, &bytes(PART, 2)).await;
    let refused = gateway.complete("k", &id, &[(1, old)]).send().await;
    assert_eq!(refused.refused(), (400, "InvalidPart".into()));
    assert!(gateway.provider.object("bucket", "k").is_none());
}

#[tokio::test]
async fn one_part_some_of_the_parts_and_none() {
    let gateway = Gateway::new();
    let large = bytes(PART, 1);
    for content in [b"".as_slice(), b"short", &large] {
        gateway.upload("one", &[content]).await.ok();
        assert!(gateway.read("one").await == content);
        let head = gateway.head("/bucket/one").send().await.ok();
        assert_eq!(head.header("content-length"), content.len().to_string());
    }
    // a subset, with a gap; the part behind it is overwritten by the trailer
    let id = gateway.begin("some").await;
    let parts: Vec<Vec<u8>> = (0..4).map(|seed| bytes(PART, seed)).collect();
    let mut tags = Vec::new();
    for (number, part) in (1..).zip(&parts) {
        tags.push((number, gateway.part("some", &id, number, part).await));
    }
    let subset = [tags[0].clone(), tags[2].clone()];
    gateway.complete("some", &id, &subset).send().await.ok();
    assert!(gateway.read("some").await == [&parts[0][..], &parts[2]].concat());
    let id = gateway.begin("none").await;
    let refused = gateway.complete("none", &id, &[]).send().await.refused();
    assert_eq!(refused, (400, "MalformedXML".into()));
}

#[tokio::test]
async fn lists_that_s3_refuses_are_refused() {
    let gateway = Gateway::new();
    let id = gateway.begin("k").await;
    let one = gateway.part("k", &id, 1, &bytes(1000, 1)).await;
    let two = gateway.part("k", &id, 2, &bytes(1000, 2)).await;
    for (list, code) in [
        (vec![(1, one.clone()), (2, two.clone())], "EntityTooSmall"),
        (vec![(2, two.clone()), (1, one.clone())], "InvalidPartOrder"),
        (vec![(1, two.clone())], "InvalidPart"),
        (vec![(3, one.clone())], "InvalidPart"),
        (vec![(1, "\"x\"".into())], "InvalidPart"),
    ] {
        let refused = gateway.complete("k", &id, &list).send().await.refused();
        assert_eq!(refused, (400, code.into()));
    }
    let sized = |n: &str| {
        let ask = gateway.complete("k", &id, &[(1, one.clone())]);
        ask.header("x-amz-mp-object-size", n)
    };
    assert_eq!(sized("999").send().await.refused().1, "InvalidRequest");
    for bad in ["0", "10001", "x"] {
        let target = format!("/bucket/k?partNumber={bad}&uploadId={id}");
        let refused = gateway.put(&target, "x").send().await.refused();
        assert_eq!(refused.1, "InvalidArgument", "{bad}");
    }
    let refused = gateway.put("/bucket/k?partNumber=1&uploadId=none", "x");
    assert_eq!(refused.send().await.refused().1, "NoSuchUpload");
    // a version that is known, and a session that nobody has
    let foreign = format!("{}{}", &id[..2], "A".repeat(id.len() - 2));
    let refused = gateway.put(&format!("/bucket/k?partNumber=1&uploadId={foreign}"), "x");
    assert_eq!(refused.send().await.refused(), (404, "NoSuchUpload".into()));
    // an id belongs to its key
    let target = format!("/bucket/other?partNumber=1&uploadId={id}");
    let refused = gateway.put(&target, "x").send().await.refused();
    assert_eq!(refused, (404, "NoSuchUpload".into()));
    sized("1000").send().await.ok();
    assert!(gateway.read("k").await == bytes(1000, 1));
}

#[tokio::test]
async fn the_ten_thousandth_part_waits_for_its_trailer() {
    let gateway = Gateway::new();
    let id = gateway.begin("k").await;
    let (first, last) = (bytes(PART, 1), bytes(PART + 3, 2));
    let one = gateway.part("k", &id, 1, &first).await;
    let end = gateway.part("k", &id, 10_000, &last).await;
    assert_eq!(gateway.spools().len(), 1);
    let list = [(1, one), (10_000, end)];
    gateway.complete("k", &id, &list).send().await.ok();
    assert!(gateway.read("k").await == [first, last].concat());
}

#[tokio::test]
async fn two_processes_share_an_upload() {
    let one = Gateway::new();
    let two = one.twin();
    let parts = [bytes(PART, 1), bytes(PART, 2), bytes(7, 3)];
    let id = one.begin("k").await;
    let mut tags = Vec::new();
    for (number, part) in (1..).zip(&parts) {
        let gateway = if number % 2 == 0 { &one } else { &two };
        tags.push((number, gateway.part("k", &id, number, part).await));
    }
    let (a, b) = tokio::join!(
        one.complete("k", &id, &tags).send(),
        two.complete("k", &id, &tags).send(),
    );
    assert_eq!(a.ok().element("ETag"), b.ok().element("ETag"));
    assert!(two.read("k").await == parts.concat());
    assert!(one.spools().is_empty());
}

#[tokio::test]
async fn a_complete_is_repeated_with_the_same_answer() {
    let gateway = Gateway::new();
    gateway.provider.versioned();
    let id = gateway.begin("k").await;
    let tags = [(1, gateway.part("k", &id, 1, &bytes(PART, 1)).await)];
    let first = gateway.complete("k", &id, &tags).send().await.ok();
    assert!(!first.header("x-amz-version-id").is_empty());
    gateway.provider.seen();
    for gateway in [&gateway, &gateway.twin()] {
        let again = gateway.complete("k", &id, &tags).send().await.ok();
        assert_eq!(again.text(), first.text());
        let version = again.header("x-amz-version-id");
        assert_eq!(version, first.header("x-amz-version-id"));
    }
    assert!(gateway.provider.seen().is_empty());
    let other = [(1, "\"x\"".to_owned())];
    let refused = gateway.complete("k", &id, &other).send().await.refused();
    assert_eq!(refused, (404, "NoSuchUpload".into()));
    let aborted = gateway.ask("DELETE", &format!("/bucket/k?uploadId={id}"));
    assert_eq!(aborted.send().await.refused().1, "NoSuchUpload");
}

#[tokio::test]
async fn a_complete_whose_answer_was_lost_is_found_done() {
    for conditional in [false, true] {
        let gateway = Gateway::new();
        let id = gateway.begin("k").await;
        let content = bytes(PART + 9, 1);
        let tags = [
            (1, gateway.part("k", &id, 1, &content).await),
            (2, gateway.part("k", &id, 2, b"end").await),
        ];
        let complete = || {
            let ask = gateway.complete("k", &id, &tags);
            match conditional {
                true => ask.header("if-none-match", "*"),
                false => ask,
            }
        };
        gateway.provider.twist(completes, Twist::Lost);
        let refused = complete().send().await;
        assert_eq!(refused.code, "upstream-outcome-unknown");
        let done = complete().send().await.ok();
        let head = gateway.head("/bucket/k").send().await.ok();
        assert_eq!(done.element("ETag"), head.header("etag"));
        assert!(gateway.read("k").await == [&content[..], b"end"].concat());
        assert!(gateway.spools().is_empty());
    }
}

#[tokio::test]
async fn a_complete_that_finds_anothers_object_has_not_happened() {
    let gateway = Gateway::new();
    let id = gateway.begin("k").await;
    let tags = [(1, gateway.part("k", &id, 1, b"mine").await)];
    gateway.put("/bucket/k", "another's").send().await.ok();
    gateway.provider.drop_uploads();
    let refused = gateway.complete("k", &id, &tags).send().await.refused();
    assert_eq!(refused, (404, "NoSuchUpload".into()));
    assert_eq!(gateway.read("k").await, b"another's");
    nothing_left(&gateway);
}

#[tokio::test]
async fn a_complete_that_failed_is_tried_again() {
    let gateway = Gateway::new();
    let id = gateway.begin("k").await;
    let parts = [bytes(PART, 1), bytes(PART, 2)];
    let mut tags = Vec::new();
    for (number, part) in (1..).zip(&parts) {
        tags.push((number, gateway.part("k", &id, number, part).await));
    }
    let broken = Twist::Instead(503, "SlowDown");
    gateway.provider.twist(completes, broken);
    let refused = gateway.complete("k", &id, &tags).send().await.refused();
    assert_eq!(refused, (503, "SlowDown".into()));
    // an error inside a 200
    let inside = Twist::Instead(200, "InternalError");
    gateway.provider.twist(completes, inside);
    let refused = gateway.complete("k", &id, &tags).send().await.refused();
    assert_eq!(refused, (500, "InternalError".into()));
    // another list than before is allowed while none succeeded
    let fewer = &tags[..1];
    gateway.complete("k", &id, fewer).send().await.ok();
    assert!(gateway.read("k").await == parts[0]);
}

/// The list is the same, the run that counts is another: the trailer kept from the first try does not name it.
#[tokio::test]
async fn a_part_sent_again_after_a_complete_failed_is_the_one_that_counts() {
    for length in [PART, 9] {
        let gateway = Gateway::new();
        let id = gateway.begin("k").await;
        let part = bytes(length, 1);
        let md5 = checksum::of(Algorithm::Md5, &part);
        let tags = [(1, format!("\"{}\"", md5.hex()))];
        let target = format!("/bucket/k?partNumber=1&uploadId={id}");
        let put = || {
            gateway
                .put(&target, part.clone())
                .header("content-md5", md5.base64())
        };
        put().send().await.ok();
        let broken = Twist::Instead(503, "SlowDown");
        gateway.provider.twist(completes, broken);
        let refused = gateway.complete("k", &id, &tags).send().await.refused();
        assert_eq!(refused, (503, "SlowDown".into()));
        put().send().await.ok();
        gateway.complete("k", &id, &tags).send().await.ok();
        assert!(gateway.read("k").await == part, "{length}");
    }
}

#[tokio::test]
async fn a_complete_and_an_abort_at_once_leave_an_object_or_nothing() {
    let gateway = Gateway::new();
    let id = gateway.begin("k").await;
    let tags = [(1, gateway.part("k", &id, 1, &bytes(PART, 1)).await)];
    let abort = format!("/bucket/k?uploadId={id}");
    // the abort wins
    let notice = Arc::new(Notify::new());
    gateway
        .provider
        .twist(completes, Twist::Wait(notice.clone()));
    let (completed, aborted) = tokio::join!(gateway.complete("k", &id, &tags).send(), async {
        while !gateway.provider.seen().iter().any(completes) {
            tokio::task::yield_now().await;
        }
        let aborted = gateway.ask("DELETE", &abort).send().await;
        notice.notify_one();
        aborted
    });
    aborted.ok();
    assert_eq!(completed.refused(), (404, "NoSuchUpload".into()));
    assert!(gateway.provider.object("bucket", "k").is_none());
    nothing_left(&gateway);
    // the complete wins
    let id = gateway.begin("k").await;
    let tags = [(1, gateway.part("k", &id, 1, &bytes(PART, 1)).await)];
    gateway.complete("k", &id, &tags).send().await.ok();
    let abort = format!("/bucket/k?uploadId={id}");
    let aborted = gateway.ask("DELETE", &abort).send().await.refused();
    assert_eq!(aborted, (404, "NoSuchUpload".into()));
    assert!(gateway.read("k").await == bytes(PART, 1));
}

#[tokio::test]
async fn what_is_aborted_leaves_nothing() {
    let gateway = Gateway::new();
    let id = gateway.begin("k").await;
    gateway.part("k", &id, 1, &bytes(PART, 1)).await;
    gateway.part("k", &id, 2, b"short").await;
    assert!(gateway.rows() == 3 && gateway.spools().len() == 1);
    let abort = format!("/bucket/k?uploadId={id}");
    let aborted = gateway.ask("DELETE", &abort).send().await;
    assert_eq!(aborted.status, StatusCode::NO_CONTENT);
    assert_eq!(gateway.provider.uploads(), 0);
    nothing_left(&gateway);
    let again = gateway.ask("DELETE", &abort).send().await.refused();
    assert_eq!(again, (404, "NoSuchUpload".into()));
    // after a Complete that failed
    let id = gateway.begin("k").await;
    let tags = [(1, gateway.part("k", &id, 1, b"short").await)];
    let broken = Twist::Instead(503, "SlowDown");
    gateway.provider.twist(completes, broken);
    gateway.complete("k", &id, &tags).send().await.refused();
    let abort = format!("/bucket/k?uploadId={id}");
    gateway.ask("DELETE", &abort).send().await.ok();
    nothing_left(&gateway);
    // a part that was under way when its upload was aborted: before the provider had it, and after
    for twist in [Twist::Wait, Twist::Stall] {
        abort_beside_a_part(&gateway, twist).await;
    }
}

async fn abort_beside_a_part(gateway: &Gateway, twist: fn(Arc<Notify>) -> Twist) {
    let id = gateway.begin("k").await;
    let notice = Arc::new(Notify::new());
    let parts = |s: &Seen| s.uri.to_string().contains("partNumber=1");
    gateway.provider.seen();
    gateway.provider.twist(parts, twist(notice.clone()));
    let target = format!("/bucket/k?partNumber=1&uploadId={id}");
    let abort = format!("/bucket/k?uploadId={id}");
    let (part, _) = tokio::join!(gateway.put(&target, bytes(PART, 1)).send(), async {
        while !gateway.provider.seen().iter().any(parts) {
            tokio::task::yield_now().await;
        }
        gateway.ask("DELETE", &abort).send().await.ok();
        notice.notify_one();
    });
    assert_eq!(part.refused(), (404, "NoSuchUpload".into()));
    nothing_left(gateway);
}

#[tokio::test]
async fn an_upload_that_the_provider_dropped_is_forgotten() {
    let gateway = Gateway::new();
    let id = gateway.begin("k").await;
    gateway.part("k", &id, 1, b"short").await;
    gateway.provider.drop_uploads();
    let list = gateway.get(&format!("/bucket/k?uploadId={id}"));
    assert_eq!(list.send().await.refused().1, "NoSuchUpload");
    nothing_left(&gateway);
}

#[tokio::test]
async fn an_upload_of_a_lost_state_can_only_be_aborted() {
    let gateway = Gateway::new();
    let id = gateway.begin("k").await;
    let tag = gateway.part("k", &id, 1, &bytes(PART, 1)).await;
    let lost = gateway.after_loss(&Config::default());
    let target = format!("/bucket/k?uploadId={id}");
    let part = lost.put(&format!("{target}&partNumber=2"), "x").send();
    assert_eq!(part.await.refused().1, "NoSuchUpload");
    let done = lost.complete("k", &id, &[(1, tag)]).send().await;
    assert_eq!(done.refused().1, "NoSuchUpload");
    let listed = lost.get(&target).send().await.refused();
    assert_eq!(listed.1, "NoSuchUpload");
    lost.ask("DELETE", &target).send().await.ok();
    assert_eq!(gateway.provider.uploads(), 0);
}

#[tokio::test]
async fn a_broken_or_wrong_part_leaves_nothing() {
    let gateway = Gateway::new();
    let id = gateway.begin("k").await;
    for size in [1000, PART] {
        let target = format!("/bucket/k?partNumber=1&uploadId={id}");
        let half = bytes(size / 2, 1);
        let put = gateway.put(&target, half).broken();
        let put = put.header("content-length", size.to_string()).send().await;
        put.refused();
        let wrong = gateway.put(&target, bytes(size, 1));
        let wrong = wrong.header("x-amz-checksum-crc32", "AAAAAA==").send();
        assert_eq!(wrong.await.refused().1, "BadDigest");
    }
    assert!(gateway.spools().is_empty());
    assert_eq!(gateway.rows(), 1, "the upload itself");
}

#[tokio::test]
async fn checksums_of_parts_make_the_whole_ones() {
    let parts = [bytes(PART, 1), bytes(PART + 5, 2), bytes(3, 3)];
    let whole = parts.concat();
    for (algorithm, kind) in [
        (Algorithm::Crc32, "COMPOSITE"),
        (Algorithm::Crc32, "FULL_OBJECT"),
        (Algorithm::Crc64Nvme, "FULL_OBJECT"),
        (Algorithm::Sha256, "COMPOSITE"),
    ] {
        let gateway = Gateway::new();
        let begun = gateway
            .ask("POST", "/bucket/k?uploads")
            .header("x-amz-checksum-algorithm", algorithm.name())
            .header("x-amz-checksum-type", kind);
        let begun = begun.send().await.ok();
        assert_eq!(begun.header("x-amz-checksum-algorithm"), algorithm.name());
        let id = begun.element("UploadId");
        let (mut tags, mut values) = (Vec::new(), Vec::new());
        for (number, part) in (1..).zip(&parts) {
            let value = checksum::of(algorithm, part);
            let target = format!("/bucket/k?partNumber={number}&uploadId={id}");
            let put = gateway.put(&target, part.clone());
            let put = put.header(algorithm.header(), value.base64());
            tags.push((number, put.send().await.ok().header("etag")));
            values.push(value);
        }
        let element = algorithm.element().unwrap();
        let listed = gateway.get(&format!("/bucket/k?uploadId={id}"));
        let listed = listed.send().await.ok().elements(element);
        assert_eq!(listed.len(), 3);
        let expected = match kind {
            "FULL_OBJECT" => checksum::of(algorithm, &whole).base64(),
            _ => checksum::composite_text(&checksum::composite(algorithm, &values), 3),
        };
        let wrong = gateway.complete("k", &id, &tags);
        let wrong = wrong.header(algorithm.header(), "AAAA").send().await;
        assert_eq!(wrong.refused().1, "BadDigest");
        let right = gateway.complete("k", &id, &tags);
        let right = right.header(algorithm.header(), &expected);
        let done = right.send().await.ok();
        assert_eq!(done.element(element), expected);
        assert_eq!(done.element("ChecksumType"), kind);
        for ask in [gateway.head("/bucket/k"), gateway.get("/bucket/k")] {
            let got = ask.header("x-amz-checksum-mode", "ENABLED").send();
            let got = got.await.ok();
            assert_eq!(got.header(algorithm.header()), expected);
            assert_eq!(got.header("x-amz-checksum-type"), kind);
        }
    }
    // what can't be verified is not accepted as if it were
    let gateway = Gateway::new();
    let id = gateway.begin("k").await;
    let tags = [(1, gateway.part("k", &id, 1, b"part").await)];
    let value = checksum::of(Algorithm::Crc32, b"other");
    let complete = gateway.complete("k", &id, &tags);
    let complete = complete.header("x-amz-checksum-crc32", value.base64());
    assert_eq!(complete.send().await.refused().1, "InvalidRequest");
    let bad = gateway
        .ask("POST", "/bucket/k?uploads")
        .header("x-amz-checksum-algorithm", "SHA256")
        .header("x-amz-checksum-type", "FULL_OBJECT");
    assert_eq!(bad.send().await.refused().1, "InvalidRequest");
}

#[tokio::test]
async fn runs_in_another_order_or_of_another_attempt_do_not_open() {
    let gateway = Gateway::new();
    let parts = [bytes(PART, 1), bytes(PART, 2)];
    gateway.upload("k", &[&parts[0], &parts[1]]).await.ok();
    let stored = gateway.provider.object("bucket", "k").unwrap();
    let run = PART + 128 + 16 * (PART / 65_536 + 1);
    let mut swapped = stored.clone();
    let (one, two) = (&stored.bytes[..run], &stored.bytes[run..2 * run]);
    swapped.bytes = [two, one, &stored.bytes[2 * run..]].concat().into();
    gateway.provider.store("bucket", "k", swapped);
    let got = gateway.get("/bucket/k").send().await;
    assert_eq!(got.code, "object-damaged");
    // another upload's trailer under the first one's metadata
    gateway.upload("other", &[&parts[1], &parts[0]]).await.ok();
    let mut mixed = stored;
    mixed.bytes = gateway.provider.object("bucket", "other").unwrap().bytes;
    mixed.etag = "0123456789abcdef0123456789abcdef-3".into();
    gateway.provider.store("bucket", "k", mixed);
    let got = gateway.get("/bucket/k").send().await;
    assert_eq!(got.code, "object-substituted");
}

#[tokio::test]
async fn a_lasting_complete_answers_early_and_tells_its_outcome_inside() {
    let gateway = Gateway::with(Config {
        patience: Duration::ZERO,
        ..Config::default()
    });
    for fails in [false, true] {
        let id = gateway.begin("k").await;
        let tags = [(1, gateway.part("k", &id, 1, b"content").await)];
        if fails {
            let slow = Twist::Instead(503, "SlowDown");
            gateway.provider.twist(completes, slow);
        }
        let done = gateway.complete("k", &id, &tags).send().await;
        assert_eq!(done.status, 200);
        assert_eq!(done.header("content-type"), "application/xml");
        let text = done.text();
        assert!(text.starts_with("<?xml version"), "{text}");
        assert_eq!(text.matches("<?xml").count(), 1);
        match fails {
            true => assert_eq!(done.element("Code"), "SlowDown"),
            false => assert!(!done.element("ETag").is_empty()),
        }
    }
}
