//! `gateway.toml`.

use super::files::{Files, credential_name};
use super::lowered::{Certificate, Keys, Limits, Listener, Log, Provider, Recovery};
use super::section::Section;
use super::value;
use crate::state;

const RECOVERY: &[(&str, Recovery)] = &[("required", Recovery::Required), ("none", Recovery::None)];

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
    pub keys: Option<Keys>,
    pub state: Option<state::Settings>,
    pub limits: Option<Limits>,
    pub log: Option<Log>,
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
    };
    root.finish();
    read
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
        root.know(&["local_ca"]);
        return Some(None);
    }
    let mut section = root.table("local_ca");
    let ca = files.certificate(&mut section, "certificate_file");
    section.finish();
    ca.map(Some)
}

fn keys(mut section: Section<'_, '_>, files: &Files) -> Option<Keys> {
    let directory = section.or("directory", "\"keys\"", value::string);
    let recovery = section.or("recovery", "\"required\"", value::one_of(RECOVERY));
    let kind = section.or("provider", "\"passphrase-file\"", value::one_of(PROVIDERS));
    let provider = kind.and_then(|kind| provider(&mut section, kind, files));
    let age = match kind {
        Some(ProviderKind::SealOnly) => "\"1h\"",
        _ => "\"24h\"",
    };
    let epoch_max_age = section.or("epoch_max_age", age, value::duration);
    let epoch_max_objects = section.or("epoch_max_objects", "4294967296", value::count);
    let cache_ttl = section.or("cache_ttl", "\"10m\"", value::duration);
    let cache_size = section.or("cache_size", "1024", value::small_count);
    section.finish();
    Some(Keys {
        directory: files.path(directory?),
        recovery: recovery?,
        provider: provider?,
        epoch_max_age: epoch_max_age?,
        epoch_max_objects: epoch_max_objects?,
        cache_ttl: cache_ttl?,
        cache_size: cache_size?,
    })
}

fn provider(section: &mut Section<'_, '_>, kind: ProviderKind, files: &Files) -> Option<Provider> {
    section.know(&["identity_file", "passphrase_file", "credential"]);
    let belongs = [
        ("identity_file", ProviderKind::PassphraseFile),
        ("passphrase_file", ProviderKind::PassphraseFile),
        ("credential", ProviderKind::SystemdCredential),
    ];
    for (key, owner) in belongs {
        if owner != kind && section.has(key) {
            let place = section.place(key);
            let _ = section.optional(key, |_| Ok(()));
            section.fault_at(
                &place,
                format!("`{key}` has no meaning with this `provider`"),
            );
        }
    }
    match kind {
        ProviderKind::PassphraseFile => {
            let identity = section.optional("identity_file", value::string);
            let place = section.place("passphrase_file");
            let passphrase_file = files.required(section, "passphrase_file")?;
            if let Err(message) = Files::readable_secret(&passphrase_file) {
                section.fault_at(&place, format!("`passphrase_file`: {message}"));
            }
            Some(Provider::PassphraseFile {
                identity_file: identity.map(|name| files.path(name)),
                passphrase_file,
            })
        }
        ProviderKind::SystemdCredential => section
            .required("credential", credential_name)
            .map(|name| Provider::SystemdCredential { name }),
        ProviderKind::SealOnly => Some(Provider::SealOnly),
    }
}

fn state(mut section: Section<'_, '_>, files: &Files) -> Option<state::Settings> {
    let directory = section.or("directory", "\"state\"", value::string);
    let spool_quota = section.or("spool_quota", "\"16 GiB\"", value::size);
    let spool_age = section.or("spool_age", "\"30d\"", value::duration);
    section.finish();
    Some(state::Settings {
        directory: files.path(directory?),
        spool_quota: spool_quota?,
        spool_age: spool_age?,
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
