//! Finds tokens in a stream of text and puts their values in place, in bounded memory.
//!
//! A token's characters survive every common encoding, so it is searched in the bytes as they are; the value that
//! replaces it is written in the encoding of the text around it.

mod candidate;
mod escape;
mod output;

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use memchr::memmem::Finder;

pub use self::escape::{Encoding, Language};
pub use self::output::Output;

use self::candidate::{Extent, MAX_TEXT, extent};
use super::OpenError;
use super::piece::{self, Form, INCOMPLETE, Order};
use super::token::{self, Field, PREFIX, TokenKeys};

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(PREFIX));

/// A value may quote a token, whose value may quote another.
const NESTING: u8 = 4;

/// A marker's code: the token was sealed for another field.
const MISPLACED: &str = "field";
/// Moved at a time to a candidate that began in an earlier chunk.
const STEP: usize = 4096;

/// What stands in a text as a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub range: std::ops::Range<usize>,
    /// It has its end; else it was cut.
    pub whole: bool,
}

/// The tokens of a text that is in memory whole, in order.
pub fn candidates(text: &[u8]) -> impl Iterator<Item = Candidate> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += FINDER.find(text.get(at..)?)?;
            let start = at;
            let (length, whole) = match extent(&text[start..], PREFIX.len(), true) {
                Extent::Text(n) => {
                    at += n;
                    continue;
                }
                Extent::Token { whole, .. } => (whole, true),
                Extent::Cut(n) | Extent::More(n) => (n, false),
            };
            at += length;
            return Some(Candidate {
                range: start..at,
                whole,
            });
        }
    })
}

/// How a text is scanned.
#[derive(Clone)]
pub struct Reading {
    pub keys: Arc<dyn TokenKeys>,
    /// Of the text around the tokens.
    pub encoding: Encoding,
    /// Of the markers that stand for damaged tokens.
    pub language: Language,
}

/// Which tokens open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opens {
    /// None: they stay as they are.
    Nothing,
    /// Those of these fields; others become markers.
    Of(Arc<[Field]>),
    Anything,
}

impl Opens {
    fn admits(&self, field: Field) -> bool {
        match self {
            Self::Nothing => false,
            Self::Of(fields) => fields.contains(&field),
            Self::Anything => true,
        }
    }
}

/// What was found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub opened: u64,
    /// Replaced by a marker: nothing that opens.
    pub damaged: u64,
    /// Replaced by a marker: sealed for another field than may open there.
    pub misplaced: u64,
    /// Left as they are where nothing opens.
    pub kept: u64,
}

/// Opens the tokens of one text.
pub struct Scanner {
    reading: Reading,
    opens: Opens,
    found: Found,
    /// The beginning of what may be a token; at most [`MAX_TEXT`] and a step.
    pending: Vec<u8>,
    /// How much of `pending` is known to belong to a token's body.
    known: usize,
    /// Of the pieces in the stretch at hand.
    order: Order,
    marked: Option<Marked>,
}

/// Is told the code of each marker.
type Marked = Box<dyn FnMut(&'static str) + Send>;

impl Scanner {
    pub fn new(reading: Reading, opens: Opens) -> Self {
        Self {
            reading,
            opens,
            found: Found::default(),
            pending: Vec::new(),
            known: 0,
            order: Order::default(),
            marked: None,
        }
    }

    /// Tells the code of each marker as it is written.
    #[must_use]
    pub fn telling(mut self, marked: impl FnMut(&'static str) + Send + 'static) -> Self {
        self.marked = Some(Box::new(marked));
        self
    }

    pub fn found(&self) -> Found {
        self.found
    }

    /// What follows is another stretch of the text, in which these tokens open. No token and no body in pieces stands across its beginning.
    pub fn turn(&mut self, opens: Opens, out: &mut Output) {
        if self.opens != opens {
            self.finish(out);
            self.opens = opens;
        }
    }

    /// Scans the next chunk. What may be the beginning of a token is held back.
    pub fn push(&mut self, mut input: Bytes, out: &mut Output) {
        while !input.is_empty() {
            if self.pending.is_empty() {
                self.scan(&mut input, out);
            } else {
                self.complete(&mut input, out);
            }
        }
    }

    /// The text has ended: what was held back is decided.
    pub fn finish(&mut self, out: &mut Output) {
        let mut rest = Bytes::from(std::mem::take(&mut self.pending));
        while !rest.is_empty() {
            match FINDER.find(&rest) {
                None => out.text(std::mem::take(&mut rest)),
                Some(at) => {
                    out.text(rest.split_to(at));
                    let extent = extent(&rest, PREFIX.len(), true);
                    self.settle(extent, &mut rest, out);
                }
            }
        }
        if !self.order.ends() {
            self.mark(INCOMPLETE, out);
        }
    }

    /// Goes through a chunk that begins outside of any candidate; leaves nothing of it.
    fn scan(&mut self, input: &mut Bytes, out: &mut Output) {
        while !input.is_empty() {
            let Some(at) = FINDER.find(input) else {
                let kept = beginning(input);
                out.text(input.split_to(input.len() - kept));
                self.pending.extend_from_slice(input);
                input.clear();
                return;
            };
            out.text(input.split_to(at));
            let extent = extent(input, PREFIX.len(), false);
            if let Extent::More(known) = extent {
                self.pending.extend_from_slice(input);
                self.known = known;
                input.clear();
                return;
            }
            self.settle(extent, input, out);
        }
    }

    /// Adds to the candidate that an earlier chunk began.
    fn complete(&mut self, input: &mut Bytes, out: &mut Output) {
        if self.pending.len() < PREFIX.len() {
            let missing = &PREFIX.as_bytes()[self.pending.len()..];
            let n = missing.len().min(input.len());
            if input[..n] != missing[..n] {
                out.text(Bytes::from(std::mem::take(&mut self.pending)));
                return;
            }
            self.pending.extend_from_slice(&input.split_to(n));
            self.known = PREFIX.len();
            return;
        }
        let n = input.len().min(STEP);
        self.pending.extend_from_slice(&input.split_to(n));
        match extent(&self.pending, self.known, false) {
            Extent::More(known) => self.known = known,
            decided => {
                let mut held = Bytes::from(std::mem::take(&mut self.pending));
                self.settle(decided, &mut held, out);
                self.scan(&mut held, out);
            }
        }
    }

    /// Writes what stands for the candidate at the input's beginning, and takes it off.
    fn settle(&mut self, extent: Extent, input: &mut Bytes, out: &mut Output) {
        let mut order = std::mem::take(&mut self.order);
        let (taken, value) = self.value(extent, input, NESTING, &mut order);
        self.order = order;
        let candidate = input.split_to(taken);
        match value {
            Value::Text => out.text(candidate),
            Value::Marker(code) => self.mark(code, out),
            Value::Opened(opened) => {
                if opened.gap {
                    self.mark(INCOMPLETE, out);
                }
                match std::str::from_utf8(&opened.text) {
                    Ok(text) => opened
                        .spelling(self.reading.encoding)
                        .write(text, out.buffer()),
                    Err(_) => self.mark("not-text", out),
                }
            }
        }
    }

    /// What the candidate at the text's beginning stands for, and how much of the text that is.
    fn value(
        &mut self,
        extent: Extent,
        text: &[u8],
        nesting: u8,
        order: &mut Order,
    ) -> (usize, Value) {
        let closed = self.opens == Opens::Nothing;
        match extent {
            Extent::Text(n) | Extent::More(n) => (n, Value::Text),
            Extent::Cut(n) if closed => (n, Value::Text),
            Extent::Token { whole, .. } if closed => {
                self.found.kept += 1;
                (whole, Value::Text)
            }
            Extent::Cut(n) => (n, Value::Marker(OpenError::Length.name())),
            Extent::Token { whole, body } => match self.open(&text[..whole], nesting, order) {
                Ok(value) => (whole, value),
                // cut short, and another token right behind it
                Err(OpenError::Checksum) if text[..body].ends_with(b"sc1") => {
                    (body - 3, Value::Marker(OpenError::Length.name()))
                }
                Err(error) => (whole, Value::Marker(error.name())),
            },
        }
    }

    /// The value of a token, with the tokens that it quotes opened too.
    fn open(&mut self, text: &[u8], nesting: u8, order: &mut Order) -> Result<Value, OpenError> {
        let opened = token::open_found(self.reading.keys.as_ref(), text)?;
        if !self.opens.admits(opened.field) {
            return Ok(Value::Marker(MISPLACED));
        }
        let mut text = opened.plaintext;
        let (mut markup, mut gap) = (false, false);
        if let Some(form) = Form::of(opened.field) {
            let Some(head) = piece::Head::take(&mut text) else {
                return Ok(Value::Marker(INCOMPLETE));
            };
            (markup, gap) = (form == Form::Html, !order.follows(head));
        }
        self.found.opened += 1;
        if nesting > 0 && FINDER.find(&text).is_some() {
            text = self.open_quoted(&text, nesting - 1, markup);
        }
        Ok(Value::Opened(Opened { text, markup, gap }))
    }

    /// `markup`: the text is HTML, so what is none of what it quotes is written as HTML too.
    fn open_quoted(&mut self, mut rest: &[u8], nesting: u8, markup: bool) -> Vec<u8> {
        let around = if markup {
            Encoding::Html
        } else {
            Encoding::Text
        };
        let mut order = Order::default();
        let mut out = Vec::with_capacity(rest.len());
        while let Some(at) = FINDER.find(rest) {
            out.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            let extent = extent(rest, PREFIX.len(), true);
            let (taken, value) = self.value(extent, rest, nesting, &mut order);
            match value {
                Value::Text => out.extend_from_slice(&rest[..taken]),
                Value::Marker(code) => out.extend_from_slice(self.marker(code).as_bytes()),
                Value::Opened(opened) => {
                    if opened.gap {
                        out.extend_from_slice(self.marker(INCOMPLETE).as_bytes());
                    }
                    match std::str::from_utf8(&opened.text) {
                        Ok(text) => opened.spelling(around).write(text, &mut out),
                        Err(_) => out.extend_from_slice(self.marker("not-text").as_bytes()),
                    }
                }
            }
            rest = &rest[taken..];
        }
        out.extend_from_slice(rest);
        if !order.ends() {
            out.extend_from_slice(self.marker(INCOMPLETE).as_bytes());
        }
        out
    }

    fn mark(&mut self, code: &'static str, out: &mut Output) {
        let marker = self.marker(code);
        self.reading.encoding.write(&marker, out.buffer());
    }

    fn marker(&mut self, code: &'static str) -> String {
        match code {
            MISPLACED => self.found.misplaced += 1,
            _ => self.found.damaged += 1,
        }
        if let Some(marked) = &mut self.marked {
            marked(code);
        }
        self.reading.language.marker(code)
    }
}

/// What a candidate stands for.
enum Value {
    /// Itself.
    Text,
    Opened(Opened),
    /// Nothing that opens; the code says why.
    Marker(&'static str),
}

struct Opened {
    text: Vec<u8>,
    /// It is HTML.
    markup: bool,
    /// A piece before which others are missing, or which is not where it belongs.
    gap: bool,
}

impl Opened {
    /// How it is written into a text of that encoding: HTML into HTML as it is.
    fn spelling(&self, around: Encoding) -> Encoding {
        match around {
            Encoding::Html if self.markup => Encoding::Text,
            around => around,
        }
    }
}

/// How many bytes at the end may be the beginning of [`PREFIX`].
fn beginning(text: &[u8]) -> usize {
    (1..PREFIX.len())
        .rev()
        .find(|n| text.ends_with(&PREFIX.as_bytes()[..*n]))
        .unwrap_or(0)
}

/// What a scanner holds at most, in bytes.
pub const HELD: usize = MAX_TEXT + STEP;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::seal::token::OneContext;
    use crate::seal::{Context, EpochKeys, EpochSecret, EpochShort, KeyLookup, LookupError, Salt};
    use crate::secret::Secret;

    struct One(Arc<EpochKeys>);

    impl KeyLookup for One {
        fn epoch(&self, short: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
            (short == self.0.id.short())
                .then(|| self.0.clone())
                .ok_or(LookupError::Unknown)
        }
    }

    fn epoch() -> One {
        let secret = Secret::from_slice(&[3; 48]).unwrap();
        One(Arc::new(EpochSecret::new(secret).keys()))
    }

    fn context() -> Context {
        Context::new("interior", "chat", "default").unwrap()
    }

    fn token(plain: &str) -> String {
        let salt = Salt::of_test_vector([7; 32]);
        let field = Field::named("body");
        token::seal(&epoch().0, &context(), field, salt, plain.as_bytes()).unwrap()
    }

    fn scanner(encoding: Encoding) -> Scanner {
        let reading = Reading {
            keys: Arc::new(OneContext {
                lookup: Arc::new(epoch()),
                context: Arc::new(context()),
            }),
            encoding,
            language: Language::English,
        };
        Scanner::new(reading, Opens::Anything)
    }

    fn scan_in(encoding: Encoding, chunks: &[&[u8]]) -> (String, Found) {
        let (mut scanner, mut out) = (scanner(encoding), Output::default());
        let mut text = Vec::new();
        for chunk in chunks {
            scanner.push(Bytes::copy_from_slice(chunk), &mut out);
            assert!(scanner.pending.len() <= HELD);
        }
        scanner.finish(&mut out);
        while let Some(piece) = out.pop() {
            text.extend_from_slice(&piece);
        }
        (String::from_utf8(text).unwrap(), scanner.found())
    }

    fn scan(text: &str) -> (String, Found) {
        scan_in(Encoding::Text, &[text.as_bytes()])
    }

    const MARK: &str = "[Sceau: this text does not open, code ";

    #[test]
    fn tokens_open_wherever_they_stand() {
        let t = token("salut");
        for (before, after) in [
            ("", ""),
            ("> ", "\n"),
            ("x", "y"),
            ("\"", "\""),
            ("%22", "%22"),
            ("&quot;", "&quot;"),
            ("sc1.", "sc1."),
            ("s", "."),
            ("sc1", ".abcdef"),
        ] {
            let (text, found) = scan(&format!("{before}{t}{after}"));
            assert_eq!(text, format!("{before}salut{after}"));
            assert_eq!(
                found,
                Found {
                    opened: 1,
                    damaged: 0,
                    ..Found::default()
                }
            );
        }
        assert_eq!(scan(&format!("{t}{t}")).0, "salutsalut");
    }

    #[test]
    fn values_are_written_for_where_they_stand() {
        let t = token("a\"<\n");
        let json = format!("{{\"m\":\"{t}\"}}");
        assert_eq!(
            scan_in(Encoding::Json, &[json.as_bytes()]).0,
            "{\"m\":\"a\\\"<\\n\"}"
        );
        assert_eq!(scan_in(Encoding::Html, &[t.as_bytes()]).0, "a&quot;&lt;\n");
    }

    #[test]
    fn a_quoted_token_opens_and_nesting_ends() {
        let mut text = "centre".to_owned();
        for depth in 0..8 {
            let (opened, _) = scan(&token(&text));
            let quotes = opened.contains(PREFIX);
            assert_eq!(quotes, depth > NESTING.into(), "depth {depth}");
            text = format!("({})", token(&text));
        }
    }

    #[test]
    fn damaged_tokens_become_markers() {
        let t = token("salut");
        let flipped = t.replacen("AQ", "BQ", 1);
        for (damaged, code) in [
            (&t[..60], "length"),
            (&t[..t.len() - 2], "length"),
            (flipped.as_str(), "checksum"),
        ] {
            let (text, found) = scan(&format!("a {damaged} b"));
            assert_eq!(text, format!("a {MARK}{code}] b"));
            assert_eq!(
                found,
                Found {
                    opened: 0,
                    damaged: 1,
                    ..Found::default()
                }
            );
        }
        // a cut token does not take the next with it
        let (text, _) = scan(&format!("{}{t}", &t[..60]));
        assert_eq!(text, format!("{MARK}length]salut"));
        let stranger = Context::new("justice", "chat", "default").unwrap();
        let salt = Salt::of_test_vector([7; 32]);
        let foreign =
            token::seal(&epoch().0, &stranger, Field::named("x"), salt, b"secret").unwrap();
        assert_eq!(scan(&foreign).0, format!("{MARK}commitment]"));
        let binary = token::seal(&epoch().0, &context(), Field::named("x"), salt, &[0xFF]).unwrap();
        assert_eq!(scan(&binary).0, format!("{MARK}not-text]"));
    }

    fn field_token(field: &str, plain: &str) -> String {
        let salt = Salt::of_test_vector([7; 32]);
        let keys = epoch().0;
        token::seal(
            &keys,
            &context(),
            Field::named(field),
            salt,
            plain.as_bytes(),
        )
        .unwrap()
    }

    #[test]
    fn tokens_open_where_their_field_may_and_stay_where_none_does() {
        let body = token("salut");
        let secret = field_token("secret", "x");
        let quoting = token(&format!("> {body} {secret}"));
        let (mut scanner, mut out) = (scanner(Encoding::Text), Output::default());
        let of_body = Opens::Of([Field::named("body")].into());
        let mut push = |opens: Opens, text: &str| {
            scanner.turn(opens, &mut out);
            // a candidate that is held back is decided before the next stretch
            for piece in text.as_bytes().chunks(50) {
                scanner.push(Bytes::copy_from_slice(piece), &mut out);
            }
        };
        push(Opens::Nothing, &format!("{body} sc1.AQEaaaaaaaa "));
        push(of_body.clone(), &format!("{body} {secret} {quoting} "));
        push(Opens::Nothing, &body[..60]);
        push(of_body, &body);
        scanner.finish(&mut out);
        let mut text = Vec::new();
        while let Some(piece) = out.pop() {
            text.extend_from_slice(&piece);
        }
        let misplaced = format!("{MARK}field]");
        let expected = format!(
            "{body} sc1.AQEaaaaaaaa salut {misplaced} > salut {misplaced} {}salut",
            &body[..60]
        );
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        let found = Found {
            opened: 4,
            damaged: 0,
            misplaced: 2,
            kept: 1,
        };
        assert_eq!(scanner.found(), found);
    }

    #[test]
    fn an_endless_body_is_held_in_bounded_memory() {
        let chunk = [b'A'; 1000];
        let mut chunks: Vec<&[u8]> = vec![b"sc1."];
        chunks.extend(std::iter::repeat_n(&chunk[..], 300));
        let (text, found) = scan_in(Encoding::Text, &chunks);
        assert!(text.starts_with(MARK));
        assert_eq!(found.damaged, 1);
    }

    #[test]
    fn text_without_tokens_is_not_copied() {
        let text = Bytes::from(vec![b's'; 100_000]);
        let (mut scanner, mut out) = (scanner(Encoding::Text), Output::default());
        scanner.push(text.clone(), &mut out);
        let piece = out.pop().unwrap();
        assert_eq!(piece.as_ptr(), text.as_ptr());
        assert_eq!(piece.len(), text.len() - 1);
    }

    fn pieces() -> impl Strategy<Value = Vec<(String, Option<String>)>> {
        prop::collection::vec(
            (
                "[sc1.AQE \\\"-]{0,12}",
                prop::option::of("[a-zé \\\"]{0,80}"),
            ),
            0..6,
        )
    }

    proptest! {
        #[test]
        fn every_split_gives_the_same(pieces in pieces(), cuts in prop::collection::vec(0..2000usize, 0..8)) {
            let (mut text, mut expected) = (String::new(), String::new());
            for (plain, value) in &pieces {
                // what could run on into a token's body is kept apart
                text.push_str(plain);
                text.push(' ');
                expected.push_str(plain);
                expected.push(' ');
                if let Some(value) = value {
                    text.push_str(&token(value));
                    expected.push_str(value);
                }
            }
            prop_assume!(!expected.contains("sc1.AQ"));
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect();
            prop_assert_eq!(scan_in(Encoding::Text, &chunks).0, expected.clone());
            let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            prop_assert_eq!(scan_in(Encoding::Text, &single).0, expected);
        }

        #[test]
        fn noise_never_panics(text in "(sc1\\.|[A-Za-z0-9_.-]{0,40}|AQE){0,12}", at in 0..200usize) {
            let at = at.min(text.len());
            let whole = scan(&text);
            let split = scan_in(Encoding::Text, &[&text.as_bytes()[..at], &text.as_bytes()[at..]]);
            prop_assert_eq!(whole, split);
        }
    }
}
