//! How a value is written into the text around it.

/// The encoding of the text in which tokens stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Plain text: as it is.
    Text,
    /// Inside of a JSON string (RFC 8259 section 7).
    Json,
    /// Character data or a quoted attribute.
    Html,
    /// A component of a URL or form (RFC 3986 section 2.1).
    Url,
}

impl Encoding {
    pub fn write(self, text: &str, out: &mut Vec<u8>) {
        match self {
            Self::Text => out.extend_from_slice(text.as_bytes()),
            Self::Json => json(text, out),
            Self::Html => html(text, out),
            Self::Url => {
                for piece in percent_encoding::utf8_percent_encode(text, UNRESERVED) {
                    out.extend_from_slice(piece.as_bytes());
                }
            }
        }
    }
}

/// All but the unreserved characters of RFC 3986 section 2.3.
const UNRESERVED: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Escapes what a JSON string can't hold. Quotes are not written.
fn json(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' | b'\\' => Some(byte),
            b'\n' => Some(b'n'),
            b'\r' => Some(b'r'),
            b'\t' => Some(b't'),
            0..0x20 => None,
            _ => continue,
        };
        out.extend_from_slice(&bytes[written..at]);
        written = at + 1;
        match short {
            Some(letter) => out.extend_from_slice(&[b'\\', letter]),
            None => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(&bytes[written..]);
}

fn html(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let entity: &[u8] = match byte {
            b'&' => b"&amp;",
            b'<' => b"&lt;",
            b'>' => b"&gt;",
            b'"' => b"&quot;",
            b'\'' => b"&#39;",
            _ => continue,
        };
        out.extend_from_slice(&bytes[written..at]);
        written = at + 1;
        out.extend_from_slice(entity);
    }
    out.extend_from_slice(&bytes[written..]);
}

/// Of what the gateway itself writes for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    French,
    English,
}

impl Language {
    /// What stands for a token that does not open.
    pub fn marker(self, code: &str) -> String {
        match self {
            Self::French => format!("[Sceau : texte illisible, code {code}]"),
            Self::English => format!("[Sceau: this text does not open, code {code}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(encoding: Encoding, text: &str) -> String {
        let mut out = Vec::new();
        encoding.write(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_character_survives_json() {
        let text: String = (0..0x3000).filter_map(char::from_u32).collect();
        let quoted = format!("\"{}\"", written(Encoding::Json, &text));
        assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
    }

    #[test]
    fn markup_is_not_markup_any_more() {
        assert_eq!(
            written(Encoding::Html, "<a href=\"x\">é & 'b'</a>"),
            "&lt;a href=&quot;x&quot;&gt;é &amp; &#39;b&#39;&lt;/a&gt;"
        );
        assert_eq!(written(Encoding::Url, "a b&é~"), "a%20b%26%C3%A9~");
        assert_eq!(written(Encoding::Text, "<é>"), "<é>");
    }
}
