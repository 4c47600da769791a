//! What a key custodian does: make a directory, survey it, order a rotation, wrap anew, change recipients, destroy.
//! Each is safe to interrupt: every file is the old one or the new one, and running the command again completes it.

use std::path::{Path, PathBuf};

use super::identity::{Identity, Recipient, RecipientId};
use super::protected::{self, Kind as Protected};
use super::recipients::{Entry, Recipients, Role};
use super::record::{Record, Writer};
use super::{
    KeyError, directory, enrolled, offline, recipients_path, record_path, records_path, writer_path,
};
use crate::secret::SecretBytes;

const ROTATED: &str = "rotated";
/// There from the first step of `init` to its last: what lies beside it may be begun again.
const UNFINISHED: &str = ".unfinished";
const FOLDERS: [&str; 4] = ["edge", "identities", "records", "writers"];

/// Who opens when the ministry's identity is lost.
pub enum Recovery<'a> {
    /// Nobody, said in so many words.
    None,
    /// An identity that is made here, protected by a passphrase; it belongs offline. One that is there already and opens is taken.
    Identity(&'a Path, &'a SecretBytes),
    /// One that was made elsewhere.
    Recipient(Recipient),
}

/// Where `init` puts what, and who may open it.
pub struct Init<'a> {
    pub directory: &'a Path,
    pub passphrase: &'a SecretBytes,
    pub recovery: Recovery<'a>,
}

/// Makes a key directory: a ministry and a recovery identity, the edge's signing key, enrolled. Until it is whole it has no
/// recipients, and is none; an interrupted run is completed by another. Nothing else that exists is overwritten.
///
/// # Errors
/// A key directory exists already, or can't be written.
pub fn init(init: &Init<'_>) -> Result<Recipients, KeyError> {
    directory::make(init.directory)?;
    let _lock = directory::lock(init.directory)?;
    begin(init.directory)?;
    let mut entries = Vec::new();
    let ministry = Identity::generate();
    protected::write(
        &identity_path(init.directory, "ministry"),
        Protected::Identity,
        &ministry.to_text(),
        init.passphrase,
    )?;
    entries.push(entry("ministry", Role::Ministry, ministry.recipient()));
    let recovery = match &init.recovery {
        Recovery::None => None,
        Recovery::Identity(path, passphrase) if path.exists() => {
            Some(offline::identity(path, passphrase)?.recipient().clone())
        }
        Recovery::Identity(path, passphrase) => Some(make_identity(path, passphrase)?),
        Recovery::Recipient(recipient) => Some(recipient.clone()),
    };
    entries.extend(
        recovery
            .as_ref()
            .map(|key| entry("recovery", Role::Recovery, key)),
    );
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
    // its presence says that the directory is whole
    let recipients = Recipients { entries };
    recipients.checked(matches!(init.recovery, Recovery::None))?;
    recipients.write(&recipients_path(init.directory))?;
    directory::remove(&init.directory.join(UNFINISHED))?;
    Ok(recipients)
}

/// Refuses what is a key directory already or holds keys of another origin; clears what an interrupted run left.
fn begin(directory: &Path) -> Result<(), KeyError> {
    let exists = |path: &Path| KeyError::Exists(path.display().to_string());
    if recipients_path(directory).exists() {
        return Err(exists(directory));
    }
    let unfinished = directory.join(UNFINISHED);
    let resumed = unfinished.exists();
    for folder in FOLDERS {
        let folder = directory.join(folder);
        for file in directory::list(&folder, "")? {
            if !resumed || folder.ends_with("records") {
                return Err(exists(&file));
            }
            directory::remove(&file)?;
        }
    }
    if !resumed {
        directory::create(&unfinished, b"")?;
    }
    for folder in FOLDERS {
        directory::make(&directory.join(folder))?;
    }
    Ok(())
}

/// Makes an identity in a protected file, and gives its recipient.
///
/// # Errors
/// The file exists, or can't be written.
pub fn make_identity(path: &Path, passphrase: &SecretBytes) -> Result<Recipient, KeyError> {
    let identity = Identity::generate();
    protected::write(path, Protected::Identity, &identity.to_text(), passphrase)?;
    Ok(identity.recipient().clone())
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

/// Locks a directory that `init` has completed.
pub(super) fn existing(directory: &Path) -> Result<directory::Lock, KeyError> {
    Recipients::read(&recipients_path(directory))?;
    let lock = directory::lock(directory)?;
    for folder in [directory, &records_path(directory)] {
        directory::sweep(folder)?;
    }
    Ok(lock)
}

/// What lies in `records/`.
#[derive(Debug)]
pub struct Survey {
    pub records: Vec<Record>,
    /// Files that hold no record though their names say so.
    pub malformed: Vec<PathBuf>,
}

/// Reads every record of a directory.
///
/// # Errors
/// The directory can't be read.
pub fn survey(directory: &Path) -> Result<Survey, KeyError> {
    let mut found = Survey {
        records: Vec::new(),
        malformed: Vec::new(),
    };
    for path in directory::list(&records_path(directory), ".record")? {
        match Record::decode(&directory::read(&path)?) {
            Some(record) => found.records.push(record),
            None => found.malformed.push(path),
        }
    }
    Ok(found)
}

/// Every well-formed record of a directory.
///
/// # Errors
/// The directory can't be read.
pub fn read_records(directory: &Path) -> Result<Vec<Record>, KeyError> {
    let found = survey(directory)?;
    for path in &found.malformed {
        tracing::warn!(path = %path.display(), "this file is no record");
    }
    Ok(found.records)
}

/// The public keys of the writers whose records are believed.
///
/// # Errors
/// They can't be read.
pub fn writers(directory: &Path) -> Result<Vec<[u8; 32]>, KeyError> {
    enrolled(directory)
}

/// How many of the records are not wrapped to every one of `recipients`, and to them alone.
pub fn stale(records: &[Record], recipients: &[Recipient]) -> usize {
    records
        .iter()
        .filter(|record| !record.is_wrapped_to(recipients))
        .count()
}

/// Orders that every gateway on this directory begins new epochs; they see it within a minute.
///
/// # Errors
/// The directory can't be written.
pub fn rotate(directory: &Path, now: u64) -> Result<(), KeyError> {
    let _lock = existing(directory)?;
    order_rotation(directory, now)
}

/// Each order differs from every other, so that clocks need not agree.
fn order_rotation(directory: &Path, now: u64) -> Result<(), KeyError> {
    let mut order = [0; 8];
    getrandom::fill(&mut order).map_err(|_| KeyError::Randomness)?;
    let order = format!("{now} {}\n", hex::encode(order));
    directory::replace(&directory.join(ROTATED), order.as_bytes())
}

/// The last order to rotate; `None` when there never was one.
pub(super) fn rotation(directory: &Path) -> Option<Vec<u8>> {
    directory::read(&directory.join(ROTATED)).ok()
}

/// When a rotation was ordered last, in Unix seconds.
pub fn rotation_ordered(directory: &Path) -> Option<u64> {
    let order = String::from_utf8(rotation(directory)?).ok()?;
    order.split_whitespace().next()?.parse().ok()
}

/// What became of a directory's records.
#[derive(Debug)]
pub struct Rewrapped {
    pub wrapped: usize,
    /// Records that stayed as they were, by their id or file, and why.
    pub refused: Vec<(String, KeyError)>,
}

/// Wraps every record to the present recipients. Cores and signatures stay as they are.
///
/// # Errors
/// The recipients are not enough, or a file can't be written: records before it are done, and running again is
/// harmless. A record that does not open or verify is left as it is and reported.
pub fn rewrap(
    directory: &Path,
    identity: &Identity,
    recovery_none: bool,
) -> Result<Rewrapped, KeyError> {
    let _lock = existing(directory)?;
    let recipients = Recipients::read(&recipients_path(directory))?.checked(recovery_none)?;
    let writers = enrolled(directory)?;
    let found = survey(directory)?;
    let mut done = Rewrapped {
        wrapped: 0,
        refused: Vec::new(),
    };
    for path in found.malformed {
        let what = "not a record";
        let error = KeyError::Malformed {
            path: path.clone(),
            what,
        };
        done.refused.push((path.display().to_string(), error));
    }
    for mut record in found.records {
        let opened = record
            .verify(&writers)
            .and_then(|()| record.open(identity))
            .and_then(|secret| record.rewrap(secret.secret(), &recipients));
        match opened {
            Ok(()) => {
                directory::replace(&record_path(directory, &record), &record.encode())?;
                done.wrapped += 1;
            }
            Err(error) => done.refused.push((hex::encode(record.id.0), error)),
        }
    }
    Ok(done)
}

/// Adds a recipient; records that exist are wrapped to it by [`rewrap`].
///
/// # Errors
/// It is there already, or the recipients would be refused.
pub fn add_recipient(
    directory: &Path,
    name: &str,
    role: Role,
    key: &Recipient,
    recovery_none: bool,
) -> Result<(), KeyError> {
    let _lock = existing(directory)?;
    let path = recipients_path(directory);
    let mut recipients = Recipients::read(&path)?;
    recipients.entries.push(entry(name, role, key));
    recipients.checked(recovery_none)?;
    recipients.write(&path)
}

/// Removes a recipient; records that exist stay wrapped to it until [`rewrap`]. `own`: the identity that a gateway uses, which
/// must stay.
///
/// # Errors
/// It is not there, or too few would be left.
pub fn remove_recipient(
    directory: &Path,
    name: &str,
    recovery_none: bool,
    own: Option<RecipientId>,
) -> Result<(), KeyError> {
    let _lock = existing(directory)?;
    let path = recipients_path(directory);
    let mut recipients = Recipients::read(&path)?;
    let before = recipients.entries.len();
    recipients.entries.retain(|entry| entry.name != name);
    if recipients.entries.len() == before {
        return Err(KeyError::Recipients(format!(
            "there is no recipient `{name}`"
        )));
    }
    let left = recipients.checked(recovery_none)?;
    if own.is_some_and(|own| left.iter().all(|recipient| recipient.id() != own)) {
        return Err(KeyError::Recipients(format!(
            "the gateway uses the identity of `{name}`: give it another one first"
        )));
    }
    recipients.write(&path)
}

/// Destroys a record: whatever was sealed under it can't be opened any more, by anybody. A run that was interrupted is
/// completed by another. Gateways are ordered to begin new epochs.
///
/// # Errors
/// `id` is not the whole id of a record that is there; or gateways may still seal under it, and `in_use` does not
/// say that what they seal may be lost.
pub fn shred(directory: &Path, id: &str, now: u64, in_use: bool) -> Result<(), KeyError> {
    let _lock = existing(directory)?;
    let whole = id.len() == 64 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let path = records_path(directory).join(format!("{id}.record"));
    if !whole || !path.is_file() {
        return Err(KeyError::Unknown(format!("`{id}`")));
    }
    // a record of zeros was overwritten by a run that was interrupted
    if let Some(record) = Record::decode(&directory::read(&path)?)
        && record.not_after > now
        && !in_use
    {
        return Err(KeyError::InUse(format!(
            "gateways may seal under this record until {}: rotate, wait for a minute, then repeat with --in-use",
            record.not_after
        )));
    }
    order_rotation(directory, now)?;
    directory::destroy(&path)
}
