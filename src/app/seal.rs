//! `sceau seal`: one file, without a gateway.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::custody::{Custody, DirectoryArgs, RecoveryArgs};
use super::offline::{SealFault, SealWith, seal_object};
use super::outcome::{Answer, Exit, Failure};
use super::output::Output;
use super::seconds;
use crate::keyring::{Keyring, Provider, Settings};
use crate::seal::{Context, EntropyError, Epochs as _, SaltSource};

/// Seals a file in the form in which objects are stored, under a new epoch
#[derive(Debug, clap::Args)]
pub struct SealArgs {
    /// What is sealed
    file: PathBuf,
    /// The new file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    keys: DirectoryArgs,
    #[command(flatten)]
    recovery: RecoveryArgs,
    /// The configured service that it is sealed for, by its `name`; without a configuration the service itself
    #[arg(long, value_name = "NAME")]
    service: String,
    /// Whose data it is, without a configuration
    #[arg(long, requires = "directory")]
    tenant: Option<String>,
    /// The service's namespace, without a configuration
    #[arg(long, default_value = "default")]
    namespace: String,
    /// Holds the key directory's passphrase [default: the configuration's, or it is asked for]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &SealArgs) -> Result<Answer, Failure> {
    let mut source = File::open(&args.file).map_err(|error| Failure::io(&args.file, &error))?;
    let length = source
        .metadata()
        .map_err(|error| Failure::io(&args.file, &error))?
        .len();
    let mut output = Output::create(&args.out).map_err(|error| Failure::io(&args.out, &error))?;
    let custody = args.keys.resolve()?;
    let context = context(args, &custody)?;
    let settings = settings(args, custody)?;
    let keyring = Arc::new(Keyring::open(settings, seconds)?);
    let keys = keyring
        .epochs(context.clone())
        .current()
        .map_err(|error| Failure::new(Exit::Keys, "key-unavailable", error.to_string()))?;

    let entropy = |_| Failure::new(Exit::Failed, "no-randomness", EntropyError.to_string());
    let salts = SaltSource::new(|bytes| getrandom::fill(bytes).map_err(|_| EntropyError))
        .map_err(entropy)?;
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let name = args.file.as_os_str().as_encoded_bytes();
    let with = SealWith {
        keys: &keys,
        context: &context,
        object: salts.object_id(nanos, name).map_err(entropy)?,
        salts: [
            salts.salt(nanos, name).map_err(entropy)?,
            salts.salt(nanos, name).map_err(entropy)?,
        ],
    };
    let sealed = seal_object(&mut source, length, &with, &mut output).map_err(|fault| {
        let message = match fault {
            SealFault::Format(error) => format!("{}: {error}", args.file.display()),
            SealFault::File(error) => error.to_string(),
        };
        Failure::new(Exit::Failed, "not-sealed", message)
    })?;
    output
        .keep()
        .map_err(|error| Failure::io(&args.out, &error))?;
    Ok(Answer::new(
        format!(
            "{}: {length} bytes sealed into {sealed}",
            args.out.display()
        ),
        json!({"file": args.out, "plain_bytes": length, "sealed_bytes": sealed, "epoch": hex::encode(keys.id.0)}),
    ))
}

fn context(args: &SealArgs, custody: &Custody) -> Result<Context, Failure> {
    if let Some(gateway) = &custody.gateway {
        let mut services = gateway.services.iter();
        return match services.find(|service| service.name == args.service) {
            Some(service) => Ok(service.kind.context().clone()),
            None => Err(Failure::usage(format!(
                "no service is configured whose name is `{}`",
                args.service
            ))),
        };
    }
    let Some(tenant) = &args.tenant else {
        return Err(Failure::usage("without a configuration give --tenant"));
    };
    Context::new(tenant, &args.service, &args.namespace)
        .map_err(|error| Failure::usage(error.to_string()))
}

fn settings(args: &SealArgs, custody: Custody) -> Result<Settings, Failure> {
    let file = args.passphrase_file.as_deref();
    let recovery_none = custody.recovery_none(&args.recovery);
    let directory = custody.directory.clone();
    match custody.gateway {
        Some(gateway) if file.is_none() => Ok(gateway.keys),
        // sealing needs no identity
        _ => {
            let passphrase = custody.passphrase(file)?;
            let mut settings = Settings::new(directory, Provider::SealOnly { passphrase });
            settings.recovery_none = recovery_none;
            Ok(settings)
        }
    }
}
