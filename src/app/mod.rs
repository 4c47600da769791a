//! The command line: each command's arguments are beside what it does.

pub mod check;
mod custody;
#[cfg(feature = "demo")]
pub mod demo;
mod explain;
mod front;
pub mod init;
pub mod key;
mod manual;
pub mod offline;
mod online;
mod open;
mod outcome;
mod output;
mod passphrase;
mod progress;
pub mod run;
mod seal;
mod seal_tree;
pub mod serve;
mod sessions;
mod sites;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{CommandFactory as _, Parser, Subcommand};

use self::outcome::{Exit, Failure, conclude};

/// Seals what clients store in a cloud, and opens what they read: the provider keeps ciphertext only
#[derive(Debug, Parser)]
#[command(
    name = "sceau",
    version,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 configuration, 4 keys, 5 state, 6 provider, 7 integrity.\n\
                  The variable RUST_LOG filters the log, which goes to standard error (such as RUST_LOG=debug)."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Check(check::CheckArgs),
    Explain(explain::ExplainArgs),
    Init(init::InitArgs),
    Key(key::KeyArgs),
    Seal(seal::SealArgs),
    SealTree(seal_tree::SealTreeArgs),
    Open(open::OpenArgs),
    Version(manual::VersionArgs),
    Man(manual::ManArgs),
    Completions(manual::CompletionsArgs),
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
}

/// Runs the command line; the exit code is one of [`outcome::Exit`].
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    // `run` starts the log that the configuration asks for
    let logged = matches!(command, Command::Run(_));
    // what `demo` provokes it tells itself
    #[cfg(feature = "demo")]
    let quiet = matches!(command, Command::Demo(_));
    #[cfg(not(feature = "demo"))]
    let quiet = false;
    if !logged && let Err(error) = log(if quiet { "error" } else { "warn" }) {
        return conclude("sceau", false, Err(Failure::usage(error)));
    }
    match &command {
        Command::Run(args) => run::run(args),
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::demo(args),
        Command::Check(args) => check::check(args),
        Command::Explain(args) => conclude("explain", args.json, explain::run(args)),
        Command::Init(args) => init::init(args),
        Command::Key(args) => key::key(args),
        Command::Seal(args) => conclude("seal", args.json, seal::run(args)),
        Command::SealTree(args) => conclude("seal-tree", args.json, seal_tree::run(args)),
        Command::Open(args) => conclude("open", args.json, open::run(args)),
        Command::Version(args) => conclude("version", args.json, Ok(manual::version())),
        Command::Man(args) => print("man", manual::man(Cli::command(), args)),
        Command::Completions(args) => {
            print("completions", Ok(manual::completions(Cli::command(), args)))
        }
    }
}

/// Starts the log of a command that reads no [log] section.
fn log(default: &str) -> Result<(), String> {
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| default.to_owned());
    crate::telemetry::init(&filter).map_err(|error| format!("RUST_LOG: {error}"))
}

fn print(command: &str, text: Result<Vec<u8>, Failure>) -> ExitCode {
    let text = match text {
        Ok(text) => text,
        Err(failure) => return conclude(command, false, Err(failure)),
    };
    let mut out = std::io::stdout().lock();
    match out.write_all(&text).and_then(|()| out.flush()) {
        Ok(()) => Exit::Done.into(),
        Err(_) => Exit::Failed.into(),
    }
}

/// The wall clock, in Unix seconds.
fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
