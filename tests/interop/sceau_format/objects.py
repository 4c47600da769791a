"""Section 7: opening a whole object. The numbers are those of the document's steps."""

from collections.abc import Iterator

from .errors import require
from .keys import Epochs
from .layout import (
    HEADER,
    LOCATOR,
    LONGEST_RUN,
    MOST_RUNS,
    SEGMENT,
    UNKNOWN,
    Header,
    parse_header,
    plaintext_length,
    run_length,
    trailer_length,
    zeros_length,
)
from .primitives import number
from .run import open_segments, unlock
from .source import Source
from .trailer import Digest, Trailer, open_trailer


class ObjectReader:
    """Iterating gives the plaintext in pieces. The object is whole only once the iteration ends without a refusal."""

    def __init__(self, source: Source, epochs: Epochs, object_id: bytes | None = None) -> None:
        self._source = source
        self._epochs = epochs
        self._expected = object_id
        self.digests: dict[str, Digest] = {}  # the trailer's, at the end

    def __iter__(self) -> Iterator[bytes]:
        p = plaintext_length(self._source.length)  # 1
        header = parse_header(self._source.read(0, HEADER))  # 2
        require(not header.is_trailer, "header", "a trailer where the object begins")
        return self._one_run(header, p) if header.part == 0 else self._parts()

    def _one_run(self, header: Header, p: int) -> Iterator[bytes]:
        source = self._source
        require(header.length in (p, UNKNOWN) and p <= LONGEST_RUN, "length", "not the object's length")  # 3
        keys = unlock(header, self._epochs)  # 4
        self._require_expected(header.object_id)  # 5
        held = b""
        for i, segment in enumerate(open_segments(keys, source, 0, p)):  # 6
            if i == p // SEGMENT:
                held = segment
            else:
                yield segment
        self._require_zeros(run_length(p), zeros_length([p]))  # 7
        locator = read_locator(source)
        require(locator == trailer_length(1), "trailer", "the locator")  # 8
        trailer = open_trailer(source, source.length - LOCATOR - locator, locator, self._epochs)
        one = len(trailer.entries) == 1 and trailer.entries[0].describes(header, p)
        require(one and trailer.object_id == header.object_id, "run", "not the run that the trailer names")  # 9
        self.digests = trailer.digests
        yield held

    def _parts(self) -> Iterator[bytes]:
        trailer = find_trailer(self._source, self._epochs)  # 10
        self._require_expected(trailer.object_id)
        at = 0
        held = b""
        for entry in trailer.entries:  # 11
            header = parse_header(self._source.read(at, HEADER))
            require(not header.is_trailer, "header", "a trailer where a run begins")
            length = entry.length if header.length == UNKNOWN else header.length
            same = entry.describes(header, length) and header.object_id == trailer.object_id
            require(same, "run", "not the run that the trailer names")
            keys = unlock(header, self._epochs)
            for segment in open_segments(keys, self._source, at, entry.length):
                yield held
                held = segment
            at += run_length(entry.length)
        self._require_zeros(at, trailer.zeros)  # 12
        # 13 is of streams; here the trailer is read once, from where it ends the object
        self.digests = trailer.digests
        yield held

    def _require_expected(self, object_id: bytes) -> None:
        require(self._expected in (None, object_id), "run", "another object")

    def _require_zeros(self, at: int, size: int) -> None:
        while size:
            piece = self._source.read(at, min(size, SEGMENT))
            require(not any(piece), "zeros", "the padding is not zero")
            at, size = at + len(piece), size - len(piece)


def read_locator(source: Source) -> int:
    require(source.length >= LOCATOR, "length", "shorter than a locator")
    return number(source.read(source.length - LOCATOR, LOCATOR))


def find_trailer(source: Source, epochs: Epochs) -> Trailer:
    """Step 10: by the locator."""
    locator = read_locator(source)
    most = min(trailer_length(MOST_RUNS), source.length - LOCATOR)
    require(trailer_length(1) <= locator <= most, "not-sealed", "no plausible locator")
    return open_trailer(source, source.length - LOCATOR - locator, locator, epochs)
