//! Configurations: the samples load, each faulty one gives exactly its faults, no mutation loads with an unknown key.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sceau::adapter::s3::settings::Settings;
use sceau::config::{self, Gateway, Kind, Service};
use sceau::keyring::Provider;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config");

/// The smallest gateway that loads.
const GATEWAY: &str = r#"
[[listener]]
bind = "127.0.0.1:8443"

[local_ca]
certificate_file = "ca.pem"
key_file = "ca.key"

[keys]
passphrase_file = "secret"
"#;

const SERVICE: &str = r#"
kind = "s3"
name = "archive"
tenant = "interior"
service = "archive-1"
hosts = ["s3.example.fr"]

[upstream]
url = "https://store.example.net"
region = "eu-1"
access_key = "UPSTREAM"
secret_key_file = "secret"

[[credential]]
access_key = "CLIENT"
secret_key_file = "secret"
"#;

fn private(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Secrets and certificates that the configurations of this test name.
fn furnish(directory: &Path) {
    private(&directory.join("secret"), "correct horse\n");
    private(&directory.join("empty"), "\n");
    private(
        &directory.join("long"),
        "a secret of thirty-two characters".replace(' ', "-"),
    );
    private(&directory.join("open"), "known to all\n");
    fs::set_permissions(directory.join("open"), fs::Permissions::from_mode(0o644)).unwrap();
    for (name, hosts) in [
        ("ca", vec![]),
        ("tls", vec!["s3.example.fr".to_owned()]),
        (
            "wild",
            vec!["s3.example.fr".to_owned(), "*.s3.example.fr".to_owned()],
        ),
    ] {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(hosts).unwrap();
        if name == "ca" {
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        }
        let certificate = params.self_signed(&key).unwrap();
        private(&directory.join(format!("{name}.pem")), certificate.pem());
        private(&directory.join(format!("{name}.key")), key.serialize_pem());
    }
}

fn lay(gateway: &str, services: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    furnish(directory.path());
    fs::write(directory.path().join("gateway.toml"), gateway).unwrap();
    fs::create_dir(directory.path().join("services.d")).unwrap();
    for (name, text) in services {
        fs::write(directory.path().join("services.d").join(name), text).unwrap();
    }
    directory
}

fn load(gateway: &str, service: &str) -> Result<Gateway, String> {
    let directory = lay(gateway, &[("10-a.toml", service)]);
    config::load(directory.path()).map_err(|faults| faults.to_string())
}

fn s3(service: &Service) -> &Settings {
    match &service.kind {
        Kind::S3(settings) => settings,
        Kind::WebDav(_) | Kind::Http(_) | Kind::Graph(..) => panic!("not an S3 service"),
    }
}

#[test]
fn the_smallest_configuration_loads_with_its_defaults() {
    let gateway = load(GATEWAY, SERVICE).unwrap();
    assert_eq!(gateway.listeners.len(), 1);
    assert!(!gateway.listeners[0].tls12);
    assert!(matches!(
        gateway.keys.provider,
        Provider::PassphraseFile { .. }
    ));
    assert_eq!(gateway.keys.epoch_max_age.as_secs(), 24 * 3600);
    let service = &gateway.services[0];
    assert_eq!(service.file, PathBuf::from("services.d/10-a.toml"));
    let s3 = s3(service);
    assert_eq!(s3.context.namespace(), "default");
    assert_eq!(s3.regions, ["us-east-1", "auto", "eu-1"]);
    assert_eq!(s3.max_put, 5 << 30);
    assert_eq!(
        s3.credentials[0].client.secret_key.expose(),
        b"correct horse"
    );
    assert_eq!(service.transport.endpoint.port, 443);
    assert!(service.transport.pinned.is_none());
}

const SHARE: &str = r#"
kind = "webdav"
name = "share"
tenant = "interior"
service = "share"
hosts = ["s3.example.fr"]

[upstream]
url = "https://share.example.net"
"#;

fn share(more: &str) -> Result<sceau::adapter::webdav::settings::Settings, String> {
    let mut gateway = load(
        GATEWAY,
        &SHARE.replace("\n\n[up", &format!("\n{more}\n[up")),
    )?;
    match gateway.services.remove(0).kind {
        Kind::WebDav(settings) => Ok(settings),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_smallest_share_loads_with_its_defaults() {
    use sceau::adapter::webdav::settings::{Preconditions, UnknownLength};
    let settings = share("").unwrap();
    assert_eq!(settings.upstream.authority, "share.example.net");
    assert!(settings.upstream.tls && settings.names_below.is_none());
    assert_eq!(settings.preconditions, Preconditions::Gateway);
    assert_eq!(settings.unknown_length, UnknownLength::Stream);
    assert!(settings.limits().is_none());
    let gateway = load(GATEWAY, SHARE).unwrap();
    assert!(!gateway.services[0].policy.allows("legacy"));
}

#[test]
fn a_shares_own_keys() {
    let sealed = share("names = \"sealed\"\nnames_below = \"/dav/*\"").unwrap();
    assert_eq!(sealed.names_below.as_deref(), Some("/dav/*"));
    assert!(
        sealed
            .limits()
            .unwrap()
            .contains("142 is kept in the state")
    );
    let text = SHARE.replace("hosts", "legacy = \"read\"\nhosts");
    assert!(
        load(GATEWAY, &text).unwrap().services[0]
            .policy
            .allows("legacy")
    );
    for wrong in [
        "legacy = true",
        "names = \"hidden\"",
        "names_below = \"dav\"",
        "names_below = \"/a//b\"",
        "etag_md5 = true",
    ] {
        assert!(share(wrong).is_err(), "{wrong}");
    }
    let text = format!("{SHARE}\n[policy]\nallow = [\"legacy\"]\n");
    assert!(load(GATEWAY, &text).is_err());
}

/// The samples of `config/`, with the secrets and certificates that they name.
#[test]
fn the_samples_load() {
    let root = tempfile::tempdir().unwrap();
    furnish(root.path());
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    copy(&samples, &root.path().join("config"));
    for store in ["outscale", "ovhcloud", "aws", "ceph"] {
        for side in ["upstream", "client"] {
            private(&root.path().join(format!("secrets/{store}-{side}")), "x");
        }
    }
    private(&root.path().join("secrets/passphrase"), "x");
    for (from, to) in [
        ("ca.pem", "ca.pem"),
        ("ca.key", "ca.key"),
        ("ca.pem", "store-ca.pem"),
    ] {
        private(
            &root.path().join("tls").join(to),
            fs::read(root.path().join(from)).unwrap(),
        );
    }
    let gateway = config::load(&root.path().join("config")).unwrap_or_else(|f| panic!("{f}"));
    let names: Vec<&str> = gateway.services.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["outscale", "ovhcloud", "aws", "ceph", "share"]);
    assert_eq!(
        gateway.services[3].transport.pinned.as_ref().unwrap().len(),
        1
    );

    // what the samples show in comments as defaults are the defaults
    let sample = fs::read_to_string(samples.join("gateway.toml")).unwrap();
    for decision in gateway
        .decisions
        .iter()
        .filter(|d| d.file == "gateway.toml" && d.line.is_none())
    {
        let key = decision.key.rsplit('.').next().unwrap();
        let line = format!("# {key} = {}", decision.value);
        assert!(sample.contains(&line), "{line}");
    }
}

/// Those that wait for a name of the operator's: whoever takes the suffix off gets what is refused or sealed as the sample says.
#[test]
fn the_disabled_samples_load() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/services.d");
    let mut names = Vec::new();
    for entry in fs::read_dir(samples).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_str().unwrap().ends_with(".disabled") {
            let text = fs::read_to_string(entry.path()).unwrap();
            assert!(load(GATEWAY, &text).is_err(), "UNIQUE is no name");
            let gateway = load(GATEWAY, &text.replace("UNIQUE", "1"));
            let gateway = gateway.unwrap_or_else(|faults| panic!("{faults}"));
            names.push(gateway.services[0].name.clone());
        }
    }
    for name in ["m365", "outlook", "pocketbase", "synapse", "teams"] {
        assert!(names.iter().any(|found| found == name), "{name}");
    }
}

const ADMIN: &str = r#"
[admin]
bind = "127.0.0.1:9443"
host = "admin.example.fr"

[[admin.subscriber]]
name = "notices"
secret_file = "long"
services = ["m365"]
"#;

#[test]
fn a_listener_for_subscribers_is_there_only_when_it_is_named() {
    assert!(load(GATEWAY, OFFICE).unwrap().admin.is_none());
    let load = |from: &str, to: &str| {
        assert!(ADMIN.contains(from));
        load(&format!("{GATEWAY}{}", ADMIN.replacen(from, to, 1)), OFFICE)
    };
    let admin = load("", "").unwrap().admin.unwrap();
    assert_eq!(
        (admin.host.as_str(), admin.in_flight),
        ("admin.example.fr", 16)
    );
    assert_eq!(admin.settings.max_text, 1 << 20);
    assert!(admin.client_authorities.is_none());
    let subscriber = &admin.settings.subscribers[0];
    assert_eq!(subscriber.services, ["m365"]);
    assert!(subscriber.fields.is_none());
    assert!(subscriber.secret.is(b"a-secret-of-thirty-two-characters"));
    assert!(!format!("{:?}", admin.settings).contains("a-secret"));

    // beyond the machine only with certificates
    let reachable = "bind = \"[::]:9443\"";
    assert!(load("bind = \"127.0.0.1:9443\"", reachable).is_err());
    let mutual = format!("{reachable}\nclient_ca_file = \"ca.pem\"");
    assert!(load("bind = \"127.0.0.1:9443\"", &mutual).is_ok());
    assert!(load("bind = \"127.0.0.1:9443\"", "bind = \"[::1]:9443\"").is_ok());
    for (from, to) in [
        ("127.0.0.1:9443", "127.0.0.1:8443"),
        ("admin.example.fr", "s3.example.fr"),
        ("\"long\"", "\"open\""),
        (
            "\n[[admin.subscriber]]",
            "client_ca_file = \"secret\"\n[[admin.subscriber]]",
        ),
        ("services = [\"m365\"]", ""),
    ] {
        assert!(load(from, to).is_err(), "{to}");
    }
}

/// A body's pieces are known by their field, so no other value may be sealed under its name.
#[test]
fn no_rule_seals_under_the_names_of_bodies_in_pieces() {
    const RULE: &str = r#"
kind = "http"
name = "chat"
tenant = "interior"
service = "chat"
hosts = ["s3.example.fr"]

[upstream]
url = "https://chat.example.net"

[[rule]]
name = "send"
methods = ["POST"]
path = "/messages"
request = "json"
answer = ["json"]

[[rule.seal]]
json = "$.body"
field = "title"
"#;
    assert!(load(GATEWAY, RULE).is_ok());
    for name in ["message.html", "message.text"] {
        let faults = load(GATEWAY, &RULE.replace("title", name)).unwrap_err();
        assert!(faults.contains("bodies in pieces"), "{faults}");
    }
}

/// A host belongs to one service: of the samples for Microsoft 365 one is enabled, which may serve what the others do too.
#[test]
fn the_samples_for_microsoft_365_stand_alone_or_in_one() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/services.d");
    let texts = fs::read_dir(samples)
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .filter(|text| text.contains("\nkind = \"graph\""))
        .map(|text| text.replace("UNIQUE", "1"));
    let texts: Vec<String> = texts.collect();
    assert!(texts.len() >= 2);
    let both = lay(
        GATEWAY,
        &[("80-a.toml", &texts[0]), ("81-b.toml", &texts[1])],
    );
    let faults = config::load(both.path()).unwrap_err().to_string();
    assert!(
        faults.contains("the host `graph.microsoft.com` stands already"),
        "{faults}"
    );
    let mut tables = texts
        .iter()
        .map(|text| text.parse::<toml::Table>().unwrap());
    let mut one = tables.next().unwrap();
    for other in tables {
        for key in ["hosts", "host", "serves"] {
            let held = one[key].as_array_mut().unwrap();
            for value in other[key].as_array().unwrap() {
                let name = |value: &toml::Value| value.get("name").unwrap_or(value).clone();
                if !held.iter().any(|known| name(known) == name(value)) {
                    held.push(value.clone());
                }
            }
        }
    }
    let gateway = load(GATEWAY, &one.to_string()).unwrap();
    let Kind::Graph(settings, _) = &gateway.services[0].kind else {
        panic!("{:?}", gateway.services[0].kind);
    };
    assert_eq!(
        settings.serves.len(),
        one["serves"].as_array().unwrap().len()
    );
    assert_eq!(settings.hosts.len(), one["hosts"].as_array().unwrap().len());
}

/// What a service of every option decides stands in the documentation.
const OFFICE: &str = r#"
kind = "graph"
name = "m365"
tenant = "interior"
service = "m365"
hosts = ["graph.microsoft.com", "s3.example.fr"]

[[host]]
name = "s3.example.fr"
role = "sharepoint"
url = "https://contoso.sharepoint.com:8443"
connect = "[2001:db8::7]:443"

[[host]]
name = "graph.microsoft.com"
role = "graph"
"#;

#[test]
fn each_host_of_a_graph_service_has_its_own_way() {
    let mut gateway = load(GATEWAY, OFFICE).unwrap();
    let service = gateway.services.remove(0);
    let Kind::Graph(settings, further) = service.kind else {
        panic!("{:?}", service.kind);
    };
    let names: Vec<&str> = settings.hosts.iter().map(|h| h.name.as_str()).collect();
    assert_eq!(names, ["s3.example.fr", "graph.microsoft.com"]);
    let first = service.transport;
    assert_eq!(first.endpoint.host, "contoso.sharepoint.com");
    assert_eq!(first.connect, Some(("2001:db8::7".to_owned(), 443)));
    assert_eq!(further[0].endpoint.host, "graph.microsoft.com");
    assert_eq!(further[0].connect, None);
    let faulty = |from: &str, to: &str| load(GATEWAY, &OFFICE.replace(from, to)).unwrap_err();
    assert!(
        faulty("name = \"graph.microsoft.com\"", "name = \"other.example\"")
            .contains("not one of `hosts`")
    );
    assert!(
        faulty(
            ", \"s3.example.fr\"]",
            ", \"s3.example.fr\", \"x.example\"]"
        )
        .contains("`x.example` needs a [[host]]")
    );
    assert!(faulty(":443\"", "\"").contains("`connect`"));
    assert!(faulty("role = \"graph\"", "rolle = \"graph\"").contains("did you mean `role`?"));
}

#[test]
fn every_key_is_documented() {
    let document = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/configuration.md"
    ))
    .unwrap();
    let gateway = load(GATEWAY, SERVICE).unwrap();
    let optional = [
        "chain_file",
        "identity_file",
        "passphrase_credential",
        "credential",
        "ca_file",
        "secret_key_credential",
        "upstream_access_key",
        "upstream_secret_key_file",
        "upstream_secret_key_credential",
        "connect",
        "client_ca_file",
        "secret_credential",
        "fields",
    ];
    let decided = gateway
        .decisions
        .iter()
        .map(|d| d.key.rsplit('.').next().unwrap());
    let share = load(GATEWAY, SHARE).unwrap();
    let shared = share
        .decisions
        .iter()
        .map(|d| d.key.rsplit('.').next().unwrap());
    let office = load(GATEWAY, OFFICE).unwrap();
    let fronted = office
        .decisions
        .iter()
        .map(|d| d.key.rsplit('.').next().unwrap());
    let admin = load(&format!("{GATEWAY}{ADMIN}"), OFFICE).unwrap();
    let subscribed = admin
        .decisions
        .iter()
        .map(|d| d.key.rsplit('.').next().unwrap());
    let fronted = fronted.chain(subscribed);
    for key in decided.chain(shared).chain(fronted).chain(optional) {
        assert!(document.contains(&format!("`{key}`")), "{key}");
    }
    let groups = sceau::adapter::s3::table::GROUPS;
    let office = sceau::adapter::graph::table::GROUPS;
    let share = sceau::adapter::webdav::table::GROUPS;
    for group in groups.iter().chain(share).chain(office) {
        assert!(document.contains(&format!("| `{group}` |")), "{group}");
    }
}

/// Each directory under `faulty` is a configuration; `expected` lists its faults.
#[test]
fn every_fault_of_every_file_is_reported_at_its_place() {
    let mut cases = 0;
    for case in fs::read_dir(Path::new(DATA).join("faulty")).unwrap() {
        let case = case.unwrap().path();
        let directory = tempfile::tempdir().unwrap();
        furnish(directory.path());
        copy(&case, directory.path());
        let faults = config::load(directory.path()).unwrap_err().to_string();
        let faults = faults.replace(&directory.path().display().to_string(), "DIR");
        let expected = fs::read_to_string(case.join("expected")).unwrap_or_default();
        if std::env::var_os("SCEAU_WRITE_EXPECTED").is_some() {
            fs::write(case.join("expected"), format!("{faults}\n")).unwrap();
        } else {
            assert_eq!(faults, expected.trim_end(), "{}", case.display());
        }
        cases += 1;
    }
    assert!(cases >= 5, "{cases} cases only");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A secret that stands where a file's name or a key belongs is never repeated.
#[test]
fn faults_repeat_no_secret() {
    const SECRET: &str = "wJalrXUtnFEMIK7MDENG";
    for (from, to) in [
        (
            "secret_key_file = \"secret\"",
            "secret_key = \"wJalrXUtnFEMIK7MDENG\"",
        ),
        (
            "secret_key_file = \"secret\"",
            "secret_key_file = \"wJalrXUtnFEMIK7MDENG\"",
        ),
        (
            "secret_key_file = \"secret\"",
            "secret_key_file = \"wJalrXUtnFEMIK7MDENG",
        ),
        (
            "secret_key_file = \"secret\"",
            "secret_key_credential = \"wJalrXUtnFEMIK7MDENG\"",
        ),
    ] {
        let faults = load(GATEWAY, &SERVICE.replace(from, to)).unwrap_err();
        assert!(!faults.contains(SECRET), "{faults}");
    }
}

#[test]
fn a_virtual_host_is_served_under_a_wildcard_certificate() {
    let gateway = GATEWAY
        .replace("[local_ca]", "[[certificate]]")
        .replace("certificate_file = \"ca.pem\"", "chain_file = \"wild.pem\"")
        .replace("ca.key", "wild.key");
    let service = SERVICE.replace("hosts", "virtual_host = true\nhosts");
    assert!(s3(&load(&gateway, &service).unwrap().services[0]).virtual_host);
    let plain = gateway.replace("wild", "tls");
    assert!(load(&plain, SERVICE).is_ok());
    assert!(load(&plain, &service).is_err());
}

#[test]
fn every_value_in_force_names_its_origin() {
    let gateway = load(GATEWAY, SERVICE).unwrap();
    let find = |file: &str, key: &str| {
        let found = gateway
            .decisions
            .iter()
            .filter(|d| d.file == file && d.key == key);
        found
            .map(|d| (d.value.as_str(), d.line))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        find("gateway.toml", "listener[0].bind"),
        [("\"127.0.0.1:8443\"", Some(3))]
    );
    assert_eq!(find("gateway.toml", "limits.streams"), [("64", None)]);
    assert_eq!(
        find("services.d/10-a.toml", "upstream.max_put"),
        [("\"5 GiB\"", None)]
    );
}

#[test]
fn the_digest_changes_with_any_file() {
    let first = load(GATEWAY, SERVICE).unwrap().digest;
    assert_eq!(first.len(), 64);
    assert_eq!(first, load(GATEWAY, SERVICE).unwrap().digest);
    assert_ne!(
        first,
        load(GATEWAY, &format!("{SERVICE}\n")).unwrap().digest
    );
    assert_ne!(
        first,
        load(&format!("{GATEWAY}\n"), SERVICE).unwrap().digest
    );
}

#[test]
fn what_is_no_service_file_is_a_fault_unless_it_is_switched_off() {
    let load = |name| {
        let directory = lay(GATEWAY, &[("10-a.toml", SERVICE), (name, "[[[")]);
        config::load(directory.path())
    };
    assert!(load("20-b.toml.disabled").is_ok());
    assert!(load(".20-b.toml.swp").is_ok());
    assert!(load("20-b.tml").is_err());
    assert!(load("20-b.toml").is_err());
}

/// `SERVICE` without its keys and back: any edit either loads or faults, and a stranger's key never loads.
mod mutations {
    use super::*;
    use proptest::prelude::*;

    fn lines() -> Vec<String> {
        SERVICE.lines().map(str::to_owned).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn an_unknown_key_never_loads(at in 0..30usize, key in "[a-z_]{1,16}", value in "(1|true|\"x\"|\\[\\]|\\{\\})") {
            let known = SERVICE.contains(&key) || [
                "namespace", "virtual_host", "etag_md5", "regions", "policy", "addressing", "ca_file", "connect_timeout",
                "response_timeout", "max_object", "max_put", "integrity", "conditional_writes", "secret_key_credential",
            ].contains(&key.as_str());
            prop_assume!(!known);
            let mut lines = lines();
            let at = at.min(lines.len());
            lines.insert(at, format!("{key} = {value}"));
            let faults = load(GATEWAY, &lines.join("\n")).unwrap_err();
            let named = faults.contains(&format!("unknown key `{key}`"));
            prop_assert!(named, "{faults}");
        }

        #[test]
        fn edits_never_panic(edits in prop::collection::vec((0..600usize, any::<char>(), 0..3u8), 1..6), gateway in any::<bool>()) {
            let text = if gateway { GATEWAY } else { SERVICE };
            let mut chars: Vec<char> = text.chars().collect();
            for (at, with, how) in edits {
                let at = at % chars.len();
                match how {
                    0 => chars[at] = with,
                    1 => chars.insert(at, with),
                    _ => drop(chars.remove(at)),
                }
            }
            let edited: String = chars.into_iter().collect();
            let _ = if gateway { load(&edited, SERVICE) } else { load(GATEWAY, &edited) };
        }

        #[test]
        fn a_changed_key_never_loads_silently(line in 0..20usize, at in 0..12usize, with in "[a-z_]") {
            let mut lines = lines();
            let line = line % lines.len();
            let Some((key, rest)) = lines[line].clone().split_once(" = ").map(|(k, r)| (k.to_owned(), r.to_owned())) else {
                return Ok(());
            };
            let mut changed: Vec<char> = key.chars().collect();
            let at = at % changed.len();
            changed[at] = with.chars().next().unwrap();
            let changed: String = changed.into_iter().collect();
            prop_assume!(changed != key);
            lines[line] = format!("{changed} = {rest}");
            prop_assert!(load(GATEWAY, &lines.join("\n")).is_err());
        }
    }
}
