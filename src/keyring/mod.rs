//! Who may open: recipients, identities, and the records that wrap every secret to them.
//!
//! The key directory:
//!
//! ```text
//! recipients.toml        to whom secrets are wrapped (public)
//! writers/NAME.pub       enrolled writers (public): records of others are refused
//! edge/writer.key        this gateway's signing key, protected
//! identities/*.identity  private identities, protected; the recovery identity belongs offline
//! records/ID.record      the wrapped secrets: whoever loses them loses data
//! ```

pub mod admin;
pub mod bundle;
pub mod directory;
mod epochs;
mod error;
pub mod identity;
pub mod offline;
pub mod protected;
pub mod recipients;
pub mod record;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::epochs::BoundEpochs;
pub use self::error::KeyError;
pub use self::settings::{Provider, Settings};

use self::identity::{Identity, Recipient};
use self::protected::Kind as Protected;
use self::recipients::Recipients;
use self::record::{Kind, Record, Writer};
use crate::seal::{Context, EpochKeys, EpochSecret};
use crate::secret::{Secret, SecretBytes};

/// Seconds since 1970.
pub type Clock = fn() -> u64;

/// A session secret is used for new values so long, and found for ever.
const SESSION_AGE: u64 = 30 * 24 * 3600;

/// The open key directory.
#[derive(Debug)]
pub struct Keyring {
    settings: Settings,
    clock: Clock,
    writer: Writer,
    identity: Option<Identity>,
}

/// A secret and the first half of its record's id.
pub type Named = ([u8; 16], Arc<Secret<48>>);

impl Keyring {
    /// Opens the directory: recipients checked, the writer's key and the identity unlocked.
    ///
    /// # Errors
    /// Whatever is missing, malformed or does not open.
    pub fn open(settings: Settings, clock: Clock) -> Result<Self, KeyError> {
        let directory = &settings.directory;
        let writer_path = writer_path(directory);
        let (seed, identity) = match &settings.provider {
            Provider::PassphraseFile {
                identity,
                passphrase,
            } => {
                let text = protected::open(identity, Protected::Identity, passphrase)?;
                let seed = protected::open(&writer_path, Protected::Writer, passphrase)?;
                (seed, Some(Identity::parse(&text)?))
            }
            Provider::SystemdCredential { path } => {
                let (identity, seed) = credential(path)?;
                (seed, Some(identity))
            }
            Provider::SealOnly { passphrase } => (
                protected::open(&writer_path, Protected::Writer, passphrase)?,
                None,
            ),
        };
        let writer = Writer::from_seed(&seed)?;
        if !enrolled(directory)?.contains(&writer.public()) {
            return Err(KeyError::Signature);
        }
        directory::make(&records_path(directory))?;
        let keyring = Self {
            settings,
            clock,
            writer,
            identity,
        };
        keyring.recipients()?;
        Ok(keyring)
    }

    /// To whom secrets are wrapped from now on: read anew each time, so that whoever was removed gets none.
    fn recipients(&self) -> Result<Vec<Recipient>, KeyError> {
        let recipients = Recipients::read(&recipients_path(&self.settings.directory))?
            .checked(self.settings.recovery_none)?;
        let own = self.identity.as_ref().map(|own| own.recipient().id());
        match own {
            Some(own) if recipients.iter().all(|recipient| recipient.id() != own) => {
                Err(KeyError::NoIdentity)
            }
            _ => Ok(recipients),
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The epochs of one tenant, service and namespace.
    pub fn epochs(self: &Arc<Self>, context: Context) -> Arc<BoundEpochs> {
        Arc::new(BoundEpochs::new(self.clone(), context))
    }

    /// The session secret for new values; made when there is none that is young enough.
    ///
    /// # Errors
    /// It can't be read or written.
    pub fn session(&self, context: &Context) -> Result<Named, KeyError> {
        let now = (self.clock)();
        self.shared(Kind::Session, context, now, now.saturating_add(SESSION_AGE))
    }

    /// A session secret by the first half of its id.
    ///
    /// # Errors
    /// It is not known, or does not open.
    pub fn session_by_id(
        &self,
        context: &Context,
        id: &[u8; 16],
    ) -> Result<Arc<Secret<48>>, KeyError> {
        let record = self.find(id)?;
        let secret = self.open_record(&record, Kind::Session, context)?;
        Ok(Arc::new(copy(secret.secret())))
    }

    /// The service secret, made once.
    ///
    /// # Errors
    /// It can't be read or written.
    pub fn service(&self, context: &Context) -> Result<Named, KeyError> {
        self.shared(Kind::Service, context, (self.clock)(), u64::MAX)
    }

    /// The record of that kind which is in force, or a new one. Replicas on one directory agree by its lock.
    fn shared(
        &self,
        kind: Kind,
        context: &Context,
        now: u64,
        until: u64,
    ) -> Result<Named, KeyError> {
        let _lock = self.wait_lock()?;
        if self.identity.is_some() {
            let mut found: Vec<Record> = self
                .records()?
                .into_iter()
                .filter(|r| r.kind == kind && r.context == *context && r.not_after > now)
                .collect();
            // all replicas take the same one: the oldest, then the smallest id
            found.sort_by_key(|record| (record.not_before, record.id));
            if let Some(record) = found.first() {
                let secret = self.open_record(record, kind, context)?;
                return Ok((record.id.short().0, Arc::new(copy(secret.secret()))));
            }
        }
        let secret = self.make(kind, context, now, until)?;
        Ok((secret.id().short().0, Arc::new(copy(secret.secret()))))
    }

    fn wait_lock(&self) -> Result<directory::Lock, KeyError> {
        for _ in 0..50 {
            match directory::lock(&self.settings.directory) {
                Err(KeyError::Locked) => std::thread::sleep(std::time::Duration::from_millis(100)),
                other => return other,
            }
        }
        Err(KeyError::Locked)
    }

    /// Draws a secret and makes its record durable before anything can be sealed under it.
    fn make(
        &self,
        kind: Kind,
        context: &Context,
        now: u64,
        until: u64,
    ) -> Result<EpochSecret, KeyError> {
        let secret =
            Secret::filled(|bytes| getrandom::fill(bytes)).map_err(|_| KeyError::Randomness)?;
        let secret = EpochSecret::new(secret);
        let mut record = Record::make(
            kind,
            &secret,
            context,
            (now, until),
            &self.writer,
            &self.recipients()?,
        )?;
        let path = record_path(&self.settings.directory, &record);
        directory::create(&path, &record.encode())?;
        loop {
            // whoever changed the recipients meanwhile may have wrapped anew without seeing this record
            let present = self.recipients()?;
            if record.is_wrapped_to(&present) {
                return Ok(secret);
            }
            record.rewrap(secret.secret(), &present)?;
            directory::replace(&path, &record.encode())?;
        }
    }

    /// Whether the record of an epoch is still there; one that was shredded is not.
    fn holds(&self, keys: &EpochKeys) -> bool {
        records_path(&self.settings.directory)
            .join(format!("{}.record", hex::encode(keys.id.0)))
            .exists()
    }

    /// Every record that is well-formed; others are reported and left alone.
    fn records(&self) -> Result<Vec<Record>, KeyError> {
        admin::read_records(&self.settings.directory)
    }

    /// The record whose id begins so.
    fn find(&self, short: &[u8; 16]) -> Result<Record, KeyError> {
        let name = hex::encode(short);
        let unknown = || KeyError::Unknown(name.clone());
        let path = directory::list(&records_path(&self.settings.directory), ".record")?
            .into_iter()
            .find(|path| {
                path.file_name()
                    .is_some_and(|file| file.to_string_lossy().starts_with(&name))
            })
            .ok_or_else(unknown)?;
        let record = Record::decode(&directory::read(&path)?).ok_or(KeyError::Malformed {
            path,
            what: "not a record",
        })?;
        (record.id.short().0 == *short)
            .then_some(record)
            .ok_or_else(unknown)
    }

    fn open_record(
        &self,
        record: &Record,
        kind: Kind,
        context: &Context,
    ) -> Result<EpochSecret, KeyError> {
        record.verify(&enrolled(&self.settings.directory)?)?;
        if record.kind != kind || record.context != *context {
            return Err(KeyError::Foreign);
        }
        record.open(self.identity.as_ref().ok_or(KeyError::NoIdentity)?)
    }
}

/// A second owner of a secret, where two lifetimes differ.
fn copy(secret: &Secret<48>) -> Secret<48> {
    match Secret::filled(|bytes| -> Result<(), std::convert::Infallible> {
        bytes.copy_from_slice(secret.expose());
        Ok(())
    }) {
        Ok(copy) => copy,
        Err(never) => match never {},
    }
}

/// Identity and writer's seed from a credential's two lines.
fn credential(path: &Path) -> Result<(Identity, SecretBytes), KeyError> {
    let malformed = || KeyError::Malformed {
        path: path.to_owned(),
        what: "not an identity and a writer's key, a line each",
    };
    let text = SecretBytes::new(directory::read(path)?);
    let mut lines = text.expose().split(|byte| *byte == b'\n');
    let identity = SecretBytes::new(lines.next().ok_or_else(malformed)?.to_vec());
    let seed = lines.next().ok_or_else(malformed)?;
    let mut bytes = vec![0; 32];
    hex::decode_to_slice(seed, &mut bytes).map_err(|_| malformed())?;
    Ok((Identity::parse(&identity)?, SecretBytes::new(bytes)))
}

/// The public keys of the writers whose records are believed.
fn enrolled(directory: &Path) -> Result<Vec<[u8; 32]>, KeyError> {
    let mut keys = Vec::new();
    for path in directory::list(&directory.join("writers"), ".pub")? {
        let text = directory::read(&path)?;
        let mut key = [0; 32];
        hex::decode_to_slice(text.trim_ascii(), &mut key).map_err(|_| KeyError::Malformed {
            path,
            what: "not 64 hexadecimal digits",
        })?;
        keys.push(key);
    }
    Ok(keys)
}

pub fn recipients_path(directory: &Path) -> PathBuf {
    directory.join("recipients.toml")
}

fn writer_path(directory: &Path) -> PathBuf {
    directory.join("edge").join("writer.key")
}

fn records_path(directory: &Path) -> PathBuf {
    directory.join("records")
}

fn record_path(directory: &Path, record: &Record) -> PathBuf {
    records_path(directory).join(format!("{}.record", hex::encode(record.id.0)))
}
