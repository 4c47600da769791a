"""Section 9, "The S3 metadata document": what the blobs of S3 objects hold."""

from dataclasses import dataclass

from .errors import Refused, require
from .layout import HEADER
from .primitives import number

RUN_HEADER = 1
KINDS = range(1, 6)


@dataclass(frozen=True)
class Field:
    kind: int
    name: str
    value: bytes


def read_document(data: bytes) -> list[Field]:
    rest = data

    def take(size: int) -> bytes:
        nonlocal rest
        require(len(rest) >= size, "document-malformed", "cut short")
        taken, rest = rest[:size], rest[size:]
        return taken

    require(take(1) == b"\x01", "document-malformed", "another version")
    fields = []
    while rest:
        kind = number(take(1))
        require(kind in KINDS, "document-malformed", f"a field of kind {kind}")
        name = take(number(take(2)))
        value = take(number(take(4)))
        require(kind != RUN_HEADER or len(value) == HEADER, "document-malformed", "a run header of another size")
        try:
            fields.append(Field(kind, name.decode(), value))
        except UnicodeDecodeError:
            raise Refused("document-malformed", "a name that is not UTF-8") from None
    return fields
