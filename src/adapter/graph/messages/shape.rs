//! Which members of a document are sealed, which pass in clear, and what is refused: whatever is not named here. The same
//! table says where what is sealed opens in an answer: a client may send any other member back in clear.

mod table;

use super::attachment;
use super::markup::Mentions;
use super::pieces::{Form, Sealing};
use super::tree::{Node, Plan};
use crate::error::{INTERNAL, PROTOCOL, RULE_VIOLATED, Refusal};

pub(super) use self::table::*;

/// What becomes of a member.
#[derive(Debug, Clone, Copy)]
pub(super) enum Treat {
    /// A word, a number or a date that the service reads.
    Clear,
    /// A list of such.
    Words,
    /// Whoever reads the message.
    People,
    /// A text of one line, with the name of its field and the characters that the service keeps of it.
    Line(&'static str, usize),
    /// As [`Self::Line`], where the settings seal such lines.
    Subject(&'static str, usize),
    /// As [`Self::Line`], of what programs read: it opens only where nothing stands around it.
    Whole(&'static str),
    /// Words before an answer: the service makes them a part of its body.
    Comment,
    /// `contentType` and `content`.
    Body,
    /// As [`Self::Body`], with what Teams must read in clear.
    TeamsBody,
    /// The beginning of a body, in answers.
    Preview,
    /// A file in base64.
    Bytes,
    /// A file in base64 that must look like a picture.
    Picture,
    /// A length of the file beside it.
    Size,
    Object(&'static Shape),
    List(&'static Shape),
    /// Members that are named by identifiers, each an object.
    Named(&'static Shape),
    /// Members that are named by identifiers, each a word.
    Flags,
    /// A list of properties of the service that are on or off, of which these are known.
    Switches(&'static [&'static str]),
}
use Treat::{
    Body, Bytes, Clear, Comment, Flags, Line, List, Named, Object, People, Picture, Preview, Size,
    Subject, Switches, TeamsBody, Whole, Words,
};

#[derive(Debug)]
pub(super) struct Shape(pub &'static [(&'static str, Treat)]);

/// Members that are rewritten wherever they stand in a document.
pub(super) const REWRITTEN: &[&str] = &[
    "subject",
    "summary",
    "content",
    "comment",
    "Comment",
    "contentBytes",
    "size",
    "name",
    "personalNotes",
    "description",
    "title",
    "topic",
    "displayName",
    "bodyPreview",
];

/// What a document is to become.
pub(super) struct Writing<'a> {
    pub sealing: &'a Sealing<'a>,
    /// Whether lines such as subjects are sealed.
    pub subjects: bool,
    /// Whether all of it stays as it is: somebody outside reads it, and the policy lets it go so.
    pub clear: bool,
    pub seal_file: &'a (dyn Fn(Vec<u8>, Treat) -> Result<Vec<u8>, Refusal> + Sync),
}

/// The people that a document names.
///
/// # Errors
/// Somebody has no address.
pub(super) fn people<'n>(
    shape: &Shape,
    node: &'n Node,
    found: &mut Vec<&'n str>,
) -> Result<(), Refusal> {
    let Node::Object(members) = node else {
        return Ok(());
    };
    for (name, value) in members {
        match shape.treat(name) {
            Some(People) => addresses(value, found)?,
            Some(Object(inner)) => people(inner, value, found)?,
            _ => {}
        }
    }
    Ok(())
}

/// Of one person or of several.
///
/// # Errors
/// Somebody has no address: the service would look up who is meant.
pub(super) fn addresses<'n>(node: &'n Node, found: &mut Vec<&'n str>) -> Result<(), Refusal> {
    match node {
        Node::Null => Ok(()),
        Node::Array(people) => people
            .iter()
            .try_for_each(|person| addresses(person, found)),
        person => {
            let address = person.member("emailAddress");
            let address = address.and_then(|address| address.member("address"));
            let address = address
                .and_then(Node::text)
                .ok_or_else(|| Refusal::new(&PROTOCOL).message("A reader has no mail address."))?;
            found.push(address);
            Ok(())
        }
    }
}

impl Treat {
    /// Whether a text or a file stands here that must not pass as it is.
    fn seals(self) -> bool {
        !matches!(
            self,
            Clear
                | Words
                | People
                | Body
                | TeamsBody
                | Object(_)
                | List(_)
                | Named(_)
                | Flags
                | Switches(_)
        )
    }
}

impl Shape {
    pub(super) fn treat(&self, name: &str) -> Option<Treat> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, treat)| *treat)
    }

    /// Seals the document.
    ///
    /// # Errors
    /// It holds what the shape does not name.
    pub fn write(
        &self,
        document: &[u8],
        node: &Node,
        writing: &Writing<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        if !matches!(node, Node::Object(_)) {
            return Err(Refusal::new(&PROTOCOL).message("The document is no object."));
        }
        let mut plan = Plan::new(REWRITTEN);
        self.object(node, writing, &mut plan)?;
        plan.apply(document)
    }

    fn object(&self, node: &Node, writing: &Writing<'_>, plan: &mut Plan) -> Result<(), Refusal> {
        let members = match node {
            Node::Object(members) => members,
            Node::Null => return Ok(()),
            _ => return Err(Refusal::new(&PROTOCOL).message("An object lacks where one belongs.")),
        };
        for (name, value) in members {
            let treat = self.treat(name).ok_or_else(|| unnamed(name))?;
            if plan.covers(name) {
                plan.add(writing.value(treat, node, name, value)?);
            } else if treat.seals() {
                return Err(Refusal::new(&INTERNAL).message("A member that is not rewritten."));
            }
            writing.below(treat, node, name, value, plan)?;
        }
        Ok(())
    }
}

fn is_word(node: &Node) -> bool {
    !matches!(node, Node::Object(_) | Node::Array(_))
}

/// Whether it is a property that is known, by its `id`, and a `value` that says yes or no.
fn is_switch(known: &[&str], node: &Node) -> bool {
    let Node::Object(members) = node else {
        return false;
    };
    members
        .iter()
        .all(|(name, value)| match (name.as_str(), value) {
            ("id", Node::Text(id)) => known.contains(&id.as_str()),
            ("value", Node::Other) => true,
            ("value", Node::Text(value)) => ["true", "false"]
                .iter()
                .any(|word| value.eq_ignore_ascii_case(word)),
            _ => false,
        })
}

impl Writing<'_> {
    /// What lies below a member.
    fn below(
        &self,
        treat: Treat,
        parent: &Node,
        name: &str,
        value: &Node,
        plan: &mut Plan,
    ) -> Result<(), Refusal> {
        match (treat, value) {
            (Object(shape), _) => shape.object(value, self, plan),
            (Body, _) => self.body(None, value, plan),
            (TeamsBody, _) => self.body(Some(&Mentions::of(parent)), value, plan),
            (_, Node::Null) => Ok(()),
            (List(_) | People, Node::Array(elements)) => {
                let shape = match treat {
                    List(shape) => shape,
                    _ => &PERSON,
                };
                elements
                    .iter()
                    .try_for_each(|element| shape.object(element, self, plan))
            }
            (Words, Node::Array(words)) if words.iter().all(is_word) => Ok(()),
            (Named(shape), Node::Object(members)) => {
                members.iter().try_for_each(|(name, value)| {
                    identifier(name, plan)?;
                    shape.object(value, self, plan)
                })
            }
            (Flags, Node::Object(members)) => members.iter().try_for_each(|(name, value)| {
                identifier(name, plan)?;
                is_word(value).then_some(()).ok_or_else(|| unnamed(name))
            }),
            (Switches(known), Node::Array(list))
                if list.iter().all(|one| is_switch(known, one)) =>
            {
                Ok(())
            }
            (List(_) | People | Words | Named(_) | Flags | Switches(_), _) => Err(unnamed(name)),
            _ if is_word(value) => Ok(()),
            _ => Err(unnamed(name)),
        }
    }

    fn value(
        &self,
        treat: Treat,
        parent: &Node,
        name: &str,
        value: &Node,
    ) -> Result<Option<String>, Refusal> {
        let text = match (treat.seals(), value) {
            (false, _) | (true, Node::Null) => return Ok(None),
            (true, Node::Number(_)) if matches!(treat, Size) => {
                let size = attachment::sealed_size(parent).filter(|_| !self.clear);
                return Ok(size.map(|size| size.to_string()));
            }
            (true, Node::Text(text)) if !matches!(treat, Size | Preview) => text,
            _ => return Err(unnamed(name)),
        };
        if self.clear {
            return Ok(None);
        }
        let sealed = match treat {
            Subject(..) if !self.subjects => return Ok(None),
            Line(field, max) | Subject(field, max) => self.sealing.line(field, text, max)?,
            Whole(field) => self.sealing.line(field, text, usize::MAX)?,
            Comment => self.sealing.body(Form::Text, text, None)?,
            Bytes | Picture => {
                let file = attachment::decoded(text)?;
                attachment::encoded(&(self.seal_file)(file, treat)?)
            }
            _ => return Err(unnamed(name)),
        };
        Ok(Some(quoted(&sealed)))
    }

    fn body(
        &self,
        teams: Option<&Mentions<'_>>,
        node: &Node,
        plan: &mut Plan,
    ) -> Result<(), Refusal> {
        let members = match node {
            Node::Object(members) => members,
            Node::Null => return Ok(()),
            _ => return Err(unnamed("body")),
        };
        let form = match node.member("contentType") {
            None | Some(Node::Null) => Form::Text,
            Some(kind) => kind
                .text()
                .and_then(Form::named)
                .ok_or_else(|| Refusal::new(&PROTOCOL).message("A body is `text` or `html`."))?,
        };
        for (name, value) in members {
            match (name.as_str(), value) {
                ("contentType", _) => {}
                ("@odata.type", value) if is_word(value) => {}
                ("content", Node::Text(_)) if self.clear => plan.add(None),
                ("content", Node::Text(text)) => {
                    plan.add(Some(quoted(&self.sealing.body(form, text, teams)?)));
                }
                ("content", Node::Null) => plan.add(None),
                _ => return Err(unnamed(name)),
            }
        }
        Ok(())
    }
}

/// # Errors
/// The name could be a text.
fn identifier(name: &str, plan: &Plan) -> Result<(), Refusal> {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'@' | b'.');
    match name.len() <= 64 && name.bytes().all(plain) && !plan.covers(name) {
        true => Ok(()),
        false => Err(unnamed(name)),
    }
}

fn unnamed(name: &str) -> Refusal {
    let shown: String = name.chars().take(64).collect();
    Refusal::new(&RULE_VIOLATED).message(format!(
        "The member `{shown}` is not served here: what it holds would not be sealed."
    ))
}

pub(super) fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    out.push(b'"');
    crate::seal::scan::Encoding::Json.write(text, &mut out);
    out.push(b'"');
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::graph::messages::table::Document;

    /// Every member of a shape and of those below it.
    fn members(shape: &'static Shape, found: &mut Vec<(&'static str, Treat)>) {
        for (name, treat) in shape.0 {
            found.push((name, *treat));
            match treat {
                Object(inner) | List(inner) | Named(inner) => members(inner, found),
                _ => {}
            }
        }
    }

    #[test]
    fn what_is_sealed_is_rewritten() {
        let mut found = Vec::new();
        for document in Document::ALL {
            members(document.shape(), &mut found);
        }
        members(&ADDED, &mut found);
        for (name, treat) in found {
            assert!(!treat.seals() || REWRITTEN.contains(&name), "{name}");
        }
    }
}
