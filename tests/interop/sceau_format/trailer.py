"""Section 5: the trailer's plaintext. Section 7: opening the trailer."""

from dataclasses import dataclass
from itertools import pairwise

from .errors import require
from .keys import Epochs
from .layout import (
    ENTRY,
    HEADER,
    LONGEST_RUN,
    MOST_RUNS,
    TRAILER_HEAD,
    TRAILER_PART,
    Header,
    object_length,
    parse_header,
    run_length,
    zeros_length,
)
from .primitives import number
from .run import open_segments, unlock
from .source import Source

# name, from, to; the mask's bit is the place in this list
DIGESTS = [
    ("md5", 16, 32),
    ("sha1", 32, 52),
    ("sha256", 52, 84),
    ("quickxor", 84, 104),
    ("crc32", 104, 108),
    ("crc32c", 108, 112),
    ("crc64nvme", 112, 120),
]


@dataclass(frozen=True)
class Digest:
    value: bytes
    composite: bool


@dataclass(frozen=True)
class Entry:
    """What the trailer says of a run."""

    length: int
    part: int
    epoch: bytes
    salt: bytes
    commitment: bytes

    def header(self, object_id: bytes, length: int | None = None) -> Header:
        """The run's header: the trailer has all of it."""
        return Header(self.part, self.epoch, object_id, self.salt, self.length if length is None else length, self.commitment)

    def describes(self, header: Header, n: int) -> bool:
        """Whether `header`, of a run of `n` bytes, is this entry's."""
        said = (self.part, self.epoch, self.salt, self.commitment, self.length)
        return said == (header.part, header.epoch, header.salt, header.commitment, n)


@dataclass(frozen=True)
class Trailer:
    object_id: bytes
    length: int
    entries: list[Entry]
    digests: dict[str, Digest]

    @property
    def zeros(self) -> int:
        return zeros_length([entry.length for entry in self.entries])


def open_trailer(source: Source, at: int, size: int, epochs: Epochs) -> Trailer:
    """The trailer run is the `size` bytes from `at`. The numbers are those of the document."""
    require(size >= HEADER, "trailer", "shorter than a header")  # 1
    header = parse_header(source.read(at, HEADER))  # 2
    require(header.is_trailer, "trailer", "a run of the object in the trailer's place")  # 3
    keys = unlock(header, epochs)  # 4
    fits = header.length >= TRAILER_HEAD and run_length(header.length) == size
    require(fits, "trailer", "its header has another length")  # 5
    plaintext = b"".join(open_segments(keys, source, at, header.length))  # 6
    return _parse(plaintext, header.object_id, source.length)  # 7


def _parse(plaintext: bytes, object_id: bytes, n: int) -> Trailer:
    def check(holds: bool, why: str) -> None:
        require(holds, "trailer", why)

    total, m, mask = number(plaintext[0:8]), number(plaintext[8:12]), number(plaintext[12:16])
    check(len(plaintext) == TRAILER_HEAD + ENTRY * m, "not the length of so many entries")
    check(1 <= m <= MOST_RUNS, "the number of runs")
    entries = [_parse_entry(plaintext[at : at + ENTRY]) for at in range(TRAILER_HEAD, len(plaintext), ENTRY)]

    check(sum(entry.length for entry in entries) == total, "the lengths don't make the total")
    check(all(entry.length <= LONGEST_RUN for entry in entries), "a run longer than a run can be")
    parts = [entry.part for entry in entries]
    increasing = all(a < b for a, b in pairwise(parts))
    check(parts == [0] or (increasing and parts[0] >= 1 and parts[-1] < TRAILER_PART), "the parts' numbers")
    check(zeros_length([entry.length for entry in entries]) >= 0, "runs that form no object")
    check(plaintext[120:140] == bytes(20), "reserved bytes")
    digests = _parse_digests(plaintext, mask)
    check(object_length(total) == n, "another length of the object")
    return Trailer(object_id, total, entries, digests)


def _parse_entry(data: bytes) -> Entry:
    return Entry(number(data[0:8]), number(data[8:12]), epoch=data[12:28], salt=data[28:60], commitment=data[60:92])


def _parse_digests(plaintext: bytes, mask: int) -> dict[str, Digest]:
    present, composite = mask & 0xFFFF, mask >> 16
    require(present >> len(DIGESTS) == 0, "trailer", "an unknown bit in the mask")
    require(composite & ~present == 0, "trailer", "a composite bit alone")
    digests = {}
    for bit, (name, start, end) in enumerate(DIGESTS):
        value = plaintext[start:end]
        if present >> bit & 1:
            digests[name] = Digest(value, composite=bool(composite >> bit & 1))
        else:
            require(not any(value), "trailer", f"{name} without its bit")
    return digests
