//! One ciphertext block that AES-256-GCM opens under two keys (Dodis, Grubbs, Ristenpart, Woodage 2018): what the
//! commitment is there against.

use super::forge::gcm;

/// Product in GCM's field; bits as SP 800-38D has them.
fn times(a: u128, b: u128) -> u128 {
    let (mut product, mut v) = (0, b);
    for bit in (0..128).rev() {
        if a >> bit & 1 == 1 {
            product ^= v;
        }
        v = (v >> 1) ^ if v & 1 == 1 { 0xE1 << 120 } else { 0 };
    }
    product
}

fn inverse(a: u128) -> u128 {
    // a^(2^128 - 2)
    let (mut square, mut out) = (a, 1 << 127);
    for _ in 1..128 {
        square = times(square, square);
        out = times(out, square);
    }
    out
}

fn tag(key: &[u8], nonce: &[u8], aad: &[u8]) -> u128 {
    u128::from_be_bytes(gcm(key, nonce, aad, b"").try_into().unwrap())
}

/// The hash key's square: what the tag changes by when one block of associated data does by the field's one.
fn hash_key_squared(key: &[u8], nonce: &[u8]) -> u128 {
    let one = (1u128 << 127).to_be_bytes();
    tag(key, nonce, &[0; 16]) ^ tag(key, nonce, &one)
}

fn hash_key(square: u128) -> u128 {
    (0..127).fold(square, |x, _| times(x, x))
}

/// Ciphertext of 16 bytes, and its tag, valid under both `(key, nonce)`.
pub fn collide(one: (&[u8], &[u8]), other: (&[u8], &[u8])) -> Vec<u8> {
    let (h1, h2) = (
        hash_key_squared(one.0, one.1),
        hash_key_squared(other.0, other.1),
    );
    let (s1, s2) = (tag(one.0, one.1, b""), tag(other.0, other.1, b""));
    let length = 128;
    let right = times(length, hash_key(h1) ^ hash_key(h2)) ^ s1 ^ s2;
    let block = times(right, inverse(h1 ^ h2));
    let tag = times(block, h1) ^ times(length, hash_key(h1)) ^ s1;
    [block.to_be_bytes(), tag.to_be_bytes()].concat()
}
