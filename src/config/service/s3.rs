//! `kind = "s3"`.

use std::net::IpAddr;

use super::{Identity, Particulars, Rest, policy, transport};
use crate::adapter::s3::settings::{
    Addressing, ConditionalWrites, Credential, Integrity, KeyPair, Settings, UpstreamSettings,
};
use crate::adapter::s3::table::GROUPS;
use crate::config::files::Files;
use crate::config::lowered::{Kind, Transport};
use crate::config::section::Section;
use crate::config::value;
use crate::policy::Policy;

const ADDRESSING: &[(&str, Addressing)] =
    &[("path", Addressing::Path), ("virtual", Addressing::Virtual)];
const INTEGRITY: &[(&str, Integrity)] = &[
    ("none", Integrity::None),
    ("spool-md5", Integrity::SpoolMd5),
    ("trailer-crc32c", Integrity::TrailerCrc32c),
];
const CONDITIONAL_WRITES: &[(&str, ConditionalWrites)] = &[
    ("probe", ConditionalWrites::Probe),
    ("yes", ConditionalWrites::Yes),
    ("no", ConditionalWrites::No),
];

/// The `[upstream]` table, and what of it belongs to the adapter.
struct Upstream {
    transport: Transport,
    settings: UpstreamSettings,
    max_put: u64,
    max_object: u64,
    integrity: Integrity,
    conditional_writes: ConditionalWrites,
}

pub(super) fn read(
    root: &mut Section<'_, '_>,
    files: &Files,
    identity: Option<Identity>,
) -> Particulars {
    let virtual_host = root.or("virtual_host", "false", value::boolean);
    let etag_md5 = root.or("etag_md5", "false", value::boolean);
    let upstream = upstream(root.table("upstream"), files);
    let region = upstream
        .as_ref()
        .map(|upstream| upstream.settings.region.as_str());
    let regions = regions(root, region.unwrap_or("us-east-1"));
    let credentials = credentials(root, files);
    let policy = policy(root.table("policy"), GROUPS).map(Policy::new);
    let rest = || {
        let (upstream, identity) = (upstream?, identity?);
        Some(Rest {
            policy: policy?,
            transport: upstream.transport,
            kind: Kind::S3(Settings {
                name: identity.name,
                context: identity.context,
                hosts: identity.hosts,
                virtual_host: virtual_host?,
                regions: regions?,
                upstream: upstream.settings,
                credentials: credentials?,
                max_put: upstream.max_put,
                max_object: upstream.max_object,
                etag_md5: etag_md5?,
                integrity: upstream.integrity,
                conditional_writes: upstream.conditional_writes,
            }),
        })
    };
    Particulars {
        virtual_host: virtual_host.unwrap_or_default(),
        rest: rest(),
    }
}

/// By default what SDKs say when nobody tells them, and the provider's own.
fn regions(root: &mut Section<'_, '_>, upstream: &str) -> Option<Vec<String>> {
    let mut default = vec!["us-east-1", "auto"];
    if !default.contains(&upstream) {
        default.push(upstream);
    }
    let default = format!("[\"{}\"]", default.join("\", \""));
    let place = root.place("regions");
    let regions = root.items("regions", Some(&default), value::word)?;
    if regions.is_empty() {
        root.fault_at(&place, "`regions`: name at least one");
        return None;
    }
    Some(regions.into_iter().map(|(_, region)| region).collect())
}

fn upstream(mut section: Section<'_, '_>, files: &Files) -> Option<Upstream> {
    let transport = transport(&mut section, files);
    let region = section.required("region", value::word);
    let addressing = section.or("addressing", "\"path\"", value::one_of(ADDRESSING));
    let access_key = section.required("access_key", value::word);
    let secret_key = files.secret(&mut section, "secret_key_file", "secret_key_credential");
    let max_object = section.or("max_object", "\"5 TiB\"", value::size);
    let max_put = section.or("max_put", "\"5 GiB\"", value::size);
    let integrity = section.or("integrity", "\"none\"", value::one_of(INTEGRITY));
    let conditional = value::one_of(CONDITIONAL_WRITES);
    let conditional_writes = section.or("conditional_writes", "\"probe\"", conditional);
    if let (Some(transport), Some(Addressing::Virtual)) = (&transport, addressing)
        && transport.endpoint.host.parse::<IpAddr>().is_ok()
    {
        section.fault("`addressing` = \"virtual\" needs a host name in `url`, not an address");
    }
    section.finish();
    let transport = transport?;
    Some(Upstream {
        settings: UpstreamSettings {
            authority: transport.endpoint.authority.clone(),
            region: region?,
            addressing: addressing?,
            credential: KeyPair {
                access_key: access_key?,
                secret_key: secret_key?,
            },
        },
        transport,
        max_put: max_put?,
        max_object: max_object?,
        integrity: integrity?,
        conditional_writes: conditional_writes?,
    })
}

fn credentials(root: &mut Section<'_, '_>, files: &Files) -> Option<Vec<Credential>> {
    let sections = root.tables("credential");
    if sections.is_empty() {
        root.fault("no credential is configured: add [[credential]] for each client");
        return None;
    }
    let mut places: Vec<(String, usize)> = Vec::new();
    let read: Vec<Option<Credential>> = sections
        .into_iter()
        .map(|mut section| {
            let place = section.place("access_key");
            let access_key = section.required("access_key", value::word);
            if let Some(key) = &access_key {
                match places.iter().find(|(known, _)| known == key) {
                    Some((_, line)) => section.fault_at(
                        &place,
                        format!("the access key `{key}` stands already on line {line}"),
                    ),
                    None => places.push((key.clone(), section.line(&place))),
                }
            }
            let credential = credential(&mut section, files, access_key);
            section.finish();
            credential
        })
        .collect();
    read.into_iter().collect()
}

/// The provider's credential behind a client's.
const UPSTREAM_KEYS: [&str; 3] = [
    "upstream_access_key",
    "upstream_secret_key_file",
    "upstream_secret_key_credential",
];

fn credential(
    section: &mut Section<'_, '_>,
    files: &Files,
    access_key: Option<String>,
) -> Option<Credential> {
    let secret_key = files.secret(section, "secret_key_file", "secret_key_credential");
    let mapped = UPSTREAM_KEYS.iter().any(|key| section.has(key));
    UPSTREAM_KEYS.iter().for_each(|key| section.know(key));
    let upstream = mapped.then(|| {
        let [access_key, file, credential] = UPSTREAM_KEYS;
        (
            section.required(access_key, value::word),
            files.secret(section, file, credential),
        )
    });
    Some(Credential {
        client: KeyPair {
            access_key: access_key?,
            secret_key: secret_key?,
        },
        upstream: match upstream {
            None => None,
            Some((access_key, secret_key)) => Some(KeyPair {
                access_key: access_key?,
                secret_key: secret_key?,
            }),
        },
    })
}
