//! What the configuration names: secrets, certificates and keys, read once while it is loaded.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroize as _;

use super::lowered::Certificate;
use super::section::Section;
use super::value;
use crate::secret::SecretBytes;

/// More than any secret, key or certificate chain takes.
const LONGEST: u64 = 1 << 20;

/// Where relative names begin.
pub(super) struct Files {
    pub directory: PathBuf,
    /// `$CREDENTIALS_DIRECTORY`, set by systemd.
    pub credentials: Option<PathBuf>,
}

impl Files {
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.join(name)
    }

    /// The path under `key`, which must stand.
    pub fn required(&self, section: &mut Section<'_, '_>, key: &'static str) -> Option<PathBuf> {
        section
            .required(key, value::string)
            .map(|name| self.path(name))
    }

    /// A secret that `file_key` or `credential_key` names; one of them must stand.
    pub fn secret(
        &self,
        section: &mut Section<'_, '_>,
        file_key: &'static str,
        credential_key: &'static str,
    ) -> Option<SecretBytes> {
        let span = section.place(if section.has(file_key) {
            file_key
        } else {
            credential_key
        });
        let file = section.optional(file_key, value::string);
        let credential = section.optional(credential_key, credential_name);
        let (key, read) = match (file, credential) {
            (Some(name), None) => (file_key, read_secret(&self.path(name), true)),
            (None, Some(name)) => (credential_key, self.credential(&name)),
            (Some(_), Some(_)) => {
                section.fault_at(
                    &span,
                    format!("`{file_key}` and `{credential_key}` exclude each other"),
                );
                return None;
            }
            (None, None) => {
                section.fault_at(
                    &span,
                    format!("{} needs `{file_key}` or `{credential_key}`: secrets stand in files of their own",
section.title()),
                );
                return None;
            }
        };
        read.map_err(|message| section.fault_at(&span, format!("`{key}`: {message}")))
            .ok()
    }

    fn credential(&self, name: &str) -> Result<SecretBytes, String> {
        read_secret(&self.credential_path(name)?, false)
    }

    /// Where systemd puts the credential of that name.
    pub fn credential_path(&self, name: &str) -> Result<PathBuf, String> {
        match &self.credentials {
            Some(directory) => Ok(directory.join(name)),
            None => Err("$CREDENTIALS_DIRECTORY is not set: run under systemd with LoadCredential=, or name a file".into()),
        }
    }

    /// A certificate chain and its key, which must match.
    pub fn certificate(
        &self,
        section: &mut Section<'_, '_>,
        chain_key: &'static str,
    ) -> Option<Certificate> {
        let chain_span = section.place(chain_key);
        let key_span = section.place("key_file");
        let chain_file = self.required(section, chain_key);
        let key_file = self.required(section, "key_file");
        let chain = chain_file.as_ref().and_then(|file| {
            read_certificates(file)
                .map_err(|message| {
                    section.fault_at(&chain_span, format!("`{chain_key}`: {message}"))
                })
                .ok()
        });
        let key = key_file.as_ref().and_then(|file| {
            read_key(file)
                .map_err(|message| section.fault_at(&key_span, format!("`key_file`: {message}")))
                .ok()
        });
        let (chain, (key_pem, key)) = (chain?, key?);
        let certified = match any_supported_type(&key) {
            Ok(key) => CertifiedKey::new(chain.clone(), key),
            Err(_) => {
                section.fault_at(&key_span, "`key_file`: this kind of key is not supported");
                return None;
            }
        };
        if certified.keys_match().is_err() {
            let message = format!("`key_file` is not the key of `{chain_key}`'s first certificate");
            section.fault_at(&key_span, message);
            return None;
        }
        Some(Certificate {
            chain_file: chain_file?,
            key_file: key_file?,
            chain,
            key_pem,
        })
    }
}

/// A credential's name: no path.
pub(super) fn credential_name(value: &toml::de::DeValue<'_>) -> Result<String, String> {
    let name = value::string(value)?;
    if name.contains('/') || name.starts_with('.') {
        return Err("expected the name of a credential, not a path".into());
    }
    Ok(name)
}

/// The certificates of a PEM file, at least one.
pub(super) fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(file)?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("{} is no PEM file: {error}", file.display()))?;
    match chain.first() {
        None => Err(format!("{} holds no certificate", file.display())),
        Some(first) => match rustls::server::ParsedCertificate::try_from(first) {
            Ok(_) => Ok(chain),
            Err(error) => Err(format!("{}: {error}", file.display())),
        },
    }
}

fn read_key(file: &Path) -> Result<(SecretBytes, PrivateKeyDer<'static>), String> {
    refuse_open_to_others(file)?;
    let pem = SecretBytes::new(read(file)?);
    let key = PrivateKeyDer::from_pem_slice(pem.expose())
        .map_err(|_| format!("{} holds no private key in PEM", file.display()))?;
    Ok((pem, key))
}

/// The path is left out of the messages: a secret could stand where its file's name belongs.
pub(super) fn read_secret(file: &Path, check_mode: bool) -> Result<SecretBytes, String> {
    if check_mode {
        refuse_open_to_others(file)?;
    }
    let mut bytes = read(file).map_err(|_| "the file that it names can't be read")?;
    let kept = bytes.trim_ascii_end().len();
    bytes[kept..].zeroize();
    bytes.truncate(kept);
    if bytes.is_empty() {
        return Err("the file that it names is empty".into());
    }
    Ok(SecretBytes::new(bytes))
}

fn refuse_open_to_others(file: &Path) -> Result<(), String> {
    let metadata = fs::metadata(file)
        .map_err(|error| format!("the file that it names can't be read: {}", error.kind()))?;
    match metadata.permissions().mode() & 0o007 {
        0 => Ok(()),
        _ => Err("the file that it names is open to every user of this machine: chmod 600".into()),
    }
}

/// A file that is not larger than expected of configuration.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, String> {
    let explain = |error: std::io::Error| format!("can't read {}: {error}", file.display());
    let open = fs::File::open(file).map_err(explain)?;
    let length = open.metadata().map_err(explain)?.len().min(LONGEST);
    // it may hold a secret: growing would leave parts of it behind
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 64);
    open.take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(explain)?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("{} is larger than 1 MiB", file.display()));
    }
    Ok(bytes)
}
