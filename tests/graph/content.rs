//! Simple uploads and downloads.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sceau::adapter::graph::quickxor::QuickXor;
use sceau::adapter::graph::settings::Redirects;
use sceau::seal::layout::sealed_len;

use crate::gate::{Gate, plain, settings};
use crate::provider::Provider;

const PATH: &str = "/v1.0/me/drive/root:/a.bin:/content";

pub fn hash(bytes: &[u8]) -> String {
    let mut hash = QuickXor::default();
    hash.update(bytes);
    STANDARD.encode(hash.value())
}

#[test]
fn a_file_goes_up_sealed_and_its_item_shows_the_plaintext() {
    for length in [0, 1, 65_535, 65_536, 400_000] {
        let gate = Gate::new();
        let whole = plain(length);
        let answer = gate.send("PUT", PATH, &[("content-type", "text/plain")], &whole);
        assert_eq!(answer.status, 201);
        let item = answer.json();
        assert_eq!(item["size"], length);
        assert_eq!(item["file"]["hashes"]["quickXorHash"], hash(&whole));
        let stored = gate.provider.file("a.bin").unwrap().bytes;
        assert_eq!(Some(stored.len() as u64), sealed_len(length as u64));
        let told = gate.provider.seen.lock().unwrap();
        assert_eq!(told[0].header("content-length"), stored.len().to_string());
        assert_eq!(told[0].header("content-type"), "application/octet-stream");
    }
}

#[test]
fn a_download_is_redirected_and_opened_at_the_tenant_host() {
    let gate = Gate::new();
    let whole = plain(400_000);
    gate.send("PUT", PATH, &[], &whole);
    let answer = gate.send("GET", PATH, &[], b"");
    assert_eq!(answer.status, 302);
    let url = answer.header("location").to_owned();
    let read = gate.follow("GET", &url, &[], b"");
    assert!(read.status == 200 && read.bytes() == whole);
    assert_eq!(read.header("content-length"), "400000");
    let head = gate.follow("HEAD", &url, &[], b"");
    assert_eq!(head.header("content-length"), "400000");
    for (asked, expected) in [
        ("bytes=0-9", 0..10),
        ("bytes=65530-65545", 65_530..65_546),
        ("bytes=399990-", 399_990..400_000),
        ("bytes=-3", 399_997..400_000),
    ] {
        let part = gate.follow("GET", &url, &[("range", asked)], b"");
        assert_eq!(part.status, 206, "{asked}");
        assert_eq!(part.bytes(), &whole[expected.clone()]);
        let range = format!("bytes {}-{}/400000", expected.start, expected.end - 1);
        assert_eq!(part.header("content-range"), range);
    }
    let beyond = gate.follow("GET", &url, &[("range", "bytes=400000-")], b"");
    assert_eq!(beyond.status, 416);
    assert_eq!(beyond.header("content-range"), "bytes */400000");
    let tag = gate
        .send("GET", "/v1.0/me/drive/root:/a.bin", &[], b"")
        .json()["eTag"]
        .clone();
    let same = gate.send(
        "GET",
        PATH,
        &[("if-none-match", tag.as_str().unwrap())],
        b"",
    );
    assert_eq!(same.status, 304);
}

#[test]
fn a_redirect_is_followed_where_the_operator_says_so() {
    for no_ranges in [false, true] {
        let mut own = settings();
        own.redirects = Redirects::Follow;
        let provider = Provider {
            no_ranges,
            ..Provider::default()
        };
        let gate = Gate::with(own, &[], provider);
        let whole = plain(200_000);
        gate.send("PUT", PATH, &[], &whole);
        let read = gate.send("GET", PATH, &[], b"");
        assert!(read.status == 200 && read.bytes() == whole);
        let part = gate.send("GET", PATH, &[("range", "bytes=70000-70009")], b"");
        match no_ranges {
            false => assert_eq!((part.status, part.bytes()), (206, &whole[70_000..70_010])),
            true => assert_eq!((part.status, part.bytes()), (200, &whole[..])),
        }
        let told = gate.provider.seen.lock().unwrap();
        let downloads = told
            .iter()
            .filter(|seen| seen.target.contains("download.aspx"));
        assert!(downloads.clone().count() > 0);
        for seen in downloads {
            assert_eq!(
                seen.header("authorization"),
                "",
                "the address has its own proof"
            );
        }
    }
}

#[test]
fn a_redirect_past_the_gateway_is_refused() {
    for follow in [Redirects::Leave, Redirects::Follow] {
        let mut own = settings();
        own.redirects = follow;
        let gate = Gate::with(own, &[], Provider::default());
        for url in [
            "https://elsewhere.example/x",
            "http://contoso.sharepoint.com/x",
            "//elsewhere.example/x",
            "https://contoso.sharepoint.com@elsewhere.example/x",
            "https://contoso.sharepoint.com.elsewhere.example/x",
            "/\\elsewhere.example/x",
        ] {
            let canned = (
                "GET",
                "/v1.0",
                (302, vec![("location", url.to_owned())], vec![]),
            );
            *gate.provider.canned.lock().unwrap() = vec![canned];
            let answer = gate.send("GET", PATH, &[], b"");
            assert_eq!(answer.status, 502, "{url}");
            assert_eq!(answer.code(), "upstream-invalid");
        }
    }
}

#[test]
fn what_lies_unsealed_or_damaged_is_not_given_out() {
    let gate = Gate::new();
    gate.provider.store("a.bin", &plain(1000));
    let url = gate
        .send("GET", PATH, &[], b"")
        .header("location")
        .to_owned();
    let answer = gate.follow("GET", &url, &[], b"");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (403, "object-unsealed")
    );
    gate.send("PUT", PATH, &[], &plain(200_000));
    let good = gate.provider.file("a.bin").unwrap().bytes;
    let read = |bytes: &[u8]| {
        gate.provider.store("a.bin", bytes);
        let answer = gate.follow("GET", &url, &[], b"");
        answer.status != 200 || answer.body.is_err()
    };
    assert!(!read(&good));
    for at in [5, 40, 100, 1000, 150_000, good.len() - 100, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(read(&bad), "{at}");
    }
    assert!(read(&good[..good.len() - 1]) && read(&good[..100]));
}

#[test]
fn a_body_that_is_cut_short_never_ends_at_the_provider() {
    let gate = Gate::new();
    let pieces = vec![plain(100_000).into()];
    let host = crate::provider::GRAPH;
    let answer = gate.pieces(host, "PUT", PATH, &[], pieces, 200_000);
    assert!(answer.status >= 400);
    assert!(gate.provider.file("a.bin").is_none());
}

#[test]
fn a_file_that_the_provider_changed_is_reported() {
    let gate = Gate::new();
    let item = r#"{"id":"1","cTag":"c","size":9000,"parentReference":{"driveId":"d"},"file":{}}"#;
    let fields = vec![("content-type", "application/json".to_owned())];
    let canned = ("PUT", "/v1.0", (201, fields, item.as_bytes().to_vec()));
    *gate.provider.canned.lock().unwrap() = vec![canned];
    let answer = gate.send("PUT", PATH, &[], &plain(1000));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (502, "upstream-invalid")
    );
}
