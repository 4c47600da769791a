//! Files that were read lately: a range of one need not ask for its first bytes again, and one that changes under its
//! entity tag is noticed.

use std::sync::Arc;

use super::Call;
use crate::adapter::opening::File;
use crate::adapter::pinned::{Pin, Pinned};
use crate::error::{OBJECT_SUBSTITUTED, Refusal};

/// Files that are kept weigh 4 each, and 1 for each run where there are several.
const BUDGET: usize = 40_000;
/// How long one is kept, in seconds. Some servers make tags of times in seconds: a file that somebody else replaced at
/// once by one of the same length is refused for as long as this.
const AGE: u64 = 600;

#[derive(Clone)]
struct Known {
    file: Arc<File>,
    /// Seconds since 1970.
    until: u64,
}

impl Pin for Known {
    fn commitment(&self) -> &[u8; 32] {
        self.file.commitment()
    }

    fn weight(&self) -> usize {
        self.file.weight()
    }
}

/// By the path at the provider.
pub(super) struct Pins(Pinned<String, Known>);

impl Pins {
    pub fn new() -> Self {
        Self(Pinned::new(BUDGET))
    }

    /// The file that was read last at the request's path, and its tag.
    pub fn get(&self, call: &Call<'_>) -> Option<(String, Arc<File>)> {
        let (tag, known) = self.0.latest(&call.path.to_owned())?;
        (call.unix() < known.until).then_some((tag, known.file))
    }

    /// Keeps a file that the provider gave under a strong tag.
    ///
    /// # Errors
    /// It gave another one under the same tag before.
    pub fn keep(
        &self,
        call: &Call<'_>,
        tag: Option<&str>,
        file: &Arc<File>,
    ) -> Result<(), Refusal> {
        let Some(tag) = tag.filter(|tag| tag.starts_with('"')) else {
            return Ok(());
        };
        let now = call.unix();
        self.0
            .forget(|path, known| path == call.path && known.until <= now);
        let known = Known {
            file: file.clone(),
            until: now + AGE,
        };
        let kept = self.0.keep(call.path.to_owned(), tag.to_owned(), known);
        kept.map_err(|_| {
            Refusal::new(&OBJECT_SUBSTITUTED)
                .message("The provider mixes two versions under one entity tag.")
        })
    }

    /// Forgets what lies at a path and below it.
    pub fn forget(&self, path: &str) {
        let root = path.trim_end_matches('/');
        self.0.forget(|path, _| {
            let rest = path.strip_prefix(root);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
    }
}
