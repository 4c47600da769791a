//! `[[rule.seal]]`: one value that is sealed.

use http::HeaderName;

use super::header;
use crate::adapter::http::settings::{Filter, Form, Sealing};
use crate::adapter::json::Path;
use crate::config::section::Section;
use crate::config::value;
use crate::seal::piece;
use crate::seal::token::{Field, Normal};

const NORMALS: &[(&str, Normal)] = &[("exact", Normal::Exact), ("folded", Normal::Folded)];

/// Where the value stands.
pub(super) enum Place {
    Json(Path),
    Form(String),
    Query(String),
    Header(HeaderName),
    File(String),
}

pub(super) struct Entry {
    pub place: Place,
    pub sealing: Sealing,
    pub keep_name: bool,
}

/// The keys that say where; exactly one stands.
const PLACES: [&str; 5] = ["json", "form", "query", "header", "file"];

pub(super) fn entry(mut section: Section<'_, '_>) -> Option<Entry> {
    let standing: Vec<&str> = PLACES.into_iter().filter(|key| section.has(key)).collect();
    if standing.len() != 1 {
        section.fault(
            "[[rule.seal]] needs one of `json`, `form`, `query`, `header` and `file`, and one only",
        );
    }
    let json = section.optional("json", |v| Path::parse(&value::string(v)?));
    let form = section.optional("form", value::string);
    let query = section.optional("query", value::string);
    let name = section.optional("header", header);
    let file = section.optional("file", value::string);
    let place = json
        .map(Place::Json)
        .or(form.map(Place::Form))
        .or(query.map(Place::Query))
        .or(name.map(Place::Header))
        .or(file.map(Place::File));
    let label = match &place {
        Some(Place::Json(path)) => path.as_str().to_owned(),
        Some(Place::Form(name) | Place::Query(name) | Place::File(name)) => name.clone(),
        Some(Place::Header(name)) => name.as_str().to_owned(),
        None => String::new(),
    };
    let is_file = matches!(place, Some(Place::File(_)));
    let keep_name = if is_file {
        section.or("keep_name", "false", value::boolean)
    } else {
        Some(false)
    };
    let field_place = section.place("field");
    let field = section.optional("field", value::string);
    let named = field.as_deref().unwrap_or(&label);
    if piece::FIELDS.iter().any(|(taken, _)| *taken == named) {
        let message =
            format!("`{named}` is a field of bodies in pieces: give another with `field`");
        section.fault_at(&field_place, message);
    }
    let max = (!is_file).then(|| section.optional("max", value::small_count));
    let form = form_of(&mut section, place.as_ref());
    section.finish();
    if standing.len() != 1 {
        return None;
    }
    Some(Entry {
        place: place?,
        sealing: Sealing {
            field: Field::named(named),
            label,
            max: max.flatten(),
            form: form?,
        },
        keep_name: keep_name?,
    })
}

fn form_of(section: &mut Section<'_, '_>, place: Option<&Place>) -> Option<Form> {
    let at = section.place("index");
    let indexed = section.has("index");
    let normal = section.optional("index", value::one_of(NORMALS));
    match place {
        Some(Place::Json(path)) if indexed && !path.picks_members() => {
            section.fault_at(&at, "`index`: the JSON path must end with a member's name, beside which the index can stand");
            None
        }
        Some(Place::Json(_) | Place::Form(_)) => {
            let beside = if indexed {
                section.required("beside", value::string)
            } else {
                None
            };
            match (indexed, normal) {
                (false, _) => Some(Form::Token),
                (true, normal) => Some(Form::Indexed {
                    beside: beside?,
                    normal: normal?,
                }),
            }
        }
        Some(Place::Query(_)) if indexed => {
            let filtered = section.has("filter") || section.has("sends");
            let filter = filtered.then(|| {
                let taken = section.required("filter", patterns);
                let sent = section.required("sends", pattern);
                Some(Filter {
                    taken: taken?,
                    sent: sent?,
                })
            });
            let filter = match filter {
                None => None,
                Some(filter) => Some(filter?),
            };
            Some(Form::Index {
                normal: normal?,
                filter,
            })
        }
        _ if indexed => {
            section.fault_at(&at, "`index` belongs to `json`, `form` and `query`");
            None
        }
        _ => Some(Form::Token),
    }
}

/// One form, or several that mean the same.
fn patterns(value: &toml::de::DeValue<'_>) -> Result<Vec<(String, String)>, String> {
    let forms = match value {
        toml::de::DeValue::Array(_) => value::list(pattern)(value)?,
        _ => vec![pattern(value)?],
    };
    if forms.is_empty() {
        return Err("name at least one form of filter".into());
    }
    Ok(forms)
}

/// Text with one `{}` in it.
fn pattern(value: &toml::de::DeValue<'_>) -> Result<(String, String), String> {
    let text = value::string(value)?;
    let (before, behind) = text.split_once("{}").unwrap_or_default();
    if text.matches("{}").count() != 1 {
        return Err("expected a filter with one `{}` where the value stands".into());
    }
    Ok((before.to_owned(), behind.to_owned()))
}
