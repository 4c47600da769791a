//! Strings and numbers of JSON (RFC 8259), as spans of a document that is known to be UTF-8.

use std::borrow::Cow;
use std::ops::Range;

use super::Wrong;
use super::plain::plain;

/// A string's content, without its quotes, and whether it holds escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub span: Range<usize>,
    pub escaped: bool,
}

/// The string whose opening quote stands at `at`; its end is after the closing quote.
pub fn string(document: &str, at: usize) -> Result<(Text, usize), Wrong> {
    let bytes = document.as_bytes();
    let start = at + 1;
    let (mut next, mut escaped) = (start, false);
    loop {
        let end = plain(bytes, next);
        match bytes.get(end) {
            Some(b'"') => {
                let text = Text {
                    span: start..end,
                    escaped,
                };
                return Ok((text, end + 1));
            }
            Some(b'\\') => {}
            _ => return Err(Wrong::Syntax(end)),
        }
        escaped = true;
        next = escape(bytes, end)?.1;
    }
}

/// The character that the escape at `at` stands for, and where it ends.
fn escape(bytes: &[u8], at: usize) -> Result<(char, usize), Wrong> {
    let simple = match bytes.get(at + 1) {
        Some(b'u') => {
            let (code, next) = unit(bytes, at)?;
            return scalar(bytes, at, code, next);
        }
        Some(letter @ (b'"' | b'\\' | b'/')) => char::from(*letter),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        _ => return Err(Wrong::Syntax(at)),
    };
    Ok((simple, at + 2))
}

/// Joins a surrogate pair; refuses half of one, and NUL.
fn scalar(bytes: &[u8], at: usize, code: u32, next: usize) -> Result<(char, usize), Wrong> {
    match code {
        0 => Err(Wrong::Nul(at)),
        0xD800..0xDC00 => {
            let (low, next) = unit(bytes, next).map_err(|_| Wrong::Surrogate(at))?;
            if !(0xDC00..0xE000).contains(&low) {
                return Err(Wrong::Surrogate(at));
            }
            let code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            Ok((char::from_u32(code).ok_or(Wrong::Surrogate(at))?, next))
        }
        code => Ok((char::from_u32(code).ok_or(Wrong::Surrogate(at))?, next)),
    }
}

/// `\uXXXX`
fn unit(bytes: &[u8], at: usize) -> Result<(u32, usize), Wrong> {
    let digits = bytes.get(at + 2..at + 6).ok_or(Wrong::Syntax(at))?;
    if bytes[at] != b'\\' || bytes[at + 1] != b'u' {
        return Err(Wrong::Syntax(at));
    }
    let mut code = 0;
    for digit in digits {
        let value = char::from(*digit).to_digit(16).ok_or(Wrong::Syntax(at))?;
        code = code * 16 + value;
    }
    Ok((code, at + 6))
}

/// What the string says. Its escapes are known to be well-formed.
pub fn decoded<'d>(document: &'d str, text: &Text) -> Result<Cow<'d, str>, Wrong> {
    let raw = &document[text.span.clone()];
    if !text.escaped {
        return Ok(Cow::Borrowed(raw));
    }
    let bytes = raw.as_bytes();
    let mut out = String::with_capacity(raw.len());
    let mut next = 0;
    while let Some(found) = memchr::memchr(b'\\', &bytes[next..]) {
        out.push_str(&raw[next..next + found]);
        let (character, after) = escape(bytes, next + found)?;
        out.push(character);
        next = after;
    }
    out.push_str(&raw[next..]);
    Ok(Cow::Owned(out))
}

/// Where the number that begins at `at` ends.
pub fn number(bytes: &[u8], at: usize) -> Result<usize, Wrong> {
    let digits = |from: usize| {
        bytes[from..]
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .map_or(bytes.len(), |n| from + n)
    };
    let some_digits = |from: usize| match digits(from) {
        end if end > from => Ok(end),
        _ => Err(Wrong::Syntax(from)),
    };
    let first = at + usize::from(bytes[at] == b'-');
    let mut end = match bytes.get(first) {
        Some(b'0') => first + 1,
        Some(b'1'..=b'9') => digits(first),
        _ => return Err(Wrong::Syntax(at)),
    };
    if bytes.get(end) == Some(&b'.') {
        end = some_digits(end + 1)?;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        end = some_digits(end + 1 + sign)?;
    }
    Ok(end)
}
