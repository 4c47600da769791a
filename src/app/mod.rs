//! Composition.

pub mod check;
pub mod init;
pub mod run;
pub mod serve;
mod sessions;

use clap::{Parser, Subcommand};

/// Client-side encryption gateway
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Check(check::CheckArgs),
    Init(init::InitArgs),
}

/// Runs the command line; the exit code is documented in `docs/operators-guide.md`.
pub fn main() -> std::process::ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::check(&args),
        Command::Init(args) => init::init(&args),
    }
}
