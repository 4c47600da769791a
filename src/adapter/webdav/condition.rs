//! The `If` field (RFC 4918, section 10.4): its tags name URLs of the gateway's host.

use super::links::Links;
use crate::error::{PROTOCOL, Refusal};

/// The field with its resource tags mapped; lists, tokens and entity tags stay as they are.
///
/// # Errors
/// A field that does not parse, or a tag of another host.
pub(super) fn outward(value: &str, links: &Links) -> Result<String, Refusal> {
    let mut out = String::with_capacity(value.len() + 32);
    let mut rest = value.trim_start();
    while let Some(first) = rest.chars().next() {
        match first {
            '<' => {
                let (url, after) = rest[1..].split_once('>').ok_or_else(malformed)?;
                out.push('<');
                out.push_str(&links.outward(url)?);
                out.push('>');
                rest = after;
            }
            '(' => {
                let end = list_end(rest).ok_or_else(malformed)?;
                out.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            ' ' | '\t' => {
                out.push(' ');
                rest = rest.trim_start();
            }
            _ => return Err(malformed()),
        }
    }
    Ok(out)
}

/// Where the list that begins `text` ends. A closing parenthesis within a token or an entity tag is not its end.
fn list_end(text: &str) -> Option<usize> {
    let mut within = None;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match (within, byte) {
            (None, b')') => return Some(at + 1),
            (None, b'<') => within = Some(b'>'),
            (None, b'[') => within = Some(b']'),
            (Some(b']'), b'"') => within = Some(b'"'),
            (Some(b'"'), b'"') => within = Some(b']'),
            (Some(end), byte) if end == byte && end != b'"' => within = None,
            _ => {}
        }
    }
    None
}

fn malformed() -> Refusal {
    Refusal::new(&PROTOCOL).message("The `If` field is malformed.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> Links {
        Links::new("gate.example", true, "dav.example", None)
    }

    #[test]
    fn tags_are_mapped_and_lists_kept() {
        let value = "<https://gate.example/a> (<urn:uuid:1> [W/\"x)>y\"]) (Not <DAV:no-lock>)";
        assert_eq!(
            outward(value, &links()).unwrap(),
            "<https://dav.example/a> (<urn:uuid:1> [W/\"x)>y\"]) (Not <DAV:no-lock>)"
        );
        assert_eq!(outward("(<t>)", &links()).unwrap(), "(<t>)");
    }

    #[test]
    fn what_does_not_parse_is_refused() {
        for value in [
            "<https://gate.example/a",
            "(<t>",
            "t",
            "([\"a])",
            "<https://other/a> (<t>)",
        ] {
            assert!(outward(value, &links()).is_err(), "{value}");
        }
    }
}
