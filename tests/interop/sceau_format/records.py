"""Section 11, "Records": a secret's name, context and writer, and its wraps for everybody who may open it."""

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from . import hpke
from .errors import Refused, require
from .identities import Identity
from .keys import SECRET, Context, secret_id
from .primitives import TAG, number

MAGIC = b"\xd3SCR"
LABEL = b"sceau-record/v1\0"
KINDS = {1: "epoch", 2: "session", 3: "service"}
FIXED_CORE = 88
SIGNATURE = 64


@dataclass(frozen=True)
class Record:
    core: bytes
    signature: bytes
    wraps: list[tuple[bytes, bytes]]  # recipient id, sealed secret
    kind: str
    id: bytes
    writer: bytes
    not_before: int
    not_after: int
    context: Context


def parse_record(data: bytes) -> Record:
    """Step 1: all that is wrong with a record's form is one class."""
    rest = data

    def take(size: int) -> bytes:
        nonlocal rest
        require(len(rest) >= size, "key-file-malformed", "cut short")
        taken, rest = rest[:size], rest[size:]
        return taken

    core = take(number(take(4)))
    signature = take(SIGNATURE)
    wraps = [(take(16), take(number(take(4)))) for _ in range(number(take(2)))]
    require(not rest, "key-file-malformed", "bytes after the last wrap")

    require(len(core) >= FIXED_CORE, "key-file-malformed", "a core cut short")
    require(core[0:6] == MAGIC + b"\x01\x01", "key-file-malformed", "magic, version or suite")
    require(core[6] in KINDS and core[7] == 0, "key-file-malformed", "the kind or the reserved byte")
    return Record(
        core,
        signature,
        wraps,
        kind=KINDS[core[6]],
        id=core[8:40],
        writer=core[40:72],
        not_before=number(core[72:80]),
        not_after=number(core[80:88]),
        context=Context.decode(core[FIXED_CORE:]),
    )


def open_record(
    record: Record, identity: Identity, writers: list[bytes] | None, context: Context | None, kind: str = "epoch"
) -> bytes:
    """The secret. Without `writers` the signature is not checked, without `context` every context will do."""
    if writers is not None:
        _require_signature(record, writers)  # 2
    foreign = record.kind != kind or context not in (None, record.context)
    require(not foreign, "record-foreign", f"a record of kind {record.kind} for {record.context}")  # 3
    sealed = next((sealed for id, sealed in record.wraps if id == identity.recipient.id), None)
    if sealed is None:
        raise Refused("record-no-identity", "no wrap for this identity")  # 4
    require(len(sealed) == hpke.ENC + SECRET + TAG, "record-substituted", "a sealed secret of another length")  # 5
    info = LABEL + hashlib.sha384(record.core).digest()
    secret = hpke.open_single(sealed[: hpke.ENC], sealed[hpke.ENC :], identity.key, info, "record-substituted")
    require(secret_id(secret) == record.id, "record-substituted", "another secret than the record names")
    return secret


def _require_signature(record: Record, writers: list[bytes]) -> None:
    require(record.writer in writers, "record-signature", "the writer is not enrolled")
    try:
        Ed25519PublicKey.from_public_bytes(record.writer).verify(record.signature, record.core)
    except (InvalidSignature, ValueError):
        raise Refused("record-signature", "the signature does not hold") from None
