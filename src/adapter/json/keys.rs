//! The keys of a document's objects: which stands twice, and where each leads.

use super::Wrong;
use super::lex::{self, Text};
use super::path::{Paths, Places};

/// Objects of up to so many keys are compared pair by pair, larger ones are sorted.
const FEW: usize = 8;

/// The keys of all open objects.
#[derive(Default)]
pub struct Keys {
    open: Vec<Text>,
    /// Of the object at hand, by what tells most keys apart.
    sorted: Vec<(u64, usize)>,
}

impl Keys {
    pub fn len(&self) -> usize {
        self.open.len()
    }

    pub fn push(&mut self, key: Text) {
        self.open.push(key);
    }

    /// Closes the object whose keys are those from `first` on.
    ///
    /// # Errors
    /// A key stands twice.
    pub fn close(&mut self, document: &str, first: usize) -> Result<(), Wrong> {
        let twice = self.duplicate(document, first)?;
        self.open.truncate(first);
        twice.map_or(Ok(()), |at| Err(Wrong::Duplicate(at)))
    }

    /// Where a key stands for the second time.
    fn duplicate(&mut self, document: &str, first: usize) -> Result<Option<usize>, Wrong> {
        let Self { open, sorted } = self;
        let keys = &open[first..];
        if keys.iter().any(|key| key.escaped) {
            return duplicate_decoded(document, keys);
        }
        let text = |key: &Text| &document.as_bytes()[key.span.clone()];
        if keys.len() <= FEW {
            for (i, key) in keys.iter().enumerate() {
                if keys[..i].iter().any(|other| text(other) == text(key)) {
                    return Ok(Some(key.span.start));
                }
            }
            return Ok(None);
        }
        sorted.clear();
        sorted.extend(keys.iter().enumerate().map(|(i, key)| (mark(text(key)), i)));
        sorted.sort_unstable_by(|(one, i), (other, j)| {
            let by_text = || text(&keys[*i]).cmp(text(&keys[*j]));
            one.cmp(other).then_with(by_text).then(i.cmp(j))
        });
        let twice = sorted.windows(2).find(|pair| {
            let (i, j) = (pair[0].1, pair[1].1);
            pair[0].0 == pair[1].0 && text(&keys[i]) == text(&keys[j])
        });
        Ok(twice.map(|pair| keys[pair[1].1].span.start))
    }
}

/// The first seven bytes and the length.
fn mark(key: &[u8]) -> u64 {
    let front = key
        .iter()
        .take(7)
        .fold(0, |word: u64, byte| word << 8 | u64::from(*byte));
    front << 8 | (key.len() as u64 & 0xFF)
}

fn duplicate_decoded(document: &str, keys: &[Text]) -> Result<Option<usize>, Wrong> {
    let mut sorted = keys
        .iter()
        .map(|key| Ok((lex::decoded(document, key)?, key.span.start)))
        .collect::<Result<Vec<_>, Wrong>>()?;
    sorted.sort_unstable();
    Ok(sorted
        .windows(2)
        .find(|pair| pair[0].0 == pair[1].0)
        .map(|pair| pair[1].1))
}

/// Objects of one array have the same keys: what the last ones led to is remembered.
pub struct Lookup<'d> {
    known: [Option<Known<'d>>; SLOTS],
}

const SLOTS: usize = 32;

#[derive(Clone, Copy)]
struct Known<'d> {
    from: Places,
    key: &'d [u8],
    /// `None`: the key merely resembles one that is picked.
    to: Option<Places>,
}

impl<'d> Lookup<'d> {
    pub fn new() -> Self {
        Self {
            known: [None; SLOTS],
        }
    }

    /// Where the member of that key leads; `None` where it resembles a picked one.
    pub fn member(
        &mut self,
        paths: &Paths,
        from: Places,
        document: &'d str,
        key: &Text,
    ) -> Result<Option<Places>, Wrong> {
        let raw = &document.as_bytes()[key.span.clone()];
        let (first, last) = (raw.first(), raw.last());
        let slot =
            raw.len() ^ usize::from(*first.unwrap_or(&0)) ^ usize::from(*last.unwrap_or(&0)) << 1;
        let slot = &mut self.known[slot % SLOTS];
        if let Some(known) = slot
            && known.from == from
            && known.key == raw
        {
            return Ok(known.to);
        }
        let decoded = lex::decoded(document, key)?;
        let to = match paths.resembles(from, &decoded) {
            true => None,
            false => Some(paths.member(from, &decoded)),
        };
        *slot = Some(Known { from, key: raw, to });
        Ok(to)
    }
}
