//! Where a value stands in a document, and what that means.

use crate::adapter::json::path::{Named, Paths, Places};

/// What of a document is told apart from the rest.
#[derive(Debug, Default)]
pub struct Marks {
    /// Of strings.
    pub texts: Paths,
    /// Whether the strings below what `texts` pick are picked too.
    pub deep: bool,
    pub numbers: Paths,
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) texts: Places,
    pub(super) numbers: Places,
    /// The path that picks what is around it.
    pub(super) within: Option<usize>,
}

impl Place {
    pub fn root(marks: &Marks) -> Self {
        Self {
            texts: marks.texts.root(),
            numbers: marks.numbers.root(),
            within: None,
        }
    }

    /// Of any element of the array that stands here.
    pub fn element(self, marks: &Marks) -> Self {
        Self {
            texts: marks.texts.element(self.texts),
            numbers: marks.numbers.element(self.numbers),
            within: self.within,
        }
    }

    /// Of a member of the object that stands here.
    pub fn member(self, marks: &Marks, key: &str) -> Self {
        Self {
            texts: marks.texts.member(self.texts, key),
            numbers: marks.numbers.member(self.numbers, key),
            within: self.within,
        }
    }

    /// The path that picks the string or container that stands here.
    pub fn text_path(self, marks: &Marks) -> Option<usize> {
        picked(&marks.texts, self.texts).or(self.within)
    }

    /// The path that picks the number that stands here.
    pub fn number_path(self, marks: &Marks) -> Option<usize> {
        picked(&marks.numbers, self.numbers)
    }
}

fn picked(paths: &Paths, place: Places) -> Option<usize> {
    if place == 0 {
        return None;
    }
    match paths.named(place) {
        Some(Named::Picked(path)) => Some(path),
        _ => None,
    }
}
