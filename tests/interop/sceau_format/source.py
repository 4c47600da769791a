"""Where sealed bytes come from: anything that is read at a place, and whose length is known beforehand (section 7)."""

import io
from typing import BinaryIO

from .errors import require


class Source:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.length = file.seek(0, io.SEEK_END)

    @classmethod
    def of_bytes(cls, data: bytes) -> "Source":
        return cls(io.BytesIO(data))

    def read(self, at: int, size: int) -> bytes:
        """Exactly `size` bytes; `length` where the bytes end sooner."""
        self._file.seek(at)
        data = self._file.read(size)
        require(len(data) == size, "length", f"the bytes end before {at + size}")
        return data
