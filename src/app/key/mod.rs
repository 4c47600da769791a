//! `sceau key`: what a key custodian does.

mod identity;
mod init;
mod list;
mod recipients;
mod records;

use std::process::ExitCode;

use super::outcome::conclude;

/// Manages the key directory; every command can be interrupted and run again
#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Init(init::InitArgs),
    List(list::ListArgs),
    Identity(identity::IdentityArgs),
    Credential(identity::CredentialArgs),
    Rotate(records::RotateArgs),
    Rewrap(records::RewrapArgs),
    Recipients(recipients::RecipientsArgs),
    ExportRecovery(records::ExportArgs),
    Shred(records::ShredArgs),
}

/// Exit code 0; 2 for a wrong use, 3 for a configuration that is refused, 4 for anything that is wrong with keys.
pub fn key(args: &KeyArgs) -> ExitCode {
    match &args.command {
        Command::Init(args) => conclude("key init", args.json, init::run(args)),
        Command::List(args) => conclude("key list", args.json, list::run(args)),
        Command::Identity(args) => conclude("key identity", args.json, identity::make(args)),
        Command::Credential(args) => identity::credential(args),
        Command::Rotate(args) => conclude("key rotate", args.json, records::rotate(args)),
        Command::Rewrap(args) => conclude("key rewrap", args.json, records::rewrap(args)),
        Command::Recipients(args) => recipients::run(args),
        Command::ExportRecovery(args) => {
            conclude("key export-recovery", args.json, records::export(args))
        }
        Command::Shred(args) => conclude("key shred", args.json, records::shred(args)),
    }
}
