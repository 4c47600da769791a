//! `kind = "webdav"`.

use toml::de::DeValue;

use super::{Identity, LANGUAGES, Particulars, Rest, policy, transport};
use crate::adapter::webdav::settings::{Preconditions, Settings, UnknownLength, UpstreamSettings};
use crate::adapter::webdav::table::{GROUPS, LEGACY};
use crate::config::files::Files;
use crate::config::lowered::{Kind, Transport};
use crate::config::section::Section;
use crate::config::value;
use crate::policy::Policy;

const UNKNOWN_LENGTH: &[(&str, UnknownLength)] = &[
    ("stream", UnknownLength::Stream),
    ("spool", UnknownLength::Spool),
    ("refuse", UnknownLength::Refuse),
];
const PRECONDITIONS: &[(&str, Preconditions)] = &[
    ("gateway", Preconditions::Gateway),
    ("provider", Preconditions::Provider),
];
/// What becomes of files that lie at the provider unsealed.
const LEGACY_READ: &[(&str, bool)] = &[("refuse", false), ("read", true)];

/// Whether names are sealed.
const NAMES: &[(&str, bool)] = &[("clear", false), ("sealed", true)];

/// The `[upstream]` table, and what of it belongs to the adapter.
struct Upstream {
    transport: Transport,
    max_put: u64,
    unknown_length: UnknownLength,
    preconditions: Preconditions,
}

pub(super) fn read(
    root: &mut Section<'_, '_>,
    files: &Files,
    identity: Option<Identity>,
) -> Particulars {
    let legacy = root.or("legacy", "\"refuse\"", value::one_of(LEGACY_READ));
    let names = root.or("names", "\"clear\"", value::one_of(NAMES));
    let below = root.or("names_below", "\"/\"", path);
    let uploads = root.or("uploads_below", "\"/remote.php/dav/uploads/*\"", path);
    let language = root.or("language", "\"fr\"", value::one_of(LANGUAGES));
    let contact_given = root.has("contact");
    let contact = root.optional("contact", value::string);
    let upstream = upstream(root.table("upstream"), files);
    let policy = policy(root.table("policy"), GROUPS);
    let rest = || {
        let (upstream, identity) = (upstream?, identity?);
        let endpoint = &upstream.transport.endpoint;
        let own = legacy?.then(|| LEGACY.to_owned());
        Some(Rest {
            policy: Policy::new(policy?.into_iter().chain(own).collect()),
            kind: Kind::WebDav(Settings {
                name: identity.name,
                context: identity.context,
                hosts: identity.hosts,
                upstream: UpstreamSettings {
                    tls: endpoint.tls,
                    authority: endpoint.authority.clone(),
                },
                max_put: upstream.max_put,
                unknown_length: upstream.unknown_length,
                preconditions: upstream.preconditions,
                uploads_below: uploads?,
                language: language?,
                contact: match contact_given {
                    true => Some(contact?),
                    false => None,
                },
                names_below: names?.then_some(below?),
            }),
            transport: upstream.transport,
        })
    };
    Particulars {
        virtual_host: false,
        rest: rest(),
    }
}

fn upstream(mut section: Section<'_, '_>, files: &Files) -> Option<Upstream> {
    let transport = transport(&mut section, files);
    let max_put = section.or("max_put", "\"1 TiB\"", value::size);
    let unknown_length = section.or(
        "unknown_length",
        "\"stream\"",
        value::one_of(UNKNOWN_LENGTH),
    );
    let preconditions = section.or("preconditions", "\"gateway\"", value::one_of(PRECONDITIONS));
    section.finish();
    Some(Upstream {
        transport: transport?,
        max_put: max_put?,
        unknown_length: unknown_length?,
        preconditions: preconditions?,
    })
}

/// A path such as `/remote.php/dav/files/*`.
fn path(value: &DeValue<'_>) -> Result<String, String> {
    const WHAT: &str = "a path such as \"/\" or \"/remote.php/dav/files/*\"";
    let text = value::string(value)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~*".contains(c);
    if text.starts_with('/') && text.chars().all(plain) && !text.contains("//") {
        Ok(text)
    } else {
        Err(format!("expected {WHAT}"))
    }
}
