"""docs/tokens.md: short values sealed as text, and the index that lets a provider compare them."""

import hashlib
from dataclasses import dataclass

from . import base64url
from .errors import require
from .identities import WHITE_SPACE
from .keys import Context, Epochs, secret_id, subsecret
from .primitives import TAG, equal, expand, open_sealed, seal

LABEL = b"sceau-token/v1\0"
SALT_LABEL = b"sceau-token-salt/v1\0"
FIELD_LABEL = b"sceau-field/v1\0"
INDEX_LABEL = b"sceau-index/v1\0"

PREFIX = "sc1."
CHECKSUM = 6  # characters
BOUND = 50  # the bytes that the derivation binds; the commitment follows
HEADER = 66
LONGEST = 65536


@dataclass(frozen=True)
class Token:
    field: bytes
    plaintext: bytes


def open_token(token: str, epochs: Epochs) -> Token:
    """The checks stand in the order of "Opening, and the classes of failure"."""
    require(token.startswith(PREFIX), "not-sealed", f"it does not begin with {PREFIX}")
    body, dot, checksum = token[len(PREFIX) : -CHECKSUM - 1], token[-CHECKSUM - 1 : -CHECKSUM], token[-CHECKSUM:]
    require(len(token) > len(PREFIX) + CHECKSUM and dot == ".", "length", "no dot before the checksum")
    require(checksum == _checksum(body), "checksum", "damaged or cut")
    binary = base64url.decode(body, "header")
    require(HEADER + TAG <= len(binary) <= HEADER + LONGEST + TAG, "length", f"{len(binary)} bytes")
    require(binary[0:2] == b"\x01\x01", "suite", f"version {binary[0]}, suite {binary[1]}")
    epoch = epochs.find(binary[2:18])
    key, commitment = _derive(subsecret(epoch.secret, "token"), binary[:BOUND], epoch.context)
    require(equal(commitment, binary[BOUND:HEADER]), "commitment", "another context, secret, field or salt")
    nonce = binary[26:38]  # the first 12 bytes of the salt
    return Token(field=binary[18:26], plaintext=open_sealed(key, nonce, b"", binary[HEADER:], "segment"))


def seal_token(secret: bytes, context: Context, field: str, fresh: bytes, plaintext: bytes) -> str:
    token_subsecret = subsecret(secret, "token")
    salt = expand(token_subsecret, SALT_LABEL + fresh + plaintext, 24)
    bound = b"\x01\x01" + secret_id(secret)[:16] + field_id(field) + salt
    key, commitment = _derive(token_subsecret, bound, context)
    body = base64url.encode(bound + commitment + seal(key, salt[:12], b"", plaintext))
    return f"{PREFIX}{body}.{_checksum(body)}"


def field_id(name: str) -> bytes:
    return hashlib.sha384(FIELD_LABEL + name.encode()).digest()[:8]


def equality_index(service_secret: bytes, context: Context, field: str, value: str, folded: bool) -> str:
    normal = value.strip(WHITE_SPACE).lower() if folded else value
    info = INDEX_LABEL + context.encode() + field_id(field) + normal.encode()
    return base64url.encode(expand(subsecret(service_secret, "index"), info, 16))


def _derive(token_subsecret: bytes, bound: bytes, context: Context) -> tuple[bytes, bytes]:
    okm = expand(token_subsecret, LABEL + bound + context.encode(), 48)
    return okm[0:32], okm[32:48]


def _checksum(body: str) -> str:
    return base64url.encode(crc32c(f"{PREFIX}{body}".encode()).to_bytes(4, "big"))


def crc32c(data: bytes) -> int:
    """Castagnoli's polynomial, reflected: bit by bit, as it is defined."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
