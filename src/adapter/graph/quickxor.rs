//! QuickXorHash, Microsoft's digest of files (OneDrive API, "QuickXorHash Algorithm"): each byte is XORed into 160 bits
//! at a place that moves on by 11, then the length into the last 64. It is linear, so it tells of the plaintext: it
//! never goes to the provider in clear.

/// Bytes of the value.
pub const SIZE: usize = 20;
const BITS: usize = SIZE * 8;
const SHIFT: usize = 11;

/// The digest of what was read so far. It can be laid down and taken up again between two fragments.
#[derive(Clone)]
pub struct QuickXor {
    /// What was read before this state was taken up.
    folded: [u8; SIZE],
    /// Byte `i` of the input is in lane `i mod 160`: after as many bytes the places repeat.
    lanes: [u8; BITS],
    length: u64,
}

impl Default for QuickXor {
    fn default() -> Self {
        Self::resume([0; SIZE], 0)
    }
}

impl QuickXor {
    /// Goes on with what [`state`](Self::state) gave.
    pub fn resume(folded: [u8; SIZE], length: u64) -> Self {
        Self {
            folded,
            lanes: [0; BITS],
            length,
        }
    }

    pub fn update(&mut self, data: &[u8]) {
        let at = (self.length % BITS as u64) as usize;
        self.length += data.len() as u64;
        let (first, rest) = data.split_at(data.len().min((BITS - at) % BITS));
        mix(&mut self.lanes[at..], first);
        let (blocks, last) = rest.as_chunks::<BITS>();
        for block in blocks {
            mix(&mut self.lanes, block);
        }
        mix(&mut self.lanes, last);
    }

    /// What is to be kept to go on, and the bytes read.
    pub fn state(&self) -> ([u8; SIZE], u64) {
        let mut folded = self.folded;
        for (lane, byte) in self.lanes.iter().enumerate() {
            let bit = lane * SHIFT % BITS;
            let wide = u16::from(*byte) << (bit % 8);
            folded[bit / 8] ^= wide as u8;
            folded[(bit / 8 + 1) % SIZE] ^= (wide >> 8) as u8;
        }
        (folded, self.length)
    }

    pub fn value(&self) -> [u8; SIZE] {
        let (mut value, length) = self.state();
        mix(&mut value[SIZE - 8..], &length.to_le_bytes());
        value
    }
}

fn mix(into: &mut [u8], data: &[u8]) {
    for (to, from) in into.iter_mut().zip(data) {
        *to ^= from;
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// As other implementations publish them.
    const VECTORS: &[(&str, &str)] = &[
        ("", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("Sg==", "SgAAAAAAAAAAAAAAAQAAAAAAAAA="),
        ("n6Neh7p6fFgm", "nxiFFw6hCz3wAQsmCQAAAAAAAAA="),
        ("2fuxhBJXtpWFe8dOfdGeHw==", "O9tHLAghgSvYohKFyMMxnNCHaHg="),
        (
            "T6LYJIfDh81JrAK309H2JMJTXis=",
            "zBTHrspn3mEcohlJdIUAbjGNaNg=",
        ),
        (
            "DWAAX5/CIfrmErgZa8ot6ZraeSbu",
            "LR2Z0PjuRYGKQB/mhQAuMrAGZbQ=",
        ),
        (
            "Mb7EGva2rEE5fENDL85P+BsapHEEjv2/siVhKjvAQe02feExVOQSkfmuYzU/kTF1MaKjPmKF/w+cbvwfdWL8aQ==",
            "n1anP5NfvD4XDYWIeRPW3ZkPv1Y=",
        ),
        (
            "qwGf2ESubE5jOUHHyc94ORczFYYbc2OmEzo+hBIyzJiNwAzC8PvJqtTzwkWkSslgHFGWQZR2BV5+uYTrYT7HVwRM40vqfj0dBgeDENyT\
             enIOL1LHkjtDKoXEnQ0mXAHoJ8PjbNC93zi5TovVRXTNzfGEs5dpWVqxUzb5lc7dwkyvOluBw482mQ4xrzYyIY1t+//OrNi1ObGXuUw2\
             jBQOFfJVj2Y6BOyYmfB1y36eBxi3zxeG5d5NYjm2GSh6e08QMAwu3zrINcqIzLOuNIiGXBtl7DjKt7b5wqi4oFiRpZsCyx2smhSrdrtK\
             /CkdU6nDN+34vSR/M8rZpWQdBE7a8g==",
            "WYT9JY3JIo/pEBp+tIM6Gt2nyTM=",
        ),
    ];

    #[test]
    fn the_published_values() {
        for (data, value) in VECTORS {
            let data = STANDARD.decode(data).unwrap();
            let mut whole = QuickXor::default();
            whole.update(&data);
            assert_eq!(STANDARD.encode(whole.value()), *value);
            for size in [1, 3, 7, 64, 159, 160, 161] {
                let mut pieces = QuickXor::default();
                for piece in data.chunks(size) {
                    pieces.update(piece);
                    let (folded, length) = pieces.state();
                    pieces = QuickXor::resume(folded, length);
                }
                assert_eq!(STANDARD.encode(pieces.value()), *value, "{size}");
            }
        }
    }
}
