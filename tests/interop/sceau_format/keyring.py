"""Section 11: where records lie (key directories, single records, recovery bundles), and finding an epoch among them."""

import hashlib
from pathlib import Path

from .errors import Refused, require
from .identities import Identity
from .keys import Context, Epoch
from .primitives import number
from .records import Record, open_record, parse_record

BUNDLE = b"\xd3SCB\x01\x00\x00\x00"
HASH = 32
WRITER = 32

Files = dict[str, bytes]
"""What a key directory holds: contents by name, such as `records/ID.record`."""


def read_directory(folder: Path) -> Files:
    found = [*folder.glob("writers/*.pub"), *folder.glob("records/*.record")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def read_records(path: Path) -> Files:
    """A directory of records, or one record."""
    found = path.glob("*.record") if path.is_dir() else [path]
    return {f"records/{file.name}": file.read_bytes() for file in found}


def read_bundle(data: bytes) -> Files:
    def check(holds: bool, why: str) -> None:
        require(holds, "key-file-malformed", why)

    check(data[: len(BUNDLE)] == BUNDLE, "no recovery bundle")
    rest, digest = data[len(BUNDLE) : -HASH], data[-HASH:]
    check(hashlib.sha256(data[:-HASH]).digest() == digest, "a damaged bundle")

    def take(size: int) -> bytes:
        nonlocal rest
        check(len(rest) >= size, "cut short")
        taken, rest = rest[:size], rest[size:]
        return taken

    files = {}
    while size := number(take(2)):
        name = take(size)
        files[name.decode(errors="replace")] = take(number(take(4)))
    check(not rest, "bytes after the last entry")
    return files


class Keyring:
    """Opens records with an identity."""

    def __init__(self, files: Files, identity: Identity, signed: bool = True) -> None:
        """Where not `signed`, the writers are not known, and signatures go unchecked."""
        self._identity = identity
        self._writers = [_read_writer(files[name]) for name in files if name.startswith("writers/")] if signed else None
        self._records: list[Record] = []
        self.left_out: list[str] = []
        for name in files:
            if name.startswith("records/"):
                self._add(name, files[name])

    def _add(self, name: str, data: bytes) -> None:
        # a record is known by its core, whatever its file is called; what doesn't decode is no record
        try:
            self._records.append(parse_record(data))
        except Refused as refused:
            self.left_out.append(f"{name}: {refused}")

    def epochs(self) -> "KeyringEpochs":
        """For opening one object."""
        return KeyringEpochs(self)

    def open(self, short_id: bytes, context: Context | None) -> Epoch:
        """The context is that of the epoch's record, which must be `context` where one is known."""
        refusal = Refused("unknown-epoch", f"no record of the epoch {short_id.hex()}")
        for record in self._records:
            if not record.id.startswith(short_id):
                continue
            try:
                return Epoch(open_record(record, self._identity, self._writers, context), record.context)
            except Refused as refused:  # perhaps another copy of it opens
                refusal = Refused("key-unavailable", f"{short_id.hex()}: {refused}")
        raise refusal


class KeyringEpochs:
    """The epochs of one object: whatever context the first one has, the others must have it too."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._context: Context | None = None

    def find(self, short_id: bytes) -> Epoch:
        epoch = self._keyring.open(short_id, self._context)
        self._context = epoch.context
        return epoch


def _read_writer(text: bytes) -> bytes:
    try:
        writer = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        raise Refused("key-file-malformed", "a writer's key is not hexadecimal") from None
    require(len(writer) == WRITER, "key-file-malformed", "a writer's key of another length")
    return writer
