//! What an operator decides for an HTTP service, parsed.

use std::sync::Arc;

use http::{HeaderName, Method};

use super::template::{self, Template};
use crate::adapter::json::path::Named;
use crate::adapter::json::{Marks, Path, Paths};
use crate::seal::Context;
use crate::seal::scan::{Language, Opens};
use crate::seal::token::{Field, Normal};

#[derive(Debug)]
pub struct Settings {
    /// The service's name in the log.
    pub name: String,
    /// Tenant, service and namespace, bound in every key.
    pub context: Context,
    pub upstream: UpstreamSettings,
    /// Under which clients know the service, without port.
    pub hosts: Vec<String>,
    /// Of markers and error pages.
    pub language: Language,
    /// Whom people are to ask, on error pages.
    pub contact: Option<String>,
    /// Of error documents, beside the usual members: where the service's clients look for what to show.
    pub error_members: Vec<ErrorMember>,
    /// Request header fields that pass beside the usual ones.
    pub headers: Vec<HeaderName>,
    /// Origins of pages that may read answers, beside the gateway's own; `*`: any.
    pub origins: Vec<String>,
    /// Bytes of a JSON or form body, which is read whole before any of it is sent.
    pub max_document: usize,
    /// The first that fits counts; among those of one method and path, the first that takes the body's type.
    pub rules: Vec<Rule>,
}

/// A text member of error documents.
#[derive(Debug)]
pub struct ErrorMember {
    pub name: String,
    /// `{code}` and `{message}` stand for the refusal's.
    pub value: String,
}

impl ErrorMember {
    /// Members that every error document has (RFC 9457, section 3.1, and the gateway's own).
    pub const TAKEN: [&str; 7] = [
        "type", "title", "status", "detail", "code", "instance", "contact",
    ];
}

#[derive(Debug)]
pub struct UpstreamSettings {
    /// `host` or `host:port`, as the `Host` header has it.
    pub authority: String,
    pub tls: bool,
}

/// One kind of request, and what becomes of it and of its answer.
#[derive(Debug)]
pub struct Rule {
    pub name: String,
    pub methods: Vec<Method>,
    pub path: Template,
    pub request: RequestBody,
    /// Whether the body may come compressed.
    pub decompress: bool,
    /// Query parameters that pass as they are; `*` lets every one pass.
    pub query: Vec<String>,
    /// Query parameters that are sealed or turned into an index.
    pub sealed_query: Vec<Sealed<String>>,
    pub sealed_headers: Vec<Sealed<HeaderName>>,
    pub answer: Answer,
    /// For answers in JSON, and errors in it whatever `answer` is.
    pub opening: Arc<Opening>,
    /// Of answers in JSON that are read whole: what must lead to the gateway.
    pub addresses: Option<Paths>,
}

/// What the gateway changes in JSON of the provider's; by default nothing.
#[derive(Debug, Default)]
pub struct Opening {
    /// Its texts are strings in which tokens open, its numbers sealed lengths.
    pub marks: Arc<Marks>,
    /// What opens, by the path of the text.
    pub opens: Vec<Opens>,
}

impl Opening {
    /// What opens in data that is no JSON: nothing, unless it does in everything.
    pub fn whole(&self) -> Opens {
        let texts = &self.marks.texts;
        let path = match texts.named(texts.root()) {
            Some(Named::Picked(path)) if self.marks.deep => self.opens.get(path),
            _ => None,
        };
        path.cloned().unwrap_or(Opens::Nothing)
    }
}

/// Something that is sealed, and where it stands.
#[derive(Debug)]
pub struct Sealed<P> {
    pub place: P,
    pub sealing: Sealing,
}

/// How one value is sealed.
#[derive(Debug)]
pub struct Sealing {
    /// Bound in the token.
    pub field: Field,
    /// What messages call it.
    pub label: String,
    /// Characters that the provider's field holds.
    pub max: Option<usize>,
    pub form: Form,
}

impl Sealing {
    /// The member or field of the gateway's that goes beside the value.
    pub fn beside(&self) -> Option<&str> {
        match &self.form {
            Form::Indexed { beside, .. } => Some(beside),
            Form::Token | Form::Index { .. } => None,
        }
    }
}

#[derive(Debug)]
pub enum Form {
    Token,
    /// A token, and beside it a member or field of that name with the index.
    Indexed {
        beside: String,
        normal: Normal,
    },
    /// The index alone: the value of a filter.
    Index {
        normal: Normal,
        filter: Option<Filter>,
    },
}

/// A filter in the provider's own language, with one value in it: `(title='{}')`.
#[derive(Debug, PartialEq, Eq)]
pub struct Filter {
    /// Before and behind the value, as clients write it: forms that mean the same.
    pub taken: Vec<(String, String)>,
    /// The same with the index, as the provider gets it.
    pub sent: (String, String),
}

/// What the request's body holds.
#[derive(Debug)]
pub enum RequestBody {
    Nothing,
    /// Passes as it is; for rules that relay.
    Relayed,
    Json {
        fields: Vec<Sealed<Path>>,
        /// Of `fields` in their order, then of the members that the gateway writes itself; and of what passes in clear.
        paths: Paths,
    },
    Form {
        fields: Vec<Sealed<String>>,
        clear: Vec<String>,
    },
    Multipart {
        fields: Vec<Sealed<String>>,
        clear: Vec<String>,
        files: Vec<FilePart>,
    },
    /// Bytes that are sealed as an object.
    Object {
        keep_type: bool,
    },
}

impl RequestBody {
    /// Whether the provider gets the names of files in clear.
    pub fn keeps_names(&self) -> bool {
        matches!(self, Self::Multipart { files, .. } if files.iter().any(|file| file.keep_name))
    }

    /// The media type that the body must have; `None`: any.
    pub fn media(&self) -> Option<&'static str> {
        match self {
            Self::Json { .. } => Some("application/json"),
            Self::Form { .. } => Some("application/x-www-form-urlencoded"),
            Self::Multipart { .. } => Some("multipart/form-data"),
            Self::Nothing | Self::Relayed | Self::Object { .. } => None,
        }
    }
}

/// A part of a form that is sealed as an object.
#[derive(Debug)]
pub struct FilePart {
    pub name: String,
    /// Whether the provider gets the file's name and type; else it gets neutral ones.
    pub keep_name: bool,
}

/// What the answer's body may hold.
#[derive(Debug)]
pub enum Answer {
    /// Passes as it is; for rules that relay.
    Relayed,
    Text {
        /// Whether each may be answered.
        json: bool,
        html: bool,
        text: bool,
        events: bool,
    },
    /// A sealed object, whole or in ranges.
    Object,
    /// Whatever stands there does not reach the client.
    Nothing,
    /// A WebSocket follows.
    Socket(Socket),
}

/// What a WebSocket may carry.
#[derive(Debug)]
pub struct Socket {
    /// Subprotocols that may be offered to the provider.
    pub protocols: Vec<String>,
    /// Whether binary messages of the provider reach the client. Of the client none ever leaves.
    pub binary: bool,
    /// Messages that the client may send: the first whose condition holds decides.
    pub shapes: Vec<Shape>,
}

/// A kind of JSON message.
#[derive(Debug)]
pub struct Shape {
    pub name: String,
    /// `None`: any message.
    pub condition: Option<Condition>,
    pub fields: Vec<Sealed<Path>>,
    /// Of `fields` in their order, and of what passes in clear.
    pub paths: Paths,
}

/// What a message must say at one place.
#[derive(Debug)]
pub struct Condition {
    /// Picks one place; the rest may be anything.
    pub place: Paths,
    pub values: Vec<String>,
}

impl Rule {
    /// Whether request and answer pass as they are.
    pub fn relays(&self) -> bool {
        matches!(self.answer, Answer::Relayed)
    }

    pub fn relays_bodies(&self) -> bool {
        matches!(self.request, RequestBody::Relayed)
    }

    /// What the WebSocket that the rule opens may carry.
    pub fn socket(&self) -> Option<&Socket> {
        match &self.answer {
            Answer::Socket(socket) => Some(socket),
            _ => None,
        }
    }

    /// A rule that relays bodies takes no path that may be another's: its bodies are sealed by nobody.
    pub fn fits(&self, method: &Method, path: &str) -> bool {
        let fits = self.methods.contains(method) && self.path.matches(path);
        fits && !(self.relays_bodies() && template::hides_separator(path))
    }

    /// Whether the body's type, as `Content-Type` has it, is the rule's.
    pub fn takes(&self, kind: &str) -> bool {
        let media = kind.split(';').next().unwrap_or_default().trim();
        let own = self.request.media();
        own.is_none_or(|own| own.eq_ignore_ascii_case(media))
    }
}
