//! `sceau key identity` and `sceau key credential`.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::super::custody::DirectoryArgs;
use super::super::outcome::{Answer, Exit, Failure, conclude};
use super::super::passphrase;
use crate::keyring::{admin, offline};

/// Makes an identity behind a passphrase and prints its recipient, for `init` and `recipients add`
#[derive(Debug, clap::Args)]
pub struct IdentityArgs {
    /// The new file
    file: PathBuf,
    /// Holds the passphrase, which is asked for otherwise
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn make(args: &IdentityArgs) -> Result<Answer, Failure> {
    let passphrase = passphrase::fresh(
        args.passphrase_file.as_deref(),
        "--passphrase-file",
        "the identity",
    )?;
    let recipient = admin::make_identity(&args.file, &passphrase)?.to_string();
    let json = json!({"identity": args.file, "recipient": recipient});
    Ok(Answer::new(recipient, json))
}

/// Writes identity and signing key IN CLEAR to standard output, to be piped into `systemd-creds encrypt`
#[derive(Debug, clap::Args)]
pub struct CredentialArgs {
    #[command(flatten)]
    keys: DirectoryArgs,
    /// Holds the directory's passphrase, which is asked for otherwise
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

pub fn credential(args: &CredentialArgs) -> ExitCode {
    match write(args) {
        Ok(()) => Exit::Done.into(),
        Err(failure) => conclude("key credential", false, Err(failure)),
    }
}

fn write(args: &CredentialArgs) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        return Err(Failure::usage(
            "secrets are not shown on a terminal: pipe this into `systemd-creds encrypt --name=NAME - FILE`",
        ));
    }
    let custody = args.keys.resolve()?;
    let (directory, file) = (custody.directory.clone(), custody.identity_file());
    let passphrase = custody.passphrase(args.passphrase_file.as_deref())?;
    let identity = offline::identity(&file, &passphrase)?;
    let text = offline::credential_text(&directory, &identity, &passphrase)?;
    out.write_all(text.expose())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::io("standard output".as_ref(), &error))
}
