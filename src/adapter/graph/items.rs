//! Documents of the provider's that hold items: sizes and hashes become the plaintext's.

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;

use super::filler::{Filler, Unknown};
use super::found::{Found, Kind};
use super::index::{Entry, Index, Known, Name};
use super::scanner::{Malformed, Scanner};
use super::table::Verb;
use super::{Call, Graph};
use crate::body::{Fault, Released, Rewrite, Sealed};
use crate::error::{Refusal, UPSTREAM_INVALID};
use crate::seal::layout;

/// Files are looked up together, so many at most.
const TOGETHER: usize = 256;

impl Kind {
    pub fn of(verb: Verb) -> Self {
        match verb {
            Verb::Versions => Self::Versions,
            Verb::RestPut | Verb::RestItems | Verb::RestChunk => Self::Rest,
            _ => Self::Items,
        }
    }
}

impl Graph {
    /// The document as the client is to see it.
    pub(super) fn items(&self, call: &Call<'_>, body: Sealed) -> Released {
        let kind = Kind::of(call.row.verb);
        Released::rewritten(body, self.rewriter(call, kind))
    }

    fn rewriter(&self, call: &Call<'_>, kind: Kind) -> Items {
        Items {
            scanner: Scanner::new(kind),
            filler: self.filler.clone(),
            drive: call.drive.map(str::to_owned),
            unix: call.unix(),
            wrong: None,
        }
    }

    /// A document that is in memory as the client is to see it.
    pub(super) async fn shown(
        &self,
        call: &Call<'_>,
        kind: Kind,
        document: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        let (mut items, mut out) = (self.rewriter(call, kind), BytesMut::new());
        let broken = |fault: Fault| Refusal::new(fault.code).message(fault.detail);
        if items.waits(document) {
            items.look_up().await.map_err(broken)?;
        }
        items.push(document, &mut out).map_err(broken)?;
        items.finish(&mut out).map_err(broken)?;
        Ok(out.to_vec())
    }

    /// The document about a file that was put there just now: it is remembered, and shown as the client knows it.
    ///
    /// # Errors
    /// The document is broken, or says that the file has another length: then it is not what was sent.
    pub(super) async fn remember(
        &self,
        call: &Call<'_>,
        document: &[u8],
        known: Known,
    ) -> Result<Vec<u8>, Refusal> {
        let mut scanner = Scanner::new(Kind::of(call.row.verb));
        let broken = |_: Malformed| {
            Refusal::new(&UPSTREAM_INVALID).message("The provider's answer is no JSON document.")
        };
        scanner.push(document).map_err(broken)?;
        if !scanner.complete() {
            return Err(broken(Malformed));
        }
        for found in scanner.take(usize::MAX) {
            let size = found.size.as_ref().map(|(_, size)| *size);
            if size.is_some() && size != layout::sealed_len(known.length) {
                return Err(Refusal::new(&UPSTREAM_INVALID).message(
                    "The provider says that the file has another length than was sent: it changed it, and it can't be opened.",
                ));
            }
            if let Some(name) = name(&found, call.drive) {
                let index = Index(self.vault.clone());
                if let Err(error) = index.put(&name, known, call.unix()).await {
                    tracing::warn!(%error, code = error.name(), "the index of items can't be written");
                }
            }
            settle(&mut scanner, found, Some(known));
        }
        let mut out = BytesMut::new();
        scanner.flush(&mut out);
        Ok(out.to_vec())
    }
}

fn name<'f>(found: &'f Found, drive: Option<&'f str>) -> Option<Name<'f>> {
    Some(Name {
        drive: found.drive.as_deref().or(drive)?,
        item: found.id.as_deref()?,
        ctag: found.ctag.as_deref(),
        etag: found.etag.as_deref(),
    })
}

/// What is to be found out in the background.
fn wanted(found: &Found, drive: Option<&str>) -> Option<Unknown> {
    let name = name(found, drive)?;
    Some(Unknown {
        drive: name.drive.to_owned(),
        item: name.item.to_owned(),
        ctag: found.ctag.clone(),
        etag: found.etag.clone(),
        size: found.size.as_ref().map(|(_, size)| *size)?,
        url: found.download.clone()?,
    })
}

/// What is not known is taken for sealed, as all files here are: its length follows from the sealed one, its hash is left
/// out.
fn settle(scanner: &mut Scanner, found: Found, known: Option<Known>) {
    if let Some((span, size)) = found.size {
        let length = known.map(|known| known.length);
        let length = length.or_else(|| layout::plain_len(size)).unwrap_or(size);
        scanner.edit(
            span,
            match found.quoted {
                true => format!("\"{length}\""),
                false => length.to_string(),
            },
        );
    }
    if let Some(span) = found.hashes {
        let hash = known.and_then(|known| known.hash);
        let text = hash.map(|hash| format!("{{\"quickXorHash\":\"{}\"}}", STANDARD.encode(hash)));
        scanner.edit(span, text.unwrap_or_else(|| "{}".into()));
    }
}

struct Items {
    scanner: Scanner,
    filler: Filler,
    /// Where the path names the drive.
    drive: Option<String>,
    /// Seconds since 1970.
    unix: u64,
    /// What is wrong with the piece that was read last.
    wrong: Option<Malformed>,
}

impl Items {
    /// What is known of the item as it is now.
    async fn settled(&self, name: &Name<'_>, entry: Option<Entry>) -> Option<Known> {
        let entry = entry.filter(|entry| entry.holds(name))?;
        if entry.is_older(name)
            && let Err(error) = self.filler.index.put(name, entry.known, self.unix).await
        {
            tracing::warn!(%error, code = error.name(), "the index of items can't be written");
        }
        Some(entry.known)
    }
}

#[async_trait]
impl Rewrite for Items {
    fn waits(&mut self, piece: &[u8]) -> bool {
        self.wrong = self.scanner.push(piece).err();
        self.scanner.found()
    }

    async fn look_up(&mut self) -> Result<(), Fault> {
        loop {
            let files = self.scanner.take(TOGETHER);
            if files.is_empty() {
                return Ok(());
            }
            let drive = self.drive.as_deref();
            let names = files.iter().filter_map(|found| name(found, drive));
            let keys: Vec<_> = names.map(|name| self.filler.index.key(&name)).collect();
            let mut known = self.filler.index.look(keys).await.into_iter();
            let mut unknown = Vec::new();
            for found in files {
                let known = match name(&found, drive) {
                    Some(name) => self.settled(&name, known.next().flatten()).await,
                    None => None,
                };
                if known.is_none() {
                    unknown.extend(wanted(&found, drive));
                }
                settle(&mut self.scanner, found, known);
            }
            self.filler.fill(unknown, self.unix);
        }
    }

    fn push(&mut self, _: &[u8], out: &mut BytesMut) -> Result<(), Fault> {
        match self.wrong {
            Some(wrong) => Err(malformed(wrong)),
            None => {
                self.scanner.flush(out);
                Ok(())
            }
        }
    }

    fn finish(&mut self, _: &mut BytesMut) -> Result<(), Fault> {
        match self.scanner.complete() {
            true => Ok(()),
            false => Err(malformed(Malformed)),
        }
    }
}

fn malformed(_: Malformed) -> Fault {
    Fault::new(
        &UPSTREAM_INVALID,
        "the provider's answer is no JSON document",
    )
}
