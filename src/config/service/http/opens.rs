//! `opens`: where tokens open in answers in JSON. What a client may send back in clear must stay a token.

use std::sync::Arc;

use toml::de::DeValue;

use super::rule::Read;
use crate::adapter::http::settings::{Answer, Form, Opening, RequestBody, Rule, Sealed};
use crate::adapter::json::{Marks, Path, Paths};
use crate::config::section::Section;
use crate::config::value;
use crate::seal::scan::Opens;
use crate::seal::token::Field;

/// Stands for every field of the service.
const EVERY: &str = "*";

/// An entry of `opens`.
pub(super) struct Place {
    path: Path,
    fields: Option<Vec<String>>,
}

/// A path, or a path with the fields whose tokens open there.
pub(super) fn place(value: &DeValue<'_>) -> Result<Place, String> {
    let DeValue::Table(table) = value else {
        let path = Path::parse(&value::string(value)?)?;
        return Ok(Place { path, fields: None });
    };
    const WHAT: &str = "expected a JSON path, or { path = \"$.a\", fields = [\"b\"] }";
    let known = |key: &&str| matches!(*key, "path" | "fields");
    if table.len() != 2 || !table.keys().all(|key| known(&key.get_ref().as_ref())) {
        return Err(WHAT.into());
    }
    let get = |key: &str| table.get(key).ok_or_else(|| WHAT.to_owned());
    Ok(Place {
        path: Path::parse(&value::string(get("path")?.get_ref())?)?,
        fields: Some(value::list(value::string)(get("fields")?.get_ref())?),
    })
}

/// Where values of a field may come back: the member of the name under which it is sent, wherever that stands.
struct Known<'r> {
    path: Path,
    fields: Vec<Field>,
    rule: &'r str,
}

fn known(reads: &[Read]) -> Vec<Known<'_>> {
    let mut found: Vec<Known<'_>> = Vec::new();
    for Read { rule, .. } in reads {
        for (path, field) in places(rule) {
            match found.iter_mut().find(|known| known.path == path) {
                Some(known) if known.fields.contains(&field) => {}
                Some(known) => known.fields.push(field),
                None => found.push(Known {
                    path,
                    fields: vec![field],
                    rule: &rule.name,
                }),
            }
        }
    }
    found
}

fn places(rule: &Rule) -> Vec<(Path, Field)> {
    let named = |sealed: &Sealed<String>| (Path::below(&sealed.place), sealed.sealing.field);
    let mut places: Vec<_> = match &rule.request {
        RequestBody::Json { fields, .. } => fields
            .iter()
            .map(|sealed| (sealed.place.anywhere(), sealed.sealing.field))
            .collect(),
        RequestBody::Form { fields, .. } | RequestBody::Multipart { fields, .. } => {
            fields.iter().map(named).collect()
        }
        RequestBody::Nothing | RequestBody::Relayed | RequestBody::Object { .. } => Vec::new(),
    };
    if let Answer::Socket(socket) = &rule.answer {
        let fields = socket.shapes.iter().flat_map(|shape| &shape.fields);
        places.extend(fields.map(|sealed| (sealed.place.anywhere(), sealed.sealing.field)));
    }
    // an index is no token
    let tokens = |sealed: &&Sealed<String>| !matches!(sealed.sealing.form, Form::Index { .. });
    places.extend(rule.sealed_query.iter().filter(tokens).map(named));
    places
}

/// Decides for each rule where tokens open.
pub(super) fn settle(root: &Section<'_, '_>, reads: Vec<Read>) -> Option<Vec<Rule>> {
    let known = known(&reads);
    let openings: Option<Vec<Opening>> = reads
        .iter()
        .map(|read| opening(root, read, &known, &reads))
        .collect();
    let openings = openings?;
    let settled = reads.into_iter().zip(openings).map(|(read, opening)| Rule {
        opening: Arc::new(opening),
        ..read.rule
    });
    Some(settled.collect())
}

fn opening(
    root: &Section<'_, '_>,
    read: &Read,
    known: &[Known<'_>],
    reads: &[Read],
) -> Option<Opening> {
    let (mut paths, mut opens) = (Vec::new(), Vec::new());
    let told = read.opens.as_deref();
    for place in told.unwrap_or_default() {
        paths.push(place.path.clone());
        opens.push(fields(place, known));
    }
    if told.is_none() {
        for place in known {
            match in_clear(place, reads) {
                None => {
                    paths.push(place.path.clone());
                    opens.push(Opens::Of(place.fields.clone().into()));
                }
                // its errors may be in JSON too; there the name stays closed
                Some(_) if !answers_json(&read.rule) => {}
                Some((name, clear)) => {
                    root.fault_at(&read.answer_at, ambiguous(name, place.rule, clear));
                    return None;
                }
            }
        }
    }
    let (texts, numbers) = (Paths::new(&paths, &[]), Paths::new(&read.sizes, &[]));
    let (Some(texts), Some(numbers)) = (texts, numbers) else {
        root.fault_at(
            &read.answer_at,
            "`opens` (by default all that the service seals) or `sizes` has more than 128 steps in all: name fewer with `opens`",
        );
        return None;
    };
    Some(Opening {
        marks: Arc::new(Marks {
            texts,
            deep: told.is_some(),
            numbers,
        }),
        opens,
    })
}

fn answers_json(rule: &Rule) -> bool {
    match rule.answer {
        Answer::Text { json, events, .. } => json || events,
        Answer::Socket(_) => true,
        _ => false,
    }
}

/// The fields whose tokens open at a place that the rule names.
fn fields(place: &Place, known: &[Known<'_>]) -> Opens {
    if let Some(names) = &place.fields {
        if names.iter().any(|name| name == EVERY) {
            return Opens::Anything;
        }
        return Opens::Of(names.iter().map(|name| Field::named(name)).collect());
    }
    let name = place.path.last_name();
    let same = known
        .iter()
        .filter(|known| name.is_some() && known.path.last_name() == name);
    let fields: Vec<Field> = same.flat_map(|known| known.fields.clone()).collect();
    if fields.is_empty() {
        Opens::Anything
    } else {
        Opens::Of(fields.into())
    }
}

/// The name under which a rule lets something pass in clear, where it is also that of a sealed value.
fn in_clear<'k>(place: &'k Known<'_>, reads: &'k [Read]) -> Option<(&'k str, &'k str)> {
    let name = place.path.last_name()?;
    let clear = |read: &&Read| {
        let query = read.rule.query.iter();
        read.clear.iter().chain(query).any(|clear| clear == name)
    };
    let read = reads.iter().find(clear)?;
    Some((name, &read.rule.name))
}

fn ambiguous(name: &str, sealed: &str, clear: &str) -> String {
    format!(
        "`{name}` is sealed by the rule `{sealed}` and passes in clear by the rule `{clear}`: say with `opens` where tokens \
         open in this rule's answers, so that none is sent back in clear"
    )
}
