//! What an operator decides for a WebDAV service, parsed.

use crate::seal::Context;
use crate::seal::name::{LONGEST, LONGEST_KEPT};
use crate::seal::scan::Language;

/// What becomes of a body whose length the client does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownLength {
    /// The provider takes a chunked body too.
    Stream,
    /// The provider wants a length: refused with 411.
    Refuse,
}

/// Who evaluates `If-Match`, `If-None-Match` and `If-Unmodified-Since` of a request that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preconditions {
    /// The provider honours them.
    Provider,
    /// The gateway asks with a HEAD first; the provider gets them too.
    Gateway,
}

#[derive(Debug)]
pub struct Settings {
    /// The service's name in the log and in files.
    pub name: String,
    /// Tenant, service and namespace, bound in every key.
    pub context: Context,
    /// Names under which clients reach the service, lower case, without port.
    pub hosts: Vec<String>,
    pub upstream: UpstreamSettings,
    /// Longest file that the provider takes, in sealed bytes.
    pub max_put: u64,
    pub unknown_length: UnknownLength,
    pub preconditions: Preconditions,
    /// The path below which names are sealed; `*` stands for any component. `None`: names are clear.
    pub names_below: Option<String>,
    /// The path below which each collection is a chunked upload, as Nextcloud has them.
    pub uploads_below: String,
    /// Of error pages.
    pub language: Language,
    /// Whom people are to ask; stands on error pages.
    pub contact: Option<String>,
}

impl Settings {
    /// What an operator is told of these settings' limits.
    pub fn limits(&self) -> Option<String> {
        let below = self.names_below.as_deref()?;
        Some(format!(
            "names below {below} are sealed: a name has at most {LONGEST_KEPT} bytes of UTF-8, one of more than \
             {LONGEST} is kept in the state alone and listed as a digest without it, equal names are equal at the \
             provider, and nothing is written elsewhere"
        ))
    }
}

#[derive(Debug)]
pub struct UpstreamSettings {
    pub tls: bool,
    /// `host` or `host:port`, as the `Host` header has it.
    pub authority: String,
}
