//! GET and HEAD of what lies at the provider, genuine or not.

use crate::gate::{Gate, settings};
use crate::provider::Provider;

fn plain(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 % 253) as u8).collect()
}

#[test]
fn ranges_of_every_kind() {
    for unsized_put in [false, true] {
        let plain = plain(200_000);
        let gate = Gate::new();
        if unsized_put {
            gate.send_pieces("PUT", "/a", &[], vec![&plain]);
        } else {
            gate.send("PUT", "/a", &[], &plain);
        }
        for (field, from, to) in [
            ("bytes=0-0", 0, 1),
            ("bytes=65535-65536", 65_535, 65_537),
            ("bytes=100000-", 100_000, 200_000),
            ("bytes=-5", 199_995, 200_000),
            ("bytes=0-999999", 0, 200_000),
            ("bytes=-999999", 0, 200_000),
        ] {
            let answer = gate.send("GET", "/a", &[("range", field)], b"");
            assert_eq!(answer.status, 206, "{field}");
            assert!(answer.bytes() == &plain[from..to], "{field}");
            let expected = format!("bytes {from}-{}/200000", to - 1);
            assert_eq!(answer.header("content-range"), expected);
            assert_eq!(answer.header("content-length"), (to - from).to_string());
        }
        let beyond = gate.send("GET", "/a", &[("range", "bytes=200000-")], b"");
        assert_eq!(
            (beyond.status, beyond.header("content-range")),
            (416, "bytes */200000")
        );
        let several = gate.send("GET", "/a", &[("range", "bytes=0-1,5-6")], b"");
        assert!(several.status == 200 && several.bytes() == plain);
    }
}

#[test]
fn a_provider_without_ranges_gives_the_whole() {
    let provider = Provider {
        no_ranges: true,
        ..Provider::default()
    };
    let gate = Gate::with(settings(), &[], provider);
    gate.send("PUT", "/a", &[], &plain(1000));
    let answer = gate.send("GET", "/a", &[("range", "bytes=1-2")], b"");
    assert!(answer.status == 200 && answer.bytes() == plain(1000));
}

#[test]
fn every_flip_and_every_truncation_is_refused() {
    let plain = plain(300);
    let gate = Gate::new();
    gate.send("PUT", "/a", &[], &plain);
    let good = gate.provider.file("/a").unwrap();
    let mut damaged = Vec::new();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        damaged.push(bytes);
        damaged.push(good[..at].to_vec());
    }
    damaged.push([&good[..], b"x"].concat());
    for bytes in damaged {
        gate.provider.store("/a", &bytes);
        let answer = gate.send("GET", "/a", &[], b"");
        assert!(answer.status >= 400 || answer.body.is_err(), "{answer:?}");
    }
}

#[test]
fn a_file_of_another_service_does_not_open() {
    let gate = Gate::new();
    gate.send("PUT", "/a", &[], b"text");
    let mut other = settings();
    other.context = sceau::seal::Context::new("tenant", "other", "default").unwrap();
    let other = Gate::with(other, &[], Provider::default());
    other
        .provider
        .store("/a", &gate.provider.file("/a").unwrap());
    let answer = other.send("GET", "/a", &[], b"");
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("object-substituted"));
    let range = other.send("GET", "/a", &[("range", "bytes=0-1")], b"");
    assert_eq!(range.status, 502);
}

#[test]
fn what_lies_there_unsealed_is_shown_and_not_read() {
    let gate = Gate::new();
    for content in [&b""[..], b"short", &[b'x'; 5000]] {
        gate.provider.store("/a", content);
        for fields in [&[][..], &[("range", "bytes=0-1")]] {
            let answer = gate.send("GET", "/a", fields, b"");
            assert_eq!(answer.status, 403);
            assert!(answer.text().contains("object-unsealed"));
            assert!(!answer.text().contains("xx"));
        }
        assert_eq!(gate.send("HEAD", "/a", &[], b"").status, 200);
    }
}

#[test]
fn a_person_is_told_why_on_a_page() {
    let gate = Gate::new();
    gate.provider.store("/a", b"from before");
    let fields = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let answer = gate.send("GET", "/a", &fields, b"");
    assert_eq!(answer.status, 403);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    for part in [
        "lang=\"fr\"",
        "object-unsealed",
        "dsi@example.fr",
        "unsealed",
    ] {
        assert!(answer.text().contains(part), "{part}");
    }
}

#[test]
fn legacy_lets_the_unsealed_be_read() {
    let gate = Gate::with(settings(), &["legacy"], Provider::default());
    gate.provider.store("/a", b"from before");
    let answer = gate.send("GET", "/a", &[], b"");
    assert_eq!((answer.status, answer.bytes()), (200, &b"from before"[..]));
    let range = gate.send("GET", "/a", &[("range", "bytes=5-")], b"");
    assert_eq!((range.status, range.bytes()), (206, &b"before"[..]));
    assert_eq!(range.header("content-range"), "bytes 5-10/11");
}

#[test]
fn reads_of_unsealed_files_are_counted() {
    let mut settings = settings();
    settings.name = "counted".into();
    let reads = || {
        let sums = sceau::telemetry::UNSEALED_READS.sums();
        sums.into_iter().find(|(name, _)| name == "counted")
    };
    let gate = Gate::with(settings, &["legacy"], Provider::default());
    gate.provider.store("/a", b"from before");
    gate.send("PUT", "/b", &[], b"sealed");
    gate.send("GET", "/b", &[], b"");
    gate.send("HEAD", "/a", &[], b"");
    assert_eq!(reads(), None);
    gate.send("GET", "/a", &[], b"");
    gate.send("GET", "/a", &[("range", "bytes=5-")], b"");
    gate.send("GET", "/a", &[("range", "bytes=50-")], b"");
    assert_eq!(reads(), Some(("counted".to_owned(), 2)));
}

#[test]
fn conditions_of_reads_go_to_the_provider() {
    let gate = Gate::new();
    gate.send("PUT", "/a", &[], b"text");
    gate.provider
        .answer_with("GET", (304, vec![("etag", "\"x\"".into())], vec![]));
    let answer = gate.send("GET", "/a", &[("if-none-match", "\"x\"")], b"");
    assert_eq!((answer.status, answer.header("etag")), (304, "\"x\""));
    let seen = gate.provider.seen.lock().unwrap();
    assert_eq!(seen[1].headers["if-none-match"], "\"x\"");
    assert_eq!(seen[1].headers["accept-encoding"], "identity");
}

#[test]
fn a_compressed_answer_is_refused() {
    let gate = Gate::new();
    let fields = vec![("content-encoding", "gzip".to_owned())];
    gate.provider
        .answer_with("GET", (200, fields, vec![0; 600]));
    assert_eq!(gate.send("GET", "/a", &[], b"").status, 502);
}
