//! `sceau open --token`: the tokens of a text that came past the gateway, as it streams.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use bytes::Bytes;
use clap::ValueEnum;
use memchr::memchr;

use crate::adapter::json::Wrong;
use crate::adapter::text::{Kind, Text};
use crate::app::outcome::{Answer, Exit, Failure};
use crate::config::Gateway;
use crate::keyring::offline::{OfContexts, OfflineEpochs};
use crate::seal::scan::{Language, Opens, Output, Reading, Scanner};
use crate::seal::token::Field;
use crate::seal::{Context, OpenError};

/// Bytes of standard input at a time.
const CHUNK: usize = 64 * 1024;
const STANDARD: &str = "-";

/// A text instead of files.
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    /// Open the tokens of this text, or with `-` or nothing behind it of standard input, and write it to standard
    /// output. What does not open becomes a marker, and the exit code is not 0
    #[arg(
        long,
        value_name = "TEXT|-",
        num_args = 0..=1,
        default_missing_value = STANDARD,
        conflicts_with_all = ["files", "out", "verify", "resume", "json"]
    )]
    token: Option<String>,
    /// With --token: what the text is written in, and so how opened values are written into it [default: text]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// With --token: open the tokens of this service alone, by its `name`; without a configuration by the service
    /// itself [default: of every service whose records are there]
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// With --token: open the tokens of this field alone; several may be given [default: of every field]
    #[arg(long, value_name = "NAME")]
    field: Vec<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Opened values stand as they are
    Text,
    /// Opened values are escaped, but for bodies that were written in HTML
    Html,
    /// One JSON document, or one a line: opened in strings, and escaped
    Json,
}

impl TokenArgs {
    /// The text that is to be opened, if one is.
    ///
    /// # Errors
    /// None is, and it is said how.
    pub fn given(&self) -> Result<Option<&str>, Failure> {
        let told = self.format.is_some() || self.service.is_some() || !self.field.is_empty();
        match &self.token {
            None if told => Err(Failure::usage(
                "--format, --service and --field belong to --token",
            )),
            token => Ok(token.as_deref()),
        }
    }
}

/// Writes the text to standard output, opened; says on standard error what of it does not open.
///
/// # Errors
/// A service without records, a text that is no JSON and should be, or a stream that fails.
pub fn open(
    text: &str,
    args: &TokenArgs,
    epochs: Arc<OfflineEpochs>,
    gateway: Option<&Gateway>,
) -> Result<Answer, Failure> {
    let only = match &args.service {
        Some(name) => Some(contexts(name, &epochs, gateway)?),
        None => None,
    };
    let kind = match args.format {
        None | Some(Format::Text) => Kind::Plain,
        Some(Format::Html) => Kind::Html,
        Some(Format::Json) => Kind::Json,
    };
    let opens = match args.field.as_slice() {
        [] => Opens::Anything,
        names => Opens::Of(names.iter().map(|name| Field::named(name)).collect()),
    };
    let reading = Reading {
        keys: Arc::new(OfContexts::new(epochs, only)),
        encoding: kind.encoding(),
        language: Language::English,
    };
    let mut opening = Opening::new(Text::new(kind, opens), reading);
    if text == STANDARD {
        opening.standard_input()?;
    } else {
        opening.push(Bytes::copy_from_slice(text.as_bytes()))?;
    }
    opening.finish()
}

/// # Errors
/// No service of that name, or none whose records are there.
fn contexts(
    name: &str,
    epochs: &OfflineEpochs,
    gateway: Option<&Gateway>,
) -> Result<Vec<Context>, Failure> {
    if let Some(gateway) = gateway {
        let named = gateway.services.iter().find(|service| service.name == name);
        let service = named.ok_or_else(|| {
            Failure::usage(format!("the configuration has no service named `{name}`"))
        })?;
        return Ok(vec![service.kind.context().clone()]);
    }
    let of_service = epochs
        .contexts()
        .filter(|context| context.service() == name);
    let contexts: Vec<Context> = of_service.cloned().collect();
    if contexts.is_empty() {
        return Err(Failure::new(
            Exit::Keys,
            "record-unknown",
            format!("there is no record of a service `{name}`"),
        ));
    }
    Ok(contexts)
}

struct Opening {
    text: Text,
    scanner: Scanner,
    out: Output,
    /// Codes of the markers that were written since this was asked last.
    marked: Receiver<&'static str>,
    line: u64,
    failed: u64,
    exit: Exit,
}

impl Opening {
    fn new(text: Text, reading: Reading) -> Self {
        let (told, marked) = mpsc::channel();
        let scanner = Scanner::new(reading, Opens::Nothing);
        Self {
            text,
            scanner: scanner.telling(move |code| {
                // the other end lives as long
                let _ = told.send(code);
            }),
            out: Output::default(),
            marked,
            line: 1,
            failed: 0,
            exit: Exit::Done,
        }
    }

    fn standard_input(&mut self) -> Result<(), Failure> {
        let mut input = io::stdin().lock();
        loop {
            let mut chunk = vec![0; CHUNK];
            match input.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(n) => {
                    chunk.truncate(n);
                    self.push(chunk.into())?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::io("standard input".as_ref(), &error)),
            }
        }
    }

    /// Goes line by line, so that it can be said where something does not open.
    fn push(&mut self, mut piece: Bytes) -> Result<(), Failure> {
        while !piece.is_empty() {
            let end = memchr(b'\n', &piece).map_or(piece.len(), |at| at + 1);
            let line = piece.split_to(end);
            let ends = line.ends_with(b"\n");
            let pushed = self.text.push(line, &mut self.scanner, &mut self.out);
            self.say_marked();
            pushed.map_err(malformed)?;
            self.line += u64::from(ends);
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), Failure> {
        let mut standard = io::stdout().lock();
        let mut written = Ok(());
        while let (Ok(()), Some(piece)) = (&written, self.out.pop()) {
            written = standard.write_all(&piece);
        }
        written
            .and_then(|()| standard.flush())
            .map_err(|error| Failure::io("standard output".as_ref(), &error))
    }

    fn say_marked(&mut self) {
        let keys = [
            OpenError::UnknownEpoch.name(),
            OpenError::KeyUnavailable(String::new()).name(),
        ];
        for code in self.marked.try_iter() {
            eprintln!("open: line {}: a token does not open: {code}", self.line);
            self.failed += 1;
            let exit = match keys.contains(&code) {
                true => Exit::Keys,
                false => Exit::Integrity,
            };
            if exit as u8 > self.exit as u8 {
                self.exit = exit;
            }
        }
    }

    fn finish(mut self) -> Result<Answer, Failure> {
        let finished = self.text.finish(&mut self.scanner, &mut self.out);
        self.say_marked();
        finished.map_err(malformed)?;
        self.write()?;
        let found = self.scanner.found();
        let mut said = format!("{} tokens opened", found.opened);
        if self.failed > 0 {
            said.push_str(&format!(", {} FAILED", self.failed));
        }
        if found.kept > 0 {
            said.push_str(&format!(
                ", {} left sealed in names of members, where none opens",
                found.kept
            ));
            self.exit = Exit::Integrity;
        }
        eprintln!("open: {said}");
        Ok(Answer {
            exit: self.exit,
            ..Answer::new(String::new(), serde_json::Value::Null)
        })
    }
}

fn malformed(wrong: Wrong) -> Failure {
    Failure::new(Exit::Failed, "text-malformed", wrong.to_string())
}
