//! What an operator decides for the key ring.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::SecretBytes;

/// Where the private identity comes from that opens records.
#[derive(Debug)]
pub enum Provider {
    /// An identity file that a passphrase opens (argon2id).
    PassphraseFile {
        identity: PathBuf,
        passphrase: SecretBytes,
    },
    /// A systemd credential, decrypted by systemd: the identity and the writer's key in their text forms, a line each.
    SystemdCredential { path: PathBuf },
    /// No identity: the gateway seals, and reads only what it sealed itself under the present epoch. The passphrase
    /// opens the writer's key.
    SealOnly { passphrase: SecretBytes },
}

/// How keys are kept and used.
#[derive(Debug)]
pub struct Settings {
    pub directory: PathBuf,
    pub provider: Provider,
    /// Whether a recovery recipient may be missing: `recovery = "none"`, in so many words.
    pub recovery_none: bool,
    /// A new epoch begins at this age.
    pub epoch_max_age: Duration,
    /// A new epoch begins after so many objects.
    pub epoch_max_objects: u64,
    /// How long an opened epoch is kept.
    pub cache_ttl: Duration,
    /// How many opened epochs are kept.
    pub cache_size: usize,
}

impl Settings {
    /// The defaults: epochs of 24 h (1 h when seal-only) or 2^32 objects, 1,024 opened epochs for an hour.
    pub fn new(directory: impl Into<PathBuf>, provider: Provider) -> Self {
        let hours = if matches!(provider, Provider::SealOnly { .. }) {
            1
        } else {
            24
        };
        Self {
            directory: directory.into(),
            provider,
            recovery_none: false,
            epoch_max_age: Duration::from_secs(hours * 3600),
            epoch_max_objects: 1 << 32,
            cache_ttl: Duration::from_secs(3600),
            cache_size: 1024,
        }
    }
}
