//! A record that a client has read and writes back whole holds the index that the gateway wrote beside a value. The client's
//! never passes: it becomes that of the value as it is now.

use super::outgoing::own_index;
use super::settings::Sealed;
use super::values::Sealer;
use crate::adapter::json::{self, Path, Paths, Picked, Value};
use crate::error::Refusal;

/// A document with what `fields` name sealed. `paths` picks them in their order, then the members that the gateway writes itself.
///
/// # Errors
/// A document that is malformed or holds what no path names; an index without its value, or one of several.
pub(super) fn seal(
    document: &[u8],
    fields: &[Sealed<Path>],
    paths: &Paths,
    sealer: &Sealer,
) -> Result<Vec<u8>, Refusal> {
    let indexed: Vec<&Sealed<Path>> = fields
        .iter()
        .filter(|field| field.sealing.beside().is_some())
        .collect();
    if indexed.is_empty() {
        return json::rewrite(document, paths, |picked| match fields.get(picked.path) {
            Some(field) => Ok(Some(sealer.json(&field.sealing, &picked)?.value)),
            None => Err(own_index()),
        });
    }
    let indexes = written_back(document, fields, &indexed, paths, sealer)?;
    let index_of = |field: &Sealed<Path>| {
        let at = indexed.iter().position(|one| std::ptr::eq(*one, field))?;
        indexes[at].as_ref()
    };
    let sealed = json::rewrite(document, paths, |picked| match fields.get(picked.path) {
        Some(field) => {
            let sealed = sealer.json(&field.sealing, &picked)?;
            Ok(Some(match (index_of(field), sealed.beside) {
                (None, Some(beside)) => sealed.value + "," + &beside,
                _ => sealed.value,
            }))
        }
        None => {
            let text = matches!(picked.value, Value::Text(_) | Value::Null);
            let own = picked.path.checked_sub(fields.len()).filter(|_| text);
            let index = own.and_then(|at| indexes.get(at)?.clone());
            index.map(Some).ok_or_else(own_index)
        }
    })?;
    // two indexes of one name beside one another
    json::check(&sealed)?;
    Ok(sealed)
}

/// For each of `indexed`, whose index the document holds beside its value, the right one, as JSON.
fn written_back(
    document: &[u8],
    fields: &[Sealed<Path>],
    indexed: &[&Sealed<Path>],
    paths: &Paths,
    sealer: &Sealer,
) -> Result<Vec<Option<String>>, Refusal> {
    let mut values: Vec<Vec<String>> = vec![Vec::new(); indexed.len()];
    let mut written = vec![0_usize; indexed.len()];
    json::rewrite(
        document,
        paths,
        |picked: Picked<'_>| -> Result<_, Refusal> {
            match fields.get(picked.path) {
                Some(field) => {
                    let at = indexed.iter().position(|one| std::ptr::eq(*one, field));
                    if let Some(values) = at.and_then(|at| values.get_mut(at)) {
                        values.push(sealer.json_index(&field.sealing, &picked)?);
                    }
                }
                None => {
                    let at = picked.path.checked_sub(fields.len());
                    if let Some(count) = at.and_then(|at| written.get_mut(at)) {
                        *count += 1;
                    }
                }
            }
            Ok(None)
        },
    )?;
    let found = indexed.iter().zip(values).zip(written);
    Ok(found
        .map(|((field, mut values), written)| {
            // only one place can be meant: which index belongs to which value need not be found out
            let alone = written == 1 && values.len() == 1 && field.place.is_definite();
            values.pop().filter(|_| alone)
        })
        .collect())
}
