"""Section 11, "Protected files": a private key at rest, under a passphrase."""

from pathlib import Path

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from .errors import Refused, require
from .primitives import TAG, number, open_sealed

MAGIC = b"\xd3SCI"
KINDS = {1: "identity", 2: "writer"}
HEADER = 48
MOST_MEMORY = 1 << 20  # KiB
MOST_PASSES = 64
MOST_LANES = 64


def read_passphrase(file: Path) -> bytes:
    """White space at the file's end is not part of the passphrase."""
    return file.read_bytes().rstrip(b" \t\n\f\r")


def open_protected(file: bytes, passphrase: bytes, kind: str) -> bytes:
    """An identity's text or a writer's seed, whichever `kind` says."""

    def check(holds: bool, why: str) -> None:
        require(holds, "key-file-malformed", why)

    check(len(file) >= HEADER + TAG, "cut short")
    check(file[0:5] == MAGIC + b"\x01", "magic or version")
    check(KINDS.get(file[5]) == kind, f"not of kind {kind}")
    check(file[6:8] == bytes(2), "reserved bytes")
    memory, passes, lanes = number(file[8:12]), number(file[12:16]), number(file[16:20])
    check(memory <= MOST_MEMORY and passes <= MOST_PASSES and lanes <= MOST_LANES, "it costs too much to open")
    try:
        derivation = Argon2id(salt=file[20:36], length=32, iterations=passes, lanes=lanes, memory_cost=memory)
    except ValueError as error:
        raise Refused("key-file-malformed", str(error)) from None
    return open_sealed(derivation.derive(passphrase), file[36:48], file[:HEADER], file[HEADER:], "key-passphrase-wrong")
