"""The writer's side of sections 4, 5 and 11: what no vector shows is shown by the gateway's opening what this seals.

Salts are plainly random here; section 4 asks more of a gateway, which seals on machines that may be restored.
"""

import hashlib
import os
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from . import hpke
from .identities import Recipient
from .keys import Context, Epoch, secret_id, subsecret
from .layout import SEGMENT, TRAILER_PART, UNKNOWN, Header, trailer_length, zeros_length
from .records import LABEL, MAGIC
from .run import derive


@dataclass(frozen=True)
class Piece:
    """What becomes a run."""

    epoch: Epoch
    plaintext: bytes
    part: int = 0
    length_known: bool = True


def seal_object(pieces: list[Piece], epoch: Epoch) -> bytes:
    """`epoch` is the one that is present when the object is completed."""
    object_id = os.urandom(16)
    runs, entries = b"", b""
    for piece in pieces:
        header, run = _seal_run(piece, object_id)
        runs += run
        length, part = len(piece.plaintext).to_bytes(8, "big"), piece.part.to_bytes(4, "big")
        entries += length + part + header.epoch + header.salt + header.commitment

    lengths = [len(piece.plaintext) for piece in pieces]
    head = sum(lengths).to_bytes(8, "big") + len(pieces).to_bytes(4, "big")
    no_digests = bytes(128)
    _, trailer = _seal_run(Piece(epoch, head + no_digests + entries, TRAILER_PART), object_id)
    locator = trailer_length(len(pieces)).to_bytes(8, "big")
    return runs + bytes(zeros_length(lengths)) + trailer + locator


def _seal_run(piece: Piece, object_id: bytes) -> tuple[Header, bytes]:
    n = len(piece.plaintext)
    short_id = secret_id(piece.epoch.secret)[:16]
    header = Header(piece.part, short_id, object_id, os.urandom(32), n if piece.length_known else UNKNOWN)
    keys = derive(subsecret(piece.epoch.secret, "object"), header.bound(), piece.epoch.context)
    segments = [keys.seal_segment(i, piece.plaintext[i * SEGMENT : (i + 1) * SEGMENT]) for i in range(n // SEGMENT + 1)]
    return replace(header, commitment=keys.commitment), b"".join([header.bound(), keys.commitment, *segments])


def seal_record(secret: bytes, context: Context, writer: Ed25519PrivateKey, recipients: list[Recipient]) -> bytes:
    """The record of an epoch, without a time from which or to which it is sealed under."""
    public = writer.public_key().public_bytes_raw()
    core = MAGIC + b"\x01\x01\x01\x00" + secret_id(secret) + public + bytes(16) + context.encode()
    record = len(core).to_bytes(4, "big") + core + writer.sign(core) + len(recipients).to_bytes(2, "big")
    info = LABEL + hashlib.sha384(core).digest()
    for recipient in recipients:
        sealed = hpke.seal_single(recipient.public, info, secret)
        record += recipient.id + len(sealed).to_bytes(4, "big") + sealed
    return record
