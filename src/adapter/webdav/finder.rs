//! Long names for a listing that passes: its digests are found in each piece before the piece is rewritten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quick_xml::escape::unescape;

use super::links::Links;
use super::listing::HELD;
use super::long::{Known, LongNames};
use super::upstream::Ask;
use crate::body::Fault;
use crate::error::Refusal;
use crate::seal::name::{DIGEST_TEXT, as_digest};

/// Bytes of names that a listing keeps while it passes.
const BUDGET: usize = 64 * 1024;

/// Finds the digests in a document, and their names.
pub(super) struct Finder {
    names: Arc<LongNames>,
    /// Asks the provider as the client.
    ask: Ask,
    /// What came since the last character that no URL has.
    text: Vec<u8>,
    /// Where the last word in it begins.
    word: usize,
    /// Digests to look up, and the path of the collection that they stand in.
    wanted: BTreeMap<String, Option<String>>,
    /// What was looked up already and has no name.
    unknown: BTreeSet<String>,
    pub known: Known,
    size: usize,
}

impl Finder {
    pub fn new(names: Arc<LongNames>, ask: Ask) -> Self {
        Self {
            names,
            ask,
            text: Vec::new(),
            word: 0,
            wanted: BTreeMap::new(),
            unknown: BTreeSet::new(),
            known: Known::new(),
            size: 0,
        }
    }

    /// Reads a piece. `true`: there are digests to look up. `idle`: nothing that came before waits for a name.
    pub fn reads(&mut self, piece: &[u8], idle: bool, links: &Links) -> bool {
        if idle && self.size > BUDGET {
            self.known.clear();
            self.unknown.clear();
            self.size = 0;
        }
        for byte in piece {
            if !byte.is_ascii_alphanumeric() {
                self.word_ends(links);
            }
            if byte.is_ascii_whitespace() || b"<>\"'[]".contains(byte) || self.text.len() >= HELD {
                self.text.clear();
                self.word = 0;
                continue;
            }
            self.text.push(*byte);
            if !byte.is_ascii_alphanumeric() {
                self.word = self.text.len();
            }
        }
        !self.wanted.is_empty()
    }

    fn word_ends(&mut self, links: &Links) {
        let (before, word) = self.text.split_at(self.word);
        if word.len() != DIGEST_TEXT {
            return;
        }
        let Some(digest) = std::str::from_utf8(word).ok().and_then(as_digest) else {
            return;
        };
        let known = links.long().contains_key(&digest)
            || self.known.contains_key(&digest)
            || self.unknown.contains(&digest);
        if !known {
            let href = std::str::from_utf8(before).ok();
            let href = href.and_then(|href| unescape(href).ok());
            let above = href.and_then(|href| Some(links.at_provider(&href).ok()?.to_owned()));
            self.wanted.entry(digest).or_insert(above);
        }
    }

    /// # Errors
    /// A name can't be had though it may be there: the listing would show a digest in its place, and a client that
    /// synchronizes would take the file for gone.
    pub async fn look_up(&mut self) -> Result<(), Fault> {
        self.look_up_names().await.map_err(|refusal| {
            let what = format!("the name of a long entry can't be read: {refusal}");
            Fault::new(refusal.code, what)
        })
    }

    async fn look_up_names(&mut self) -> Result<(), Refusal> {
        let wanted = std::mem::take(&mut self.wanted);
        let mut found = self.names.find(wanted.keys().cloned().collect()).await?;
        let mut read = Known::new();
        for (digest, above) in wanted {
            self.size += digest.len() + found.get(&digest).map_or(0, String::len);
            if found.contains_key(&digest) {
                continue;
            }
            let name = match above {
                Some(above) => self.names.read(self.ask.clone(), &above, &digest).await?,
                None => None,
            };
            match name {
                Some(name) => {
                    self.size += name.len();
                    read.insert(digest, name);
                }
                None => {
                    self.unknown.insert(digest);
                }
            }
        }
        self.names.keep(&read).await?;
        found.extend(read);
        self.known.extend(found);
        Ok(())
    }
}
