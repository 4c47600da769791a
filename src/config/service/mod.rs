//! One file of `services.d`: what every kind of service has, and one module a kind for the rest.

mod graph;
mod http;
mod s3;
mod webdav;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::fault::nearest;
use super::files::{Files, read_certificates};
use super::lowered::{Kind, Service, Transport};
use super::section::Section;
use super::value;
use crate::policy::Policy;
use crate::seal::Context;
use crate::seal::scan::Language;

/// Reads what only one kind of service has.
type ReadKind = fn(&mut Section<'_, '_>, &Files, Option<Identity>) -> Particulars;

/// Of error pages and markers.
pub(super) const LANGUAGES: &[(&str, Language)] =
    &[("fr", Language::French), ("en", Language::English)];

const KINDS: &[(&str, ReadKind)] = &[
    ("s3", s3::read),
    ("webdav", webdav::read),
    ("http", http::read),
    ("graph", graph::read),
];

/// What the file says. Hosts stand apart: they are checked against certificates even where another part has a fault.
pub(super) struct Read {
    pub hosts: Vec<(Range<usize>, String)>,
    pub virtual_host: bool,
    pub service: Option<Service>,
}

/// Who the service is, whatever its kind.
struct Identity {
    name: String,
    context: Context,
    /// Lower case, without port.
    hosts: Vec<String>,
}

/// What a kind's own keys say.
struct Particulars {
    /// Whether `label.host` is served too, and so needs a certificate.
    virtual_host: bool,
    /// `None`: there is a fault, and it is reported.
    rest: Option<Rest>,
}

struct Rest {
    policy: Policy,
    transport: Transport,
    kind: Kind,
}

/// The keys of a file whose kind is not known are not judged.
pub(super) fn read(mut root: Section<'_, '_>, files: &Files, file: PathBuf) -> Read {
    let kind = root.required("kind", value::one_of(KINDS));
    let place = root.place("name");
    let name = root.required("name", value::identifier);
    if let Some(name) = &name {
        root.unique(&place, "name", name);
    }
    let context = context(&mut root);
    let hosts = hosts(&mut root);
    let host_names: Vec<String> = hosts
        .iter()
        .flatten()
        .map(|(_, host)| host.clone())
        .collect();
    let identity = match (name.clone(), context) {
        (Some(name), Some(context)) => Some(Identity {
            name,
            context,
            hosts: host_names.clone(),
        }),
        _ => None,
    };
    let particulars = kind.map(|read| {
        let particulars = read(&mut root, files, identity);
        root.finish();
        particulars
    });
    let virtual_host = particulars.as_ref().is_some_and(|own| own.virtual_host);
    let rest = particulars.and_then(|own| own.rest);
    Read {
        hosts: hosts.unwrap_or_default(),
        virtual_host,
        service: name.zip(rest).map(|(name, rest)| Service {
            file,
            name,
            hosts: host_names,
            policy: rest.policy,
            transport: rest.transport,
            kind: rest.kind,
        }),
    }
}

fn context(root: &mut Section<'_, '_>) -> Option<Context> {
    let tenant = root.required("tenant", value::identifier);
    let place = root.place("service");
    let service = root.required("service", value::identifier);
    let namespace = root.or("namespace", "\"default\"", value::identifier);
    let (tenant, service, namespace) = (tenant?, service?, namespace?);
    root.unique(&place, "service", &format!("{tenant}/{service}"));
    Context::new(&tenant, &service, &namespace)
        .map_err(|error| root.fault_at(&place, error.to_string()))
        .ok()
}

fn hosts(root: &mut Section<'_, '_>) -> Option<Vec<(Range<usize>, String)>> {
    let place = root.place("hosts");
    let hosts = root.items("hosts", None, value::host)?;
    if hosts.is_empty() {
        root.fault_at(&place, "`hosts`: name at least one");
        return None;
    }
    for (place, host) in &hosts {
        root.unique(place, "host", host);
    }
    Some(hosts)
}

/// The keys of `[upstream]` that say how the provider is reached; the kind reads the others and finishes the table.
fn transport(section: &mut Section<'_, '_>, files: &Files) -> Option<Transport> {
    let endpoint = section.required("url", value::endpoint);
    let ca_place = section.place("ca_file");
    let pinned = section.optional("ca_file", value::string).map(|name| {
        read_certificates(&files.path(name))
            .map_err(|message| section.fault_at(&ca_place, format!("`ca_file`: {message}")))
    });
    let connect_timeout = section.or("connect_timeout", "\"10s\"", value::duration);
    let response_timeout = section.or("response_timeout", "\"60s\"", value::duration);
    Some(Transport {
        endpoint: endpoint?,
        connect: None,
        pinned: match pinned {
            Some(read) => Some(Arc::from(read.ok()?)),
            None => None,
        },
        connect_timeout: connect_timeout?,
        response_timeout: response_timeout?,
    })
}

/// `[policy]`: the groups that the kind knows, each by its name.
fn policy(mut section: Section<'_, '_>, groups: &'static [&'static str]) -> Option<Vec<String>> {
    let allow = section.items("allow", Some("[]"), |value| {
        let group = value::string(value)?;
        if groups.contains(&group.as_str()) {
            return Ok(group);
        }
        let hint = match nearest(&group, groups.iter().copied()) {
            Some(near) => format!(", did you mean \"{near}\"?"),
            None => format!("; there are: {}", groups.join(", ")),
        };
        Err(format!("unknown group \"{group}\"{hint}"))
    });
    section.finish();
    Some(allow?.into_iter().map(|(_, group)| group).collect())
}
