//! Names of what a run makes beside a file until it takes the file's place: the file's name, and behind it a text that
//! only this service's secret can have made. So a later run knows what such a thing is and whose place it was to take, and
//! takes nothing of a user's for one.

use sha2::{Digest as _, Sha256};

use crate::seal::name::NameKey;
use crate::seal::{ObjectId, SealError};

const MARK: &str = ".sceau-";
/// The longest name that most servers keep, in bytes.
const COMPONENT: usize = 255;
/// Of the file's name, and of what is drawn.
const PART: usize = 8;

/// The name that a temporary's own name tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Temporary {
    /// The beginning of the name that it belongs to.
    stem: String,
    digest: [u8; PART],
}

/// A new name beside `name`. Of one that is long only the beginning stands in it.
///
/// # Errors
/// `Cipher`.
pub(super) fn temporary(key: &NameKey, name: &str, drawn: ObjectId) -> Result<String, SealError> {
    let mut text = [0; 2 * PART];
    text[..PART].copy_from_slice(&drawn.0[..PART]);
    text[PART..].copy_from_slice(&digest(name));
    let proof = key.seal(&text)?;
    let mut end = name.len().min(COMPONENT - MARK.len() - proof.len());
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    Ok(format!("{}{MARK}{proof}", &name[..end]))
}

impl Temporary {
    /// `None`: no run made this name.
    pub fn parse(key: &NameKey, name: &str) -> Option<Self> {
        let (stem, proof) = name.rsplit_once(MARK)?;
        let end = proof.find(|c: char| !c.is_ascii_alphanumeric());
        // only what tries a provider out has more behind it
        let proof = match end {
            Some(end) if stem.is_empty() => &proof[..end],
            _ => proof,
        };
        let text: [u8; 2 * PART] = key.open(proof)?.try_into().ok()?;
        let mut digest = [0; PART];
        digest.copy_from_slice(&text[PART..]);
        Some(Self {
            stem: stem.to_owned(),
            digest,
        })
    }

    /// The name that it belongs to; `None`: only its beginning is known.
    pub fn name(&self) -> Option<&str> {
        self.belongs_to(&self.stem).then_some(&self.stem)
    }

    pub fn belongs_to(&self, name: &str) -> bool {
        name.starts_with(&self.stem) && digest(name) == self.digest
    }

    /// By the SHA-256 of the name.
    pub fn belongs_to_digest(&self, sha256: &[u8; 32]) -> bool {
        sha256.starts_with(&self.digest)
    }
}

fn digest(name: &str) -> [u8; PART] {
    let mut out = [0; PART];
    out.copy_from_slice(&Sha256::digest(name.as_bytes())[..PART]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::Context;
    use crate::secret::Secret;

    fn key(secret: u8) -> NameKey {
        let context = Context::new("t", "s", "n").unwrap();
        NameKey::new(&Secret::from_slice(&[secret; 48]).unwrap(), &context)
    }

    #[test]
    fn a_temporary_tells_whose_it_is() {
        let long = "é".repeat(126);
        for name in ["a.txt", "", "x.sceau-y", &long] {
            let made = temporary(&key(1), name, ObjectId([7; 16])).unwrap();
            assert!(made.len() <= COMPONENT && made != *name);
            let read = Temporary::parse(&key(1), &made).unwrap();
            assert!(read.belongs_to(name) && !read.belongs_to("b"));
            assert_eq!(read.name(), (name != long).then_some(name));
            let other = temporary(&key(1), name, ObjectId([8; 16])).unwrap();
            assert_ne!(made, other);
        }
    }

    #[test]
    fn no_other_name_is_one() {
        let made = temporary(&key(1), "a", ObjectId([7; 16])).unwrap();
        assert_eq!(Temporary::parse(&key(2), &made), None);
        assert_eq!(Temporary::parse(&key(1), &made[..made.len() - 1]), None);
        for name in ["a", "a.sceau-", "a.sceau-n1", ".sceau-0123456789abcdef"] {
            assert_eq!(Temporary::parse(&key(1), name), None, "{name}");
        }
        let trial = temporary(&key(1), "", ObjectId([7; 16])).unwrap() + ";? é";
        assert_eq!(Temporary::parse(&key(1), &trial).unwrap().name(), Some(""));
        assert_eq!(Temporary::parse(&key(1), &format!("{made};")), None);
        // taken from another file, it names none
        let moved = made.replacen("a.", "b.", 1);
        assert_eq!(Temporary::parse(&key(1), &moved).unwrap().name(), None);
        let bare = key(1).seal(b"anything").unwrap();
        assert_eq!(Temporary::parse(&key(1), &format!("a.sceau-{bare}")), None);
    }
}
