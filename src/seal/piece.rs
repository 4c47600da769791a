//! Bodies in pieces (`docs/tokens.md`): a text that is longer than a token holds, or in whose middle the service must read
//! something, is sealed as several tokens. The plaintext of each says which body it is of and which piece it is:
//!
//! ```text
//! piece = body id 8 | index u16 | count u16 | text (UTF-8)
//! ```
//! Integers are big-endian. What is dropped, doubled or put in another order on the way shows.

use std::sync::LazyLock;

use super::token::{Field, MAX_PLAIN};

const HEAD: usize = 12;
/// Bytes of text in a piece.
pub const PIECE: usize = MAX_PLAIN - HEAD;

/// A marker's code: pieces of a body are missing, doubled or moved.
pub const INCOMPLETE: &str = "incomplete";

/// Fields that are sealed in pieces. No other field has these names.
pub const FIELDS: [(&str, Form); 2] = [("message.html", Form::Html), ("message.text", Form::Text)];

static NAMED: LazyLock<[(Field, Form); 2]> =
    LazyLock::new(|| FIELDS.map(|(name, form)| (Field::named(name), form)));

/// How a body is written; it is known by its field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Html,
    Text,
}

impl Form {
    /// By the word `html` or `text`, in any case.
    pub fn named(word: &str) -> Option<Self> {
        match word {
            _ if word.eq_ignore_ascii_case("html") => Some(Self::Html),
            _ if word.eq_ignore_ascii_case("text") => Some(Self::Text),
            _ => None,
        }
    }

    /// Of the bodies of this field. `None`: its values are no pieces.
    pub fn of(field: Field) -> Option<Self> {
        NAMED
            .iter()
            .find(|(named, _)| *named == field)
            .map(|(_, form)| *form)
    }

    pub fn field(self) -> Field {
        let [(html, _), (text, _)] = *NAMED;
        match self {
            Self::Html => html,
            Self::Text => text,
        }
    }
}

/// Which body a piece is of, and which piece it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub id: [u8; 8],
    pub index: u16,
    pub count: u16,
}

impl Head {
    /// The piece as a token's plaintext.
    pub fn write(self, text: &str) -> Vec<u8> {
        let mut plain = Vec::with_capacity(HEAD + text.len());
        plain.extend_from_slice(&self.id);
        plain.extend_from_slice(&self.index.to_be_bytes());
        plain.extend_from_slice(&self.count.to_be_bytes());
        plain.extend_from_slice(text.as_bytes());
        plain
    }

    /// Takes the head off a token's plaintext. `None`: it is no piece.
    pub fn take(plain: &mut Vec<u8>) -> Option<Self> {
        let (id, rest) = plain.split_first_chunk::<8>()?;
        let (index, rest) = rest.split_first_chunk::<2>()?;
        let (count, _) = rest.split_first_chunk::<2>()?;
        let head = Self {
            id: *id,
            index: u16::from_be_bytes(*index),
            count: u16::from_be_bytes(*count),
        };
        plain.drain(..HEAD);
        Some(head)
    }
}

/// Follows the pieces of one text. A body may stand there several times, each time whole; two do not mingle.
#[derive(Debug, Default)]
pub struct Order {
    /// The body whose pieces come, the next one of them, and how many it has.
    open: Option<([u8; 8], u16, u16)>,
}

impl Order {
    /// The next piece. False: between it and the one before something is missing, doubled or moved.
    pub fn follows(&mut self, head: Head) -> bool {
        let Head { id, index, count } = head;
        let follows = match self.open.take() {
            Some(expected) => expected == (id, index, count),
            None => index == 0,
        };
        if index.saturating_add(1) < count {
            self.open = Some((id, index + 1, count));
        }
        follows && index < count
    }

    /// The text has ended. False: the rest of a body is missing.
    pub fn ends(&mut self) -> bool {
        self.open.take().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(id: u8, index: u16, count: u16) -> Head {
        Head {
            id: [id; 8],
            index,
            count,
        }
    }

    fn sound(pieces: &[Head]) -> bool {
        let mut order = Order::default();
        let gaps = pieces.iter().filter(|head| !order.follows(**head)).count();
        order.ends() && gaps == 0
    }

    #[test]
    fn whole_bodies_one_behind_the_other() {
        let (a, b) = ([piece(1, 0, 2), piece(1, 1, 2)], [piece(2, 0, 1)]);
        assert!(sound(&[]) && sound(&a) && sound(&b));
        assert!(sound(&[&a[..], &b, &a].concat()));
    }

    #[test]
    fn what_is_missing_doubled_moved_or_no_piece_shows() {
        let p = |index| piece(1, index, 3);
        for wrong in [
            &[p(0), p(1)][..],
            &[p(1), p(2)],
            &[p(0), p(2)],
            &[p(0), p(0), p(1), p(2)],
            &[p(0), p(1), p(2), p(2)],
            &[p(1), p(0), p(2)],
            &[p(0), piece(2, 0, 1), p(1), p(2)],
            &[p(0), piece(2, 1, 3), p(2)],
            &[p(0), piece(1, 1, 2)],
            &[piece(1, 0, 0)],
            &[piece(1, 5, 3)],
        ] {
            assert!(!sound(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_head_comes_back_and_a_short_text_is_no_piece() {
        let head = piece(7, 1, 0x0203);
        let mut plain = head.write("é");
        assert_eq!(plain[8..12], [0, 1, 2, 3]);
        assert_eq!(Head::take(&mut plain), Some(head));
        assert_eq!(plain, "é".as_bytes());
        assert_eq!(Head::take(&mut vec![0; 11]), None);
    }

    #[test]
    fn a_form_is_known_by_its_field() {
        for (name, form) in FIELDS {
            assert_eq!(Form::of(Field::named(name)), Some(form));
            assert_eq!(form.field(), Field::named(name));
        }
        assert_eq!(Form::of(Field::named("message.subject")), None);
    }
}
