//! Documents of the provider's that hold items: sizes and hashes become the plaintext's.

use std::task::{Context, Poll, ready};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;

use super::index::{Index, Known, Name};
use super::scanner::{Found, Kind, Malformed, Scanner};
use super::table::Verb;
use super::{Call, Graph};
use crate::body::{Fault, Released, Rewrite, Sealed, Work};
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
                waiting: Vec::new(),
                looking: None,
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
        for found in scanner.take() {
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
    /// Files that are being looked up.
    waiting: Vec<Found>,
    looking: Option<Work<Vec<Option<Known>>>>,
}

impl Rewrite for Items {
    fn push(&mut self, piece: &[u8], _: &mut BytesMut) -> Result<(), Fault> {
        self.scanner.push(piece).map_err(malformed)
    }

    fn finish(&mut self, _: &mut BytesMut) -> Result<(), Fault> {
        match self.scanner.complete() {
            true => Ok(()),
            false => Err(malformed(Malformed)),
        }
    }

    fn poll_settle(&mut self, cx: &mut Context<'_>, out: &mut BytesMut) -> Poll<Result<(), Fault>> {
        loop {
            if let Some(looking) = &mut self.looking {
                let known = ready!(looking.as_mut().poll(cx));
                self.looking = None;
                let mut known = known.into_iter();
                for found in std::mem::take(&mut self.waiting) {
                    let named = name(&found, self.drive.as_deref()).is_some();
                    let known = if named { known.next().flatten() } else { None };
                    settle(&mut self.scanner, found, known);
                }
            }
            self.waiting = self.scanner.take_some(TOGETHER);
            let names = self.waiting.iter();
            let names = names.filter_map(|found| name(found, self.drive.as_deref()));
            let keys: Vec<_> = names.map(|name| self.index.key(&name)).collect();
            if self.waiting.is_empty() {
                self.scanner.flush(out);
                return Poll::Ready(Ok(()));
            }
            self.looking = Some(match keys.is_empty() {
                true => Box::pin(std::future::ready(Vec::new())),
                false => self.index.look(keys),
            });
        }
    }
}

fn malformed(_: Malformed) -> Fault {
    Fault::new(
        &UPSTREAM_INVALID,
        "the provider's answer is no JSON document",
    )
}
