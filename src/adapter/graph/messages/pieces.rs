//! Texts of messages as tokens. A body may be longer than a token holds, and Teams must read elements in its middle, so a
//! body is sealed in pieces ([`crate::seal::piece`]).

use std::borrow::Cow;
use std::sync::Arc;

pub use crate::seal::piece::Form;

use super::markup::{self, Stretch};
use crate::error::{FIELD_TOO_LONG, INTERNAL, RULE_VIOLATED, Refusal};
use crate::seal::piece::{self, INCOMPLETE, Order, PIECE};
use crate::seal::scan::{Candidate, Language, candidates};
use crate::seal::token::{self, Field, MAX_PLAIN};
use crate::seal::{Context, EpochKeys, KeyLookup, OpenError, Salt};

/// A text may quote a token, whose text may quote another.
const NESTING: u8 = 4;

/// Seals the texts of one request.
pub struct Sealing<'a> {
    pub keys: &'a EpochKeys,
    pub context: &'a Context,
    /// Draws a salt; no two are alike.
    pub salt: &'a (dyn Fn() -> Result<Salt, Refusal> + Sync),
}

impl Sealing<'_> {
    /// A text of one line, for a field that holds `max` characters at the provider.
    pub fn line(&self, field: &str, text: &str, max: usize) -> Result<String, Refusal> {
        if text.is_empty() {
            return Ok(String::new());
        }
        let most = token::sealed_len(MAX_PLAIN);
        let room = token::plain_room(max.min(most)).unwrap_or(0);
        if text.len() > room {
            return Err(Refusal::new(&FIELD_TOO_LONG).message(format!(
                "`{field}` holds {} bytes; sealed, it has room for {room}.",
                text.len()
            )));
        }
        self.token(Field::named(field), text.as_bytes())
    }

    /// A body. `teams`: elements that Teams reads go in clear.
    pub fn body(&self, form: Form, text: &str, teams: bool) -> Result<String, Refusal> {
        let stretches = match form {
            Form::Html if teams => {
                markup::parts(text).map_err(|why| Refusal::new(&RULE_VIOLATED).message(why))?
            }
            _ if text.is_empty() => Vec::new(),
            _ => vec![Stretch::Sealed(0..text.len())],
        };
        let mut pieces = Vec::new();
        for stretch in stretches {
            match stretch {
                Stretch::Clear(clear) => pieces.push(Err(clear)),
                Stretch::Sealed(range) => pieces.extend(chunks(&text[range]).map(Ok)),
            }
        }
        let sealed = pieces.iter().filter(|piece| piece.is_ok()).count();
        let count = u16::try_from(sealed).map_err(|_| Refusal::new(&FIELD_TOO_LONG))?;
        let mut id = [0; 8];
        id.copy_from_slice(&(self.salt)()?.0[..8]);
        let mut out = String::new();
        let mut index: u16 = 0;
        for piece in pieces {
            match piece {
                Err(clear) => out.push_str(&clear),
                Ok(text) => {
                    let head = piece::Head { id, index, count };
                    out.push_str(&self.token(form.field(), &head.write(text))?);
                    index += 1;
                }
            }
        }
        Ok(out)
    }

    fn token(&self, field: Field, plain: &[u8]) -> Result<String, Refusal> {
        token::seal(self.keys, self.context, field, (self.salt)()?, plain)
            .map_err(|error| Refusal::new(&INTERNAL).cause(error))
    }
}

/// The text in pieces that end between characters.
fn chunks(mut text: &str) -> impl Iterator<Item = &str> {
    std::iter::from_fn(move || {
        let end = (0..=text.len().min(PIECE))
            .rev()
            .find(|end| text.is_char_boundary(*end))?;
        let (chunk, rest) = text.split_at(end);
        text = rest;
        (!chunk.is_empty()).then_some(chunk)
    })
}

/// Opens the texts of one answer.
pub struct Opening {
    pub lookup: Arc<dyn KeyLookup>,
    pub context: Arc<Context>,
    pub language: Language,
}

/// Why a token is not shown.
const MOVED: &str = "field";

impl Opening {
    /// The line with its tokens opened, if they were sealed for one of `fields`. `None`: there are none.
    pub fn line(&self, fields: &[&str], text: &str) -> Option<String> {
        self.replace(text, &mut |token, out| match self.open(token) {
            Ok(opened)
                if fields
                    .iter()
                    .any(|field| Field::named(field) == opened.field) =>
            {
                out.push_str(&String::from_utf8_lossy(&opened.plaintext));
            }
            Ok(_) => out.push_str(&self.language.marker(MOVED)),
            Err(error) => out.push_str(&self.language.marker(error.name())),
        })
    }

    /// The body with its pieces opened, written as `form` asks. `None`: there are none.
    pub fn body(&self, form: Form, text: &str) -> Option<String> {
        self.nested(form, text, 0)
    }

    fn nested(&self, form: Form, text: &str, depth: u8) -> Option<String> {
        let (mut order, mut sound) = (Order::default(), true);
        let opened = self.replace(text, &mut |token, out| {
            let piece = self
                .open(token)
                .map_err(|error| error.name())
                .and_then(|opened| Piece::read(opened).ok_or(MOVED));
            match piece {
                Ok(piece) => {
                    sound &= order.follows(piece.head);
                    let inner = (depth < NESTING)
                        .then(|| self.nested(piece.form, &piece.text, depth + 1))
                        .flatten();
                    let plain = inner.as_deref().unwrap_or(&piece.text);
                    out.push_str(&converted(piece.form, form, plain));
                }
                Err(code) => out.push_str(&self.language.marker(code)),
            }
        });
        let mut opened = opened?;
        if !(order.ends() && sound) {
            opened.insert_str(0, &self.language.marker(INCOMPLETE));
        }
        Some(opened)
    }

    fn open(&self, token: &[u8]) -> Result<token::Opened, OpenError> {
        token::open(self.lookup.as_ref(), &self.context, token)
    }

    fn replace(&self, text: &str, each: &mut dyn FnMut(&[u8], &mut String)) -> Option<String> {
        let mut out = String::new();
        let mut written = 0;
        for Candidate { range, whole } in candidates(text.as_bytes()) {
            out.push_str(text.get(written..range.start)?);
            if whole {
                each(&text.as_bytes()[range.clone()], &mut out);
            } else {
                out.push_str(&self.language.marker(OpenError::Length.name()));
            }
            written = range.end;
        }
        if written == 0 {
            return None;
        }
        out.push_str(text.get(written..)?);
        Some(out)
    }
}

/// What was written as one form, where the other is shown.
fn converted(from: Form, to: Form, text: &str) -> Cow<'_, str> {
    match (from, to) {
        (Form::Html, Form::Text) => markup::without_markup(text).into(),
        (Form::Text, Form::Html) => markup::as_html(text).into(),
        _ => text.into(),
    }
}

struct Piece {
    form: Form,
    head: piece::Head,
    text: String,
}

impl Piece {
    fn read(mut opened: token::Opened) -> Option<Self> {
        Some(Self {
            form: Form::of(opened.field)?,
            head: piece::Head::take(&mut opened.plaintext)?,
            text: String::from_utf8(opened.plaintext).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;
    use crate::seal::{EpochSecret, EpochShort, LookupError};
    use crate::secret::Secret;

    struct One(Arc<EpochKeys>);

    impl KeyLookup for One {
        fn epoch(&self, short: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
            match short == self.0.id.short() {
                true => Ok(self.0.clone()),
                false => Err(LookupError::Unknown),
            }
        }
    }

    fn keys() -> Arc<EpochKeys> {
        Arc::new(EpochSecret::new(Secret::from_slice(&[7; 48]).unwrap()).keys())
    }

    fn context() -> Context {
        Context::new("interior", "mail", "default").unwrap()
    }

    fn opening() -> Opening {
        Opening {
            lookup: Arc::new(One(keys())),
            context: Arc::new(context()),
            language: Language::English,
        }
    }

    fn sealed(form: Form, text: &str, teams: bool) -> String {
        static COUNT: AtomicU8 = AtomicU8::new(1);
        let salt = || Ok(Salt([COUNT.fetch_add(1, Ordering::Relaxed); 32]));
        let (keys, context) = (keys(), context());
        let sealing = Sealing {
            keys: &keys,
            context: &context,
            salt: &salt,
        };
        sealing.body(form, text, teams).unwrap()
    }

    #[test]
    fn bodies_of_all_lengths_come_back() {
        let long = "é<b>x</b>".repeat(40_000);
        for text in ["x", "<p>a &amp; b</p>", &long] {
            let sealed = sealed(Form::Html, text, false);
            assert!(!sealed.contains("<b>") && !sealed.contains("&amp;"));
            assert_eq!(opening().body(Form::Html, &sealed).unwrap(), text);
            let quoted = format!("<html><body>Re:<br>{sealed}<hr></body></html>");
            let want = format!("<html><body>Re:<br>{text}<hr></body></html>");
            assert_eq!(opening().body(Form::Html, &quoted).unwrap(), want);
        }
        assert_eq!(sealed(Form::Html, "", true), "");
        assert_eq!(opening().body(Form::Html, "<p>from outside</p>"), None);
    }

    #[test]
    fn what_teams_reads_stays_in_its_place() {
        let text =
            "<p>Hi <at id=\"0\">Jane</at>, <b>look</b></p><attachment id=\"g\"></attachment>";
        let sealed = sealed(Form::Html, text, true);
        assert!(sealed.contains("<at id=\"0\">Jane</at>") && !sealed.contains("look"));
        // the service rewrites what it reads
        let served = sealed.replace("<at id=\"0\">", "<at id=\"0\" itemid=\"9\">");
        let want = text.replace("<at id=\"0\">", "<at id=\"0\" itemid=\"9\">");
        assert_eq!(opening().body(Form::Html, &served).unwrap(), want);
    }

    #[test]
    fn pieces_that_are_dropped_doubled_or_moved_show() {
        let text = "<p>a<at id=\"0\">J</at>b<at id=\"0\">J</at>c</p>";
        let sealed = sealed(Form::Html, text, true);
        let mut tokens: Vec<_> = sealed.split("<at id=\"0\">J</at>").collect();
        let marked = |tokens: &[&str]| {
            let opened = opening().body(Form::Html, &tokens.join("|")).unwrap();
            opened.starts_with("[Sceau: this text does not open, code incomplete]")
        };
        assert_eq!(tokens.len(), 3);
        assert!(!marked(&tokens));
        assert!(
            !marked(&[&tokens[..], &tokens[..]].concat()),
            "quoted twice"
        );
        assert!(marked(&tokens[..2]) && marked(&tokens[1..]));
        assert!(marked(&[tokens[0], tokens[2]]));
        assert!(marked(&[tokens[0], tokens[0], tokens[1], tokens[2]]));
        tokens.swap(0, 1);
        assert!(marked(&tokens));
    }

    #[test]
    fn the_form_asked_for_is_what_is_shown() {
        let html = sealed(Form::Html, "<p>a &lt; b</p>", false);
        assert_eq!(opening().body(Form::Text, &html).unwrap().trim(), "a < b");
        let text = sealed(Form::Text, "a < b\nc", false);
        let want = "a &lt; b<br>c";
        assert_eq!(opening().body(Form::Html, &text).unwrap(), want);
    }

    #[test]
    fn a_token_opens_in_its_own_field_alone() {
        let body = sealed(Form::Html, "x", false);
        let opened = opening().line(&["message.subject"], &body).unwrap();
        assert_eq!(opened, "[Sceau: this text does not open, code field]");
        let (keys, context) = (keys(), context());
        let sealing = Sealing {
            keys: &keys,
            context: &context,
            salt: &|| Ok(Salt([200; 32])),
        };
        let line = sealing.line("message.subject", "Budget", 255).unwrap();
        let opened = opening().line(&["message.subject"], &format!("RE: {line}"));
        assert_eq!(opened.unwrap(), "RE: Budget");
        let opened = opening().body(Form::Text, &line).unwrap();
        assert_eq!(opened, "[Sceau: this text does not open, code field]");
        assert!(
            sealing
                .line("message.subject", &"x".repeat(102), 255)
                .is_err()
        );
        let cut = &line[..line.len() - 3];
        let opened = opening().line(&["message.subject"], cut).unwrap();
        assert_eq!(opened, "[Sceau: this text does not open, code length]");
    }

    #[test]
    fn a_quotation_within_a_sealed_text_opens() {
        let inner = sealed(Form::Text, "old", false);
        let outer = sealed(Form::Html, &format!("<p>new</p>{inner}"), false);
        assert_eq!(opening().body(Form::Html, &outer).unwrap(), "<p>new</p>old");
    }
}
