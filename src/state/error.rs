//! What can go wrong with the state, as values with stable names.

use crate::error::{KEY_UNAVAILABLE, OVERLOADED, Refusal, STATE_UNAVAILABLE};

/// A failure of the state store, of a sealed value or of a spool. Never means "absent".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    #[error("no space is left where the state lies")]
    DiskFull,
    #[error("the state database stayed locked by another process")]
    Locked,
    #[error("the state database is damaged or is not one: {0}")]
    Corrupt(String),
    #[error("the state database has schema {found}, this version knows up to {known}")]
    NewerSchema { found: i64, known: i64 },
    #[error("the state directory can't be written: {0}")]
    ReadOnly(String),
    #[error("the state can't be used: {0}")]
    Io(String),
    #[error("the state store has stopped")]
    Stopped,
    #[error("a sealed value of the state failed authentication")]
    Damaged,
    #[error("the session secret that a sealed value needs is not available")]
    KeyUnavailable,
    #[error("the sealed value names a session that the key directory does not hold")]
    SessionUnknown,
    #[error("the operating system gave no random bytes")]
    Randomness,
    #[error("the tenant's spool quota of {quota} bytes is used up")]
    Quota { quota: u64 },
    #[error("the spooled part is gone")]
    SpoolMissing,
    #[error("the spooled part is not what was written")]
    SpoolDamaged,
}

impl StateError {
    /// Stable, for logs and documents.
    pub fn name(&self) -> &'static str {
        match self {
            Self::DiskFull => "state-disk-full",
            Self::Locked => "state-locked",
            Self::Corrupt(_) => "state-corrupt",
            Self::NewerSchema { .. } => "state-newer-schema",
            Self::ReadOnly(_) => "state-read-only",
            Self::Io(_) => "state-io",
            Self::Stopped => "state-stopped",
            Self::Damaged => "state-value-damaged",
            Self::KeyUnavailable => "state-key-unavailable",
            Self::SessionUnknown => "state-session-unknown",
            Self::Randomness => "state-randomness",
            Self::Quota { .. } => "spool-quota",
            Self::SpoolMissing => "spool-missing",
            Self::SpoolDamaged => "spool-damaged",
        }
    }
}

impl From<std::io::Error> for StateError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::DiskFull,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly(error.to_string())
            }
            _ => Self::Io(error.to_string()),
        }
    }
}

impl From<rusqlite::Error> for StateError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Corrupt(error.to_string())
            }
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Self::ReadOnly(error.to_string())
            }
            _ => Self::Io(error.to_string()),
        }
    }
}

impl From<StateError> for Refusal {
    fn from(error: StateError) -> Self {
        let code = match error {
            StateError::KeyUnavailable | StateError::SessionUnknown => &KEY_UNAVAILABLE,
            StateError::Quota { .. } => &OVERLOADED,
            _ => &STATE_UNAVAILABLE,
        };
        Refusal::new(code).message(error.name()).cause(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named() {
        let full = rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
            None,
        );
        assert_eq!(StateError::from(full), StateError::DiskFull);
        let full = std::fs::write("/dev/full", b"x").unwrap_err();
        assert_eq!(StateError::from(full), StateError::DiskFull);
    }

    #[test]
    fn a_missing_key_is_not_the_stores_fault() {
        assert_eq!(
            Refusal::from(StateError::KeyUnavailable).code,
            &KEY_UNAVAILABLE
        );
        assert_eq!(Refusal::from(StateError::Damaged).code, &STATE_UNAVAILABLE);
    }
}
