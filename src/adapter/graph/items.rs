//! Documents of the provider's that hold items: sizes and hashes become the plaintext's.

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;

use super::index::{Index, Known, Name};
use super::scanner::{Found, Kind, Malformed, Scanner};
use super::table::Verb;
use super::{Call, Graph};
use crate::body::{Fault, Released, Rewrite, Sealed};
use crate::error::{Refusal, UPSTREAM_INVALID};
use crate::seal::layout;

/// Files are looked up together, so many at most.
const TOGETHER: usize = 256;

impl Graph {
    /// The document as the client is to see it.
    pub(super) fn items(&self, call: &Call<'_>, body: Sealed) -> Released {
        let kind = match call.row.verb {
            Verb::Versions => Kind::Versions,
            _ => Kind::Items,
        };
        Released::rewritten(
            body,
            Items {
                scanner: Scanner::new(kind),
                index: Index(self.vault.clone()),
                drive: call.drive.map(str::to_owned),
                wrong: None,
            },
        )
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
        let mut scanner = Scanner::new(Kind::Items);
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
        ctag: found.ctag.as_deref()?,
    })
}

/// What is not known is taken for sealed, as all files here are: its length follows from the sealed one, its hash is left
/// out.
fn settle(scanner: &mut Scanner, found: Found, known: Option<Known>) {
    if let Some((span, size)) = found.size {
        let length = known.map(|known| known.length);
        let length = length.or_else(|| layout::plain_len(size)).unwrap_or(size);
        scanner.edit(span, length.to_string());
    }
    if let Some(span) = found.hashes {
        let hash = known.and_then(|known| known.hash);
        let text = hash.map(|hash| format!("{{\"quickXorHash\":\"{}\"}}", STANDARD.encode(hash)));
        scanner.edit(span, text.unwrap_or_else(|| "{}".into()));
    }
}

struct Items {
    scanner: Scanner,
    index: Index,
    /// Where the path names the drive.
    drive: Option<String>,
    /// What is wrong with the piece that was read last.
    wrong: Option<Malformed>,
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
            let keys: Vec<_> = names.map(|name| self.index.key(&name)).collect();
            let mut known = self.index.look(keys).await.into_iter();
            for found in files {
                let named = name(&found, drive).is_some();
                let known = if named { known.next().flatten() } else { None };
                settle(&mut self.scanner, found, known);
            }
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
