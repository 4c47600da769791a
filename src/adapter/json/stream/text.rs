//! The content of a string in pieces.

use crate::adapter::json::plain::plain;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escape {
    None,
    Begun,
    /// So many hexadecimal digits are to come.
    Digits(u8),
}

/// Goes through a string's content from `at`, to the closing quote or the piece's end.
///
/// # Errors
/// Where a control character or a malformed escape stands.
pub(super) fn content(piece: &[u8], at: usize, escape: &mut Escape) -> Result<usize, usize> {
    let mut next = at;
    while let Some(&byte) = piece.get(next) {
        match *escape {
            Escape::Begun => {
                *escape = match byte {
                    b'u' => Escape::Digits(4),
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Escape::None,
                    _ => return Err(next),
                };
            }
            Escape::Digits(left) => {
                if !byte.is_ascii_hexdigit() {
                    return Err(next);
                }
                *escape = match left {
                    1 => Escape::None,
                    left => Escape::Digits(left - 1),
                };
            }
            Escape::None => {
                next = plain(piece, next);
                match piece.get(next) {
                    Some(b'\\') => *escape = Escape::Begun,
                    Some(b'"') | None => return Ok(next),
                    Some(_) => return Err(next),
                }
            }
        }
        next += 1;
    }
    Ok(next)
}
