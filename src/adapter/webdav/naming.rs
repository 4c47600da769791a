//! Sealed names in paths: every component below a path that the operator names is sealed on its own, so that the
//! provider moves and copies directories without the gateway.

use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::long::Known;
use super::pattern::Pattern;
use crate::error::{OPERATION_DENIED, PROTOCOL, Refusal};
use crate::seal::name::{LONGEST, LONGEST_KEPT, NameKey, as_digest};

/// Characters of a component that stay as they are in a URL (RFC 3986, section 2.3).
pub(super) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Where names are sealed, and with what.
pub(super) struct Naming {
    key: Arc<NameKey>,
    below: Pattern,
}

impl Naming {
    pub fn new(key: Arc<NameKey>, below: &str) -> Self {
        Self {
            key,
            below: Pattern::new(below),
        }
    }

    /// The path as the provider has it. What has the form of a digest stays: an entry whose name is not known.
    ///
    /// # Errors
    /// A name that is too long.
    pub fn outward(&self, path: &str) -> Result<String, Refusal> {
        self.mapped(path, |component| {
            let name: Vec<u8> = percent_decode_str(component).collect();
            if let Some(digest) = std::str::from_utf8(&name).ok().and_then(as_digest) {
                return Ok(digest);
            }
            self.sealed(&name)
        })
    }

    /// One name as the provider has it: sealed, or a digest that stands for it.
    ///
    /// # Errors
    /// A name that is too long.
    pub fn sealed(&self, name: &[u8]) -> Result<String, Refusal> {
        let sealed = match name.len() {
            ..=LONGEST => self.key.seal(name),
            _ => self.key.digest(name),
        };
        sealed.map_err(|_| too_long())
    }

    /// The names in a path that a digest stands for.
    pub fn long(&self, path: &str) -> Known {
        let behind = self.below.behind(path).unwrap_or_default();
        let names = behind.into_iter().filter_map(|component| {
            let name = percent_decode_str(component).decode_utf8().ok()?;
            let digest = self.key.digest(name.as_bytes()).ok()?;
            Some((digest, name.into_owned()))
        });
        names.collect()
    }

    pub fn stands_for(&self, digest: &str, name: &str) -> bool {
        self.key
            .digest(name.as_bytes())
            .is_ok_and(|own| own == digest)
    }

    /// The path as the client has it. A name that is not sealed, or a digest that none of `known` belongs to, stays
    /// as it is.
    pub fn inward(&self, path: &str, known: &[&Known]) -> String {
        let opened = |component: &str| -> Result<String, std::convert::Infallible> {
            let text = percent_decode_str(component).decode_utf8_lossy();
            Ok(match self.name(&text, known) {
                Some(name) => percent_encode(&name, ENCODED).to_string(),
                None => component.to_owned(),
            })
        };
        match self.mapped(path, opened) {
            Ok(path) => path,
            Err(never) => match never {},
        }
    }

    /// A name that stands by itself (`displayname`).
    pub fn opened(&self, text: &str, known: &[&Known]) -> Option<String> {
        String::from_utf8(self.name(text, known)?).ok()
    }

    fn name(&self, text: &str, known: &[&Known]) -> Option<Vec<u8>> {
        if let Some(name) = self.key.open(text) {
            return Some(name);
        }
        let digest = as_digest(text)?;
        let name = known.iter().find_map(|known| known.get(&digest))?;
        Some(name.clone().into_bytes())
    }

    /// # Errors
    /// The path lies where names are not sealed: nothing is written there.
    pub fn covers(&self, path: &str) -> Result<(), Refusal> {
        let parts = self.below.behind(path).unwrap_or_default();
        match parts
            .last()
            .map(|name| percent_decode_str(name).decode_utf8_lossy())
        {
            Some(name) if as_digest(&name).is_some() => Err(Refusal::new(&OPERATION_DENIED)
                .message(
                    "A name of this form stands for a longer one; nothing is written under it.",
                )),
            Some(_) => Ok(()),
            None => Err(Refusal::new(&OPERATION_DENIED).message(format!(
                "Names are sealed below {}, and nothing is written elsewhere.",
                self.below
            ))),
        }
    }

    fn mapped<E>(&self, path: &str, map: impl Fn(&str) -> Result<String, E>) -> Result<String, E> {
        if self.below.behind(path).is_none() {
            return Ok(path.to_owned());
        }
        let mut above = self.below.len();
        let mut out = Vec::new();
        for part in path.split('/') {
            if part.is_empty() {
                out.push(String::new());
            } else if above > 0 {
                above -= 1;
                out.push(part.to_owned());
            } else {
                out.push(map(part)?);
            }
        }
        Ok(out.join("/"))
    }
}

fn too_long() -> Refusal {
    let mut refusal =
        Refusal::new(&PROTOCOL).message(format!("A name has more than {LONGEST_KEPT} bytes."));
    refusal.status = Some(414);
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Context;
    use crate::secret::Secret;

    fn naming(below: &str) -> Naming {
        let context = Context::new("t", "s", "n").unwrap();
        let secret = Secret::from_slice(&[3; 48]).unwrap();
        Naming::new(Arc::new(NameKey::new(&secret, &context)), below)
    }

    #[test]
    fn components_below_the_root_are_sealed_each_on_its_own() {
        let naming = naming("/dav/*/");
        let path = "/dav/alice/Dossier%20%C3%A9/a.txt/";
        let out = naming.outward(path).unwrap();
        let parts: Vec<&str> = out.split('/').collect();
        assert_eq!(parts[..3], ["", "dav", "alice"]);
        assert!(parts[3].starts_with("n1") && parts[4].starts_with("n1") && parts[5].is_empty());
        assert_eq!(naming.inward(&out, &[]), path);
        let moved = naming.outward("/dav/bob/a.txt").unwrap();
        assert!(moved.ends_with(parts[4]));
        for above in ["/", "/dav/alice", "/dav/alice/", "/other/alice/x"] {
            assert_eq!(naming.outward(above).unwrap(), above);
        }
        assert_eq!(
            naming.inward("/dav/alice/plain%20name", &[]),
            "/dav/alice/plain%20name"
        );
    }

    #[test]
    fn nothing_is_written_where_names_are_clear() {
        let naming = naming("/dav/*");
        assert!(naming.covers("/dav/alice/x").is_ok());
        for path in ["/dav/alice", "/dav/alice/", "/", "/other/alice/x"] {
            assert_eq!(naming.covers(path).unwrap_err().status(), 403, "{path}");
        }
        assert!(super::tests::naming("/").covers("/x").is_ok());
    }

    #[test]
    fn a_digest_stands_for_a_long_name() {
        let naming = naming("/dav/*");
        let long = "\u{e9}".repeat(LONGEST);
        let path = format!(
            "/dav/alice/a/{}/b",
            percent_encode(long.as_bytes(), ENCODED)
        );
        let out = naming.outward(&path).unwrap();
        let digest = out.split('/').nth(4).unwrap();
        assert_eq!(as_digest(digest).as_deref(), Some(digest));
        let known = naming.long(&path);
        assert_eq!(known, Known::from([(digest.to_owned(), long.clone())]));
        assert!(naming.stands_for(digest, &long) && !naming.stands_for(digest, &long[2..]));
        assert_eq!(naming.inward(&out, &[&Known::new(), &known]), path);
        assert_eq!(naming.opened(digest, &[&known]).as_ref(), Some(&long));
        // without its name the entry can be reached, and nothing be written in its place
        let shown = naming.inward(&out, &[]);
        assert!(shown.ends_with(&format!("/{digest}/b")));
        assert_eq!(naming.outward(&shown).unwrap(), out);
        assert!(naming.covers(&shown).is_ok());
        let refusal = naming.covers(&format!("/dav/alice/{}/", digest.to_uppercase()));
        assert_eq!(refusal.unwrap_err().status(), 403);
    }

    #[test]
    fn a_name_too_long_is_refused() {
        let naming = naming("/");
        assert!(
            naming
                .outward(&format!("/{}", "a".repeat(LONGEST_KEPT)))
                .is_ok()
        );
        let refusal = naming
            .outward(&format!("/{}", "a".repeat(LONGEST_KEPT + 1)))
            .unwrap_err();
        assert_eq!(refusal.status(), 414);
    }
}
