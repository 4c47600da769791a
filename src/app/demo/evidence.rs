//! What can be said of bytes without knowing how they came about.

use std::collections::HashSet;

/// Bytes of a piece.
const PIECE: usize = 16;
/// A piece of fewer different bytes (padding, a run of white pixels) says nothing about whose it is.
const DISTINCT: usize = 5;

/// Finds plaintext wherever it lies: known are all pieces of 16 bytes that begin at a multiple of 16, so every stretch
/// of 31 bytes of a known file holds one, unless all of it is padding.
#[derive(Default)]
pub struct Search(HashSet<u128>);

impl Search {
    /// How many of the pieces are told apart from padding.
    pub fn learn(&mut self, known: &[u8]) -> usize {
        let telling = known
            .as_chunks::<PIECE>()
            .0
            .iter()
            .filter(|piece| telling(piece));
        telling
            .map(|piece| self.0.insert(u128::from_le_bytes(*piece)))
            .count()
    }

    /// How many places of `bytes` hold a known piece, at any alignment.
    pub fn count(&self, bytes: &[u8]) -> usize {
        let windows = bytes
            .windows(PIECE)
            .filter_map(|w| w.first_chunk::<PIECE>());
        windows
            .filter(|piece| self.0.contains(&u128::from_le_bytes(**piece)))
            .count()
    }
}

fn telling(piece: &[u8; PIECE]) -> bool {
    let mut seen = [false; 256];
    let mut distinct = 0;
    for byte in piece {
        let known = &mut seen[usize::from(*byte)];
        distinct += usize::from(!*known);
        *known = true;
    }
    distinct >= DISTINCT
}

/// Shannon's entropy of the bytes' frequencies, in bits a byte; 8 is what no pattern at all looks like.
pub fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0u64; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let total = bytes.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = *count as f64 / total;
            -share * share.log2()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plaintext_is_found_at_any_place() {
        let known: Vec<u8> = (0..4096u32).map(|i| (i * i / 7 % 251) as u8).collect();
        let mut search = Search::default();
        assert_eq!(search.learn(&known), 256);
        for offset in 0..17 {
            let mut stored = vec![0xEE; offset];
            stored.extend_from_slice(&known[1000..1031]);
            stored.extend_from_slice(&[0xEE; 9]);
            assert!(search.count(&stored) >= 1, "{offset}");
        }
        let other: Vec<u8> = known.iter().map(|byte| byte ^ 0xA5).collect();
        assert_eq!(search.count(&other), 0);
    }

    #[test]
    fn padding_is_no_evidence() {
        let mut search = Search::default();
        assert_eq!(search.learn(&[0; 64]), 0);
        assert_eq!(search.count(&[0; 64]), 0);
    }

    #[test]
    fn entropy_is_shannons() {
        assert!(entropy(&[7; 100]).abs() < 1e-9);
        assert!((entropy(&[0, 1, 2, 3]) - 2.0).abs() < 1e-9);
        let all: Vec<u8> = (0..=255).collect();
        assert!((entropy(&all) - 8.0).abs() < 1e-9);
    }
}
