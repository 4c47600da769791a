//! Seals by the words of `docs/format.md`, without the library's sealing code, so that what no gateway seals can be made
//! as well.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aws_lc_rs::hmac;
use sha2::{Digest, Sha384};

pub type Key48 = [u8; 48];
pub const SEGMENT: usize = 65_536;
pub const UNKNOWN: u64 = u64::MAX;
pub const TRAILER_PART: u32 = u32::MAX;

pub fn expand(prk: &Key48, info: &[&[u8]], length: usize) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA384, prk);
    let (mut out, mut block) = (Vec::new(), Vec::new());
    for counter in 1u8.. {
        if out.len() >= length {
            break;
        }
        let mut mac = hmac::Context::with_key(&key);
        mac.update(&block);
        info.iter().for_each(|piece| mac.update(piece));
        mac.update(&[counter]);
        block = mac.sign().as_ref().to_vec();
        out.extend_from_slice(&block);
    }
    out.truncate(length);
    out
}

pub fn id(secret: &Key48) -> [u8; 32] {
    expand(secret, &[b"sceau/v1/id"], 32).try_into().unwrap()
}

pub fn short(secret: &Key48) -> [u8; 16] {
    id(secret)[..16].try_into().unwrap()
}

pub fn subsecret(secret: &Key48, purpose: &str) -> Key48 {
    expand(secret, &[b"sceau/v1/", purpose.as_bytes()], 48)
        .try_into()
        .unwrap()
}

pub fn gcm(key: &[u8], nonce: &[u8], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let nonce: [u8; 12] = nonce.try_into().unwrap();
    Aes256Gcm::new_from_slice(key)
        .unwrap()
        .encrypt(&nonce.into(), Payload { msg: plain, aad })
        .unwrap()
}

pub type Names = [&'static str; 3];

pub fn components<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        out.extend_from_slice(&(part.len() as u16).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

pub fn context(names: Names) -> Vec<u8> {
    components(names.iter().map(|name| name.as_bytes()))
}

/// A header's fields before the commitment.
#[derive(Clone)]
pub struct Head {
    pub flags: u8,
    pub part: u32,
    pub epoch: [u8; 16],
    pub object: [u8; 16],
    pub salt: [u8; 32],
    pub length: u64,
}

impl Head {
    pub fn bytes(&self) -> [u8; 96] {
        let mut out = [0; 96];
        out[..8].copy_from_slice(&[0xD3, b'S', b'C', b'1', 1, 1, 16, self.flags]);
        out[8..12].copy_from_slice(&self.part.to_be_bytes());
        out[16..32].copy_from_slice(&self.epoch);
        out[32..48].copy_from_slice(&self.object);
        out[48..80].copy_from_slice(&self.salt);
        out[80..88].copy_from_slice(&self.length.to_be_bytes());
        out
    }
}

/// Key, nonce prefix and commitment of a run, from the object subsecret.
pub fn run_okm(object_subsecret: &Key48, names: Names, head: &[u8; 96]) -> Vec<u8> {
    let info: [&[u8]; 3] = [b"sceau-object/v1\0", head, &context(names)];
    expand(object_subsecret, &info, 71)
}

pub fn run_from(object_subsecret: &Key48, names: Names, head: &[u8; 96], plain: &[u8]) -> Vec<u8> {
    let okm = run_okm(object_subsecret, names, head);
    let mut out = head.to_vec();
    out.extend_from_slice(&okm[39..]);
    for index in 0..=plain.len() / SEGMENT {
        let end = plain.len().min((index + 1) * SEGMENT);
        let mut nonce = okm[32..39].to_vec();
        nonce.extend_from_slice(&(index as u64).to_be_bytes()[3..]);
        out.extend_from_slice(&gcm(&okm[..32], &nonce, b"", &plain[index * SEGMENT..end]));
    }
    out
}

pub fn run(secret: &Key48, names: Names, head: &Head, plain: &[u8]) -> Vec<u8> {
    run_from(&subsecret(secret, "object"), names, &head.bytes(), plain)
}

/// A trailer's entry for a sealed run.
pub fn entry(run: &[u8], length: u64) -> Vec<u8> {
    let mut out = length.to_be_bytes().to_vec();
    out.extend_from_slice(&run[8..12]);
    out.extend_from_slice(&run[16..32]);
    out.extend_from_slice(&run[48..80]);
    out.extend_from_slice(&run[96..128]);
    out
}

pub fn sealed_len(plain: u64) -> u64 {
    plain + 16 * (plain / 65_536 + 1) + 512 + 240 * (plain / 327_680).min(65_535)
}

/// One run of an object to be.
#[derive(Clone)]
pub struct Piece {
    pub secret: Key48,
    pub part: u32,
    pub salt: u8,
    pub unknown: bool,
    pub plain: Vec<u8>,
}

/// An object to be; salts are one byte, repeated.
#[derive(Clone)]
pub struct Object {
    pub names: Names,
    pub object: [u8; 16],
    pub pieces: Vec<Piece>,
    pub trailer_secret: Key48,
    pub trailer_salt: u8,
    /// Bytes 12 to 140 of the trailer's plaintext: mask, digests, reserved.
    pub digests: [u8; 128],
}

impl Object {
    /// One run of part 0.
    pub fn whole(secret: Key48, names: Names, plain: &[u8]) -> Self {
        let piece = Piece {
            secret,
            part: 0,
            salt: 0x5A,
            unknown: false,
            plain: plain.to_vec(),
        };
        Self {
            names,
            object: [0x0B; 16],
            pieces: vec![piece],
            trailer_secret: secret,
            trailer_salt: 0x7A,
            digests: [0; 128],
        }
    }

    pub fn total(&self) -> u64 {
        self.pieces.iter().map(|p| p.plain.len() as u64).sum()
    }

    pub fn head(&self, piece: &Piece) -> Head {
        Head {
            flags: 0,
            part: piece.part,
            epoch: short(&piece.secret),
            object: self.object,
            salt: [piece.salt; 32],
            length: if piece.unknown {
                UNKNOWN
            } else {
                piece.plain.len() as u64
            },
        }
    }

    pub fn runs(&self) -> Vec<Vec<u8>> {
        self.pieces
            .iter()
            .map(|piece| run(&piece.secret, self.names, &self.head(piece), &piece.plain))
            .collect()
    }

    /// The trailer's plaintext as it should be.
    pub fn trailer_plain(&self) -> Vec<u8> {
        let mut out = self.total().to_be_bytes().to_vec();
        out.extend_from_slice(&(self.pieces.len() as u32).to_be_bytes());
        out.extend_from_slice(&self.digests);
        for (run, piece) in self.runs().iter().zip(&self.pieces) {
            out.extend_from_slice(&entry(run, piece.plain.len() as u64));
        }
        out
    }

    pub fn trailer_head(&self, length: usize) -> Head {
        Head {
            flags: 1,
            part: TRAILER_PART,
            epoch: short(&self.trailer_secret),
            object: self.object,
            salt: [self.trailer_salt; 32],
            length: length as u64,
        }
    }

    /// A trailer run of any plaintext.
    pub fn trailer_of(&self, plain: &[u8]) -> Vec<u8> {
        let head = self.trailer_head(plain.len());
        run(&self.trailer_secret, self.names, &head, plain)
    }

    /// Runs, zeros, this trailer run, locator.
    pub fn sealed_with(&self, trailer: &[u8]) -> Vec<u8> {
        let mut out = self.runs().concat();
        let end = sealed_len(self.total()) as usize;
        let zeros = end.saturating_sub(out.len() + trailer.len() + 8);
        out.resize(out.len() + zeros, 0);
        out.extend_from_slice(trailer);
        out.extend_from_slice(&(trailer.len() as u64).to_be_bytes());
        out
    }

    pub fn sealed(&self) -> Vec<u8> {
        self.sealed_with(&self.trailer_of(&self.trailer_plain()))
    }
}

/// A metadata blob; `salt` is written as it is.
pub fn blob(
    secret: &Key48,
    names: Names,
    place: &[&[u8]],
    object: [u8; 16],
    salt: [u8; 32],
    plain: &[u8],
) -> Vec<u8> {
    let mut out = vec![0xD3, b'S', b'C', b'M', 1, 1, 0, 0];
    out.extend_from_slice(&short(secret));
    out.extend_from_slice(&object);
    out.extend_from_slice(&salt);
    let metadata = subsecret(secret, "metadata");
    let place = components(place.iter().copied());
    let okm = expand(
        &metadata,
        &[b"sceau-metadata/v1\0", &out, &context(names), &place],
        76,
    );
    out.extend_from_slice(&okm[44..]);
    out.extend_from_slice(&gcm(&okm[..32], &okm[32..44], b"", plain));
    out
}

/// The salt that a writer gives a blob.
pub fn blob_salt(secret: &Key48, fresh: [u8; 32], plain: &[u8]) -> [u8; 32] {
    let digest = Sha384::digest(plain);
    let info: [&[u8]; 3] = [b"sceau-metadata-salt/v1\0", &fresh, &digest];
    expand(&subsecret(secret, "metadata"), &info, 32)
        .try_into()
        .unwrap()
}

/// `byte i = 7 i mod 251`, from `start`.
pub fn pattern(start: usize, length: usize) -> Vec<u8> {
    (start..start + length)
        .map(|i| (i * 7 % 251) as u8)
        .collect()
}
