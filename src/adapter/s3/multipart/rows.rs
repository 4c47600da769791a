//! What the state remembers of uploads and part attempts. The values are sealed by the vault.

use serde::{Deserialize, Serialize};

use super::Upload;
use crate::adapter::s3::intake::Declaration;
use crate::error::{Refusal, STATE_UNAVAILABLE};
use crate::seal::run::{ENTRY, RunEntry};
use crate::state::SpoolReceipt;

/// An upload that was begun.
#[derive(Debug, Serialize, Deserialize)]
pub struct UploadRow {
    /// As the client knows it.
    pub id: String,
    pub key: String,
    /// Unix seconds.
    pub initiated: u64,
    /// Checksum algorithm and type that the client asked for.
    pub algorithm: Option<String>,
    pub kind: Option<String>,
}

/// One attempt of a part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PartRow {
    pub number: u32,
    /// Hexadecimal, as the trailer has it.
    entry: String,
    /// What the client was shown, without quotes.
    pub client_etag: String,
    /// What the provider holds; `None` for a spooled attempt.
    pub upstream_etag: Option<String>,
    /// Hexadecimal receipt of a spooled attempt.
    spool: Option<String>,
    /// Hexadecimal, when the client sent one and it held.
    pub md5: Option<String>,
    /// Algorithm and base64, when the client sent one and it held.
    pub checksum: Option<(String, String)>,
    /// Nanoseconds since 1970.
    pub modified: u64,
}

impl UploadRow {
    pub fn new(upload: &Upload, declared: &Declaration, now: u64) -> Self {
        Self {
            id: upload.id.clone(),
            key: upload.place.address.key().unwrap_or_default().to_owned(),
            initiated: now,
            algorithm: declared.algorithm.map(|a| a.name().to_owned()),
            kind: declared.kind.map(|k| k.name().to_owned()),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// # Errors
    /// A row of another shape.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(bytes).map_err(|e| Refusal::new(&STATE_UNAVAILABLE).cause(e))
    }
}

impl PartRow {
    pub fn new(entry: &RunEntry, client_etag: String, nanos: u128) -> Self {
        Self {
            number: entry.part,
            entry: hex::encode(entry.encode()),
            client_etag,
            upstream_etag: None,
            spool: None,
            md5: None,
            checksum: None,
            modified: u64::try_from(nanos).unwrap_or(u64::MAX),
        }
    }

    pub fn spooled(&mut self, receipt: &SpoolReceipt) {
        self.spool = Some(hex::encode(receipt.encode()));
    }

    /// # Errors
    /// A row of another shape.
    pub fn entry(&self) -> Result<RunEntry, Refusal> {
        let mut bytes = [0; ENTRY];
        hex::decode_to_slice(&self.entry, &mut bytes)
            .map_err(|e| Refusal::new(&STATE_UNAVAILABLE).cause(e))?;
        Ok(RunEntry::decode(&bytes))
    }

    /// Where a spooled attempt lies.
    ///
    /// # Errors
    /// A row of another shape.
    pub fn spool(&self) -> Result<Option<SpoolReceipt>, Refusal> {
        let Some(text) = &self.spool else {
            return Ok(None);
        };
        let mut bytes = [0; SpoolReceipt::ENCODED];
        hex::decode_to_slice(text, &mut bytes)
            .map_err(|e| Refusal::new(&STATE_UNAVAILABLE).cause(e))?;
        Ok(Some(SpoolReceipt::decode(&bytes)))
    }

    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// # Errors
    /// A row of another shape.
    pub fn decode(bytes: &[u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(bytes).map_err(|e| Refusal::new(&STATE_UNAVAILABLE).cause(e))
    }
}
