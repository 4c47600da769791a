//! What a `multistatus` says of a collection and its members (RFC 4918, section 9.1), read as it streams.

use quick_xml::events::Event;

use super::super::links::{Inward, Links};
use super::super::long::Known;
use super::super::markup::{Malformed, Markup, resolve};
use super::super::names::{Namespace, Open};

/// Longest URL or number that is held.
const HELD: usize = 16 * 1024;

/// One `response`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    /// The path at the provider, as it encodes it.
    pub path: String,
    pub collection: bool,
    pub length: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Response,
    Href,
    ResourceType,
    Collection,
    Length,
    Other,
}

fn kind(namespace: Namespace, name: &str) -> Kind {
    match (namespace, name) {
        (Namespace::Dav, "response") => Kind::Response,
        (Namespace::Dav, "href") => Kind::Href,
        (Namespace::Dav, "resourcetype") => Kind::ResourceType,
        (Namespace::Dav, "collection") => Kind::Collection,
        (Namespace::Dav, "getcontentlength") => Kind::Length,
        _ => Kind::Other,
    }
}

/// Reads one document.
pub(super) struct Reader {
    markup: Markup,
    state: State,
}

struct State {
    links: Links,
    open: Open<Kind>,
    text: String,
    row: Row,
    rows: Vec<Row>,
    ended: bool,
}

impl Reader {
    pub fn new(links: Links) -> Self {
        Self {
            markup: Markup::default(),
            state: State {
                links,
                open: Open::new(),
                text: String::new(),
                row: Row::default(),
                rows: Vec::new(),
                ended: false,
            },
        }
    }

    pub fn push(&mut self, piece: &[u8]) -> Result<(), Malformed> {
        let state = &mut self.state;
        self.markup.push(piece, |event, _| state.event(event))
    }

    /// All rows, once the document has ended.
    pub fn finish(self) -> Result<Vec<Row>, Malformed> {
        self.markup.finish()?;
        if self.state.ended {
            Ok(self.state.rows)
        } else {
            Err(Malformed("the document ends early"))
        }
    }
}

impl State {
    fn event(&mut self, event: Event<'_>) -> Result<(), Malformed> {
        match event {
            Event::Start(tag) => {
                let kind = self.begins(&tag)?;
                if kind == Kind::Response {
                    self.row = Row::default();
                }
                self.text.clear();
                Ok(())
            }
            Event::Empty(tag) => {
                self.begins(&tag)?;
                self.close().map(drop)
            }
            Event::End(_) => self.end(),
            Event::Text(text) => self.text(&text.into_inner()),
            Event::CData(text) => self.text(&text.into_inner()),
            Event::GeneralRef(name) => {
                let c = resolve(&name.into_inner()).ok_or(Malformed("an entity is unknown"))?;
                self.text(c.encode_utf8(&mut [0; 4]))
            }
            Event::DocType(_) => Err(Malformed("a document type is not allowed")),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn begins(&mut self, tag: &quick_xml::events::BytesStart<'_>) -> Result<Kind, Malformed> {
        if self.ended {
            return Err(Malformed("the document has several roots"));
        }
        let kind = self.open.open(tag, kind)?;
        if kind == Kind::Collection && self.open.parent() == Some(Kind::ResourceType) {
            self.row.collection = true;
        }
        Ok(kind)
    }

    fn text(&mut self, text: &str) -> Result<(), Malformed> {
        if self.text.len() + text.len() > HELD {
            return Err(Malformed("a URL or length is too long"));
        }
        self.text.push_str(text);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Malformed> {
        let parent = self.open.parent();
        let kind = self.close()?;
        let text = std::mem::take(&mut self.text);
        match kind {
            Kind::Href if parent == Some(Kind::Response) => {
                match self.links.inward(text.trim(), &Known::new()) {
                    Inward::Mapped(path) => self.row.path = path,
                    _ => return Err(Malformed("the provider lists another host")),
                }
            }
            Kind::Length => self.row.length = text.trim().parse().ok(),
            Kind::Response => self.rows.push(std::mem::take(&mut self.row)),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self) -> Result<Kind, Malformed> {
        let kind = self.open.close()?;
        self.ended = self.open.depth() == 0;
        Ok(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(document: &str, piece: usize) -> Result<Vec<Row>, Malformed> {
        let mut reader = Reader::new(Links::new("", true, "dav.example", None));
        for piece in document.as_bytes().chunks(piece) {
            reader.push(piece)?;
        }
        reader.finish()
    }

    #[test]
    fn members_come_out_however_the_document_is_cut() {
        let document = "<?xml version='1.0'?><m xmlns='DAV:'><response><href>https://dav.example/a/</href><propstat>\
            <prop><resourcetype><collection/></resourcetype><getcontentlength/></prop></propstat></response>\
            <response><href>/a/b&amp;c%20d</href><propstat><prop><resourcetype/><x:collection xmlns:x='urn:x'/>\
            <getcontentlength> 12 </getcontentlength></prop></propstat></response></m>";
        let row = |path: &str, collection, length| Row {
            path: path.to_owned(),
            collection,
            length,
        };
        for piece in [1, 3, 1000] {
            assert_eq!(
                rows(document, piece).unwrap(),
                [row("/a/", true, None), row("/a/b&c%20d", false, Some(12))]
            );
        }
        for end in 0..document.len() {
            assert!(rows(&document[..end], 1000).is_err());
        }
        assert!(rows(&document.replace("dav.example", "other.example"), 1000).is_err());
        assert!(rows(&format!("<!DOCTYPE m>{document}"), 1000).is_err());
    }
}
