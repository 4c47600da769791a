//! PATCH that asks for a file's digest (Nextcloud): answered by the gateway, never sent on.

use crate::gate::{Answer, Gate, settings};
use crate::provider::Provider;

/// Of `text`.
const SHA1: &str = "372ea08cab33e71c02c651dbc83a474d32c676ea";
const MD5: &str = "1cb251ec0d568de6a929b520c4aed8d1";

fn asked(gate: &Gate, kind: &str) -> Answer {
    gate.send("PATCH", "/a", &[("x-recalculate-hash", kind)], b"")
}

#[test]
fn a_digest_that_was_verified_is_told_without_reading_the_file() {
    let gate = Gate::new();
    let declared = format!("SHA1:{SHA1}");
    gate.send("PUT", "/a", &[("oc-checksum", &declared)], b"text");
    let before = gate.provider.methods().len();
    let answer = asked(&gate, "sha1");
    assert_eq!(
        (answer.status, answer.header("oc-checksum")),
        (204, &*declared)
    );
    let seen = gate.provider.seen.lock().unwrap();
    for seen in &seen[before..] {
        assert!(seen.method == "GET" && seen.headers.contains_key("range"));
        assert!(!seen.headers.contains_key("x-recalculate-hash"));
    }
}

#[test]
fn any_other_is_computed_from_the_file() {
    for no_ranges in [false, true] {
        let provider = Provider {
            no_ranges,
            ..Provider::default()
        };
        let gate = Gate::with(settings(), &[], provider);
        gate.send_pieces("PUT", "/a", &[], vec![b"te", b"xt"]);
        for (kind, value) in [("MD5", MD5), ("sha1", SHA1)] {
            let answer = asked(&gate, kind);
            let expected = format!("{}:{value}", kind.to_ascii_uppercase());
            assert_eq!(
                (answer.status, answer.header("oc-checksum")),
                (204, &*expected)
            );
        }
        assert!(!gate.provider.methods().contains(&"PATCH".to_owned()));
        assert_eq!(asked(&gate, "crc7").status, 400);
        assert_eq!(
            gate.send("PATCH", "/a", &[("x-recalculate-hash", "md5")], b"x")
                .status,
            415
        );
    }
}

#[test]
fn no_digest_of_what_does_not_open() {
    let gate = Gate::with(settings(), &["legacy"], Provider::default());
    gate.send("PUT", "/a", &[], &[b'x'; 100_000]);
    let good = gate.provider.file("/a").unwrap();
    for at in [50, 130, 70_000, good.len() - 20] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        gate.provider.store("/a", &bad);
        let answer = asked(&gate, "sha1");
        assert_eq!(
            (answer.status, answer.header("oc-checksum")),
            (502, ""),
            "{at}"
        );
    }
    for (bytes, status) in [(&b"from before"[..], 403), (b"", 403)] {
        gate.provider.store("/a", bytes);
        assert_eq!(asked(&gate, "sha1").status, status);
    }
    gate.provider.files.lock().unwrap().clear();
    assert_eq!(asked(&gate, "sha1").status, 404);
}
