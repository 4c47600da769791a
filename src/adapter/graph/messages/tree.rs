//! A JSON document as a tree, its members in the order in which they stand. It is read to decide what becomes of each value;
//! the document itself is then rewritten in place ([`json::rewrite`]).

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::adapter::json::{self, Path, Paths, Wrong};
use crate::error::{INTERNAL, Refusal};

/// A value. Of numbers only those that count are told from others.
#[derive(Debug)]
pub enum Node {
    Object(Vec<(String, Node)>),
    Array(Vec<Node>),
    Text(String),
    Number(u64),
    Null,
    Other,
}

impl Node {
    /// # Errors
    /// The document is malformed, or repeats a key.
    pub fn parse(document: &[u8]) -> Result<Self, Wrong> {
        // tells what is wrong, and where
        json::check(document)?;
        serde_json::from_slice(document).map_err(|_| Wrong::Syntax(0))
    }

    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members
                .iter()
                .find_map(|(key, value)| (key == name).then_some(value)),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Number(number))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Node::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Node::Object(members))
    }
}

/// What becomes of the members of some names, wherever they stand, in the document's order.
pub struct Plan {
    names: &'static [&'static str],
    steps: Vec<Option<String>>,
}

impl Plan {
    pub fn new(names: &'static [&'static str]) -> Self {
        Self {
            names,
            steps: Vec::new(),
        }
    }

    /// Whether a step is to be added for a member of this name.
    pub fn covers(&self, name: &str) -> bool {
        self.names.contains(&name)
    }

    /// `value`: what replaces it, as JSON; `None` keeps it.
    pub fn add(&mut self, value: Option<String>) {
        self.steps.push(value);
    }

    /// # Errors
    /// The plan was made for another document.
    pub fn apply(self, document: &[u8]) -> Result<Vec<u8>, Refusal> {
        let foreign = || Refusal::new(&INTERNAL).message("A plan for another document.");
        let paths: Option<Vec<_>> = self
            .names
            .iter()
            .map(|name| Path::parse(&format!("$..{name}")).ok())
            .collect();
        let everything = [Path::parse("$").map_err(|_| foreign())?];
        let paths = Paths::new(paths.iter().flatten(), &everything).ok_or_else(foreign)?;
        let mut steps = self.steps.into_iter();
        let rewritten = json::rewrite(document, &paths, |_| steps.next().ok_or_else(foreign))?;
        match steps.next() {
            None => Ok(rewritten),
            Some(_) => Err(foreign()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_meets_the_members_in_the_documents_order() {
        let document =
            br#"{"b":{"a":1,"c":[{"a":"x"}, "a"],"a\u0061":2},"d":"y", "a" : {"a":null}}"#;
        let mut plan = Plan::new(&["a", "d"]);
        for step in [None, Some("\"X\""), Some("\"Y\""), None, Some("7")] {
            plan.add(step.map(str::to_owned));
        }
        let out = plan.apply(document).unwrap();
        let want = br#"{"b":{"a":1,"c":[{"a":"X"}, "a"],"a\u0061":2},"d":"Y", "a" : {"a":7}}"#;
        assert_eq!(out, want);
        for steps in [4, 6] {
            let mut plan = Plan::new(&["a", "d"]);
            (0..steps).for_each(|_| plan.add(None));
            assert!(plan.apply(document).is_err(), "{steps}");
        }
    }

    #[test]
    fn malformed_documents_are_refused() {
        for bad in ["", "{", "{\"a\":1,\"a\":2}", "[1]x", "{\"a\":\"\\ud800\"}"] {
            assert!(Node::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let node = Node::parse(br#"{"x":[true,1,-1,0.5,null,"t",{}]}"#).unwrap();
        assert!(matches!(node.member("x"), Some(Node::Array(elements)) if elements.len() == 7));
    }
}
