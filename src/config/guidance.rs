//! What to say to keys that stand in other products' configurations, or that must not stand anywhere.

/// Keys that are never accepted, and why.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &[
            "secret",
            "secret_key",
            "secret_access_key",
            "upstream_secret_key",
            "aws_secret_access_key",
        ],
        "a secret never stands in a configuration file; write it to a file of its own (mode 0600) and name that with `secret_key_file`, `upstream_secret_key_file` for the provider's side, or hand it over as a systemd credential with `…_credential`",
    ),
    (
        &["passphrase", "password", "pin"],
        "a passphrase never stands in a configuration file; write it to a file of its own (mode 0600) and name that with `passphrase_file`",
    ),
    (
        &["key_pem", "private_key", "certificate_pem"],
        "keys and certificates are named by their file: `key_file`, `chain_file`, `certificate_file`",
    ),
    (
        &["legacy", "legacy_read", "passthrough", "allow_unsealed"],
        "not offered: what is not sealed is refused",
    ),
    (
        &[
            "encrypt",
            "encryption",
            "disable_encryption",
            "seal",
            "dry_run",
        ],
        "there is no switch that turns sealing on or off: it is always on",
    ),
    (
        &[
            "insecure",
            "insecure_skip_verify",
            "skip_verify",
            "tls_verify",
            "verify",
            "verify_tls",
            "no_verify_ssl",
        ],
        "the provider's certificate is always verified; name a private authority with `ca_file`",
    ),
];

/// What others call our keys. One of their names may stand for several of ours: the one that the table knows is meant.
const FOREIGN: &[(&str, &[&str])] = &[
    ("address", &["bind"]),
    ("listen", &["bind"]),
    ("port", &["bind"]),
    ("listeners", &["listener"]),
    ("server", &["listener"]),
    ("certificate", &["chain_file", "certificate_file"]),
    ("cert", &["chain_file", "certificate_file", "certificate"]),
    ("cert_file", &["chain_file", "certificate_file"]),
    ("certificate_file", &["chain_file"]),
    ("chain_file", &["certificate_file"]),
    ("certificates", &["certificate"]),
    ("ca", &["ca_file", "local_ca"]),
    ("ca_bundle", &["ca_file"]),
    ("key", &["key_file"]),
    ("privkey", &["key_file"]),
    ("endpoint", &["url"]),
    ("endpoint_url", &["url"]),
    ("host", &["hosts"]),
    ("hostname", &["hosts"]),
    ("server_name", &["hosts"]),
    ("domain", &["hosts"]),
    ("path_style", &["addressing"]),
    ("force_path_style", &["addressing"]),
    ("access_key_id", &["access_key"]),
    ("aws_access_key_id", &["access_key"]),
    ("backend", &["upstream"]),
    ("credentials", &["credential"]),
    ("users", &["credential"]),
    ("id", &["service"]),
    ("type", &["kind"]),
    ("level", &["filter"]),
    ("timeout", &["response_timeout", "idle_timeout"]),
    ("max_connections", &["connections"]),
];

/// Why a key is refused whatever the table.
pub(super) fn advice(key: &str) -> Option<&'static str> {
    REFUSED
        .iter()
        .find(|(keys, _)| keys.contains(&key))
        .map(|(_, advice)| *advice)
}

/// Our names for what others call `key`.
pub(super) fn foreign(key: &str) -> &'static [&'static str] {
    FOREIGN
        .iter()
        .find(|(name, _)| *name == key)
        .map_or(&[], |(_, ours)| *ours)
}
