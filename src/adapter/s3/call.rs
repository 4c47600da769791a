//! A request whose signature holds, as the handlers see it.

use http::{HeaderMap, Method, Uri};

use super::address::Address;
use super::query::Query;
use super::sigv4::Verified;
use crate::adapter::Exchange;

/// Where an object is, and which version of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) address: Address,
    pub(super) version: Option<String>,
}

impl Place {
    /// What the metadata is bound to: bucket and key.
    pub(super) fn components(&self) -> [&[u8]; 2] {
        [
            self.address.bucket().unwrap_or_default().as_bytes(),
            self.address.key().unwrap_or_default().as_bytes(),
        ]
    }
}

/// A verified request.
pub(super) struct Call {
    pub(super) exchange: Exchange,
    pub(super) method: Method,
    /// As received.
    pub(super) uri: Uri,
    pub(super) address: Address,
    pub(super) query: Query,
    /// The header fields that count: a presigned URL's hoisted ones included.
    pub(super) headers: HeaderMap,
    pub(super) verified: Verified,
}

impl Call {
    /// The object that the request names.
    pub(super) fn place(&self) -> Place {
        Place {
            address: self.address.clone(),
            version: self.query.get("versionId").map(str::to_owned),
        }
    }

    /// Nanoseconds since 1970.
    pub(super) fn nanos(&self) -> u128 {
        self.exchange.nanos()
    }

    /// Seconds since 1970.
    pub(super) fn unix(&self) -> u64 {
        self.exchange.unix()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
