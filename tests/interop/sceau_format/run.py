"""Section 4: a run's keys and segments. Section 7: unlocking a run."""

from collections.abc import Iterator
from dataclasses import dataclass

from .errors import require
from .keys import OBJECT_LABEL, Context, Epochs, subsecret
from .layout import HEADER, SEALED_SEGMENT, SEGMENT, Header
from .primitives import TAG, equal, expand, open_sealed, seal
from .source import Source


@dataclass(frozen=True)
class RunKeys:
    key: bytes
    prefix: bytes
    commitment: bytes

    def _nonce(self, i: int) -> bytes:
        return self.prefix + i.to_bytes(5, "big")

    def seal_segment(self, i: int, plaintext: bytes) -> bytes:
        return seal(self.key, self._nonce(i), b"", plaintext)

    def open_segment(self, i: int, sealed: bytes) -> bytes:
        return open_sealed(self.key, self._nonce(i), b"", sealed, "segment")


def derive(object_subsecret: bytes, bound: bytes, context: Context) -> RunKeys:
    """`bound` are the header's first 96 bytes."""
    okm = expand(object_subsecret, OBJECT_LABEL + bound + context.encode(), 71)
    return RunKeys(key=okm[0:32], prefix=okm[32:39], commitment=okm[39:71])


def unlock(header: Header, epochs: Epochs) -> RunKeys:
    """Finds the epoch, derives, compares the commitment. Nothing is decrypted before."""
    epoch = epochs.find(header.epoch)
    keys = derive(subsecret(epoch.secret, "object"), header.bound(), epoch.context)
    require(equal(keys.commitment, header.commitment), "commitment", "another context, secret or header")
    return keys


def open_segments(keys: RunKeys, source: Source, at: int, n: int, first: int = 0, last: int | None = None) -> Iterator[bytes]:
    """The plaintext of the segments `first` to `last` of the run of `n` bytes that begins at `at`, one by one.

    Segments 0 to k - 1 are full, segment k holds the rest, possibly nothing.
    """
    k = n // SEGMENT
    for i in range(first, (k if last is None else last) + 1):
        size = SEALED_SEGMENT if i < k else n % SEGMENT + TAG
        yield keys.open_segment(i, source.read(at + HEADER + SEALED_SEGMENT * i, size))
