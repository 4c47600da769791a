//! Finds what must not be found: markers, pieces of them, and either in every form that carries bytes.

use std::collections::HashMap;
use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A piece as short as this counts.
const WINDOW: usize = 8;

/// One marker and where it was put.
#[derive(Clone)]
pub struct Marker {
    pub field: String,
    pub bytes: Vec<u8>,
}

/// What was found, in words.
pub type Hit = String;

type Form = (&'static str, fn(&[u8]) -> Vec<Vec<u8>>);

pub const FORMS: [Form; 8] = [
    ("raw", |piece| vec![piece.to_vec()]),
    ("hexadecimal", |piece| {
        vec![
            hex::encode(piece).into_bytes(),
            hex::encode_upper(piece).into_bytes(),
        ]
    }),
    ("base64", |piece| {
        let mut all = shifted(piece, |bytes| STANDARD_NO_PAD.encode(bytes));
        all.extend(shifted(piece, |bytes| URL_SAFE_NO_PAD.encode(bytes)));
        all
    }),
    ("utf-16 little", |piece| {
        vec![piece.iter().flat_map(|&b| [b, 0]).collect()]
    }),
    ("utf-16 big", |piece| {
        vec![piece.iter().flat_map(|&b| [0, b]).collect()]
    }),
    ("percent", |piece| {
        vec![
            escaped(piece, |b| format!("%{b:02X}")),
            escaped(piece, |b| format!("%{b:02x}")),
        ]
    }),
    ("json", |piece| {
        vec![
            escaped(piece, |b| format!("\\u{b:04x}")),
            escaped(piece, |b| format!("\\u{b:04X}")),
        ]
    }),
    ("xml", |piece| {
        vec![
            escaped(piece, |b| format!("&#{b};")),
            escaped(piece, |b| format!("&#x{b:x};")),
        ]
    }),
];

fn escaped(piece: &[u8], one: impl Fn(u8) -> String) -> Vec<u8> {
    let mut text = String::new();
    for &byte in piece {
        let _ = write!(text, "{}", one(byte));
    }
    text.into_bytes()
}

/// The characters of base64 that depend on the piece alone, at each of the three offsets.
fn shifted(piece: &[u8], encode: impl Fn(Vec<u8>) -> String) -> Vec<Vec<u8>> {
    (0..3)
        .map(|offset| {
            let mut bytes = vec![0; offset];
            bytes.extend_from_slice(piece);
            let text = encode(bytes).into_bytes();
            let first = (offset * 8).div_ceil(6);
            let last = (offset + piece.len()) * 8 / 6;
            text[first..last].to_vec()
        })
        .collect()
}

/// Every window of every marker in every form, found by its first eight bytes.
pub struct Search {
    patterns: HashMap<u64, Vec<(Vec<u8>, String)>>,
    /// A bit for each beginning, so that most places are passed by quickly.
    begun: Vec<u64>,
}

const BITS: u32 = 24;

fn bit(start: u64) -> (usize, u64) {
    let hash = start.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - BITS);
    ((hash >> 6) as usize, 1 << (hash & 63))
}

impl Search {
    pub fn new(markers: &[Marker]) -> Self {
        let mut patterns: HashMap<u64, Vec<_>> = HashMap::new();
        let mut begun = vec![0; 1 << (BITS - 6)];
        for marker in markers {
            for piece in marker.bytes.windows(WINDOW) {
                for (form, make) in FORMS {
                    for pattern in make(piece) {
                        let start = u64::from_be_bytes(*pattern.first_chunk().unwrap());
                        let (word, mask) = bit(start);
                        begun[word] |= mask;
                        let what = format!("{} ({form})", marker.field);
                        patterns.entry(start).or_default().push((pattern, what));
                    }
                }
            }
        }
        Self { patterns, begun }
    }

    /// Looks through `bytes`, and through whatever in them can be inflated.
    pub fn find(&self, place: &str, bytes: &[u8]) -> Vec<Hit> {
        let mut hits = self.plain(place, bytes);
        for inflated in inflated(bytes) {
            hits.extend(self.plain(&format!("{place}, inflated"), &inflated));
        }
        hits.sort();
        hits.dedup();
        hits
    }

    fn plain(&self, place: &str, bytes: &[u8]) -> Vec<Hit> {
        let mut hits = Vec::new();
        let mut start = 0;
        for (end, byte) in bytes.iter().enumerate() {
            start = (start << 8) | u64::from(*byte);
            let (word, mask) = bit(start);
            if self.begun[word] & mask == 0 || end + 1 < WINDOW {
                continue;
            }
            let at = end + 1 - WINDOW;
            for (pattern, what) in self.patterns.get(&start).into_iter().flatten() {
                if bytes[at..].starts_with(pattern) {
                    hits.push(format!("{what} in {place}"));
                }
            }
        }
        hits
    }
}

/// Whatever begins like gzip or zlib and inflates to something.
fn inflated(bytes: &[u8]) -> Vec<Vec<u8>> {
    const MOST: usize = 1 << 20;
    let mut found = Vec::new();
    for at in 0..bytes.len().saturating_sub(2) {
        let rest = &bytes[at..];
        let output = match rest {
            [0x1f, 0x8b, 8, 0, ..] => rest
                .get(10..)
                .map(|deflated| miniz_oxide::inflate::decompress_to_vec_with_limit(deflated, MOST)),
            [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Some(
                miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(rest, MOST),
            ),
            _ => None,
        };
        match output {
            Some(Ok(plain)) => found.push(plain),
            // cut off, or damaged behind its beginning: what came out until then counts
            Some(Err(failed)) => found.push(failed.output),
            None => {}
        }
    }
    found
}
