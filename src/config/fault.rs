//! What is wrong with a configuration: collected, never thrown one at a time.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::ops::Range;

/// One fault, at the place where the operator has to look.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The file's name relative to the configuration directory.
    pub file: String,
    /// From 1, as editors count.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            column,
            message,
        } = self;
        write!(f, "{file}:{line}:{column}: {message}")
    }
}

/// All faults of all files, in order of file and place, one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// A value that is in force, and where it was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The file whose value it is, or would be.
    pub file: String,
    /// `keys.epoch_max_age`, `listener[1].bind`.
    pub key: String,
    /// As TOML writes it. Secrets are named by their file, so none stands here.
    pub value: String,
    /// The line that says so; `None` for a default.
    pub line: Option<usize>,
}

/// A file's text under the name that faults give it.
pub(super) struct Source {
    pub name: String,
    pub text: String,
}

impl Source {
    /// Line and column of a byte offset.
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }
}

/// Collects faults and decisions while files are read.
#[derive(Default)]
pub(super) struct Report {
    faults: RefCell<Vec<Fault>>,
    decisions: RefCell<Vec<Decision>>,
    /// Where each value that may stand once only was first seen.
    claims: RefCell<BTreeMap<(&'static str, String), String>>,
}

impl Report {
    pub fn fault(&self, source: &Source, span: &Range<usize>, message: impl Into<String>) {
        let (line, column) = source.place(span.start);
        self.faults.borrow_mut().push(Fault {
            file: source.name.clone(),
            line,
            column,
            message: message.into(),
        });
    }

    /// A fault of a file as a whole, or of one that can't be read.
    pub fn file_fault(&self, file: &str, message: impl Into<String>) {
        self.faults.borrow_mut().push(Fault {
            file: file.to_owned(),
            line: 1,
            column: 1,
            message: message.into(),
        });
    }

    pub fn decision(&self, decision: Decision) {
        self.decisions.borrow_mut().push(decision);
    }

    /// Refuses the second `what` of this value.
    pub fn unique(&self, source: &Source, span: &Range<usize>, what: &'static str, value: &str) {
        let (line, _) = source.place(span.start);
        let claim = (what, value.to_owned());
        let here = format!("{}:{line}", source.name);
        let first = match self.claims.borrow_mut().entry(claim) {
            Entry::Vacant(entry) => {
                entry.insert(here);
                return;
            }
            Entry::Occupied(entry) => entry.get().clone(),
        };
        let message = format!("the {what} `{value}` stands already at {first}");
        self.fault(source, span, message);
    }

    /// Faults sorted by place, or the decisions when there is none.
    pub fn close(self) -> Result<Vec<Decision>, Faults> {
        let mut faults = self.faults.into_inner();
        if faults.is_empty() {
            return Ok(self.decisions.into_inner());
        }
        faults.sort();
        faults.dedup();
        Err(Faults(faults))
    }
}

/// The candidate that `word` was most likely meant to be; none when nothing is near.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits between two words: insertions, deletions, replacements.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        let source = Source {
            name: "x".into(),
            text: "a\né = 1\n".into(),
        };
        assert_eq!(source.place(0), (1, 1));
        assert_eq!(source.place(2), (2, 1));
        assert_eq!(source.place(5), (2, 3));
        assert_eq!(source.place(999), (3, 1));
    }

    #[test]
    fn a_near_word_is_found_and_a_far_one_is_not() {
        let known = ["bind", "tls12", "chain_file"];
        assert_eq!(nearest("chian_file", known), Some("chain_file"));
        assert_eq!(nearest("bnd", known), Some("bind"));
        assert_eq!(nearest("upstream", known), None);
    }
}
