//! The index is filled in the background with what listings showed and nobody knew: one file at a time, from the digest in
//! its sealed trailer. No answer waits for it.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, StatusCode};

use super::index::{Index, Known, Name};
use super::upstream::{Ask, Wire};
use crate::adapter::opening::{self, Opener};
use crate::body::{Sealed, Work};
use crate::error::{OBJECT_DAMAGED, PROVIDER_ERROR, Refusal};
use crate::seal::layout;
use crate::seal::trailer::Digest;

/// What runs work beside the requests.
pub type Spawn = Arc<dyn Fn(Work<()>) + Send + Sync>;

/// Files that wait at most; what does not fit comes with a later listing.
const WAITING: usize = 4096;

/// A file that nothing is known of.
pub(super) struct Unknown {
    pub drive: String,
    pub item: String,
    pub ctag: Option<String>,
    pub etag: Option<String>,
    /// Bytes at the provider.
    pub size: u64,
    /// An address that carries its own proof.
    pub url: String,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Unknown>,
    /// By drive and item.
    known: BTreeSet<(String, String)>,
    working: bool,
}

#[derive(Clone)]
pub(super) struct Filler {
    pub index: Index,
    pub wire: Arc<Wire>,
    pub opener: Opener,
    spawn: Spawn,
    queue: Arc<Mutex<Queue>>,
}

impl Filler {
    pub fn new(index: Index, wire: Arc<Wire>, opener: Opener, spawn: Spawn) -> Self {
        Self {
            index,
            wire,
            opener,
            spawn,
            queue: Arc::default(),
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `unix`: seconds since 1970.
    pub fn fill(&self, files: Vec<Unknown>, unix: u64) {
        let mut queue = self.queue();
        for file in files {
            let key = (file.drive.clone(), file.item.clone());
            if queue.waiting.len() < WAITING && queue.known.insert(key) {
                queue.waiting.push_back(file);
            }
        }
        if queue.waiting.is_empty() || std::mem::replace(&mut queue.working, true) {
            return;
        }
        drop(queue);
        let own = self.clone();
        (self.spawn)(Box::pin(async move { own.work(unix).await }));
    }

    async fn work(&self, unix: u64) {
        let _done = Done(self);
        loop {
            let Some(file) = self.queue().waiting.pop_front() else {
                return;
            };
            let found = self.read(&file).await;
            let name = Name {
                drive: &file.drive,
                item: &file.item,
                ctag: file.ctag.as_deref(),
                etag: file.etag.as_deref(),
            };
            let kept = match found {
                Ok(known) => self
                    .index
                    .put(&name, known, unix)
                    .await
                    .map_err(Refusal::from),
                Err(refusal) => Err(refusal),
            };
            self.queue().known.remove(&(file.drive, file.item));
            // a later listing tries again
            if let Err(refusal) = kept {
                tracing::debug!(%refusal, "an item's hash can't be had now");
                if refusal.code != &OBJECT_DAMAGED {
                    return;
                }
            }
        }
    }

    /// What the trailer says. A file that has none is taken for what it is, an unsealed one.
    async fn read(&self, file: &Unknown) -> Result<Known, Refusal> {
        let unsealed = Known {
            length: file.size,
            hash: None,
        };
        if layout::plain_len(file.size).is_none() {
            return Ok(unsealed);
        }
        let fetch = |range: Range<u64>| self.piece(&file.url, range);
        let (lookup, context) = (self.opener.lookup.as_ref(), &self.opener.context);
        let trailer: Result<_, Refusal> = opening::trailer(lookup, context, file.size, fetch).await;
        match trailer {
            Ok(trailer) => Ok(Known {
                length: trailer.total,
                hash: trailer
                    .digests
                    .get(Digest::QuickXor)
                    .and_then(|(value, _)| value.try_into().ok()),
            }),
            Err(refusal) if refusal.code == &OBJECT_DAMAGED => Ok(unsealed),
            Err(refusal) => Err(refusal),
        }
    }

    async fn piece(&self, url: &str, range: Range<u64>) -> Result<Sealed, Refusal> {
        let address = self.wire.address(url)?;
        let ask = Ask::at(Method::GET, &address).range(&range);
        let response = self.wire.ask(ask).await?;
        match response.status() {
            StatusCode::OK => {
                let rest = response.into_body().skip(range.start).await;
                rest.map_err(|fault| Refusal::new(fault.code).message(fault.detail))
            }
            StatusCode::PARTIAL_CONTENT => opening::piece(response, &range),
            _ => Err(Refusal::new(&PROVIDER_ERROR)),
        }
    }
}

/// However the work ends, another may begin.
struct Done<'f>(&'f Filler);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.working = false;
        queue.waiting.clear();
        queue.known.clear();
    }
}
