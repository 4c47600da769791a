//! Where a candidate ends, and whether it is one.

use crate::seal::token::{CHECKSUM, MAX_PLAIN, PREFIX, sealed_len};

/// The longest token.
pub const MAX_TEXT: usize = sealed_len(MAX_PLAIN);
/// The longest and the shortest body, in characters.
const MAX_BODY: usize = MAX_TEXT - PREFIX.len() - 1 - CHECKSUM;
const MIN_BODY: usize = sealed_len(0) - PREFIX.len() - 1 - CHECKSUM;
/// A body cut so short is not told from text.
const RECOGNISED: usize = 8;

/// What stands at the beginning of a text that starts with [`PREFIX`].
#[derive(Debug, PartialEq, Eq)]
pub enum Extent {
    /// No token: so many bytes are text.
    Text(usize),
    /// A token without its end.
    Cut(usize),
    /// A body and a checksum; `body` is where the body ends.
    Token { whole: usize, body: usize },
    /// More is to be read; so much is known to be prefix and body.
    More(usize),
}

/// `known`: where the search for the body's end goes on. `ended`: nothing follows.
pub fn extent(text: &[u8], known: usize, ended: bool) -> Extent {
    let limit = text.len().min(PREFIX.len() + MAX_BODY + 1);
    let body = (known..limit)
        .find(|at| !is_base64url(text[*at]))
        .unwrap_or(limit);
    let judged = |extent| {
        if recognised(&text[PREFIX.len()..body]) {
            extent
        } else {
            Extent::Text(PREFIX.len())
        }
    };
    if body > PREFIX.len() + MAX_BODY {
        return judged(Extent::Cut(body));
    }
    let Some(&end) = text.get(body) else {
        return if ended {
            judged(Extent::Cut(body))
        } else {
            Extent::More(body)
        };
    };
    if end != b'.' {
        return judged(Extent::Cut(body));
    }
    let check = &text[body + 1..];
    let n = check
        .iter()
        .take(CHECKSUM)
        .take_while(|b| is_base64url(**b))
        .count();
    if n == CHECKSUM {
        let whole = body + 1 + CHECKSUM;
        judged(Extent::Token { whole, body })
    } else if n == check.len() && !ended {
        Extent::More(body)
    } else {
        judged(Extent::Cut(if n == 0 { body } else { body + 1 + n }))
    }
}

/// Whether a body is one: long enough, or with the version and suite of today at its beginning.
fn recognised(body: &[u8]) -> bool {
    body.len() >= MIN_BODY
        || (body.len() >= RECOGNISED && body.starts_with(b"AQ") && matches!(body[2], b'E'..=b'H'))
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_is_text() {
        for text in [
            "sc1.",
            "sc1.x",
            "sc1.foo.barbaz",
            "sc1. AQEabcdefgh",
            "sc1.AQEa",
            "sc1.AQEabcd.123456",
        ] {
            assert_eq!(extent(text.as_bytes(), 4, true), Extent::Text(4), "{text}");
        }
    }

    #[test]
    fn a_cut_token_is_told_from_text() {
        assert_eq!(extent(b"sc1.AQGVy1csKpUw...", 4, true), Extent::Cut(16));
        assert_eq!(extent(b"sc1.AQGVy1csKpUw.ab c", 4, true), Extent::Cut(19));
        assert_eq!(extent(b"sc1.AQGVy1csKpUw", 4, true), Extent::Cut(16));
        assert_eq!(extent(b"sc1.AQGVy1csKpUw", 4, false), Extent::More(16));
        assert_eq!(extent(b"sc1.AQGVy1csKpUw.abc", 16, false), Extent::More(16));
        let endless = format!("sc1.{}", "A".repeat(2 * MAX_TEXT));
        let Extent::Cut(n) = extent(endless.as_bytes(), 4, false) else {
            panic!("an endless body must be given up");
        };
        assert!(n <= MAX_TEXT);
    }
}
