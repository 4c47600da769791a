//! What each tenant's spools take. Counted from the directory, so that other processes' files count
//! and a crash leaves no wrong sum; between two counts, what others write goes unseen.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::StateError;

const RECOUNT: Duration = Duration::from_secs(5);

pub(super) struct Quotas {
    quota: u64,
    tenants: Mutex<HashMap<PathBuf, Arc<Usage>>>,
}

impl Quotas {
    pub(super) fn new(quota: u64) -> Self {
        Self {
            quota,
            tenants: Mutex::default(),
        }
    }

    pub(super) fn of(&self, directory: PathBuf) -> Arc<Usage> {
        let mut tenants = whole(&self.tenants);
        let usage = tenants.entry(directory).or_insert_with_key(|directory| {
            Arc::new(Usage {
                directory: directory.clone(),
                quota: self.quota,
                counts: Mutex::default(),
            })
        });
        Arc::clone(usage)
    }
}

#[derive(Default)]
struct Counts {
    on_disk: u64,
    reserved: u64,
    counted: Option<Instant>,
}

/// One tenant's use.
pub(super) struct Usage {
    directory: PathBuf,
    quota: u64,
    counts: Mutex<Counts>,
}

impl Usage {
    /// Room for `bytes` to be written. Blocks: may read the directory.
    pub(super) fn reserve(&self, bytes: u64) -> Result<Reserved<'_>, StateError> {
        let mut counts = whole(&self.counts);
        let stale = counts.counted.is_none_or(|at| at.elapsed() > RECOUNT);
        if stale || !self.fits(&counts, bytes) {
            counts.on_disk = self.count()?;
            counts.counted = Some(Instant::now());
        }
        if !self.fits(&counts, bytes) {
            return Err(StateError::Quota { quota: self.quota });
        }
        counts.reserved += bytes;
        Ok(Reserved { usage: self, bytes })
    }

    pub(super) fn freed(&self, bytes: u64) {
        let mut counts = whole(&self.counts);
        counts.on_disk = counts.on_disk.saturating_sub(bytes);
    }

    fn fits(&self, counts: &Counts, bytes: u64) -> bool {
        let taken = counts.on_disk.saturating_add(counts.reserved);
        taken.saturating_add(bytes) <= self.quota
    }

    fn count(&self) -> Result<u64, StateError> {
        let mut sum = 0u64;
        for entry in std::fs::read_dir(&self.directory)? {
            match entry?.metadata() {
                Ok(data) => sum = sum.saturating_add(data.len()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sum)
    }
}

/// Given back when dropped.
pub(super) struct Reserved<'a> {
    usage: &'a Usage,
    bytes: u64,
}

impl Reserved<'_> {
    /// The bytes are on disk now.
    pub(super) fn used(self) {
        whole(&self.usage.counts).on_disk += self.bytes;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        whole(&self.usage.counts).reserved -= self.bytes;
    }
}

/// Each change of a count is one step, so a panic elsewhere leaves it whole.
fn whole<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
