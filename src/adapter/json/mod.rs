//! JSON, read as spans and never written anew: values are replaced in place, every other byte stays what it was.

#[cfg(test)]
mod differential;
mod lex;
mod number;
pub mod path;
mod stream;
mod utf8;
mod walk;

use std::fmt;
use std::ops::Range;

use crate::error::{PROTOCOL, RULE_VIOLATED, Refusal};

pub use self::path::{Path, Paths};
pub use self::stream::{Marks, Stream, Stretch};
pub use self::walk::{check, rewrite};

/// Levels of arrays and objects in one another.
pub const MAX_DEPTH: usize = 64;

/// Why a document is refused, and at which byte. Nothing of the document is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    Utf8(usize),
    Syntax(usize),
    Depth(usize),
    /// A key that stands twice in one object: two readers could take two values.
    Duplicate(usize),
    /// An escaped NUL.
    Nul(usize),
    /// Half of a surrogate pair.
    Surrogate(usize),
    /// Something follows the document.
    Trailing(usize),
    /// No path names this member or value.
    Unnamed(usize),
    /// A value that is to be replaced is no string.
    Kind(usize),
}

impl Wrong {
    /// The same, `by` bytes further on.
    fn moved(self, by: usize) -> Self {
        match self {
            Self::Utf8(at) => Self::Utf8(at + by),
            Self::Syntax(at) => Self::Syntax(at + by),
            Self::Depth(at) => Self::Depth(at + by),
            Self::Duplicate(at) => Self::Duplicate(at + by),
            Self::Nul(at) => Self::Nul(at + by),
            Self::Surrogate(at) => Self::Surrogate(at + by),
            Self::Trailing(at) => Self::Trailing(at + by),
            Self::Unnamed(at) => Self::Unnamed(at + by),
            Self::Kind(at) => Self::Kind(at + by),
        }
    }

    /// The byte, counted from 0.
    pub fn at(self) -> usize {
        match self {
            Self::Utf8(at)
            | Self::Syntax(at)
            | Self::Depth(at)
            | Self::Duplicate(at)
            | Self::Nul(at)
            | Self::Surrogate(at)
            | Self::Trailing(at)
            | Self::Unnamed(at)
            | Self::Kind(at) => at,
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Utf8(_) => "is not UTF-8",
            Self::Syntax(_) => "is no JSON",
            Self::Depth(_) => "is nested deeper than 64 levels",
            Self::Duplicate(_) => "repeats a key of the same object",
            Self::Nul(_) => "holds a NUL",
            Self::Surrogate(_) => "holds half of a surrogate pair",
            Self::Trailing(_) => "goes on after its end",
            Self::Unnamed(_) => "holds a value that the service's rule does not name",
            Self::Kind(_) => "holds something else than a string where a string is to be sealed",
        };
        write!(f, "The JSON document {what}, at byte {}.", self.at())
    }
}

impl From<Wrong> for Refusal {
    fn from(wrong: Wrong) -> Self {
        let code = match wrong {
            Wrong::Unnamed(_) | Wrong::Kind(_) => &RULE_VIOLATED,
            _ => &PROTOCOL,
        };
        Refusal::new(code).message(wrong.to_string())
    }
}

/// A value that a path picks.
#[derive(Debug)]
pub enum Value<'d> {
    /// Decoded.
    Text(std::borrow::Cow<'d, str>),
    /// As it is written.
    Number(&'d str),
    Null,
    /// A truth value, an object or an array.
    Other,
}

/// A picked value and where it stands, quotes included.
#[derive(Debug)]
pub struct Picked<'d> {
    /// Which of the paths.
    pub path: usize,
    pub value: Value<'d>,
    pub span: Range<usize>,
}
