//! `sceau init`: a working directory that `check` accepts and `run` starts.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use serde_json::json;

use super::outcome::Exit;
use crate::keyring::{KeyError, admin};
use crate::secret::SecretBytes;

/// The commented sample, whose paths begin one directory higher.
const GATEWAY: &str = include_str!("../../config/gateway.toml");
const EXAMPLE: &str = include_str!("init/10-example.toml");
const README: &str = include_str!("init/README.md");
const CA_DAYS: i64 = 3650;

/// Makes a directory with keys, an authority for certificates and a commented configuration
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// Must not exist, or be empty
    directory: PathBuf,
    /// The name under which clients will reach the example service
    #[arg(long, value_name = "HOST", default_value = "localhost", value_parser = host)]
    host: String,
    /// Where the gateway will listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8443")]
    bind: std::net::SocketAddr,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum InitError {
    #[error("{} exists and is not empty: nothing was changed", .0.display())]
    Exists(PathBuf),
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("the certificate authority can't be made: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error(transparent)]
    Keys(#[from] KeyError),
    #[error("the system gives no random bytes")]
    Randomness,
}

impl InitArgs {
    pub(super) fn new(directory: PathBuf, host: &str, bind: std::net::SocketAddr) -> Self {
        Self {
            directory,
            host: host.to_owned(),
            bind,
            json: false,
        }
    }
}

impl InitError {
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Exists(_) => Exit::Usage,
            Self::Keys(_) => Exit::Keys,
            Self::Io { .. } | Self::Certificate(_) | Self::Randomness => Exit::Failed,
        }
    }
}

/// Exit code 0; 2 when the directory is in use, 4 when keys can't be made, 1 for anything else.
pub fn init(args: &InitArgs) -> ExitCode {
    let directory = args.directory.display();
    match make(args) {
        Ok(()) if args.json => {
            println!(
                "{}",
                json!({"directory": args.directory, "host": args.host})
            );
            ExitCode::SUCCESS
        }
        Ok(()) => {
            println!("{directory} is made. {directory}/README.md says what lies where. Next:");
            println!("  1. take {directory}/recovery offline");
            println!(
                "  2. put the provider's URL and credential into {directory}/services.d/10-example.toml"
            );
            println!("  3. sceau check --config {directory}");
            println!("  4. sceau run --config {directory}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            if args.json {
                println!("{}", json!({"error": error.to_string()}));
            } else {
                eprintln!("init: {error}");
            }
            error.exit().into()
        }
    }
}

fn host(text: &str) -> Result<String, String> {
    let host = text.to_ascii_lowercase();
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    if !host.is_empty() && host.bytes().all(legal) {
        Ok(host)
    } else {
        Err("expected a host name such as s3.example.fr".into())
    }
}

/// Everything is made beside the target and renamed at the end: the directory is whole or absent.
pub(super) fn make(args: &InitArgs) -> Result<(), InitError> {
    let target = &args.directory;
    refuse_used(target)?;
    let name = target
        .file_name()
        .ok_or_else(|| InitError::Exists(target.clone()))?;
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let unfinished = parent.join(format!(".{}.{}", name.to_string_lossy(), random(6)?));
    let made = fill(&unfinished, args).and_then(|()| {
        fs::rename(&unfinished, target).map_err(|source| match source.kind() {
            io::ErrorKind::DirectoryNotEmpty => InitError::Exists(target.clone()),
            _ => io_error(target)(source),
        })?;
        sync(&parent)
    });
    if made.is_err() {
        let _ = fs::remove_dir_all(&unfinished);
    }
    made
}

/// The directory must not exist, or be empty.
pub(super) fn refuse_used(target: &Path) -> Result<(), InitError> {
    match fs::read_dir(target) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(InitError::Exists(target.to_owned())),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_error(target)(error)),
    }
}

fn fill(root: &Path, args: &InitArgs) -> Result<(), InitError> {
    directory(root)?;
    for folder in ["services.d", "secrets", "tls", "keys", "recovery", "state"] {
        directory(&root.join(folder))?;
    }
    authority(&root.join("tls"))?;

    let passphrase = secret(&root.join("secrets/passphrase"))?;
    let recovery_passphrase = secret(&root.join("recovery/passphrase"))?;
    admin::init(&admin::Init {
        directory: &root.join("keys"),
        passphrase: &passphrase,
        recovery: admin::Recovery::Identity(
            &root.join("recovery/recovery.identity"),
            &recovery_passphrase,
        ),
    })?;

    secret(&root.join("secrets/example-client"))?;
    write(&root.join("secrets/example-upstream"), b"replace-me\n")?;
    let gateway = GATEWAY
        .replace("\"../", "\"")
        .replace("127.0.0.1:8443", &args.bind.to_string());
    write(&root.join("gateway.toml"), gateway.as_bytes())?;
    let example = EXAMPLE
        .replace("HOST", &args.host)
        .replace("UNIQUE", &random(6)?.to_ascii_lowercase());
    write(&root.join("services.d/10-example.toml"), example.as_bytes())?;
    write(&root.join("README.md"), README.as_bytes())?;
    for folder in ["services.d", "secrets", "tls", "recovery", "."] {
        sync(&root.join(folder))?;
    }
    Ok(())
}

fn authority(folder: &Path) -> Result<(), InitError> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384)?;
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, format!("Sceau local CA {}", random(6)?));
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let now = time::OffsetDateTime::now_utc();
    params.not_before = now - time::Duration::days(1);
    params.not_after = now + time::Duration::days(CA_DAYS);
    let certificate = params.self_signed(&key)?;
    write(&folder.join("ca.pem"), certificate.pem().as_bytes())?;
    let pem = SecretBytes::new(key.serialize_pem().into_bytes());
    write(&folder.join("ca.key"), pem.expose())
}

/// A fresh secret of 256 bits as text, in a file of its own.
fn secret(path: &Path) -> Result<SecretBytes, InitError> {
    let secret = SecretBytes::new(random(32)?.into_bytes());
    write(path, secret.expose())?;
    Ok(secret)
}

pub(super) fn random(bytes: usize) -> Result<String, InitError> {
    let mut buffer = zeroize::Zeroizing::new(vec![0; bytes]);
    getrandom::fill(&mut buffer).map_err(|_| InitError::Randomness)?;
    Ok(URL_SAFE_NO_PAD.encode(&*buffer))
}

fn directory(path: &Path) -> Result<(), InitError> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(io_error(path))
}

fn write(path: &Path, content: &[u8]) -> Result<(), InitError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(io_error(path))?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(io_error(path))
}

fn sync(directory: &Path) -> Result<(), InitError> {
    File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(io_error(directory))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> InitError {
    let path = path.to_owned();
    |source| InitError::Io { path, source }
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config;

    fn args(directory: &Path) -> InitArgs {
        InitArgs {
            directory: directory.to_owned(),
            host: "s3.example.fr".into(),
            bind: "127.0.0.1:9443".parse().unwrap(),
            json: false,
        }
    }

    /// A fresh working directory.
    pub fn made(parent: &tempfile::TempDir) -> PathBuf {
        let root = parent.path().join("gateway");
        make(&args(&root)).unwrap();
        root
    }

    #[test]
    fn what_is_made_loads_and_lies_open_to_nobody() {
        let parent = tempfile::tempdir().unwrap();
        let root = made(&parent);
        let gateway = config::load(&root).unwrap();
        assert_eq!(gateway.listeners[0].bind.to_string(), "127.0.0.1:9443");
        assert_eq!(gateway.services[0].hosts, ["s3.example.fr"]);
        assert_eq!(gateway.keys.directory, root.join("keys"));
        assert!(!gateway.keys.recovery_none);
        assert!(root.join("recovery/recovery.identity").exists());
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let mode = entry.metadata().unwrap().permissions().mode();
                assert_eq!(mode & 0o077, 0, "{}", entry.path().display());
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        let leftovers = fs::read_dir(parent.path()).unwrap().count();
        assert_eq!(leftovers, 1, "the unfinished directory is gone");
    }

    #[test]
    fn an_empty_directory_is_taken_and_a_used_one_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("gateway");
        fs::create_dir(&root).unwrap();
        make(&args(&root)).unwrap();
        let before = fs::read(root.join("secrets/passphrase")).unwrap();
        let error = make(&args(&root)).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert_eq!(fs::read(root.join("secrets/passphrase")).unwrap(), before);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}
