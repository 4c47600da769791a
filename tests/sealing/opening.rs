//! Opens a vector with the library and gives the outcome in the form in which the vector expects it.

use std::path::Path;
use std::sync::Arc;

use sceau::adapter::s3::meta::Document;
use sceau::keyring::KeyError;
use sceau::keyring::identity::{Identity, Recipient};
use sceau::keyring::protected::{self, Kind as Protected};
use sceau::keyring::record::{Kind, Record};
use sceau::seal::object::Fed;
use sceau::seal::range::{RangeReader, RangeSource};
use sceau::seal::trailer::Digest;
use sceau::seal::{Context, ObjectId, OpenError, blob};
use sceau::secret::SecretBytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::reading::{Secrets, open_whole, trailer_of};

/// What `tests/vectors/` expects: `{"error": class}` or what came out.
pub fn outcome(case: &Value, folder: &Path) -> Value {
    match case["kind"].as_str().unwrap() {
        "object" => sealed(object(case, folder)),
        "range" => sealed(range(case, folder)),
        "blob" => sealed(metadata(case)),
        "run" => run(case),
        "document" => document(case),
        "record" => keyed(record(case)),
        "identity" => keyed(identity(case)),
        "recipient" => keyed(recipient(case)),
        "protected" => keyed(protected_file(case)),
        other => panic!("no such kind: {other}"),
    }
}

fn sealed(result: Result<Value, OpenError>) -> Value {
    result.unwrap_or_else(|error| json!({ "error": error.name() }))
}

fn keyed(result: Result<Value, KeyError>) -> Value {
    result.unwrap_or_else(|error| json!({ "error": error.name() }))
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).expect("hexadecimal")
}

fn sized<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().expect("the right length")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn gathered(case: &Value, folder: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    for stretch in list(&case["sealed"]) {
        if let Some(hex) = stretch.get("hex") {
            out.extend_from_slice(&bytes(hex));
            continue;
        }
        let at = |name: &str| stretch[name].as_u64().unwrap() as usize;
        let file = std::fs::read(folder.join("objects").join(text(&stretch["file"]))).unwrap();
        out.extend_from_slice(&file[at("from")..at("to")]);
    }
    out
}

fn lookup(case: &Value) -> Arc<Secrets> {
    Secrets::new(list(&case["secrets"]).iter().map(bytes))
}

fn context(case: &Value) -> Arc<Context> {
    let names: Vec<&str> = list(&case["context"]).iter().map(text).collect();
    Arc::new(Context::new(names[0], names[1], names[2]).unwrap())
}

fn plaintext(plain: &[u8]) -> Value {
    let mut out = json!({
        "length": plain.len(),
        "sha256": hex::encode(Sha256::digest(plain)),
    });
    if plain.len() <= 64 {
        out["hex"] = Value::String(hex::encode(plain));
    }
    json!({ "plaintext": out })
}

const DIGESTS: [(&str, Digest); 7] = [
    ("md5", Digest::Md5),
    ("sha1", Digest::Sha1),
    ("sha256", Digest::Sha256),
    ("quickxor", Digest::QuickXor),
    ("crc32", Digest::Crc32),
    ("crc32c", Digest::Crc32c),
    ("crc64nvme", Digest::Crc64Nvme),
];

fn object(case: &Value, folder: &Path) -> Result<Value, OpenError> {
    let sealed = gathered(case, folder);
    let expected = case.get("object").map(|id| ObjectId(sized(id)));
    let mut plain = Vec::new();
    let trailer = open_whole(lookup(case), context(case), &sealed, expected, &mut plain)?;
    let mut out = plaintext(&plain);
    if case["expect"].get("digests").is_some() {
        let mut found = serde_json::Map::new();
        for (name, digest) in DIGESTS {
            if let Some((value, composite)) = trailer.digests.get(digest) {
                let shown = json!({ "value": hex::encode(value), "composite": composite });
                found.insert(name.to_owned(), shown);
            }
        }
        out["digests"] = Value::Object(found);
    }
    Ok(out)
}

fn range(case: &Value, folder: &Path) -> Result<Value, OpenError> {
    let sealed = gathered(case, folder);
    let length = sealed.len() as u64;
    let (lookup, context) = (lookup(case), context(case));
    let source = match text(&case["by"]) {
        "header" => RangeSource::Header(Box::new(*sealed.first_chunk().ok_or(OpenError::Length)?)),
        _ => RangeSource::Trailer(trailer_of(lookup.as_ref(), &context, &sealed)?),
    };
    let ends: Vec<u64> = list(&case["range"])
        .iter()
        .map(|end| end.as_u64().unwrap())
        .collect();
    let mut reader = RangeReader::new(lookup, context, source, length, ends[0]..ends[1])?;
    let fetched = reader.sealed();
    let mut rest = &sealed[fetched.start as usize..fetched.end as usize];
    let mut out = Vec::new();
    while reader.want() > 0 {
        let (chunk, after) = rest
            .split_at_checked(reader.want())
            .ok_or(OpenError::Length)?;
        rest = after;
        let mut chunk = chunk.to_vec();
        if let Fed::Plain(range) = reader.feed(&mut chunk)? {
            out.extend_from_slice(&chunk[range]);
        }
    }
    assert!(rest.is_empty(), "more was fetched than was needed");
    Ok(plaintext(&out))
}

fn metadata(case: &Value) -> Result<Value, OpenError> {
    let place: Vec<Vec<u8>> = list(&case["place"]).iter().map(bytes).collect();
    let place: Vec<&[u8]> = place.iter().map(Vec::as_slice).collect();
    let sealed = bytes(&case["sealed"]);
    let opened = blob::open(lookup(case).as_ref(), &context(case), &place, &sealed)?;
    Ok(json!({
        "object": hex::encode(opened.object.0),
        "plaintext": hex::encode(opened.plaintext),
    }))
}

/// The derivation below a subsecret, which the library does not show by itself: done by the forge. That it and the
/// library agree is what all other cases show.
fn run(case: &Value) -> Value {
    let names: Vec<&str> = list(&case["context"]).iter().map(text).collect();
    let names = [names[0], names[1], names[2]]
        .map(|name| -> &'static str { Box::leak(name.to_owned().into_boxed_str()) });
    let sealed = crate::forge::run_from(
        &sized(&case["subsecret"]),
        names,
        &sized(&case["header"]),
        &bytes(&case["plaintext"]),
    );
    json!({
        "commitment": hex::encode(&sealed[96..128]),
        "segment": hex::encode(&sealed[128..]),
    })
}

fn document(case: &Value) -> Value {
    let Ok(document) = Document::decode(&bytes(&case["document"])) else {
        return json!({ "error": "document-malformed" });
    };
    let mut fields = Vec::new();
    let mut put = |kind: u8, name: &str, value: &[u8]| {
        fields.push(json!([kind, name, hex::encode(value)]));
    };
    if let Some(header) = &document.run_header {
        put(1, "", &header[..]);
    }
    for (kind, list) in [
        (2, &document.content),
        (3, &document.user),
        (4, &document.checksums),
    ] {
        list.iter().for_each(|(name, value)| put(kind, name, value));
    }
    if document.empty {
        put(5, "", b"");
    }
    json!({ "fields": fields })
}

fn record(case: &Value) -> Result<Value, KeyError> {
    let malformed = || KeyError::Malformed {
        path: "the record".into(),
        what: "not a record",
    };
    let record = Record::decode(&bytes(&case["record"])).ok_or_else(malformed)?;
    let writers: Vec<[u8; 32]> = list(&case["writers"]).iter().map(sized).collect();
    record.verify(&writers)?;
    let kind = [Kind::Epoch, Kind::Session, Kind::Service]
        .into_iter()
        .find(|kind| kind.name() == text(&case["kind-expected"]));
    if Some(record.kind) != kind || record.context != *context(case) {
        return Err(KeyError::Foreign);
    }
    let identity = SecretBytes::new(text(&case["identity"]).as_bytes().to_vec());
    let secret = record.open(&Identity::parse(&identity)?)?;
    Ok(json!({
        "secret": hex::encode(secret.secret().expose()),
        "id": hex::encode(secret.id().0),
    }))
}

fn shown(recipient: &Recipient) -> Value {
    json!({
        "recipient": recipient.to_string(),
        "recipient-id": hex::encode(recipient.id()),
    })
}

fn identity(case: &Value) -> Result<Value, KeyError> {
    let text = SecretBytes::new(text(&case["text"]).as_bytes().to_vec());
    Ok(shown(Identity::parse(&text)?.recipient()))
}

fn recipient(case: &Value) -> Result<Value, KeyError> {
    Ok(shown(&Recipient::parse(text(&case["text"]))?))
}

fn protected_file(case: &Value) -> Result<Value, KeyError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("protected");
    std::fs::write(&path, bytes(&case["file"])).unwrap();
    let kind = match text(&case["kind-expected"]) {
        "identity" => Protected::Identity,
        _ => Protected::Writer,
    };
    let passphrase = SecretBytes::new(bytes(&case["passphrase"]));
    let secret = protected::open(&path, kind, &passphrase)?;
    Ok(json!({ "secret": hex::encode(secret.expose()) }))
}
