//! Header fields. Where one begins and ends is found here, so that each can be replaced in its place; what it says is read
//! and written by libraries.

use std::ops::Range;

use mail_builder::headers::address::Address as Written;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::text::Text;
use mail_parser::{Addr, Address, HeaderValue, MessageParser};
use memchr::memchr;

use super::Malformed;

/// Bytes of a header.
const HEADER: usize = 256 * 1024;
const FIELDS: usize = 1000;

/// A field, and where it stands in the message, with the end of its last line.
#[derive(Debug)]
pub struct Field {
    /// In lower case.
    pub name: String,
    pub line: Range<usize>,
}

/// A header.
#[derive(Debug)]
pub struct Head {
    pub fields: Vec<Field>,
    /// Without the empty line.
    pub range: Range<usize>,
    /// Where the body begins.
    pub body: usize,
}

/// The header that begins with the range (RFC 5322, section 2.2).
pub fn read(message: &[u8], range: &Range<usize>) -> Result<Head, Malformed> {
    let mut fields: Vec<Field> = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let rest = &message[at..range.end];
        let line = &rest[..memchr(b'\n', rest).map_or(rest.len(), |end| end + 1)];
        let next = at + line.len();
        if matches!(line, b"\n" | b"\r\n") {
            return Ok(Head {
                fields,
                range: range.start..at,
                body: next,
            });
        }
        if matches!(line[0], b' ' | b'\t') {
            let field = fields.last_mut();
            let field = field.ok_or(Malformed("It begins with a field's second line."))?;
            field.line.end = next;
        } else {
            let name = memchr(b':', line).map(|colon| line[..colon].trim_ascii_end());
            let name = name.filter(|name| name.iter().all(u8::is_ascii_graphic));
            let name = name.and_then(|name| std::str::from_utf8(name).ok());
            let name = name.filter(|name| !name.is_empty());
            let name = name.ok_or(Malformed("A line of its header is no field."))?;
            fields.push(Field {
                name: name.to_ascii_lowercase(),
                line: at..next,
            });
        }
        at = next;
        if fields.len() > FIELDS || at - range.start > HEADER {
            return Err(Malformed("A header of it is too long."));
        }
    }
    Ok(Head {
        fields,
        range: range.start..at,
        body: at,
    })
}

impl Field {
    /// The field's value as that of a field of another name, whose form it has.
    fn as_field(&self, form: &str, message: &[u8]) -> HeaderValue<'static> {
        let line = &message[self.line.clone()];
        let value = memchr(b':', line).map_or(&[][..], |colon| &line[colon + 1..]);
        let line = [form.as_bytes(), b":", value].concat();
        let read = MessageParser::new().parse_headers(&line);
        let part = read.and_then(|read| read.parts.into_iter().next());
        let field = part.and_then(|part| part.headers.into_iter().next());
        field.map_or(HeaderValue::Empty, |field| field.value.into_owned())
    }

    /// A text, encoded words decoded.
    pub fn text(&self, message: &[u8]) -> String {
        match self.as_field("Subject", message) {
            HeaderValue::Text(text) => text.into_owned(),
            _ => String::new(),
        }
    }

    /// As it is written.
    pub fn raw(&self, message: &[u8]) -> String {
        match self.as_field("MIME-Version", message) {
            HeaderValue::Text(text) => text.into_owned(),
            _ => String::new(),
        }
    }

    /// Identifiers of messages, without their brackets.
    pub fn ids(&self, message: &[u8]) -> Vec<String> {
        match self.as_field("References", message) {
            HeaderValue::Text(id) => vec![id.into_owned()],
            HeaderValue::TextList(ids) => ids.into_iter().map(Into::into).collect(),
            _ => Vec::new(),
        }
    }

    /// Names and addresses; those of groups too.
    pub fn addresses(&self, message: &[u8]) -> Vec<Addr<'static>> {
        match self.as_field("To", message) {
            HeaderValue::Address(Address::List(list)) => list,
            HeaderValue::Address(Address::Group(groups)) => groups
                .into_iter()
                .flat_map(|group| group.addresses)
                .collect(),
            _ => Vec::new(),
        }
    }

    /// In the form of this protocol (RFC 5322, section 3.3).
    pub fn date(&self, message: &[u8]) -> Option<String> {
        match self.as_field("Date", message) {
            HeaderValue::DateTime(date) if date.is_valid() => Some(date.to_rfc822()),
            _ => None,
        }
    }

    /// A type or a disposition with its parameters.
    pub fn kind(&self, message: &[u8]) -> Option<Kind> {
        let HeaderValue::ContentType(read) = self.as_field("Content-Type", message) else {
            return None;
        };
        let mut name = read.c_type.to_ascii_lowercase();
        if let Some(sub) = &read.c_subtype {
            name.push('/');
            name.push_str(&sub.to_ascii_lowercase());
        }
        let params = read.attributes.unwrap_or_default().into_iter();
        let params = params.map(|one| (one.name.to_ascii_lowercase(), one.value.into_owned()));
        Some(Kind {
            name,
            params: params.collect(),
        })
    }
}

/// A media type or a disposition, in lower case, and parameters.
#[derive(Debug, Clone)]
pub struct Kind {
    pub name: String,
    pub params: Vec<(String, String)>,
}

impl Kind {
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            params: Vec::new(),
        }
    }

    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.params.retain(|(known, _)| known != name);
        self.params.push((name.to_owned(), value.into()));
        self
    }

    pub fn param(&self, name: &str) -> Option<&str> {
        let found = self.params.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Writes fields, each with the end of its line.
pub mod write {
    use super::{Addr, ContentType, Kind, Text, Written};
    use mail_builder::headers::Header;

    fn field(out: &mut Vec<u8>, name: &str, value: &impl Header) {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        value.write_header(out, name.len() + 2);
    }

    pub fn text(out: &mut Vec<u8>, name: &str, text: &str) {
        field(out, name, &Text::new(text));
    }

    /// `value`: holds nothing but printable ASCII.
    pub fn raw(out: &mut Vec<u8>, name: &str, value: &str) {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }

    pub fn kind(out: &mut Vec<u8>, name: &str, kind: &Kind) {
        let mut value = ContentType::new(kind.name.as_str());
        for (name, param) in &kind.params {
            value = value.attribute(name.as_str(), param.as_str());
        }
        field(out, name, &value);
    }

    pub fn addresses(out: &mut Vec<u8>, name: &str, list: &[Addr<'_>]) {
        let list = list.iter().map(|one| {
            Written::new_address(
                one.name.as_deref(),
                one.address.as_deref().unwrap_or_default(),
            )
        });
        field(out, name, &Written::new_list(list.collect()));
    }
}
