//! Files: sealed as objects on their way up, opened on their way down.

use crate::gate::Gate;

const RULES: &str = r#"
[[rule]]
name = "upload"
methods = ["PUT"]
path = "/files/{id}"
request = "object"
answer = ["json"]

[[rule]]
name = "download"
methods = ["GET", "HEAD"]
path = "/files/{id}"
answer = ["object"]
"#;

fn content(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 31 % 251) as u8).collect()
}

fn uploaded(gate: &Gate, bytes: &[u8], fields: &[(&str, &str)]) {
    let answer = gate.send("PUT", "/files/1", fields, bytes);
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[test]
fn a_file_goes_up_sealed_and_comes_down_whole() {
    let gate = Gate::new(RULES);
    for n in [1, 65_536, 400_000] {
        let bytes = content(n);
        uploaded(&gate, &bytes, &[("content-type", "image/png")]);
        let asked = gate.provider.last();
        assert_eq!(
            asked.body.len() as u64,
            sceau::seal::layout::sealed_len(n as u64).unwrap()
        );
        assert_eq!(
            asked.headers["content-length"],
            asked.body.len().to_string()
        );
        assert_eq!(asked.headers["content-type"], "application/octet-stream");
        let answer = gate.get("/files/1");
        assert!(answer.body.as_ref().unwrap() == &bytes);
        assert_eq!(answer.header("content-length"), n.to_string());
        let head = gate.send("HEAD", "/files/1", &[], b"");
        assert_eq!(head.header("content-length"), n.to_string());
    }
}

#[test]
fn ranges_are_those_of_the_plaintext_whether_the_length_was_known_or_not() {
    let gate = Gate::new(RULES);
    let bytes = content(200_000);
    for fields in [&[][..], &[("transfer-encoding", "chunked")]] {
        uploaded(&gate, &bytes, fields);
        for (range, start, end) in [
            ("bytes=0-0", 0, 1),
            ("bytes=65530-131080", 65_530, 131_081),
            ("bytes=199999-", 199_999, 200_000),
            ("bytes=-10", 199_990, 200_000),
        ] {
            let answer = gate.send("GET", "/files/1", &[("range", range)], b"");
            assert_eq!(answer.status, 206, "{range}");
            assert!(
                answer.body.as_ref().unwrap() == &bytes[start..end],
                "{range}"
            );
            assert_eq!(
                answer.header("content-range"),
                format!("bytes {start}-{}/200000", end - 1)
            );
            assert_eq!(answer.header("content-length"), (end - start).to_string());
        }
        let beyond = gate.send("GET", "/files/1", &[("range", "bytes=200000-")], b"");
        assert_eq!(beyond.status, 416);
        assert_eq!(beyond.header("content-range"), "bytes */200000");
    }
}

#[test]
fn what_was_not_sealed_here_is_not_shown() {
    let gate = Gate::new(RULES);
    let mut stored = gate.provider.stored.lock().unwrap();
    stored.insert("/files/plain".into(), content(1000));
    stored.insert("/files/short".into(), b"x".to_vec());
    drop(stored);
    for path in ["/files/plain", "/files/short"] {
        assert_eq!(gate.get(path).code(), "object-unsealed");
        let part = gate.send("GET", path, &[("range", "bytes=0-3")], b"");
        assert_eq!(part.code(), "object-unsealed");
    }
    assert_eq!(gate.get("/files/none").status, 404);
}

#[test]
fn a_damaged_file_is_broken_off() {
    let gate = Gate::new(RULES);
    uploaded(&gate, &content(100_000), &[]);
    let damage = |at: usize| {
        let mut stored = gate.provider.stored.lock().unwrap();
        stored.get_mut("/files/1").unwrap()[at] ^= 1;
    };
    for (at, refused) in [(50, true), (70_000, false), (100_200, false)] {
        damage(at);
        let answer = gate.get("/files/1");
        if refused {
            assert_ne!(answer.status, 200);
        } else {
            assert!(answer.body.is_err(), "{at}");
            assert!(content(100_000).starts_with(&answer.came), "{at}");
        }
        damage(at);
    }
    assert!(gate.get("/files/1").body.is_ok());
}
