//! Answers about messages, with what is sealed in them opened.

use super::attachment;
use super::pieces::{Form, Opening};
use super::shape::{ATTACHED, TITLE, quoted};
use super::tree::{Node, Plan};
use crate::adapter::opening;
use crate::error::{Refusal, UPSTREAM_INVALID};
use crate::seal::scan;

/// Characters of a message's preview (Microsoft Graph, "message": `bodyPreview`).
const PREVIEW: usize = 255;

/// Members that may hold what is sealed, with the field that it was sealed for. Identifiers, links and cursors are not
/// among them: a client sends those back in clear.
const LINES: &[(&str, &[&str])] = &[
    ("subject", &[TITLE]),
    ("summary", &["message.summary"]),
    ("name", &[ATTACHED]),
    ("title", &["message.subject"]),
    ("displayName", &["message.location", "message.subject"]),
    ("personalNotes", &["message.notes"]),
    ("description", &["message.description"]),
    ("topic", &["message.topic"]),
];
const OPENED: &[&str] = &[
    "subject",
    "summary",
    "name",
    "title",
    "displayName",
    "personalNotes",
    "description",
    "topic",
    "content",
    "bodyPreview",
    "contentBytes",
    "size",
];

pub(super) struct Reading(pub Opening);

impl Reading {
    /// # Errors
    /// The document is malformed, or holds a sealed file that does not open.
    pub fn document(&self, document: &[u8]) -> Result<Vec<u8>, Refusal> {
        let node = Node::parse(document).map_err(|wrong| {
            Refusal::new(&UPSTREAM_INVALID)
                .message("The provider's answer is no JSON document.")
                .cause(Refusal::from(wrong))
        })?;
        let mut plan = Plan::new(OPENED);
        self.node(&node, &mut plan)?;
        plan.apply(document)
    }

    fn node(&self, node: &Node, plan: &mut Plan) -> Result<(), Refusal> {
        match node {
            Node::Object(members) => {
                for (name, value) in members {
                    if plan.covers(name) {
                        plan.add(self.value(node, name, value)?);
                    }
                    self.node(value, plan)?;
                }
            }
            Node::Array(elements) => {
                for node in elements {
                    self.node(node, plan)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn value(&self, parent: &Node, name: &str, value: &Node) -> Result<Option<String>, Refusal> {
        if name == "size" {
            return Ok(plain_size(parent).map(|size| size.to_string()));
        }
        let Some(text) = value.text() else {
            return Ok(None);
        };
        let opened = match name {
            "content" => self.content(parent, text),
            "bodyPreview" => self.preview(parent, text),
            "contentBytes" => self.file(text)?,
            _ => {
                let fields = LINES.iter().find(|(known, _)| *known == name);
                fields.and_then(|(_, fields)| self.0.line(fields, text))
            }
        };
        Ok(opened.map(|text| quoted(&text)))
    }

    fn content(&self, parent: &Node, text: &str) -> Option<String> {
        let kind = parent.member("contentType").and_then(Node::text);
        match kind.map_or(Some(Form::Text), Form::named) {
            Some(form) => self.0.body(form, text),
            // a card of Teams, by its media type
            None => self.0.line(&["message.card"], text),
        }
    }

    /// The provider made it of ciphertext: it is made anew of the body, where that is in the answer.
    fn preview(&self, parent: &Node, text: &str) -> Option<String> {
        scan::candidates(text.as_bytes()).next()?;
        let body = parent.member("body");
        let opened = body.and_then(|body| {
            let content = body.member("content")?.text()?;
            let form = body
                .member("contentType")
                .and_then(Node::text)
                .and_then(Form::named);
            let opened = self.0.body(form.unwrap_or(Form::Text), content)?;
            Some(match form {
                Some(Form::Html) => super::markup::without_markup(&opened),
                _ => opened,
            })
        });
        let words: Vec<&str> = opened
            .as_deref()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        Some(words.join(" ").chars().take(PREVIEW).collect())
    }

    /// # Errors
    /// A file that was sealed does not open: in any other form it would look like one that did.
    fn file(&self, text: &str) -> Result<Option<String>, Refusal> {
        let Ok(bytes) = attachment::decoded(text) else {
            return Ok(None);
        };
        let opened = attachment::open(self.0.lookup.clone(), self.0.context.clone(), bytes);
        let file = opened.map_err(opening::refusal)?;
        Ok(file.map(|file| attachment::encoded(&file)))
    }
}

fn plain_size(parent: &Node) -> Option<u64> {
    let text = parent.member("contentBytes")?.text()?;
    let bytes = attachment::decoded(text).ok()?;
    attachment::is_sealed(&bytes).then(|| crate::seal::layout::plain_len(bytes.len() as u64))?
}
