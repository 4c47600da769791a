//! `sceau version`, `man` and `completions`.

use std::path::PathBuf;

use serde_json::json;

use super::outcome::{Answer, Failure};
use crate::seal::run::{SUITE, VERSION};

/// Says which version this is and which formats it speaks
#[derive(Debug, clap::Args)]
pub struct VersionArgs {
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// What suite 1 is, of objects and of records.
const OBJECT_SUITE: &str = "AES-256-GCM, HKDF-Expand-SHA-384";
const RECORD_SUITE: &str = "X-Wing (X25519, ML-KEM-768), HKDF-SHA-384, AES-256-GCM; Ed25519";

pub fn version() -> Answer {
    let version = env!("CARGO_PKG_VERSION");
    Answer::new(
        format!(
            "sceau {version}\nformat {VERSION}\nsuite {SUITE} of objects: {OBJECT_SUITE}\nsuite {SUITE} of records: {RECORD_SUITE}"
        ),
        json!({
            "version": version,
            "format": VERSION,
            "suites": {
                "object": [{"id": SUITE, "name": OBJECT_SUITE}],
                "record": [{"id": SUITE, "name": RECORD_SUITE}],
            },
        }),
    )
}

/// Prints the manual page, or writes one for each command
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write sceau.1, sceau-key.1 and so on into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn man(command: clap::Command, args: &ManArgs) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    match &args.out {
        Some(directory) => std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(command, directory))
            .map_err(|error| Failure::io(directory, &error))?,
        None => clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|error| Failure::io("the page".as_ref(), &error))?,
    }
    Ok(page)
}

/// Prints completions for a shell
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    shell: clap_complete::Shell,
}

pub fn completions(mut command: clap::Command, args: &CompletionsArgs) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "sceau", &mut script);
    script
}
