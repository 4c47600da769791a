//! `$select` on its way up. A client that asks for a file's size or hashes without what names the file gets them of its
//! plaintext nevertheless: the names are asked for too. A service may answer more than `$select` names (OData 4.01 part 1
//! section 11.2.5.1), so they stay in the answer; links to further pages bring them as well.

use std::ops::Range;

use percent_encoding::percent_decode_str;

use super::table::{Row, Selection};
use crate::error::{PROTOCOL, Refusal, SEARCH_SEALED};

/// What the index knows a file by, and what tells that it is one. An address that carries its own proof is not among
/// them: nobody is given one who did not ask.
const IDENTITY: [&str; 6] = ["id", "eTag", "cTag", "parentReference", "size", "file"];
/// Relations whose other end is an item of a drive.
const RELATIONS: [&str; 5] = ["children", "driveItem", "special", "bundles", "following"];
/// Levels of `$expand` in one another.
const MAX_DEPTH: usize = 8;

/// Path and query as the provider is asked, where they are others than the client's.
///
/// # Errors
/// An option that stands twice, or looks for what is sealed, or can't be read.
pub(super) fn extended(row: &Row, target: &str) -> Result<Option<String>, Refusal> {
    let (Some(selection), Some((path, query))) = (row.selection(), target.split_once('?')) else {
        return Ok(None);
    };
    let (mut out, mut changed, mut seen) =
        (String::with_capacity(target.len() + 64), false, [false; 2]);
    out.push_str(path);
    for (at, pair) in query.split('&').enumerate() {
        out.push(if at == 0 { '?' } else { '&' });
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let which = match decoded(name)?
            .trim_start_matches('$')
            .to_ascii_lowercase()
            .as_str()
        {
            "select" => 0,
            "expand" => 1,
            _ => {
                out.push_str(pair);
                continue;
            }
        };
        if std::mem::replace(&mut seen[which], true) {
            return Err(Refusal::new(&PROTOCOL).message("A query option stands twice."));
        }
        let text = decoded(value)?;
        let mut added = Vec::new();
        match which {
            0 => added.extend(lacking(&text, selection).map(|names| (text.len(), names))),
            _ => expand(&text, 0..text.len(), MAX_DEPTH, &mut added)?,
        }
        changed |= !added.is_empty();
        let mut value = value.to_owned();
        for (place, names) in added.into_iter().rev() {
            value.insert_str(written(&value, place), &names);
        }
        out.push_str(name);
        out.push('=');
        out.push_str(&value);
    }
    Ok(changed.then_some(out))
}

fn unreadable() -> Refusal {
    Refusal::new(&PROTOCOL).message("A query option can't be read.")
}

fn decoded(text: &str) -> Result<String, Refusal> {
    let text = percent_decode_str(text).decode_utf8();
    text.map(|text| text.into_owned()).map_err(|_| unreadable())
}

/// Where in an escaped text the byte stands that has this place once it is decoded.
fn written(escaped: &str, place: usize) -> usize {
    let bytes = escaped.as_bytes();
    let hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    (0..place).fold(0, |at, _| match bytes.get(at) {
        Some(b'%') if hex(at + 1) && hex(at + 2) => at + 3,
        _ => at + 1,
    })
}

/// What is to be asked for beside the names of a list, with the commas before.
fn lacking(list: &str, selection: Selection) -> Option<String> {
    let first = |name: &str| {
        name.trim()
            .split('/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let names: Vec<String> = list.split(',').map(first).collect();
    let has = |wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
    let needed = match selection {
        Selection::Items => has("size") || has("file"),
        Selection::Uploaded => true,
        Selection::Others => false,
    };
    if !needed || has("*") || list.is_empty() {
        return None;
    }
    let added: String = IDENTITY
        .iter()
        .filter(|name| !has(name))
        .map(|name| format!(",{name}"))
        .collect();
    (!added.is_empty()).then_some(added)
}

/// The parts of a range between separators that stand in no parentheses and no quotes.
fn parts(text: &str, range: Range<usize>, separator: u8) -> Vec<Range<usize>> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), range.start, 0usize, false);
    for at in range.clone() {
        match text.as_bytes()[at] {
            b'\'' => quoted = !quoted,
            _ if quoted => {}
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            byte if byte == separator && depth == 0 => {
                parts.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(start..range.end);
    parts
}

/// What is to be asked for in the lists of `$expand`, and where: `children($select=name,size;$expand=…)`.
fn expand(
    text: &str,
    range: Range<usize>,
    depth: usize,
    added: &mut Vec<(usize, String)>,
) -> Result<(), Refusal> {
    for item in parts(text, range, b',') {
        let Some(open) = text[item.clone()].find('(') else {
            continue;
        };
        let inner = item.start + open + 1..item.end.saturating_sub(1);
        if depth == 0 || !text[item.clone()].ends_with(')') || inner.start > inner.end {
            return Err(unreadable());
        }
        let relation = text[item.start..item.start + open].trim();
        let relation = relation.rsplit('/').next().unwrap_or_default();
        let selection = match RELATIONS
            .iter()
            .any(|name| name.eq_ignore_ascii_case(relation))
        {
            true => Selection::Items,
            false => Selection::Others,
        };
        for option in parts(text, inner, b';') {
            let Some(equals) = text[option.clone()].find('=') else {
                continue;
            };
            let name = text[option.start..option.start + equals]
                .trim()
                .to_ascii_lowercase();
            let value = option.start + equals + 1..option.end;
            match name.trim_start_matches('$') {
                "select" => {
                    let names = lacking(&text[value], selection);
                    added.extend(names.map(|names| (option.end, names)));
                }
                "expand" => expand(text, value, depth - 1, added)?,
                "filter" | "search" => return Err(Refusal::new(&SEARCH_SEALED)),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::graph::table::{PARTS, Row};

    fn row(name: &str) -> &'static Row {
        let mut rows = PARTS.iter().flat_map(|(_, rows)| *rows);
        rows.find(|row| row.name == name).unwrap()
    }

    fn asked(name: &str, target: &str) -> Option<String> {
        extended(row(name), target).unwrap()
    }

    #[test]
    fn what_names_a_file_is_asked_for_with_its_size() {
        for (target, sent) in [
            (
                "/c?$select=name,size",
                "/c?$select=name,size,id,eTag,cTag,parentReference,file",
            ),
            (
                "/c?select=id,file&$top=2",
                "/c?select=id,file,eTag,cTag,parentReference,size&$top=2",
            ),
            (
                "/c?%24select=name%2Csize",
                "/c?%24select=name%2Csize,id,eTag,cTag,parentReference,file",
            ),
            (
                "/c?$select=file/hashes,id",
                "/c?$select=file/hashes,id,eTag,cTag,parentReference,size",
            ),
            (
                "/c?$expand=children($select=size;$top=1),thumbnails",
                "/c?$expand=children($select=size,id,eTag,cTag,parentReference,file;$top=1),thumbnails",
            ),
            (
                "/c?%24expand=children%28%24select%3Dsize%29&a=b",
                "/c?%24expand=children%28%24select%3Dsize,id,eTag,cTag,parentReference,file%29&a=b",
            ),
            (
                "/c?$expand=children($expand=children($select=file);$select=size,id)",
                "/c?$expand=children($expand=children($select=file,id,eTag,cTag,parentReference,size);$select=size,id,eTag,cTag,parentReference,file)",
            ),
        ] {
            assert_eq!(
                asked("ListChildren", target).as_deref(),
                Some(sent),
                "{target}"
            );
        }
    }

    #[test]
    fn what_asks_for_no_size_goes_on_byte_for_byte() {
        for target in [
            "/c",
            "/c?",
            "/c?$top=1&&x",
            "/c?$select=id,name",
            "/c?$select=*,size",
            "/c?$select=size,file,id,cTag,eTag,parentReference",
            "/c?$select=",
            "/c?$expand=children",
            "/c?$expand=listItem($select=size)",
            "/c?$expand=children($select=name)",
        ] {
            assert_eq!(asked("ListChildren", target), None, "{target}");
        }
        assert_eq!(asked("GetDrive", "/d?$select=size"), None);
        assert_eq!(asked("GetContent", "/d?$select=size"), None);
    }

    #[test]
    fn of_what_is_uploaded_the_names_are_always_wanted() {
        assert_eq!(
            asked("PutContent", "/c?$select=name").as_deref(),
            Some("/c?$select=name,id,eTag,cTag,parentReference,size,file")
        );
    }

    #[test]
    fn what_can_be_read_in_two_ways_or_looks_for_something_is_refused() {
        let row = row("GetItem");
        let deep = format!("/c?$expand={}{}", "a($expand=".repeat(40), ")".repeat(40));
        for target in [
            "/c?$select=size&select=id",
            "/c?$expand=children($select=size",
            "/c?$expand=children($filter=name eq 'x')",
            "/c?$select=%ff",
            &deep,
        ] {
            assert!(extended(row, target).is_err(), "{target}");
        }
    }
}
