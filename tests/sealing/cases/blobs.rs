//! Metadata blobs and the S3 metadata document.

use serde_json::{Value, json};

use super::objects::bonjour;
use super::{Collection, NAMES, counting, fails, hexed, secrets};
use crate::forge::{Names, blob, blob_salt, short};

const BUCKET: &[u8] = b"dossiers-2026";
const KEY: &[u8] = "été/rapport final.pdf".as_bytes();

fn fields(names: Names, place: &[&[u8]], sealed: &[u8], expect: Value) -> Value {
    json!({
        "secrets": secrets(&[counting(0x00), counting(0x30)]),
        "context": names,
        "place": place.iter().map(hexed).collect::<Vec<_>>(),
        "sealed": hexed(sealed),
        "expect": expect,
    })
}

fn opens(plain: &[u8]) -> Value {
    json!({ "object": hexed([0x0B; 16]), "plaintext": hexed(plain) })
}

fn seal(place: &[&[u8]], plain: &[u8]) -> Vec<u8> {
    let salt = blob_salt(&counting(0x00), [0x3C; 32], plain);
    blob(&counting(0x00), NAMES, place, [0x0B; 16], salt, plain)
}

pub fn add(all: &mut Collection) {
    let place = [BUCKET, KEY];
    let plain = document(&[
        (1, "", &bonjour().sealed()[..128]),
        (2, "content-type", b"application/pdf"),
        (3, "auteur", "Émilie".as_bytes()),
    ]);
    let sealed = seal(&place, &plain);
    all.push(
        "blob",
        "document",
        "an S3 object's document",
        fields(NAMES, &place, &sealed, opens(&plain)),
    );
    let empty = seal(&place, b"");
    all.push(
        "blob",
        "empty",
        "nothing inside",
        fields(NAMES, &place, &empty, opens(b"")),
    );
    for (name, about, place) in [
        ("no-place", "a place without components", vec![]),
        (
            "empty-components",
            "a place of two empty components",
            vec![&b""[..], b""],
        ),
        (
            "three-components",
            "a place of three components",
            vec![b"a", b"b", b"c"],
        ),
    ] {
        let sealed = seal(&place, b"x");
        all.push(
            "blob",
            name,
            about,
            fields(NAMES, &place, &sealed, opens(b"x")),
        );
    }
    faults(all, &sealed);
    places(all, &sealed);
    documents(all);
}

fn faults(all: &mut Collection, sealed: &[u8]) {
    let place = [BUCKET, KEY];
    let last = sealed.len() - 1;
    for (name, about, at, bytes, class) in [
        ("magic", "the magic", 0, vec![0xD2], "not-sealed"),
        (
            "magic-of-a-run",
            "the magic is a run's",
            3,
            vec![b'1'],
            "not-sealed",
        ),
        ("version", "version 02", 4, vec![2], "suite"),
        ("suite", "suite 02", 5, vec![2], "suite"),
        ("reserved", "a reserved byte", 7, vec![1], "header"),
        (
            "epoch-unknown",
            "an unknown epoch",
            8,
            vec![0xE1; 16],
            "unknown-epoch",
        ),
        (
            "epoch-other",
            "another epoch that is known",
            8,
            short(&counting(0x30)).to_vec(),
            "commitment",
        ),
        (
            "object-id",
            "another object id",
            24,
            vec![0x0C],
            "commitment",
        ),
        (
            "salt",
            "another salt",
            40,
            vec![sealed[40] ^ 1],
            "commitment",
        ),
        (
            "commitment",
            "the commitment",
            103,
            vec![sealed[103] ^ 1],
            "commitment",
        ),
        (
            "ciphertext",
            "a bit of the ciphertext",
            104,
            vec![sealed[104] ^ 1],
            "segment",
        ),
        (
            "tag",
            "a bit of the tag",
            last,
            vec![sealed[last] ^ 1],
            "segment",
        ),
    ] {
        let mut changed = sealed.to_vec();
        changed[at..at + bytes.len()].copy_from_slice(&bytes);
        assert!(changed != sealed, "{name}");
        all.push(
            "blob",
            name,
            about,
            fields(NAMES, &place, &changed, fails(class)),
        );
    }
    for (name, about, changed, class) in [
        ("nothing", "no byte at all", vec![], "not-sealed"),
        (
            "too-short",
            "119 bytes",
            sealed[..119].to_vec(),
            "not-sealed",
        ),
        (
            "shortest",
            "120 bytes of a longer blob",
            sealed[..120].to_vec(),
            "segment",
        ),
        (
            "cut",
            "without the last byte",
            sealed[..last].to_vec(),
            "segment",
        ),
        ("more", "a byte more", [sealed, &[0]].concat(), "segment"),
    ] {
        all.push(
            "blob",
            name,
            about,
            fields(NAMES, &place, &changed, fails(class)),
        );
    }
}

fn places(all: &mut Collection, sealed: &[u8]) {
    let longer = [BUCKET, &KEY[..1]].concat();
    let joined = [BUCKET, KEY].concat();
    for (name, about, place) in [
        ("bucket", "another bucket", vec![&b"dossiers-2025"[..], KEY]),
        ("key", "another key", vec![BUCKET, b"rapport.pdf"]),
        ("exchanged", "bucket and key exchanged", vec![KEY, BUCKET]),
        (
            "border",
            "the same bytes, cut elsewhere",
            vec![&longer, &KEY[1..]],
        ),
        ("joined", "the same bytes as one component", vec![&joined]),
        ("more", "a third, empty component", vec![BUCKET, KEY, b""]),
        ("none", "no component", vec![]),
    ] {
        let value = fields(NAMES, &place, sealed, fails("commitment"));
        all.push("blob", &format!("place-{name}"), about, value);
    }
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
    ] {
        let value = fields(names, &[BUCKET, KEY], sealed, fails("commitment"));
        all.push("blob", &format!("context-{name}"), about, value);
    }
}

fn document(list: &[(u8, &str, &[u8])]) -> Vec<u8> {
    let mut out = vec![1];
    for (kind, name, value) in list {
        out.push(*kind);
        out.extend_from_slice(&(name.len() as u16).to_be_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&(value.len() as u32).to_be_bytes());
        out.extend_from_slice(value);
    }
    out
}

fn documents(all: &mut Collection) {
    let header = &bonjour().sealed()[..128];
    let every = [
        (1, "", header),
        (2, "content-type", &b"text/plain"[..]),
        (2, "expires", b"0"),
        (3, "a", b""),
        (3, "auteur", "Émilie".as_bytes()),
        (4, "CRC32", b"AAAAAA=="),
    ];
    let mut put = |name: &str, about: &str, bytes: &[u8], expect: Value| {
        let value = json!({ "document": hexed(bytes), "expect": expect });
        all.push("document", name, about, value);
    };
    let reads = |list: &[(u8, &str, &[u8])]| {
        let fields: Vec<Value> = list
            .iter()
            .map(|(kind, name, value)| json!([kind, name, hexed(value)]))
            .collect();
        json!({ "fields": fields })
    };
    let encoded = document(&every);
    put(
        "every-kind",
        "every kind of an object with content",
        &encoded,
        reads(&every),
    );
    put("nothing", "no field", &[1], reads(&[]));
    let marker: [(u8, &str, &[u8]); 2] = [(3, "a", b"b"), (5, "", b"")];
    put(
        "marker",
        "an empty object that is stored as zero bytes",
        &document(&marker),
        reads(&marker),
    );
    let malformed = || fails("document-malformed");
    put("empty", "no byte at all", &[], malformed());
    put("version", "version 02", &[2], malformed());
    put(
        "unknown-kind",
        "a field of kind 6",
        &document(&[(6, "", b"")]),
        malformed(),
    );
    put(
        "kind-0",
        "a field of kind 0",
        &document(&[(0, "", b"")]),
        malformed(),
    );
    put(
        "cut",
        "the last byte is missing",
        &encoded[..encoded.len() - 1],
        malformed(),
    );
    put(
        "cut-length",
        "cut inside of a length",
        &document(&[(3, "a", b"")])[..5],
        malformed(),
    );
    put(
        "header-short",
        "a run header of 127 bytes",
        &document(&[(1, "", &header[..127])]),
        malformed(),
    );
    put(
        "not-text",
        "a name that is not UTF-8",
        &[1, 3, 0, 1, 0xFF, 0, 0, 0, 0],
        malformed(),
    );
    put(
        "length-huge",
        "a value longer than what follows",
        &[1, 3, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF],
        malformed(),
    );
}
