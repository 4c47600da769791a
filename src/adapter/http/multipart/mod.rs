//! Forms with files: fields become tokens, files become objects, as the form streams.

mod parse;

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body, Frame};

use self::parse::{Event, Malformed, Parser, PartHead};
use super::outgoing::{field, object, shown};
use super::settings::{FilePart, RequestBody, Rule, Settings};
use super::urlencoded::Treated;
use super::values::Sealer;
use crate::body::{Fault, FaultSlot, Piece, Pieces, Plain};
use crate::error::{
    BODY_INCOMPLETE, ENCODING_UNKNOWN, INTERNAL, PROTOCOL, RULE_VIOLATED, Refusal, TOO_LARGE,
};

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Refusal::new(&PROTOCOL).message(format!("The form is malformed: {}.", malformed.0))
    }
}

/// The boundary that a `Content-Type` names.
///
/// # Errors
/// Another type, or no boundary.
fn boundary(kind: Option<&HeaderValue>) -> Result<String, Refusal> {
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (media, rest) = kind.split_once(';').unwrap_or_default();
    let found = rest.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("boundary")).then(|| value.to_owned())
    });
    found
        .filter(|_| media.trim().eq_ignore_ascii_case("multipart/form-data"))
        .ok_or_else(|| {
            Refusal::new(&ENCODING_UNKNOWN)
                .message("The service's rule takes multipart/form-data here.")
        })
}

/// The form as it arrives. Whoever reads heads and whoever seals a file read from it in turn.
struct Arriving {
    source: Plain,
    parser: Parser,
    faults: FaultSlot,
}

impl Arriving {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Fault>> {
        let mut complete = false;
        loop {
            match self.parser.next() {
                Err(malformed) => return Poll::Ready(Err(self.faults.refuse(malformed.into()))),
                Ok(Event::More) => {}
                // what follows the end is judged before the form counts as whole
                Ok(Event::End) => complete = true,
                Ok(event) => return Poll::Ready(Ok(event)),
            }
            match ready!(self.source.poll_chunk(cx)) {
                Some(Ok(chunk)) => self.parser.push(&chunk),
                Some(Err(fault)) => return Poll::Ready(Err(fault)),
                None if complete => return Poll::Ready(Ok(Event::End)),
                None => {
                    let refusal = Refusal::new(&BODY_INCOMPLETE);
                    return Poll::Ready(Err(self.faults.refuse(refusal)));
                }
            }
        }
    }
}

type Shared = Arc<Mutex<Arriving>>;

fn poll_event(arriving: &Shared, cx: &mut Context<'_>) -> Poll<Result<Event, Fault>> {
    let mut arriving = arriving.lock().unwrap_or_else(PoisonError::into_inner);
    arriving.poll_event(cx)
}

/// The content of one file of the form.
struct FileBody {
    arriving: Shared,
    ended: bool,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match ready!(poll_event(&self.arriving, cx)) {
            Ok(Event::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Ok(Event::PartEnd) => {
                self.ended = true;
                Poll::Ready(None)
            }
            Ok(Event::Head(_) | Event::End | Event::More) => {
                let fault = Fault::new(&INTERNAL, "a file's end was passed");
                Poll::Ready(Some(Err(fault)))
            }
            Err(fault) => Poll::Ready(Some(Err(fault))),
        }
    }
}

enum Stage {
    Heads,
    /// A field's value is gathered; or the nothing of a file that was not chosen.
    Value(PartHead, Vec<u8>),
    /// A file's content is to be sealed, or was.
    File,
    FileEnd,
    Ended,
}

/// The form as the provider gets it.
pub(super) struct Form {
    arriving: Shared,
    faults: FaultSlot,
    settings: Arc<Settings>,
    rule: usize,
    sealer: Sealer,
    /// Of the gateway's own making: ciphertext must not hold it, and clients choose theirs short.
    boundary: String,
    stage: Stage,
}

impl Form {
    /// # Errors
    /// The body is no form.
    pub fn new(
        plain: Plain,
        kind: Option<&HeaderValue>,
        settings: Arc<Settings>,
        rule: usize,
        sealer: Sealer,
    ) -> Result<Self, Refusal> {
        let faults = plain.faults();
        let arriving = Arriving {
            parser: Parser::new(&boundary(kind)?)?,
            source: plain,
            faults: faults.clone(),
        };
        Ok(Self {
            arriving: Arc::new(Mutex::new(arriving)),
            faults,
            settings,
            rule,
            boundary: format!("sceau-{}", hex::encode(sealer.object_id()?.0)),
            sealer,
            stage: Stage::Heads,
        })
    }

    pub fn content_type(&self) -> Result<HeaderValue, Refusal> {
        HeaderValue::try_from(format!("multipart/form-data; boundary={}", self.boundary))
            .map_err(|error| Refusal::new(&INTERNAL).cause(error))
    }

    fn rule(&self) -> Result<&Rule, Refusal> {
        let rule = self.settings.rules.get(self.rule);
        rule.ok_or_else(|| Refusal::new(&INTERNAL))
    }

    fn file(&self, head: &PartHead) -> Result<Option<&FilePart>, Refusal> {
        let RequestBody::Multipart { files, .. } = &self.rule()?.request else {
            return Err(Refusal::new(&INTERNAL));
        };
        Ok(files.iter().find(|file| file.name == head.name))
    }

    /// What is written for a part's head, and what is read next.
    fn begin(&mut self, head: PartHead) -> Result<Option<Piece>, Refusal> {
        let keep_name = self.file(&head)?.map(|file| file.keep_name);
        match (keep_name, head.filename.as_deref()) {
            (Some(keep), Some(filename)) if !filename.is_empty() => {
                let (filename, kind) = match keep {
                    true => (filename, head.kind.as_deref()),
                    false => ("file.bin", None),
                };
                let kind = kind.unwrap_or("application/octet-stream");
                let text = self.head(&head.name, Some((filename, kind)));
                self.stage = Stage::File;
                Ok(Some(Piece::Document(text.into())))
            }
            (Some(_), None) => Err(violated(&head.name, "is a file and comes as a field")),
            (None, Some(_)) => Err(violated(&head.name, "is no file that the rule names")),
            (Some(_), Some(_)) | (None, None) => {
                self.stage = Stage::Value(head, Vec::new());
                Ok(None)
            }
        }
    }

    fn head(&self, name: &str, file: Option<(&str, &str)>) -> String {
        let mut text = format!(
            "--{}\r\nContent-Disposition: form-data; name=\"{}\"",
            self.boundary,
            escaped(name)
        );
        if let Some((filename, kind)) = file {
            text.push_str(&format!(
                "; filename=\"{}\"\r\nContent-Type: {kind}",
                escaped(filename)
            ));
        }
        text.push_str("\r\n\r\n");
        text
    }

    /// A whole field, as the provider gets it.
    fn field(&self, head: &PartHead, value: Vec<u8>) -> Result<Piece, Refusal> {
        if head.filename.is_some() {
            if !value.is_empty() {
                return Err(violated(&head.name, "is a file without a name"));
            }
            let nothing = Some(("", "application/octet-stream"));
            return Ok(Piece::Document(
                format!("{}\r\n", self.head(&head.name, nothing)).into(),
            ));
        }
        let value = String::from_utf8(value)
            .map_err(|_| Refusal::new(&PROTOCOL).message("A field of the form is not UTF-8."))?;
        let rule = self.rule()?;
        let RequestBody::Multipart { fields, clear, .. } = &rule.request else {
            return Err(Refusal::new(&INTERNAL));
        };
        let part = |name: &str, value: &str| format!("{}{value}\r\n", self.head(name, None));
        let text = match field(fields, clear, rule, &self.sealer, &head.name, &value)? {
            Treated::Dropped => String::new(),
            Treated::Kept => part(&head.name, &value),
            Treated::Replaced(sealed) => part(&head.name, &sealed),
            Treated::Extended(sealed, (beside, index)) => {
                part(&head.name, &sealed) + &part(&beside, &index)
            }
        };
        Ok(Piece::Document(text.into()))
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Piece>, Stopped>> {
        loop {
            match &mut self.stage {
                Stage::Ended => return Poll::Ready(Ok(None)),
                Stage::Heads => match ready!(poll_event(&self.arriving, cx))? {
                    Event::Head(head) => {
                        if let Some(piece) = self.begin(head)? {
                            return Poll::Ready(Ok(Some(piece)));
                        }
                    }
                    Event::Data(_) | Event::PartEnd | Event::More => {
                        return Poll::Ready(Err(Refusal::new(&INTERNAL).into()));
                    }
                    Event::End => {
                        self.stage = Stage::Ended;
                        let end = format!("--{}--\r\n", self.boundary);
                        return Poll::Ready(Ok(Some(Piece::Document(end.into()))));
                    }
                },
                Stage::Value(head, value) => match ready!(poll_event(&self.arriving, cx))? {
                    Event::Data(data) => {
                        if value.len() + data.len() > self.settings.max_document {
                            return Poll::Ready(Err(Refusal::new(&TOO_LARGE).into()));
                        }
                        value.extend_from_slice(&data);
                    }
                    _ => {
                        let (head, value) = (head.clone(), std::mem::take(value));
                        self.stage = Stage::Heads;
                        return Poll::Ready(Ok(Some(self.field(&head, value)?)));
                    }
                },
                Stage::FileEnd => {
                    self.stage = Stage::Heads;
                    let end = Bytes::from_static(b"\r\n");
                    return Poll::Ready(Ok(Some(Piece::Document(end))));
                }
                Stage::File => {
                    self.stage = Stage::FileEnd;
                    let content = Plain::new(Box::pin(FileBody {
                        arriving: self.arriving.clone(),
                        ended: false,
                    }));
                    let sealed = object(&self.sealer, content, None)?;
                    return Poll::Ready(Ok(Some(Piece::Sealed(Box::new(sealed)))));
                }
            }
        }
    }
}

/// Why the form is given up: a fault that was refused already, or a refusal of this module's.
enum Stopped {
    Fault(Fault),
    Refused(Refusal),
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Pieces for Form {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, Fault>>> {
        let step = ready!(self.step(cx));
        Poll::Ready(match step {
            Ok(piece) => piece.map(Ok),
            Err(Stopped::Fault(fault)) => Some(Err(fault)),
            Err(Stopped::Refused(refusal)) => Some(Err(self.faults.refuse(refusal))),
        })
    }
}

fn violated(name: &str, how: &str) -> Refusal {
    Refusal::new(&RULE_VIOLATED).message(format!("The part `{}` {how}.", shown(name)))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
