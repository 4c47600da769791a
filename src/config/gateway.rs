//! `gateway.toml`.

use std::path::Path;

use super::admin;
use super::files::{Files, credential_name};
use super::lowered::{Certificate, Limits, Listener, Log};
use super::section::Section;
use super::value;
use crate::keyring::{self, Provider, admin::identity_path};
use crate::state;

/// Whether the recovery recipient may be missing.
const RECOVERY: &[(&str, bool)] = &[("required", false), ("none", true)];

#[derive(Clone, Copy, PartialEq, Eq)]
enum ProviderKind {
    PassphraseFile,
    SystemdCredential,
    SealOnly,
}

const PROVIDERS: &[(&str, ProviderKind)] = &[
    ("passphrase-file", ProviderKind::PassphraseFile),
    ("systemd-credential", ProviderKind::SystemdCredential),
    ("seal-only", ProviderKind::SealOnly),
];

/// What the file says; a part that has a fault is `None`.
pub(super) struct Read {
    pub listeners: Option<Vec<Listener>>,
    pub certificates: Option<Vec<Certificate>>,
    /// `Some(None)`: there is none.
    pub local_ca: Option<Option<Certificate>>,
    pub keys: Option<keyring::Settings>,
    pub state: Option<state::Settings>,
    pub limits: Option<Limits>,
    pub log: Option<Log>,
    /// `None`: there is no such section.
    pub admin: Option<admin::Read>,
}

pub(super) fn read(mut root: Section<'_, '_>, files: &Files) -> Read {
    let read = Read {
        listeners: listeners(&mut root),
        certificates: certificates(&mut root, files),
        local_ca: local_ca(&mut root, files),
        keys: keys(root.table("keys"), files),
        state: state(root.table("state"), files),
        limits: limits(root.table("limits")),
        log: log(root.table("log")),
        admin: admin(&mut root, files),
    };
    root.finish();
    read
}

fn admin(root: &mut Section<'_, '_>, files: &Files) -> Option<admin::Read> {
    if !root.has("admin") {
        root.know("admin");
        return None;
    }
    Some(admin::read(root.table("admin"), files))
}

fn listeners(root: &mut Section<'_, '_>) -> Option<Vec<Listener>> {
    let sections = root.tables("listener");
    if sections.is_empty() {
        root.fault("no listener is configured: add [[listener]] with `bind`");
        return None;
    }
    // each is read, so that the faults of all are found
    let read: Vec<Option<Listener>> = sections.into_iter().map(listener).collect();
    read.into_iter().collect()
}

fn listener(mut section: Section<'_, '_>) -> Option<Listener> {
    let place = section.place("bind");
    let bind = section.required("bind", value::socket);
    let tls12 = section.or("tls12", "false", value::boolean);
    // port 0 asks for any free port, a different one each time
    if let Some(bind) = bind.filter(|bind| bind.port() != 0) {
        section.unique(&place, "listener", &bind.to_string());
    }
    section.finish();
    Some(Listener {
        bind: bind?,
        tls12: tls12?,
    })
}

fn certificates(root: &mut Section<'_, '_>, files: &Files) -> Option<Vec<Certificate>> {
    let read: Vec<Option<Certificate>> = root
        .tables("certificate")
        .into_iter()
        .map(|mut section| {
            let certificate = files.certificate(&mut section, "chain_file");
            section.finish();
            certificate
        })
        .collect();
    read.into_iter().collect()
}

fn local_ca(root: &mut Section<'_, '_>, files: &Files) -> Option<Option<Certificate>> {
    if !root.has("local_ca") {
        root.know("local_ca");
        return Some(None);
    }
    let mut section = root.table("local_ca");
    let ca = files.certificate(&mut section, "certificate_file");
    section.finish();
    ca.map(Some)
}

fn keys(mut section: Section<'_, '_>, files: &Files) -> Option<keyring::Settings> {
    let directory = section
        .or("directory", "\"keys\"", value::string)
        .map(|name| files.path(name));
    let recovery_none = section.or("recovery", "\"required\"", value::one_of(RECOVERY));
    let kind = section.or("provider", "\"passphrase-file\"", value::one_of(PROVIDERS));
    BELONGS.iter().for_each(|(key, _)| section.know(key));
    let provider = match (kind, &directory) {
        (Some(kind), Some(directory)) => provider(&mut section, kind, files, directory),
        _ => None,
    };
    let age = match kind {
        Some(ProviderKind::SealOnly) => "\"1h\"",
        _ => "\"24h\"",
    };
    let epoch_max_age = section.or("epoch_max_age", age, value::duration);
    let epoch_max_objects = section.or("epoch_max_objects", "4294967296", value::count);
    let cache_ttl = section.or("cache_ttl", "\"1h\"", value::duration);
    let cache_size = section.or("cache_size", "1024", value::small_count);
    section.finish();
    Some(keyring::Settings {
        directory: directory?,
        recovery_none: recovery_none?,
        provider: provider?,
        epoch_max_age: epoch_max_age?,
        epoch_max_objects: epoch_max_objects?,
        cache_ttl: cache_ttl?,
        cache_size: cache_size?,
    })
}

/// Which providers a key of theirs belongs to.
const BELONGS: &[(&str, &[ProviderKind])] = &[
    ("identity_file", &[ProviderKind::PassphraseFile]),
    ("passphrase_file", PASSPHRASE),
    ("passphrase_credential", PASSPHRASE),
    ("credential", &[ProviderKind::SystemdCredential]),
];
const PASSPHRASE: &[ProviderKind] = &[ProviderKind::PassphraseFile, ProviderKind::SealOnly];

fn provider(
    section: &mut Section<'_, '_>,
    kind: ProviderKind,
    files: &Files,
    directory: &Path,
) -> Option<Provider> {
    for &(key, owners) in BELONGS {
        if owners.contains(&kind) || !section.has(key) {
            continue;
        }
        let place = section.place(key);
        let message = format!("`{key}` has no meaning with this `provider`");
        let _ = section.optional(key, |_| Ok(()));
        section.fault_at(&place, message);
    }
    let passphrase =
        |section: &mut _| files.secret(section, "passphrase_file", "passphrase_credential");
    match kind {
        ProviderKind::PassphraseFile => {
            let identity = section.optional("identity_file", value::string);
            Some(Provider::PassphraseFile {
                passphrase: passphrase(section)?,
                identity: identity.map_or_else(
                    || identity_path(directory, "ministry"),
                    |name| files.path(name),
                ),
            })
        }
        ProviderKind::SystemdCredential => {
            let place = section.place("credential");
            let name = section.required("credential", credential_name)?;
            match files.credential_path(&name) {
                Ok(path) => Some(Provider::SystemdCredential { path }),
                Err(message) => {
                    section.fault_at(&place, format!("`credential`: {message}"));
                    None
                }
            }
        }
        ProviderKind::SealOnly => Some(Provider::SealOnly {
            passphrase: passphrase(section)?,
        }),
    }
}

fn state(mut section: Section<'_, '_>, files: &Files) -> Option<state::Settings> {
    let directory = section.or("directory", "\"state\"", value::string);
    let spool_quota = section.or("spool_quota", "\"16 GiB\"", value::size);
    let spool_age = section.or("spool_age", "\"30d\"", value::duration);
    let etags = section.or("etags", "2000000", value::count);
    section.finish();
    Some(state::Settings {
        directory: files.path(directory?),
        spool_quota: spool_quota?,
        spool_age: spool_age?,
        etags: etags?,
    })
}

fn limits(mut section: Section<'_, '_>) -> Option<Limits> {
    let connections = section.or("connections", "4096", value::small_count);
    let per_address = section.or("connections_per_address", "256", value::small_count);
    let streams = section.or("streams", "64", value::small_count);
    let header_bytes = section.or("header_bytes", "\"16 KiB\"", value::small_size);
    let header_timeout = section.or("header_timeout", "\"10s\"", value::duration);
    let idle_timeout = section.or("idle_timeout", "\"60s\"", value::duration);
    let handshake_timeout = section.or("handshake_timeout", "\"10s\"", value::duration);
    let minimum_rate = section.or("minimum_rate", "\"1 KiB\"", value::size);
    let drain_timeout = section.or("drain_timeout", "\"30s\"", value::duration);
    let in_flight = section.or("in_flight", "1024", value::small_count);
    let websockets = section.or("websockets", "2048", value::small_count);
    let websocket_ping = section.or("websocket_ping", "\"30s\"", value::duration);
    let websocket_idle = section.or("websocket_idle", "\"1h\"", value::duration);
    section.finish();
    Some(Limits {
        connections: connections?,
        connections_per_address: per_address?,
        streams: u32::try_from(streams?).ok()?,
        header_bytes: header_bytes?,
        header_timeout: header_timeout?,
        idle_timeout: idle_timeout?,
        handshake_timeout: handshake_timeout?,
        minimum_rate: minimum_rate?,
        drain_timeout: drain_timeout?,
        in_flight: in_flight?,
        websockets: websockets?,
        websocket_ping: websocket_ping?,
        websocket_idle: websocket_idle?,
    })
}

fn log(mut section: Section<'_, '_>) -> Option<Log> {
    let filter = section.or("filter", "\"info\"", |value| {
        let filter = value::string(value)?;
        tracing_subscriber::EnvFilter::try_new(&filter)
            .map_err(|error| format!("is no filter such as \"info\": {error}"))?;
        Ok(filter)
    });
    section.finish();
    Some(Log { filter: filter? })
}
