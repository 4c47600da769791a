//! The leak canary: a random marker in every field that carries payload, for each adapter, and a search through all that
//! the provider received, the log and the state's directory; and the other way, from the provider to the client.
//!
//! The search must be able to find: the same requests, sent unsealed, must be caught marker by marker, and every form of
//! a marker too. Else the run is void.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(
    dead_code,
    reason = "the providers and the clients serve two test binaries"
)]

mod harness;
mod http;
mod s3;
mod search;
mod webdav;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use self::search::{FORMS, Marker, Search};

#[test]
fn the_search_finds_every_form_of_every_piece() {
    let bytes = b"kQ3_zPq9-0aVbXcYdWeUfTgShRiMjLkN".to_vec();
    let marker = Marker {
        field: "m".into(),
        bytes: bytes.clone(),
    };
    let search = Search::new(&[marker]);
    for at in 0..=bytes.len() - 8 {
        let piece = &bytes[at..at + 8];
        for (form, make) in FORMS {
            for pattern in make(piece) {
                let around = [b"....".as_slice(), &pattern, b"...."].concat();
                assert!(!search.find("", &around).is_empty(), "{form} at {at}");
            }
        }
        assert!(search.find("", &piece[..7]).is_empty());
    }
    for before in 0..3 {
        let whole = [&vec![b'x'; before][..], &bytes].concat();
        let text = STANDARD.encode(&whole);
        assert!(!search.find("", text.as_bytes()).is_empty());
    }
    let text = [b"some text before ".as_slice(), &bytes].concat();
    let zlib = miniz_oxide::deflate::compress_to_vec_zlib(&text, 9);
    let gzip = [
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
        &miniz_oxide::deflate::compress_to_vec(&text, 9)[..],
    ]
    .concat();
    for deflated in [zlib, gzip] {
        let around = [b"12345".as_slice(), &deflated, b"12345678"].concat();
        assert!(!search.find("", &around).is_empty());
    }
}
