//! `kind = "graph"`.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use toml::de::DeValue;

use super::{Identity, LANGUAGES, Particulars, Rest, policy};
use crate::adapter::graph::settings::{Host, Part, Redirects, Role, Settings};
use crate::adapter::graph::table::GROUPS;
use crate::config::files::{Files, read_certificates};
use crate::config::lowered::{Kind, Transport};
use crate::config::section::Section;
use crate::config::value;
use crate::policy::Policy;

const ROLES: &[(&str, Role)] = &[
    ("graph", Role::Graph),
    ("sharepoint", Role::SharePoint),
    ("outlook", Role::Outlook),
];
const REDIRECTS: &[(&str, Redirects)] =
    &[("leave", Redirects::Leave), ("follow", Redirects::Follow)];

const PARTS: &[(&str, Part)] = &[
    (Part::Files.name(), Part::Files),
    (Part::Mail.name(), Part::Mail),
    (Part::Calendars.name(), Part::Calendars),
    (Part::Contacts.name(), Part::Contacts),
    (Part::Tasks.name(), Part::Tasks),
    (Part::Teams.name(), Part::Teams),
];
const EVERYTHING: &str = "[\"files\", \"mail\", \"calendars\", \"contacts\", \"tasks\", \"teams\"]";

const SUBJECTS: &[(&str, bool)] = &[("sealed", true), ("clear", false)];

/// The `[upstream]` table: what holds for every host.
struct Upstream {
    pinned: Option<Arc<[CertificateDer<'static>]>>,
    connect_timeout: Duration,
    response_timeout: Duration,
    max_put: u64,
}

pub(super) fn read(
    root: &mut Section<'_, '_>,
    files: &Files,
    identity: Option<Identity>,
) -> Particulars {
    let serves = root.or("serves", EVERYTHING, value::list(value::one_of(PARTS)));
    let redirects = root.or("redirects", "\"leave\"", value::one_of(REDIRECTS));
    let domains = root.or("domains", "[]", value::list(value::host));
    let subjects = root.or("subjects", "\"sealed\"", value::one_of(SUBJECTS));
    let language = root.or("language", "\"fr\"", value::one_of(LANGUAGES));
    let contact_given = root.has("contact");
    let contact = root.optional("contact", value::string);
    let upstream = upstream(root.table("upstream"), files);
    let hosts = hosts(root, upstream.as_ref(), identity.as_ref());
    let policy = policy(root.table("policy"), GROUPS);
    let rest = || {
        let (upstream, identity) = (upstream?, identity?);
        let mut hosts = hosts?.into_iter();
        let (first, transport) = hosts.next()?;
        let (others, further): (Vec<Host>, Vec<Transport>) = hosts.unzip();
        Some(Rest {
            policy: Policy::new(policy?),
            kind: Kind::Graph(
                Settings {
                    name: identity.name,
                    context: identity.context,
                    hosts: std::iter::once(first).chain(others).collect(),
                    serves: serves?,
                    redirects: redirects?,
                    max_put: upstream.max_put,
                    domains: domains?,
                    subjects: subjects?,
                    language: language?,
                    contact: match contact_given {
                        true => Some(contact?),
                        false => None,
                    },
                },
                further,
            ),
            transport,
        })
    };
    Particulars {
        virtual_host: false,
        rest: rest(),
    }
}

fn upstream(mut section: Section<'_, '_>, files: &Files) -> Option<Upstream> {
    let place = section.place("ca_file");
    let pinned = section.optional("ca_file", value::string).map(|name| {
        read_certificates(&files.path(name))
            .map_err(|message| section.fault_at(&place, format!("`ca_file`: {message}")))
    });
    let connect_timeout = section.or("connect_timeout", "\"10s\"", value::duration);
    let response_timeout = section.or("response_timeout", "\"60s\"", value::duration);
    let max_put = section.or("max_put", "\"250 MB\"", value::size);
    section.finish();
    Some(Upstream {
        pinned: match pinned {
            Some(read) => Some(Arc::from(read.ok()?)),
            None => None,
        },
        connect_timeout: connect_timeout?,
        response_timeout: response_timeout?,
        max_put: max_put?,
    })
}

/// One `[[host]]` for each of `hosts`.
fn hosts(
    root: &mut Section<'_, '_>,
    upstream: Option<&Upstream>,
    identity: Option<&Identity>,
) -> Option<Vec<(Host, Transport)>> {
    let sections = root.tables("host");
    let mut read: Option<Vec<(Host, Transport)>> = Some(Vec::new());
    for section in sections {
        match (host(section, upstream, identity), &mut read) {
            (Some(host), Some(read)) => read.push(host),
            _ => read = None,
        }
    }
    let (read, identity) = (read?, identity?);
    let missing = identity
        .hosts
        .iter()
        .find(|name| !read.iter().any(|(host, _)| host.name == **name));
    if let Some(name) = missing {
        root.fault(format!("`{name}` needs a [[host]] that says its role"));
        return None;
    }
    Some(read)
}

fn host(
    mut section: Section<'_, '_>,
    upstream: Option<&Upstream>,
    identity: Option<&Identity>,
) -> Option<(Host, Transport)> {
    let place = section.place("name");
    let name = section.required("name", value::host);
    let role = section.required("role", value::one_of(ROLES));
    let endpoint = match (&name, section.has("url")) {
        (Some(name), false) => section.or("url", &format!("\"https://{name}\""), value::endpoint),
        _ => section.optional("url", value::endpoint),
    };
    let connect_given = section.has("connect");
    let connect = section.optional("connect", address);
    if let (Some(name), Some(identity)) = (&name, identity) {
        unnamed(&section, &place, name, identity);
        section.unique(
            &place,
            "host of a service",
            &format!("{}/{name}", identity.name),
        );
    }
    section.finish();
    let (name, role, endpoint, upstream) = (name?, role?, endpoint?, upstream?);
    Some((
        Host { name, role },
        Transport {
            endpoint,
            connect: match connect_given {
                true => Some(connect?),
                false => None,
            },
            pinned: upstream.pinned.clone(),
            connect_timeout: upstream.connect_timeout,
            response_timeout: upstream.response_timeout,
        },
    ))
}

fn unnamed(section: &Section<'_, '_>, place: &Range<usize>, name: &str, identity: &Identity) {
    if !identity.hosts.iter().any(|host| host == name) {
        section.fault_at(place, format!("`{name}` is not one of `hosts`"));
    }
}

/// `HOST:PORT`, or an address with its port.
fn address(value: &DeValue<'_>) -> Result<(String, u16), String> {
    const WHAT: &str =
        "an address and a port such as \"203.0.113.7:443\" or \"egress.example.fr:443\"";
    let text = value::string(value)?.to_ascii_lowercase();
    let (host, port) = text
        .rsplit_once(':')
        .ok_or_else(|| format!("expected {WHAT}"))?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port != 0);
    match (port, value::is_host(host)) {
        (Some(port), true) => Ok((host.to_owned(), port)),
        _ => Err(format!("expected {WHAT}")),
    }
}
