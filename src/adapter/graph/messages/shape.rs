//! Which members of a document are sealed, which pass in clear, and what is refused: whatever is not named here.

use super::attachment;
use super::pieces::{Form, Sealing};
use super::tree::{Node, Plan};
use crate::error::{PROTOCOL, RULE_VIOLATED, Refusal};

/// What becomes of a member.
#[derive(Debug, Clone, Copy)]
pub(super) enum Treat {
    /// Passes with all that it holds.
    Clear,
    /// Passes; holds addresses of people.
    People,
    /// A text of one line, with the name of its field and the characters that the service keeps of it.
    Line(&'static str, usize),
    /// Words before an answer: the service makes them a part of its body.
    Comment,
    /// As [`Self::Line`], where the settings seal such lines.
    Subject(&'static str, usize),
    /// `contentType` and `content`.
    Body,
    /// As [`Self::Body`], with what Teams must read in clear.
    TeamsBody,
    /// A file in base64.
    Bytes,
    /// A length of the file beside it.
    Size,
    Object(&'static Shape),
    List(&'static Shape),
}
use Treat::{Body, Bytes, Comment, Line, List, Object, People, Size, Subject, TeamsBody};

#[derive(Debug)]
pub(super) struct Shape(pub &'static [(&'static str, Treat)]);

/// Members that are rewritten wherever they stand in a document that a client sends.
const WRITTEN: &[&str] = &[
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
];

const C: Treat = Treat::Clear;
/// The field of a subject.
pub(super) const TITLE: &str = "message.subject";
/// Exchange keeps so much of a subject, less the `RE: ` of answers to it.
pub(super) const SUBJECT: usize = 247;
/// The field of an attached file's name.
pub(super) const ATTACHED: &str = "message.attachment";
/// Of its characters.
pub(super) const FILE_NAME: usize = 255;

#[rustfmt::skip]
pub(super) const MAIL: Shape = Shape(&[
    ("subject", Subject(TITLE, SUBJECT)), ("body", Body), ("attachments", List(&ATTACHMENT)),
    ("toRecipients", People), ("ccRecipients", People), ("bccRecipients", People), ("replyTo", People),
    ("from", C), ("sender", C), ("importance", C), ("isRead", C), ("isReadReceiptRequested", C),
    ("isDeliveryReceiptRequested", C), ("inferenceClassification", C), ("categories", C), ("flag", C), ("id", C),
    ("@odata.type", C), ("@odata.etag", C), ("hasAttachments", C), ("isDraft", C), ("sentDateTime", C),
    ("receivedDateTime", C), ("createdDateTime", C), ("lastModifiedDateTime", C), ("conversationId", C),
    ("changeKey", C), ("parentFolderId", C),
]);
#[rustfmt::skip]
pub(super) const ATTACHMENT: Shape = Shape(&[
    ("@odata.type", C), ("name", Subject(ATTACHED, FILE_NAME)), ("contentType", C), ("contentBytes", Bytes),
    ("size", Size), ("isInline", C), ("contentId", C), ("id", C), ("lastModifiedDateTime", C),
]);
// Parameters of actions, in both of the cases in which clients write them.
#[rustfmt::skip]
pub(super) const SEND_MAIL: Shape = Shape(&[
    ("message", Object(&MAIL)), ("saveToSentItems", C), ("Message", Object(&MAIL)), ("SaveToSentItems", C),
]);
#[rustfmt::skip]
pub(super) const ANSWER: Shape = Shape(&[
    ("message", Object(&MAIL)), ("comment", Comment), ("toRecipients", People),
    ("Message", Object(&MAIL)), ("Comment", Comment), ("ToRecipients", People),
]);
pub(super) const MOVE: Shape = Shape(&[("destinationId", C), ("DestinationId", C)]);
pub(super) const FOLDER: Shape = Shape(&[
    ("displayName", C),
    ("isHidden", C),
    ("id", C),
    ("@odata.type", C),
]);
#[rustfmt::skip]
pub(super) const EVENT: Shape = Shape(&[
    ("subject", Subject(TITLE, SUBJECT)), ("body", Body), ("attachments", List(&ATTACHMENT)),
    ("attendees", People), ("start", C), ("end", C), ("isAllDay", C), ("location", Object(&LOCATION)),
    ("locations", List(&LOCATION)), ("recurrence", C), ("reminderMinutesBeforeStart", C), ("isReminderOn", C),
    ("showAs", C), ("sensitivity", C), ("importance", C), ("categories", C), ("isOnlineMeeting", C),
    ("onlineMeetingProvider", C), ("allowNewTimeProposals", C), ("responseRequested", C), ("hideAttendees", C),
    ("transactionId", C), ("id", C), ("@odata.type", C), ("@odata.etag", C),
]);
#[rustfmt::skip]
pub(super) const LOCATION: Shape = Shape(&[
    ("displayName", Subject("message.location", 255)), ("locationType", C), ("uniqueId", C), ("uniqueIdType", C),
]);
#[rustfmt::skip]
pub(super) const CONTACT: Shape = Shape(&[
    ("personalNotes", Line("message.notes", usize::MAX)), ("givenName", C), ("surname", C), ("displayName", C),
    ("middleName", C), ("nickName", C), ("initials", C), ("title", C), ("generation", C), ("emailAddresses", C),
    ("businessPhones", C), ("homePhones", C), ("mobilePhone", C), ("imAddresses", C), ("jobTitle", C),
    ("companyName", C), ("department", C), ("officeLocation", C), ("profession", C), ("assistantName", C),
    ("manager", C), ("businessAddress", C), ("homeAddress", C), ("otherAddress", C), ("businessHomePage", C),
    ("birthday", C), ("categories", C), ("fileAs", C), ("id", C), ("@odata.type", C),
]);
#[rustfmt::skip]
pub(super) const TASK: Shape = Shape(&[
    ("title", Subject("message.subject", 255)), ("body", Body), ("status", C), ("importance", C), ("isReminderOn", C),
    ("dueDateTime", C), ("startDateTime", C), ("completedDateTime", C), ("reminderDateTime", C), ("recurrence", C),
    ("categories", C), ("hasAttachments", C), ("id", C), ("@odata.type", C), ("@odata.etag", C),
]);
#[rustfmt::skip]
pub(super) const CHECKLIST: Shape = Shape(&[
    ("displayName", Subject("message.subject", 255)), ("isChecked", C), ("checkedDateTime", C), ("id", C),
]);
#[rustfmt::skip]
pub(super) const PLAN_TASK: Shape = Shape(&[
    ("title", Subject("message.subject", 255)), ("planId", C), ("bucketId", C), ("assignments", C), ("orderHint", C),
    ("percentComplete", C), ("priority", C), ("startDateTime", C), ("dueDateTime", C), ("appliedCategories", C),
    ("assigneePriority", C), ("conversationThreadId", C), ("previewType", C), ("id", C), ("@odata.type", C),
    ("@odata.etag", C),
]);
#[rustfmt::skip]
pub(super) const PLAN_DETAILS: Shape = Shape(&[
    ("description", Line("message.description", usize::MAX)), ("previewType", C), ("@odata.type", C), ("@odata.etag", C),
]);
#[rustfmt::skip]
pub(super) const CHAT_MESSAGE: Shape = Shape(&[
    ("subject", Line("message.subject", usize::MAX)), ("summary", Line("message.summary", usize::MAX)),
    ("body", TeamsBody), ("attachments", List(&CHAT_ATTACHMENT)), ("mentions", C),
    ("hostedContents", List(&HOSTED)), ("importance", C), ("messageType", C), ("locale", C), ("replyToId", C),
    ("id", C), ("etag", C), ("@odata.type", C),
]);
#[rustfmt::skip]
pub(super) const CHAT_ATTACHMENT: Shape = Shape(&[
    ("id", C), ("contentType", C), ("contentUrl", C), ("content", Line("message.card", usize::MAX)),
    ("name", Line("message.attachment", usize::MAX)), ("@odata.type", C),
]);
#[rustfmt::skip]
pub(super) const HOSTED: Shape = Shape(&[
    ("@microsoft.graph.temporaryId", C), ("contentBytes", Bytes), ("contentType", C), ("@odata.type", C),
]);
#[rustfmt::skip]
pub(super) const CHAT: Shape = Shape(&[
    ("chatType", C), ("members", C), ("topic", Line("message.topic", 250)), ("@odata.type", C), ("id", C),
]);
pub(super) const REACTION: Shape = Shape(&[("reactionType", C)]);
/// For actions whose document is empty.
pub(super) const NOTHING: Shape = Shape(&[]);

/// What a document is to become.
pub(super) struct Writing<'a> {
    pub sealing: &'a Sealing<'a>,
    /// Whether lines such as subjects are sealed.
    pub subjects: bool,
    /// Whether all of it stays as it is: somebody outside reads it, and the policy lets it go so.
    pub clear: bool,
    pub seal_file: &'a (dyn Fn(Vec<u8>) -> Result<Vec<u8>, Refusal> + Sync),
}

/// The people that a document names.
pub(super) fn people<'n>(shape: &Shape, node: &'n Node, found: &mut Vec<&'n str>) {
    let Node::Object(members) = node else {
        return;
    };
    for (name, value) in members {
        match shape.treat(name) {
            Some(People) => addresses(value, found),
            Some(Object(inner)) => people(inner, value, found),
            _ => {}
        }
    }
}

/// Each `address` in what names people.
pub(super) fn addresses<'n>(node: &'n Node, found: &mut Vec<&'n str>) {
    match node {
        Node::Array(elements) => elements.iter().for_each(|node| addresses(node, found)),
        Node::Object(members) => {
            for (name, value) in members {
                match value {
                    Node::Text(address) if name.eq_ignore_ascii_case("address") => {
                        found.push(address)
                    }
                    _ => addresses(value, found),
                }
            }
        }
        _ => {}
    }
}

impl Shape {
    fn treat(&self, name: &str) -> Option<Treat> {
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
        let mut plan = Plan::new(WRITTEN);
        self.object(node, writing, &mut plan)?;
        plan.apply(document)
    }

    fn object(&self, node: &Node, writing: &Writing<'_>, plan: &mut Plan) -> Result<(), Refusal> {
        let members = match node {
            Node::Object(members) => members,
            Node::Null => return Ok(()),
            _ => {
                return Err(Refusal::new(&PROTOCOL)
                    .message("An object stands where none belongs, or lacks."));
            }
        };
        for (name, value) in members {
            let treat = self.treat(name).ok_or_else(|| unnamed(name))?;
            if plan.covers(name) {
                plan.add(writing.value(treat, node, name, value)?);
            }
            match treat {
                Object(shape) => shape.object(value, writing, plan)?,
                List(shape) => {
                    let elements = match value {
                        Node::Array(elements) => elements,
                        Node::Null => continue,
                        _ => return Err(unnamed(name)),
                    };
                    for element in elements {
                        shape.object(element, writing, plan)?;
                    }
                }
                Body | TeamsBody => writing.body(matches!(treat, TeamsBody), value, plan)?,
                Treat::Clear | People => keep(value, plan),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Leaves everything below as it is.
fn keep(node: &Node, plan: &mut Plan) {
    match node {
        Node::Object(members) => {
            for (name, value) in members {
                if plan.covers(name) {
                    plan.add(None);
                }
                keep(value, plan);
            }
        }
        Node::Array(elements) => elements.iter().for_each(|node| keep(node, plan)),
        _ => {}
    }
}

impl Writing<'_> {
    fn value(
        &self,
        treat: Treat,
        parent: &Node,
        name: &str,
        value: &Node,
    ) -> Result<Option<String>, Refusal> {
        if self.clear {
            return Ok(None);
        }
        let (field, max) = match treat {
            Line(field, max) => (field, max),
            Subject(field, max) if self.subjects => (field, max),
            Bytes => return self.bytes(name, value),
            Comment => {
                return match value {
                    Node::Text(text) => {
                        let sealed = self.sealing.body(Form::Text, text, false)?;
                        Ok(Some(quoted(&sealed)))
                    }
                    Node::Null => Ok(None),
                    _ => Err(unnamed(name)),
                };
            }
            Size => return Ok(attachment::sealed_size(parent).map(|size| size.to_string())),
            _ => return Ok(None),
        };
        match value {
            Node::Text(text) => Ok(Some(quoted(&self.sealing.line(field, text, max)?))),
            Node::Null => Ok(None),
            _ => Err(unnamed(name)),
        }
    }

    fn bytes(&self, name: &str, value: &Node) -> Result<Option<String>, Refusal> {
        match value {
            Node::Text(text) => {
                let file = attachment::decoded(text)?;
                let sealed = (self.seal_file)(file)?;
                Ok(Some(quoted(&attachment::encoded(&sealed))))
            }
            Node::Null => Ok(None),
            _ => Err(unnamed(name)),
        }
    }

    fn body(&self, teams: bool, node: &Node, plan: &mut Plan) -> Result<(), Refusal> {
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
                ("contentType" | "@odata.type", _) => {}
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
