//! PUT, LOCK, COPY, MOVE: what reaches the provider.

use sceau::adapter::webdav::settings::{Preconditions, UnknownLength};
use sceau::seal::layout::sealed_len;

use crate::gate::{Gate, settings};
use crate::provider::Provider;

const PLAIN: &[u8] = b"a marker that must not be seen upstream: 6f1d3c";

fn seen_anywhere(provider: &Provider, needle: &[u8]) -> bool {
    let found = |hay: &[u8]| hay.windows(8).any(|w| needle.windows(8).any(|n| n == w));
    let seen = provider.seen.lock().unwrap();
    seen.iter().any(|seen| {
        found(&seen.body)
            || found(seen.path.as_bytes())
            || seen.headers.values().any(|value| found(value.as_bytes()))
    })
}

#[test]
fn a_file_goes_up_sealed_and_comes_back() {
    let gate = Gate::new();
    let answer = gate.send(
        "PUT",
        "/a%20b.txt",
        &[("content-type", "text/plain")],
        PLAIN,
    );
    assert_eq!(answer.status, 201);
    let stored = gate.provider.file("/a%20b.txt").unwrap();
    assert_eq!(Some(stored.len() as u64), sealed_len(PLAIN.len() as u64));
    assert!(!seen_anywhere(&gate.provider, PLAIN));
    assert_eq!(answer.header("etag"), format!("\"{}\"", stored.len()));
    let read = gate.send("GET", "/a%20b.txt", &[], b"");
    assert_eq!((read.status, read.bytes()), (200, PLAIN));
    assert_eq!(read.header("content-length"), PLAIN.len().to_string());
    assert_eq!(read.header("etag"), format!("\"{}\"", stored.len()));
    let head = gate.send("HEAD", "/a%20b.txt", &[], b"");
    assert_eq!(head.header("content-length"), PLAIN.len().to_string());
    assert_eq!(head.header("content-type"), "text/plain");
}

/// The check above finds what is there: here a PROPFIND's own document carries the marker.
#[test]
fn the_search_for_the_marker_finds_it() {
    let gate = Gate::new();
    let text = String::from_utf8(PLAIN.to_vec()).unwrap();
    let document = format!("<propfind xmlns=\"DAV:\"><!--{text}--></propfind>");
    gate.send("PROPFIND", "/", &[], document.as_bytes());
    assert!(seen_anywhere(&gate.provider, PLAIN));
}

#[test]
fn equal_files_are_not_equal_upstream() {
    let gate = Gate::new();
    for path in ["/a", "/b"] {
        gate.send("PUT", path, &[], PLAIN);
    }
    let (a, b) = (gate.provider.file("/a"), gate.provider.file("/b"));
    assert_ne!(a.unwrap()[48..], b.unwrap()[48..]);
}

#[test]
fn a_body_without_a_length() {
    let gate = Gate::new();
    let answer = gate.send_pieces("PUT", "/a", &[], vec![b"one ", b"two ", b"three"]);
    assert_eq!(answer.status, 201);
    assert!(!gate.provider.seen.lock().unwrap()[0].sized);
    assert_eq!(gate.send("GET", "/a", &[], b"").bytes(), b"one two three");
    let range = gate.send("GET", "/a", &[("range", "bytes=4-6")], b"");
    assert_eq!((range.status, range.bytes()), (206, &b"two"[..]));
    assert_eq!(range.header("content-range"), "bytes 4-6/13");

    let mut strict = settings();
    strict.unknown_length = UnknownLength::Refuse;
    let gate = Gate::with(strict, &[], Provider::default());
    let answer = gate.send_pieces("PUT", "/a", &[], vec![b"one"]);
    assert_eq!(answer.status, 411);
    assert!(gate.provider.methods().is_empty());
}

#[test]
fn a_body_without_a_length_is_spooled_for_a_provider_that_wants_one() {
    let spooling = |max_put| {
        let mut settings = settings();
        settings.unknown_length = UnknownLength::Spool;
        settings.max_put = max_put;
        Gate::with(settings, &[], Provider::default())
    };
    let gate = spooling(1 << 20);
    let pieces = vec![&[b'a'; 70_000][..], &[b'b'; 70_000]];
    assert_eq!(gate.send_pieces("PUT", "/a", &[], pieces).status, 201);
    let sealed = sealed_len(140_000).unwrap().to_string();
    let seen = gate.provider.seen.lock().unwrap();
    assert!(seen[0].sized && seen[0].headers["content-length"] == *sealed);
    drop(seen);
    let read = gate.send("GET", "/a", &[], b"");
    assert!(read.bytes() == [[b'a'; 70_000], [b'b'; 70_000]].concat());
    assert_eq!(gate.spools(), 0);
    // one that has a length goes straight on
    gate.send("PUT", "/b", &[], b"text");
    assert!(gate.provider.seen.lock().unwrap()[2].sized);

    let wrong = [("oc-checksum", "MD5:00000000000000000000000000000000")];
    let answer = gate.send_pieces("PUT", "/c", &wrong, vec![b"text"]);
    assert_eq!(answer.status, 400);
    let answer = gate.send_pieces("PUT", "/c", &[], vec![&[0; 1 << 20]]);
    assert!(answer.status == 400 && answer.text().contains("too-large"));
    assert!(gate.provider.file("/c").is_none() && gate.spools() == 0);
    gate.provider.answer_with("PUT", (507, vec![], vec![]));
    let answer = gate.send_pieces("PUT", "/c", &[], vec![b"text"]);
    assert_eq!((answer.status, gate.spools()), (507, 0));
}

#[test]
fn the_finders_expected_length_is_the_length() {
    let gate = Gate::new();
    let field = [("x-expected-entity-length", "5")];
    let answer = gate.send_pieces("PUT", "/a", &field, vec![b"12", b"345"]);
    assert_eq!(answer.status, 201);
    let seen = gate.provider.seen.lock().unwrap();
    assert!(seen[0].sized && !seen[0].headers.contains_key("x-expected-entity-length"));
    drop(seen);
    let answer = gate.send_pieces("PUT", "/b", &field, vec![b"12"]);
    assert!(answer.status >= 400);
    assert!(gate.provider.file("/b").is_none());
}

#[test]
fn an_empty_file() {
    let gate = Gate::new();
    assert_eq!(gate.send("PUT", "/a", &[], b"").status, 201);
    assert_eq!(gate.provider.file("/a").unwrap().len(), 528);
    assert_eq!(gate.send("GET", "/a", &[], b"").bytes(), b"");
    let range = gate.send("GET", "/a", &[("range", "bytes=0-0")], b"");
    assert_eq!(
        (range.status, range.header("content-range")),
        (416, "bytes */0")
    );
}

#[test]
fn a_body_that_is_cut_or_too_long_is_stored_nowhere() {
    for body in [&b"123"[..], b"123456"] {
        let gate = Gate::new();
        let answer = gate.send_pieces("PUT", "/a", &[("content-length", "5")], vec![body]);
        assert!(answer.status >= 400, "{answer:?}");
        assert!(gate.provider.file("/a").is_none());
    }
}

#[test]
fn declared_digests_are_verified_and_never_sent() {
    let good = [
        (
            "oc-checksum",
            "SHA1:a9993e364706816aba3e25717850c26c9cd0d89d",
        ),
        ("oc-checksum", "md5:900150983cd24fb0d6963f7d28e17f72"),
        ("oc-checksum", "ADLER32:024d0127"),
        ("content-md5", "kAFQmDzST7DWlj99KOF/cg=="),
    ];
    for field in good {
        let gate = Gate::new();
        let answer = gate.send("PUT", "/a", &[field, ("x-oc-mtime", "12")], b"abc");
        assert_eq!(answer.status, 201, "{field:?}");
        let seen = gate.provider.seen.lock().unwrap();
        assert!(!seen[0].headers.contains_key(field.0));
        assert_eq!(seen[0].headers["x-oc-mtime"], "12");
        drop(seen);
        let answer = gate.send("PUT", "/b", &[field], b"abd");
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("digest-mismatch"));
        assert!(gate.provider.file("/b").is_none());
    }
    let answer = Gate::new().send("PUT", "/a", &[("oc-checksum", "SHA3-256:00")], b"abc");
    assert_eq!(answer.status, 400);
}

#[test]
fn destination_and_if_name_the_provider() {
    let gate = Gate::new();
    let fields = [
        ("destination", "https://gate.example/b%20c"),
        ("if", "<https://gate.example/b> (<urn:uuid:1>)"),
        ("overwrite", "F"),
    ];
    for method in ["COPY", "MOVE"] {
        assert_eq!(gate.send(method, "/a", &fields, b"").status, 204);
    }
    for seen in gate.provider.seen.lock().unwrap().iter() {
        assert_eq!(
            seen.headers["destination"],
            "https://dav.provider.example/b%20c"
        );
        assert_eq!(
            seen.headers["if"],
            "<https://dav.provider.example/b> (<urn:uuid:1>)"
        );
        assert_eq!(seen.headers["overwrite"], "F");
        assert_eq!(seen.headers["host"], "dav.provider.example");
    }
    for field in [
        ("destination", "https://other.example/b"),
        ("if", "<https://other.example/b> (<urn:uuid:1>)"),
    ] {
        let gate = Gate::new();
        let mut fields = vec![field];
        if field.0 == "if" {
            fields.push(("destination", "/b"));
        }
        assert_eq!(gate.send("MOVE", "/a", &fields, b"").status, 502);
        assert!(gate.provider.methods().is_empty());
    }
}

#[test]
fn conditions_are_evaluated_for_a_provider_that_ignores_them() {
    let gate = Gate::new();
    gate.send("PUT", "/a", &[], b"first");
    let tag = gate.send("HEAD", "/a", &[], b"").header("etag").to_owned();
    let second = |field| gate.send("PUT", "/a", &[field], b"second").status;
    assert_eq!(second(("if-none-match", "*")), 412);
    assert_eq!(second(("if-match", "\"other\"")), 412);
    assert_eq!(gate.send("GET", "/a", &[], b"").bytes(), b"first");
    assert_eq!(second(("if-match", &tag)), 201);
    assert_eq!(
        gate.send("PUT", "/new", &[("if-match", "*")], b"x").status,
        412
    );
    assert_eq!(
        gate.send("PUT", "/new", &[("if-none-match", "*")], b"x")
            .status,
        201
    );
    assert_eq!(
        gate.send("DELETE", "/a", &[("if-match", "\"other\"")], b"")
            .status,
        412
    );

    let mut trusting = settings();
    trusting.preconditions = Preconditions::Provider;
    let gate = Gate::with(trusting, &[], Provider::default());
    gate.send("PUT", "/a", &[("if-none-match", "*")], b"x");
    assert_eq!(gate.provider.methods(), ["PUT"]);
    let seen = gate.provider.seen.lock().unwrap();
    assert_eq!(seen[0].headers["if-none-match"], "*");
}

#[test]
fn a_lock_on_a_new_name_makes_a_sealed_empty_file() {
    let gate = Gate::new();
    let info = b"<lockinfo xmlns=\"DAV:\"><lockscope><exclusive/></lockscope></lockinfo>";
    let answer = gate.send("LOCK", "/a", &[("timeout", "Second-60")], info);
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("lock-token"), "<urn:uuid:1>");
    assert!(answer.text().contains("<D:href>/a</D:href>"));
    assert_eq!(gate.provider.methods(), ["HEAD", "LOCK", "PUT"]);
    let seen = gate.provider.seen.lock().unwrap();
    assert_eq!(seen[2].headers["if"], "(<urn:uuid:1>)");
    drop(seen);
    assert_eq!(gate.send("GET", "/a", &[], b"").bytes(), b"");
    assert_eq!(gate.send("LOCK", "/a", &[], info).status, 200);
    assert_eq!(gate.provider.methods()[4..], ["HEAD", "LOCK"]);
}
