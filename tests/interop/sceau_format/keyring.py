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
    """A directory of records, or one record under any name."""
    if path.is_dir():
        return {f"records/{file.name}": file.read_bytes() for file in path.glob("*.record")}
    data = path.read_bytes()
    return {record_name(parse_record(data).id): data}


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
        self._files = files
        self._identity = identity
        self._writers = [_read_writer(files[name]) for name in files if name.startswith("writers/")] if signed else None

    def epochs(self) -> "KeyringEpochs":
        """For opening one object."""
        return KeyringEpochs(self)

    def open(self, short_id: bytes, context: Context | None) -> Epoch:
        """The context is that of the epoch's record, which must be `context` where one is known."""
        record = self._record(short_id)
        try:
            return Epoch(open_record(record, self._identity, self._writers, context), record.context)
        except Refused as refused:
            raise Refused("key-unavailable", f"{short_id.hex()}: {refused}") from refused

    def _record(self, short_id: bytes) -> Record:
        named = f"records/{short_id.hex()}"
        name = next((name for name in self._files if name.startswith(named)), None)
        if name is None:
            raise Refused("unknown-epoch", f"no record of the epoch {short_id.hex()}")
        try:
            record = parse_record(self._files[name])
        except Refused as refused:
            raise Refused("key-unavailable", f"{name}: {refused}") from refused
        require(name == record_name(record.id), "key-unavailable", f"{name} is the record of {record.id.hex()}")
        return record


class KeyringEpochs:
    """The epochs of one object: whatever context the first one has, the others must have it too."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._context: Context | None = None

    def find(self, short_id: bytes) -> Epoch:
        epoch = self._keyring.open(short_id, self._context)
        self._context = epoch.context
        return epoch


def record_name(id: bytes) -> str:
    return f"records/{id.hex()}.record"


def _read_writer(text: bytes) -> bytes:
    try:
        writer = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        raise Refused("key-file-malformed", "a writer's key is not hexadecimal") from None
    require(len(writer) == WRITER, "key-file-malformed", "a writer's key of another length")
    return writer
