"""Opens what the gateway's own binary sealed, refuses damaged objects with the class that the binary gives, and seals for it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from open import read_protected_identity
from sceau_format.errors import Refused
from sceau_format.keyring import Keyring, read_directory
from sceau_format.keys import SECRET, Context, Epoch, secret_id
from sceau_format.objects import ObjectReader, find_trailer
from sceau_format.ranges import range_by_trailer
from sceau_format.sealing import Piece, seal_object, seal_record
from sceau_format.source import Source

OPEN = Path(__file__).with_name("open.py")
SIZES = [0, 1, 65535, 65536, 65537, 327679, 327680, 327681, 5 * 1024 * 1024 + 1]
DAMAGED_SIZES = [1, 65536, 327680]

Result = tuple[str, str | None]


def results(binary: Path) -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        work = Workshop(binary.resolve(), Path(folder))
        for size in SIZES:
            yield f"sealed-{size}", work.opens(size, work.with_keys)
        yield "sealed-recovery-records", work.opens(65537, work.with_records)
        yield "sealed-recovery-bundle", work.opens(65537, work.with_bundle)
        yield "sealed-flipped-byte", work.refuses_a_flipped_byte()
        yield "sealed-ranges", work.opens_ranges(327681)
        for size in DAMAGED_SIZES:
            yield from work.agrees_about_damage(size)
        yield from work.seals_for_it()


class Workshop:
    """A directory made by `sceau init`, and files sealed in it."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self._binary = binary
        self._folder = folder
        site = folder / "site"
        self._run("init", site)
        self._keys = site / "keys"
        self._identity = self._keys / "identities" / "ministry.identity"
        self._passphrase = site / "secrets" / "passphrase"
        self._recovery: list[str | Path] = [
            "--identity",
            site / "recovery/recovery.identity",
            "--passphrase-file",
            site / "recovery/passphrase",
        ]
        for size in SIZES:
            self._plain(size).write_bytes(plaintext(size))
            place = ["--tenant", "min-interieur", "--service", "s3", "--namespace", "dossiers"]
            self._run("seal", self._plain(size), "--out", self._sealed(size), *place, *self._key_options)
        self._run("key", "export-recovery", folder / "bundle", "--directory", self._keys)

    # how open.py finds the keys
    @property
    def with_keys(self) -> list[str | Path]:
        return ["--keys", self._keys, "--identity", self._identity, "--passphrase-file", self._passphrase]

    @property
    def with_records(self) -> list[str | Path]:
        return ["--records", self._keys / "records", *self._recovery]

    @property
    def with_bundle(self) -> list[str | Path]:
        return ["--bundle", self._folder / "bundle", *self._recovery]

    def opens(self, size: int, keys: list[str | Path]) -> str | None:
        out = self._folder / "opened"
        done = self._open(self._sealed(size), keys, out)
        if done.returncode != 0:
            return done.stderr.strip()
        return None if out.read_bytes() == plaintext(size) else "another plaintext came out"

    def refuses_a_flipped_byte(self) -> str | None:
        damaged, out = self._folder / "damaged", self._folder / "nothing"
        damaged.write_bytes(flipped(self._sealed(65537).read_bytes(), 66000))
        done = self._open(damaged, self.with_keys, out)
        if done.returncode != 1 or "segment: " not in done.stderr:
            return f"exit code {done.returncode}, {done.stderr.strip()}"
        return "a file was written" if out.exists() else None

    def opens_ranges(self, size: int) -> str | None:
        source, epochs = Source.of_bytes(self._sealed(size).read_bytes()), self._keyring().epochs()
        trailer = find_trailer(source, epochs)
        for a, b in [(0, 1), (65535, 65537), (70000, 200000), (size - 1, size), (0, size)]:
            if b"".join(range_by_trailer(trailer, source, epochs, a, b)) != plaintext(size)[a:b]:
                return f"another plaintext came out of {a}..{b}"
        return None

    def agrees_about_damage(self, size: int) -> Iterator[Result]:
        keyring = self._keyring()
        folder = self._folder / f"damaged-{size}"
        folder.mkdir()
        cases = dict(damages(self._sealed(size).read_bytes()))
        for name, data in cases.items():
            (folder / name).write_bytes(data)
        theirs = self._classes(folder / name for name in cases)
        for name, data in cases.items():
            ours = class_of(data, keyring)
            agreed = ours == theirs.get(name) and ours is not None
            yield f"sealed-{size}-{name}", None if agreed else f"{ours} here, {theirs.get(name)} there"

    def seals_for_it(self) -> Iterator[Result]:
        """Objects of shapes that `sceau seal` does not make, under records that are made here too."""
        context = Context("min-interieur", "s3", "dossiers")
        first, second = (Epoch(os.urandom(SECRET), context) for _ in range(2))
        self._enroll([first, second])
        part = plaintext(327680)
        shapes = {
            "whole": [Piece(first, plaintext(65537))],
            "unknown-length": [Piece(first, plaintext(65536), length_known=False)],
            "empty-part": [Piece(first, b"", part=1)],
            "parts": [Piece(first, part, 1), Piece(second, part, 2), Piece(first, b"bonjour", 9)],
            "empty-part-first": [Piece(first, b"", 1), Piece(first, part * 2, 2), Piece(second, part, 10000)],
        }
        for name, pieces in shapes.items():
            sealed, out = self._folder / f"here-{name}", self._folder / f"there-{name}"
            sealed.write_bytes(seal_object(pieces, second))
            fault = None
            try:
                self._run("open", sealed, "--out", out, *self._key_options)
                if out.read_bytes() != b"".join(piece.plaintext for piece in pieces):
                    fault = "another plaintext came out"
            except RuntimeError as error:
                fault = str(error)
            yield f"sealed-here-{name}", fault

    def _enroll(self, epochs: list[Epoch]) -> None:
        """Another writer, and its records of these epochs, come into the key directory."""
        writer = Ed25519PrivateKey.generate()
        (self._keys / "writers" / "second.pub").write_text(writer.public_key().public_bytes_raw().hex() + "\n")
        recipient = read_protected_identity(self._identity, self._passphrase).recipient
        for epoch in epochs:
            record = seal_record(epoch.secret, epoch.context, writer, [recipient])
            (self._keys / "records" / f"{secret_id(epoch.secret).hex()}.record").write_bytes(record)

    def _classes(self, files: Iterable[Path]) -> dict[str, str]:
        command = [self._binary, "open", "--verify", "--json", *files, *self._key_options]
        done = subprocess.run(command, capture_output=True, text=True)
        return {Path(failed["file"]).name: failed["class"] for failed in json.loads(done.stdout)["failed"]}

    @property
    def _key_options(self) -> list[str | Path]:
        return ["--directory", self._keys, "--passphrase-file", self._passphrase]

    def _keyring(self) -> Keyring:
        return Keyring(read_directory(self._keys), read_protected_identity(self._identity, self._passphrase))

    def _run(self, *arguments: str | Path) -> None:
        done = subprocess.run([self._binary, *arguments], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"sceau {' '.join(map(str, arguments))}: {done.stderr.strip()}")

    def _open(self, file: Path, keys: list[str | Path], out: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, OPEN, *keys, file, "-o", out], capture_output=True, text=True)

    def _plain(self, size: int) -> Path:
        return self._folder / f"plain-{size}"

    def _sealed(self, size: int) -> Path:
        return self._folder / f"sealed-{size}"


def damages(sealed: bytes) -> Iterator[tuple[str, bytes]]:
    """A flipped bit at many places, at every byte that has a meaning of its own, and wrong lengths."""
    n = len(sealed)
    trailer = n - 8 - 376  # T(1)
    header = [*range(0, 17), 31, 32, 47, 48, 79, *range(80, 97), 127]
    places = {*header, 128, n // 2, *range(trailer - 17, trailer + 1), *(trailer + at for at in header), *range(n - 25, n)}
    for at in sorted(at for at in places if at >= 0):
        yield f"flipped-{at}", flipped(sealed, at)
    for size in (0, 7, 8, 127, 128, 384, 527, n - 16, n - 1):
        yield f"cut-{size}", sealed[:size]
    yield "more", sealed + b"\0"


def class_of(sealed: bytes, keyring: Keyring) -> str | None:
    try:
        for _ in ObjectReader(Source.of_bytes(sealed), keyring.epochs()):
            pass
    except Refused as refused:
        return refused.name
    return None


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def plaintext(size: int) -> bytes:
    block = bytes(7 * i % 251 for i in range(251))
    return (block * (size // len(block) + 1))[:size]
