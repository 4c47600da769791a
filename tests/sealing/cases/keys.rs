//! Text forms of recipients and identities, and protected files.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, Serializable};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::records::MINISTRY;
use super::{Collection, fails, hexed};
use crate::forge::gcm;

pub fn public(seed: &[u8; 32]) -> Vec<u8> {
    let private = <XWing as Kem>::PrivateKey::from_bytes(seed).unwrap();
    XWing::sk_to_pk(&private).to_bytes().to_vec()
}

fn armour(prefix: &str, key: &[u8]) -> String {
    let sum = Sha256::digest(key);
    format!(
        "{prefix}{}",
        URL_SAFE_NO_PAD.encode([key, &sum[..4]].concat())
    )
}

pub fn identity_text(seed: &[u8; 32]) -> String {
    armour("SCEAU-IDENTITY-1-", seed)
}

fn recipient_text(key: &[u8]) -> String {
    armour("sceau-recipient-1-", key)
}

pub fn add(all: &mut Collection) {
    texts(all);
    files(all);
}

fn texts(all: &mut Collection) {
    let key = public(&MINISTRY);
    let (identity, recipient) = (identity_text(&MINISTRY), recipient_text(&key));
    let known = json!({
        "recipient": recipient,
        "recipient-id": hexed(&Sha256::digest(&key)[..16]),
    });
    let refused = || fails("recipient-malformed");
    let damaged = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let own = |text: &str, expect: Value| json!({ "text": text, "expect": expect });
    let mut put = |kind: &str, name: &str, about: &str, text: &str, expect: Value| {
        all.push(kind, name, about, own(text, expect));
    };
    put(
        "identity",
        "valid",
        "a private key and its public one",
        &identity,
        known.clone(),
    );
    put(
        "identity",
        "white-space",
        "white space around it",
        &format!(" {identity}\r\n"),
        known.clone(),
    );
    put(
        "identity",
        "damaged",
        "a letter changed",
        &damaged(&identity, 30),
        refused(),
    );
    put(
        "identity",
        "lower-case",
        "another beginning",
        &identity.replacen("SCEAU", "sceau", 1),
        refused(),
    );
    put(
        "identity",
        "short",
        "31 bytes, rightly checked",
        &armour("SCEAU-IDENTITY-1-", &MINISTRY[1..]),
        refused(),
    );
    put(
        "identity",
        "cut",
        "the last letter is missing",
        &identity[..identity.len() - 1],
        refused(),
    );
    put(
        "identity",
        "recipient",
        "a recipient",
        &recipient,
        refused(),
    );
    put("identity", "empty", "nothing", "", refused());
    put("recipient", "valid", "a public key", &recipient, known);
    put(
        "recipient",
        "damaged",
        "a letter changed",
        &damaged(&recipient, 400),
        refused(),
    );
    put(
        "recipient",
        "short",
        "1,215 bytes, rightly checked",
        &recipient_text(&key[1..]),
        refused(),
    );
    put("recipient", "identity", "an identity", &identity, refused());
    put(
        "recipient",
        "not-a-key",
        "coefficients that are no residues modulo 3,329",
        &recipient_text(&[0xFF; 1216]),
        refused(),
    );
    let padded = STANDARD.encode([&key[..], &Sha256::digest(&key)[..4]].concat());
    put(
        "recipient",
        "padded",
        "base64 with padding and the other alphabet",
        &format!("sceau-recipient-1-{padded}"),
        refused(),
    );
}

const PASSPHRASE: &[u8] = "correct cheval batterie agrafe".as_bytes();

fn protect(kind: u8, cost: (u32, u32, u32), secret: &[u8]) -> Vec<u8> {
    let mut head = vec![0xD3, b'S', b'C', b'I', 1, kind, 0, 0];
    for value in [cost.0, cost.1, cost.2] {
        head.extend_from_slice(&value.to_be_bytes());
    }
    head.extend_from_slice(&[0xC1; 16]);
    head.extend_from_slice(&[0xC2; 12]);
    let mut key = [0; 32];
    let params = Params::new(cost.0, cost.1, cost.2, Some(32)).unwrap();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(PASSPHRASE, &[0xC1; 16], &mut key)
        .unwrap();
    let sealed = gcm(&key, &head[36..48], &head, secret);
    [head, sealed].concat()
}

fn files(all: &mut Collection) {
    const LIGHT: (u32, u32, u32) = (64, 2, 2);
    let text = identity_text(&MINISTRY).into_bytes();
    let fields = |file: &[u8], kind: &str, passphrase: &[u8], expect: Value| {
        json!({
            "file": hexed(file),
            "kind-expected": kind,
            "passphrase": hexed(passphrase),
            "expect": expect,
        })
    };
    let holds = |secret: &[u8]| json!({ "secret": hexed(secret) });
    let identity = protect(1, LIGHT, &text);
    let mut put = |name: &str, about: &str, value: Value| all.push("protected", name, about, value);
    put(
        "identity",
        "an identity, at small cost",
        fields(&identity, "identity", PASSPHRASE, holds(&text)),
    );
    let usual = protect(1, (65_536, 3, 4), &text);
    put(
        "identity-usual-cost",
        "an identity, at the usual cost",
        fields(&usual, "identity", PASSPHRASE, holds(&text)),
    );
    let writer = protect(2, LIGHT, &[0xB1; 32]);
    put(
        "writer",
        "a writer's seed",
        fields(&writer, "writer", PASSPHRASE, holds(&[0xB1; 32])),
    );
    let wrong = || fails("key-passphrase-wrong");
    let malformed = || fails("key-file-malformed");
    put(
        "passphrase",
        "another passphrase",
        fields(&identity, "identity", b"", wrong()),
    );
    put(
        "writer-as-identity",
        "a writer's seed where an identity is wanted",
        fields(&writer, "identity", PASSPHRASE, malformed()),
    );
    for (name, about, at, byte, class) in [
        ("magic", "the magic", 3, b'M', "key-file-malformed"),
        ("version", "version 02", 4, 2, "key-file-malformed"),
        ("reserved", "a reserved byte", 7, 1, "key-file-malformed"),
        (
            "memory",
            "more memory than a reader grants",
            8,
            1,
            "key-file-malformed",
        ),
        (
            "memory-none",
            "less memory than RFC 9106 allows",
            11,
            1,
            "key-file-malformed",
        ),
        ("passes", "65 passes", 15, 65, "key-file-malformed"),
        ("passes-none", "no pass", 15, 0, "key-file-malformed"),
        ("lanes", "65 lanes", 19, 65, "key-file-malformed"),
        (
            "passes-changed",
            "three passes instead of two",
            15,
            3,
            "key-passphrase-wrong",
        ),
        ("salt", "another salt", 20, 0, "key-passphrase-wrong"),
        ("nonce", "another nonce", 36, 0, "key-passphrase-wrong"),
        (
            "ciphertext",
            "a byte of the ciphertext",
            48,
            identity[48] ^ 1,
            "key-passphrase-wrong",
        ),
        (
            "tag",
            "a byte of the tag",
            identity.len() - 1,
            identity[identity.len() - 1] ^ 1,
            "key-passphrase-wrong",
        ),
    ] {
        let mut changed = identity.clone();
        changed[at] = byte;
        assert!(changed != identity, "{name}");
        put(
            name,
            about,
            fields(&changed, "identity", PASSPHRASE, fails(class)),
        );
    }
    let mut renamed = writer.clone();
    renamed[5] = 1;
    put(
        "kind-changed",
        "a writer's seed that says it is an identity",
        fields(&renamed, "identity", PASSPHRASE, wrong()),
    );
    put(
        "cut",
        "the header alone",
        fields(&identity[..48], "identity", PASSPHRASE, malformed()),
    );
    put(
        "cut-tag",
        "fewer bytes than a tag has",
        fields(&identity[..63], "identity", PASSPHRASE, malformed()),
    );
}
