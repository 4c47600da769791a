//! The operator's choices about the state, already parsed.

use std::path::PathBuf;
use std::time::Duration;

/// Where the state lies and how much of it there may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Holds the database and the spools; made with mode 0700 when absent.
    pub directory: PathBuf,
    /// Bytes that the spooled parts of one tenant may take.
    pub spool_quota: u64,
    /// A spool older than this is an orphan. Not less than the life of a multipart upload.
    pub spool_age: Duration,
    /// Most entity tags that are remembered for clients; beyond them the oldest go.
    pub etags: u64,
}

impl Settings {
    /// 16 GiB of spools a tenant, kept for 30 days; two million entity tags.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            spool_quota: 16 << 30,
            spool_age: Duration::from_secs(30 * 24 * 3600),
            etags: 2_000_000,
        }
    }
}
