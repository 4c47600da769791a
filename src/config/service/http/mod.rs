//! `kind = "http"`.

mod message;
mod opens;
mod overlap;
mod parts;
mod rule;
mod sealing;

use http::HeaderName;

use super::{Identity, LANGUAGES, Particulars, Rest, transport};
use crate::adapter::http::head::RESERVED;
use crate::adapter::http::settings::{ErrorMember, Settings, UpstreamSettings};
use crate::config::files::Files;
use crate::config::lowered::{Kind, Transport};
use crate::config::section::Section;
use crate::config::value;
use crate::policy::Policy;

pub(super) fn read(
    root: &mut Section<'_, '_>,
    files: &Files,
    identity: Option<Identity>,
) -> Particulars {
    let language = root.or("language", "\"fr\"", value::one_of(LANGUAGES));
    let contact_given = root.has("contact");
    let contact = root.optional("contact", value::string);
    let error_members = error_members(root);
    let headers = root.items("headers", Some("[]"), header);
    let origins = root.items("origins", Some("[]"), origin);
    let upstream = upstream(root.table("upstream"), files);
    let rules = rule::rules(root);
    let rest = || {
        let ((transport, max_document), identity) = (upstream?, identity?);
        if contact_given && contact.is_none() {
            return None;
        }
        Some(Rest {
            policy: Policy::default(),
            kind: Kind::Http(Settings {
                name: identity.name,
                context: identity.context,
                upstream: UpstreamSettings {
                    authority: transport.endpoint.authority.clone(),
                    tls: transport.endpoint.tls,
                },
                hosts: identity.hosts,
                language: language?,
                contact,
                error_members: error_members?,
                headers: headers?.into_iter().map(|(_, name)| name).collect(),
                origins: origins?.into_iter().map(|(_, origin)| origin).collect(),
                max_document,
                rules: rules?,
            }),
            transport,
        })
    };
    Particulars {
        virtual_host: false,
        rest: rest(),
    }
}

fn error_members(root: &mut Section<'_, '_>) -> Option<Vec<ErrorMember>> {
    let mut names = Vec::new();
    let mut member = |mut section: Section<'_, '_>| {
        let place = section.place("name");
        let name = section.required("name", value::string);
        let value = section.required("value", value::string);
        if let Some(name) = &name {
            if ErrorMember::TAKEN.contains(&name.as_str()) || names.contains(name) {
                let message = format!("error documents have a member `{name}` already");
                section.fault_at(&place, message);
            }
            names.push(name.clone());
        }
        section.finish();
        Some(ErrorMember {
            name: name?,
            value: value?,
        })
    };
    let sections = root.tables("error_member");
    let members: Vec<_> = sections.into_iter().map(&mut member).collect();
    members.into_iter().collect()
}

fn upstream(mut section: Section<'_, '_>, files: &Files) -> Option<(Transport, usize)> {
    let transport = transport(&mut section, files);
    let max_document = section.or("max_document", "\"1 MiB\"", value::small_size);
    section.finish();
    Some((transport?, max_document?))
}

/// A header field that may pass: none that frames a message or that the gateway writes itself.
fn header(value: &toml::de::DeValue<'_>) -> Result<HeaderName, String> {
    let text = value::string(value)?.to_ascii_lowercase();
    if RESERVED.contains(&text.as_str()) {
        return Err(format!("`{text}` belongs to the gateway"));
    }
    HeaderName::try_from(&text).map_err(|_| "expected the name of a header field".into())
}

/// `https://host[:port]` as browsers write it, or `*`.
fn origin(value: &toml::de::DeValue<'_>) -> Result<String, String> {
    let text = value::string(value)?;
    let host = text.strip_prefix("https://").unwrap_or_default();
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:[]".contains(c);
    if text == "*" || !host.is_empty() && host.chars().all(legal) {
        return Ok(text);
    }
    Err("expected an origin such as \"https://app.example.fr\", in lower case and without a path, or \"*\"".into())
}
