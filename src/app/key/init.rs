//! `sceau key init`.

use std::path::PathBuf;

use serde_json::json;

use super::super::custody::DirectoryArgs;
use super::super::outcome::{Answer, Failure};
use super::super::passphrase;
use crate::keyring::admin::{self, Init, Recovery};
use crate::keyring::identity::Recipient;

/// Makes a key directory: the ministry's identity, a recovery recipient, this gateway's signing key
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    #[command(flatten)]
    keys: DirectoryArgs,
    /// Holds the passphrase of what is made in the directory [default: the configuration's, or it is asked for]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Where the recovery identity is made; take it offline. One that is there already is used
    #[arg(long, value_name = "FILE")]
    recovery_identity: Option<PathBuf>,
    /// Holds the recovery identity's passphrase, which is asked for otherwise
    #[arg(long, value_name = "FILE", requires = "recovery_identity")]
    recovery_passphrase_file: Option<PathBuf>,
    /// A recovery recipient that was made elsewhere (`sceau key identity`), or `none`: what is sealed is lost with the
    /// ministry's identity
    #[arg(
        long,
        value_name = "RECIPIENT|none",
        conflicts_with = "recovery_identity"
    )]
    recovery: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: &InitArgs) -> Result<Answer, Failure> {
    let custody = args.keys.resolve()?;
    let directory = custody.directory.clone();
    let configured_none = custody
        .gateway
        .as_ref()
        .map(|gateway| gateway.keys.recovery_none);
    let none = args.recovery.as_deref() == Some("none");
    if none && configured_none == Some(false) {
        return Err(Failure::usage(
            "the configuration requires a recovery recipient; `recovery = \"none\"` in [keys] says otherwise",
        ));
    }
    let elsewhere = match args.recovery.as_deref() {
        Some("none") | None => None,
        Some(recipient) => Some(Recipient::parse(recipient)?),
    };
    if !none && elsewhere.is_none() && args.recovery_identity.is_none() {
        return Err(Failure::usage(
            "one recipient only is refused: give --recovery-identity FILE or --recovery RECIPIENT, or say --recovery none",
        ));
    }
    let passphrase = custody.new_passphrase(args.passphrase_file.as_deref())?;
    let recovery_passphrase = match &args.recovery_identity {
        Some(path) => {
            let file = args.recovery_passphrase_file.as_deref();
            let option = "--recovery-passphrase-file";
            Some(if path.exists() {
                passphrase::existing(file, option, &path.display().to_string())?
            } else {
                passphrase::fresh(file, option, "the recovery identity")?
            })
        }
        None => None,
    };
    let recovery = match (
        elsewhere,
        args.recovery_identity
            .as_ref()
            .zip(recovery_passphrase.as_ref()),
    ) {
        (Some(recipient), _) => Recovery::Recipient(recipient),
        (None, Some((path, passphrase))) => Recovery::Identity(path, passphrase),
        (None, None) => Recovery::None,
    };
    let recipients = admin::init(&Init {
        directory: &directory,
        passphrase: &passphrase,
        recovery,
    })?;
    let mut text = format!("{} is made.", directory.display());
    if let Some(path) = &args.recovery_identity {
        text.push_str(&format!(" Take {} offline.", path.display()));
    }
    let names: Vec<_> = recipients
        .entries
        .iter()
        .map(|entry| json!({"name": entry.name, "role": entry.role.name(), "key": entry.key}))
        .collect();
    Ok(Answer::new(
        text,
        json!({"directory": directory, "recipients": names, "recovery_identity": args.recovery_identity}),
    ))
}
