//! Opening without a gateway: sealed bytes, records and an identity suffice.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::identity::Identity;
use super::record::{Kind, Record};
use super::{KeyError, Provider, bundle, credential, directory, enrolled, protected, writer_path};
use crate::seal::token::TokenKeys;
use crate::seal::{Context, EpochKeys, EpochShort, KeyLookup, LookupError};
use crate::secret::SecretBytes;

/// How many opened epochs are kept.
const OPENED: usize = 1024;

/// Records that an identity opens, whatever their context.
pub struct OfflineEpochs {
    records: HashMap<EpochShort, Record>,
    identity: Identity,
    opened: Mutex<HashMap<EpochShort, Arc<EpochKeys>>>,
    refused: Vec<(String, KeyError)>,
    /// Epochs whose record is there and not believed, and why.
    disbelieved: HashMap<EpochShort, String>,
    unsigned: bool,
}

impl OfflineEpochs {
    /// Reads records: a key directory, a recovery bundle, a directory of records, or single files. Signatures are
    /// checked where the source tells who is enrolled; the secret is checked against the record's id in any case. A record that
    /// is damaged or not believed is left out, see [`Self::refused`].
    ///
    /// # Errors
    /// A path that can't be read, or no record at all.
    pub fn read(paths: &[PathBuf], identity: Identity) -> Result<Self, KeyError> {
        let mut epochs = Self {
            records: HashMap::new(),
            identity,
            opened: Mutex::default(),
            refused: Vec::new(),
            disbelieved: HashMap::new(),
            unsigned: false,
        };
        for path in paths {
            if path.is_dir() {
                let inner = path.join("records");
                let folder = if inner.is_dir() { inner } else { path.clone() };
                let writers = enrolled(path)?;
                for file in directory::list(&folder, ".record")? {
                    epochs.read_file(&file, &writers);
                }
            } else if bundle::is_bundle(path) {
                let bundle = bundle::read(path)?;
                for record in bundle.records {
                    epochs.add(record, &bundle.writers);
                }
            } else {
                epochs.read_file(path, &[]);
            }
        }
        if epochs.records.is_empty() {
            return Err(match epochs.refused.pop() {
                Some((_, error)) => error,
                None => KeyError::Unknown("of any epoch".to_owned()),
            });
        }
        Ok(epochs)
    }

    fn read_file(&mut self, file: &Path, writers: &[[u8; 32]]) {
        let record = directory::read(file).and_then(|bytes| {
            Record::decode(&bytes).ok_or_else(|| KeyError::Malformed {
                path: file.to_owned(),
                what: "not a record",
            })
        });
        match record {
            Ok(record) => self.add(record, writers),
            Err(error) => self.refused.push((file.display().to_string(), error)),
        }
    }

    fn add(&mut self, record: Record, writers: &[[u8; 32]]) {
        if record.kind != Kind::Epoch {
            return;
        }
        if writers.is_empty() {
            self.unsigned = true;
        } else if let Err(error) = record.verify(writers) {
            self.disbelieved
                .insert(record.id.short(), error.to_string());
            self.refused.push((hex::encode(record.id.0), error));
            return;
        }
        self.records.insert(record.id.short(), record);
    }

    /// How many epochs there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// In whose context the records are.
    pub fn contexts(&self) -> impl Iterator<Item = &Context> {
        self.records.values().map(|record| &record.context)
    }

    /// Records that were left out, and why.
    pub fn refused(&self) -> &[(String, KeyError)] {
        &self.refused
    }

    /// Whether records are used whose source does not tell which writers are enrolled.
    pub fn unsigned(&self) -> bool {
        self.unsigned
    }

    fn record(&self, short: EpochShort) -> Result<&Record, LookupError> {
        match (self.records.get(&short), self.disbelieved.get(&short)) {
            (Some(record), _) => Ok(record),
            (None, Some(why)) => Err(LookupError::Unavailable(why.clone())),
            (None, None) => Err(LookupError::Unknown),
        }
    }

    fn keys(&self, short: EpochShort, record: &Record) -> Result<Arc<EpochKeys>, LookupError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(keys) = opened.get(&short) {
            return Ok(keys.clone());
        }
        let secret = record
            .open(&self.identity)
            .map_err(|error| LookupError::Unavailable(error.to_string()))?;
        if opened.len() >= OPENED {
            opened.clear();
        }
        let keys = Arc::new(secret.keys());
        opened.insert(short, keys.clone());
        Ok(keys)
    }
}

/// The epochs of one context among those at hand. All runs of an object, its trailer's too, are of the context that its first
/// run's record names: whoever holds another context's secret can't go on with an object of this one.
pub struct OfContext {
    epochs: Arc<OfflineEpochs>,
    context: Context,
}

impl OfContext {
    /// In the context of the record of this epoch.
    ///
    /// # Errors
    /// There is no such record, or it is not believed.
    pub fn of(epochs: &Arc<OfflineEpochs>, first: EpochShort) -> Result<Self, LookupError> {
        let record = epochs.record(first)?;
        Ok(Self {
            epochs: epochs.clone(),
            context: record.context.clone(),
        })
    }

    pub fn context(&self) -> &Context {
        &self.context
    }
}

impl KeyLookup for OfContext {
    fn epoch(&self, short: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
        let record = self.epochs.record(short)?;
        if record.context != self.context {
            let why = format!("epoch {short} belongs to another tenant, service or namespace");
            return Err(LookupError::Unavailable(why));
        }
        self.epochs.keys(short, record)
    }
}

/// The epochs of every context among those at hand, or of those that are asked for: a text may hold tokens of several services.
pub struct OfContexts {
    epochs: Arc<OfflineEpochs>,
    only: Option<Vec<Context>>,
}

impl OfContexts {
    /// `only`: the contexts whose tokens open; `None`: of all records.
    pub fn new(epochs: Arc<OfflineEpochs>, only: Option<Vec<Context>>) -> Self {
        Self { epochs, only }
    }
}

impl TokenKeys for OfContexts {
    fn find(&self, epoch: EpochShort) -> Result<(Arc<EpochKeys>, Arc<Context>), LookupError> {
        let record = self.epochs.record(epoch)?;
        if self
            .only
            .as_ref()
            .is_some_and(|only| !only.contains(&record.context))
        {
            return Err(LookupError::Unknown);
        }
        let keys = self.epochs.keys(epoch, record)?;
        Ok((keys, Arc::new(record.context.clone())))
    }
}

/// Reads an identity for offline use: a protected file with its passphrase.
///
/// # Errors
/// The passphrase is wrong, or the file is none.
pub fn identity(path: &Path, passphrase: &SecretBytes) -> Result<Identity, KeyError> {
    Identity::parse(&protected::open(
        path,
        protected::Kind::Identity,
        passphrase,
    )?)
}

/// The identity that a gateway's settings name.
///
/// # Errors
/// It does not open, or the gateway seals only.
pub fn configured(provider: &Provider) -> Result<Identity, KeyError> {
    match provider {
        Provider::PassphraseFile {
            identity: path,
            passphrase,
        } => identity(path, passphrase),
        Provider::SystemdCredential { path } => Ok(credential(path)?.0),
        Provider::SealOnly { .. } => Err(KeyError::NoIdentity),
    }
}

/// Identity and writer's key in clear, as `Provider::SystemdCredential` reads them.
///
/// # Errors
/// The passphrase does not open the writer's key.
pub fn credential_text(
    directory: &Path,
    identity: &Identity,
    passphrase: &SecretBytes,
) -> Result<SecretBytes, KeyError> {
    let seed = protected::open(&writer_path(directory), protected::Kind::Writer, passphrase)?;
    let digits = SecretBytes::new(hex::encode(seed.expose()).into_bytes());
    let identity = identity.to_text();
    Ok(SecretBytes::new(
        [identity.expose(), b"\n", digits.expose(), b"\n"].concat(),
    ))
}
