//! Trailers of multi-run objects that were read lately. While one is kept, its commitment is pinned to the key and
//! tag it was read under: a provider that answers another trailer under the same tag is mixing two versions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::call::Place;
use crate::seal::trailer::Trailer;

/// Kept at most, in run entries over all trailers (92 bytes each on the wire).
const BUDGET: usize = 400_000;

struct Kept {
    upstream_etag: String,
    trailer: Arc<Trailer>,
    used: u64,
}

#[derive(Default)]
struct Inner {
    kept: HashMap<Place, Kept>,
    weight: usize,
    clock: u64,
}

/// A bounded cache, least recently used out first.
#[derive(Default)]
pub struct Trailers(Mutex<Inner>);

/// The provider answered another trailer under a tag that is pinned.
#[derive(Debug, PartialEq, Eq)]
pub struct Changed;

impl Trailers {
    /// The trailer that was read under this tag.
    pub fn get(&self, place: &Place, upstream_etag: &str) -> Option<Arc<Trailer>> {
        let mut inner = self.lock();
        inner.clock += 1;
        let clock = inner.clock;
        let kept = inner.kept.get_mut(place)?;
        if kept.upstream_etag != upstream_etag {
            return None;
        }
        kept.used = clock;
        Some(kept.trailer.clone())
    }

    /// The trailer that was read last, whatever the tag is now.
    pub fn latest(&self, place: &Place) -> Option<Arc<Trailer>> {
        Some(self.lock().kept.get(place)?.trailer.clone())
    }

    /// Keeps a trailer.
    ///
    /// # Errors
    /// Another one is pinned to the same tag.
    pub fn keep(
        &self,
        place: Place,
        upstream_etag: String,
        trailer: Arc<Trailer>,
    ) -> Result<(), Changed> {
        let mut inner = self.lock();
        inner.clock += 1;
        let used = inner.clock;
        if let Some(old) = inner.kept.get(&place)
            && old.upstream_etag == upstream_etag
            && old.trailer.commitment != trailer.commitment
        {
            return Err(Changed);
        }
        inner.weight += weight(&trailer);
        let kept = Kept {
            upstream_etag,
            trailer,
            used,
        };
        if let Some(old) = inner.kept.insert(place, kept) {
            inner.weight -= weight(&old.trailer);
        }
        while inner.weight > BUDGET && inner.kept.len() > 1 {
            let Some(oldest) = inner
                .kept
                .iter()
                .min_by_key(|(_, kept)| kept.used)
                .map(|(place, _)| place.clone())
            else {
                break;
            };
            if let Some(old) = inner.kept.remove(&oldest) {
                inner.weight -= weight(&old.trailer);
            }
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn weight(trailer: &Trailer) -> usize {
    trailer.entries.len() + 4
}
