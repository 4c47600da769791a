//! Path templates: `/rooms/{room}/send/{txn}`, `/static/{rest*}`.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// One segment between slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// As it is written, encoding included.
    Fixed(String),
    /// Any one segment that is not empty.
    Any,
}

/// Which paths a rule is for. Matched against the raw path: another encoding of the same characters does not match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
    /// Any number of further segments, also none.
    rest: bool,
}

impl Template {
    /// # Errors
    /// What is wrong, for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        const WHAT: &str = "a path such as \"/rooms/{room}/messages\" or \"/static/{rest*}\"";
        let wrong = || format!("expected {WHAT}");
        let path = text.strip_prefix('/').ok_or_else(wrong)?;
        let mut segments = Vec::new();
        let mut rest = false;
        for part in path.split('/') {
            if rest {
                return Err("`{…*}` stands for the rest of the path: nothing can follow it".into());
            }
            match part.strip_prefix('{').map(|part| part.strip_suffix('}')) {
                Some(Some(name)) => {
                    rest = name.ends_with('*');
                    let name = name.strip_suffix('*').unwrap_or(name);
                    if name.is_empty()
                        || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                    {
                        return Err(wrong());
                    }
                    if !rest {
                        segments.push(Segment::Any);
                    }
                }
                Some(None) => return Err(wrong()),
                None if part.contains(['{', '}', '?', '#', ' ']) || is_dots(part) => {
                    return Err(wrong());
                }
                None => segments.push(Segment::Fixed(part.to_owned())),
            }
        }
        Ok(Self {
            text: text.to_owned(),
            segments,
            rest,
        })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the raw path is one of these. Paths with dot segments, encoded or not, never are.
    pub fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else {
            return false;
        };
        let mut parts = path.split('/');
        for segment in &self.segments {
            let Some(part) = parts.next() else {
                return false;
            };
            let fits = match segment {
                Segment::Fixed(text) => text == part,
                Segment::Any => !part.is_empty() && !is_dots(part),
            };
            if !fits {
                return false;
            }
        }
        if self.rest {
            parts.all(|part| !is_dots(part))
        } else {
            parts.next().is_none()
        }
    }

    /// Whether every path of `other` is one of these too.
    pub fn covers(&self, other: &Self) -> bool {
        let enough = other.segments.len() >= self.segments.len();
        let longer = other.segments.len() > self.segments.len() || other.rest;
        enough
            && (self.rest || !longer)
            && self
                .segments
                .iter()
                .zip(&other.segments)
                .all(|pair| match pair {
                    (Segment::Any, Segment::Fixed(text)) => !text.is_empty(),
                    (Segment::Any, Segment::Any) => true,
                    (Segment::Fixed(one), Segment::Fixed(two)) => one == two,
                    (Segment::Fixed(_), Segment::Any) => false,
                })
    }

    /// The paths that are of both.
    pub fn both(&self, other: &Self) -> Option<Self> {
        let (short, long) = if self.segments.len() <= other.segments.len() {
            (self, other)
        } else {
            (other, self)
        };
        if short.segments.len() < long.segments.len() && !short.rest {
            return None;
        }
        let mut segments = Vec::with_capacity(long.segments.len());
        for (at, segment) in long.segments.iter().enumerate() {
            segments.push(match (short.segments.get(at), segment) {
                (None | Some(Segment::Any), Segment::Any) => Segment::Any,
                (Some(Segment::Any), Segment::Fixed(text)) if text.is_empty() => return None,
                (None | Some(Segment::Any), Segment::Fixed(text)) => Segment::Fixed(text.clone()),
                (Some(Segment::Fixed(text)), Segment::Any) if text.is_empty() => return None,
                (Some(Segment::Fixed(text)), Segment::Any) => Segment::Fixed(text.clone()),
                (Some(Segment::Fixed(one)), Segment::Fixed(two)) if one == two => {
                    Segment::Fixed(one.clone())
                }
                (Some(Segment::Fixed(_)), Segment::Fixed(_)) => return None,
            });
        }
        Some(Self {
            text: format!("{} and {}", self.text, other.text),
            segments,
            rest: self.rest && other.rest,
        })
    }
}

/// `.` or `..`, also encoded (once or more), also with a backslash or a slash that some server would decode into more
/// segments, also with parameters behind it (`..;a=b`), which servlet containers take off.
fn is_dots(part: &str) -> bool {
    let Some(plain) = decoded(part) else {
        return true;
    };
    let pieces = plain.split(['/', '\\']);
    let mut names = pieces.map(|piece| piece.split(';').next());
    names.any(|name| matches!(name, Some("." | ".."))) || plain.contains('\0')
}

/// Whether a segment holds a slash or backslash that servers that decode before they route take for a separator.
pub fn hides_separator(path: &str) -> bool {
    let hides = |part| decoded(part).is_none_or(|plain| plain.contains(['/', '\\']));
    path.split('/').any(hides)
}

/// Without percent-encoding, however often it was encoded. `None`: more often than anybody means.
fn decoded(part: &str) -> Option<Cow<'_, str>> {
    let mut text = Cow::Borrowed(part);
    for _ in 0..4 {
        let plain = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if plain == text {
            return Some(text);
        }
        text = Cow::Owned(plain);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap()
    }

    #[test]
    fn paths_match_segment_by_segment() {
        let t = template("/rooms/{room}/send");
        assert!(t.matches("/rooms/%21a%3Ab/send"));
        for path in [
            "/rooms//send",
            "/rooms/a/b/send",
            "/rooms/a/send/",
            "/rooms/a",
            "/rooms/../send",
            "/rooms/%2E./send",
            "/rooms/a%2f..%2fb/send",
            "/rooms/%00/send",
            "rooms/a/send",
            "/Rooms/a/send",
        ] {
            assert!(!t.matches(path), "{path}");
        }
        assert!(template("/").matches("/"));
        assert!(!template("/").matches("/a"));
        let rest = template("/static/{rest*}");
        for path in ["/static/", "/static/a/b.js", "/static"] {
            assert!(rest.matches(path), "{path}");
        }
        for path in ["/static/a/../b", "/static/%2e%2e", "/staticx"] {
            assert!(!rest.matches(path), "{path}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in [
            "",
            "a",
            "/{",
            "/{}",
            "/{a*}/b",
            "/a{b}",
            "/a?b",
            "/..",
            "/%2e%2E/x",
            "/{a b}",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn covering_and_meeting() {
        let covers = |a: &str, b: &str| template(a).covers(&template(b));
        assert!(covers("/a/{x}", "/a/b"));
        assert!(covers("/a/{x}", "/a/{y}"));
        assert!(covers("/{r*}", "/a/b"));
        assert!(covers("/a/{r*}", "/a/{r*}"));
        assert!(!covers("/a/b", "/a/{x}"));
        assert!(!covers("/a/{x}", "/a/{r*}"));
        assert!(!covers("/a/{x}", "/a/"));
        let both = |a: &str, b: &str| template(a).both(&template(b));
        assert_eq!(
            both("/{x}/b", "/a/{y}").unwrap().segments,
            template("/a/b").segments
        );
        assert_eq!(
            both("/a/{r*}", "/a/b/c").unwrap().segments,
            template("/a/b/c").segments
        );
        assert_eq!(both("/a/b", "/a/c"), None);
        assert_eq!(both("/a/{x}", "/a"), None);
    }

    use proptest::prelude::*;

    fn any_template() -> impl Strategy<Value = String> {
        let part = prop_oneof!["[ab]", Just("{x}".to_owned())];
        (prop::collection::vec(part, 1..4), any::<bool>()).prop_map(|(parts, rest)| {
            format!("/{}{}", parts.join("/"), if rest { "/{r*}" } else { "" })
        })
    }

    proptest! {
        #[test]
        fn they_agree_with_matching(a in any_template(), b in any_template(), path in "/[ab](/[ab]){0,4}") {
            let (a, b) = (template(&a), template(&b));
            if a.covers(&b) && b.matches(&path) {
                prop_assert!(a.matches(&path));
            }
            if let Some(both) = a.both(&b) {
                prop_assert_eq!(both.matches(&path), a.matches(&path) && b.matches(&path));
            }
            if a.matches(&path) && b.matches(&path) {
                prop_assert!(a.both(&b).unwrap().matches(&path));
                prop_assert!(b.both(&a).unwrap().matches(&path));
            }
        }
    }
}
