//! Where text stands in HTML and where markup does (WHATWG HTML, section 13.2.5). A text that opens within markup would
//! become a part of it: of an address, say, which the reader's program then asks for (Poddebniak et al., "Efail", 2018). So
//! this reads strictly: what readers are known to read in different ways is a doubt, and nothing opens behind it.

use memchr::memchr;
use memchr::memmem;

/// Elements in which there is no markup; what stands there is not shown as text either.
const RAW: [&str; 8] = [
    "script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes",
];
/// Elements whose inside is read in one way here and in another there.
const DOUBTFUL: [&str; 6] = ["svg", "math", "noscript", "plaintext", "template", "select"];

/// What begins with `<`.
pub(super) enum Construct<'h> {
    /// The start of an element, with all that belongs to it up to the end of this tag.
    Start(Tag<'h>),
    /// An end tag, a comment, a declaration, or the inside of an element without markup: so many bytes.
    Other(usize),
    /// An ordinary character.
    Text,
    /// It has no end here.
    Open,
    /// Readers may disagree about it.
    Doubt,
}

/// `text` begins with `<`.
pub(super) fn construct(text: &str) -> Construct<'_> {
    let bytes = text.as_bytes();
    match bytes.get(1) {
        None => Construct::Open,
        Some(b'!') if text.starts_with("<!--") => comment(text),
        Some(b'!' | b'?') => declaration(text),
        Some(b'/') => match bytes.get(2) {
            None => Construct::Open,
            Some(letter) if letter.is_ascii_alphabetic() => match Tag::read(text, 2) {
                Some(tag) if tag.odd => Construct::Doubt,
                Some(tag) => Construct::Other(tag.length),
                None => Construct::Open,
            },
            Some(_) => Construct::Doubt,
        },
        Some(letter) if letter.is_ascii_alphabetic() => match Tag::read(text, 1) {
            Some(tag) if tag.odd || DOUBTFUL.contains(&tag.name.as_str()) => Construct::Doubt,
            Some(tag) if RAW.contains(&tag.name.as_str()) => raw(text, &tag),
            Some(tag) => Construct::Start(tag),
            None => Construct::Open,
        },
        Some(_) => Construct::Text,
    }
}

fn comment(text: &str) -> Construct<'_> {
    let inside = &text[4..];
    if inside.starts_with('>') || inside.starts_with("->") {
        return Construct::Doubt;
    }
    let Some(end) = memmem::find(inside.as_bytes(), b"-->") else {
        return Construct::Open;
    };
    let inside = &inside[..end];
    // Outlook's conditions: what they hold is a document to some readers
    let held = inside.strip_suffix("<![endif]").unwrap_or(inside);
    let held = held.strip_suffix("<!").unwrap_or(held);
    match inside.contains("--!>") || inside.contains("<!--") || !is_balanced(held) {
        true => Construct::Doubt,
        false => Construct::Other(4 + end + 3),
    }
}

/// Whether markup that begins in it ends in it.
fn is_balanced(html: &str) -> bool {
    let mut at = 0;
    while let Some(found) = memchr(b'<', &html.as_bytes()[at..]) {
        let start = at + found;
        at = start
            + match construct(&html[start..]) {
                Construct::Start(tag) => tag.length,
                Construct::Other(length) => length,
                Construct::Text => 1,
                Construct::Open | Construct::Doubt => return false,
            };
    }
    true
}

/// `<!DOCTYPE ...>`, `<![if ...]>`, `<?xml ...>`.
fn declaration(text: &str) -> Construct<'_> {
    let Some(end) = memchr(b'>', text.as_bytes()) else {
        return Construct::Open;
    };
    let inside = &text[1..end];
    let even = |quote| inside.matches(quote).count() % 2 == 0;
    let plain = !inside.contains('<') && even('"') && even('\'');
    match plain && !inside.starts_with("![CDATA[") {
        true => Construct::Other(end + 1),
        false => Construct::Doubt,
    }
}

/// All up to the end tag.
fn raw<'h>(text: &'h str, tag: &Tag<'h>) -> Construct<'h> {
    let inside = &text[tag.length..];
    let mut at = 0;
    while let Some(found) = memmem::find(&inside.as_bytes()[at..], b"</") {
        let start = at + found;
        let name = inside.as_bytes().get(start + 2..start + 2 + tag.name.len());
        let named = name.is_some_and(|name| name.eq_ignore_ascii_case(tag.name.as_bytes()));
        let after = inside.as_bytes().get(start + 2 + tag.name.len());
        match after {
            None => return Construct::Open,
            Some(after)
                if named && (after.is_ascii_whitespace() || matches!(after, b'/' | b'>')) =>
            {
                // a script may hide its end in what looks like a comment
                return match inside[..start].contains("<!--") && tag.name == "script" {
                    true => Construct::Doubt,
                    false => Construct::Other(tag.length + start),
                };
            }
            Some(_) => at = start + 2,
        }
    }
    Construct::Open
}

/// A tag.
pub(super) struct Tag<'h> {
    /// Lower case.
    pub name: String,
    attributes: Vec<(String, &'h str)>,
    /// Up to and with `>`.
    pub length: usize,
    /// It holds characters that readers take in different ways.
    odd: bool,
}

impl<'h> Tag<'h> {
    /// `text` begins with `<`, its name at `at`. `None`: it has no end.
    fn read(text: &'h str, at: usize) -> Option<Self> {
        let bytes = text.as_bytes();
        let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'/' | b'>');
        let start = at;
        let mut at = start + bytes[start..].iter().position(ends)?;
        let name = text[start..at].to_ascii_lowercase();
        let mut odd = is_odd(&name);
        let mut attributes = Vec::new();
        loop {
            at += bytes[at..]
                .iter()
                .position(|b| !b.is_ascii_whitespace() && *b != b'/')?;
            if bytes[at] == b'>' {
                return Some(Self {
                    name,
                    attributes,
                    length: at + 1,
                    odd,
                });
            }
            let attribute = attribute(text, at)?;
            odd |= attribute.odd;
            at = attribute.end;
            attributes.push((attribute.name, attribute.value));
        }
    }

    /// The first of the name, as browsers take it.
    pub fn value(&self, name: &str) -> Option<&'h str> {
        let found = self.attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| *value)
    }
}

fn is_odd(text: &str) -> bool {
    text.contains(['"', '\'', '`', '<', '='])
}

struct Attribute<'h> {
    name: String,
    value: &'h str,
    end: usize,
    odd: bool,
}

/// The attribute at `at`.
fn attribute(text: &str, at: usize) -> Option<Attribute<'_>> {
    let bytes = text.as_bytes();
    let ends = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'/' | b'>' | b'=');
    // an equals sign at the beginning belongs to the name
    let first = text[at..].chars().next()?.len_utf8();
    let end = at + first + bytes[at + first..].iter().position(ends)?;
    let name = text[at..end].to_ascii_lowercase();
    let odd = is_odd(&name);
    let equals = end + bytes[end..].iter().position(|b| !b.is_ascii_whitespace())?;
    if bytes[equals] != b'=' {
        return Some(Attribute {
            name,
            value: "",
            end,
            odd,
        });
    }
    let start = equals
        + 1
        + bytes[equals + 1..]
            .iter()
            .position(|b| !b.is_ascii_whitespace())?;
    match bytes[start] {
        quote @ (b'"' | b'\'') => {
            let length = memchr(quote, &bytes[start + 1..])?;
            let value = &text[start + 1..start + 1 + length];
            Some(Attribute {
                name,
                value,
                end: start + length + 2,
                odd: odd || value.contains('<'),
            })
        }
        _ => {
            let ends = |b: &u8| b.is_ascii_whitespace() || *b == b'>';
            let length = bytes[start..].iter().position(ends)?;
            let value = &text[start..start + length];
            Some(Attribute {
                name,
                value,
                end: start + length,
                odd: odd || is_odd(value),
            })
        }
    }
}

/// Follows a document as it is put together.
#[derive(Default)]
pub(super) struct Follower {
    /// So far it was followed.
    at: usize,
    lost: bool,
}

impl Follower {
    /// Whether text stands at the document's end.
    pub fn in_text(&mut self, document: &str) -> bool {
        while !self.lost
            && let Some(found) = memchr(b'<', &document.as_bytes()[self.at..])
        {
            let start = self.at + found;
            match construct(&document[start..]) {
                Construct::Start(tag) => self.at = start + tag.length,
                Construct::Other(length) => self.at = start + length,
                Construct::Text => self.at = start + 1,
                Construct::Open => {
                    self.at = start;
                    return false;
                }
                Construct::Doubt => self.lost = true,
            }
        }
        self.at = document.len();
        !self.lost
    }

    /// Nothing more is known of the document.
    pub fn lose(&mut self) {
        self.lost = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_from_markup() {
        for html in [
            "",
            "words 1 < 2",
            "<p>",
            "<P CLASS=a title='b>c' hidden>x</p\n>",
            "<!DOCTYPE html PUBLIC \"-//W3C//DTD\" 'x'>",
            "<?xml:namespace prefix = o /><o:p></o:p>",
            "<!-- a --><br/>",
            "<!--[if gte mso 9]><xml><o:x v=\"1\"/></xml><![endif]-->",
            "<!--[if !mso]><!--><b>x</b><!--<![endif]-->",
            "<style>a > b { content: '<p \"' }</style>",
            "<title></titles></TITLE >",
            "<img src=https://x/y?a/b>",
        ] {
            assert!(Follower::default().in_text(html), "{html}");
        }
    }

    #[test]
    fn what_is_markup_or_doubtful_is_no_text() {
        for html in [
            "<",
            "<a",
            "<a href=",
            "<a href=\"https://x/?",
            "<a href='x>",
            "<a href=x/y?",
            "</a",
            "</",
            "<!-- x",
            "<!-- x --!> -> ",
            "<style>",
            "<textarea>x",
            "<title>x</titles>",
            // readers disagree
            "<!--><img src=\"x\"> -->",
            "<!---><b> -->",
            "<!--[if mso]><img src=\"https://x/<![endif]-->",
            "<![CDATA[ x ]]>",
            "<svg><style><a b=\"</style>",
            "<noscript>",
            "<p a=`b>`>",
            "<p a=\"x><img src='https://x/\">",
            "<p a=b\"c>",
            "<p \"a>",
            "</ p>",
            "<script><!--<script></script>",
        ] {
            assert!(!Follower::default().in_text(html), "{html}");
        }
    }

    #[test]
    fn a_document_is_followed_as_it_grows() {
        let mut follower = Follower::default();
        let mut document = String::new();
        for (more, text) in [
            ("<p>a", true),
            ("<b", false),
            (" c='", false),
            (">", false),
            ("'>", true),
            ("é <", false),
            (" 3", true),
        ] {
            document.push_str(more);
            assert_eq!(follower.in_text(&document), text, "{document}");
        }
        follower.lose();
        assert!(!follower.in_text(&document));
    }
}
