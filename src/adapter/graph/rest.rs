//! Paths of SharePoint's own REST interface (`_api/web/...`), whose arguments hold paths themselves: they are read decoded.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::route::{Api, Place, Route, function, segments};
use crate::error::{PROTOCOL, Refusal};

const FOLDERS: [&str; 3] = [
    "GetFolderByServerRelativeUrl",
    "GetFolderByServerRelativePath",
    "GetFolderById",
];
const FILES: [&str; 3] = [
    "GetFileByServerRelativeUrl",
    "GetFileByServerRelativePath",
    "GetFileById",
];
const LISTS: [&str; 2] = ["GetByTitle", "GetById"];
/// Of a child of a folder.
const CHILDREN: [&str; 2] = ["GetByUrl", "GetByPath"];

/// Whether the path is of this interface, and not of the drive API at the same host.
pub(super) fn is_rest(path: &str) -> bool {
    let segments = segments(path);
    let api = segments.iter().position(|segment| is_api(segment));
    api.is_some_and(|at| !matches!(segments.get(at + 1), Some(&("v2.0" | "v2.1"))))
}

/// Whether a client wants the older form of JSON, with everything below `d` (OData 2.0, "JSON format").
pub(super) fn is_verbose(accept: &str) -> bool {
    accept.replace(' ', "").contains("odata=verbose")
}

fn is_api(segment: &str) -> bool {
    segment.eq_ignore_ascii_case("_api")
}

/// The path, decoded. `<drive>` stands for a folder there, `<item>` for a file, `listitem` for an item of a list.
///
/// # Errors
/// Quotes that do not match, or what no path holds.
pub(super) fn route(decoded: &str) -> Result<Route<'_>, Refusal> {
    let path = Path::read(decoded)?;
    let (place, taken) = place(&path.words);
    let mut places: Vec<Place<'_>> = place.into_iter().collect();
    places.extend(path.words[taken..].iter().map(|word| Place::Word(word)));
    Ok(Route {
        api: Api::Rest,
        places,
        drive: None,
    })
}

/// A decoded path.
pub(super) struct Path<'p> {
    /// Before `_api`.
    pub web: Vec<&'p str>,
    /// Behind it.
    pub words: Vec<&'p str>,
}

impl<'p> Path<'p> {
    /// # Errors
    /// A path that can be read in two ways.
    pub fn read(decoded: &'p str) -> Result<Self, Refusal> {
        let mut web = quoted(decoded).ok_or_else(ambiguous)?;
        let at = web.iter().position(|segment| is_api(segment));
        let words = web.split_off(at.map_or(web.len(), |at| at + 1));
        web.pop();
        Ok(Self { web, words })
    }
}

pub(super) fn ambiguous() -> Refusal {
    Refusal::new(&PROTOCOL).message("The path's arguments can't be read in one way only.")
}

/// What the first words name, and how many they are.
fn place<'p>(words: &[&'p str]) -> (Option<Place<'p>>, usize) {
    let is = |at: usize, names: &[&str]| {
        words.get(at).is_some_and(|word| {
            names
                .iter()
                .any(|name| function(word).eq_ignore_ascii_case(name))
        })
    };
    let argument = |at: usize| words.get(at).is_some_and(|word| word.ends_with(')'));
    if !is(0, &["web"]) {
        return (None, 0);
    }
    if is(1, &FILES) {
        return (Some(Place::Item), 2);
    }
    let (list, behind) = if is(1, &["lists"]) && is(2, &LISTS) {
        (true, 3)
    } else {
        (is(1, &["lists", "GetList"]) && argument(1), 2)
    };
    if list && is(behind, &["items", "GetItemById"]) && argument(behind) {
        return (Some(Place::Word("listitem")), behind + 1);
    }
    if list && is(behind, &["items"]) && is(behind + 1, &["GetById"]) {
        return (Some(Place::Word("listitem")), behind + 2);
    }
    let mut at = if is(1, &FOLDERS) || is(1, &["RootFolder"]) {
        2
    } else if is(1, &["DefaultDocumentLibrary"]) && is(2, &["RootFolder"]) {
        3
    } else if list && is(behind, &["RootFolder"]) {
        behind + 1
    } else {
        return (None, 0);
    };
    let child = |at: usize, of: &str| match () {
        () if !is(at, &[of]) => None,
        () if argument(at) => Some(at + 1),
        () => is(at + 1, &CHILDREN).then_some(at + 2),
    };
    while let Some(below) = child(at, "Folders") {
        at = below;
    }
    match child(at, "Files") {
        Some(behind) => (Some(Place::Item), behind),
        None => (Some(Place::Drive), at),
    }
}

/// The segments of a path in which quotes keep separators together.
fn quoted(path: &str) -> Option<Vec<&str>> {
    let (mut segments, mut start, mut inside) = (Vec::new(), 0, false);
    let path = path.trim_matches('/');
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'\'' => inside = !inside,
            b'/' if !inside => {
                segments.push(&path[start..at]);
                start = at + 1;
            }
            b'\\' | b'?' | b'#' | 0..=0x1f => return None,
            _ => {}
        }
    }
    segments.push(&path[start..]);
    let plain = |segment: &&str| !matches!(*segment, "" | "." | "..");
    (!inside && segments.iter().all(plain)).then_some(segments)
}

/// One argument of a function; its name is lower case, empty where none is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Argument {
    pub name: String,
    pub value: String,
}

/// The arguments of a function: `name(url='it''s',overwrite=true,id=guid'..',place=@a)`, as they mean. `query`: where
/// aliases stand (OData 3.0, "URL Conventions", "Parameter aliases").
///
/// # Errors
/// No list of arguments, or an alias that is not given exactly once.
pub(super) fn arguments(word: &str, query: &str) -> Result<Vec<Argument>, Refusal> {
    let Some((_, list)) = word.split_once('(') else {
        return Ok(Vec::new());
    };
    let list = list.strip_suffix(')').ok_or_else(ambiguous)?.trim();
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let mut inside = false;
    let parts = list.split(|c| {
        inside ^= c == '\'';
        c == ',' && !inside
    });
    parts.map(|part| argument(part.trim(), query)).collect()
}

fn argument(part: &str, query: &str) -> Result<Argument, Refusal> {
    let named = part.split_once('=').filter(|(name, _)| {
        let name = name.trim();
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    });
    let (name, value) = named.unwrap_or(("", part));
    let value = value.trim();
    let value = match value.starts_with('@') {
        true => Cow::Owned(alias(value, query)?),
        false => Cow::Borrowed(value),
    };
    Ok(Argument {
        name: name.trim().to_ascii_lowercase(),
        value: literal(value.trim()).ok_or_else(ambiguous)?,
    })
}

/// What an alias stands for.
fn alias(name: &str, query: &str) -> Result<String, Refusal> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(String::from);
    let mut found = query.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (decoded(key).ok()? == name).then(|| decoded(value).ok())
    });
    match (found.next().flatten(), found.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(ambiguous()),
    }
}

/// What a literal means: a text or a GUID in quotes, or a bare word.
fn literal(text: &str) -> Option<String> {
    let quoted = text.strip_prefix("guid").unwrap_or(text);
    let Some(inner) = quoted.strip_prefix('\'') else {
        return (!text.contains('\'')).then(|| text.to_owned());
    };
    let inner = inner.strip_suffix('\'')?;
    let alone = inner.replace("''", "").contains('\'');
    (!alone).then(|| inner.replace("''", "'"))
}

/// What names a file, the same for all forms that do it by a path: in lower case, as SharePoint compares names. `words`:
/// those behind `web`.
///
/// # Errors
/// An argument that can't be read.
pub(super) fn file(web: &[&str], words: &[&str], query: &str) -> Result<String, Refusal> {
    let first = |word: &str| -> Result<String, Refusal> {
        let mut given = arguments(word, query)?;
        match given.is_empty() {
            true => Err(ambiguous()),
            false => Ok(given.swap_remove(0).value),
        }
    };
    let by = words.first().map_or("", |word| function(word));
    let known = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(by));
    let name = match words {
        [file] if known(&FILES) => first(file)?,
        [folder, child] | [folder, _, child] if known(&FOLDERS) => {
            let name = first(child)?;
            match name.starts_with('/') {
                true => name,
                false => format!("{}/{name}", first(folder)?.trim_end_matches('/')),
            }
        }
        // other ways to a folder: the same words name the same file
        _ => return Ok(format!("{}//{}", web.join("/"), words.join("/")).to_lowercase()),
    };
    let place = if name.starts_with('/') {
        ""
    } else if by.to_ascii_lowercase().ends_with("byid") {
        "id:"
    } else {
        &format!("/{}/", web.join("/"))
    };
    Ok(format!("{place}{name}").to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::route::matches;
    use super::*;

    #[test]
    fn files_and_folders() {
        for (path, pattern) in [
            (
                "/_api/web/GetFolderByServerRelativeUrl('/sites/s/Shared Documents')/Files/add(url='a/b',overwrite=true)",
                "<drive>/files/add()",
            ),
            (
                "/sites/s/_api/Web/GetFileByServerRelativePath(decodedurl='/a/it''s')/$value",
                "<item>/$value",
            ),
            (
                "/_api/web/getfolderbyserverrelativeurl('F')/files('x')/$value",
                "<item>/$value",
            ),
            (
                "/_api/web/RootFolder/Folders('a')/Folders/GetByUrl('b')/Files/GetByUrl('c')/$value",
                "<item>/$value",
            ),
            (
                "/_api/web/lists/GetByTitle('Documents')/RootFolder/Files",
                "<drive>/files",
            ),
            (
                "/_api/web/lists/getbytitle('a')/items(1)/AttachmentFiles/add(FileName='x')",
                "listitem/attachmentfiles/add()",
            ),
            (
                "/_api/web/lists/getbytitle('a')/items/getbyid(1)/AttachmentFiles",
                "listitem/attachmentfiles",
            ),
            (
                "/_api/web/lists(guid'1')/items(1)/AttachmentFiles('x')/$value",
                "listitem/attachmentfiles()/$value",
            ),
            ("/_api/web/GetFileById('1')", "<item>"),
            (
                "/_api/web/GetFolderById('1')/Files/AddStubUsingPath(DecodedUrl=@a)/StartUpload(uploadId=@b)",
                "<drive>/files/addstubusingpath()/startupload()",
            ),
        ] {
            assert!(is_rest(path));
            let route = route(path).unwrap();
            assert!(matches(pattern, &route.places), "{path}: {route:?}");
        }
        assert!(!is_rest("/_api/v2.0/me/drive") && !is_rest("/sites/s"));
        for path in [
            "/_api/web/x('",
            "/_api/web/../x",
            "/_api/web//x",
            "/_api/web/a\\b",
        ] {
            assert!(route(path).is_err(), "{path}");
        }
        let hidden = route("/_api/web/GetFileById('x')/a('/$value')").unwrap();
        assert!(!matches("<item>/$value", &hidden.places));
    }

    #[test]
    fn every_form_of_arguments() {
        let shown = |word: &str, query: &str| {
            let read = arguments(word, query).unwrap();
            let pairs = read.iter().map(|a| format!("{}={}", a.name, a.value));
            pairs.collect::<Vec<_>>().join(";")
        };
        assert_eq!(
            shown("Add(url='a, it''s=b',Overwrite=true)", ""),
            "url=a, it's=b;overwrite=true"
        );
        assert_eq!(
            shown("X(uploadId=guid'1-2', fileOffset= 7)", ""),
            "uploadid=1-2;fileoffset=7"
        );
        assert_eq!(shown("X('a','7')", ""), "=a;=7");
        assert_eq!(
            shown("X(a=@x, b=@y)", "@x=guid%271%27&%40y='%2Fb'"),
            "a=1;b=/b"
        );
        assert_eq!(shown("X", "") + &shown("X()", ""), "");
        for (word, query) in [
            ("X(a=@x)", ""),
            ("X(a=@x)", "@x=1&@x=2"),
            ("X(a='b)", ""),
            ("X(a='b'c')", ""),
            ("X(a", ""),
        ] {
            assert!(arguments(word, query).is_err(), "{word} {query}");
        }
    }

    #[test]
    fn a_file_is_the_same_by_whichever_path() {
        let web = ["sites", "s"];
        for words in [
            &["GetFileByServerRelativeUrl('/sites/s/D/f')"][..],
            &["getFileByServerRelativePath(DecodedUrl='D/F')"],
            &["GetFolderByServerRelativeUrl('/sites/S/D/')", "Files('f')"],
            &[
                "GetFolderByServerRelativePath(DecodedUrl=@a)",
                "Files",
                "AddStubUsingPath(DecodedUrl='f')",
            ],
            &["GetFolderById('1')", "Files", "GetByUrl('/sites/s/D/f')"],
        ] {
            let named = file(&web, words, "@a='/sites/s/D'").unwrap();
            assert_eq!(named, "/sites/s/d/f", "{words:?}");
        }
        let id = file(&web, &["GetFileById(guid'A')"], "").unwrap();
        assert_eq!(id, file(&[], &["GetFileById('a')"], "").unwrap());
        assert_ne!(
            file(&web, &["RootFolder", "Files('a')"], "").unwrap(),
            file(&[], &["RootFolder", "Files('a')"], "").unwrap()
        );
    }
}
