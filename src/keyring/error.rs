//! Why a key can't be had.

use std::path::PathBuf;

/// Each has a stable name, which `docs/errors.md` lists.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{}: {source}", path.display())]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {what}", path.display())]
    Malformed { path: PathBuf, what: &'static str },
    #[error("the passphrase or credential does not open {}", .0.display())]
    WrongPassphrase(PathBuf),
    #[error("`{0}` is no recipient: {1}")]
    Recipient(String, &'static str),
    #[error("{0}")]
    Recipients(String),
    #[error("the record's writer is not enrolled, or its signature does not hold")]
    Signature,
    #[error("the record does not open to the secret that its id names")]
    Substituted,
    #[error("no recipient of the record is at hand")]
    NoIdentity,
    #[error("there is no record {0}")]
    Unknown(String),
    #[error("{0}")]
    InUse(String),
    #[error("{0} records are not wrapped to every present recipient: run `sceau key rewrap` first")]
    Stale(usize),
    #[error("the record belongs to another tenant, service or namespace")]
    Foreign,
    #[error("another command holds the key directory")]
    Locked,
    #[error("{0} exists already")]
    Exists(String),
    #[error("the system gives no random bytes")]
    Randomness,
    #[error("the cipher failed")]
    Cipher,
}

impl KeyError {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Io { .. } => "key-directory-unreadable",
            Self::Malformed { .. } => "key-file-malformed",
            Self::WrongPassphrase(_) => "key-passphrase-wrong",
            Self::Recipient(..) => "recipient-malformed",
            Self::Recipients(_) => "recipients-refused",
            Self::Signature => "record-signature",
            Self::Substituted => "record-substituted",
            Self::NoIdentity => "record-no-identity",
            Self::Unknown(_) => "record-unknown",
            Self::InUse(_) => "record-in-use",
            Self::Stale(_) => "records-stale",
            Self::Foreign => "record-foreign",
            Self::Locked => "key-directory-locked",
            Self::Exists(_) => "key-exists",
            Self::Randomness => "no-randomness",
            Self::Cipher => "cipher-failed",
        }
    }
}
