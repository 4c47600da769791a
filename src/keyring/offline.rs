//! Opening without a gateway: sealed bytes, records and an identity suffice.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::identity::Identity;
use super::record::{Kind, Record};
use super::{KeyError, directory, enrolled};
use crate::seal::{Context, EpochKeys, EpochShort, KeyLookup, LookupError};

/// Records that an identity opens, whatever their context.
pub struct OfflineEpochs {
    records: HashMap<EpochShort, Record>,
    identity: Identity,
}

impl OfflineEpochs {
    /// Reads records: a key directory, a directory of records, or single files. Signatures are checked where the
    /// directory tells who is enrolled; the secret is checked against the record's id in any case.
    ///
    /// # Errors
    /// A path that can't be read, or no record at all.
    pub fn read(paths: &[PathBuf], identity: Identity) -> Result<Self, KeyError> {
        let mut records = HashMap::new();
        for path in paths {
            let (files, writers) = if path.is_dir() {
                let inner = path.join("records");
                let folder = if inner.is_dir() { inner } else { path.clone() };
                (directory::list(&folder, ".record")?, enrolled(path)?)
            } else {
                (vec![path.clone()], Vec::new())
            };
            for file in files {
                let record =
                    Record::decode(&directory::read(&file)?).ok_or(KeyError::Malformed {
                        path: file,
                        what: "not a record",
                    })?;
                if !writers.is_empty() {
                    record.verify(&writers)?;
                }
                if record.kind == Kind::Epoch {
                    records.insert(record.id.short(), record);
                }
            }
        }
        if records.is_empty() {
            return Err(KeyError::Unknown("of any epoch".to_owned()));
        }
        Ok(Self { records, identity })
    }

    /// The context that an epoch's record names.
    pub fn context(&self, short: EpochShort) -> Option<&Context> {
        self.records.get(&short).map(|record| &record.context)
    }
}

impl KeyLookup for OfflineEpochs {
    fn epoch(&self, short: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
        let record = self.records.get(&short).ok_or(LookupError::Unknown)?;
        match record.open(&self.identity) {
            Ok(secret) => Ok(Arc::new(secret.keys())),
            Err(error) => Err(LookupError::Unavailable(error.to_string())),
        }
    }
}

/// Reads an identity for offline use: a protected file with its passphrase.
///
/// # Errors
/// The passphrase is wrong, or the file is none.
pub fn identity(
    path: &Path,
    passphrase: &crate::secret::SecretBytes,
) -> Result<Identity, KeyError> {
    Identity::parse(&super::protected::open(
        path,
        super::protected::Kind::Identity,
        passphrase,
    )?)
}
