//! Answers about messages, with what is sealed in them opened.

use super::attachment;
use super::pieces::{Form, Opening};
use super::shape::{ADDED, REWRITTEN, Shape, Treat, quoted};
use super::tree::{Node, Plan};
use crate::adapter::opening;
use crate::error::{Refusal, UPSTREAM_INVALID};
use crate::seal::scan;

/// Characters of a message's preview (Microsoft Graph, "message": `bodyPreview`).
const PREVIEW: usize = 255;

pub(super) struct Reading(pub Opening);

impl Reading {
    /// `shape`: of what the answer is about, or lists.
    ///
    /// # Errors
    /// The document is malformed, or holds a sealed file that does not open, or a key can't be had now.
    pub fn document(&self, document: &[u8], shape: &Shape) -> Result<Vec<u8>, Refusal> {
        let node = Node::parse(document).map_err(|wrong| {
            Refusal::new(&UPSTREAM_INVALID)
                .message("The provider's answer is no JSON document.")
                .cause(Refusal::from(wrong))
        })?;
        let mut plan = Plan::new(REWRITTEN);
        match node.member("value") {
            Some(Node::Array(_)) => self.list(&node, shape, &mut plan)?,
            _ => self.object(&node, shape, &mut plan)?,
        }
        plan.apply(document)
    }

    fn list(&self, node: &Node, shape: &Shape, plan: &mut Plan) -> Result<(), Refusal> {
        let Node::Object(members) = node else {
            return Ok(());
        };
        for (name, value) in members {
            match value {
                Node::Array(elements) if name == "value" => elements
                    .iter()
                    .try_for_each(|element| self.object(element, shape, plan))?,
                _ => keep(name, value, plan),
            }
        }
        Ok(())
    }

    fn object(&self, node: &Node, shape: &Shape, plan: &mut Plan) -> Result<(), Refusal> {
        let Node::Object(members) = node else {
            keep("", node, plan);
            return Ok(());
        };
        for (name, value) in members {
            let treat = shape.treat(name).or_else(|| ADDED.treat(name));
            let Some(treat) = treat else {
                keep(name, value, plan);
                continue;
            };
            if plan.covers(name) {
                plan.add(self.value(treat, node, value)?);
            }
            match (treat, value) {
                (Treat::Object(shape), value) => self.object(value, shape, plan)?,
                (Treat::List(shape), Node::Array(elements)) => elements
                    .iter()
                    .try_for_each(|element| self.object(element, shape, plan))?,
                (Treat::Body | Treat::TeamsBody, value) => self.body(value, plan)?,
                (_, value) => keep("", value, plan),
            }
        }
        Ok(())
    }

    fn value(&self, treat: Treat, parent: &Node, value: &Node) -> Result<Option<String>, Refusal> {
        if matches!(treat, Treat::Size) {
            return Ok(plain_size(parent).map(|size| size.to_string()));
        }
        let Some(text) = value.text() else {
            return Ok(None);
        };
        let opened = match treat {
            Treat::Line(field, _) | Treat::Subject(field, _) => self.0.line(field, text)?,
            Treat::Whole(field) => self.0.whole(field, text)?,
            Treat::Preview => self.preview(parent, text)?,
            Treat::Bytes | Treat::Picture => self.file(text)?,
            _ => None,
        };
        Ok(opened.map(|text| quoted(&text)))
    }

    fn body(&self, node: &Node, plan: &mut Plan) -> Result<(), Refusal> {
        let Node::Object(members) = node else {
            keep("", node, plan);
            return Ok(());
        };
        for (name, value) in members {
            match (name.as_str(), value) {
                ("content", Node::Text(text)) => {
                    let opened = self.0.body(form(node), text)?;
                    plan.add(opened.map(|text| quoted(&text)));
                }
                _ => keep(name, value, plan),
            }
        }
        Ok(())
    }

    /// The provider made it of ciphertext: it is made anew of the body, where that is in the answer.
    fn preview(&self, parent: &Node, text: &str) -> Result<Option<String>, Refusal> {
        if scan::candidates(text.as_bytes()).next().is_none() {
            return Ok(None);
        }
        let body = parent.member("body");
        let content = body.and_then(|body| body.member("content")?.text());
        let opened = match body.zip(content) {
            Some((body, content)) => {
                let opened = self.0.body(form(body), content)?;
                opened.map(|opened| match form(body) {
                    Form::Html => super::markup::without_markup(&opened),
                    Form::Text => opened,
                })
            }
            None => None,
        };
        let words: Vec<&str> = opened
            .as_deref()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        Ok(Some(words.join(" ").chars().take(PREVIEW).collect()))
    }

    /// # Errors
    /// A file that was sealed does not open: in any other form it would look like one that did.
    fn file(&self, text: &str) -> Result<Option<String>, Refusal> {
        let Ok(bytes) = attachment::decoded(text) else {
            return Ok(None);
        };
        let opened = attachment::open(self.0.lookup.clone(), self.0.context.clone(), &bytes);
        let file = opened.map_err(opening::refusal)?;
        Ok(file.map(|file| attachment::encoded(&file)))
    }
}

/// Leaves a member as it is, and everything below it.
fn keep(name: &str, node: &Node, plan: &mut Plan) {
    if plan.covers(name) {
        plan.add(None);
    }
    match node {
        Node::Object(members) => members
            .iter()
            .for_each(|(name, value)| keep(name, value, plan)),
        Node::Array(elements) => elements.iter().for_each(|node| keep("", node, plan)),
        _ => {}
    }
}

/// How a body is written.
fn form(body: &Node) -> Form {
    let kind = body.member("contentType").and_then(Node::text);
    // where nothing is said, programs may take it for markup
    kind.and_then(Form::named).unwrap_or(Form::Html)
}

fn plain_size(parent: &Node) -> Option<u64> {
    let text = parent.member("contentBytes")?.text()?;
    let bytes = attachment::decoded(text).ok()?;
    crate::seal::layout::plain_len(attachment::sealed_in(&bytes)?.len() as u64)
}
