//! The documents that clients send: short, read whole, and of the one kind that the method takes.

use quick_xml::events::Event;

use super::markup::{Malformed, Markup};
use super::names::{Namespace, Open};
use super::table::{self, Report};
use crate::body::Plain;
use crate::error::{PROTOCOL, Refusal};

/// Longest document of a client.
const LIMIT: usize = 256 * 1024;

/// The root of what sets properties.
pub(super) const PROPERTYUPDATE: &str = "propertyupdate";

/// Reads a body that may be absent; what is there is an XML document with the root `DAV:` `root`.
///
/// # Errors
/// Any other, or one that is too large.
pub(super) async fn read(body: Plain, root: &str) -> Result<Vec<u8>, Refusal> {
    let bytes = body.collect(LIMIT).await?;
    if !bytes.is_empty() {
        let sets = root == PROPERTYUPDATE;
        let right = |first, namespace, name: &str| match first {
            true => namespace == Namespace::Dav && name == root,
            false => !sets || !digests(namespace, name),
        };
        check(&bytes, right).map_err(malformed)?;
    }
    Ok(bytes)
}

/// Reads the document of a REPORT, and what becomes of it.
///
/// # Errors
/// None, a malformed one, or one that is too large.
pub(super) async fn report(body: Plain) -> Result<(Report, Vec<u8>), Refusal> {
    let bytes = body.collect(LIMIT).await?;
    let mut report = None;
    let any = |first, namespace, name: &str| {
        if first {
            report = Some(table::report(namespace, name));
        }
        true
    };
    check(&bytes, any).map_err(malformed)?;
    let none = || malformed(Malformed("it ends early"));
    Ok((report.ok_or_else(none)?, bytes))
}

fn malformed(malformed: Malformed) -> Refusal {
    Refusal::new(&PROTOCOL).message(format!("The request's document: {}.", malformed.0))
}

/// Refuses a body where none belongs (RFC 4918, section 9.3: 415).
pub(super) async fn none(body: Plain) -> Result<(), Refusal> {
    if body.is_end_stream() || body.collect(LIMIT).await?.is_empty() {
        return Ok(());
    }
    let mut refusal = Refusal::new(&PROTOCOL).message("This method takes no body.");
    refusal.status = Some(415);
    Err(refusal)
}

/// rclone sets them with a file's time: they would tell the provider of the plaintext.
fn digests(namespace: Namespace, name: &str) -> bool {
    namespace == Namespace::Owncloud && matches!(name, "checksums" | "checksum")
}

/// `right`: whether a document with this root, or with this element behind it, is taken.
fn check(
    bytes: &[u8],
    mut right: impl FnMut(bool, Namespace, &str) -> bool,
) -> Result<(), Malformed> {
    let mut markup = Markup::default();
    let mut open = Open::new();
    let mut roots = 0;
    let mut names: Vec<String> = Vec::new();
    markup.push(bytes, |event, _| {
        match &event {
            Event::Start(tag) | Event::Empty(tag) => {
                let first = open.depth() == 0;
                let right = open.open(tag, |namespace, name| right(first, namespace, name))?;
                if !right && !first {
                    return Err(Malformed("it holds a digest of a file's contents"));
                }
                roots += usize::from(first);
                if !right || roots > 1 {
                    return Err(Malformed("it is not of the kind that this method takes"));
                }
                names.push(tag.name().as_ref().to_owned());
                if matches!(event, Event::Empty(_)) {
                    names.pop();
                    open.close()?;
                }
            }
            Event::End(tag) => {
                let name = tag.name();
                if names.pop().as_deref() != Some(name.as_ref()) {
                    return Err(Malformed("an end tag has no start"));
                }
                open.close()?;
            }
            Event::DocType(_) => return Err(Malformed("a document type is not allowed")),
            Event::Text(text) if open.depth() == 0 && !text.trim().is_empty() => {
                return Err(Malformed("text stands outside the root element"));
            }
            _ => {}
        }
        Ok(())
    })?;
    markup.finish()?;
    if roots == 1 && open.depth() == 0 {
        Ok(())
    } else {
        Err(Malformed("it ends early"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_methods_own_document() {
        let good = br#"<?xml version="1.0"?><a:propfind xmlns:a="DAV:"><a:prop/></a:propfind>"#;
        let check = |bytes: &[u8], root: &str| {
            check(bytes, |first, space, name| {
                !first || space == Namespace::Dav && name == root
            })
        };
        assert_eq!(check(good, "propfind"), Ok(()));
        assert!(check(good, "lockinfo").is_err());
        for bad in [
            "<propfind/>",
            "<propfind xmlns='DAV:'>",
            "<propfind xmlns='DAV:'></prop>",
            "<propfind xmlns='DAV:'/><propfind xmlns='DAV:'/>",
            "<!DOCTYPE a><propfind xmlns='DAV:'/>",
            "<propfind xmlns='DAV:'/>text",
            "<propfind xmlns='DAV:'",
            "text",
        ] {
            assert!(check(bad.as_bytes(), "propfind").is_err(), "{bad}");
        }
    }
}
