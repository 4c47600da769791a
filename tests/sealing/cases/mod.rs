//! The cases of `tests/vectors/`, made anew from nothing but constants.

mod blobs;
mod keys;
mod objects;
mod parts;
mod records;
mod trailers;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::forge::{Key48, Names, Object};

pub const NAMES: Names = ["min-interieur", "s3", "dossiers"];

/// The secret whose bytes count up from `first`.
pub fn counting(first: u8) -> Key48 {
    std::array::from_fn(|i| first + i as u8)
}

/// What an object holds.
pub fn plain(object: &Object) -> Vec<u8> {
    let pieces = object.pieces.iter();
    pieces.flat_map(|piece| piece.plain.clone()).collect()
}

/// A file of `tests/vectors/`.
pub struct Case {
    pub name: String,
    pub value: Value,
}

/// Bytes of a case: as they are, or a stretch of a file of `tests/vectors/objects/`.
#[derive(Clone)]
pub enum Stretch {
    Hex(Vec<u8>),
    File(&'static str, usize, usize),
}

#[derive(Default)]
pub struct Collection {
    pub cases: Vec<Case>,
    /// By file name in `tests/vectors/objects/`.
    pub files: BTreeMap<&'static str, Vec<u8>>,
}

impl Collection {
    pub fn all() -> Self {
        let mut all = Self::default();
        objects::add(&mut all);
        trailers::add(&mut all);
        parts::add(&mut all);
        blobs::add(&mut all);
        records::add(&mut all);
        keys::add(&mut all);
        all
    }

    /// `fields` is an object; `about` says what the case is, in one sentence.
    pub fn push(&mut self, kind: &str, name: &str, about: &str, fields: Value) {
        let mut value = json!({ "kind": kind, "about": about });
        let (Value::Object(into), Value::Object(fields)) = (&mut value, fields) else {
            panic!("{name}: not an object");
        };
        into.extend(fields);
        self.cases.push(Case {
            name: format!("{kind}-{name}"),
            value,
        });
    }
}

pub fn hexed(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(hex::encode(bytes))
}

pub fn secrets(list: &[Key48]) -> Value {
    list.iter().map(hexed).collect()
}

pub fn stretches(list: &[Stretch]) -> Value {
    list.iter()
        .map(|stretch| match stretch {
            Stretch::Hex(bytes) => json!({ "hex": hexed(bytes) }),
            Stretch::File(name, from, to) => json!({ "file": name, "from": from, "to": to }),
        })
        .collect()
}

/// What must come out.
pub fn opens(plain: &[u8]) -> Value {
    let mut out = json!({ "length": plain.len(), "sha256": hexed(Sha256::digest(plain)) });
    if plain.len() <= 64 {
        out["hex"] = hexed(plain);
    }
    json!({ "plaintext": out })
}

/// The class that must come out.
pub fn fails(class: &str) -> Value {
    json!({ "error": class })
}
