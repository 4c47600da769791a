"""Section 1: notation. What the document calls Expand, Seal and Open, and the comparison of commitments."""

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from .errors import Refused

TAG = 16


def expand(key: bytes, info: bytes, size: int) -> bytes:
    """HKDF-Expand of RFC 5869 with SHA-384."""
    return HKDFExpand(SHA384(), size, info).derive(key)


def seal(key: bytes, nonce: bytes, associated: bytes, plaintext: bytes) -> bytes:
    """AES-256-GCM: the ciphertext and its tag."""
    return AESGCM(key).encrypt(nonce, plaintext, associated)


def open_sealed(key: bytes, nonce: bytes, associated: bytes, sealed: bytes, refusal: str) -> bytes:
    """The inverse of `seal`. What does not authenticate is refused with the class `refusal`."""
    if len(sealed) < TAG:
        raise Refused(refusal, f"{len(sealed)} bytes are shorter than a tag")
    try:
        return AESGCM(key).decrypt(nonce, sealed, associated)
    except InvalidTag:
        raise Refused(refusal, "the tag does not hold") from None


def equal(a: bytes, b: bytes) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(a, b)


def number(data: bytes) -> int:
    """An unsigned big-endian integer."""
    return int.from_bytes(data, "big")
