//! As much of HTML as bodies of messages need: which elements a service must read in clear, and what a text looks like
//! without its markup.

use std::ops::Range;

use memchr::memchr;

/// The longest name that a mention may show in clear, in bytes.
const MENTION: usize = 256;

/// A stretch of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Stretch {
    Sealed(Range<usize>),
    /// What the service gets in clear in its place.
    Clear(String),
}

/// Parts a body at the elements that Teams must read: mentions and attachments, whose numbers it matches with other
/// members, and pictures that the message brings along. Of these nothing goes in clear but what it matches.
///
/// # Errors
/// What can't be told apart from text of the writer's.
pub fn parts(html: &str) -> Result<Vec<Stretch>, &'static str> {
    let mut parts = Vec::new();
    let mut sealed = 0;
    let mut at = 0;
    while let Some(found) = memchr(b'<', &html.as_bytes()[at..]) {
        let start = at + found;
        let rest = &html[start..];
        if rest.starts_with("<!--") {
            at = start + rest.find("-->").map_or(rest.len(), |end| end + 3);
            continue;
        }
        let Some(tag) = Tag::read(rest) else {
            at = start + 1;
            continue;
        };
        let Some((clear, length)) = kept(&tag, rest)? else {
            at = start + tag.length;
            continue;
        };
        if start > sealed {
            parts.push(Stretch::Sealed(sealed..start));
        }
        parts.push(Stretch::Clear(clear));
        at = start + length;
        sealed = at;
    }
    if sealed < html.len() {
        parts.push(Stretch::Sealed(sealed..html.len()));
    }
    Ok(parts)
}

/// What of an element goes in clear, and its length; `None`: it is sealed like any other.
fn kept(tag: &Tag<'_>, rest: &str) -> Result<Option<(String, usize)>, &'static str> {
    let numbered = |id: &str| !id.is_empty() && id.len() <= 64 && id.bytes().all(is_id);
    match tag.name.as_str() {
        "at" | "attachment" => {
            let id = tag.value("id").unwrap_or_default();
            if !numbered(id) {
                return Err("A mention or an attachment has no identifier.");
            }
            let close = format!("</{}>", tag.name);
            let inner = &rest[tag.length..];
            let end =
                find_ignoring_case(inner, &close).ok_or("An element of the body has no end.")?;
            let text = &inner[..end];
            let named = tag.name == "at" && text.len() <= MENTION;
            if text.contains('<') || !(named || text.trim().is_empty()) {
                return Err("A mention or an attachment holds more than a name.");
            }
            let clear = format!("<{} id=\"{id}\">{text}{close}", tag.name);
            Ok(Some((clear, tag.length + end + close.len())))
        }
        "img" => {
            let source = tag.value("src").unwrap_or_default();
            let id = source
                .strip_prefix("../hostedContents/")
                .and_then(|rest| rest.strip_suffix("/$value"));
            let Some(id) = id.filter(|id| numbered(id)) else {
                return Ok(None);
            };
            let mut clear = format!("<img src=\"../hostedContents/{id}/$value\"");
            for name in ["width", "height"] {
                let digits = tag.value(name).unwrap_or_default();
                if !digits.is_empty()
                    && digits.len() < 6
                    && digits.bytes().all(|b| b.is_ascii_digit())
                {
                    clear.push_str(&format!(" {name}=\"{digits}\""));
                }
            }
            clear.push('>');
            Ok(Some((clear, tag.length)))
        }
        _ => Ok(None),
    }
}

fn is_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=')
}

fn find_ignoring_case(text: &str, wanted: &str) -> Option<usize> {
    let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
    text.windows(wanted.len())
        .position(|window| window.eq_ignore_ascii_case(wanted))
}

/// The beginning of an element.
struct Tag<'h> {
    /// Lower case.
    name: String,
    attributes: Vec<(String, &'h str)>,
    /// Up to and with `>`.
    length: usize,
}

impl<'h> Tag<'h> {
    /// `text` begins with `<`. `None`: no start of an element (WHATWG HTML, section 13.2.5.6).
    fn read(text: &'h str) -> Option<Self> {
        let bytes = text.as_bytes();
        if !bytes.get(1)?.is_ascii_alphabetic() {
            return None;
        }
        let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'/' | b'>');
        let mut at = 1 + bytes[1..].iter().position(ends)?;
        let name = text[1..at].to_ascii_lowercase();
        let mut attributes = Vec::new();
        loop {
            at += bytes[at..]
                .iter()
                .position(|b| !b.is_ascii_whitespace() && *b != b'/')?;
            if bytes[at] == b'>' {
                return Some(Self {
                    name,
                    attributes,
                    length: at + 1,
                });
            }
            let (attribute, end) = attribute(text, at)?;
            attributes.push(attribute);
            at = end;
        }
    }

    /// The first of the name, as browsers take it.
    fn value(&self, name: &str) -> Option<&'h str> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| *value)
    }
}

/// Name and value of the attribute at `at`, and where it ends.
fn attribute(text: &str, at: usize) -> Option<((String, &str), usize)> {
    let bytes = text.as_bytes();
    let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'/' | b'>' | b'=');
    // an equals sign at the beginning belongs to the name
    let end = at + 1 + bytes[at + 1..].iter().position(ends)?;
    let name = text[at..end].to_ascii_lowercase();
    let equals = end + bytes[end..].iter().position(|b| !b.is_ascii_whitespace())?;
    if bytes[equals] != b'=' {
        return Some(((name, ""), end));
    }
    let start = equals
        + 1
        + bytes[equals + 1..]
            .iter()
            .position(|b| !b.is_ascii_whitespace())?;
    match bytes[start] {
        quote @ (b'"' | b'\'') => {
            let length = memchr(quote, &bytes[start + 1..])?;
            let value = &text[start + 1..start + 1 + length];
            Some(((name, value), start + length + 2))
        }
        _ => {
            let ends = |b: &u8| b.is_ascii_whitespace() || *b == b'>';
            let length = bytes[start..].iter().position(ends)?;
            Some(((name, &text[start..start + length]), start + length))
        }
    }
}

/// HTML as plain text, for where a client asked for text and the writer wrote HTML.
pub fn without_markup(html: &str) -> String {
    nanohtml2text::html2text(html)
}

/// Plain text as HTML shows it.
pub fn as_html(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 16);
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.extend_from_slice(b"<br>");
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        crate::seal::scan::Encoding::Html.write(line, &mut out);
    }
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clear(html: &str) -> Result<Vec<String>, &'static str> {
        let parts = parts(html)?;
        let of = |part| match part {
            Stretch::Sealed(range) => format!("#{}", &html[range]),
            Stretch::Clear(text) => text,
        };
        Ok(parts.into_iter().map(of).collect())
    }

    #[test]
    fn what_teams_matches_stays_and_nothing_else() {
        let html = "<div>Hi <at id=\"0\">Jane</at>, see<IMG alt='secret' src=\"../hostedContents/1/$value\" width=\"20\" \
            style=\"x\"><b>é</b></div><attachment id=\"a-b\"></attachment>";
        assert_eq!(
            clear(html).unwrap(),
            [
                "#<div>Hi ",
                "<at id=\"0\">Jane</at>",
                "#, see",
                "<img src=\"../hostedContents/1/$value\" width=\"20\">",
                "#<b>é</b></div>",
                "<attachment id=\"a-b\"></attachment>",
            ]
        );
        assert_eq!(
            clear("1 < 2 <img src=https://x/y>").unwrap(),
            ["#1 < 2 <img src=https://x/y>"]
        );
        assert_eq!(
            clear("<!-- <at id=1>x</at> -->").unwrap(),
            ["#<!-- <at id=1>x</at> -->"]
        );
        assert_eq!(clear("").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn text_does_not_hide_in_what_stays() {
        for bad in [
            "<at id=\"my secret\">x</at>",
            "<at>x</at>",
            "<at id=0><b>x</b></at>",
            "<at id=0>never ends",
            "<attachment id=\"1\">text</attachment>",
        ] {
            assert!(clear(bad).is_err(), "{bad}");
        }
        let long = format!("<at id=0>{}</at>", "x".repeat(300));
        assert!(clear(&long).is_err());
    }

    #[test]
    fn broken_markup_is_sealed_as_it_is() {
        for odd in [
            "<", "<a", "<a b", "<a b=", "<a b='x", "<img src", "</at>", "<3 é",
        ] {
            assert_eq!(clear(odd).unwrap(), [format!("#{odd}")], "{odd}");
        }
    }

    #[test]
    fn both_forms_of_a_text() {
        assert_eq!(as_html("a<b\r\nc"), "a&lt;b<br>c");
        assert_eq!(without_markup("<p>a &lt; b</p>").trim(), "a < b");
    }
}
