//! `[[rule]]`: one kind of request.

use std::ops::Range;
use std::sync::Arc;

use http::{HeaderName, Method};

use super::message;
use super::opens::{self, Place as Opened};
use super::overlap;
use super::sealing::{Entry, Place, entry};
use crate::adapter::http::settings::{Answer, FilePart, RequestBody, Rule, Sealed};
use crate::adapter::http::template::Template;
use crate::adapter::json::{Path, Paths};
use crate::config::section::Section;
use crate::config::value;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    None,
    Json,
    Form,
    Multipart,
    Object,
    Relay,
}

const BODIES: &[(&str, Body)] = &[
    ("none", Body::None),
    ("json", Body::Json),
    ("form", Body::Form),
    ("multipart", Body::Multipart),
    ("object", Body::Object),
    ("relay", Body::Relay),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Json,
    Html,
    Text,
    Events,
    Object,
    None,
    Relay,
    WebSocket,
}

const ANSWERS: &[(&str, Holds)] = &[
    ("json", Holds::Json),
    ("html", Holds::Html),
    ("text", Holds::Text),
    ("events", Holds::Events),
    ("object", Holds::Object),
    ("none", Holds::None),
    ("relay", Holds::Relay),
    ("websocket", Holds::WebSocket),
];

pub(super) fn rules(root: &mut Section<'_, '_>) -> Option<Vec<Rule>> {
    let sections = root.tables("rule");
    if sections.is_empty() {
        root.fault("no rule is configured: add [[rule]] for each kind of request; what no rule names is refused");
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    let read: Vec<Option<Read>> = sections
        .into_iter()
        .map(|section| rule(section, &mut names))
        .collect();
    // what is read of them is judged, even where another has a fault
    overlap::check(root, read.iter().flatten());
    opens::settle(root, read.into_iter().collect::<Option<_>>()?)
}

/// A rule as it stands in the file.
pub(super) struct Read {
    pub path_at: Range<usize>,
    pub answer_at: Range<usize>,
    /// What opens in its answers is not decided yet.
    pub rule: Rule,
    /// Names of members and fields that pass in clear.
    pub clear: Vec<String>,
    pub opens: Option<Vec<Opened>>,
    pub sizes: Vec<Path>,
}

fn rule(mut section: Section<'_, '_>, names: &mut Vec<String>) -> Option<Read> {
    let place = section.place("name");
    let name = section.required("name", value::identifier);
    if let Some(name) = &name {
        if names.contains(name) {
            section.fault_at(&place, format!("there is a rule `{name}` already"));
        }
        names.push(name.clone());
    }
    let methods = methods(&mut section);
    let path = section.required("path", |v| Template::parse(&value::string(v)?));
    let body = section.or("request", "\"none\"", value::one_of(BODIES));
    let answers_at = section.place("answer");
    let answers = section.items("answer", None, value::one_of(ANSWERS));
    let query = section.items("query", Some("[]"), value::string);
    let parts = parts(&mut section, body);
    let sizes = sizes(&mut section, answers.as_deref());
    let opens = opened(&mut section, answers.as_deref());
    let answers: Option<Vec<Holds>> =
        answers.map(|items| items.into_iter().map(|(_, item)| item).collect());
    let answer = answers.as_deref().and_then(|holds| {
        check_answer(&section, &answers_at, holds, body)?;
        if holds == [Holds::WebSocket] {
            return message::socket(&mut section, methods.as_deref()).map(Answer::Socket);
        }
        answer(holds)
    });
    let path_at = section.place("path");
    section.finish();
    let parts = parts?;
    let rule = Rule {
        name: name?,
        methods: methods?,
        path: path?,
        request: parts.request,
        query: query?.into_iter().map(|(_, name)| name).collect(),
        sealed_query: parts.query,
        sealed_headers: parts.headers,
        answer: answer?,
        opening: Arc::default(),
    };
    Some(Read {
        path_at,
        answer_at: answers_at,
        rule,
        clear: parts.clear,
        opens: opens?,
        sizes: sizes?,
    })
}

fn methods(section: &mut Section<'_, '_>) -> Option<Vec<Method>> {
    let at = section.place("methods");
    let methods = section.items("methods", None, |v| {
        let text = value::string(v)?;
        let known = text.bytes().all(|b| b.is_ascii_uppercase());
        let wrong = || "expected a method such as \"GET\" or \"POST\"".to_owned();
        match Method::try_from(text.as_str()) {
            Ok(method) if known && method != Method::CONNECT && method != Method::TRACE => {
                Ok(method)
            }
            _ => Err(wrong()),
        }
    })?;
    if methods.is_empty() {
        section.fault_at(&at, "`methods`: name at least one");
        return None;
    }
    Some(methods.into_iter().map(|(_, method)| method).collect())
}

/// What is sealed, sorted by where it stands.
struct Parts {
    request: RequestBody,
    query: Vec<Sealed<String>>,
    headers: Vec<Sealed<HeaderName>>,
    /// Names that pass in clear.
    clear: Vec<String>,
}

#[derive(Default)]
struct Sorted {
    json: Vec<Sealed<Path>>,
    form: Vec<Sealed<String>>,
    query: Vec<Sealed<String>>,
    headers: Vec<Sealed<HeaderName>>,
    files: Vec<FilePart>,
}

fn parts(section: &mut Section<'_, '_>, body: Option<Body>) -> Option<Parts> {
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

fn sizes(
    section: &mut Section<'_, '_>,
    answers: Option<&[(Range<usize>, Holds)]>,
) -> Option<Vec<Path>> {
    let at = section.place("sizes");
    let given = section.has("sizes");
    let sizes = section.items("sizes", Some("[]"), |v| Path::parse(&value::string(v)?))?;
    if given && !answers?.iter().any(|(_, holds)| *holds == Holds::Json) {
        section.fault_at(&at, "`sizes` belongs to answers in JSON");
        return None;
    }
    Some(sizes.into_iter().map(|(_, path)| path).collect())
}

/// `Some(None)`: the file does not say.
fn opened(
    section: &mut Section<'_, '_>,
    answers: Option<&[(Range<usize>, Holds)]>,
) -> Option<Option<Vec<Opened>>> {
    if !section.has("opens") {
        section.know("opens");
        return Some(None);
    }
    let at = section.place("opens");
    let places = section.items("opens", None, opens::place)?;
    let json = |holds: Holds| matches!(holds, Holds::Json | Holds::Events | Holds::WebSocket);
    if !answers?.iter().any(|(_, holds)| json(*holds)) {
        section.fault_at(
            &at,
            "`opens` belongs to answers in JSON, events and WebSockets",
        );
        return None;
    }
    Some(Some(places.into_iter().map(|(_, place)| place).collect()))
}

/// An answer that relays goes with a request that does; an object or nothing stands alone.
fn check_answer(
    section: &Section<'_, '_>,
    at: &Range<usize>,
    holds: &[Holds],
    body: Option<Body>,
) -> Option<()> {
    let alone = [Holds::Object, Holds::None, Holds::Relay, Holds::WebSocket];
    let message = if holds.is_empty() {
        "`answer`: say what the answer may hold, `[\"none\"]` if nothing"
    } else if holds.len() > 1 && holds.iter().any(|one| alone.contains(one)) {
        "`answer`: \"object\", \"none\", \"relay\" and \"websocket\" stand alone"
    } else if holds == [Holds::Relay] && !matches!(body?, Body::None | Body::Relay) {
        "an answer that is relayed goes with `request` = \"none\" or \"relay\""
    } else if holds != [Holds::Relay] && body? == Body::Relay {
        "a request that is relayed goes with `answer` = [\"relay\"]"
    } else if holds == [Holds::Object] && body? != Body::None {
        "an object is answered to requests without a body"
    } else if holds == [Holds::WebSocket] && body? != Body::None {
        "a WebSocket is opened by a request without a body; what its messages hold stands in [[rule.message]]"
    } else {
        return Some(());
    };
    section.fault_at(at, message);
    None
}

fn answer(holds: &[Holds]) -> Option<Answer> {
    let has = |one| holds.contains(&one);
    Some(match holds.first()? {
        Holds::Relay => Answer::Relayed,
        Holds::Object => Answer::Object,
        Holds::None => Answer::Nothing,
        // made of more than a word
        Holds::WebSocket => return None,
        Holds::Json | Holds::Html | Holds::Text | Holds::Events => Answer::Text {
            json: has(Holds::Json),
            html: has(Holds::Html),
            text: has(Holds::Text),
            events: has(Holds::Events),
        },
    })
}
