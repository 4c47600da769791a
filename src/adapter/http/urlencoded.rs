//! `application/x-www-form-urlencoded`, in queries and in bodies (WHATWG URL section 5). Pairs that stay as they are keep
//! their very bytes.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// What becomes of a pair.
pub enum Treated {
    Kept,
    Dropped,
    Replaced(String),
    /// The value, and a further pair behind it.
    Extended(String, (String, String)),
}

/// A pair is no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotText;

const SAFE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'*');

/// Gives each decoded pair to `treat` and writes what it says.
///
/// # Errors
/// A name or value that is not UTF-8 or holds a bad escape or a NUL; or `treat`'s own.
pub fn rewrite<E: From<NotText>>(
    raw: &str,
    mut treat: impl FnMut(&str, &str) -> Result<Treated, E>,
) -> Result<String, E> {
    let mut out = String::with_capacity(raw.len());
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let (raw_name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let treated = treat(&decoded(raw_name)?, &decoded(value)?)?;
        if !out.is_empty() && !matches!(treated, Treated::Dropped) {
            out.push('&');
        }
        match treated {
            Treated::Dropped => {}
            Treated::Kept => out.push_str(pair),
            Treated::Replaced(value) => {
                out.push_str(raw_name);
                push_value(&mut out, &value);
            }
            Treated::Extended(value, (beside, further)) => {
                out.push_str(raw_name);
                push_value(&mut out, &value);
                out.push('&');
                out.extend(utf8_percent_encode(&beside, SAFE));
                push_value(&mut out, &further);
            }
        }
    }
    Ok(out)
}

fn push_value(out: &mut String, value: &str) {
    out.push('=');
    out.extend(utf8_percent_encode(value, SAFE));
}

fn decoded(raw: &str) -> Result<Cow<'_, str>, NotText> {
    if !raw.contains(['%', '+']) {
        return checked(Cow::Borrowed(raw));
    }
    let spaced = raw.replace('+', " ");
    let bytes = spaced.as_bytes();
    let whole = |at: usize| {
        bytes
            .get(at + 1..at + 3)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !memchr::memchr_iter(b'%', bytes).all(whole) {
        return Err(NotText);
    }
    let text = percent_decode(bytes).decode_utf8().map_err(|_| NotText)?;
    checked(Cow::Owned(text.into_owned()))
}

fn checked(text: Cow<'_, str>) -> Result<Cow<'_, str>, NotText> {
    if text.contains('\0') {
        return Err(NotText);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(raw: &str) -> Result<String, NotText> {
        rewrite(raw, |name, value| {
            Ok(match name {
                "a é" => Treated::Replaced(format!("<{value}>")),
                "two" => Treated::Extended("x".into(), ("two index".into(), "y&".into())),
                _ => Treated::Kept,
            })
        })
    }

    #[test]
    fn only_what_is_named_changes() {
        assert_eq!(
            marked("q=%7e+x&&a+%c3%A9=b%26+c&bare&two=1&=e").unwrap(),
            "q=%7e+x&a+%c3%A9=%3Cb%26%20c%3E&bare&two=x&two%20index=y%26&=e"
        );
        assert_eq!(marked("").unwrap(), "");
    }

    #[test]
    fn what_is_no_text_is_refused() {
        for raw in ["a=%", "a=%4", "a=%zz", "a=%ff", "%00=a", "a=%00"] {
            assert_eq!(marked(raw), Err(NotText), "{raw}");
        }
    }
}
