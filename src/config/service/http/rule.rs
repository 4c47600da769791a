//! `[[rule]]`: one kind of request.

use std::ops::Range;
use std::sync::Arc;

use http::Method;

use super::message;
use super::opens::{self, Place as Opened};
use super::overlap;
use super::parts::{Body, parts};
use crate::adapter::http::settings::{Answer, Rule};
use crate::adapter::http::template::Template;
use crate::adapter::json::{Path, Paths};
use crate::config::section::Section;
use crate::config::value;

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
    let addresses = addresses(&mut section, answers.as_deref());
    let answers: Option<Vec<Holds>> =
        answers.map(|items| items.into_iter().map(|(_, item)| item).collect());
    let answer = answers.as_deref().and_then(|holds| {
        check_answer(&section, &answers_at, holds, body)?;
        if holds == [Holds::WebSocket] {
            return message::socket(&mut section, methods.as_deref()).map(Answer::Socket);
        }
        answer(holds)
    });
    let decompress = decompress(&mut section, body);
    let path_at = section.place("path");
    section.finish();
    let parts = parts?;
    let rule = Rule {
        name: name?,
        methods: methods?,
        path: path?,
        request: parts.request,
        decompress: decompress?,
        query: query?.into_iter().map(|(_, name)| name).collect(),
        sealed_query: parts.query,
        sealed_headers: parts.headers,
        answer: answer?,
        opening: Arc::default(),
        addresses: addresses?,
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

fn decompress(section: &mut Section<'_, '_>, body: Option<Body>) -> Option<bool> {
    let at = section.place("decompress");
    let decompress = section.or("decompress", "false", value::boolean)?;
    if decompress && matches!(body?, Body::None | Body::Relay) {
        section.fault_at(&at, "`decompress` belongs to bodies that are sealed");
        return None;
    }
    Some(decompress)
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

/// `Some(None)`: there are none. Other answers than JSON pass without being read whole.
fn addresses(
    section: &mut Section<'_, '_>,
    answers: Option<&[(Range<usize>, Holds)]>,
) -> Option<Option<Paths>> {
    let at = section.place("addresses");
    let places = section.items("addresses", Some("[]"), |v| Path::parse(&value::string(v)?))?;
    if places.is_empty() {
        return Some(None);
    }
    if !answers?.iter().all(|(_, holds)| *holds == Holds::Json) {
        section.fault_at(
            &at,
            "`addresses` belongs to rules whose answer is JSON and nothing else",
        );
        return None;
    }
    let paths = Paths::new(
        places.iter().map(|(_, path)| path),
        &[Path::parse("$").ok()?],
    );
    if paths.is_none() {
        section.fault_at(&at, "`addresses` has more than 128 steps in all");
    }
    paths.map(|paths| Some(paths.guarded()))
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
