//! Compressed bodies of clients.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::gate::{Answer, Gate, load};

const RULES: &str = r#"
[[rule]]
name = "send"
methods = ["POST"]
path = "/send"
request = "json"
answer = ["json"]
decompress = true
[[rule.seal]]
json = "$.text"

[[rule]]
name = "plainly"
methods = ["POST"]
path = "/plainly"
request = "json"
answer = ["json"]
[[rule.seal]]
json = "$.text"

[[rule]]
name = "upload"
methods = ["PUT"]
path = "/files/{id}"
request = "object"
answer = ["json"]
decompress = true

[[rule]]
name = "download"
methods = ["GET"]
path = "/files/{id}"
answer = ["object"]
"#;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn zlib(plain: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn post(gate: &Gate, path: &str, coding: &str, body: &[u8]) -> Answer {
    let method = if path == "/files/1" { "PUT" } else { "POST" };
    let fields = [
        ("content-type", "application/json"),
        ("content-encoding", coding),
    ];
    gate.send(method, path, &fields, body)
}

#[test]
fn a_compressed_document_is_sealed_and_goes_on_uncompressed() {
    let gate = Gate::new(RULES);
    let document = b"{\"text\":\"bonjour\"}";
    for (coding, body) in [
        ("gzip", gzip(document)),
        ("X-Gzip", gzip(document)),
        ("deflate", zlib(document)),
        ("identity", document.to_vec()),
    ] {
        let answer = post(&gate, "/send", coding, &body);
        assert_eq!(answer.status, 201, "{coding} {answer:?}");
        let sent = gate.provider.last();
        assert!(sent.text().starts_with("{\"text\":\"sc1."), "{coding}");
        assert!(!sent.headers.contains_key("content-encoding"));
        assert_eq!(sent.headers["content-length"], sent.body.len().to_string());
    }
}

#[test]
fn a_compressed_file_is_sealed_as_it_was_before() {
    let gate = Gate::new(RULES);
    let content = "secret ".repeat(50_000);
    let answer = post(&gate, "/files/1", "gzip", &gzip(content.as_bytes()));
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(gate.get("/files/1").body.unwrap() == content.as_bytes());
}

#[test]
fn what_the_rule_does_not_allow_or_is_no_such_coding_is_refused() {
    let gate = Gate::new(RULES);
    let body = gzip(b"{\"text\":\"bonjour\"}");
    for (path, coding, code) in [
        ("/plainly", "gzip", "encoding-unknown"),
        ("/send", "br", "encoding-unknown"),
        ("/send", "zstd", "encoding-unknown"),
        ("/send", "compress", "encoding-unknown"),
        ("/plainly", "zstd", "encoding-unknown"),
        ("/send", "gzip, gzip", "encoding-unknown"),
        ("/send", "deflate", "request-refused"),
        ("/send", "identity", "request-refused"),
    ] {
        let answer = post(&gate, path, coding, &body);
        assert_eq!(answer.code(), code, "{coding}");
        let taken = match (code, path) {
            ("request-refused", _) => "",
            (_, "/send") => "gzip, deflate",
            _ => "identity",
        };
        assert_eq!(answer.header("accept-encoding"), taken, "{coding}");
        assert_eq!(answer.status, if taken.is_empty() { 400 } else { 415 });
    }
    // a type that is not taken is no matter of compression
    let answer = gate.send("POST", "/send", &[("content-type", "text/plain")], b"x");
    assert_eq!((answer.status, answer.header("accept-encoding")), (415, ""));
    for n in [0, 10, body.len() - 1] {
        let answer = post(&gate, "/send", "gzip", &body[..n]);
        assert_eq!(answer.code(), "request-refused", "{n}");
    }
    assert_eq!(gate.provider.count(), 0);
    let none = RULES.replace(
        "answer = [\"object\"]",
        "answer = [\"object\"]\ndecompress = true",
    );
    assert!(load(&none).err().unwrap().contains("belongs to bodies"));
}

#[test]
fn a_bomb_is_refused() {
    let gate = Gate::new(RULES);
    let document = format!("{{\"text\":\"{}\"}}", "a".repeat(100_000));
    let answer = post(&gate, "/send", "gzip", &gzip(document.as_bytes()));
    assert_eq!(answer.code(), "too-large");
    let zeros = zlib(&vec![0; 40 << 20]);
    assert_eq!(
        post(&gate, "/files/1", "deflate", &zeros).code(),
        "too-large"
    );
    assert_eq!(gate.provider.count(), 0);
}
