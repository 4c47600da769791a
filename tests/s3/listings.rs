//! Listings, deletes, and what passes.

use http::HeaderMap;
use sceau::adapter::s3::checksum::{self, Algorithm};

use super::client::{Config, Gateway, bytes};
use super::provider::{Object, md5};

const PART: usize = 5 << 20;

#[tokio::test]
async fn sizes_are_the_plaintexts_and_tags_the_same_everywhere() {
    let gateway = Gateway::new();
    for (key, size) in [("a", 0), ("b", 1), ("c", 70_000), ("d", 400_000)] {
        let target = format!("/bucket/{key}");
        gateway.put(&target, bytes(size, 1)).send().await.ok();
    }
    let (part, rest) = (bytes(PART, 2), bytes(1234, 3));
    gateway.upload("e", &[&part, &rest]).await.ok();
    gateway.put("/bucket/f/", "").send().await.ok();
    let foreign = |size| Object {
        bytes: vec![1; size].into(),
        headers: HeaderMap::new(),
        etag: md5(&[1]),
        version: String::new(),
    };
    gateway.provider.store("bucket", "g", foreign(100));
    for target in ["/bucket", "/bucket?list-type=2", "/bucket?versions"] {
        let list = gateway.get(target).send().await.ok();
        let sizes = list.elements("Size");
        let total = (PART + 1234).to_string();
        assert_eq!(sizes, ["0", "1", "70000", "400000", &total, "0", "100"]);
        for (key, tag) in list
            .elements("Key")
            .iter()
            .zip(list.elements("ETag"))
            .take(6)
        {
            let target = format!("/bucket/{key}");
            let head = gateway.head(&target).send().await.ok();
            assert_eq!(head.header("etag"), tag, "{key}");
            let got = gateway.get(&target).header("if-match", &tag);
            assert_eq!(got.send().await.ok().header("etag"), tag);
        }
    }
    let got = gateway.get("/bucket/g").send().await;
    assert_eq!(got.code, "object-unsealed");
}

#[tokio::test]
async fn a_multipart_tag_is_s3s_own_while_the_state_lasts_and_opaque_after() {
    let gateway = Gateway::new();
    let parts = [bytes(PART, 4), bytes(PART, 5), bytes(99, 6)];
    let id = gateway.begin("k").await;
    let (mut tags, mut digests) = (Vec::new(), Vec::new());
    for (number, part) in (1..).zip(&parts) {
        let value = checksum::of(Algorithm::Md5, part);
        digests.extend_from_slice(value.bytes());
        let target = format!("/bucket/k?partNumber={number}&uploadId={id}");
        let put = gateway.put(&target, part.clone());
        let put = put.header("content-md5", value.base64()).send().await.ok();
        assert_eq!(put.header("etag"), format!("\"{}\"", value.hex()));
        tags.push((number, put.header("etag")));
    }
    let listed = gateway.get(&format!("/bucket/k?uploadId={id}")).send();
    let listed = listed.await.ok().elements("ETag");
    let shown: Vec<String> = tags.iter().map(|(_, tag)| tag.clone()).collect();
    assert_eq!(listed, shown);
    let done = gateway.complete("k", &id, &tags).send().await.ok();
    let expected = format!("\"{}-3\"", md5(&digests));
    assert_eq!(done.element("ETag"), expected);
    let tag = |gateway: Gateway| async move {
        let head = gateway.head("/bucket/k").send().await.ok().header("etag");
        let get = gateway.get("/bucket/k").send().await.ok().header("etag");
        let list = gateway.get("/bucket?list-type=2").send().await.ok();
        assert_eq!((&get, &list.element("ETag")), (&head, &head));
        let got = gateway.get("/bucket/k").header("if-match", &head);
        got.send().await.ok();
        head
    };
    assert_eq!(tag(gateway.twin()).await, expected);
    let opaque = tag(gateway.after_loss(&Config::default())).await;
    assert!(opaque != expected && opaque.ends_with("-3\""), "{opaque}");
    // the form that was shown without the alias still names the object
    let got = gateway.get("/bucket/k").header("if-match", &opaque);
    got.send().await.ok();
}

#[tokio::test]
async fn many_are_deleted_with_their_conditions_translated() {
    let gateway = Gateway::new();
    for key in ["a", "b", "c"] {
        let target = format!("/bucket/{key}");
        gateway.put(&target, "x").send().await.ok();
    }
    let tag = gateway.head("/bucket/b").send().await.ok().header("etag");
    let document = format!(
        "<Delete><Object><Key>a</Key></Object><Object><Key>b</Key><ETag>{tag}</ETag></Object>\
         <Object><Key>c</Key><ETag>\"stale\"</ETag></Object></Delete>"
    );
    let ask = || gateway.ask("POST", "/bucket?delete").body(document.clone());
    let bare = ask().send().await.refused();
    assert_eq!(bare, (400, "InvalidRequest".into()), "no digest");
    let crc = checksum::of(Algorithm::Crc32, document.as_bytes()).base64();
    let done = ask().header("x-amz-checksum-crc32", &crc).send().await.ok();
    assert_eq!(done.elements("Deleted").len(), 2);
    assert_eq!(done.element("Code"), "PreconditionFailed");
    assert!(gateway.provider.object("bucket", "b").is_none());
    assert!(gateway.provider.object("bucket", "c").is_some());
    let wrong = ask()
        .header("x-amz-checksum-crc32", "AAAAAA==")
        .send()
        .await;
    assert_eq!(wrong.refused(), (400, "BadDigest".into()));
    for body in ["", "<Delete/>", "<Delete><Object/></Delete>", "garbage"] {
        let md5 = checksum::of(Algorithm::Md5, body.as_bytes()).base64();
        let ask = gateway.ask("POST", "/bucket?delete").body(body);
        let refused = ask.header("content-md5", md5).send().await.refused();
        assert_eq!(refused.0, 400, "{body}");
    }
}

#[tokio::test]
async fn uploads_are_listed_with_the_clients_ids_in_pages() {
    let gateway = Gateway::new();
    let mut ids = Vec::new();
    for key in ["k", "k", "k", "m"] {
        ids.push(gateway.begin(key).await);
    }
    let mut found = Vec::new();
    let mut marker = String::new();
    loop {
        let target = format!("/bucket?uploads&max-uploads=1&encoding-type=url{marker}");
        let page = gateway.get(&target).send().await.ok();
        found.extend(page.elements("UploadId"));
        if page.element("IsTruncated") != "true" {
            break;
        }
        marker = format!(
            "&key-marker={}&upload-id-marker={}",
            page.element("NextKeyMarker"),
            page.element("NextUploadIdMarker")
        );
    }
    assert_eq!(found, ids);
    assert!(ids.iter().all(|id| !id.contains("upload/")));
    // uploads that were begun around the gateway, or before the state was lost, belong to nobody
    let lost = gateway.after_loss(&Config::default());
    let list = lost.get("/bucket?uploads").send().await.ok();
    assert!(list.elements("UploadId").is_empty());
    let bad = gateway.get("/bucket?uploads&key-marker=k&upload-id-marker=x");
    assert_eq!(bad.send().await.refused().0, 400);
}

#[tokio::test]
async fn what_has_no_payload_passes_signed_anew() {
    let gateway = Gateway::new();
    gateway.get("/").send().await.ok();
    gateway.head("/bucket").send().await.ok();
    gateway.ask("DELETE", "/bucket").send().await.ok();
    let made = gateway.put("/bucket", "").send().await.ok();
    assert_eq!(
        made.header("location"),
        "/bucket",
        "no host of the provider"
    );
    let document = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    gateway
        .put("/bucket?versioning", document)
        .send()
        .await
        .ok();
    let got = gateway.get("/bucket?versioning").send().await.ok();
    assert_eq!(got.text(), document);
    let mfa = "<VersioningConfiguration><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>";
    let refused = gateway
        .put("/bucket?versioning", mfa)
        .send()
        .await
        .refused();
    assert_eq!(refused, (501, "NotImplemented".into()));
    let lock = "<Retention><Mode>GOVERNANCE</Mode></Retention>";
    let put = gateway.put("/bucket/k?retention", lock);
    put.header("x-amz-bypass-governance-retention", "true")
        .send()
        .await
        .ok();
    let seen = gateway.provider.seen();
    let last = seen.last().unwrap();
    assert_eq!(
        last.header("x-amz-bypass-governance-retention"),
        Some("true")
    );
    assert!(last.header("content-md5").is_some());
    let select = "<RestoreRequest><Type>SELECT</Type></RestoreRequest>";
    let restore = |body| gateway.ask("POST", "/bucket/k?restore").body(body);
    assert_eq!(restore(select).send().await.refused().0, 501);
    restore("<RestoreRequest><Days>1</Days></RestoreRequest>")
        .send()
        .await
        .ok();
    let wrong = gateway.put("/bucket/k?retention", lock);
    let wrong = wrong
        .header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")
        .send()
        .await;
    assert_eq!(wrong.refused().1, "BadDigest");
}

#[tokio::test]
async fn groups_pass_only_by_policy_and_tags_with_them() {
    let closed = Gateway::new();
    let open = Gateway::with(Config {
        policy: vec!["tagging", "acl"],
        ..Config::default()
    });
    let tags = "<Tagging><TagSet/></Tagging>";
    closed.put("/bucket/k", "x").send().await.ok();
    assert_eq!(
        closed
            .put("/bucket/k?tagging", tags)
            .send()
            .await
            .refused()
            .0,
        403
    );
    open.put("/bucket/k?tagging", tags).send().await.ok();
    for (name, value) in [("x-amz-tagging", "a=b"), ("x-amz-acl", "public-read")] {
        let refused = closed
            .put("/bucket/k", "x")
            .header(name, value)
            .send()
            .await;
        assert_eq!(refused.refused(), (403, "AccessDenied".into()));
        open.provider.seen();
        open.put("/bucket/k", "x")
            .header(name, value)
            .send()
            .await
            .ok();
        assert_eq!(open.provider.seen()[0].header(name), Some(value));
        let hoisted = closed.put("/bucket/k", "x").header(name, value);
        assert_eq!(hoisted.send_presigned().await.refused().0, 403);
    }
}
