//! Both readers against each other and against serde, over documents that a fixed generator makes and damages.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{Marks, Path, Paths, Stream, Stretch, Value, Wrong, rewrite};

/// xorshift64*: the same documents at every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n
    }

    fn of<'a>(&mut self, these: &[&'a str]) -> &'a str {
        these[self.below(these.len())]
    }
}

const TEXTS: &[&str] = &[
    "\"\"",
    "\"x\"",
    "\"é😀\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\u00e9\\uD83D\\ude00\"",
    "\"sc1.AQEabc\"",
    "\"a]}{[,:\"",
];
const KEYS: &[&str] = &[
    "\"a\"",
    "\"b\"",
    "\"\\u0061\"",
    "\"\"",
    "\"é\"",
    "\"size\"",
    "\"\\\"a\"",
];
const OTHERS: &[&str] = &[
    "0",
    "-0",
    "12",
    "-3.50",
    "1e9",
    "2.5E-07",
    "123456789012345678901234",
    "true",
    "false",
    "null",
];
/// What mutations write.
const SPLINTERS: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"0",
    b"e",
    b".",
    b"-",
    b" ",
    b"\n",
    b"\0",
    b"\x1f",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\xc3",
    b"\xa9",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"null",
    b"//",
    b"'",
];

fn space(n: &mut Numbers, out: &mut String) {
    out.push_str(n.of(&["", "", "", "", " ", "\n", "\t\r "]));
}

fn document(n: &mut Numbers, depth: usize, out: &mut String) {
    space(n, out);
    match n.below(if depth == 0 { 4 } else { 8 }) {
        0 | 1 => out.push_str(n.of(TEXTS)),
        2 | 3 => out.push_str(n.of(OTHERS)),
        4 | 5 => {
            out.push('[');
            for i in 0..n.below(4) {
                out.push_str(if i > 0 { "," } else { "" });
                document(n, depth - 1, out);
            }
            space(n, out);
            out.push(']');
        }
        _ => {
            out.push('{');
            for i in 0..n.below(5) {
                out.push_str(if i > 0 { "," } else { "" });
                space(n, out);
                out.push_str(n.of(KEYS));
                space(n, out);
                out.push(':');
                document(n, depth - 1, out);
            }
            space(n, out);
            out.push('}');
        }
    }
    space(n, out);
}

fn damage(n: &mut Numbers, document: &mut Vec<u8>) {
    for _ in 0..n.below(4) {
        let at = n.below(document.len() + 1);
        let end = (at + n.below(3)).min(document.len());
        match n.below(4) {
            0 => document.truncate(at),
            1 => drop(document.drain(at..end)),
            2 => drop(document.splice(at..end, SPLINTERS[n.below(SPLINTERS.len())].to_vec())),
            _ => {
                let copy = document[at..(at + n.below(12)).min(document.len())].to_vec();
                drop(document.splice(at..at, copy));
            }
        }
    }
}

fn marks() -> Arc<Marks> {
    let path = |text| Path::parse(text).unwrap();
    let texts = [path("$..a"), path("$[*].b[*]")];
    Arc::new(Marks {
        texts: Paths::new(&texts, &[]).unwrap(),
        deep: false,
        numbers: Paths::new([&path("$..size")], &[]).unwrap(),
    })
}

/// What was picked, as it is written: texts by their path, numbers as path 9.
type Picks = Vec<(usize, String)>;

fn streamed<'d>(pieces: impl Iterator<Item = &'d [u8]>) -> Result<Picks, Wrong> {
    let mut stream = Stream::new(marks());
    let mut picks: Vec<(usize, Vec<u8>)> = Vec::new();
    let mut last = Stretch::Other;
    for piece in pieces {
        let mut at = 0;
        stream.push(piece, |stretch, length| {
            assert!(length > 0);
            let part = &piece[at..at + length];
            at += length;
            let path = match stretch {
                Stretch::Other => None,
                Stretch::Text(path) => Some(path),
                Stretch::Number(_) => Some(9),
            };
            match (path, picks.last_mut()) {
                (Some(_), Some((_, text))) if last == stretch => text.extend_from_slice(part),
                (Some(path), _) => picks.push((path, part.to_vec())),
                (None, _) => {}
            }
            last = stretch;
        })?;
        assert_eq!(at, piece.len());
    }
    stream.finish()?;
    let text = |(path, text)| (path, String::from_utf8(text).unwrap());
    Ok(picks.into_iter().map(text).collect())
}

fn at_once(document: &[u8]) -> Result<Picks, Wrong> {
    let all = Path::parse("$").unwrap();
    let paths = ["$..a", "$[*].b[*]", "$..size"].map(|text| Path::parse(text).unwrap());
    let paths = Paths::new(&paths, &[all]).unwrap();
    let mut picks = Vec::new();
    rewrite::<Wrong>(document, &paths, |picked| {
        let raw = &document[picked.span.clone()];
        let raw = std::str::from_utf8(raw).unwrap();
        match (picked.path, &picked.value) {
            // the stream gives no empty stretch
            (path, Value::Text(_)) if path < 2 && raw.len() > 2 => {
                picks.push((path, raw[1..raw.len() - 1].to_owned()));
            }
            (2, Value::Number(_)) => picks.push((9, raw.to_owned())),
            _ => {}
        }
        Ok(None)
    })?;
    Ok(picks)
}

fn values_of(json: &Json, name: &str, found: &mut Vec<String>) {
    match json {
        Json::Array(items) => items.iter().for_each(|item| values_of(item, name, found)),
        Json::Object(members) => {
            for (key, value) in members {
                match value {
                    Json::String(text) if key == name && !text.is_empty() => {
                        found.push(text.clone());
                    }
                    value => values_of(value, name, found),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn two_readers_and_serde_agree_on_every_document_however_it_is_cut() {
    let mut n = Numbers(0x5CEA_0C0D_E5EA_1ED1);
    let (mut taken, mut refused) = (0, 0);
    for round in 0..6000 {
        let mut text = String::new();
        document(&mut n, round % 5, &mut text);
        let mut document = text.into_bytes();
        if round % 3 > 0 {
            damage(&mut n, &mut document);
        }
        let shown = String::from_utf8_lossy(&document).into_owned();
        let whole = streamed(std::iter::once(&document[..]));
        match whole {
            Ok(_) => taken += 1,
            Err(_) => refused += 1,
        }
        let single = streamed(document.chunks(1));
        assert_eq!(whole.is_ok(), single.is_ok(), "{shown}");
        if document.len() < 80 {
            for cut in 0..=document.len() {
                let (one, other) = document.split_at(cut);
                let cut = streamed([one, other].into_iter());
                assert_eq!(cut.as_ref().ok(), whole.as_ref().ok(), "{shown}");
            }
        }
        agrees_with_serde(&document, &whole, &shown);
        match (&whole, at_once(&document)) {
            (Ok(picks), Ok(same)) => assert_eq!(*picks, same, "{shown}"),
            (Ok(_), Err(Wrong::Duplicate(_) | Wrong::Nul(_) | Wrong::Surrogate(_))) => {}
            (Err(_), Err(_)) => {}
            (stream, other) => panic!("{stream:?} {other:?} {shown}"),
        }
    }
    assert!(taken > 2000 && refused > 1000, "{taken} {refused}");
}

fn agrees_with_serde(document: &[u8], ours: &Result<Picks, Wrong>, shown: &str) {
    let serde = std::str::from_utf8(document).ok();
    let serde = serde.and_then(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).ok());
    match ours {
        Ok(_) => assert!(serde.is_some(), "{shown}"),
        Err(Wrong::Depth(_) | Wrong::Nul(_) | Wrong::Surrogate(_)) => {}
        Err(_) => assert!(serde.is_none(), "{shown}"),
    }
    // serde keeps one of two equal keys
    let (Ok(picks), Ok(_)) = (ours, at_once(document)) else {
        return;
    };
    let json: Json = match serde_json::from_slice(document) {
        Ok(json) => json,
        Err(error) => return assert!(error.to_string().contains("out of range"), "{shown}"),
    };
    let (mut expected, mut found): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    values_of(&json, "a", &mut expected);
    for (path, raw) in picks {
        if *path == 0 {
            found.push(serde_json::from_str(&format!("\"{raw}\"")).unwrap());
        }
    }
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected, "{shown}");
}

#[test]
fn depth_and_keys_are_bounded() {
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n)).into_bytes();
    assert!(streamed(std::iter::once(&deep(64)[..])).is_ok());
    let deeper = deep(65);
    assert_eq!(
        streamed(deeper.chunks(7)),
        Err(Wrong::Depth(super::MAX_DEPTH))
    );
    // what is longer than any name is none
    let long = format!(
        "{{\"{}\":\"x\",\"{}\":\"y\"}}",
        "\\u0061".repeat(500),
        "\\u0061"
    );
    let picks = streamed(long.as_bytes().chunks(100)).unwrap();
    assert_eq!(picks, [(0, "y".to_owned())]);
}
