//! `Content-Disposition` (RFC 6266) of an answer: a file's name that is opened is written as its characters need.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What stands in an extended value as it is: `attr-char` of RFC 8187, section 3.2.1.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The field with what `open` makes of its values; `open` gives `None` for those that stay as they are written.
pub(super) fn opened(field: &str, open: impl Fn(&str) -> Option<String>) -> String {
    let parts = split(field);
    let extended = parts.iter().filter_map(|part| name(part).strip_suffix('*'));
    let extended: Vec<String> = extended.map(str::to_ascii_lowercase).collect();
    let rewritten: Vec<String> = parts
        .iter()
        .map(|part| {
            let Some((name, value)) = part.split_once('=') else {
                return (*part).to_owned();
            };
            let name = name.trim();
            let own = name.strip_suffix('*');
            match value_of(own.is_some(), value.trim()).and_then(|value| open(&value)) {
                None => (*part).to_owned(),
                Some(value) => {
                    let plain = own.unwrap_or(name);
                    let other = own.is_none() && extended.contains(&plain.to_ascii_lowercase());
                    format!(" {}", parameter(plain, &value, other))
                }
            }
        })
        .collect();
    rewritten.join(";").trim_start().to_owned()
}

/// `extended`: the same name stands in its extended form too, which readers prefer.
fn parameter(name: &str, value: &str, extended: bool) -> String {
    // readers differ in what they make of the others within quotes (RFC 6266, appendix D)
    let simple = |c: char| c == ' ' || c.is_ascii_graphic() && !matches!(c, '"' | '\\' | ';' | '%');
    if extended || value.chars().all(simple) {
        let value = value.replace(|c| !simple(c), "_");
        return format!("{name}=\"{value}\"");
    }
    format!("{name}*=UTF-8''{}", utf8_percent_encode(value, KEPT))
}

fn name(part: &str) -> &str {
    part.split('=').next().unwrap_or_default().trim()
}

/// What a parameter's value says.
fn value_of(extended: bool, raw: &str) -> Option<String> {
    if extended {
        let (charset, rest) = raw.split_once('\'')?;
        let (_, text) = rest.split_once('\'')?;
        let text = percent_decode_str(text).decode_utf8().ok()?;
        return charset
            .eq_ignore_ascii_case("utf-8")
            .then(|| text.into_owned());
    }
    let Some(inner) = raw.strip_prefix('"') else {
        return Some(raw.to_owned());
    };
    let (mut out, mut escaped) = (String::with_capacity(inner.len()), false);
    for c in inner.strip_suffix('"').unwrap_or(inner).chars() {
        escaped = c == '\\' && !escaped;
        if !escaped {
            out.push(c);
        }
    }
    Some(out)
}

/// The parts between semicolons that stand in no quotes.
fn split(field: &str) -> Vec<&str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in field.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                parts.push(&field[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&field[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `T` stands for a token of the name.
    fn written(field: &str, name: &str) -> String {
        opened(field, |value| {
            value.contains('T').then(|| value.replace('T', name))
        })
    }

    #[test]
    fn a_name_is_written_as_its_characters_need() {
        for (field, name, expected) in [
            (
                "inline; filename=T",
                "a b.pdf",
                "inline; filename=\"a b.pdf\"",
            ),
            (
                "inline;filename=\"T\"",
                "a\"; x=\"b",
                "inline; filename*=UTF-8''a%22%3B%20x%3D%22b",
            ),
            (
                "x; filename=\"p T;s\"; y=1",
                "é",
                "x; filename*=UTF-8''p%20%C3%A9%3Bs; y=1",
            ),
            (
                "x; filename*=utf-8''T",
                "a\r\nb",
                "x; filename*=UTF-8''a%0D%0Ab",
            ),
            (
                "x; filename*=UTF-8'fr'T",
                "a'b(c).pdf",
                "x; filename=\"a'b(c).pdf\"",
            ),
            (
                "x; filename=T; filename*=UTF-8''T",
                "é\"",
                "x; filename=\"__\"; filename*=UTF-8''%C3%A9%22",
            ),
            (
                "x; filename=\"a\\\"\\\\T\"",
                "100%",
                "x; filename*=UTF-8''a%22%5C100%25",
            ),
            // what holds no token stays as it is, also where it is malformed
            (
                "x;filename=a b ; filename*=latin1'T",
                "é",
                "x;filename=a b ; filename*=latin1'T",
            ),
            ("x; filename=\"a;b", "é", "x; filename=\"a;b"),
        ] {
            assert_eq!(written(field, name), expected, "{field}");
        }
    }
}
