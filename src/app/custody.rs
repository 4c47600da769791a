//! Where the key directory lies and what opens it: a configuration says it, or the command line.

use std::path::{Path, PathBuf};

use super::outcome::{Exit, Failure};
use super::passphrase;
use crate::config::{self, Gateway};
use crate::keyring::admin::identity_path;
use crate::keyring::identity::Identity;
use crate::keyring::{Provider, offline};
use crate::secret::SecretBytes;

/// The key directory.
#[derive(Debug, clap::Args)]
pub struct DirectoryArgs {
    /// gateway.toml, or the directory that holds it; its [keys] name the key directory and what opens it [default:
    /// gateway.toml]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// The key directory, without a configuration
    #[arg(
        long,
        visible_alias = "keys",
        value_name = "DIR",
        conflicts_with = "config"
    )]
    directory: Option<PathBuf>,
}

/// Whether a recovery recipient may be missing, where no configuration says it.
#[derive(Debug, clap::Args)]
pub struct RecoveryArgs {
    /// Accept that no recipient has the role `recovery`
    #[arg(long, value_name = "none", value_parser = ["none"], requires = "directory")]
    recovery: Option<String>,
}

/// What opens records.
#[derive(Debug, clap::Args)]
pub struct IdentityArgs {
    /// The identity to open records with, such as the recovery identity [default: the configuration's, or
    /// identities/ministry.identity in the key directory]
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// Holds the identity's passphrase, which is asked for otherwise
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// A key directory and, where a configuration was read, that.
pub struct Custody {
    pub directory: PathBuf,
    pub gateway: Option<Gateway>,
}

impl DirectoryArgs {
    /// Whether the command line says anything of it.
    pub fn is_given(&self) -> bool {
        self.config.is_some() || self.directory.is_some()
    }

    pub fn resolve(&self) -> Result<Custody, Failure> {
        let gateway = match &self.directory {
            Some(directory) => {
                return Ok(Custody {
                    directory: directory.clone(),
                    gateway: None,
                });
            }
            None => configuration(self.config.as_deref().unwrap_or(Path::new("gateway.toml")))?,
        };
        Ok(Custody {
            directory: gateway.keys.directory.clone(),
            gateway: Some(gateway),
        })
    }
}

/// Reads a configuration for a command that needs its keys.
fn configuration(path: &Path) -> Result<Gateway, Failure> {
    config::load(path).map_err(|faults| {
        let mut failure = Failure::from(faults);
        if !path.exists() {
            failure.message = format!(
                "{}: there is no such configuration; give --config, or the keys' place without one",
                path.display()
            );
        }
        failure
    })
}

impl Custody {
    /// Whether a recovery recipient may be missing: as the configuration says, else as told.
    pub fn recovery_none(&self, told: &RecoveryArgs) -> bool {
        match &self.gateway {
            Some(gateway) => gateway.keys.recovery_none,
            None => told.recovery.is_some(),
        }
    }

    fn provider(&self) -> Option<&Provider> {
        self.gateway.as_ref().map(|gateway| &gateway.keys.provider)
    }

    /// The passphrase that protects what `key init` makes: the configuration's, else a new one.
    pub fn new_passphrase(self, file: Option<&Path>) -> Result<SecretBytes, Failure> {
        match self.configured_passphrase(file) {
            Some(passphrase) => Ok(passphrase),
            None => passphrase::fresh(file, "--passphrase-file", "the ministry's identity"),
        }
    }

    /// The passphrase of what lies in the directory: the configuration's, else asked for.
    pub fn passphrase(self, file: Option<&Path>) -> Result<SecretBytes, Failure> {
        match self.configured_passphrase(file) {
            Some(passphrase) => Ok(passphrase),
            None => passphrase::existing(file, "--passphrase-file", "the key directory"),
        }
    }

    fn configured_passphrase(self, file: Option<&Path>) -> Option<SecretBytes> {
        match self.gateway?.keys.provider {
            Provider::PassphraseFile { passphrase, .. } | Provider::SealOnly { passphrase } => {
                file.is_none().then_some(passphrase)
            }
            Provider::SystemdCredential { .. } => None,
        }
    }

    /// Where the identity lies that the directory is used with.
    pub fn identity_file(&self) -> PathBuf {
        match self.provider() {
            Some(Provider::PassphraseFile { identity, .. }) => identity.clone(),
            _ => identity_path(&self.directory, "ministry"),
        }
    }

    /// The identity that opens records.
    pub fn identity(&self, args: &IdentityArgs) -> Result<Identity, Failure> {
        let given = args.identity.is_some() || args.passphrase_file.is_some();
        match self.provider() {
            Some(provider) if !given => offline::configured(provider).map_err(|error| {
                let mut failure = Failure::from(error);
                if matches!(provider, Provider::SealOnly { .. }) {
                    failure.message =
                        "this gateway seals only and holds no identity: give --identity".to_owned();
                }
                failure
            }),
            _ => {
                let file = args.identity.clone();
                open_identity(
                    &file.unwrap_or_else(|| self.identity_file()),
                    args.passphrase_file.as_deref(),
                )
            }
        }
    }
}

/// Opens an identity file; the file is looked at before anybody is asked for its passphrase.
pub fn open_identity(path: &Path, passphrase_file: Option<&Path>) -> Result<Identity, Failure> {
    if let Err(error) = std::fs::metadata(path) {
        let message = format!("{}: {error}", path.display());
        return Err(Failure::new(
            Exit::Keys,
            "key-directory-unreadable",
            message,
        ));
    }
    let of = path.display().to_string();
    let passphrase = passphrase::existing(passphrase_file, "--passphrase-file", &of)?;
    Ok(offline::identity(path, &passphrase)?)
}
