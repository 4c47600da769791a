//! What of a rule's request is sealed, and what passes in clear.

use std::ops::Range;

use http::HeaderName;

use super::sealing::{Entry, Place, entry};
use crate::adapter::http::settings::{FilePart, RequestBody, Sealed};
use crate::adapter::json::{Path, Paths};
use crate::config::section::Section;
use crate::config::value;

/// `request`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Json,
    Form,
    Multipart,
    Object,
    Relay,
}

/// What is sealed, sorted by where it stands.
pub(super) struct Parts {
    pub request: RequestBody,
    pub query: Vec<Sealed<String>>,
    pub headers: Vec<Sealed<HeaderName>>,
    /// Names that pass in clear.
    pub clear: Vec<String>,
}

#[derive(Default)]
struct Sorted {
    json: Vec<Sealed<Path>>,
    form: Vec<Sealed<String>>,
    query: Vec<Sealed<String>>,
    headers: Vec<Sealed<HeaderName>>,
    files: Vec<FilePart>,
}

pub(super) fn parts(section: &mut Section<'_, '_>, body: Option<Body>) -> Option<Parts> {
    let clear_at = section.place("clear");
    let has_clear = section.has("clear");
    let clear = section.items("clear", Some("[]"), value::string);
    let keep_type = match body {
        Some(Body::Object) => section.or("keep_type", "false", value::boolean),
        _ => Some(false),
    };
    let entries: Vec<Option<Entry>> = section.tables("seal").into_iter().map(entry).collect();
    let entries: Option<Vec<Entry>> = entries.into_iter().collect();
    let (body, clear, mut sorted) = (body?, clear?, sort(entries?));
    let fits = match body {
        Body::Json => sorted.form.is_empty() && sorted.files.is_empty(),
        Body::Form => sorted.json.is_empty() && sorted.files.is_empty(),
        Body::Multipart => sorted.json.is_empty(),
        _ => sorted.json.is_empty() && sorted.form.is_empty() && sorted.files.is_empty(),
    };
    let named = matches!(body, Body::Json | Body::Form | Body::Multipart);
    if !fits || has_clear && !named {
        section.fault(
            "`request` says that the body has no such part as [[rule.seal]] or `clear` names",
        );
        return None;
    }
    let names: Vec<String> = clear.iter().map(|(_, name)| name.clone()).collect();
    let last = |name: &String| match body {
        Body::Json => Path::parse(name).ok()?.last_name().map(str::to_owned),
        _ => Some(name.clone()),
    };
    let in_clear: Vec<String> = names.iter().filter_map(last).collect();
    if let Some(name) = written_twice(&sorted, &in_clear) {
        section.fault_at(
            &clear_at,
            format!("`{name}` is where the gateway writes an index: no client may write it, and no other value"),
        );
        return None;
    }
    let request = match body {
        Body::None => RequestBody::Nothing,
        Body::Relay => RequestBody::Relayed,
        Body::Object => RequestBody::Object {
            keep_type: keep_type?,
        },
        Body::Form => RequestBody::Form {
            fields: std::mem::take(&mut sorted.form),
            clear: names,
        },
        Body::Multipart => RequestBody::Multipart {
            fields: std::mem::take(&mut sorted.form),
            clear: names,
            files: std::mem::take(&mut sorted.files),
        },
        Body::Json => {
            let fields = std::mem::take(&mut sorted.json);
            let paths = json_paths(section, &clear_at, &fields, clear)?;
            RequestBody::Json { fields, paths }
        }
    };
    Some(Parts {
        request,
        query: sorted.query,
        headers: sorted.headers,
        clear: in_clear,
    })
}

/// The name of an index under which something else is written too: by clients in clear, as a sealed value or a file, or of a form
/// as another index. In JSON, indexes of one name may stand in several objects.
fn written_twice<'s>(sorted: &'s Sorted, clear: &[String]) -> Option<&'s str> {
    let (json, form) = (&sorted.json, &sorted.form);
    let indexes = || {
        let json = json.iter().filter_map(|field| field.sealing.beside());
        json.chain(form.iter().filter_map(|field| field.sealing.beside()))
    };
    let others = |name: &str| {
        clear.iter().any(|clear| clear == name)
            || json
                .iter()
                .any(|field| field.place.last_name() == Some(name))
            || form.iter().any(|field| field.place == name)
            || sorted.files.iter().any(|file| file.name == name)
            || form
                .iter()
                .filter(|field| field.sealing.beside() == Some(name))
                .count()
                > 1
    };
    indexes().find(|name| others(name))
}

fn sort(entries: Vec<Entry>) -> Sorted {
    let mut sorted = Sorted::default();
    for Entry {
        place,
        sealing,
        keep_name,
    } in entries
    {
        match place {
            Place::Json(place) => sorted.json.push(Sealed { place, sealing }),
            Place::Form(place) => sorted.form.push(Sealed { place, sealing }),
            Place::Query(place) => sorted.query.push(Sealed { place, sealing }),
            Place::Header(place) => sorted.headers.push(Sealed { place, sealing }),
            Place::File(name) => sorted.files.push(FilePart { name, keep_name }),
        }
    }
    sorted
}

pub(super) fn json_paths(
    section: &Section<'_, '_>,
    at: &Range<usize>,
    fields: &[Sealed<Path>],
    clear: Vec<(Range<usize>, String)>,
) -> Option<Paths> {
    let mut paths = Vec::new();
    for (at, text) in clear {
        match Path::parse(&text) {
            Ok(path) => paths.push(path),
            Err(message) => {
                section.fault_at(&at, format!("`clear`: {message}"));
                return None;
            }
        }
    }
    let beside = |field: &Sealed<Path>| Some(field.place.beside(field.sealing.beside()?));
    let indexes: Vec<Path> = fields.iter().filter_map(beside).collect();
    let picked = fields.iter().map(|field| &field.place);
    let paths = Paths::new(picked.chain(&indexes), &paths);
    if paths.is_none() {
        section.fault_at(at, "the rule's JSON paths have more than 128 steps in all");
    }
    paths.map(Paths::guarded)
}
