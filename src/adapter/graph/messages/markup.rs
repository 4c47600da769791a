//! As much of HTML as bodies of messages need: which elements a service must read in clear, and what a text looks like
//! without its markup.

use std::ops::Range;

use memchr::memchr;

use super::html::{Construct, Tag, construct};
use super::tree::Node;

/// A stretch of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Stretch {
    Sealed(Range<usize>),
    /// What the service gets in clear in its place.
    Clear(String),
}

/// The names of mentions, by their numbers.
pub struct Mentions<'n>(pub Vec<(u64, &'n str)>);

impl<'n> Mentions<'n> {
    /// Of a chat message.
    pub fn of(message: &'n Node) -> Self {
        let mentions = match message.member("mentions") {
            Some(Node::Array(mentions)) => mentions.as_slice(),
            _ => &[],
        };
        let named = |mention: &'n Node| {
            let text = mention.member("mentionText")?.text()?;
            match mention.member("id")? {
                Node::Number(id) => Some((*id, text)),
                _ => None,
            }
        };
        Self(mentions.iter().filter_map(named).collect())
    }

    fn hold(&self, id: &str, shown: &str) -> bool {
        let shown = unescaped(shown);
        self.0
            .iter()
            .any(|(number, text)| number.to_string() == id && text.trim() == shown.trim())
    }
}

/// Parts a body at the elements that Teams must read: mentions and attachments, whose numbers it matches with other
/// members, and pictures that the message brings along. Of these nothing goes in clear but what it matches.
///
/// # Errors
/// What can't be told apart from text of the writer's.
pub fn parts(html: &str, mentions: &Mentions<'_>) -> Result<Vec<Stretch>, &'static str> {
    let mut parts = Vec::new();
    let (mut sealed, mut at) = (0, 0);
    while let Some(found) = memchr(b'<', &html.as_bytes()[at..]) {
        let start = at + found;
        let rest = &html[start..];
        let tag = match construct(rest) {
            Construct::Start(tag) => tag,
            Construct::Other(length) => {
                at = start + length;
                continue;
            }
            Construct::Text => {
                at = start + 1;
                continue;
            }
            // what follows can't be told apart, so all of it is sealed
            Construct::Open | Construct::Doubt => break,
        };
        let Some((clear, length)) = kept(&tag, rest, mentions)? else {
            at = start + tag.length;
            continue;
        };
        if start > sealed {
            parts.push(Stretch::Sealed(sealed..start));
        }
        parts.push(Stretch::Clear(clear));
        at = start + length;
        sealed = at;
    }
    if sealed < html.len() {
        parts.push(Stretch::Sealed(sealed..html.len()));
    }
    Ok(parts)
}

/// What of an element goes in clear, and its length; `None`: it is sealed like any other.
fn kept(
    tag: &Tag<'_>,
    rest: &str,
    mentions: &Mentions<'_>,
) -> Result<Option<(String, usize)>, &'static str> {
    match tag.name.as_str() {
        "at" | "attachment" => {
            let id = tag.value("id").unwrap_or_default();
            if !is_id(id) {
                return Err("A mention or an attachment has no identifier.");
            }
            let close = format!("</{}>", tag.name);
            let inner = &rest[tag.length..];
            let end =
                find_ignoring_case(inner, &close).ok_or("An element of the body has no end.")?;
            let text = &inner[..end];
            match tag.name == "at" {
                true if !mentions.hold(id, text) => {
                    return Err("A mention shows another name than its `mentionText`.");
                }
                false if !text.trim().is_empty() => {
                    return Err("An attachment's element holds a text.");
                }
                _ => {}
            }
            let clear = format!("<{} id=\"{id}\">{text}{close}", tag.name);
            Ok(Some((clear, tag.length + end + close.len())))
        }
        "img" => {
            let source = tag.value("src").unwrap_or_default();
            if !is_hosted(source) {
                return Ok(None);
            }
            let mut clear = format!("<img src=\"{source}\"");
            for name in ["width", "height"] {
                let digits = tag.value(name).unwrap_or_default();
                if !digits.is_empty()
                    && digits.len() < 6
                    && digits.bytes().all(|b| b.is_ascii_digit())
                {
                    clear.push_str(&format!(" {name}=\"{digits}\""));
                }
            }
            clear.push('>');
            Ok(Some((clear, tag.length)))
        }
        _ => Ok(None),
    }
}

/// Whether the address is of a picture that a message brings along, or of one that Teams keeps for a message.
fn is_hosted(source: &str) -> bool {
    let Some(path) = source.strip_suffix("/$value") else {
        return false;
    };
    if let Some(id) = path.strip_prefix("../hostedContents/") {
        return is_id(id);
    }
    let kept = ["v1.0/", "beta/"].iter().find_map(|version| {
        let path = path.strip_prefix("https://graph.microsoft.com/")?;
        path.strip_prefix(version)
    });
    let words: Vec<&str> = kept.unwrap_or_default().split('/').collect();
    let (thread, rest) = match words.as_slice() {
        ["teams", team, "channels", channel, rest @ ..] => {
            (is_id(team) && is_thread(channel), rest)
        }
        ["chats", chat, rest @ ..] => (is_thread(chat), rest),
        _ => return false,
    };
    let picture = match rest {
        ["messages", message, "hostedContents", picture] => is_id(message) && is_id(picture),
        [
            "messages",
            message,
            "replies",
            reply,
            "hostedContents",
            picture,
        ] => is_id(message) && is_id(reply) && is_id(picture),
        _ => false,
    };
    thread && picture
}

fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=');
    !id.is_empty() && id.len() <= 128 && id.bytes().all(plain)
}

/// `19:...@thread.tacv2`
fn is_thread(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=:@.".contains(&byte);
    !id.is_empty() && id.len() <= 256 && id.bytes().all(plain)
}

/// Whether between two pieces of a body stands nothing but what Teams reads there.
pub fn is_markup(between: &str) -> bool {
    let mut rest = between;
    loop {
        rest = rest.trim_start();
        rest = match rest.strip_prefix("&nbsp;") {
            Some(behind) => behind,
            None if !rest.starts_with('<') => return rest.is_empty(),
            None => match construct(rest) {
                Construct::Start(tag) if tag.name == "at" => {
                    match find_ignoring_case(rest, "</at>") {
                        Some(end) => &rest[end + "</at>".len()..],
                        None => return false,
                    }
                }
                Construct::Start(tag) => &rest[tag.length..],
                Construct::Other(length) => &rest[length..],
                _ => return false,
            },
        };
    }
}

fn find_ignoring_case(text: &str, wanted: &str) -> Option<usize> {
    let (text, wanted) = (text.as_bytes(), wanted.as_bytes());
    text.windows(wanted.len())
        .position(|window| window.eq_ignore_ascii_case(wanted))
}

/// A name as HTML shows it.
fn unescaped(html: &str) -> String {
    html.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&nbsp;", "\u{a0}")
        .replace("&amp;", "&")
}

/// HTML as plain text, for where a client asked for text and the writer wrote HTML.
pub fn without_markup(html: &str) -> String {
    nanohtml2text::html2text(html)
}

/// Plain text as HTML shows it.
pub fn as_html(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 16);
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.extend_from_slice(b"<br>");
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        crate::seal::scan::Encoding::Html.write(line, &mut out);
    }
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clear(html: &str) -> Result<Vec<String>, &'static str> {
        let parts = parts(html, &Mentions(vec![(0, "Jane & Co")]))?;
        let of = |part| match part {
            Stretch::Sealed(range) => format!("#{}", &html[range]),
            Stretch::Clear(text) => text,
        };
        Ok(parts.into_iter().map(of).collect())
    }

    #[test]
    fn what_teams_matches_stays_and_nothing_else() {
        let html = "<div>Hi <at id=\"0\">Jane &amp; Co</at>, see<IMG alt='secret' src=\"../hostedContents/1/$value\" width=\"20\" \
            style=\"x\"><b>é</b></div><attachment id=\"a-b\"></attachment>";
        assert_eq!(
            clear(html).unwrap(),
            [
                "#<div>Hi ",
                "<at id=\"0\">Jane &amp; Co</at>",
                "#, see",
                "<img src=\"../hostedContents/1/$value\" width=\"20\">",
                "#<b>é</b></div>",
                "<attachment id=\"a-b\"></attachment>",
            ]
        );
        assert_eq!(
            clear("1 < 2 <img src=https://x/y>").unwrap(),
            ["#1 < 2 <img src=https://x/y>"]
        );
        assert_eq!(
            clear("<!-- <at id=1>x</at> -->").unwrap(),
            ["#<!-- <at id=1>x</at> -->"]
        );
        assert_eq!(clear("").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn text_does_not_hide_in_what_stays() {
        for bad in [
            "<at id=\"my secret\">Jane & Co</at>",
            "<at id=\"0\">another text</at>",
            "<at id=\"1\">Jane & Co</at>",
            "<at>x</at>",
            "<at id=0><b>Jane & Co</b></at>",
            "<at id=0>never ends",
            "<attachment id=\"1\">text</attachment>",
        ] {
            assert!(clear(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pictures_that_teams_keeps_stay_when_a_message_is_written_anew() {
        let host = "https://graph.microsoft.com/v1.0";
        let picture = "messages/1/hostedContents/aWQ=/$value";
        for kept in [
            format!("{host}/chats/19:a_b@unq.gbl.spaces/{picture}"),
            format!("{host}/teams/0f-1/channels/19:x@thread.tacv2/{picture}"),
            format!(
                "{host}/teams/0f-1/channels/19:x@thread.tacv2/messages/1/replies/2/hostedContents/a/$value"
            ),
        ] {
            let html = format!("<img src=\"{kept}\" alt=\"secret\">");
            assert_eq!(clear(&html).unwrap(), [format!("<img src=\"{kept}\">")]);
        }
        for other in [
            format!("{host}/chats/my secret/{picture}"),
            format!("{host}/chats/x/messages/my%20secret/hostedContents/a/$value"),
            format!("https://elsewhere.example/v1.0/chats/x/{picture}"),
            format!("{host}/chats/x/{picture}?my=secret"),
        ] {
            let html = format!("<img src=\"{other}\">");
            assert_eq!(clear(&html).unwrap(), [format!("#{html}")]);
        }
    }

    #[test]
    fn between_pieces_stands_no_text() {
        for marks in [
            "",
            " \n",
            "<at id=\"0\">Jane</at>",
            "<br>&nbsp;<img src=\"x\"></p><attachment id=\"1\"></attachment>",
        ] {
            assert!(is_markup(marks), "{marks}");
        }
        for text in [
            "x",
            "<b>x</b>",
            "<at id=\"0\">Jane</at>!",
            "<at>",
            "<b",
            "&amp;",
        ] {
            assert!(!is_markup(text), "{text}");
        }
    }

    #[test]
    fn broken_markup_is_sealed_as_it_is() {
        for odd in [
            "<", "<a", "<a b", "<a b=", "<a b='x", "<img src", "</at>", "<3 é",
        ] {
            assert_eq!(clear(odd).unwrap(), [format!("#{odd}")], "{odd}");
        }
    }

    #[test]
    fn both_forms_of_a_text() {
        assert_eq!(as_html("a<b\r\nc"), "a&lt;b<br>c");
        assert_eq!(without_markup("<p>a &lt; b</p>").trim(), "a < b");
    }
}
