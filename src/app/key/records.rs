//! `sceau key rotate`, `rewrap`, `export-recovery` and `shred`.

use std::path::PathBuf;

use serde_json::json;

use super::super::custody::{DirectoryArgs, IdentityArgs, RecoveryArgs};
use super::super::outcome::{Answer, Exit, Failure};
use super::super::seconds;
use crate::keyring::{admin, bundle};

/// Orders every gateway on the directory to begin new epochs, which they do within a minute
#[derive(Debug, clap::Args)]
pub struct RotateArgs {
    #[command(flatten)]
    keys: DirectoryArgs,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn rotate(args: &RotateArgs) -> Result<Answer, Failure> {
    let directory = args.keys.resolve()?.directory;
    let now = seconds();
    admin::rotate(&directory, now)?;
    Ok(Answer::new(
        "ordered: gateways begin new epochs within a minute",
        json!({"directory": directory, "rotation_ordered": now}),
    ))
}

/// Wraps every record to the present recipients; touches no stored object
#[derive(Debug, clap::Args)]
pub struct RewrapArgs {
    #[command(flatten)]
    keys: DirectoryArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    #[command(flatten)]
    recovery: RecoveryArgs,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn rewrap(args: &RewrapArgs) -> Result<Answer, Failure> {
    let custody = args.keys.resolve()?;
    let identity = custody.identity(&args.identity)?;
    let none = custody.recovery_none(&args.recovery);
    let done = admin::rewrap(&custody.directory, &identity, none)?;
    let mut text = String::new();
    let mut refused = Vec::new();
    for (record, error) in &done.refused {
        text.push_str(&format!("{record}: {error}\n"));
        refused.push(json!({"record": record, "error": error.to_string(), "code": error.name()}));
    }
    text.push_str(&format!(
        "{} records wrapped, {} left as they were",
        done.wrapped,
        refused.len()
    ));
    let exit = if refused.is_empty() {
        Exit::Done
    } else {
        Exit::Keys
    };
    Ok(Answer {
        exit,
        text,
        json: json!({"directory": custody.directory, "wrapped": done.wrapped, "refused": refused}),
    })
}

/// Writes records, recipients and writers into one file, with which the recovery identity opens everything
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The new file
    file: PathBuf,
    #[command(flatten)]
    keys: DirectoryArgs,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn export(args: &ExportArgs) -> Result<Answer, Failure> {
    let directory = args.keys.resolve()?.directory;
    let records = bundle::export(&directory, &args.file)?;
    Ok(Answer::new(
        format!("{}: {records} records", args.file.display()),
        json!({"directory": directory, "bundle": args.file, "records": records}),
    ))
}

/// Destroys a record: every object under it is unreadable for good
#[derive(Debug, clap::Args)]
pub struct ShredArgs {
    /// The record's whole id, as `sceau key list` shows it
    id: String,
    /// Without it nothing is destroyed
    #[arg(long)]
    yes: bool,
    /// Also when gateways may still seal under the record: what they seal until they notice, within a minute, is lost
    #[arg(long)]
    in_use: bool,
    #[command(flatten)]
    keys: DirectoryArgs,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

pub fn shred(args: &ShredArgs) -> Result<Answer, Failure> {
    if !args.yes {
        return Err(Failure::usage(
            "what is sealed under the record will be lost: repeat with --yes",
        ));
    }
    let directory = args.keys.resolve()?.directory;
    admin::shred(&directory, &args.id, seconds(), args.in_use)?;
    Ok(Answer::new(
        format!(
            "{} is destroyed here. Destroy it in every backup and bundle too. Gateways forget it within their `cache_ttl`, or when they restart.",
            args.id
        ),
        json!({"directory": directory, "shredded": args.id}),
    ))
}
