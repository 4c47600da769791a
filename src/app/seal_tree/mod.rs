//! `sceau seal-tree`: what lies unsealed in a share is sealed where it lies.

mod place;
mod report;
mod walk;

use std::path::PathBuf;
use std::sync::Arc;

use super::outcome::{Answer, Exit, Failure};
use super::serve::{os_random, provider};
use super::{passphrase, seconds};
use crate::adapter::webdav::estate::{Estate, Means};
use crate::adapter::webdav::settings::Settings;
use crate::config::{self, Gateway, Kind};
use crate::keyring::{Keyring, Provider};
use crate::seal::aead::self_test;
use crate::seal::name::NameKey;
use crate::seal::{EntropyError, SaltSource};

/// Holds the password, where no file is given and nobody can be asked.
const PASSWORD: &str = "SCEAU_PASSWORD";

/// Seals what lies unsealed in a WebDAV share, file by file, each verified before its original goes; run again, it goes on
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The variable SCEAU_PASSWORD can hold the password. Ctrl-C ends after the files in hand."
)]
pub struct SealTreeArgs {
    /// Where to begin, as users know it: https://HOST/PATH, with one of a service's `hosts`
    url: String,
    /// gateway.toml, or the directory that holds it
    #[arg(long, value_name = "PATH", default_value = "gateway.toml")]
    config: PathBuf,
    /// An account at the provider that may read and write everything there
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Holds the account's password [default: the variable SCEAU_PASSWORD, or it is asked for]
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Change nothing: count what would be sealed, and name it
    #[arg(long)]
    dry_run: bool,
    /// Files at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    jobs: u8,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &SealTreeArgs) -> Result<Answer, Failure> {
    let gateway = config::load(&args.config)?;
    let (service, path) = place::find(&args.url, &gateway.services)?;
    if matches!(gateway.keys.provider, Provider::SealOnly { .. }) {
        return Err(Failure::new(
            Exit::Keys,
            "no-identity",
            "this gateway seals only: without an identity nothing can be read back",
        ));
    }
    self_test().map_err(|error| Failure::new(Exit::Failed, "self-test", error.to_string()))?;
    let authorization = match &args.user {
        Some(user) => Some(place::basic(user, &password(args, user)?)?),
        None => None,
    };
    let estate = Arc::new(estate(gateway, service, authorization)?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, "runtime", error.to_string()))?;
    runtime.block_on(walk::walk(
        estate,
        walk::Plan {
            path,
            jobs: usize::from(args.jobs),
            dry_run: args.dry_run,
        },
    ))
}

fn password(args: &SealTreeArgs, user: &str) -> Result<crate::secret::SecretBytes, Failure> {
    match std::env::var(PASSWORD) {
        Ok(password) if args.password_file.is_none() => {
            Ok(crate::secret::SecretBytes::new(password.into_bytes()))
        }
        _ => passphrase::existing(
            args.password_file.as_deref(),
            "--password-file",
            &format!("{user} at the provider"),
        ),
    }
}

fn estate(
    gateway: Gateway,
    service: usize,
    authorization: Option<http::HeaderValue>,
) -> Result<Estate, Failure> {
    let service = gateway.services.into_iter().nth(service);
    let Some(service) = service else {
        return Err(Failure::usage("no such service"));
    };
    let Kind::WebDav(settings) = service.kind else {
        return Err(place::no_share(&service.name));
    };
    let settings: Settings = settings;
    let upstream = provider(service.transport).map_err(|error| {
        Failure::new(
            Exit::Configuration,
            "configuration-refused",
            error.to_string(),
        )
    })?;
    let keyring = Arc::new(Keyring::open(gateway.keys, seconds)?);
    let (_, secret) = keyring.service(&settings.context)?;
    let entropy =
        |error: EntropyError| Failure::new(Exit::Failed, "no-randomness", error.to_string());
    let means = Means {
        upstream,
        authorization,
        epochs: keyring.epochs(settings.context.clone()),
        lookup: keyring.epochs(settings.context.clone()),
        salts: SaltSource::new(os_random).map_err(entropy)?,
        names: NameKey::new(&secret, &settings.context),
    };
    Ok(Estate::new(&settings, means))
}
