//! Documents that the provider answers (`multistatus`, `lockdiscovery`, errors), rewritten as they stream: sizes are
//! the plaintext's, URLs the gateway's, and what would mislead a client is left out. All else stays byte for byte.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{BufMut, BytesMut};
use quick_xml::escape::escape;
use quick_xml::events::{BytesDecl, Event};

use super::links::{Inward, Links};
use super::long::{Finder, Known, LongNames};
use super::markup::{Malformed, Markup, resolve};
use super::names::{Namespace, Open};
use crate::body::{Fault, Rewrite};
use crate::error::UPSTREAM_INVALID;

/// Longest URL or number that is held for rewriting.
const HELD: usize = 16 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Response,
    Href,
    /// A length in sealed bytes.
    Length,
    /// A name by itself.
    Name,
    /// Digests of the sealed bytes, or URLs that lead past the gateway.
    Dropped,
    Other,
}

fn kind(namespace: Namespace, name: &str) -> Kind {
    match (namespace, name) {
        (Namespace::Dav, "response") => Kind::Response,
        (Namespace::Dav, "href") => Kind::Href,
        (Namespace::Dav, "getcontentlength") | (Namespace::Owncloud, "size") => Kind::Length,
        (Namespace::Dav, "displayname") => Kind::Name,
        (Namespace::Owncloud, "checksums" | "checksum" | "downloadURL") => Kind::Dropped,
        _ => Kind::Other,
    }
}

/// The text of an element that is rewritten once it is whole.
struct Held {
    kind: Kind,
    depth: usize,
    raw: String,
    text: String,
    /// It holds elements: left as it is.
    nested: bool,
}

/// From a length in sealed bytes to one in plaintext, where it can be one.
pub(super) type Lengths = fn(u64) -> Option<u64>;

/// Rewrites one document.
pub(super) struct Listing {
    markup: Markup,
    state: State,
}

struct State {
    links: Arc<Links>,
    lengths: Lengths,
    /// Where names are sealed.
    finder: Option<Finder>,
    open: Open<Kind>,
    held: Option<Held>,
    /// The depth of the element that is being left out.
    dropped: Option<usize>,
    /// The response's own URL ends with a slash: its lengths are not a file's.
    collection: bool,
    root_closed: bool,
}

impl Listing {
    /// `lengths` gives the plaintext's length for a sealed one.
    pub fn new(links: Arc<Links>, lengths: Lengths, names: Option<Arc<LongNames>>) -> Self {
        Self {
            markup: Markup::default(),
            state: State {
                links,
                lengths,
                finder: names.map(Finder::new),
                open: Open::new(),
                held: None,
                dropped: None,
                collection: false,
                root_closed: false,
            },
        }
    }
}

#[async_trait]
impl Rewrite for Listing {
    fn waits(&mut self, piece: &[u8]) -> bool {
        let state = &mut self.state;
        let idle = state.held.is_none();
        match &mut state.finder {
            Some(finder) => finder.reads(piece, idle, state.links.long()),
            None => false,
        }
    }

    async fn look_up(&mut self) -> Result<(), Fault> {
        match &mut self.state.finder {
            Some(finder) => finder.look_up().await,
            None => Ok(()),
        }
    }

    fn push(&mut self, piece: &[u8], out: &mut BytesMut) -> Result<(), Fault> {
        let state = &mut self.state;
        self.markup
            .push(piece, |event, raw| state.event(event, raw, out))
            .map_err(fault)
    }

    fn finish(&mut self, _: &mut BytesMut) -> Result<(), Fault> {
        self.markup.finish().map_err(fault)?;
        if self.state.root_closed {
            Ok(())
        } else {
            Err(fault(Malformed("the document ends early")))
        }
    }
}

fn fault(malformed: Malformed) -> Fault {
    Fault::new(&UPSTREAM_INVALID, malformed.0)
}

impl State {
    fn event(&mut self, event: Event<'_>, raw: &str, out: &mut BytesMut) -> Result<(), Malformed> {
        match event {
            Event::Start(tag) => {
                self.may_begin()?;
                let kind = self.open.open(&tag, kind)?;
                self.begin(kind, raw, out)
            }
            Event::Empty(tag) => {
                self.may_begin()?;
                let kind = self.open.open(&tag, kind)?;
                if kind != Kind::Dropped {
                    self.pass(raw, out)?;
                }
                self.nest();
                self.close()
            }
            Event::End(_) => self.end(raw, out),
            Event::Text(text) => self.text(&text.into_inner(), raw, out),
            Event::CData(text) => self.text(&text.into_inner(), raw, out),
            Event::GeneralRef(name) => {
                let c = resolve(&name.into_inner()).ok_or(Malformed("an entity is unknown"))?;
                self.text(c.encode_utf8(&mut [0; 4]), raw, out)
            }
            Event::Decl(declaration) => {
                check_encoding(&declaration)?;
                self.pass(raw, out)
            }
            Event::DocType(_) => Err(Malformed("a document type is not allowed")),
            Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn may_begin(&self) -> Result<(), Malformed> {
        if self.root_closed {
            return Err(Malformed("the document has several roots"));
        }
        Ok(())
    }

    fn begin(&mut self, kind: Kind, raw: &str, out: &mut BytesMut) -> Result<(), Malformed> {
        let depth = self.open.depth();
        match kind {
            Kind::Dropped if self.dropped.is_none() => self.dropped = Some(depth),
            Kind::Response => self.collection = false,
            _ => {}
        }
        self.pass(raw, out)?;
        self.nest();
        if matches!(kind, Kind::Href | Kind::Length | Kind::Name)
            && self.held.is_none()
            && self.dropped.is_none()
        {
            self.held = Some(Held {
                kind,
                depth,
                raw: String::new(),
                text: String::new(),
                nested: false,
            });
        }
        Ok(())
    }

    /// An element stands within the one that is held.
    fn nest(&mut self) {
        if let Some(held) = &mut self.held {
            held.nested = true;
        }
    }

    fn end(&mut self, raw: &str, out: &mut BytesMut) -> Result<(), Malformed> {
        let depth = self.open.depth();
        if let Some(held) = self.held.take_if(|held| held.depth == depth) {
            let written = if held.nested {
                None
            } else {
                self.rewritten(&held)?
            };
            out.put_slice(written.as_deref().unwrap_or(&held.raw).as_bytes());
        }
        self.pass(raw, out)?;
        self.dropped.take_if(|at| *at == depth);
        self.close()
    }

    fn close(&mut self) -> Result<(), Malformed> {
        self.open.close()?;
        self.root_closed = self.open.depth() == 0;
        Ok(())
    }

    fn text(&mut self, text: &str, raw: &str, out: &mut BytesMut) -> Result<(), Malformed> {
        if self.open.depth() == 0 && !text.trim().is_empty() {
            return Err(Malformed("text stands outside the root element"));
        }
        if let Some(held) = &mut self.held {
            held.text.push_str(text);
        }
        self.pass(raw, out)
    }

    /// Passes bytes on, or to what is held, or not at all.
    fn pass(&mut self, raw: &str, out: &mut BytesMut) -> Result<(), Malformed> {
        if self.dropped.is_some() {
            return Ok(());
        }
        match &mut self.held {
            Some(held) if held.raw.len() + raw.len() > HELD => {
                Err(Malformed("a URL or length is too long"))
            }
            Some(held) => {
                held.raw.push_str(raw);
                Ok(())
            }
            None => {
                out.put_slice(raw.as_bytes());
                Ok(())
            }
        }
    }

    /// What stands in the element instead, escaped. `None`: what stood there.
    fn rewritten(&mut self, held: &Held) -> Result<Option<String>, Malformed> {
        let text = held.text.trim();
        if held.kind == Kind::Length {
            let plain = text.parse().ok().and_then(self.lengths);
            return Ok(plain.filter(|_| !self.collection).map(|n| n.to_string()));
        }
        let none = Known::new();
        let found = self.finder.as_ref().map_or(&none, |finder| &finder.known);
        if held.kind == Kind::Name {
            return Ok(self
                .links
                .name(text, found)
                .map(|name| escape(name).into_owned()));
        }
        let parent = self.open.parent();
        let own = parent == Some(Kind::Response);
        if own {
            self.collection = text.ends_with('/');
        }
        match self.links.inward(text, found) {
            Inward::Mapped(url) => Ok(Some(escape(url).into_owned())),
            Inward::Foreign if own => Err(Malformed("the provider lists another host")),
            Inward::Foreign | Inward::Other => Ok(None),
        }
    }
}

fn check_encoding(declaration: &BytesDecl<'_>) -> Result<(), Malformed> {
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") => Ok(()),
        Some(Ok(name)) if name.eq_ignore_ascii_case("us-ascii") => Ok(()),
        Some(_) => Err(Malformed("the document is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::layout;

    #[test]
    fn a_hundred_thousand_entries_in_constant_memory() {
        let links = Links::new("gate.example", true, "dav.example", None);
        let mut listing = Listing::new(Arc::new(links), layout::plain_len, None);
        let mut out = BytesMut::new();
        listing
            .push(b"<D:multistatus xmlns:D=\"DAV:\">", &mut out)
            .unwrap();
        for i in 0..100_000 {
            let length = layout::sealed_len(i).unwrap();
            let entry = format!(
                "<D:response><D:href>/d/{i}</D:href><D:propstat><D:prop><D:getcontentlength>{length}\
                 </D:getcontentlength></D:prop></D:propstat></D:response>"
            );
            // an entry never comes at once
            let (first, second) = entry.as_bytes().split_at(i as usize % entry.len());
            listing.push(first, &mut out).unwrap();
            listing.push(second, &mut out).unwrap();
            assert!(listing.markup.kept() == 0 && listing.state.held.is_none());
            assert!(listing.state.open.depth() == 1 && listing.state.open.declarations() == 1);
            let shown = format!("<D:getcontentlength>{i}</D:getcontentlength>");
            assert!(String::from_utf8_lossy(&out).contains(&shown));
            out.clear();
        }
        listing.push(b"</D:multistatus>", &mut out).unwrap();
        listing.finish(&mut out).unwrap();
    }
}
