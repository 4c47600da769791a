//! A document as a tree that knows where in the input each element lies.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::super::error::{MALFORMED_XML, S3Error};
use super::escape;
use crate::error::{Refusal, UPSTREAM_INVALID};

/// Deepest nesting that S3's documents need, with room.
const DEPTH_MAX: usize = 16;
/// Most elements: 10,000 parts or versions with a score of fields.
const ELEMENTS_MAX: usize = 300_000;

/// A document that is not what it should be; whose fault that is, the caller knows.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl Malformed {
    /// The provider sent it.
    pub fn upstream(self) -> Refusal {
        Refusal::new(&UPSTREAM_INVALID).cause(self.0)
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// The client sent it.
impl From<Malformed> for S3Error {
    fn from(_: Malformed) -> Self {
        Self::new(&MALFORMED_XML)
    }
}

/// An element. Namespaces and attributes are ignored, as S3 does.
#[derive(Debug)]
pub struct Element<'a> {
    /// Without its prefix.
    pub name: &'a str,
    text: Cow<'a, str>,
    children: Vec<Element<'a>>,
    outer: Range<usize>,
    /// Between the tags; `None` for `<name/>`.
    inner: Option<Range<usize>>,
}

impl<'a> Element<'a> {
    /// The text directly within, entities resolved.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn child(&self, name: &str) -> Option<&Element<'a>> {
        self.children.iter().find(|child| child.name == name)
    }

    pub fn children(&self) -> &[Element<'a>] {
        &self.children
    }

    pub fn named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Element<'a>> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of a child.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(Element::text)
    }

    /// The element's place in the input, tags included.
    pub fn span(&self) -> Range<usize> {
        self.outer.clone()
    }

    /// Like [`Element::child`], but there must be exactly one.
    ///
    /// # Errors
    /// None, or several.
    pub fn only(&self, name: &str) -> Result<&Element<'a>, Malformed> {
        let mut found = self.children.iter().filter(|child| child.name == name);
        match (found.next(), found.next()) {
            (Some(child), None) => Ok(child),
            _ => Err(Malformed("an element is missing or given more than once")),
        }
    }
}

/// Reads a document of at most `size_max` bytes. No document type, no entity beyond XML's own five.
///
/// # Errors
/// Whatever is not well-formed or exceeds a limit.
pub fn parse(input: &[u8], size_max: usize) -> Result<Element<'_>, Malformed> {
    if input.len() > size_max {
        return Err(Malformed("the document is too large"));
    }
    let text = std::str::from_utf8(input).map_err(|_| Malformed("the document is not UTF-8"))?;
    let base = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    Builder {
        text,
        base,
        open: Vec::new(),
        root: None,
        count: 0,
    }
    .run()
}

struct Builder<'a> {
    text: &'a str,
    base: usize,
    open: Vec<Element<'a>>,
    root: Option<Element<'a>>,
    count: usize,
}

impl<'a> Builder<'a> {
    fn run(mut self) -> Result<Element<'a>, Malformed> {
        let mut reader = Reader::from_str(self.text.get(self.base..).unwrap_or_default());
        reader.config_mut().check_comments = true;
        loop {
            let start = self.offset(reader.buffer_position())?;
            let event = reader
                .read_event()
                .map_err(|_| Malformed("the document is not well-formed"))?;
            let end = self.offset(reader.buffer_position())?;
            match event {
                Event::Start(tag) => {
                    self.begin(tag.name().as_ref().len(), start, end..end)?;
                }
                Event::Empty(tag) => {
                    self.begin(tag.name().as_ref().len(), start, end..end)?;
                    self.end(end, None)?;
                }
                Event::End(_) => self.end(end, Some(start))?,
                Event::Text(text) => self.text(text.into_inner())?,
                Event::CData(text) => self.text(text.into_inner())?,
                Event::GeneralRef(name) => {
                    self.text(Cow::Owned(resolve(&name.into_inner())?.into()))?
                }
                Event::DocType(_) => return Err(Malformed("a document type is not allowed")),
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
        }
        match self.root {
            Some(root) if self.open.is_empty() => Ok(root),
            _ => Err(Malformed("the document ends early")),
        }
    }

    fn offset(&self, position: u64) -> Result<usize, Malformed> {
        usize::try_from(position)
            .map(|position| position + self.base)
            .map_err(|_| Malformed("the document is too large"))
    }

    fn begin(&mut self, name: usize, start: usize, inner: Range<usize>) -> Result<(), Malformed> {
        self.count += 1;
        let late = self.root.is_some() && self.open.is_empty();
        if late || self.open.len() >= DEPTH_MAX || self.count > ELEMENTS_MAX {
            return Err(Malformed(
                "the document has too many elements, roots or levels",
            ));
        }
        let name = self
            .text
            .get(start + 1..start + 1 + name)
            .unwrap_or_default();
        let name = name.rsplit_once(':').map_or(name, |(_, local)| local);
        self.open.push(Element {
            name,
            text: Cow::Borrowed(""),
            children: Vec::new(),
            outer: start..start,
            inner: Some(inner),
        });
        Ok(())
    }

    fn end(&mut self, end: usize, inner_end: Option<usize>) -> Result<(), Malformed> {
        let mut element = self
            .open
            .pop()
            .ok_or(Malformed("an end tag has no start"))?;
        element.outer.end = end;
        element.inner = match (element.inner.take(), inner_end) {
            (Some(inner), Some(end)) => Some(inner.start..end),
            _ => None,
        };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, piece: Cow<'a, str>) -> Result<(), Malformed> {
        match self.open.last_mut() {
            Some(element) if element.text.is_empty() => element.text = piece,
            Some(element) => element.text.to_mut().push_str(&piece),
            None if piece.trim().is_empty() => {}
            None => return Err(Malformed("text stands outside the root element")),
        }
        Ok(())
    }
}

/// The character that a reference stands for.
fn resolve(name: &str) -> Result<char, Malformed> {
    let unknown = Malformed("an entity is unknown");
    let code = match name {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        _ => name.strip_prefix('#'),
    };
    let number = match code {
        Some(code) => match code.strip_prefix('x') {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
                u32::from_str_radix(digits, 16)
            }
            None if code.bytes().all(|b| b.is_ascii_digit()) => code.parse(),
            _ => return Err(unknown),
        },
        None => return Err(unknown),
    };
    number
        .ok()
        .filter(|code| *code != 0)
        .and_then(char::from_u32)
        .ok_or(unknown)
}

/// Changes to a document; all else stays byte for byte.
#[derive(Debug)]
pub struct Edits<'i> {
    input: &'i [u8],
    changes: Vec<(Range<usize>, String)>,
}

impl<'i> Edits<'i> {
    /// `input` is what the elements were parsed from.
    pub fn new(input: &'i [u8]) -> Self {
        Self {
            input,
            changes: Vec::new(),
        }
    }

    /// Replaces all that is between the tags.
    pub fn set_text(&mut self, element: &Element<'_>, text: &str) {
        let mut escaped = String::with_capacity(text.len());
        escape(text, &mut escaped);
        match &element.inner {
            Some(inner) => self.changes.push((inner.clone(), escaped)),
            None => {
                let whole = format!("<{0}>{escaped}</{0}>", element.name);
                self.changes.push((element.outer.clone(), whole));
            }
        }
    }

    /// Replaces the element, tags included, by markup.
    pub fn replace(&mut self, element: &Element<'_>, markup: String) {
        self.changes.push((element.outer.clone(), markup));
    }

    pub fn remove(&mut self, element: &Element<'_>) {
        self.replace(element, String::new());
    }

    /// Adds markup as the element's last content. An element without an end tag is left as it is.
    pub fn append(&mut self, element: &Element<'_>, markup: String) {
        if let Some(inner) = &element.inner {
            self.changes.push((inner.end..inner.end, markup));
        }
    }

    /// The changed document. A change within something that another change replaced is void.
    pub fn finish(mut self) -> Vec<u8> {
        self.changes
            .sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let grown: usize = self.changes.iter().map(|(_, text)| text.len()).sum();
        let mut out = Vec::with_capacity(self.input.len() + grown);
        let mut at = 0;
        for (range, text) in &self.changes {
            let Some(kept) = self.input.get(at..range.start) else {
                continue;
            };
            out.extend_from_slice(kept);
            out.extend_from_slice(text.as_bytes());
            at = range.end;
        }
        out.extend_from_slice(self.input.get(at..).unwrap_or_default());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: usize = 1 << 20;

    #[test]
    fn a_tree_with_its_places() {
        let input = "\u{feff}<?xml version=\"1.0\"?>\n<!-- c --><a:Root xmlns:a='x'><One k=\"v\">x &amp; y&#10;&#x41;<![CDATA[<z>]]></One>\
                     <Two/><One>2</One></a:Root>\n";
        let root = parse(input.as_bytes(), SIZE).unwrap();
        assert_eq!(root.name, "Root");
        assert_eq!(root.text_of("One"), Some("x & y\nA<z>"));
        assert_eq!(root.named("One").count(), 2);
        assert_eq!(&input[root.child("Two").unwrap().span()], "<Two/>");
        assert!(root.only("Two").is_ok());
        assert!(root.only("One").is_err());
        assert!(root.only("Three").is_err());

        let mut edits = Edits::new(input.as_bytes());
        edits.set_text(root.child("One").unwrap(), "a<b");
        edits.set_text(root.child("Two").unwrap(), "&");
        edits.remove(&root.children()[2]);
        edits.append(&root, "<New/>".into());
        let changed = String::from_utf8(edits.finish()).unwrap();
        assert_eq!(
            changed,
            "\u{feff}<?xml version=\"1.0\"?>\n<!-- c --><a:Root xmlns:a='x'><One k=\"v\">a&lt;b</One><Two>&amp;</Two><New/></a:Root>\n"
        );
    }

    #[test]
    fn a_change_within_a_removed_element_is_void() {
        let input = b"<a><b><c>1</c></b><d>2</d></a>";
        let root = parse(input, SIZE).unwrap();
        let mut edits = Edits::new(input);
        let b = root.child("b").unwrap();
        edits.set_text(b.child("c").unwrap(), "9");
        edits.remove(b);
        assert_eq!(edits.finish(), b"<a><d>2</d></a>");
        assert_eq!(Edits::new(input).finish(), input);
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(17), "</a>".repeat(17));
        for bad in [
            "",
            "   ",
            "text",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>text",
            "<a>&nbsp;</a>",
            "<a>&#0;</a>",
            "<a>&#xD800;</a>",
            "<a>&#+65;</a>",
            "<a>&#x;</a>",
            "<a>&amp</a>",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>",
            "<!DOCTYPE a><a/>",
            "<a><b></a></b>",
            &deep,
        ] {
            assert!(parse(bad.as_bytes(), SIZE).is_err(), "{bad}");
        }
        assert!(parse(b"<a>\xff</a>", SIZE).is_err());
        assert!(parse(b"<a>1</a>", 7).is_err());
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in "[<>/a&;#x\\[\\]!\\-\"= ]{0,60}") {
            let _ = parse(noise.as_bytes(), SIZE);
        }

        #[test]
        fn texts_read_back(text in "[\\PC\n\t]{1,80}") {
            let mut escaped = String::new();
            escape(&text, &mut escaped);
            let document = format!("<a>{escaped}</a>");
            let root = parse(document.as_bytes(), SIZE).unwrap();
            let expected: String = text.chars().map(|c| if matches!(c, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { c }).collect();
            prop_assert_eq!(root.text(), expected);
        }
    }
}
