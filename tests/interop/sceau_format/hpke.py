"""Section 11, "HPKE": RFC 9180 in mode base with X-Wing, HKDF-SHA384 and AES-256-GCM.

Written out, because cryptography's own module `hpke` refuses an all-zero X25519 result, which the document does not.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from .primitives import expand, open_sealed, seal

SUITE_ID = b"HPKE" + bytes.fromhex("647a 0002 0002")
MODE_BASE = b"\x00"
EK_M = 1184
CT_M = 1088
ENC = CT_M + 32
XWING_LABEL = bytes.fromhex("5c2e2f2f5e5c")


class XWingPrivateKey:
    def __init__(self, sk: bytes) -> None:
        seeds = hashlib.shake_256(sk).digest(96)
        self._mlkem = MLKEM768PrivateKey.from_seed_bytes(seeds[0:64])  # d | z
        self._x25519 = X25519PrivateKey.from_private_bytes(seeds[64:96])
        self._pk_x = self._x25519.public_key().public_bytes_raw()
        self.public = self._mlkem.public_key().public_bytes_raw() + self._pk_x

    def decapsulate(self, enc: bytes) -> bytes:
        ct_m, ct_x = enc[:CT_M], enc[CT_M:]
        ss_m = self._mlkem.decapsulate(ct_m)
        try:
            ss_x = self._x25519.exchange(X25519PublicKey.from_public_bytes(ct_x))
        except ValueError:  # this is how cryptography tells of an all-zero result
            ss_x = bytes(32)
        return _combine(ss_m, ss_x, ct_x, self._pk_x)


def encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """A shared secret and its `enc`."""
    ek_m, pk_x = public[:EK_M], public[EK_M:]
    ss_m, ct_m = MLKEM768PublicKey.from_public_bytes(ek_m).encapsulate()
    ephemeral = X25519PrivateKey.generate()
    ss_x, ct_x = ephemeral.exchange(X25519PublicKey.from_public_bytes(pk_x)), ephemeral.public_key().public_bytes_raw()
    return _combine(ss_m, ss_x, ct_x, pk_x), ct_m + ct_x


def open_single(enc: bytes, ciphertext: bytes, key: XWingPrivateKey, info: bytes, refusal: str) -> bytes:
    """The single shot of RFC 9180, section 6.1, with empty associated data."""
    aead_key, nonce = _key_schedule(key.decapsulate(enc), info)
    return open_sealed(aead_key, nonce, b"", ciphertext, refusal)


def seal_single(public: bytes, info: bytes, plaintext: bytes) -> bytes:
    """enc | ct"""
    shared_secret, enc = encapsulate(public)
    aead_key, nonce = _key_schedule(shared_secret, info)
    return enc + seal(aead_key, nonce, b"", plaintext)


def _combine(ss_m: bytes, ss_x: bytes, ct_x: bytes, pk_x: bytes) -> bytes:
    return hashlib.sha3_256(ss_m + ss_x + ct_x + pk_x + XWING_LABEL).digest()


def _key_schedule(shared_secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Section 5.1, the pre-shared key and its id being empty: the key, and the nonce of the sequence number 0."""
    context = MODE_BASE + _labeled_extract(b"", b"psk_id_hash", b"") + _labeled_extract(b"", b"info_hash", info)
    secret = _labeled_extract(shared_secret, b"secret", b"")
    return _labeled_expand(secret, b"key", context, 32), _labeled_expand(secret, b"base_nonce", context, 12)


def _labeled_extract(salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + SUITE_ID + label + ikm, "sha384")


def _labeled_expand(prk: bytes, label: bytes, info: bytes, size: int) -> bytes:
    return expand(prk, size.to_bytes(2, "big") + b"HPKE-v1" + SUITE_ID + label + info, size)
