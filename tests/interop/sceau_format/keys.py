"""Sections 2 and 3: secrets, labels, and the context that enters every key."""

import re
from dataclasses import dataclass
from typing import Protocol

from .errors import Refused, require
from .primitives import expand, number

SECRET = 48
ID = 32
SHORT_ID = 16

OBJECT_LABEL = b"sceau-object/v1\0"
METADATA_LABEL = b"sceau-metadata/v1\0"

IDENTIFIER = re.compile(rb"[a-z0-9._-]{1,255}")


def secret_id(secret: bytes) -> bytes:
    """The name of a secret; its first 16 bytes are the short id."""
    return expand(secret, b"sceau/v1/id", ID)


def subsecret(secret: bytes, purpose: str) -> bytes:
    """`purpose` is object, metadata or token."""
    return expand(secret, b"sceau/v1/" + purpose.encode(), SECRET)


@dataclass(frozen=True)
class Context:
    tenant: str
    service: str
    namespace: str

    def encode(self) -> bytes:
        parts = [part.encode() for part in (self.tenant, self.service, self.namespace)]
        return b"".join(len(part).to_bytes(2, "big") + part for part in parts)

    @classmethod
    def decode(cls, data: bytes) -> "Context":
        """A record's context: exactly three identifiers and nothing behind them."""
        parts = []
        for _ in range(3):
            size = number(data[:2])
            part, data = data[2 : 2 + size], data[2 + size :]
            # a part that was cut short is caught by its size, an empty one by the pattern
            require(len(part) == size and IDENTIFIER.fullmatch(part) is not None, "key-file-malformed", "not an identifier")
            parts.append(part.decode())
        require(not data, "key-file-malformed", "bytes after the context")
        return cls(*parts)


@dataclass(frozen=True)
class Epoch:
    """All that a key is derived from, besides the sealed bytes themselves."""

    secret: bytes
    context: Context


class Epochs(Protocol):
    """How a reader finds an epoch."""

    def find(self, short_id: bytes) -> Epoch:
        """Refuses with `unknown-epoch` or `key-unavailable`."""


class KnownSecrets:
    """Epochs of one context, of which the secrets themselves are at hand."""

    def __init__(self, secrets: list[bytes], context: Context) -> None:
        self._epochs = {secret_id(secret)[:SHORT_ID]: Epoch(secret, context) for secret in secrets}

    def find(self, short_id: bytes) -> Epoch:
        if short_id not in self._epochs:
            raise Refused("unknown-epoch", short_id.hex())
        return self._epochs[short_id]
