//! `[[rule.message]]`: what a client may send over a WebSocket.

use http::Method;

use super::parts::json_paths;
use super::sealing::{Entry, Place, entry};
use crate::adapter::http::settings::{Condition, Sealed, Shape, Socket};
use crate::adapter::json::{Path, Paths};
use crate::config::section::Section;
use crate::config::value;

/// A rule's WebSocket; `methods` are the rule's.
pub(super) fn socket(section: &mut Section<'_, '_>, methods: Option<&[Method]>) -> Option<Socket> {
    let protocols_at = section.place("protocols");
    let protocols = section.items("protocols", Some("[]"), protocol);
    let binary = section.or("binary", "false", value::boolean);
    let sections = section.tables("message");
    let last = sections.len().saturating_sub(1);
    let mut names: Vec<String> = Vec::new();
    let shapes: Vec<Option<Shape>> = sections
        .into_iter()
        .enumerate()
        .map(|(at, message)| shape(message, at == last, &mut names))
        .collect();
    let mut sound = true;
    if methods.is_some_and(|methods| methods != [Method::GET]) {
        let at = section.place("methods");
        section.fault_at(&at, "a WebSocket is opened with GET, and GET alone");
        sound = false;
    }
    let protocols: Vec<String> = protocols?.into_iter().map(|(_, name)| name).collect();
    if protocols
        .iter()
        .enumerate()
        .any(|(at, name)| protocols[..at].contains(name))
    {
        section.fault_at(&protocols_at, "`protocols`: each stands once");
        sound = false;
    }
    let shapes: Option<Vec<Shape>> = shapes.into_iter().collect();
    let socket = Socket {
        protocols,
        binary: binary?,
        shapes: shapes?,
    };
    sound.then_some(socket)
}

/// A token (RFC 6455 section 4.1).
fn protocol(value: &toml::de::DeValue<'_>) -> Result<String, String> {
    let text = value::string(value)?;
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if text.is_empty() || !text.bytes().all(token) {
        return Err("expected a subprotocol's name, such as \"chat.v1\"".into());
    }
    Ok(text)
}

fn shape(mut section: Section<'_, '_>, last: bool, names: &mut Vec<String>) -> Option<Shape> {
    let place = section.place("name");
    let name = section.required("name", value::identifier);
    if let Some(name) = &name {
        if names.contains(name) {
            section.fault_at(&place, format!("there is a message `{name}` already"));
        }
        names.push(name.clone());
    }
    let condition = condition(&mut section, last);
    let clear_at = section.place("clear");
    let clear = section.items("clear", Some("[]"), value::string);
    let entries: Vec<Option<Entry>> = section.tables("seal").into_iter().map(entry).collect();
    let entries: Option<Vec<Entry>> = entries.into_iter().collect();
    let mut fields = Vec::new();
    for Entry { place, sealing, .. } in entries? {
        let Place::Json(place) = place else {
            section.fault("a message has JSON paths alone: [[rule.message.seal]] takes `json`");
            return None;
        };
        fields.push(Sealed { place, sealing });
    }
    let paths = json_paths(&section, &clear_at, &fields, clear?);
    section.finish();
    Some(Shape {
        name: name?,
        condition: condition?,
        fields,
        paths: paths?,
    })
}

/// `where` and `equals`; both, or neither in the last message.
fn condition(section: &mut Section<'_, '_>, last: bool) -> Option<Option<Condition>> {
    if !section.has("where") && !section.has("equals") {
        section.know("where");
        section.know("equals");
        if last {
            return Some(None);
        }
        section.fault(
            "without `where` a message takes everything, so those behind it are never reached: put it last",
        );
        return None;
    }
    let at = section.place("where");
    let path = section.required("where", |v| Path::parse(&value::string(v)?));
    let equals_at = section.place("equals");
    let values = section.items("equals", None, value::string);
    let values: Vec<String> = values?.into_iter().map(|(_, value)| value).collect();
    if values.is_empty() {
        section.fault_at(&equals_at, "`equals`: name at least one value");
        return None;
    }
    let all = Path::parse("$").ok()?;
    let place = Paths::new([&path?], &[all]);
    if place.is_none() {
        section.fault_at(&at, "`where` has more than 128 steps");
    }
    Some(Some(Condition {
        place: place?,
        values,
    }))
}
