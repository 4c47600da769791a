//! The cases of `tests/vectors/token-*.json` (`docs/tokens.md` says what their members are).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sceau::seal::token::{self, Field, Index, Normal};
use sceau::seal::{Context, EpochKeys, EpochSecret, EpochShort, KeyLookup, LookupError, Salt};
use sceau::secret::Secret;
use serde_json::{Value, json};

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");

struct One(Arc<EpochKeys>);

impl KeyLookup for One {
    fn epoch(&self, short: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
        (short == self.0.id.short())
            .then(|| self.0.clone())
            .ok_or(LookupError::Unknown)
    }
}

fn cases(prefix: &str) -> BTreeMap<PathBuf, Value> {
    fs::read_dir(DIRECTORY)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(prefix)
        })
        .map(|path| {
            let case = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            (path, case)
        })
        .collect()
}

fn text<'a>(case: &'a Value, member: &str) -> &'a str {
    case[member]
        .as_str()
        .unwrap_or_else(|| panic!("{member} in {case}"))
}

fn bytes(case: &Value, member: &str) -> Vec<u8> {
    hex::decode(text(case, member)).unwrap()
}

fn keys(case: &Value) -> One {
    let secret = Secret::from_slice(&bytes(case, "secret")).unwrap();
    One(Arc::new(EpochSecret::new(secret).keys()))
}

fn context(case: &Value) -> Context {
    let part = |member| text(case, member);
    Context::new(part("tenant"), part("service"), part("namespace")).unwrap()
}

#[test]
fn every_case_has_the_outcome_that_it_names() {
    let cases = cases("token-");
    let mut outcomes: BTreeMap<&str, u32> = BTreeMap::new();
    for (path, case) in &cases {
        let expect = text(case, "expect");
        *outcomes.entry(expect).or_default() += 1;
        let opened = token::open(&keys(case), &context(case), text(case, "token").as_bytes());
        match opened {
            Ok(opened) => {
                assert_eq!(expect, "opens", "{}", path.display());
                assert_eq!(
                    opened.plaintext,
                    bytes(case, "plaintext"),
                    "{}",
                    path.display()
                );
                assert_eq!(opened.field, Field::named(text(case, "field")));
            }
            Err(error) => assert_eq!(expect, error.name(), "{}", path.display()),
        }
    }
    let expected = [
        "checksum",
        "commitment",
        "header",
        "length",
        "not-sealed",
        "opens",
        "segment",
        "suite",
        "unknown-epoch",
    ];
    assert_eq!(outcomes.keys().copied().collect::<Vec<_>>(), expected);
}

#[test]
fn sealing_gives_the_tokens_of_the_cases_that_open() {
    for (path, case) in cases("token-")
        .iter()
        .filter(|(_, case)| case["expect"] == "opens")
    {
        let salt = Salt::of_test_vector(bytes(case, "salt").try_into().unwrap());
        let field = Field::named(text(case, "field"));
        let sealed = token::seal(
            &keys(case).0,
            &context(case),
            field,
            salt,
            &bytes(case, "plaintext"),
        );
        assert_eq!(sealed.unwrap(), text(case, "token"), "{}", path.display());
    }
}

#[test]
fn indexes_are_those_of_the_cases() {
    let cases = cases("index-");
    assert!(cases.len() >= 2);
    for (path, case) in &cases {
        let index = Index::new(&Secret::from_slice(&bytes(case, "secret")).unwrap());
        let normal = match text(case, "normal") {
            "exact" => Normal::Exact,
            _ => Normal::Folded,
        };
        let field = Field::named(text(case, "field"));
        let found = index.of(&context(case), field, normal, text(case, "value"));
        assert_eq!(found, text(case, "index"), "{}", path.display());
    }
}

/// Writes the cases anew when `SCEAU_WRITE_VECTORS` is set; they change with the format only.
#[test]
fn the_cases_are_written_when_asked_for() {
    if std::env::var_os("SCEAU_WRITE_VECTORS").is_none() {
        return;
    }
    let base = json!({
        "secret": hex::encode((0..48).collect::<Vec<u8>>()),
        "tenant": "interior", "service": "chat", "namespace": "default",
    });
    let write = |name: &str, comment: &str, members: Value| {
        let mut case = base.clone();
        case["comment"] = comment.into();
        case.as_object_mut()
            .unwrap()
            .extend(members.as_object().unwrap().clone());
        let path = Path::new(DIRECTORY).join(format!("{name}.json"));
        fs::write(path, format!("{case:#}\n")).unwrap();
    };
    let salt = [0x5A; 32];
    let sealed = |plain: &[u8]| {
        let field = Field::named("$.body");
        token::seal(
            &keys(&base).0,
            &context(&base),
            field,
            Salt::of_test_vector(salt),
            plain,
        )
        .unwrap()
    };
    for (name, plain) in [
        ("empty", String::new()),
        ("short", "bonjour".into()),
        ("long", "é".repeat(200)),
    ] {
        let members = json!({
            "expect": "opens", "field": "$.body", "salt": hex::encode(salt),
            "plaintext": hex::encode(&plain), "token": sealed(plain.as_bytes()),
        });
        write(
            &format!("token-{name}"),
            "opens, and is what sealing gives",
            members,
        );
    }
    let token = sealed(b"bonjour");
    let refused = |name: &str, comment: &str, expect: &str, token: &str| {
        write(
            &format!("token-{name}"),
            comment,
            json!({"expect": expect, "token": token}),
        );
    };
    let binary = URL_SAFE_NO_PAD.decode(&token[4..token.len() - 7]).unwrap();
    let armoured = |body: &str| {
        let stands = format!("sc1.{body}");
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, stands.as_bytes()) as u32;
        format!("{stands}.{}", URL_SAFE_NO_PAD.encode(crc.to_be_bytes()))
    };
    let flipped = |at: usize| {
        let mut binary = binary.clone();
        binary[at] ^= 1;
        armoured(&URL_SAFE_NO_PAD.encode(binary))
    };
    for (name, at, expect) in [
        ("version", 0, "suite"),
        ("suite", 1, "suite"),
        ("epoch", 2, "unknown-epoch"),
        ("field", 18, "commitment"),
        ("salt", 26, "commitment"),
        ("commitment", 50, "commitment"),
        ("ciphertext", 66, "segment"),
        ("tag", binary.len() - 1, "segment"),
    ] {
        refused(
            &format!("{name}-flipped"),
            "a bit is flipped under a good checksum",
            expect,
            &flipped(at),
        );
    }
    refused(
        "prefix",
        "another prefix",
        "not-sealed",
        &token.replacen("sc1", "sc2", 1),
    );
    refused(
        "checksum-flipped",
        "the checksum's last character is another",
        "checksum",
        &format!("{}A", &token[..token.len() - 1]),
    );
    refused(
        "cut",
        "the last ten characters are missing",
        "length",
        &token[..token.len() - 10],
    );
    refused(
        "short-body",
        "the binary form has no room for a tag",
        "length",
        &armoured(&URL_SAFE_NO_PAD.encode(&binary[..80])),
    );
    let mut loose = token[4..token.len() - 7].to_owned();
    loose.pop();
    let loose = format!("{loose}B");
    refused(
        "loose-bits",
        "base64url with bits set beyond the end",
        "header",
        &armoured(&loose),
    );
    write(
        "token-other-service",
        "sealed for another service",
        json!({"expect": "commitment", "service": "mail", "token": token}),
    );
    for (name, normal, value) in [
        ("index-exact", "exact", "Dupont"),
        ("index-folded", "folded", "  DUPONT\t"),
    ] {
        let index = Index::new(&Secret::from_slice(&bytes(&base, "secret")).unwrap());
        let how = if normal == "exact" {
            Normal::Exact
        } else {
            Normal::Folded
        };
        let found = index.of(&context(&base), Field::named("$.surname"), how, value);
        write(
            name,
            "equality index; `secret` is the service secret",
            json!({
                "normal": normal, "value": value, "field": "$.surname", "index": found,
            }),
        );
    }
}
