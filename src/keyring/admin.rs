//! What a key custodian does: make a directory, list, order a rotation, wrap anew, change recipients, export, destroy.
//! Each is safe to interrupt: every file is the old one or the new one.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::identity::{Identity, Recipient};
use super::protected::{self, Kind as Protected};
use super::recipients::{Entry, Recipients, Role};
use super::record::{Record, Writer};
use super::{
    KeyError, directory, enrolled, recipients_path, record_path, records_path, writer_path,
};
use crate::secret::SecretBytes;

const ROTATED: &str = "rotated";

/// Where `init` puts what, and who may open it.
pub struct Init<'a> {
    pub directory: &'a Path,
    pub passphrase: &'a SecretBytes,
    /// Where the recovery identity goes; it belongs offline. `None`: no recovery, said in so many words.
    pub recovery: Option<(&'a Path, &'a SecretBytes)>,
}

/// Makes a key directory: a ministry and a recovery identity, the edge's signing key, enrolled. An interrupted run is
/// begun again by hand: nothing that exists is overwritten.
///
/// # Errors
/// Something exists already, or can't be written.
pub fn init(init: &Init<'_>) -> Result<Recipients, KeyError> {
    let _lock = directory::lock(init.directory)?;
    if recipients_path(init.directory).exists() {
        return Err(KeyError::Exists(init.directory.display().to_string()));
    }
    for folder in ["edge", "identities", "records", "writers"] {
        directory::make(&init.directory.join(folder))?;
    }
    let mut entries = Vec::new();
    let ministry = Identity::generate();
    let path = identity_path(init.directory, "ministry");
    protected::write(
        &path,
        Protected::Identity,
        &ministry.to_text(),
        init.passphrase,
    )?;
    entries.push(entry("ministry", Role::Ministry, ministry.recipient()));
    if let Some((path, passphrase)) = init.recovery {
        let recovery = Identity::generate();
        protected::write(path, Protected::Identity, &recovery.to_text(), passphrase)?;
        entries.push(entry("recovery", Role::Recovery, recovery.recipient()));
    }
    let seed = Writer::generate()?;
    let writer = Writer::from_seed(&seed)?;
    protected::write(
        &writer_path(init.directory),
        Protected::Writer,
        &seed,
        init.passphrase,
    )?;
    let public = format!("{}\n", hex::encode(writer.public()));
    directory::create(
        &init.directory.join("writers").join("edge.pub"),
        public.as_bytes(),
    )?;
    // last: its presence says that the directory is whole
    let recipients = Recipients { entries };
    recipients.write(&recipients_path(init.directory))?;
    Ok(recipients)
}

/// The default place of an identity.
pub fn identity_path(directory: &Path, name: &str) -> PathBuf {
    directory
        .join("identities")
        .join(format!("{name}.identity"))
}

fn entry(name: &str, role: Role, key: &Recipient) -> Entry {
    Entry {
        name: name.to_owned(),
        role,
        key: key.to_string(),
    }
}

/// Every well-formed record of a directory.
///
/// # Errors
/// The directory can't be read.
pub fn read_records(directory: &Path) -> Result<Vec<Record>, KeyError> {
    let mut records = Vec::new();
    for path in directory::list(&records_path(directory), ".record")? {
        match Record::decode(&directory::read(&path)?) {
            Some(record) => records.push(record),
            None => tracing::warn!(path = %path.display(), "this file is no record"),
        }
    }
    Ok(records)
}

/// Orders that every gateway on this directory begins new epochs; they see it within a minute.
///
/// # Errors
/// The directory can't be written.
pub fn rotate(directory: &Path, now: u64) -> Result<(), KeyError> {
    let _lock = directory::lock(directory)?;
    directory::replace(&directory.join(ROTATED), format!("{now}\n").as_bytes())
}

/// When a rotation was ordered last, in Unix seconds; 0 when never.
pub(super) fn rotation_ordered(directory: &Path) -> u64 {
    let modified = std::fs::metadata(directory.join(ROTATED)).and_then(|file| file.modified());
    modified
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_secs())
}

/// Wraps every record to the present recipients. Cores and signatures stay as they are. Gives how many were wrapped.
///
/// # Errors
/// A record that does not open or verify stops the run; those before it are done, and running again is harmless.
pub fn rewrap(
    directory: &Path,
    identity: &Identity,
    recovery_none: bool,
) -> Result<usize, KeyError> {
    let _lock = directory::lock(directory)?;
    let recipients = Recipients::read(&recipients_path(directory))?.checked(recovery_none)?;
    let writers = enrolled(directory)?;
    let records = read_records(directory)?;
    for record in &records {
        record.verify(&writers)?;
        let secret = record.open(identity)?;
        let mut wrapped = record.clone();
        wrapped.rewrap(secret.secret(), &recipients)?;
        directory::replace(&record_path(directory, record), &wrapped.encode())?;
    }
    Ok(records.len())
}

/// Adds a recipient; records that exist are wrapped to it by [`rewrap`].
///
/// # Errors
/// It is there already, or is none.
pub fn add_recipient(directory: &Path, name: &str, role: Role, key: &str) -> Result<(), KeyError> {
    let _lock = directory::lock(directory)?;
    let path = recipients_path(directory);
    let mut recipients = Recipients::read(&path)?;
    recipients
        .entries
        .push(entry(name, role, &Recipient::parse(key)?));
    recipients.checked(true)?;
    recipients.write(&path)
}

/// Removes a recipient; records that exist stay wrapped to it until [`rewrap`].
///
/// # Errors
/// It is not there, or too few would be left.
pub fn remove_recipient(directory: &Path, name: &str, recovery_none: bool) -> Result<(), KeyError> {
    let _lock = directory::lock(directory)?;
    let path = recipients_path(directory);
    let mut recipients = Recipients::read(&path)?;
    let before = recipients.entries.len();
    recipients.entries.retain(|entry| entry.name != name);
    if recipients.entries.len() == before {
        return Err(KeyError::Unknown(format!("of a recipient `{name}`")));
    }
    recipients.checked(recovery_none)?;
    recipients.write(&path)
}

/// Copies what a recovery needs besides the recovery identity: records, recipients, enrolled writers.
///
/// # Errors
/// The target exists, or can't be written.
pub fn export_recovery(directory: &Path, target: &Path) -> Result<usize, KeyError> {
    if target.exists() {
        return Err(KeyError::Exists(target.display().to_string()));
    }
    let _lock = directory::lock(directory)?;
    let mut copied = 0;
    for (folder, ending) in [("records", ".record"), ("writers", ".pub")] {
        directory::make(&target.join(folder))?;
        for file in directory::list(&directory.join(folder), ending)? {
            let name = file.file_name().unwrap_or_default();
            directory::create(&target.join(folder).join(name), &directory::read(&file)?)?;
            copied += usize::from(ending == ".record");
        }
    }
    // last: its presence says that the bundle is whole
    let recipients = directory::read(&recipients_path(directory))?;
    directory::create(&recipients_path(target), &recipients)?;
    Ok(copied)
}

/// Destroys a record: whatever was sealed under it can't be opened any more, by anybody.
///
/// # Errors
/// There is no such record, or the id's beginning fits several.
pub fn shred(directory: &Path, id: &str) -> Result<String, KeyError> {
    let _lock = directory::lock(directory)?;
    let found: Vec<Record> = read_records(directory)?
        .into_iter()
        .filter(|record| id.len() >= 8 && hex::encode(record.id.0).starts_with(id))
        .collect();
    match found.as_slice() {
        [record] => {
            directory::destroy(&record_path(directory, record))?;
            Ok(hex::encode(record.id.0))
        }
        _ => Err(KeyError::Unknown(format!(
            "whose id begins with `{id}` (8 digits at least), or there are several"
        ))),
    }
}
