//! Forms with files.

use crate::gate::{Answer, Gate};

const RULES: &str = r#"
[[rule]]
name = "create"
methods = ["POST"]
path = "/records"
request = "multipart"
answer = ["json"]
clear = ["status"]
[[rule.seal]]
form = "title"
index = "exact"
beside = "title_index"
[[rule.seal]]
file = "document"
[[rule.seal]]
file = "photo"
keep_name = true

[[rule]]
name = "create-as-json"
methods = ["POST"]
path = "/records"
request = "json"
answer = ["json"]
[[rule.seal]]
json = "$.title"

[[rule]]
name = "file"
methods = ["GET"]
path = "/files/{id}"
answer = ["object"]
"#;

fn part(name: &str, rest: &str, content: &[u8]) -> Vec<u8> {
    let mut part = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{rest}\r\n\r\n")
        .into_bytes();
    part.extend_from_slice(content);
    part.extend_from_slice(b"\r\n");
    part
}

fn post(gate: &Gate, parts: &[Vec<u8>]) -> Answer {
    let mut body = parts.concat();
    body.extend_from_slice(b"--b--\r\n");
    gate.send(
        "POST",
        "/records",
        &[("content-type", "multipart/form-data; boundary=b")],
        &body,
    )
}

/// Heads and contents of what the provider got.
fn sent(gate: &Gate) -> Vec<(String, Vec<u8>)> {
    let asked = gate.provider.last();
    assert!(!asked.headers.contains_key("content-length"));
    let kind = asked.headers["content-type"].to_str().unwrap().to_owned();
    let boundary = kind.split("boundary=").nth(1).unwrap();
    let delimiter = format!("\r\n--{boundary}");
    let body = [b"\r\n", &asked.body[..]].concat();
    let cuts: Vec<usize> = memchr::memmem::find_iter(&body, &delimiter).collect();
    assert_eq!(&body[cuts[cuts.len() - 1] + delimiter.len()..], b"--\r\n");
    cuts.windows(2)
        .map(|pair| {
            let part = &body[pair[0] + delimiter.len() + 2..pair[1]];
            let end = memchr::memmem::find(part, b"\r\n\r\n").unwrap();
            let head = String::from_utf8(part[..end].to_vec()).unwrap();
            (head, part[end + 4..].to_vec())
        })
        .collect()
}

#[test]
fn fields_and_files_are_sealed_as_the_form_streams() {
    let gate = Gate::new(RULES);
    let content: Vec<u8> = (0..150_000).map(|i| (i % 250) as u8).collect();
    let answer = post(
        &gate,
        &[
            part("status", "", b"open"),
            part("title", "", "Réunion".as_bytes()),
            part(
                "document",
                "; filename=\"secret plan.pdf\"\r\nContent-Type: application/pdf",
                &content,
            ),
            part(
                "photo",
                "; filename=\"a.png\"\r\nContent-Type: image/png",
                b"PNG",
            ),
            part("document", "; filename=\"\"", b""),
        ],
    );
    assert_eq!(answer.status, 201, "{answer:?}");
    let parts = sent(&gate);
    let heads: Vec<&str> = parts.iter().map(|(head, _)| head.as_str()).collect();
    let head =
        |name: &str, rest: &str| format!("Content-Disposition: form-data; name=\"{name}\"{rest}");
    assert_eq!(
        heads,
        [
            head("status", ""),
            head("title", ""),
            head("title_index", ""),
            head(
                "document",
                "; filename=\"file.bin\"\r\nContent-Type: application/octet-stream"
            ),
            head("photo", "; filename=\"a.png\"\r\nContent-Type: image/png"),
            head(
                "document",
                "; filename=\"\"\r\nContent-Type: application/octet-stream"
            ),
        ]
    );
    assert_eq!(parts[0].1, b"open");
    assert!(parts[1].1.starts_with(b"sc1."));
    assert_eq!(parts[2].1.len(), 22);
    assert_eq!(parts[5].1, b"");
    for (i, expected) in [(3, &content[..]), (4, b"PNG")] {
        gate.provider
            .stored
            .lock()
            .unwrap()
            .insert("/files/1".into(), parts[i].1.clone());
        assert!(gate.get("/files/1").body.unwrap() == expected);
    }
}

#[test]
fn what_the_rule_does_not_name_breaks_the_upload_off() {
    let gate = Gate::new(RULES);
    for (parts, code) in [
        (vec![part("other", "", b"plaintext")], "rule-violated"),
        (
            vec![
                part("status", "", b"open"),
                part("other", "; filename=\"x\"", b"plaintext"),
            ],
            "rule-violated",
        ),
        (
            vec![part("title", "; filename=\"x\"", b"plaintext")],
            "rule-violated",
        ),
        (vec![part("document", "", b"plaintext")], "rule-violated"),
        (
            vec![part("document", "; filename=\"\"", b"plaintext")],
            "rule-violated",
        ),
        (vec![part("title", "", &[0xFF])], "request-refused"),
        (
            vec![part("title", "\r\nContent-Transfer-Encoding: base64", b"x")],
            "request-refused",
        ),
        (vec![part("status", "", &[b'x'; 70_000])], "too-large"),
        (
            vec![part("title", "", &[b'x'; 65_530]), b"--b".to_vec()],
            "request-refused",
        ),
    ] {
        let count = gate.provider.count();
        let answer = post(&gate, &parts);
        assert_eq!(answer.code(), code, "{answer:?}");
        // the provider's side of the stream ended in an error, so it kept nothing
        assert_eq!(gate.provider.count(), count);
    }
    let cut = part("document", "; filename=\"x\"", b"plaintext");
    let answer = gate.send(
        "POST",
        "/records",
        &[("content-type", "multipart/form-data; boundary=b")],
        &cut,
    );
    assert_eq!(answer.code(), "body-incomplete");
    // of two rules for one path, the body's type decides
    assert_eq!(
        gate.json("POST", "/records", "{\"title\":\"x\"}").status,
        201
    );
    let text = gate.provider.last().text();
    assert!(text.starts_with("{\"title\":\"sc1."));
    let other = gate.send("POST", "/records", &[("content-type", "text/plain")], b"{}");
    assert_eq!(other.code(), "encoding-unknown");
}
