//! The names of an upload's chunks, and what the state keeps of each.

use crate::seal::layout::MIN_RUN;
use crate::seal::run::{ENTRY, RunEntry};

/// How clients name their chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `1`, `00002`
    Number = 1,
    /// `000000000000000-000000010485760`: first byte and end
    Bytes = 2,
}

/// A chunk's name, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    pub style: Style,
    /// Digits of a number in the name.
    width: u8,
    number: u64,
}

impl Chunk {
    pub fn parse(name: &str) -> Option<Self> {
        let digits = |text: &str| {
            let plain = (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| text.parse().ok()).flatten()
        };
        let (style, first) = match name.split_once('-') {
            None => (Style::Number, name),
            Some((first, end)) => {
                let _: u64 = digits(end)?;
                (Style::Bytes, first)
            }
        };
        Some(Self {
            style,
            width: u8::try_from(first.len()).ok()?,
            number: digits(first)?,
        })
    }

    /// The run's number: in the order of the chunks, from 1 up.
    pub fn part(&self) -> Option<u32> {
        let part = match self.style {
            Style::Number => self.number.checked_add(1)?,
            // no chunk but the last is shorter than this
            Style::Bytes => self.number / MIN_RUN + 1,
        };
        u32::try_from(part).ok().filter(|part| *part != u32::MAX)
    }

    /// The name of a chunk that comes after this one, which ends at `total`.
    pub fn after(&self, total: u64) -> String {
        let width = usize::from(self.width);
        match self.style {
            Style::Number => format!("{:0width$}", self.number + 1),
            Style::Bytes => format!("{:0width$}-{:0width$}", total + 1, total + 2),
        }
    }
}

/// What the state keeps of a chunk.
pub(super) struct Row {
    pub chunk: Chunk,
    pub entry: RunEntry,
}

impl Row {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.chunk.style as u8, self.chunk.width];
        out.extend_from_slice(&self.chunk.number.to_be_bytes());
        out.extend_from_slice(&self.entry.encode());
        out
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let ([style, width], rest) = bytes.split_first_chunk()?;
        let (number, entry) = rest.split_first_chunk()?;
        let entry: &[u8; ENTRY] = entry.try_into().ok()?;
        Some(Self {
            chunk: Chunk {
                style: match style {
                    1 => Style::Number,
                    2 => Style::Bytes,
                    _ => return None,
                },
                width: *width,
                number: u64::from_be_bytes(*number),
            },
            entry: RunEntry::decode(entry),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_either_kind() {
        let chunk = Chunk::parse("00002").unwrap();
        assert_eq!((chunk.part(), chunk.after(0)), (Some(3), "00003".into()));
        let first = Chunk::parse("000000000000000-000000010485760").unwrap();
        let second = Chunk::parse("000000010485760-000000010485761").unwrap();
        assert_eq!((first.part(), second.part()), (Some(1), Some(33)));
        assert_eq!(second.after(10_485_761), "000000010485762-000000010485763");
        for name in [
            "",
            ".file",
            "a",
            "1-",
            "-1",
            "1-2-3",
            "+1",
            "9999999999999999999",
        ] {
            assert_eq!(Chunk::parse(name), None, "{name}");
        }
        assert_eq!(Chunk::parse("99999999999").unwrap().part(), None);
    }
}
