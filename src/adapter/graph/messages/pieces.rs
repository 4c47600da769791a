//! Texts of messages as tokens. A body may be longer than a token holds, and Teams must read elements in its middle, so a
//! body is sealed in pieces ([`crate::seal::piece`]).

use std::borrow::Cow;
use std::sync::Arc;

pub use crate::seal::piece::Form;

use super::html::Follower;
use super::markup::{self, Mentions, Stretch};
use crate::error::{FIELD_TOO_LONG, INTERNAL, KEY_UNAVAILABLE, RULE_VIOLATED, Refusal};
use crate::seal::piece::{self, INCOMPLETE, PIECE};
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

    /// A body. `teams`: elements that Teams reads go in clear, mentions with these names.
    pub fn body(
        &self,
        form: Form,
        text: &str,
        teams: Option<&Mentions<'_>>,
    ) -> Result<String, Refusal> {
        let stretches = match (form, teams) {
            (Form::Html, Some(mentions)) => markup::parts(text, mentions)
                .map_err(|why| Refusal::new(&RULE_VIOLATED).message(why))?,
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

/// Why a token is not shown: it was sealed for another field.
const MOVED: &str = "field";
/// It stands within markup, of which it would become a part.
const MARKUP: &str = "markup";

impl Opening {
    /// The line with its tokens opened, if they were sealed for `field`. `None`: there are none.
    ///
    /// # Errors
    /// A key can't be had now. Later it can: the text is not lost, and nobody is to save what stands in its place.
    pub fn line(&self, field: &str, text: &str) -> Result<Option<String>, Refusal> {
        let field = Field::named(field);
        let mut shown = Shown::new(None);
        let found = each(text, |before, token| {
            shown.text(before);
            match self.open(token)? {
                Ok(opened) if opened.field == field => {
                    shown.opened(&String::from_utf8_lossy(&opened.plaintext));
                }
                Ok(_) => shown.text(&self.language.marker(MOVED)),
                Err(code) => shown.text(&self.language.marker(code)),
            }
            Ok(())
        })?;
        Ok(found.map(|rest| {
            shown.text(rest);
            shown.out
        }))
    }

    /// As [`Self::line`], of a text that is a token and nothing else: what programs read would be changed by what stands around it.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn whole(&self, field: &str, text: &str) -> Result<Option<String>, Refusal> {
        match candidates(text.as_bytes()).next() {
            Some(Candidate { range, .. }) if range != (0..text.len()) => {
                Ok(Some(self.language.marker(MARKUP)))
            }
            _ => self.line(field, text),
        }
    }

    /// The body with its pieces opened, written as `form` asks. `None`: there are none.
    ///
    /// # Errors
    /// As [`Self::line`].
    pub fn body(&self, form: Form, text: &str) -> Result<Option<String>, Refusal> {
        self.nested(form, text, 0)
    }

    fn nested(&self, form: Form, text: &str, depth: u8) -> Result<Option<String>, Refusal> {
        let mut shown = Shown::new((form == Form::Html).then(Follower::default));
        let mut order = Order::default();
        let mut opens = false;
        let found = each(text, |before, token| {
            shown.text(before);
            let piece = self
                .open(token)?
                .and_then(|opened| Piece::read(opened).ok_or(MOVED));
            let piece = match piece {
                Ok(piece) => piece,
                Err(code) => {
                    order.interrupt();
                    shown.text(&self.language.marker(code));
                    return Ok(());
                }
            };
            order.saw(piece.head, before);
            // what one piece leaves open the next one goes on with
            let goes_on = opens && order.continues && before.is_empty();
            opens = goes_on || shown.in_text();
            if !opens {
                shown.text(&self.language.marker(MARKUP));
                shown.lose();
                return Ok(());
            }
            let inner = match depth < NESTING {
                true => self.nested(piece.form, &piece.text, depth + 1)?,
                false => None,
            };
            let plain = inner.as_deref().unwrap_or(&piece.text);
            match order.continues {
                true => shown.text(&converted(piece.form, form, plain)),
                false => shown.opened(&converted(piece.form, form, plain)),
            }
            Ok(())
        })?;
        Ok(found.map(|rest| {
            shown.text(rest);
            if !order.complete() {
                shown.out.insert_str(0, &self.language.marker(INCOMPLETE));
            }
            shown.out
        }))
    }

    /// `Err` within: why it does not open.
    fn open(&self, token: Option<&[u8]>) -> Result<Result<token::Opened, &'static str>, Refusal> {
        let Some(token) = token else {
            return Ok(Err(OpenError::Length.name()));
        };
        match token::open(self.lookup.as_ref(), &self.context, token) {
            Err(OpenError::KeyUnavailable(why)) => Err(Refusal::new(&KEY_UNAVAILABLE).message(why)),
            opened => Ok(opened.map_err(|error| error.name())),
        }
    }
}

/// Calls with each token and the text before it, and gives the text behind the last. A token that was cut is `None`. `None`
/// in the end: there are no tokens.
fn each<'t>(
    text: &'t str,
    mut call: impl FnMut(&'t str, Option<&'t [u8]>) -> Result<(), Refusal>,
) -> Result<Option<&'t str>, Refusal> {
    let broken = || Refusal::new(&INTERNAL);
    let mut written = 0;
    for Candidate { range, whole } in candidates(text.as_bytes()) {
        let before = text.get(written..range.start).ok_or_else(broken)?;
        written = range.end;
        call(before, whole.then(|| &text.as_bytes()[range]))?;
    }
    match written {
        0 => Ok(None),
        _ => text.get(written..).map(Some).ok_or_else(broken),
    }
}

/// What a client is shown, as it is put together.
struct Shown {
    out: String,
    /// Of HTML.
    follower: Option<Follower>,
}

impl Shown {
    fn new(follower: Option<Follower>) -> Self {
        Self {
            out: String::new(),
            follower,
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// What was opened stands apart from a word before it: it is to be no part of an address that programs make a link of.
    fn opened(&mut self, plain: &str) {
        let apart = |last: char| last.is_whitespace() || ">([{\"'«".contains(last);
        if !self.out.chars().next_back().is_none_or(apart) {
            self.out.push(' ');
        }
        self.out.push_str(plain);
    }

    fn in_text(&mut self) -> bool {
        match &mut self.follower {
            Some(follower) => follower.in_text(&self.out),
            None => true,
        }
    }

    fn lose(&mut self) {
        if let Some(follower) = &mut self.follower {
            follower.lose();
        }
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

/// Which pieces came, and whether something else stands between those of one body.
#[derive(Default)]
struct Order {
    pieces: piece::Order,
    /// A body has begun, and more of its pieces are to come.
    inside: bool,
    /// Whether the last piece goes on with the body of the one before.
    continues: bool,
    wrong: bool,
}

impl Order {
    /// `before`: what stands between the piece and the one before it.
    fn saw(&mut self, head: piece::Head, before: &str) {
        let follows = self.pieces.follows(head);
        self.continues = self.inside && follows;
        self.wrong |= !follows || self.inside && !markup::is_markup(before);
        self.inside = head.index.saturating_add(1) < head.count;
    }

    /// Something else stands where a piece may belong.
    fn interrupt(&mut self) {
        self.wrong |= self.inside;
    }

    fn complete(&mut self) -> bool {
        self.pieces.ends() && !self.wrong
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

    fn shown(form: Form, text: &str) -> Option<String> {
        opening().body(form, text).unwrap()
    }

    fn line(field: &str, text: &str) -> String {
        opening().line(field, text).unwrap().unwrap()
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
        let jane = Mentions(vec![(0, "Jane")]);
        sealing.body(form, text, teams.then_some(&jane)).unwrap()
    }

    #[test]
    fn bodies_of_all_lengths_come_back() {
        let long = "é<b>x</b>".repeat(40_000);
        for text in ["x", "<p>a &amp; b</p>", &long] {
            let sealed = sealed(Form::Html, text, false);
            assert!(!sealed.contains("<b>") && !sealed.contains("&amp;"));
            assert_eq!(shown(Form::Html, &sealed).unwrap(), text);
            let quoted = format!("<html><body>Re:<br>{sealed}<hr></body></html>");
            let want = format!("<html><body>Re:<br>{text}<hr></body></html>");
            assert_eq!(shown(Form::Html, &quoted).unwrap(), want);
        }
        assert_eq!(sealed(Form::Html, "", true), "");
        assert_eq!(shown(Form::Html, "<p>from outside</p>"), None);
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
        assert_eq!(shown(Form::Html, &served).unwrap(), want);
    }

    const AT: &str = "<at id=\"0\">Jane</at>";

    fn is_marked(text: &str) -> bool {
        let opened = shown(Form::Html, text).unwrap();
        opened.starts_with("[Sceau: this text does not open, code incomplete]")
    }

    #[test]
    fn pieces_that_are_dropped_doubled_or_moved_show() {
        let text = format!("<p>a{AT}b{AT}c</p>");
        let sealed = sealed(Form::Html, &text, true);
        let mut tokens: Vec<_> = sealed.split(AT).collect();
        let marked = |tokens: &[&str]| is_marked(&tokens.join(AT));
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
    fn nothing_comes_between_the_pieces_of_a_body() {
        let text = format!("<p>do{AT}not{AT}</p>");
        let (one, other) = (
            sealed(Form::Html, &text, true),
            sealed(Form::Html, &text, true),
        );
        let one: Vec<_> = one.split(AT).collect();
        let other: Vec<_> = other.split(AT).collect();
        assert!(!is_marked(&[&one[..], &other[..]].concat().join(AT)));
        let woven = [one[0], other[0], one[1], other[1], one[2], other[2]];
        assert!(is_marked(&woven.join(AT)));
        let nested = [one[0], other[0], other[1], other[2], one[1], one[2]];
        assert!(is_marked(&nested.join(AT)));
        for between in [
            "",
            " ",
            "<br>",
            "<b>,</b>",
            "at once",
            "sc1.AQEAAAAAAAAAAAAA",
            "&#33;",
        ] {
            let text = format!("{}{between}{}{AT}{}", one[0], one[1], one[2]);
            let marks = matches!(between, "" | " " | "<br>");
            assert_eq!(is_marked(&text), !marks, "{between}");
        }
    }

    #[test]
    fn a_piece_opens_as_text_and_never_within_markup() {
        let secret = sealed(Form::Html, "Budget", false);
        for around in [
            "<img src=\"https://x.example/?#\">",
            "<img src='https://x.example/?#'>",
            "<a href=https://x.example/#>x</a>",
            "<#>",
            "</p #>",
            "<style>@import url(https://x.example/#);</style>",
            "<form action=\"https://x.example\"><textarea name=\"a\">#</textarea></form>",
            "<!-- # -->",
            "<!--> <img src=\"https://x.example/ --> #\">",
            "<svg><style><img src=\"https://x.example/</style>#\"></svg>",
            "<p title=\"><img src='https://x.example/\">#'>",
        ] {
            let opened = shown(Form::Html, &around.replace('#', &secret)).unwrap();
            assert!(!opened.contains("Budget"), "{opened}");
            assert!(opened.contains("code markup]"), "{opened}");
        }
        // nor behind such a place, nor in its parts
        let long = "Budget ".repeat(20_000);
        let long = sealed(Form::Html, &long, false);
        let opened = shown(
            Form::Html,
            &format!("<img src=\"https://x.example/?{long}\">{secret}"),
        );
        assert!(!opened.unwrap().contains("Budget"));
        for around in ["<p>#</p>", "<!-- x --><b class=\"y\">#</b>", "1 < 2 #"] {
            let opened = shown(Form::Html, &around.replace('#', &secret)).unwrap();
            assert_eq!(opened, around.replace('#', "Budget"));
        }
        // a piece that leaves an element open is gone on with by its own next piece alone
        let open = sealed(Form::Html, "<img src=\"https://intranet.example/?", false);
        let opened = shown(Form::Html, &format!("{open}{secret}")).unwrap();
        assert!(!opened.contains("Budget"), "{opened}");
    }

    #[test]
    fn what_opens_is_no_part_of_an_address_before_it() {
        let secret = sealed(Form::Text, "Budget", false);
        let opened = shown(Form::Text, &format!("https://x.example/?{secret}")).unwrap();
        assert_eq!(opened, "https://x.example/? Budget");
        let opened = shown(Form::Text, &format!("({secret}) \n{secret}")).unwrap();
        assert_eq!(opened, "(Budget) \nBudget");
    }

    struct Gone;

    impl KeyLookup for Gone {
        fn epoch(&self, _: EpochShort) -> Result<Arc<EpochKeys>, LookupError> {
            Err(LookupError::Unavailable("away".into()))
        }
    }

    #[test]
    fn a_key_that_is_away_is_no_marker_that_somebody_saves() {
        let opening = Opening {
            lookup: Arc::new(Gone),
            ..opening()
        };
        let text = sealed(Form::Text, "x", false);
        for refused in [
            opening.body(Form::Text, &text),
            opening.line("message.subject", &text),
        ] {
            assert_eq!(refused.unwrap_err().code.name, "key-unavailable");
        }
    }

    #[test]
    fn the_form_asked_for_is_what_is_shown() {
        let html = sealed(Form::Html, "<p>a &lt; b</p>", false);
        assert_eq!(shown(Form::Text, &html).unwrap().trim(), "a < b");
        let text = sealed(Form::Text, "a < b\nc", false);
        let want = "a &lt; b<br>c";
        assert_eq!(shown(Form::Html, &text).unwrap(), want);
    }

    #[test]
    fn a_token_opens_in_its_own_field_alone() {
        let body = sealed(Form::Html, "x", false);
        let moved = "[Sceau: this text does not open, code field]";
        assert_eq!(line("message.subject", &body), moved);
        let (keys, context) = (keys(), context());
        let sealing = Sealing {
            keys: &keys,
            context: &context,
            salt: &|| Ok(Salt([200; 32])),
        };
        let subject = sealing.line("message.subject", "Budget", 255).unwrap();
        let answered = line("message.subject", &format!("RE: {subject}"));
        assert_eq!(answered, "RE: Budget");
        assert_eq!(line("message.topic", &subject), moved);
        assert_eq!(shown(Form::Text, &subject).unwrap(), moved);
        assert!(
            sealing
                .line("message.subject", &"x".repeat(102), 255)
                .is_err()
        );
        let cut = line("message.subject", &subject[..subject.len() - 3]);
        assert_eq!(cut, "[Sceau: this text does not open, code length]");
        let card = sealing.line("message.card", "{}", 255).unwrap();
        let whole = |text: &str| opening().whole("message.card", text).unwrap();
        assert_eq!(whole(&card).unwrap(), "{}");
        assert_eq!(whole("{}"), None);
        let around = format!("{{\"url\":\"https://x.example/?{card}\"}}");
        assert!(whole(&around).unwrap().contains("code markup]"));
    }

    #[test]
    fn a_quotation_within_a_sealed_text_opens() {
        let inner = sealed(Form::Text, "old", false);
        let outer = sealed(Form::Html, &format!("<p>new</p>{inner}"), false);
        assert_eq!(shown(Form::Html, &outer).unwrap(), "<p>new</p>old");
    }
}
