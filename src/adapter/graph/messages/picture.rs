//! A sealed file that looks like a picture: Teams takes nothing else along with a message. A PNG of one grey point (ISO/IEC
//! 15948) with the file in a chunk of our own, which programs are to pass over and to keep.

use crc_fast::CrcAlgorithm::Crc32IsoHdlc;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// One point, 8 bits, grey.
const HEADER: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0];
/// Ancillary, private, safe to copy.
const CHUNK: &[u8; 4] = b"scEu";
/// In a stored block of zlib: no filter, and the point.
const POINT: &[u8] = &[
    0x78, 0x01, 0x01, 0x02, 0x00, 0xfd, 0xff, 0x00, 0x80, 0x00, 0x82, 0x00, 0x81,
];
/// Length, type and sum of a chunk.
const AROUND: usize = 12;
const BEFORE: usize = SIGNATURE.len() + AROUND + HEADER.len();

/// Bytes before the file.
pub(super) const FRONT: usize = BEFORE + 8;

/// `None`: the file is too long for a chunk.
pub(super) fn around(sealed: &[u8]) -> Option<Vec<u8>> {
    let mut out = SIGNATURE.to_vec();
    chunk(&mut out, b"IHDR", HEADER)?;
    chunk(&mut out, CHUNK, sealed)?;
    chunk(&mut out, b"IDAT", POINT)?;
    chunk(&mut out, b"IEND", &[])?;
    Some(out)
}

fn chunk(out: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) -> Option<()> {
    let length = u32::try_from(data.len()).ok().filter(|n| *n < 1 << 31)?;
    out.extend_from_slice(&length.to_be_bytes());
    let start = out.len();
    out.extend_from_slice(kind);
    out.extend_from_slice(data);
    let sum = crc_fast::checksum(Crc32IsoHdlc, &out[start..]);
    out.extend_from_slice(&(sum as u32).to_be_bytes());
    Some(())
}

/// What stands in the picture; of one that was cut, all that is left: it does not open. `None`: it is none of ours.
pub(super) fn inside(picture: &[u8]) -> Option<&[u8]> {
    let rest = picture
        .strip_prefix(SIGNATURE)?
        .get(BEFORE - SIGNATURE.len()..)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let rest = rest.strip_prefix(CHUNK)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    Some(rest.get(..length).unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_stands_in_a_picture() {
        for file in [&b""[..], b"SCEAU", &[7; 100_000]] {
            let picture = around(file).unwrap();
            assert_eq!(inside(&picture), Some(file));
        }
        assert_eq!(
            inside(b"\x89PNG\r\n\x1a\n and so on, much longer than the beginning"),
            None
        );
        let picture = around(&[7; 1000]).unwrap();
        assert_eq!(inside(&picture[..500]).map(<[u8]>::len), Some(500 - 41));
        assert_eq!(inside(b""), None);
    }

    /// As any program that reads pictures reads it.
    #[test]
    fn every_chunk_is_whole() {
        let picture = around(b"file").unwrap();
        let mut rest = &picture[SIGNATURE.len()..];
        let mut kinds = Vec::new();
        while !rest.is_empty() {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            let sum = crc_fast::checksum(Crc32IsoHdlc, &rest[4..8 + length]) as u32;
            assert_eq!(rest[8 + length..12 + length], sum.to_be_bytes());
            kinds.push(String::from_utf8(rest[4..8].to_vec()).unwrap());
            rest = &rest[12 + length..];
        }
        assert_eq!(kinds, ["IHDR", "scEu", "IDAT", "IEND"]);
    }
}
