//! The operator's intent: `gateway.toml` and one file a service under `services.d`, read into parsed settings.
//!
//! Everything is checked before anything is used, and every fault of every file is reported at once.

mod admin;
mod cross;
mod fault;
mod files;
mod gateway;
mod guidance;
mod lowered;
mod section;
mod service;
mod value;

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use toml::de::DeTable;

pub use fault::{Decision, Fault, Faults};
pub use lowered::{
    Admin, Certificate, Endpoint, Gateway, Kind, Limits, Listener, Log, Service, Transport,
};

use crate::secret::SecretBytes;
use fault::{Report, Source};
use files::Files;
use section::Section;

/// The file's name when a directory is given.
const GATEWAY: &str = "gateway.toml";
/// Beside it: one file a service.
const SERVICES: &str = "services.d";

/// Reads `gateway.toml` (or the directory that holds it) and the files of `services.d` beside it.
///
/// # Errors
/// Every fault of every file.
pub fn load(path: &Path) -> Result<Gateway, Faults> {
    let report = Report::default();
    let gateway = read(path, &report);
    let decisions = report.close()?;
    match gateway {
        Some(gateway) => Ok(Gateway {
            decisions,
            ..gateway
        }),
        None => Err(Faults(vec![Fault {
            file: GATEWAY.to_owned(),
            line: 1,
            column: 1,
            message: "the configuration is incomplete".to_owned(),
        }])),
    }
}

/// A secret in a file of its own, under the rules of a configuration's `_file` keys.
///
/// # Errors
/// It can't be read, is empty, or open to every user.
pub fn read_secret_file(file: &Path) -> Result<SecretBytes, String> {
    files::read_secret(file, true)
}

fn read(path: &Path, report: &Report) -> Option<Gateway> {
    let path = if path.is_dir() {
        path.join(GATEWAY)
    } else {
        path.to_owned()
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let name = path.file_name()?.to_string_lossy().into_owned();
    let files = Files {
        credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
        directory: directory.clone(),
    };
    let main = source(report, &path, name)?;
    let services = service_sources(report, &directory);
    let digest = digest(std::iter::once(&main).chain(&services));

    let gateway = with_table(report, &main, |root| gateway::read(root, &files));
    let read: Vec<_> = services
        .iter()
        .map(|source| {
            let file = PathBuf::from(&source.name);
            (
                source,
                with_table(report, source, |root| service::read(root, &files, file)),
            )
        })
        .collect();
    cross::check(
        report,
        gateway.as_ref().map(|gateway| (&main, gateway)),
        &read,
    );
    let gateway = gateway?;
    let services = read
        .into_iter()
        .map(|(_, read)| read.and_then(|read| read.service))
        .collect::<Option<Vec<_>>>()?;
    Some(Gateway {
        directory,
        digest,
        listeners: gateway.listeners?,
        certificates: gateway.certificates?,
        local_ca: gateway.local_ca?,
        keys: gateway.keys?,
        state: gateway.state?,
        limits: gateway.limits?,
        log: gateway.log?,
        admin: match gateway.admin {
            Some(read) => Some(read.admin?),
            None => None,
        },
        services,
        decisions: Vec::new(),
    })
}

fn service_sources(report: &Report, directory: &Path) -> Vec<Source> {
    let names = service_files(report, directory);
    if names.is_empty() {
        report.file_fault(
            SERVICES,
            "no service is configured: add a file such as 10-name.toml",
        );
    }
    names
        .into_iter()
        .filter_map(|name| {
            let path = directory.join(SERVICES).join(&name);
            source(report, &path, format!("{SERVICES}/{name}"))
        })
        .collect()
}

fn source(report: &Report, path: &Path, name: String) -> Option<Source> {
    let text = files::read(path).and_then(|bytes| {
        String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", path.display()))
    });
    match text {
        Ok(text) => Some(Source { name, text }),
        Err(message) => {
            report.file_fault(&name, message);
            None
        }
    }
}

/// Names of the service files, in order. What is neither hidden nor switched off must be one.
fn service_files(report: &Report, directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory.join(SERVICES)) else {
        return Vec::new();
    };
    let mut names = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name.ends_with(".disabled") || name.starts_with("README") {
            continue;
        }
        if name.ends_with(".toml") {
            names.push(name);
        } else {
            report.file_fault(
                &format!("{SERVICES}/{name}"),
                "is no service file: they end in .toml (.disabled switches one off)",
            );
        }
    }
    names.sort();
    names
}

/// Parses a file; of one that is no TOML every syntax error is a fault, and nothing more of it is read.
fn with_table<T>(
    report: &Report,
    source: &Source,
    read: impl FnOnce(Section<'_, '_>) -> T,
) -> Option<T> {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    for error in &errors {
        report.fault(source, &error.span().unwrap_or(0..0), error.message());
    }
    errors
        .is_empty()
        .then(|| read(Section::root(report, source, table.get_ref())))
}

fn digest<'a>(sources: impl Iterator<Item = &'a Source>) -> String {
    let mut hash = Sha256::new();
    for source in sources {
        for part in [&source.name, &source.text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    hex::encode(hash.finalize())
}
