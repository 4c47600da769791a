//! `[admin]`: the listener for programs of the administration's.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use super::files::{Files, read_certificates};
use super::lowered::Admin;
use super::section::Section;
use super::service::LANGUAGES;
use super::value;
use crate::adapter::admin::settings::{BearerSecret, Settings, Subscriber};
use crate::seal::token::Field;

/// What the section says, and the places of what only other files can tell to be right.
pub(super) struct Read {
    /// Where the host's name stands.
    pub host: Option<(Range<usize>, String)>,
    /// The services' names.
    pub services: Vec<(Range<usize>, String)>,
    /// `None`: there is a fault, and it is reported.
    pub admin: Option<Admin>,
}

pub(super) fn read(mut section: Section<'_, '_>, files: &Files) -> Read {
    let bind_place = section.place("bind");
    let bind = section.required("bind", value::socket);
    if let Some(bind) = bind.filter(|bind| bind.port() != 0) {
        section.unique(&bind_place, "listener", &bind.to_string());
    }
    let host_place = section.place("host");
    let host = section.required("host", value::host);
    if let Some(host) = &host {
        section.unique(&host_place, "host", host);
    }
    let authorities = authorities(&mut section, files);
    if let (Some(bind), Some(None)) = (bind, &authorities) {
        refuse_reachable(&section, &bind_place, bind);
    }
    let in_flight = section.or("in_flight", "16", value::small_count);
    let max_text = section.or("max_text", "\"1 MiB\"", value::size);
    let language = section.or("language", "\"fr\"", value::one_of(LANGUAGES));
    let mut services = Vec::new();
    let subscribers = subscribers(&mut section, files, &mut services);
    section.finish();
    let admin = || {
        Some(Admin {
            bind: bind?,
            host: host.clone()?,
            client_authorities: authorities?,
            in_flight: in_flight?,
            settings: Settings {
                max_text: max_text?,
                language: language?,
                subscribers: subscribers?,
            },
        })
    };
    Read {
        services,
        admin: admin(),
        host: host.map(|host| (host_place, host)),
    }
}

/// `Some(None)`: clients need no certificate.
fn authorities(
    section: &mut Section<'_, '_>,
    files: &Files,
) -> Option<Option<Arc<[rustls_pki_types::CertificateDer<'static>]>>> {
    let place = section.place("client_ca_file");
    if !section.has("client_ca_file") {
        section.know("client_ca_file");
        return Some(None);
    }
    let name = section.optional("client_ca_file", value::string)?;
    match read_certificates(&files.path(name)) {
        Ok(authorities) => Some(Some(authorities.into())),
        Err(message) => {
            section.fault_at(&place, format!("`client_ca_file`: {message}"));
            None
        }
    }
}

/// A secret alone is enough for those on the same machine.
fn refuse_reachable(section: &Section<'_, '_>, place: &Range<usize>, bind: SocketAddr) {
    if !bind.ip().is_loopback() {
        section.fault_at(
            place,
            "`bind`: beyond this machine's own addresses (127.0.0.1, [::1]) clients must have a certificate: name its authority with `client_ca_file`",
        );
    }
}

fn subscribers(
    section: &mut Section<'_, '_>,
    files: &Files,
    services: &mut Vec<(Range<usize>, String)>,
) -> Option<Vec<Subscriber>> {
    let sections = section.tables("subscriber");
    if sections.is_empty() {
        section.fault("[admin] serves nobody: add [[admin.subscriber]]");
        return None;
    }
    let mut read: Vec<Option<Subscriber>> = Vec::new();
    for mut section in sections {
        let place = section.place("secret_file");
        let subscriber = subscriber(&mut section, files, services);
        if let Some(subscriber) = &subscriber
            && read
                .iter()
                .flatten()
                .any(|other| other.secret.same(&subscriber.secret))
        {
            section.fault_at(&place, "two subscribers have the same secret");
        }
        section.finish();
        read.push(subscriber);
    }
    read.into_iter().collect()
}

fn subscriber(
    section: &mut Section<'_, '_>,
    files: &Files,
    services: &mut Vec<(Range<usize>, String)>,
) -> Option<Subscriber> {
    let place = section.place("name");
    let name = section.required("name", value::identifier);
    if let Some(name) = &name {
        section.unique(&place, "subscriber", name);
    }
    let key = match section.has("secret_file") {
        true => "secret_file",
        false => "secret_credential",
    };
    let place = section.place(key);
    let secret = files.secret(section, "secret_file", "secret_credential");
    let secret = secret.and_then(|secret| {
        BearerSecret::new(&secret)
            .map_err(|message| section.fault_at(&place, format!("`{key}`: {message}")))
            .ok()
    });
    let place = section.place("services");
    let named = section.items("services", None, value::identifier);
    if named.as_ref().is_some_and(Vec::is_empty) {
        section.fault_at(&place, "`services`: name at least one");
    }
    let named = named.filter(|named| !named.is_empty());
    services.extend(named.iter().flatten().cloned());
    let fields = match section.has("fields") {
        true => Some(section.optional("fields", value::list(value::string))?),
        false => {
            section.know("fields");
            None
        }
    };
    Some(Subscriber {
        name: name?.into(),
        secret: secret?,
        services: named?.into_iter().map(|(_, name)| name).collect(),
        fields: fields.map(|names| names.iter().map(|name| Field::named(name)).collect()),
    })
}
