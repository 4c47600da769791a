//! What lies at an object's end: digests, the trailer's header and contents, the locator.

use serde_json::{Value, json};

use super::objects::{bonjour, fields, inline};
use super::{Collection, NAMES, counting, fails, hexed, opens};
use crate::forge::{self, Object, Piece, short};

const LENGTH: usize = 376;

/// A multipart upload of a single part.
pub fn one_part() -> Object {
    let mut object = bonjour();
    object.pieces[0].part = 1;
    object
}

pub fn add(all: &mut Collection) {
    digests(all);
    header(all);
    exchanged(all);
    locators(all);
    contents(all);
    entries(all);
}

/// Name, bit, place in the trailer's plaintext, size.
const DIGESTS: [(&str, u32, usize, usize); 7] = [
    ("md5", 0, 16, 16),
    ("sha1", 1, 32, 20),
    ("sha256", 2, 52, 32),
    ("quickxor", 3, 84, 20),
    ("crc32", 4, 104, 4),
    ("crc32c", 5, 108, 4),
    ("crc64nvme", 6, 112, 8),
];

fn digests(all: &mut Collection) {
    let mut put = |name: &str, about: &str, object: Object, wanted: &[(&str, bool)]| {
        let mut object = object;
        let mut shown = serde_json::Map::new();
        let mut mask = 0u32;
        for (digest, bit, at, size) in DIGESTS {
            let Some((_, composite)) = wanted.iter().find(|(n, _)| *n == digest) else {
                continue;
            };
            let value = vec![0xD0 + bit as u8; size];
            mask |= 1 << bit | u32::from(*composite) << (16 + bit);
            object.digests[at - 12..at - 12 + size].copy_from_slice(&value);
            shown.insert(
                digest.to_owned(),
                json!({ "value": hexed(value), "composite": composite }),
            );
        }
        object.digests[..4].copy_from_slice(&mask.to_be_bytes());
        let mut expect = opens(b"bonjour");
        expect["digests"] = Value::Object(shown);
        let value = fields(&inline(&object.sealed()), expect);
        all.push("object", &format!("digests-{name}"), about, value);
    };
    put("none", "no digest", bonjour(), &[]);
    put("md5", "an MD5 alone", bonjour(), &[("md5", false)]);
    let every = DIGESTS.map(|(name, ..)| (name, false));
    put(
        "all",
        "every digest there is, none composite",
        bonjour(),
        &every,
    );
    let composite = DIGESTS.map(|(name, ..)| (name, true));
    put(
        "all-composite",
        "every digest there is, all composite",
        one_part(),
        &composite,
    );
    let mixed = [("md5", true), ("crc32c", true), ("crc64nvme", false)];
    put(
        "mixed",
        "two composite digests and one over the bytes",
        one_part(),
        &mixed,
    );
}

fn header(all: &mut Collection) {
    let sealed = bonjour().sealed();
    let start = sealed.len() - 8 - LENGTH;
    let mut change = |name: &str, about: &str, at: usize, bytes: &[u8], class: &str| {
        let mut changed = sealed.clone();
        changed[start + at..start + at + bytes.len()].copy_from_slice(bytes);
        assert!(changed != sealed, "{name}");
        let name = format!("trailer-{name}");
        all.push(
            "object",
            &name,
            about,
            fields(&inline(&changed), fails(class)),
        );
    };
    change("magic", "the trailer's magic", 2, b"X", "not-sealed");
    change("version", "the trailer's version is 02", 4, &[2], "suite");
    change("suite", "the trailer's suite is 00", 5, &[0], "suite");
    change("no-flag", "the trailer without its flag", 7, &[0], "header");
    change(
        "part",
        "the trailer flag with part 1",
        8,
        &[0, 0, 0, 1],
        "header",
    );
    change(
        "reserved",
        "a reserved byte of the trailer's header",
        12,
        &[1],
        "header",
    );
    change(
        "epoch",
        "the trailer's epoch is unknown",
        16,
        &[0xE1; 16],
        "unknown-epoch",
    );
    change(
        "object-id",
        "the trailer's object id",
        32,
        &[0x0C],
        "commitment",
    );
    change("salt", "the trailer's salt", 48, &[0x7B], "commitment");
    change(
        "length",
        "the trailer's length is 233 instead of 232",
        87,
        &[233],
        "commitment",
    );
    change(
        "length-unknown",
        "the trailer's length is unknown",
        80,
        &[0xFF; 8],
        "header",
    );
    change(
        "commitment",
        "the trailer's commitment",
        96,
        &[sealed[start + 96] ^ 1],
        "commitment",
    );
    change(
        "ciphertext",
        "a bit of the trailer's ciphertext",
        128,
        &[sealed[start + 128] ^ 1],
        "segment",
    );
    change(
        "tag",
        "a bit of the trailer's tag",
        LENGTH - 1,
        &[sealed[start + LENGTH - 1] ^ 1],
        "segment",
    );
    let mut zeroed = sealed.clone();
    zeroed[start..start + LENGTH].fill(0);
    let about = "zeros where the trailer was";
    all.push(
        "object",
        "trailer-zeros",
        about,
        fields(&inline(&zeroed), fails("not-sealed")),
    );
}

fn exchanged(all: &mut Collection) {
    let object = bonjour();
    let mut put = |name: &str, about: &str, trailer: &[u8], class: &str| {
        let sealed = object.sealed_with(trailer);
        let name = format!("trailer-{name}");
        all.push(
            "object",
            &name,
            about,
            fields(&inline(&sealed), fails(class)),
        );
    };
    let mut other = bonjour();
    other.object = [0x0C; 16];
    let trailer = other.trailer_of(&other.trailer_plain());
    put(
        "of-another-object",
        "the trailer of another object of the same length",
        &trailer,
        "run",
    );
    let mut other = bonjour();
    other.pieces[0].salt = 0x5B;
    let trailer = other.trailer_of(&other.trailer_plain());
    put(
        "of-another-attempt",
        "the trailer of another attempt at the same object",
        &trailer,
        "run",
    );
    let mut other = bonjour();
    other.names = ["min-justice", "s3", "dossiers"];
    let trailer = other.trailer_of(&other.trailer_plain());
    put(
        "of-another-context",
        "the trailer of the same object in another context",
        &trailer,
        "commitment",
    );
    let trailer = one_part().trailer_of(&one_part().trailer_plain());
    put(
        "of-a-part",
        "a trailer that names part 1, after a run of part 0",
        &trailer,
        "run",
    );
    let data = bonjour();
    let plain = data.trailer_plain();
    let head = forge::Head {
        flags: 0,
        part: 7,
        ..data.trailer_head(plain.len())
    };
    let run = forge::run(&counting(0), NAMES, &head, &plain);
    put(
        "is-a-part",
        "a genuine run of part 7 that holds what the trailer should",
        &run,
        "trailer",
    );
}

fn locators(all: &mut Collection) {
    for (kind, object) in [("whole", bonjour()), ("part", one_part())] {
        let sealed = object.sealed();
        let at = sealed.len() - 8;
        let of = |class: &'static str| if kind == "whole" { "trailer" } else { class };
        for (name, about, value, class) in [
            ("zero", "the locator is 0", 0u64, "not-sealed"),
            ("huge", "the locator is all ones", u64::MAX, "not-sealed"),
            (
                "short",
                "the locator is one less than the shortest trailer",
                375,
                "not-sealed",
            ),
            (
                "one-more",
                "the locator is one more than the trailer",
                377,
                "not-sealed",
            ),
            (
                "beyond",
                "the locator is longer than what lies before it",
                at as u64 + 1,
                "not-sealed",
            ),
        ] {
            let mut changed = sealed.clone();
            changed[at..].copy_from_slice(&value.to_be_bytes());
            let value = fields(&inline(&changed), fails(of(class)));
            all.push("object", &format!("locator-{kind}-{name}"), about, value);
        }
        let mut changed = sealed.clone();
        changed[at..].copy_from_slice(&(at as u64).to_be_bytes());
        let about = "the locator says that the whole object is the trailer";
        let value = fields(&inline(&changed), fails("trailer"));
        all.push(
            "object",
            &format!("locator-{kind}-everything"),
            about,
            value,
        );
    }
}

/// Trailers that a holder of the key could make and that do not fit.
fn contents(all: &mut Collection) {
    for (kind, object) in [("whole", bonjour()), ("part", one_part())] {
        let right = object.trailer_plain();
        let mut change = |name: &str, about: &str, at: usize, bytes: &[u8]| {
            let mut plain = right.clone();
            plain[at..at + bytes.len()].copy_from_slice(bytes);
            assert!(plain != right, "{name}");
            let sealed = object.sealed_with(&object.trailer_of(&plain));
            let name = format!("trailer-{kind}-{name}");
            all.push(
                "object",
                &name,
                about,
                fields(&inline(&sealed), fails("trailer")),
            );
        };
        change("total", "the total is 8 instead of 7", 7, &[8]);
        change("count", "two runs are counted, one is listed", 11, &[2]);
        change("mask", "a bit of the mask that has no meaning", 12, &[0x80]);
        change(
            "mask-digest",
            "the bit of a digest that does not exist",
            15,
            &[0x80],
        );
        change(
            "composite-alone",
            "a composite bit without its digest",
            13,
            &[1],
        );
        change("digest-alone", "a digest without its bit", 16, &[1]);
        change("reserved-first", "the first reserved byte", 120, &[1]);
        change("reserved-last", "the last reserved byte", 139, &[1]);
        change(
            "part-reserved",
            "the run has the trailer's part number",
            148,
            &[0xFF; 4],
        );
        change("length", "the run's length is 6, the total 7", 147, &[6]);
        change(
            "length-overflow",
            "the run's length is 2^64 - 1",
            140,
            &[0xFF; 8],
        );
    }
    for (kind, object) in [("whole", bonjour()), ("part", one_part())] {
        let plain = object.trailer_plain();
        for (name, length) in [("more", 233), ("less", 231), ("a-segment", 65_768)] {
            let head = object.trailer_head(length);
            let trailer = forge::run(&object.trailer_secret, NAMES, &head, &plain);
            let sealed = object.sealed_with(&trailer);
            let about = "a trailer of 232 bytes whose header says otherwise, though the key derivation agrees";
            let name = format!("trailer-{kind}-header-{name}");
            all.push(
                "object",
                &name,
                about,
                fields(&inline(&sealed), fails("trailer")),
            );
        }
    }
    let object = one_part();
    let right = object.trailer_plain();
    for (name, about, plain) in [
        (
            "one-byte-more",
            "a byte after the last entry",
            [&right[..], &[0]].concat(),
        ),
        ("no-entry", "no run at all", right[..140].to_vec()),
        ("too-short", "139 bytes", right[..139].to_vec()),
        ("empty", "nothing", Vec::new()),
    ] {
        let sealed = object.sealed_with(&object.trailer_of(&plain));
        let name = format!("trailer-part-{name}");
        // a trailer below T(1) does not even have a plausible locator
        let class = if plain.len() < 232 {
            "not-sealed"
        } else {
            "trailer"
        };
        all.push(
            "object",
            &name,
            about,
            fields(&inline(&sealed), fails(class)),
        );
    }
    let mut nothing = right[..140].to_vec();
    nothing[..12].fill(0);
    nothing.resize(232, 0);
    let sealed = object.sealed_with(&object.trailer_of(&nothing));
    let about = "no run is counted, room for one is there";
    all.push(
        "object",
        "trailer-part-count-0",
        about,
        fields(&inline(&sealed), fails("trailer")),
    );
}

/// What an entry says of its run, changed one by one by a holder of the key.
fn entries(all: &mut Collection) {
    for (kind, object) in [("whole", bonjour()), ("part", one_part())] {
        let right = object.trailer_plain();
        let mut change = |name: &str, about: &str, at: usize, bytes: &[u8]| {
            let mut plain = right.clone();
            plain[at..at + bytes.len()].copy_from_slice(bytes);
            assert!(plain != right, "{name}");
            let sealed = object.sealed_with(&object.trailer_of(&plain));
            let name = format!("entry-{kind}-{name}");
            all.push(
                "object",
                &name,
                about,
                fields(&inline(&sealed), fails("run")),
            );
        };
        change("part", "the entry has part 3", 151, &[3]);
        change(
            "epoch",
            "the entry has another epoch that is known",
            152,
            &short(&counting(0x30)),
        );
        change("salt", "the entry has another salt", 168, &[0x5B]);
        change(
            "commitment",
            "the entry has another commitment",
            231,
            &[right[231] ^ 1],
        );
    }
    // parts of too little plaintext for the layout, listed in orders that no object has
    let piece = |part: u32, plain: &[u8]| Piece {
        part,
        salt: 0x50 + part as u8,
        plain: plain.to_vec(),
        ..bonjour().pieces[0].clone()
    };
    for (name, about, pieces) in [
        (
            "too-small",
            "two parts of less than 320 KiB: more bytes than the length function has",
            vec![piece(1, b"bon"), piece(2, b"jour")],
        ),
        (
            "two-wholes",
            "two runs of part 0",
            vec![piece(0, b"bon"), piece(0, b"jour")],
        ),
    ] {
        let mut object = bonjour();
        object.pieces = pieces;
        let sealed = object.sealed();
        let class = if name == "two-wholes" {
            "length"
        } else {
            "trailer"
        };
        all.push(
            "object",
            &format!("runs-{name}"),
            about,
            fields(&inline(&sealed), fails(class)),
        );
    }
}
