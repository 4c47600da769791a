//! Records: the signed core, the wraps.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha384;
use hpke::kem::XWing;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeS, Serializable, single_shot_seal_with_rng};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384};
use std::convert::Infallible;

use super::keys::{identity_text, public};
use super::{Collection, NAMES, counting, fails, hexed};
use crate::forge::{Key48, Names, context, expand, id};

/// Seeds of X-Wing private keys and of writers.
pub const MINISTRY: [u8; 32] = [0xA1; 32];
pub const RECOVERY: [u8; 32] = [0xA2; 32];
pub const STRANGER: [u8; 32] = [0xA3; 32];
const WRITER: [u8; 32] = [0xB1; 32];
const OTHER_WRITER: [u8; 32] = [0xB2; 32];

/// Bytes that only look random, so that the same wraps are made every time.
struct Fixed(Key48, u32);

impl TryRng for Fixed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.1 += 1;
        out.copy_from_slice(&expand(&self.0, &[&self.1.to_be_bytes()], out.len()));
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

#[derive(Clone)]
struct Core {
    kind: u8,
    id: [u8; 32],
    writer: [u8; 32],
    names: Names,
}

impl Core {
    fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0xD3, b'S', b'C', b'R', 1, 1, self.kind, 0];
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&self.writer);
        out.extend_from_slice(&1_790_000_000u64.to_be_bytes());
        out.extend_from_slice(&1_790_003_600u64.to_be_bytes());
        out.extend_from_slice(&context(self.names));
        out
    }
}

fn signer(seed: &[u8; 32]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed).unwrap()
}

fn writer(seed: &[u8; 32]) -> [u8; 32] {
    signer(seed).public_key().as_ref().try_into().unwrap()
}

fn wrap(core: &[u8], seed: &[u8; 32], secret: &Key48) -> Vec<u8> {
    let public = public(seed);
    let info = [b"sceau-record/v1\0", &Sha384::digest(core)[..]].concat();
    let mut start = [0; 48];
    start[..32].copy_from_slice(seed);
    let key = <XWing as Kem>::PublicKey::from_bytes(&public).unwrap();
    let (enc, sealed) = single_shot_seal_with_rng::<AesGcm256, HkdfSha384, XWing>(
        &OpModeS::Base,
        &key,
        &info,
        secret,
        b"",
        &mut Fixed(start, 0),
    )
    .unwrap();
    let mut out = Sha256::digest(&public)[..16].to_vec();
    out.extend_from_slice(&(enc.to_bytes().len() as u32 + sealed.len() as u32).to_be_bytes());
    out.extend_from_slice(&enc.to_bytes());
    out.extend_from_slice(&sealed);
    out
}

fn record(core: &[u8], signed_by: &[u8; 32], wraps: &[Vec<u8>]) -> Vec<u8> {
    let mut out = (core.len() as u32).to_be_bytes().to_vec();
    out.extend_from_slice(core);
    out.extend_from_slice(signer(signed_by).sign(core).as_ref());
    out.extend_from_slice(&(wraps.len() as u16).to_be_bytes());
    out.extend(wraps.iter().flatten());
    out
}

fn fields(record: &[u8], identity: &[u8; 32], expect: Value) -> Value {
    json!({
        "record": hexed(record),
        "writers": [hexed(writer(&WRITER))],
        "kind-expected": "epoch",
        "context": NAMES,
        "identity": identity_text(identity),
        "expect": expect,
    })
}

fn opens(secret: &Key48) -> Value {
    json!({ "secret": hexed(secret), "id": hexed(id(secret)) })
}

struct Sample {
    core: Vec<u8>,
    wraps: Vec<Vec<u8>>,
    bytes: Vec<u8>,
}

fn sample(kind: u8, names: Names, secret: &Key48) -> Sample {
    let (id, writer) = (id(secret), writer(&WRITER));
    let core = Core {
        kind,
        id,
        writer,
        names,
    }
    .bytes();
    let wraps = vec![
        wrap(&core, &MINISTRY, secret),
        wrap(&core, &RECOVERY, secret),
    ];
    let bytes = record(&core, &WRITER, &wraps);
    Sample { core, wraps, bytes }
}

pub fn add(all: &mut Collection) {
    let secret = counting(0x00);
    let epoch = sample(1, NAMES, &secret);
    for (name, about, seed) in [
        (
            "epoch",
            "an epoch's record, opened by the ministry",
            MINISTRY,
        ),
        (
            "recovery",
            "the same record, opened by the recovery identity",
            RECOVERY,
        ),
    ] {
        all.push(
            "record",
            name,
            about,
            fields(&epoch.bytes, &seed, opens(&secret)),
        );
    }
    for (name, kind) in [("session", 2), ("service", 3)] {
        let record = sample(kind, NAMES, &secret);
        let mut value = fields(&record.bytes, &MINISTRY, opens(&secret));
        value["kind-expected"] = json!(name);
        all.push("record", name, &format!("a {name} secret's record"), value);
        let value = fields(&record.bytes, &MINISTRY, fails("record-foreign"));
        let about = format!("a {name} secret's record where an epoch's is wanted");
        all.push("record", &format!("{name}-as-epoch"), &about, value);
    }
    malformed(all, &epoch);
    signatures(all, &epoch, &secret);
    wraps(all, &epoch, &secret);
    let foreign = sample(1, ["min-justice", "s3", "dossiers"], &secret);
    let value = fields(&foreign.bytes, &MINISTRY, fails("record-foreign"));
    all.push("record", "foreign", "another tenant's record", value);
}

/// Cores that are signed and no cores.
fn malformed(all: &mut Collection, epoch: &Sample) {
    let mut put = |name: &str, about: &str, bytes: &[u8]| {
        let value = fields(bytes, &MINISTRY, fails("key-file-malformed"));
        all.push("record", name, about, value);
    };
    for (name, about, at, byte) in [
        ("magic", "the magic", 3, b'M'),
        ("version", "version 02", 4, 2),
        ("suite", "suite 02", 5, 2),
        ("kind-0", "kind 0", 6, 0),
        ("kind-4", "kind 4", 6, 4),
        ("reserved", "the reserved byte", 7, 1),
        (
            "context-upper-case",
            "an upper-case letter in the tenant",
            90,
            b'M',
        ),
        (
            "context-length",
            "the tenant is longer than the core",
            88,
            0xFF,
        ),
    ] {
        let mut core = epoch.core.clone();
        core[at] = byte;
        put(name, about, &record(&core, &WRITER, &epoch.wraps));
    }
    let longer = [&epoch.core[..], &[0]].concat();
    put(
        "core-longer",
        "a byte after the context",
        &record(&longer, &WRITER, &epoch.wraps),
    );
    let mut unnamed = epoch.core[..88].to_vec();
    unnamed.extend_from_slice(&context(["", "s3", "dossiers"]));
    put(
        "context-empty",
        "an empty tenant",
        &record(&unnamed, &WRITER, &epoch.wraps),
    );
    put("nothing", "no byte at all", &[]);
    put(
        "cut",
        "without the last byte",
        &epoch.bytes[..epoch.bytes.len() - 1],
    );
    put("more", "a byte more", &[&epoch.bytes[..], &[0]].concat());
    let mut counted = epoch.bytes.clone();
    counted[4 + epoch.core.len() + 64 + 1] = 3;
    put("count", "three wraps are counted, two are there", &counted);
}

fn signatures(all: &mut Collection, epoch: &Sample, secret: &Key48) {
    let mut put = |name: &str, about: &str, bytes: &[u8]| {
        let value = fields(bytes, &MINISTRY, fails("record-signature"));
        all.push("record", name, about, value);
    };
    let signature = 4 + epoch.core.len();
    for (name, about, at) in [
        (
            "signature-r",
            "a bit of the signature's first half",
            signature,
        ),
        (
            "signature-s",
            "a bit of the signature's second half",
            signature + 32,
        ),
        ("id", "a bit of the id", 4 + 8),
        ("writer", "a bit of the writer's key", 4 + 40),
        ("not-before", "the beginning", 4 + 79),
        ("not-after", "the end", 4 + 87),
    ] {
        let mut changed = epoch.bytes.clone();
        changed[at] ^= 1;
        put(name, about, &changed);
    }
    let mut renamed = epoch.bytes.clone();
    renamed[4 + 90] = b'n';
    put(
        "context-changed",
        "the tenant's first letter, unsigned",
        &renamed,
    );
    let mut kind = epoch.bytes.clone();
    kind[4 + 6] = 2;
    put("kind-changed", "the kind, unsigned", &kind);
    let stranger = Core {
        kind: 1,
        id: id(secret),
        writer: writer(&OTHER_WRITER),
        names: NAMES,
    };
    let bytes = record(&stranger.bytes(), &OTHER_WRITER, &epoch.wraps);
    put(
        "writer-not-enrolled",
        "a genuine record of a writer who is not enrolled",
        &bytes,
    );
    put(
        "signed-by-another",
        "names an enrolled writer, another one signed",
        &record(&epoch.core, &OTHER_WRITER, &epoch.wraps),
    );
    // S + L: the same signature to a verifier that does not check S < L
    let order =
        hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010").unwrap();
    let mut raised = epoch.bytes.clone();
    let mut carry = 0u16;
    for (byte, add) in raised[signature + 32..signature + 64].iter_mut().zip(order) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry as u8;
        carry >>= 8;
    }
    put(
        "signature-malleable",
        "the signature's S raised by the group's order",
        &raised,
    );
}

fn wraps(all: &mut Collection, epoch: &Sample, secret: &Key48) {
    let sealed = |wraps: &[Vec<u8>]| record(&epoch.core, &WRITER, wraps);
    let mut put = |name: &str, about: &str, bytes: &[u8], class: &str| {
        let value = fields(bytes, &MINISTRY, fails(class));
        all.push("record", name, about, value);
    };
    let own = &epoch.wraps[0];
    let at = |at: usize| {
        let mut changed = own.clone();
        changed[at] ^= 1;
        sealed(&[changed])
    };
    put(
        "wrap-ml-kem",
        "a bit of the ML-KEM ciphertext",
        &at(20),
        "record-substituted",
    );
    put(
        "wrap-x25519",
        "a bit of the X25519 share",
        &at(20 + 1088),
        "record-substituted",
    );
    put(
        "wrap-ciphertext",
        "a bit of the wrapped secret",
        &at(20 + 1120),
        "record-substituted",
    );
    put(
        "wrap-tag",
        "a bit of the wrap's tag",
        &at(own.len() - 1),
        "record-substituted",
    );
    put(
        "wrap-recipient",
        "another recipient's id on the wrap",
        &at(0),
        "record-no-identity",
    );
    put("wrap-none", "no wrap", &sealed(&[]), "record-no-identity");
    put(
        "wrap-others-only",
        "the recovery's wrap alone",
        &sealed(&epoch.wraps[1..]),
        "record-no-identity",
    );
    let stranger = fields(&epoch.bytes, &STRANGER, fails("record-no-identity"));
    let mut short = own[..20].to_vec();
    short[16..20].copy_from_slice(&1119u32.to_be_bytes());
    short.extend_from_slice(&own[20..20 + 1119]);
    put(
        "wrap-short",
        "a wrap without a ciphertext",
        &sealed(&[short]),
        "record-substituted",
    );
    let mut renamed = epoch.wraps[1].clone();
    renamed[..16].copy_from_slice(&own[..16]);
    put(
        "wrap-exchanged",
        "the recovery's wrap under the ministry's id",
        &sealed(&[renamed]),
        "record-substituted",
    );
    let other = sample(1, NAMES, &counting(0x30));
    put(
        "wrap-of-another-record",
        "the wrap of another record for the same recipient",
        &sealed(&other.wraps),
        "record-substituted",
    );
    let planted = wrap(&epoch.core, &MINISTRY, &counting(0x30));
    put(
        "wrap-another-secret",
        "a wrap for this record that holds another secret",
        &sealed(&[planted]),
        "record-substituted",
    );
    let mut damaged = own.clone();
    damaged[30] ^= 1;
    put(
        "wrap-first-counts",
        "two wraps for one recipient, the first damaged",
        &sealed(&[damaged.clone(), own.clone()]),
        "record-substituted",
    );
    let both = sealed(&[own.clone(), damaged]);
    all.push(
        "record",
        "stranger",
        "opened by somebody to whom nothing is wrapped",
        stranger,
    );
    let about = "two wraps for one recipient, the second damaged";
    all.push(
        "record",
        "wrap-second-ignored",
        about,
        fields(&both, &MINISTRY, opens(secret)),
    );
    let rewrapped = sealed(&[wrap(&epoch.core, &STRANGER, secret)]);
    let about = "the wraps replaced, the core and its signature as they were";
    all.push(
        "record",
        "rewrapped",
        about,
        fields(&rewrapped, &STRANGER, opens(secret)),
    );
}
