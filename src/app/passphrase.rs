//! Passphrases: from a file, or asked for on the terminal without echo.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::{Zeroize as _, Zeroizing};

use super::outcome::{Exit, Failure};
use crate::config;
use crate::secret::SecretBytes;

/// Longer lines are no passphrases; room for them is made at once, so that none is left behind by growing.
const LONGEST: usize = 4096;

/// The passphrase that opens something: `option`'s file, or asked for.
pub fn existing(file: Option<&Path>, option: &str, of: &str) -> Result<SecretBytes, Failure> {
    match file {
        Some(file) => read(file, option),
        None => Terminal::open(option)?.ask(&format!("Passphrase of {of}: ")),
    }
}

/// A passphrase for something new: `option`'s file, or asked for twice.
pub fn fresh(file: Option<&Path>, option: &str, of: &str) -> Result<SecretBytes, Failure> {
    if let Some(file) = file {
        return read(file, option);
    }
    let mut terminal = Terminal::open(option)?;
    let first = terminal.ask(&format!("New passphrase for {of}: "))?;
    let second = terminal.ask("The same again: ")?;
    if first.expose() != second.expose() {
        return Err(Failure::usage("the passphrases differ"));
    }
    Ok(first)
}

fn read(file: &Path, option: &str) -> Result<SecretBytes, Failure> {
    config::read_secret_file(file).map_err(|message| {
        Failure::new(
            Exit::Keys,
            "passphrase-unreadable",
            format!("{option} {}: {message}", file.display()),
        )
    })
}

struct Terminal {
    input: BufReader<File>,
    output: File,
}

impl Terminal {
    fn open(option: &str) -> Result<Self, Failure> {
        let refuse = |_| Failure::usage(format!("there is no terminal to ask on: give {option}"));
        let tty = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/tty")
            .map_err(refuse)?;
        let output = tty.try_clone().map_err(refuse)?;
        Ok(Self {
            input: BufReader::new(tty),
            output,
        })
    }

    fn ask(&mut self, prompt: &str) -> Result<SecretBytes, Failure> {
        let failed =
            |error| Failure::new(Exit::Failed, "terminal", format!("the terminal: {error}"));
        let quiet = Quiet::new(&self.output).map_err(|error| failed(error.into()))?;
        self.output.write_all(prompt.as_bytes()).map_err(failed)?;
        let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
        self.input.read_until(b'\n', &mut line).map_err(failed)?;
        drop(quiet);
        self.output.write_all(b"\n").map_err(failed)?;
        let kept = line.trim_ascii_end().len();
        if kept == 0 || kept >= LONGEST {
            return Err(Failure::usage("no passphrase was given"));
        }
        let mut passphrase = std::mem::take(&mut *line);
        passphrase[kept..].zeroize();
        passphrase.truncate(kept);
        Ok(SecretBytes::new(passphrase))
    }
}

/// The terminal without echo, until dropped.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn new(terminal: &File) -> rustix::io::Result<Self> {
        let terminal = terminal.try_clone().map_err(|_| rustix::io::Errno::BADF)?;
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // nothing is left to do when the terminal has gone
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}
