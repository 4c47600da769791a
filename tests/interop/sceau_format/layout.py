"""Sections 4 to 6: a run's header, and how long runs, trailers and objects are."""

from dataclasses import dataclass

from .errors import require
from .primitives import TAG, number

MAGIC = b"\xd3SC1"
HEADER = 128
BOUND = 96  # the bytes of a header that the derivation binds; the commitment follows
SEGMENT = 1 << 16
SEALED_SEGMENT = SEGMENT + TAG
LONGEST_RUN = (1 << 40) - 1

TRAILER_PART = 0xFFFFFFFF
UNKNOWN = 0xFFFFFFFFFFFFFFFF

TRAILER_HEAD = 140
ENTRY = 92
MOST_RUNS = 65536
LOCATOR = 8


@dataclass(frozen=True)
class Header:
    """Section 4's table, without the fields that can have one value only."""

    part: int
    epoch: bytes
    object_id: bytes
    salt: bytes
    length: int  # UNKNOWN where it was not known when the run began
    commitment: bytes = b""

    @property
    def is_trailer(self) -> bool:
        return self.part == TRAILER_PART

    def bound(self) -> bytes:
        """The first 96 bytes."""
        return b"".join(
            [
                *(MAGIC, b"\x01", b"\x01", b"\x10", b"\x01" if self.is_trailer else b"\x00"),
                *(self.part.to_bytes(4, "big"), bytes(4)),
                *(self.epoch, self.object_id, self.salt),
                *(self.length.to_bytes(8, "big"), bytes(8)),
            ]
        )


def parse_header(data: bytes) -> Header:
    """Section 7, "Parsing a header". The caller has 128 bytes."""
    assert len(data) == HEADER
    require(data[0:4] == MAGIC, "not-sealed", "no magic")
    require(data[4] == 1, "suite", f"version {data[4]}")
    require(data[5] == 1, "suite", f"suite {data[5]}")
    header = Header(
        part=number(data[8:12]),
        epoch=data[16:32],
        object_id=data[32:48],
        salt=data[48:80],
        length=number(data[80:88]),
        commitment=data[96:128],
    )
    # segment size, flags, reserved bytes, and the trailer flag where the part says so: all have one value only
    require(data[:BOUND] == header.bound(), "header", "segment size, flags, part or reserved bytes")
    require(header.length != UNKNOWN or header.part == 0, "header", "an unknown length in a run that is not of part 0")
    return header


def run_length(n: int) -> int:
    """R(n): bytes of a run that holds `n` bytes of plaintext."""
    return HEADER + n + TAG * (n // SEGMENT + 1)


def trailer_length(m: int) -> int:
    """T(m): bytes of the trailer run of an object of `m` runs."""
    return run_length(TRAILER_HEAD + ENTRY * m)


def object_length(p: int) -> int:
    """G(P): bytes of an object that holds `p` bytes of plaintext."""
    return p + TAG * (p // SEGMENT + 1) + 512 + 240 * min(p // 327680, 65535)


def plaintext_length(n: int) -> int:
    """The inverse of G, by binary search; `length` where there is none."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if object_length(middle) < n:
            low = middle + 1
        else:
            high = middle
    require(object_length(low) == n, "length", f"no object is {n} bytes long")
    return low


def zeros_length(lengths: list[int]) -> int:
    """Z for runs of these lengths; negative where they form no object."""
    runs = sum(run_length(n) for n in lengths)
    return object_length(sum(lengths)) - runs - trailer_length(len(lengths)) - LOCATOR
