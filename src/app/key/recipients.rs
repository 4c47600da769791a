//! `sceau key recipients`.

use std::process::ExitCode;

use serde_json::json;

use super::super::custody::{Custody, DirectoryArgs, RecoveryArgs};
use super::super::outcome::{Answer, Failure, conclude};
use crate::keyring::identity::Recipient;
use crate::keyring::recipients::{Recipients, Role};
use crate::keyring::{Provider, admin, offline, recipients_path};

/// Shows or changes to whom secrets are wrapped
#[derive(Debug, clap::Args)]
pub struct RecipientsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(ListArgs),
    Add(AddArgs),
    Remove(RemoveArgs),
}

/// Shows the recipients
#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    keys: DirectoryArgs,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Adds a recipient; `key rewrap` then wraps the records that exist to it
#[derive(Debug, clap::Args)]
struct AddArgs {
    /// What it will be called
    name: String,
    /// sceau-recipient-1-..., as `sceau key identity` printed it
    recipient: String,
    /// What it is for
    #[arg(long, value_enum)]
    role: Purpose,
    #[command(flatten)]
    keys: DirectoryArgs,
    #[command(flatten)]
    recovery: RecoveryArgs,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Removes a recipient; `key rewrap` then takes the records that exist from it
#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// What it is called
    name: String,
    #[command(flatten)]
    keys: DirectoryArgs,
    #[command(flatten)]
    recovery: RecoveryArgs,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Purpose {
    /// Opens in daily use
    Ministry,
    /// Lies offline
    Recovery,
}

pub fn run(args: &RecipientsArgs) -> ExitCode {
    match &args.command {
        Command::List(args) => conclude("key recipients list", args.json, list(args)),
        Command::Add(args) => conclude("key recipients add", args.json, add(args)),
        Command::Remove(args) => conclude("key recipients remove", args.json, remove(args)),
    }
}

fn list(args: &ListArgs) -> Result<Answer, Failure> {
    shown(&args.keys.resolve()?, String::new())
}

fn add(args: &AddArgs) -> Result<Answer, Failure> {
    let custody = args.keys.resolve()?;
    let role = match args.role {
        Purpose::Ministry => Role::Ministry,
        Purpose::Recovery => Role::Recovery,
    };
    let recipient = Recipient::parse(&args.recipient)?;
    let none = custody.recovery_none(&args.recovery);
    admin::add_recipient(&custody.directory, &args.name, role, &recipient, none)?;
    shown(&custody, "run `sceau key rewrap`\n".to_owned())
}

fn remove(args: &RemoveArgs) -> Result<Answer, Failure> {
    let custody = args.keys.resolve()?;
    let none = custody.recovery_none(&args.recovery);
    // a gateway whose identity is no recipient does not start
    let own = match custody
        .gateway
        .as_ref()
        .map(|gateway| &gateway.keys.provider)
    {
        None | Some(Provider::SealOnly { .. }) => None,
        Some(provider) => Some(offline::configured(provider)?.recipient().id()),
    };
    admin::remove_recipient(&custody.directory, &args.name, none, own)?;
    shown(&custody, "run `sceau key rewrap`\n".to_owned())
}

fn shown(custody: &Custody, mut text: String) -> Result<Answer, Failure> {
    let recipients = Recipients::read(&recipients_path(&custody.directory))?;
    let mut values = Vec::new();
    for entry in &recipients.entries {
        text.push_str(&format!(
            "{} ({}) {}\n",
            entry.name,
            entry.role.name(),
            entry.key
        ));
        values.push(json!({"name": entry.name, "role": entry.role.name(), "key": entry.key}));
    }
    text.pop();
    Ok(Answer::new(
        text,
        json!({"directory": custody.directory, "recipients": values}),
    ))
}
