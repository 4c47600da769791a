"""Section 8: ranges. A range needs the segments that hold it, and first either the header or the trailer."""

from collections.abc import Iterator

from .errors import Refused, require
from .keys import Epochs
from .layout import HEADER, SEGMENT, UNKNOWN, Header, object_length, parse_header, run_length
from .run import RunKeys, open_segments, unlock
from .source import Source
from .trailer import Entry, Trailer


def range_by_header(header: bytes, source: Source, epochs: Epochs, a: int, b: int) -> Iterator[bytes]:
    """`header` is the first 128 bytes of an object of one run, from the object or from its metadata blob."""
    parsed = parse_header(header)
    require(parsed.part == 0, "header", "not the header of an object of one run")
    require(parsed.length != UNKNOWN, "needs-trailer", "the header has no length")
    require(object_length(parsed.length) == source.length, "length", "another length of the object")
    require(a < b <= parsed.length, "length", "no such range")
    keys = unlock(parsed, epochs)
    yield from _cut(keys, source, 0, parsed.length, a, b)


def range_by_trailer(trailer: Trailer, source: Source, epochs: Epochs, a: int, b: int) -> Iterator[bytes]:
    require(object_length(trailer.length) == source.length, "length", "another length of the object")
    require(a < b <= trailer.length, "length", "no such range")
    at = 0  # where the run begins in the object
    first = 0  # and in the plaintext
    started = False
    for entry in trailer.entries:
        begin, end = max(a - first, 0), min(b - first, entry.length)
        if begin < end:
            header, keys = _unlock_entry(entry, trailer.object_id, epochs)
            if started:
                # read on the way from one run to the next
                met = parse_header(source.read(at, HEADER))
                require(met == header, "run", "not the run that the trailer names")
            yield from _cut(keys, source, at, entry.length, begin, end)
            started = True
        at += run_length(entry.length)
        first += entry.length


def _unlock_entry(entry: Entry, object_id: bytes, epochs: Epochs) -> tuple[Header, RunKeys]:
    """The header is made from the trailer. Of part 0 the commitment says whether it has the length or "unknown"."""
    header = entry.header(object_id)
    try:
        return header, unlock(header, epochs)
    except Refused as refused:
        if entry.part != 0 or refused.name != "commitment":
            raise
    header = entry.header(object_id, UNKNOWN)
    return header, unlock(header, epochs)


def _cut(keys: RunKeys, source: Source, at: int, n: int, a: int, b: int) -> Iterator[bytes]:
    """The bytes `a..b` of one run."""
    first, last = a // SEGMENT, (b - 1) // SEGMENT
    for i, segment in enumerate(open_segments(keys, source, at, n, first, last), first):
        yield segment[max(a - i * SEGMENT, 0) : b - i * SEGMENT]
