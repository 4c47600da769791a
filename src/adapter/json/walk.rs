//! One pass over a document: checks it, follows the paths, replaces what they pick.

use super::keys::{Keys, Lookup};
use super::lex::{self, Text};
use super::path::{Named, Paths, Places};
use super::{MAX_DEPTH, Picked, Value, Wrong};

/// Copies the document with each picked value replaced by what `replace` gives for it, written as JSON; `None` keeps it.
///
/// # Errors
/// A document that is malformed or holds what no path names; or `replace`'s own.
pub fn rewrite<E: From<Wrong>>(
    document: &[u8],
    paths: &Paths,
    mut replace: impl FnMut(Picked<'_>) -> Result<Option<String>, E>,
) -> Result<Vec<u8>, E> {
    let document =
        simdutf8::compat::from_utf8(document).map_err(|e| Wrong::Utf8(e.valid_up_to()))?;
    let mut walk = Walk {
        document,
        bytes: document.as_bytes(),
        paths,
        at: 0,
        frames: Vec::with_capacity(16),
        keys: Keys::default(),
        lookup: Lookup::new(),
    };
    let mut out = Vec::with_capacity(document.len() + document.len() / 4);
    let mut written = 0;
    let mut picked = walk.value(walk.paths.root(), false)?;
    loop {
        if let Some((path, start)) = picked {
            let span = start..walk.at;
            let value = walk.picked(&span)?;
            let text = replace(Picked {
                path,
                value,
                span: span.clone(),
            })?;
            if let Some(text) = text {
                out.extend_from_slice(&walk.bytes[written..span.start]);
                out.extend_from_slice(text.as_bytes());
                written = span.end;
            }
        }
        if walk.frames.is_empty() {
            break;
        }
        picked = walk.next()?;
    }
    walk.skip_space();
    if walk.at < document.len() {
        return Err(Wrong::Trailing(walk.at).into());
    }
    out.extend_from_slice(&walk.bytes[written..]);
    Ok(out)
}

/// # Errors
/// The document is malformed.
pub fn check(document: &[u8]) -> Result<(), Wrong> {
    rewrite(document, &Paths::all_clear(), |_| Ok(None)).map(|_: Vec<u8>| ())
}

/// An open array or object.
struct Frame {
    object: bool,
    place: Places,
    clear: bool,
    /// Its first key among all.
    keys: usize,
    empty: bool,
}

/// The path that picks a value, and where that begins. It ends where the walk is.
type Pick = Option<(usize, usize)>;

struct Walk<'d, 'p> {
    document: &'d str,
    bytes: &'d [u8],
    paths: &'p Paths,
    at: usize,
    frames: Vec<Frame>,
    keys: Keys,
    lookup: Lookup<'d>,
}

impl<'d> Walk<'d, '_> {
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Result<u8, Wrong> {
        self.skip_space();
        self.bytes
            .get(self.at)
            .copied()
            .ok_or(Wrong::Syntax(self.at))
    }

    /// The next value of the innermost array or object, or its end.
    fn next(&mut self) -> Result<Pick, Wrong> {
        let byte = self.peek()?;
        let Some(frame) = self.frames.last_mut() else {
            return Ok(None);
        };
        if byte == if frame.object { b'}' } else { b']' } {
            self.at += 1;
            return self.close();
        }
        if !std::mem::take(&mut frame.empty) {
            if byte != b',' {
                return Err(Wrong::Syntax(self.at));
            }
            self.at += 1;
        }
        let (object, place, clear) = (frame.object, frame.place, frame.clear);
        if object {
            self.member(place, clear)
        } else {
            self.value(self.paths.element(place), clear)
        }
    }

    fn member(&mut self, place: Places, clear: bool) -> Result<Pick, Wrong> {
        if self.peek()? != b'"' {
            return Err(Wrong::Syntax(self.at));
        }
        let start = self.at;
        let (key, end) = lex::string(self.document, start)?;
        self.at = end;
        let place = if place == 0 {
            0
        } else {
            let to = self.lookup.member(self.paths, place, self.document, &key)?;
            to.ok_or(Wrong::Unnamed(start))?
        };
        if place == 0 && !clear {
            return Err(Wrong::Unnamed(start));
        }
        self.keys.push(key);
        if self.peek()? != b':' {
            return Err(Wrong::Syntax(self.at));
        }
        self.at += 1;
        self.value(place, clear)
    }

    fn value(&mut self, place: Places, clear: bool) -> Result<Pick, Wrong> {
        let first = self.peek()?;
        let start = self.at;
        let named = if place == 0 {
            None
        } else {
            self.paths.named(place)
        };
        let clear = clear || named == Some(Named::Clear);
        match first {
            b'{' | b'[' => self.open(first == b'{', place, clear)?,
            b'"' => self.at = lex::string(self.document, start)?.1,
            b'-' | b'0'..=b'9' => self.at = lex::number(self.bytes, start)?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => return Err(Wrong::Syntax(start)),
        }
        if let Some(Named::Picked(path)) = named {
            return Ok(Some((path, start)));
        }
        if clear || place != 0 && matches!(first, b'{' | b'[' | b'n') {
            Ok(None)
        } else {
            Err(Wrong::Unnamed(start))
        }
    }

    /// The value that was read last.
    fn picked(&self, span: &std::ops::Range<usize>) -> Result<Value<'d>, Wrong> {
        Ok(match self.bytes[span.start] {
            b'"' => {
                let content = span.start + 1..span.end - 1;
                let text = Text {
                    escaped: memchr::memchr(b'\\', &self.bytes[content.clone()]).is_some(),
                    span: content,
                };
                Value::Text(lex::decoded(self.document, &text)?)
            }
            b'-' | b'0'..=b'9' => Value::Number(&self.document[span.clone()]),
            b'n' => Value::Null,
            _ => Value::Other,
        })
    }

    fn word(&mut self, word: &str) -> Result<(), Wrong> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(Wrong::Syntax(self.at));
        }
        self.at += word.len();
        Ok(())
    }

    fn open(&mut self, object: bool, place: Places, clear: bool) -> Result<(), Wrong> {
        if self.frames.len() == MAX_DEPTH {
            return Err(Wrong::Depth(self.at));
        }
        self.at += 1;
        self.frames.push(Frame {
            object,
            place,
            clear,
            keys: self.keys.len(),
            empty: true,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<Pick, Wrong> {
        if let Some(frame) = self.frames.pop() {
            self.keys.close(self.document, frame.keys)?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::adapter::json::Path;

    fn paths(picked: &[&str], clear: &[&str]) -> Paths {
        let parse = |text: &&str| Path::parse(text).unwrap();
        let picked: Vec<Path> = picked.iter().map(parse).collect();
        let clear: Vec<Path> = clear.iter().map(parse).collect();
        Paths::new(&picked, &clear).unwrap()
    }

    /// Every picked string becomes `<its path's index:its text>`.
    fn marked(document: &str, paths: &Paths) -> Result<String, Wrong> {
        let out = rewrite(document.as_bytes(), paths, |picked| {
            Ok(match picked.value {
                Value::Text(text) => Some(json!(format!("<{}:{text}>", picked.path)).to_string()),
                Value::Null => None,
                _ => return Err(Wrong::Kind(picked.span.start)),
            })
        })?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn only_what_is_picked_changes() {
        let p = paths(&["$.a", "$..t"], &["$"]);
        let document = "\n{ \"n\" : 1.0e+400, \"a\":\"\\u00e9\\ud83d\\ude00\\n\" ,\"l\":[ {\"t\":\"x\"}, -0 , true ],\"z\":null}\t";
        let expected = "\n{ \"n\" : 1.0e+400, \"a\":\"<0:é😀\\n>\" ,\"l\":[ {\"t\":\"<1:x>\"}, -0 , true ],\"z\":null}\t";
        assert_eq!(marked(document, &p).unwrap(), expected);
        assert_eq!(marked("{\"a\":null}", &p).unwrap(), "{\"a\":null}");
    }

    #[test]
    fn what_no_path_names_is_refused() {
        let p = paths(&["$.body"], &["$.type", "$.info"]);
        assert!(
            marked(
                r#"{"body":"x","type":"t","info":{"any":[1,{"d":"e"}]}}"#,
                &p
            )
            .is_ok()
        );
        for (document, at) in [
            (r#"{"body":"x","other":"y"}"#, 12),
            (r#"{"body":"x","other":{}}"#, 12),
            (r#"{"body":"x","other":null}"#, 12),
            (r#"["x"]"#, 1),
            (r#""x""#, 0),
            ("1", 0),
        ] {
            assert_eq!(marked(document, &p), Err(Wrong::Unnamed(at)), "{document}");
        }
        assert_eq!(marked(r#"{"body":1}"#, &p), Err(Wrong::Kind(8)));
        assert_eq!(marked(r#"{"body":["x"]}"#, &p), Err(Wrong::Kind(8)));
        assert_eq!(marked("{}", &p).unwrap(), "{}");
    }

    #[test]
    fn dangerous_documents_are_refused() {
        let p = paths(&[], &["$"]);
        for (document, wrong) in [
            (r#"{"a":1,"a":2}"#, Wrong::Duplicate(8)),
            (r#"{"a":1,"\u0061":2}"#, Wrong::Duplicate(8)),
            (r#"{"a":{"b":1,"c":2,"b":3}}"#, Wrong::Duplicate(19)),
            (r#""\u0000""#, Wrong::Nul(1)),
            (r#""\ud800""#, Wrong::Surrogate(1)),
            (r#""\ud800\u0041""#, Wrong::Surrogate(1)),
            (r#""\udc00""#, Wrong::Surrogate(1)),
            ("{} x", Wrong::Trailing(3)),
            ("{}{}", Wrong::Trailing(2)),
            ("", Wrong::Syntax(0)),
            ("\"a\u{1}\"", Wrong::Syntax(2)),
            ("\u{feff}{}", Wrong::Syntax(0)),
            ("01", Wrong::Trailing(1)),
            ("1.", Wrong::Syntax(2)),
            ("[1,]", Wrong::Syntax(3)),
            ("{,}", Wrong::Syntax(1)),
            ("{\"a\":1,}", Wrong::Syntax(7)),
            ("nul", Wrong::Syntax(0)),
        ] {
            assert_eq!(marked(document, &p), Err(wrong), "{document:?}");
        }
        let eight: String = (0..9).map(|i| format!("\"k{i}\":0,")).collect();
        assert!(marked(&format!("{{{eight}\"k9\":0}}"), &p).is_ok());
        let twice = marked(&format!("{{{eight}\"k3\":0}}"), &p);
        assert!(matches!(twice, Err(Wrong::Duplicate(_))));
        let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(marked(&deep(MAX_DEPTH), &p).is_ok());
        assert_eq!(
            marked(&deep(MAX_DEPTH + 1), &p),
            Err(Wrong::Depth(MAX_DEPTH))
        );
        let broken = rewrite::<Wrong>(b"\"\xff\"", &p, |_| Ok(None));
        assert_eq!(broken, Err(Wrong::Utf8(1)));
    }

    fn value() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<f64>().prop_map(|n| json!(n)),
            any::<i64>().prop_map(Json::from),
            "\\PC{0,8}".prop_map(Json::from),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::from),
                prop::collection::btree_map("[a-c\"\\\\é]{0,2}", inner, 0..5)
                    .prop_map(|map| Json::Object(map.into_iter().collect())),
            ]
        })
    }

    /// What `marked` does, by the book.
    fn expected(value: &mut Json, under_t: bool) {
        match value {
            Json::String(text) if under_t => *text = format!("<0:{text}>"),
            Json::Array(items) => items.iter_mut().for_each(|item| expected(item, false)),
            Json::Object(map) => map.iter_mut().for_each(|(key, v)| expected(v, key == "a")),
            _ => {}
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn it_agrees_with_serde(value in value(), pretty in any::<bool>()) {
            let document = if pretty { format!("{value:#}") } else { value.to_string() };
            let p = paths(&["$..a"], &["$"]);
            let out = rewrite::<Wrong>(document.as_bytes(), &p, |picked| Ok(match picked.value {
                Value::Text(text) => Some(json!(format!("<0:{text}>")).to_string()),
                _ => None,
            }));
            let mut by_the_book = value;
            expected(&mut by_the_book, false);
            let out: Json = serde_json::from_slice(&out.unwrap()).unwrap();
            // through text, as the other: serde's floats change on their way
            let by_the_book: Json = serde_json::from_str(&by_the_book.to_string()).unwrap();
            prop_assert_eq!(out, by_the_book);
        }

        #[test]
        fn what_it_takes_serde_takes_too(document in "[\\[\\]{}:,\" \\\\ua0-9eE.+nulltrefas-]{0,24}") {
            let p = paths(&[], &["$"]);
            let ours = rewrite::<Wrong>(document.as_bytes(), &p, |_| Ok(None));
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&document);
            match ours {
                Ok(out) => {
                    prop_assert_eq!(out, document.as_bytes());
                    prop_assert!(theirs.is_ok(), "{}", document);
                }
                Err(Wrong::Syntax(_) | Wrong::Trailing(_)) => prop_assert!(theirs.is_err(), "{}", document),
                Err(_) => {}
            }
        }
    }
}
