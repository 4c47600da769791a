"""Section 9: metadata blobs."""

from dataclasses import dataclass

from .errors import require
from .keys import METADATA_LABEL, Epochs, subsecret
from .primitives import TAG, equal, expand, open_sealed

MAGIC = b"\xd3SCM"
BOUND = 72
HEADER = 104


@dataclass(frozen=True)
class Blob:
    object_id: bytes
    plaintext: bytes


def encode_place(components: list[bytes]) -> bytes:
    return b"".join(len(component).to_bytes(2, "big") + component for component in components)


def open_blob(blob: bytes, epochs: Epochs, place: list[bytes]) -> Blob:
    """The numbers are those of the document."""
    require(len(blob) >= HEADER + TAG and blob[0:4] == MAGIC, "not-sealed", "no blob")  # 1
    require(blob[4] == 1 and blob[5] == 1, "suite", f"version {blob[4]}, suite {blob[5]}")  # 2
    require(blob[6:8] == bytes(2), "header", "reserved bytes")  # 3
    epoch = epochs.find(blob[8:24])  # 4
    info = METADATA_LABEL + blob[0:BOUND] + epoch.context.encode() + encode_place(place)
    okm = expand(subsecret(epoch.secret, "metadata"), info, 76)
    key, nonce, commitment = okm[0:32], okm[32:44], okm[44:76]
    require(equal(commitment, blob[BOUND:HEADER]), "commitment", "another place, context or secret")  # 5
    return Blob(object_id=blob[24:40], plaintext=open_sealed(key, nonce, b"", blob[HEADER:], "segment"))  # 6
