//! How a command ends: its exit code, and what it prints for people or for programs.

use std::io::{self, Write as _};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::config::Faults;
use crate::keyring::KeyError;

/// The exit codes; `docs/operators-guide.md` has the same table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    /// `check` found faults, a claim of `demo` failed, or the command failed otherwise.
    Failed = 1,
    /// Arguments, or a directory that is in use. The same code as of a command line that can't be parsed.
    Usage = 2,
    /// The configuration is refused.
    Configuration = 3,
    /// Keys are missing, damaged, or not opened by what was given.
    Keys = 4,
    /// The state store can't be used.
    State = 5,
    /// The provider can't be reached, or refuses.
    Provider = 6,
    /// Something that should be sealed did not authenticate.
    Integrity = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did nothing.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// Stable, for programs.
    pub code: &'static str,
    pub message: String,
}

impl Failure {
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            exit,
            code,
            message: message.into(),
        }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    pub fn io(path: &std::path::Path, error: &io::Error) -> Self {
        let message = format!("{}: {error}", path.display());
        Self::new(Exit::Failed, "file", message)
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        let exit = match &error {
            KeyError::Exists(_) | KeyError::Locked => Exit::Usage,
            _ => Exit::Keys,
        };
        Self::new(exit, error.name(), error.to_string())
    }
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        let lines: Vec<String> = faults.0.iter().map(ToString::to_string).collect();
        Self::new(
            Exit::Configuration,
            "configuration-refused",
            lines.join("\n"),
        )
    }
}

/// What a command that ran says.
#[derive(Debug)]
pub struct Answer {
    pub exit: Exit,
    /// For people; lines without the last line's end.
    pub text: String,
    pub json: Value,
}

impl Answer {
    pub fn new(text: impl Into<String>, json: Value) -> Self {
        Self {
            exit: Exit::Done,
            text: text.into(),
            json,
        }
    }
}

/// Prints a command's outcome: answers to standard output, failures to standard error, with `json` both to standard output.
pub fn conclude(command: &str, json: bool, outcome: Result<Answer, Failure>) -> ExitCode {
    let (exit, said) = match outcome {
        Ok(answer) if json => (answer.exit, say(&answer.json.to_string())),
        Ok(answer) => (answer.exit, say(&answer.text)),
        Err(failure) if json => {
            let value = json!({"error": failure.message, "code": failure.code});
            (failure.exit, say(&value.to_string()))
        }
        Err(failure) => {
            eprintln!("{command}: {}", failure.message);
            (failure.exit, Ok(()))
        }
    };
    match said {
        Ok(()) => exit.into(),
        Err(_) => Exit::Failed.into(),
    }
}

fn say(text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}
