//! Ranges of files that were read lately, and files that change under their entity tag. The provider in memory makes
//! tags of lengths, so that two files of one length have one tag.

use std::sync::atomic::Ordering;

use crate::gate::{Answer, Gate, settings};
use crate::provider::Provider;

fn plain(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 % 253) as u8).collect()
}

fn range(gate: &Gate, path: &str, field: &str) -> Answer {
    gate.send("GET", path, &[("range", field)], b"")
}

/// What the provider was asked for since.
fn asked(gate: &Gate, from: usize) -> Vec<String> {
    let seen = gate.provider.seen.lock().unwrap();
    let range = |headers: &http::HeaderMap| headers["range"].to_str().unwrap().to_owned();
    seen[from..]
        .iter()
        .map(|seen| range(&seen.headers))
        .collect()
}

/// Code of an answer that was refused or broken off.
fn code(answer: &Answer) -> String {
    match &answer.body {
        Ok(_) => ["object-substituted", "object-damaged"]
            .into_iter()
            .find(|code| answer.text().contains(code))
            .unwrap_or_default()
            .to_owned(),
        Err(fault) => fault.code.name.to_owned(),
    }
}

#[test]
fn ranges_of_one_file_ask_for_its_header_once() {
    for unsized_put in [false, true] {
        let plain = plain(200_000);
        let gate = Gate::new();
        if unsized_put {
            gate.send_pieces("PUT", "/a", &[], vec![&plain]);
        } else {
            gate.send("PUT", "/a", &[], &plain);
        }
        range(&gate, "/a", "bytes=0-9");
        let before = gate.provider.methods().len();
        for (field, from, to) in [
            ("bytes=65535-65536", 65_535, 65_537),
            ("bytes=-5", 199_995, 200_000),
        ] {
            let answer = range(&gate, "/a", field);
            assert!(answer.status == 206 && answer.bytes() == &plain[from..to]);
            let expected = format!("bytes {from}-{}/200000", to - 1);
            assert_eq!(answer.header("content-range"), expected);
        }
        let second = 128 + 65_552;
        let expected = [
            format!("bytes=128-{}", second + 65_552 - 1),
            format!(
                "bytes={}-{}",
                second + 2 * 65_552,
                200_000 + 128 + 4 * 16 - 1
            ),
        ];
        assert_eq!(asked(&gate, before), expected);
        let seen = gate.provider.seen.lock().unwrap();
        assert!(seen[before].headers.contains_key("if-match"));
    }
}

#[test]
fn a_file_that_was_replaced_is_read_anew() {
    for conditional in [false, true] {
        let provider = Provider {
            conditional,
            ..Provider::default()
        };
        let gate = Gate::with(settings(), &[], provider);
        gate.send("PUT", "/a", &[], &plain(1000));
        gate.send("PUT", "/b", &[], &[b'x'; 70_000]);
        range(&gate, "/a", "bytes=0-9");
        let other = gate.provider.file("/b").unwrap();
        gate.provider.store("/a", &other);
        let answer = range(&gate, "/a", "bytes=0-9");
        assert_eq!((answer.status, answer.bytes()), (206, &[b'x'; 10][..]));
        assert_eq!(answer.header("content-range"), "bytes 0-9/70000");
        // gone, or unsealed
        gate.provider.store("/a", &[b'x'; 5000]);
        assert_eq!(range(&gate, "/a", "bytes=0-9").status, 403);
        gate.provider.files.lock().unwrap().clear();
        assert_eq!(range(&gate, "/a", "bytes=0-9").status, 404);
    }
}

#[test]
fn a_file_that_changes_under_its_tag_is_refused_for_a_while() {
    let gate = Gate::new();
    gate.send("PUT", "/a", &[], &plain(1000));
    let old = gate.provider.file("/a").unwrap();
    gate.send("PUT", "/a", &[], &[b'x'; 1000]);
    assert_eq!(range(&gate, "/a", "bytes=0-9").bytes(), [b'x'; 10]);
    gate.provider.store("/a", &old);
    let whole = gate.send("GET", "/a", &[], b"");
    assert_eq!(code(&whole), "object-substituted");
    assert_eq!(code(&range(&gate, "/a", "bytes=0-9")), "object-damaged");
    gate.clock.fetch_add(600, Ordering::Relaxed);
    assert_eq!(range(&gate, "/a", "bytes=0-9").bytes(), &plain(10));
}

#[test]
fn what_the_gateway_writes_takes_the_pins_off() {
    for change in [
        |gate: &Gate| gate.send("PUT", "/d/a", &[], &[b'x'; 1000]),
        |gate: &Gate| gate.send("DELETE", "/d/", &[], b""),
        |gate: &Gate| gate.send("MOVE", "/e", &[("destination", "/d")], b""),
        |gate: &Gate| gate.send("COPY", "/e", &[("destination", "/d/a")], b""),
        |gate: &Gate| gate.send("MOVE", "/d", &[("destination", "/e")], b""),
    ] {
        let gate = Gate::new();
        gate.send("PUT", "/b", &[], &[b'x'; 1000]);
        gate.send("PUT", "/d/a", &[], &plain(1000));
        assert_eq!(gate.send("GET", "/d/a", &[], b"").bytes(), plain(1000));
        assert!(change(&gate).status < 300);
        let other = gate.provider.file("/b").unwrap();
        gate.provider.store("/d/a", &other);
        assert_eq!(range(&gate, "/d/a", "bytes=0-9").bytes(), [b'x'; 10]);
    }
    // a neighbour's do not
    let gate = Gate::new();
    gate.send("PUT", "/d/a", &[], &plain(1000));
    gate.send("GET", "/d/a", &[], b"");
    gate.send("PUT", "/d/ab", &[], &[b'x'; 1000]);
    let other = gate.provider.file("/d/ab").unwrap();
    gate.provider.store("/d/a", &other);
    assert_eq!(
        code(&gate.send("GET", "/d/a", &[], b"")),
        "object-substituted"
    );
}
