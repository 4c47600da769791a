//! Logging: text on a terminal, JSON otherwise. Never bodies, signatures, query strings or keys. And counts of what an
//! operator must know the sum of.

use std::collections::BTreeMap;
use std::fmt;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// Names one request in the log and in the answer that the client sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}", self.0)
    }
}

/// Reads of files that lie at the provider unsealed, by service. It comes to rest when an estate has migrated.
pub static UNSEALED_READS: Counter = Counter::new();

/// Tokens that were opened for subscribers, past the service's own way, by service.
pub static OPENED_OUTSIDE: Counter = Counter::new();

/// A count for each service, since the process began; a reload does not touch it.
#[derive(Debug)]
pub struct Counter(Mutex<BTreeMap<String, u64>>);

impl Counter {
    const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Counts `n` more; gives the service's sum.
    pub fn add(&self, service: &str, n: u64) -> u64 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(service.to_owned()).or_default();
        *count = count.saturating_add(n);
        *count
    }

    /// The services that have one, and their sums.
    pub fn sums(&self) -> Vec<(String, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(name, n)| (name.clone(), *n)).collect()
    }
}

/// Starts logging to standard error. `filter` is an `EnvFilter` directive list such as `info,sceau=debug`.
///
/// # Errors
/// A malformed filter, or a logger that runs already.
pub fn init(filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|e| e.to_string())?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        builder.with_target(false).finish().try_init()
    } else {
        builder.json().flatten_event(true).finish().try_init()
    };
    started.map_err(|e| e.to_string())
}
