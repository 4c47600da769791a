//! Texts that reach somebody past the gateway (a notification, a digest, an export), with their tokens opened wherever
//! they stand.

use std::sync::Arc;

use bytes::Bytes;
use memchr::memchr;

use super::json::{Marks, Path, Paths, Stream, Stretch, Wrong};
use crate::seal::scan::{Encoding, Opens, Output, Scanner};

/// What a text is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Html,
    /// One document, or several of which each begins on a line of its own.
    Json,
}

impl Kind {
    pub fn encoding(self) -> Encoding {
        match self {
            Self::Plain => Encoding::Text,
            Self::Html => Encoding::Html,
            Self::Json => Encoding::Json,
        }
    }
}

/// A text in pieces that end anywhere.
pub struct Text {
    opens: Opens,
    /// Of JSON.
    documents: Option<Documents>,
}

struct Documents {
    marks: Arc<Marks>,
    stream: Stream,
}

impl Text {
    /// `opens`: which tokens open, wherever they stand.
    pub fn new(kind: Kind, opens: Opens) -> Self {
        let documents = (kind == Kind::Json).then(Documents::new);
        Self { opens, documents }
    }

    /// Hands a piece on.
    ///
    /// # Errors
    /// It is no JSON and should be; it is read no further.
    pub fn push(
        &mut self,
        mut piece: Bytes,
        scanner: &mut Scanner,
        out: &mut Output,
    ) -> Result<(), Wrong> {
        let Some(documents) = &mut self.documents else {
            scanner.turn(self.opens.clone(), out);
            scanner.push(piece, out);
            return Ok(());
        };
        while !piece.is_empty() {
            let end = memchr(b'\n', &piece).map_or(piece.len(), |at| at + 1);
            documents.line(piece.split_to(end), &self.opens, scanner, out)?;
        }
        Ok(())
    }

    /// The text has ended.
    ///
    /// # Errors
    /// In the middle of a JSON document.
    pub fn finish(&mut self, scanner: &mut Scanner, out: &mut Output) -> Result<(), Wrong> {
        if let Some(documents) = &self.documents
            && !documents.stream.is_blank()
        {
            documents.stream.finish()?;
        }
        scanner.finish(out);
        Ok(())
    }
}

impl Documents {
    /// All strings but the names of members.
    fn new() -> Self {
        let root = Path::parse("$").ok();
        let marks = Arc::new(Marks {
            texts: Paths::new(&root, &[]).unwrap_or_default(),
            deep: true,
            numbers: Paths::default(),
        });
        Self {
            stream: Stream::new(marks.clone()),
            marks,
        }
    }

    /// A line, or a part of one.
    fn line(
        &mut self,
        mut line: Bytes,
        opens: &Opens,
        scanner: &mut Scanner,
        out: &mut Output,
    ) -> Result<(), Wrong> {
        let ends = line.ends_with(b"\n");
        self.stream.push(&line.clone(), |stretch, length| {
            let opens = match stretch {
                Stretch::Text(_) => opens.clone(),
                Stretch::Other | Stretch::Number(_) => Opens::Nothing,
            };
            scanner.turn(opens, out);
            scanner.push(line.split_to(length), out);
        })?;
        if ends && self.stream.finish().is_ok() {
            self.stream = Stream::new(self.marks.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::piece::{Form, Head};
    use crate::seal::scan::{Found, Language, Reading};
    use crate::seal::token::{self, Field, TokenKeys};
    use crate::seal::{Context, EpochKeys, EpochSecret, EpochShort, LookupError, Salt};
    use crate::secret::Secret;

    struct Keys(Arc<EpochKeys>, Arc<Context>);

    impl TokenKeys for Keys {
        fn find(&self, _: EpochShort) -> Result<(Arc<EpochKeys>, Arc<Context>), LookupError> {
            Ok((self.0.clone(), self.1.clone()))
        }
    }

    fn keys() -> Keys {
        let secret = Secret::from_slice(&[3; 48]).unwrap();
        let context = Context::new("interior", "m365", "default").unwrap();
        Keys(Arc::new(EpochSecret::new(secret).keys()), Arc::new(context))
    }

    fn token(field: &str, plain: &[u8]) -> String {
        let Keys(keys, context) = keys();
        let salt = Salt::of_test_vector([plain.len() as u8; 32]);
        token::seal(&keys, &context, Field::named(field), salt, plain).unwrap()
    }

    fn piece(form: Form, index: u16, count: u16, text: &str) -> String {
        let head = Head {
            id: [9; 8],
            index,
            count,
        };
        let field = match form {
            Form::Html => "message.html",
            Form::Text => "message.text",
        };
        token(field, &head.write(text))
    }

    /// In pieces of `step` bytes.
    fn opened(
        kind: Kind,
        opens: &Opens,
        text: &str,
        step: usize,
    ) -> Result<(String, Found), Wrong> {
        let reading = Reading {
            keys: Arc::new(keys()),
            encoding: kind.encoding(),
            language: Language::English,
        };
        let mut reader = Text::new(kind, opens.clone());
        let (mut scanner, mut out) = (Scanner::new(reading, Opens::Nothing), Output::default());
        for piece in text.as_bytes().chunks(step) {
            reader.push(Bytes::copy_from_slice(piece), &mut scanner, &mut out)?;
        }
        reader.finish(&mut scanner, &mut out)?;
        let mut text = Vec::new();
        while let Some(piece) = out.pop() {
            text.extend_from_slice(&piece);
        }
        Ok((String::from_utf8(text).unwrap(), scanner.found()))
    }

    fn open(kind: Kind, text: &str) -> String {
        let whole = opened(kind, &Opens::Anything, text, usize::MAX).unwrap();
        for step in [1, 7, 100] {
            let split = opened(kind, &Opens::Anything, text, step).unwrap();
            assert_eq!(split, whole, "in pieces of {step}");
        }
        whole.0
    }

    const GAP: &str = "[Sceau: this text does not open, code incomplete]";

    #[test]
    fn json_stays_json_and_each_string_is_a_text_of_its_own() {
        let line = token("message.subject", "a \"b\"\n".as_bytes());
        let (first, second) = (
            piece(Form::Html, 0, 2, "<p>é"),
            piece(Form::Html, 1, 2, "</p>"),
        );
        let text = format!(
            "{{\"subject\": \"RE: {line}\", \"n\": 1,\n \"body\": {{\"content\": \"{first}<at>{second}\"}}}}\n\
             [\"{first}\", \"{second}\"]\n\n3\n"
        );
        let want = format!(
            "{{\"subject\": \"RE: a \\\"b\\\"\\n\", \"n\": 1,\n \"body\": {{\"content\": \"<p>é<at></p>\"}}}}\n\
             [\"<p>é{GAP}\", \"{GAP}</p>\"]\n\n3\n"
        );
        assert_eq!(open(Kind::Json, &text), want);
    }

    #[test]
    fn what_is_no_json_is_an_error_wherever_it_is_cut() {
        let t = token("x", b"secret");
        for wrong in [
            format!("{{\"a\": \"{t}\"}}}}"),
            format!("[\"{t}\"\n"),
            format!("[\"{t}\" \"{t}\"]"),
            format!("\"{t}"),
            t.clone(),
        ] {
            for step in [1, 50, usize::MAX] {
                assert!(
                    opened(Kind::Json, &Opens::Anything, &wrong, step).is_err(),
                    "{wrong}"
                );
            }
        }
        assert_eq!(open(Kind::Json, ""), "");
    }

    #[test]
    fn the_name_of_a_member_opens_nothing() {
        let t = token("x", b"secret");
        let text = format!("{{\"{t}\": 1}}");
        let (shown, found) = opened(Kind::Json, &Opens::Anything, &text, usize::MAX).unwrap();
        assert_eq!((shown, found.kept), (text, 1));
    }

    #[test]
    fn bodies_open_in_order_and_gaps_show() {
        let pieces: Vec<String> = (0..3)
            .map(|index| piece(Form::Text, index, 3, &format!("{index}")))
            .collect();
        let [a, b, c] = &pieces[..] else {
            unreachable!()
        };
        for (sealed, want) in [
            (format!("{a} {b} {c}."), "0 1 2.".to_owned()),
            (format!("{a}{b}{c}{a}{b}{c}"), "012012".to_owned()),
            (format!("{a}{b}."), format!("01.{GAP}")),
            (format!("{b}{c}"), format!("{GAP}12")),
            (format!("{a}{c}"), format!("0{GAP}2")),
            (format!("{a}{b}{b}{c}"), format!("01{GAP}12")),
        ] {
            assert_eq!(open(Kind::Plain, &sealed), want);
        }
        let short = token("message.text", b"too short");
        assert_eq!(open(Kind::Plain, &short), GAP);
        // a body that quotes another of which a part is missing
        let quoting = piece(Form::Text, 0, 1, &format!("> {a}{b}"));
        assert_eq!(open(Kind::Plain, &quoting), format!("> 01{GAP}"));
    }

    #[test]
    fn markup_is_markup_only_where_a_body_was_written_in_it() {
        let (html, text) = (
            piece(Form::Html, 0, 1, "<b>"),
            piece(Form::Text, 0, 1, "<i>"),
        );
        let subject = token("message.subject", b"<s>");
        let all = format!("{html}{text}{subject}");
        assert_eq!(open(Kind::Html, &all), "<b>&lt;i&gt;&lt;s&gt;");
        assert_eq!(open(Kind::Plain, &all), "<b><i><s>");
        let quoting = piece(Form::Html, 0, 1, &format!("<p>{text}{subject}{html}"));
        assert_eq!(open(Kind::Plain, &quoting), "<p>&lt;i&gt;&lt;s&gt;<b>");
    }

    #[test]
    fn only_the_fields_that_are_named_open() {
        let text = format!("{} {}", token("a", b"1"), token("b", b"2"));
        let opens = Opens::Of([Field::named("a")].into());
        let (shown, found) = opened(Kind::Plain, &opens, &text, usize::MAX).unwrap();
        assert_eq!(shown, "1 [Sceau: this text does not open, code field]");
        assert_eq!((found.opened, found.misplaced), (1, 1));
    }
}
