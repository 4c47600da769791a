//! Objects of one run: sizes, and every field of the header changed.

use serde_json::{Value, json};

use super::{Collection, NAMES, Stretch, counting, fails, hexed, opens, secrets, stretches};
use crate::forge::{self, Key48, Names, Object, SEGMENT, pattern, run_okm, short, subsecret};
use crate::two_keys::collide;

const A: u8 = 0x00;
const B: u8 = 0x30;

/// `(sealed)` opened with both secrets in [`NAMES`].
pub fn fields(sealed: &[Stretch], expect: Value) -> Value {
    fields_in(NAMES, &[counting(A), counting(B)], sealed, expect)
}

pub fn fields_in(names: Names, keys: &[Key48], sealed: &[Stretch], expect: Value) -> Value {
    json!({
        "secrets": secrets(keys),
        "context": names,
        "sealed": stretches(sealed),
        "expect": expect,
    })
}

pub fn inline(bytes: &[u8]) -> Vec<Stretch> {
    vec![Stretch::Hex(bytes.to_vec())]
}

pub fn bonjour() -> Object {
    Object::whole(counting(A), NAMES, b"bonjour")
}

fn unknown(plain: &[u8]) -> Object {
    let mut object = Object::whole(counting(A), NAMES, plain);
    object.pieces[0].unknown = true;
    object
}

pub fn add(all: &mut Collection) {
    valid(all);
    header(all);
    contexts(all);
    lengths(all);
    segments(all);
    commitment(all);
}

fn valid(all: &mut Collection) {
    for (name, plain) in [
        ("empty", &b""[..]),
        ("1-byte", b"x"),
        ("7-bytes", b"bonjour"),
    ] {
        let sealed = Object::whole(counting(A), NAMES, plain).sealed();
        let about = format!("one run of {} bytes of plaintext", plain.len());
        all.push(
            "object",
            name,
            &about,
            fields(&inline(&sealed), opens(plain)),
        );
    }
    for (name, file, length) in [
        ("65535-bytes", "65535.bin", SEGMENT - 1),
        ("65536-bytes", "65536.bin", SEGMENT),
        ("65537-bytes", "65537.bin", SEGMENT + 1),
        ("327680-bytes", "327680.bin", 5 * SEGMENT),
    ] {
        let object = Object::whole(counting(A), NAMES, &pattern(0, length));
        let sealed = object.sealed();
        let whole = [Stretch::File(file, 0, sealed.len())];
        let about = format!("one run of {length} bytes, byte i being 7 i mod 251");
        all.push(
            "object",
            name,
            &about,
            fields(&whole, opens(&super::plain(&object))),
        );
        all.files.insert(file, sealed);
    }
    for (name, plain) in [
        ("unknown-length", &b"bonjour"[..]),
        ("unknown-length-empty", b""),
    ] {
        let sealed = unknown(plain).sealed();
        let about = "the length was not known when the run began; the object's total tells it";
        all.push(
            "object",
            name,
            about,
            fields(&inline(&sealed), opens(plain)),
        );
    }
    let mut object = bonjour();
    object.trailer_secret = counting(B);
    let about = "the trailer was sealed under another epoch than the run";
    let sealed = object.sealed();
    all.push(
        "object",
        "two-epochs",
        about,
        fields(&inline(&sealed), opens(b"bonjour")),
    );
    let mut with_id = fields(&inline(&bonjour().sealed()), opens(b"bonjour"));
    with_id["object"] = hexed([0x0B; 16]);
    let about = "the object id is known beforehand and is the right one";
    all.push("object", "expected-id", about, with_id.clone());
    with_id["object"] = hexed([0x0C; 16]);
    with_id["expect"] = fails("run");
    let about = "the object id that is known beforehand is another one";
    all.push("object", "unexpected-id", about, with_id);
    known_answer(all);
}

/// The answers that were computed before this program existed, with the secret in the place of the subsecret; and
/// the same inputs by way of the subsecret.
fn known_answer(all: &mut Collection) {
    let head = forge::Head {
        flags: 0,
        part: 0,
        epoch: [0xE1; 16],
        object: [0x0B; 16],
        salt: [0x5A; 32],
        length: 7,
    };
    for (name, about, key) in [
        (
            "known-answer-direct",
            "a run, derived from these 48 bytes as the object subsecret",
            counting(A),
        ),
        (
            "known-answer",
            "a run, derived from the subsecret of these 48 bytes",
            subsecret(&counting(A), "object"),
        ),
    ] {
        let run = forge::run_from(&key, NAMES, &head.bytes(), b"bonjour");
        let value = json!({
            "subsecret": hexed(key),
            "secret": if name == "known-answer" { hexed(counting(A)) } else { Value::Null },
            "context": NAMES,
            "header": hexed(head.bytes()),
            "plaintext": hexed("bonjour"),
            "expect": { "commitment": hexed(&run[96..128]), "segment": hexed(&run[128..]) },
        });
        all.push("run", name, about, value);
    }
}

fn header(all: &mut Collection) {
    let sealed = bonjour().sealed();
    let mut change = |name: &str, about: &str, at: usize, bytes: &[u8], class: &str| {
        let mut changed = sealed.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        assert!(changed != sealed, "{name}");
        let name = format!("header-{name}");
        all.push(
            "object",
            &name,
            about,
            fields(&inline(&changed), fails(class)),
        );
    };
    change(
        "magic",
        "the first byte of the magic",
        0,
        &[0xD2],
        "not-sealed",
    );
    change(
        "magic-of-a-blob",
        "the magic is a metadata blob's",
        3,
        b"M",
        "not-sealed",
    );
    change("version", "version 02", 4, &[2], "suite");
    change("suite", "suite 02", 5, &[2], "suite");
    change("segment-size", "segments of 2^17 bytes", 6, &[17], "header");
    change(
        "flag-trailer",
        "the trailer flag on part 0",
        7,
        &[1],
        "header",
    );
    change("flag-unknown", "an unknown flag", 7, &[2], "header");
    change(
        "part-1",
        "part 1 instead of 0: the trailer names another run",
        8,
        &[0, 0, 0, 1],
        "run",
    );
    change(
        "part-trailer",
        "the trailer's part number without its flag",
        8,
        &[0xFF; 4],
        "header",
    );
    change(
        "reserved-1",
        "the first reserved field is not zero",
        15,
        &[1],
        "header",
    );
    change(
        "epoch-unknown",
        "an epoch that nobody knows",
        16,
        &[0xE1; 16],
        "unknown-epoch",
    );
    change(
        "epoch-other",
        "another epoch that is known",
        16,
        &short(&counting(B)),
        "commitment",
    );
    change("object-id", "another object id", 47, &[0x0C], "commitment");
    change("salt", "another salt", 79, &[0x5B], "commitment");
    change("length-8", "length 8 instead of 7", 87, &[8], "length");
    change(
        "length-huge",
        "a length beyond a run's",
        80,
        &[0x7F],
        "length",
    );
    change(
        "length-unknown",
        "unknown instead of 7",
        80,
        &[0xFF; 8],
        "commitment",
    );
    change(
        "reserved-2",
        "the second reserved field is not zero",
        88,
        &[0x80],
        "header",
    );
    change(
        "commitment-first",
        "the first bit of the commitment",
        96,
        &[sealed[96] ^ 0x80],
        "commitment",
    );
    change(
        "commitment-last",
        "the last bit of the commitment",
        127,
        &[sealed[127] ^ 1],
        "commitment",
    );
    let mut trailer_first = bonjour();
    trailer_first.pieces[0].part = forge::TRAILER_PART;
    let mut head = trailer_first.head(&trailer_first.pieces[0]);
    head.flags = 1;
    let run = forge::run(&counting(A), NAMES, &head, b"bonjour");
    let mut changed = sealed.clone();
    changed[..run.len()].copy_from_slice(&run);
    let about = "a genuine trailer run where the object's run must be";
    all.push(
        "object",
        "header-of-a-trailer",
        about,
        fields(&inline(&changed), fails("header")),
    );
    let mut unknown_part = bonjour();
    (unknown_part.pieces[0].part, unknown_part.pieces[0].unknown) = (1, true);
    let about = "a part of unknown length, though the key derivation agrees";
    all.push(
        "object",
        "header-part-unknown-length",
        about,
        fields(&inline(&unknown_part.sealed()), fails("header")),
    );
    let mut named = unknown(b"bonjour").sealed();
    named[80..88].copy_from_slice(&7u64.to_be_bytes());
    let about = "the true length written where it was unknown";
    all.push(
        "object",
        "header-length-filled-in",
        about,
        fields(&inline(&named), fails("commitment")),
    );
}

fn contexts(all: &mut Collection) {
    let sealed = inline(&bonjour().sealed());
    for (name, about, names) in [
        (
            "tenant",
            "another tenant",
            ["min-justice", "s3", "dossiers"],
        ),
        (
            "service",
            "another service",
            ["min-interieur", "s4", "dossiers"],
        ),
        (
            "namespace",
            "another namespace",
            ["min-interieur", "s3", "dossier"],
        ),
        (
            "order",
            "service and namespace exchanged",
            ["min-interieur", "dossiers", "s3"],
        ),
        (
            "border",
            "the same letters, cut elsewhere",
            ["min-interieurs", "3", "dossiers"],
        ),
    ] {
        let value = fields_in(names, &[counting(A)], &sealed, fails("commitment"));
        all.push("object", &format!("context-{name}"), about, value);
    }
    let value = fields_in(NAMES, &[counting(B)], &sealed, fails("unknown-epoch"));
    all.push(
        "object",
        "no-such-secret",
        "the epoch's secret is not at hand",
        value,
    );
}

fn lengths(all: &mut Collection) {
    let sealed = bonjour().sealed();
    for (name, about, keep, class) in [
        ("nothing", "no byte at all", 0, "length"),
        ("half-a-header", "64 bytes", 64, "length"),
        ("header-only", "the header alone", 128, "length"),
        (
            "run-only",
            "the run without trailer and locator",
            151,
            "length",
        ),
        (
            "no-locator",
            "without the locator",
            sealed.len() - 8,
            "length",
        ),
        (
            "last-byte",
            "without the last byte",
            sealed.len() - 1,
            "length",
        ),
    ] {
        let cut = inline(&sealed[..keep]);
        all.push(
            "object",
            &format!("cut-{name}"),
            about,
            fields(&cut, fails(class)),
        );
    }
    let longer = [&sealed[..], &[0]].concat();
    all.push(
        "object",
        "one-byte-more",
        "a zero byte appended",
        fields(&inline(&longer), fails("length")),
    );
    let doubled = [&sealed[..], &sealed[..]].concat();
    all.push(
        "object",
        "twice",
        "the object, twice",
        fields(&inline(&doubled), fails("length")),
    );
    let open = unknown(b"bonjour").sealed();
    let about =
        "the last byte of an object whose run has no length is missing: every boundary moves";
    all.push(
        "object",
        "unknown-length-cut",
        about,
        fields(&inline(&open[..open.len() - 1]), fails("segment")),
    );
    let longer = [&open[..], &[0]].concat();
    let about = "a byte appended to an object whose run has no length";
    all.push(
        "object",
        "unknown-length-more",
        about,
        fields(&inline(&longer), fails("segment")),
    );
    let file = |from, to| Stretch::File("65537.bin", from, to);
    let end = all.files["65537.bin"].len();
    let run = 128 + SEGMENT + 16;
    let about = "the last segment's byte is missing";
    let cut = [file(0, run), file(run + 1, end)];
    all.push("object", "cut-inside", about, fields(&cut, fails("length")));
    let about = "without the last segment, tag and all: shorter than any object of a full segment";
    let cut = [file(0, run), file(run + 17, end)];
    all.push(
        "object",
        "cut-last-segment",
        about,
        fields(&cut, fails("length")),
    );
    let plain = b"an object that is no object: 528 bytes or more of anything. ".repeat(10);
    all.push(
        "object",
        "plaintext",
        "a file that was never sealed",
        fields(&inline(&plain), fails("not-sealed")),
    );
}

fn segments(all: &mut Collection) {
    let sealed = bonjour().sealed();
    for (name, about, at) in [
        ("ciphertext-bit", "one bit of the ciphertext", 128),
        ("tag-bit", "one bit of the tag", 150),
    ] {
        let mut changed = sealed.clone();
        changed[at] ^= 0x10;
        all.push(
            "object",
            name,
            about,
            fields(&inline(&changed), fails("segment")),
        );
    }
    let file = |from, to| Stretch::File("327680.bin", from, to);
    let at = |i: usize| 128 + i * (SEGMENT + 16);
    let end = all.files["327680.bin"].len();
    let about = "the segments 1 and 2 exchanged";
    let swapped = [
        file(0, at(1)),
        file(at(2), at(3)),
        file(at(1), at(2)),
        file(at(3), end),
    ];
    all.push(
        "object",
        "segments-swapped",
        about,
        fields(&swapped, fails("segment")),
    );
    let about = "the segment 0 twice, in the place of the segment 1";
    let doubled = [file(0, at(1)), file(at(0), at(1)), file(at(2), end)];
    all.push(
        "object",
        "segment-twice",
        about,
        fields(&doubled, fails("segment")),
    );
    let about = "the empty last segment's tag is wrong";
    let flipped = all.files["327680.bin"][at(5) + 3] ^ 1;
    let changed = [
        file(0, at(5) + 3),
        Stretch::Hex(vec![flipped]),
        file(at(5) + 4, end),
    ];
    all.push(
        "object",
        "last-tag",
        about,
        fields(&changed, fails("segment")),
    );
    let zeros = at(5) + 16;
    for (name, about, place) in [
        (
            "zeros-first",
            "the first byte of the padding is not zero",
            zeros,
        ),
        (
            "zeros-last",
            "the last byte of the padding is not zero",
            end - 8 - 376 - 1,
        ),
    ] {
        assert_eq!(all.files["327680.bin"][place], 0);
        let changed = [file(0, place), Stretch::Hex(vec![1]), file(place + 1, end)];
        all.push("object", name, about, fields(&changed, fails("zeros")));
    }
}

/// A segment that opens in two contexts, were it not for the commitment.
fn commitment(all: &mut Collection) {
    let elsewhere = ["min-justice", "s3", "dossiers"];
    let mut object = Object::whole(counting(A), NAMES, &[0; 16]);
    let key = subsecret(&counting(A), "object");
    let head = object.head(&object.pieces[0]).bytes();
    let (one, other) = (run_okm(&key, NAMES, &head), run_okm(&key, elsewhere, &head));
    let nonce = |okm: &[u8]| [&okm[32..39], &[0; 5][..]].concat();
    let segment = collide((&one[..32], &nonce(&one)), (&other[..32], &nonce(&other)));
    // the plaintext here is what the key stream makes of the block
    let stream = forge::gcm(&one[..32], &nonce(&one), b"", &[0; 16]);
    let plain: Vec<u8> = stream[..16]
        .iter()
        .zip(&segment)
        .map(|(s, c)| s ^ c)
        .collect();
    object.pieces[0].plain = plain.clone();
    let sealed = object.sealed();
    assert_eq!(
        sealed[128..160],
        segment[..],
        "the tag is the one that was computed"
    );
    let value = fields(&inline(&sealed), opens(&plain));
    let about = "its segment's tag also holds under the key of the tenant min-justice";
    all.push("object", "two-keys-right", about, value);
    let value = fields_in(
        elsewhere,
        &[counting(A)],
        &inline(&sealed),
        fails("commitment"),
    );
    let about = "its segment's tag holds under this tenant's key too; the commitment does not";
    all.push("object", "two-keys-wrong", about, value);
}
