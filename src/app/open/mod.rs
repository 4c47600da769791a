//! `sceau open`: objects, directories and bucket dumps, with nothing but sealed bytes, records and an identity.

mod tokens;
mod walk;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::custody::{DirectoryArgs, IdentityArgs, open_identity};
use super::offline::{OpenFault, open_object};
use super::outcome::{Answer, Exit, Failure};
use super::output::Output;
use super::progress::Progress;
use crate::config::Gateway;
use crate::keyring::identity::Identity;
use crate::keyring::offline::OfflineEpochs;
use crate::seal::OpenError;

/// Opens sealed files, whole directories of them, or the tokens of a text, without a gateway
#[derive(Debug, clap::Args)]
pub struct OpenArgs {
    /// Sealed objects, or directories that hold some
    #[arg(required_unless_present = "token", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where plaintext goes: a directory, for one object a new file, or `-` for standard output, where an object
    /// is whole only if the exit code is 0
    #[arg(
        long,
        value_name = "DIR|FILE|-",
        required_unless_present_any = ["verify", "token"],
        conflicts_with = "verify"
    )]
    out: Option<PathBuf>,
    /// Verify every byte and write nothing
    #[arg(long)]
    verify: bool,
    /// Leave out what is there already, after an interruption
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    tokens: tokens::TokenArgs,
    #[command(flatten)]
    keys: DirectoryArgs,
    /// A directory of records, or one record, instead of a key directory
    #[arg(long, value_name = "PATH")]
    records: Vec<PathBuf>,
    /// What `sceau key export-recovery` wrote, instead of a key directory
    #[arg(long, value_name = "FILE")]
    bundle: Vec<PathBuf>,
    #[command(flatten)]
    identity: IdentityArgs,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Where plaintext goes.
enum Target {
    Nowhere,
    Standard,
    File(PathBuf),
    Directory(PathBuf),
}

pub fn run(args: &OpenArgs) -> Result<Answer, Failure> {
    if let Some(text) = args.tokens.given()? {
        let (epochs, gateway) = epochs(args)?;
        return tokens::open(text, &args.tokens, epochs, gateway.as_ref());
    }
    let target = target(args)?;
    let (epochs, _) = epochs(args)?;
    let mut opening = Opening {
        epochs,
        target,
        resume: args.resume,
        progress: Progress::new(),
        skipped: 0,
        failed: Vec::new(),
        exit: Exit::Done,
    };
    for file in &args.files {
        let avoid = match &opening.target {
            Target::Directory(directory) => fs::canonicalize(directory).ok(),
            _ => None,
        };
        walk::walk(file, avoid.as_deref(), &mut |path, relative| match path {
            Ok(path) => opening.one(path, relative),
            Err(error) => opening.failed(relative, Exit::Failed, "file", &error.to_string()),
        });
    }
    Ok(opening.answer())
}

fn target(args: &OpenArgs) -> Result<Target, Failure> {
    let Some(out) = &args.out else {
        return Ok(Target::Nowhere);
    };
    let one = args.files.len() == 1 && !args.files[0].is_dir();
    if out.as_os_str() == "-" {
        return match (one, args.json) {
            (true, false) => Ok(Target::Standard),
            _ => Err(Failure::usage(
                "--out - takes one object, and no --json: give a directory",
            )),
        };
    }
    let directory = out.is_dir() || out.as_os_str().as_encoded_bytes().ends_with(b"/");
    if one && !directory {
        return Ok(Target::File(out.clone()));
    }
    fs::create_dir_all(out).map_err(|error| Failure::io(out, &error))?;
    Ok(Target::Directory(out.clone()))
}

/// The records and the identity that are to be used, and the configuration where one was read. What is left out of the
/// records, and what could not be checked, is said.
fn epochs(args: &OpenArgs) -> Result<(Arc<OfflineEpochs>, Option<Gateway>), Failure> {
    let mut sources = [args.records.as_slice(), args.bundle.as_slice()].concat();
    let mut gateway = None;
    let identity: Identity = if sources.is_empty() || args.keys.is_given() {
        let custody = args.keys.resolve()?;
        sources.push(custody.directory.clone());
        let identity = custody.identity(&args.identity)?;
        gateway = custody.gateway;
        identity
    } else {
        let Some(identity) = &args.identity.identity else {
            return Err(Failure::usage(
                "give --identity with --records and --bundle",
            ));
        };
        open_identity(identity, args.identity.passphrase_file.as_deref())?
    };
    let epochs = OfflineEpochs::read(&sources, identity)?;
    for (record, error) in epochs.refused() {
        eprintln!("open: record {record} is left out: {error}");
    }
    if epochs.unsigned() {
        eprintln!(
            "open: who may write records is not known here: they are checked against their ids, not against signatures"
        );
    }
    Ok((Arc::new(epochs), gateway))
}

struct Opening {
    epochs: Arc<OfflineEpochs>,
    target: Target,
    resume: bool,
    progress: Progress,
    skipped: u64,
    failed: Vec<Value>,
    exit: Exit,
}

impl Opening {
    /// Opens one object; a failure is noted and the next one is taken.
    fn one(&mut self, path: &Path, relative: &Path) {
        let out = match &self.target {
            Target::Nowhere | Target::Standard => None,
            Target::File(file) => Some(file.clone()),
            Target::Directory(directory) => Some(directory.join(relative)),
        };
        if self.resume && out.as_ref().is_some_and(|out| out.exists()) {
            self.skipped += 1;
            return;
        }
        match self.open(path, out.as_deref()) {
            Ok(bytes) => self.progress.opened(bytes),
            Err(OpenFault::File(error)) => {
                self.failed(path, Exit::Failed, "file", &error.to_string());
            }
            Err(OpenFault::Refused(error)) => {
                let exit = match error {
                    OpenError::UnknownEpoch | OpenError::KeyUnavailable(_) => Exit::Keys,
                    _ => Exit::Integrity,
                };
                self.failed(path, exit, error.name(), &error.to_string());
            }
        }
    }

    fn open(&self, path: &Path, out: Option<&Path>) -> Result<u64, OpenFault> {
        let mut source = File::open(path)?;
        match (out, &self.target) {
            (Some(out), _) => {
                if let (Target::Directory(_), Some(parent)) = (&self.target, out.parent()) {
                    fs::create_dir_all(parent)?;
                }
                let mut output = Output::create(out)?;
                let bytes = open_object(&mut source, &self.epochs, &mut output)?;
                output.keep()?;
                Ok(bytes)
            }
            (None, Target::Standard) => {
                open_object(&mut source, &self.epochs, &mut io::stdout().lock())
            }
            (None, _) => open_object(&mut source, &self.epochs, &mut io::sink()),
        }
    }

    fn failed(&mut self, path: &Path, exit: Exit, class: &str, message: &str) {
        self.progress.failed();
        eprintln!("open: {}: {message}", path.display());
        self.failed
            .push(json!({"file": path, "class": class, "error": message}));
        // what did not authenticate matters most, then what could not be tried
        if exit as u8 > self.exit as u8 {
            self.exit = exit;
        }
    }

    fn answer(mut self) -> Answer {
        self.progress.end();
        let (objects, bytes) = (self.progress.objects, self.progress.bytes);
        let verb = match self.target {
            Target::Nowhere => "verified",
            _ => "opened",
        };
        let mut text = format!("{objects} objects {verb}, {bytes} bytes");
        if self.skipped > 0 {
            text.push_str(&format!(", {} there already", self.skipped));
        }
        if !self.failed.is_empty() {
            text.push_str(&format!(", {} FAILED", self.failed.len()));
        }
        let json = json!({
            "objects": objects,
            "bytes": bytes,
            "skipped": self.skipped,
            "epochs": self.epochs.len(),
            "signatures_checked": !self.epochs.unsigned(),
            "failed": self.failed,
        });
        if matches!(self.target, Target::Standard) {
            eprintln!("open: {text}");
            text.clear();
        }
        Answer {
            exit: self.exit,
            text,
            json,
        }
    }
}
