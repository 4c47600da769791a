//! Answers of SharePoint's own interface in XML, which it gives to who does not ask for JSON (OData 3.0, "Atom format"):
//! lengths become the plaintext's, every other byte stays what it is.

use bytes::BytesMut;
use http::HeaderMap;
use quick_xml::NsReader;
use quick_xml::events::Event;
use quick_xml::name::{Namespace, ResolveResult};

use super::upstream::is_one_of;
use crate::body::{Fault, Rewrite};
use crate::error::UPSTREAM_INVALID;
use crate::seal::layout;

/// Of values (OData 3.0, "Atom format").
const VALUES: &str = "http://schemas.microsoft.com/ado/2007/08/dataservices";
/// Bytes of a document; it is read whole.
const LIMIT: usize = 8 * 1024 * 1024;

pub(super) fn is_xml(headers: &HeaderMap) -> bool {
    is_one_of(
        headers,
        &["application/atom+xml", "application/xml", "text/xml"],
    )
}

/// Collects a document and gives it out at its end.
#[derive(Default)]
pub(super) struct Atom(Vec<u8>);

#[async_trait::async_trait]
impl Rewrite for Atom {
    fn push(&mut self, piece: &[u8], _: &mut BytesMut) -> Result<(), Fault> {
        self.0.extend_from_slice(piece);
        match self.0.len() > LIMIT {
            true => Err(malformed("the provider's answer is longer than 8 MiB")),
            false => Ok(()),
        }
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), Fault> {
        let document = std::mem::take(&mut self.0);
        let text = std::str::from_utf8(&document).ok();
        let shown = text.and_then(shown);
        let shown = shown.ok_or_else(|| malformed("the provider's answer is no XML document"))?;
        out.extend_from_slice(shown.as_bytes());
        Ok(())
    }
}

fn malformed(why: &'static str) -> Fault {
    Fault::new(&UPSTREAM_INVALID, why)
}

/// The document with each `Length` that is a sealed file's as its plaintext has it. `None`: it is no XML document, or
/// has a type declaration, which could change what it says.
fn shown(document: &str) -> Option<String> {
    let mut reader = NsReader::from_str(document);
    let (mut out, mut at, mut depth) = (String::new(), 0, 0_u32);
    let (mut inside, mut begun) = (false, false);
    loop {
        let before = usize::try_from(reader.buffer_position()).ok()?;
        let (space, event) = reader.read_resolved_event().ok()?;
        let values = space == ResolveResult::Bound(Namespace(VALUES));
        match event {
            Event::Start(start) => {
                depth += 1;
                begun = true;
                inside = values && start.local_name().into_inner() == "Length";
            }
            Event::Text(_) if inside => {
                let end = usize::try_from(reader.buffer_position()).ok()?;
                let sealed = document.get(before..end)?;
                if let Some(length) = sealed.trim().parse().ok().and_then(layout::plain_len) {
                    out.push_str(document.get(at..before)?);
                    out.push_str(&length.to_string());
                    at = end;
                }
            }
            Event::End(_) => {
                depth = depth.checked_sub(1)?;
                inside = false;
            }
            Event::DocType(_) => return None,
            Event::Eof => break,
            _ => {}
        }
    }
    out.push_str(document.get(at..)?);
    (begun && depth == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#"<?xml version="1.0"?><entry xmlns="http://www.w3.org/2005/Atom" xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" xmlns:m="urn:m"><title>528</title><content type="application/xml"><m:properties><d:Length m:type="Edm.Int64">528</d:Length><d:Name>528</d:Name><x:Length xmlns:x="urn:x">528</x:Length></m:properties></content></entry>"#;

    #[test]
    fn only_lengths_of_files_change() {
        let want = ENTRY.replace("Int64\">528", "Int64\">0");
        assert_eq!(shown(ENTRY).as_deref(), Some(want.as_str()));
        let other = ENTRY.replace("xmlns:d=", "xmlns:e=").replace("d:", "e:");
        assert_eq!(
            shown(&other),
            Some(want.replace("xmlns:d=", "xmlns:e=").replace("d:", "e:"))
        );
        // shorter than any sealed file
        let folder = ENTRY.replace("528", "7");
        assert_eq!(shown(&folder), Some(folder.clone()));
    }

    #[test]
    fn what_is_no_document_is_broken_off() {
        let between = ENTRY.find("<d:Name>").unwrap();
        for cut in [0, 30, ENTRY.len() / 2, between, ENTRY.len() - 3] {
            assert!(shown(&ENTRY[..cut]).is_none(), "{cut}");
        }
        let declared = format!("<!DOCTYPE a [<!ENTITY x \"528\">]>{}", &ENTRY[21..]);
        assert!(shown(&declared).is_none());
        let mut out = BytesMut::new();
        let mut atom = Atom::default();
        assert!(atom.push(&vec![b' '; LIMIT + 1], &mut out).is_err());
    }
}
