//! Skips what a string holds, eight bytes at a time.

const ONES: u64 = u64::MAX / 0xFF;
const HIGH: u64 = ONES << 7;

/// Where, from `at` on, the first quote, backslash or control character stands; else the end.
#[inline]
pub fn plain(bytes: &[u8], at: usize) -> usize {
    let mut next = at;
    while let Some(Ok(eight)) = bytes.get(next..next + 8).map(<[u8; 8]>::try_from) {
        let found = marked(u64::from_le_bytes(eight));
        if found != 0 {
            return next + found.trailing_zeros() as usize / 8;
        }
        next += 8;
    }
    let rest = bytes.get(next..).unwrap_or_default();
    let stop = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    next + rest.iter().position(stop).unwrap_or(rest.len())
}

/// The high bit of each byte that stops; above the lowest of them others may be set too.
fn marked(eight: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = eight.wrapping_sub(ONES * 0x20) & !eight;
    (zero(eight ^ (ONES * 0x22)) | zero(eight ^ (ONES * 0x5C)) | control) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255u8 {
            for neighbour in [b'a', 0x21, 0x23, 0x5B, 0x5D, 0x20, 0x80, 0xFF, b'"', 0] {
                for at in 0..20 {
                    let mut bytes = [b'x'; 20];
                    bytes[at] = byte;
                    bytes[at + 1..].fill(neighbour);
                    let stop = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
                    let expected = bytes.iter().position(stop).unwrap_or(20);
                    assert_eq!(plain(&bytes, 0), expected, "{bytes:?}");
                    let later = bytes[3..].iter().position(stop).map_or(20, |n| n + 3);
                    assert_eq!(plain(&bytes, 3), later, "{bytes:?}");
                }
            }
        }
        assert_eq!((plain(b"", 0), plain(b"ab", 2)), (0, 2));
    }
}
