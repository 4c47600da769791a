//! A message in MIME as it goes up: written anew of the fields that are named here and of parts whose contents are sealed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_parser::Addr;

use super::fields::{Field, Kind, write};
use super::structure::Entity;
use super::{Outgoing, encode};
use crate::adapter::graph::messages::shape::{ATTACHED, FILE_NAME, SUBJECT, TITLE, Treat, Writing};
use crate::error::{PROTOCOL, RULE_VIOLATED, Refusal};

/// Fields that hold addresses, as they are written, and whether those are readers.
const PEOPLE: [(&str, bool); 8] = [
    ("From", false),
    ("Sender", false),
    ("Reply-To", true),
    ("To", true),
    ("Cc", true),
    ("Bcc", true),
    ("Disposition-Notification-To", false),
    ("Return-Receipt-To", false),
];
/// Fields that hold identifiers of messages.
const IDS: [&str; 3] = ["Message-ID", "In-Reply-To", "References"];
/// Fields that hold words of the protocol.
const WORDS: [&str; 7] = [
    "Importance",
    "Priority",
    "X-Priority",
    "Sensitivity",
    "Auto-Submitted",
    "Content-Language",
    "Thread-Index",
];
/// Parameters of texts that say how their lines are to be read (RFC 3676), and their values.
const FLOWED: [(&str, &[&str]); 2] = [("format", &["fixed", "flowed"]), ("delsp", &["yes", "no"])];
/// Parts that may hold others.
const MULTIPARTS: [&str; 4] = [
    "multipart/mixed",
    "multipart/alternative",
    "multipart/related",
    "multipart/encrypted",
];
const FILE: &str = "application/octet-stream";
/// Types that the service reads and writes itself, with names for files of these types that have none.
const READ: [(&str, &str); 4] = [
    ("message/", "message.eml"),
    ("application/ms-tnef", "winmail.dat"),
    ("text/calendar", "calendar.ics"),
    ("text/x-vcalendar", "calendar.vcs"),
];

fn refused(why: &str) -> Refusal {
    Refusal::new(&RULE_VIOLATED).message(why.to_owned())
}

impl Outgoing {
    /// Whoever the message names as a reader.
    pub fn people(&self) -> Vec<String> {
        let mut found = Vec::new();
        for field in &self.entity.head.fields {
            if PEOPLE.iter().any(|(name, reads)| *reads && is(field, name)) {
                let named = field.addresses(&self.message).into_iter();
                // what has no address is nobody inside
                found.extend(named.map(|one| one.address.or(one.name).unwrap_or_default().into()));
            }
        }
        found
    }

    /// The message sealed, as the body of a request.
    ///
    /// # Errors
    /// It holds what can't be sealed so that the service and its readers still find their way.
    pub fn seal(&self, writing: &Writing<'_>) -> Result<Vec<u8>, Refusal> {
        let mut out = Vec::with_capacity(self.message.len() + self.message.len() / 2);
        for field in &self.entity.head.fields {
            self.field(field, writing, &mut out)?;
        }
        write::raw(&mut out, "MIME-Version", "1.0");
        self.entity(&self.entity, writing, &mut out)?;
        Ok(STANDARD.encode(out).into_bytes())
    }

    /// A field of the message's own header. One that is not named is left out.
    fn field(
        &self,
        field: &Field,
        writing: &Writing<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        if is(field, "Subject") {
            let text = field.text(&self.message);
            match writing.subjects {
                true => write::raw(
                    out,
                    "Subject",
                    &writing.sealing.line(TITLE, &text, SUBJECT)?,
                ),
                false => write::text(out, "Subject", &text),
            }
        } else if is(field, "Date") {
            if let Some(date) = field.date(&self.message) {
                write::raw(out, "Date", &date);
            }
        } else if let Some((name, _)) = PEOPLE.iter().find(|(name, _)| is(field, name)) {
            let list = field.addresses(&self.message);
            if !list.iter().all(is_plain) {
                return Err(Refusal::new(&PROTOCOL).message(format!(
                    "An address in `{name}` can't be read in one way only."
                )));
            }
            if !list.is_empty() {
                write::addresses(out, name, &list);
            }
        } else if let Some(name) = IDS.iter().find(|name| is(field, name)) {
            let ids: Vec<String> = field.ids(&self.message);
            let ids: Vec<String> = ids.iter().filter(|id| is_id(id)).map(bracketed).collect();
            if !ids.is_empty() {
                write::raw(out, name, &ids.join("\r\n "));
            }
        } else if let Some(name) = WORDS.iter().find(|name| is(field, name)) {
            let value = field.raw(&self.message);
            let plain = |b: u8| b.is_ascii_alphanumeric() || b" ()+/=-,;.".contains(&b);
            if value.len() <= 200 && value.bytes().all(plain) {
                write::raw(out, name, &value);
            }
        }
        Ok(())
    }

    /// What of a part describes its content, and the content.
    fn entity(
        &self,
        entity: &Entity,
        writing: &Writing<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        if entity.is_multipart() {
            return self.multipart(entity, writing, out);
        }
        match entity.form() {
            Some(form) => {
                let text = entity.text(&self.message).ok_or_else(|| {
                    Refusal::new(&PROTOCOL)
                        .message("A text of the message is malformed, or of a character set that is not known. Send it in UTF-8.")
                })?;
                let sealed = writing.sealing.body(form, &text, None)?;
                let mut kind = Kind::named(&entity.kind.name).with("charset", "utf-8");
                for (name, values) in FLOWED {
                    let value = entity.kind.param(name).map(str::to_ascii_lowercase);
                    if let Some(value) = value.filter(|value| values.contains(&value.as_str())) {
                        kind = kind.with(name, value);
                    }
                }
                write::kind(out, "Content-Type", &kind);
                self.content(entity, None, sealed.as_bytes(), out)
            }
            None => self.file(entity, writing, out),
        }
    }

    fn multipart(
        &self,
        entity: &Entity,
        writing: &Writing<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let name = entity.kind.name.as_str();
        if name == "multipart/signed" {
            return Err(refused(
                "A signed message would go in clear, and its signature breaks when it is sealed: send it unsigned, or encrypted.",
            ));
        }
        if !MULTIPARTS.contains(&name) {
            return Err(refused("A multipart of this type is not served here."));
        }
        let salt = (writing.sealing.salt)()?;
        let boundary = format!("={}", hex::encode(&salt.0[..16]));
        let mut kind = Kind::named(name).with("boundary", boundary.as_str());
        for param in ["type", "protocol"] {
            if let Some(value) = entity.kind.param(param).filter(|value| is_type(value)) {
                kind = kind.with(param, value);
            }
        }
        write::kind(out, "Content-Type", &kind);
        out.extend_from_slice(b"\r\n");
        for part in &entity.parts {
            out.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
            self.entity(part, writing, out)?;
        }
        out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        Ok(())
    }

    fn file(
        &self,
        entity: &Entity,
        writing: &Writing<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let bytes = entity.content(&self.message).ok_or_else(|| {
            Refusal::new(&PROTOCOL)
                .message("A file in the message is not in the encoding that it says.")
        })?;
        let name = entity.kind.name.as_str();
        let read = READ.iter().find(|(read, _)| name.starts_with(read));
        if name.starts_with("text/") && read.is_some() && !entity.is_attachment() {
            return Err(refused(
                "An invitation in MIME is read by the service: make an event instead.",
            ));
        }
        let plain = read.is_none() && is_type(name);
        let mut kind = Kind::named(if plain { name } else { FILE });
        let named = entity.file_name().or(read.map(|(_, name)| *name));
        let shown = named
            .map(|name| match writing.subjects {
                true => writing.sealing.line(ATTACHED, name, FILE_NAME),
                false => Ok(name.to_owned()),
            })
            .transpose()?;
        let attached = entity.is_attachment() || entity.disposition.is_none();
        let mut disposition = Kind::named(if attached { "attachment" } else { "inline" });
        if let Some(shown) = shown {
            kind = kind.with("name", shown.as_str());
            disposition = disposition.with("filename", shown);
        }
        write::kind(out, "Content-Type", &kind);
        let sealed = (writing.seal_file)(bytes.into_owned(), Treat::Bytes)?;
        self.content(entity, Some(&disposition), &sealed, out)
    }

    /// What is alike of texts and files, once their type is written.
    fn content(
        &self,
        entity: &Entity,
        disposition: Option<&Kind>,
        sealed: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        if let Some(disposition) = disposition {
            write::kind(out, "Content-Disposition", disposition);
        }
        let ids = entity
            .head
            .fields
            .iter()
            .find(|field| is(field, "Content-ID"));
        let id = ids.and_then(|field| field.ids(&self.message).into_iter().next());
        if let Some(id) = id.filter(|id| is_id(id)) {
            write::raw(out, "Content-ID", &bracketed(&id));
        }
        write::raw(out, "Content-Transfer-Encoding", "base64");
        out.extend_from_slice(b"\r\n");
        encode(sealed, out);
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

fn is(field: &Field, name: &str) -> bool {
    field.name.eq_ignore_ascii_case(name)
}

/// Whether the address, written anew, is the one that was read.
fn is_plain(one: &Addr<'_>) -> bool {
    let address = one.address.as_deref().unwrap_or_default();
    let plain = |b: u8| b.is_ascii_graphic() && !b"<>()[]\\,;:\"@".contains(&b);
    let host = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
    address.split_once('@').is_some_and(|(local, domain)| {
        let lengths = (1..=64).contains(&local.len()) && (1..=255).contains(&domain.len());
        lengths && local.bytes().all(plain) && domain.bytes().all(host)
    })
}

fn is_id(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && !b"<>".contains(&b);
    (1..=250).contains(&id.len()) && id.bytes().all(plain)
}

fn bracketed(id: impl AsRef<str>) -> String {
    format!("<{}>", id.as_ref())
}

/// A media type.
fn is_type(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+/".contains(&b);
    name.len() <= 127 && name.bytes().all(plain)
}
