"""What the tests store: a tree of awkward names and sizes, a canary in every file, and the search for canaries."""

import base64
import hashlib
import os
import random
import subprocess
from pathlib import Path

SEGMENT = 65_536
MIB = 1 << 20
BOUNDARIES = [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 327_679, 327_680, 327_681, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1]
LARGE = 64 * MIB + 12_345

# As they are below a directory; each works in a file system, too.
NAMES = [
    "plain.txt",
    "with spaces in it.txt",
    "plus+and+plus.bin",
    "percent%20and%2Fnot%decoded.bin",
    "ümläut/éàç/文件-ファイル.bin",
    "decomposed-e\u0301.bin",
    "emoji-😀.bin",
    "a&b=c;d,e@f:g$h!i.bin",
    'it\'s (quoted) "twice".bin',
    "hash#and~tilde.bin",
    "brackets[1]{2}.bin",
    "-leading-dash.bin",
    ".hidden",
    "deep/" + "/".join("abcdefghij") + "/leaf.bin",
]


def longest(prefix):
    """A key of 1,024 bytes behind the prefix, in segments that a file system takes."""
    left = 1_024 - len(prefix.encode())
    parts = []
    while left > 250:
        parts.append("k" * 200)
        left -= 201
    return "/".join([*parts, "z" * left])


class Canary:
    """A text that is in everything that a test stores by one way, and must not be found where it must not be."""

    def __init__(self, name):
        self.text = f"canary-{name}-{os.urandom(12).hex()}".encode()

    def forms(self):
        yield self.text
        yield self.text.hex().encode()
        yield self.text.hex().upper().encode()
        for offset in range(3):
            # what stands around the text changes the first and the last characters
            coded = base64.b64encode(b"\0" * offset + self.text)
            yield coded[4 if offset else 0 : -4]

    def content(self, size, seed):
        """Bytes that don't compress and hold the canary as often as fits, at every 1,000 bytes."""
        data = bytearray(random.Random(f"{seed}-{size}").randbytes(size))
        step = 1_000 if size <= 8 * MIB else 100_000
        for at in range(0, size - len(self.text) + 1, step):
            data[at : at + len(self.text)] = self.text
        return bytes(data)

    def found_in(self, data):
        return any(form in data for form in self.forms())

    def files_with(self, folder):
        """Files below the folder that hold it in their bytes or in their extended attributes."""
        patterns = folder.parent / f"{folder.name}.patterns"
        patterns.write_bytes(b"\n".join(self.forms()) + b"\n")
        done = subprocess.run(
            ["grep", "-rlaF", "-f", patterns, folder],
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C"},
        )
        assert done.returncode in (0, 1), done.stderr
        found = set(done.stdout.splitlines())
        for place, folders, files in os.walk(folder):
            for name in (*folders, *files):
                path = os.path.join(place, name)
                for attribute in os.listxattr(path, follow_symlinks=False):
                    if self.found_in(os.getxattr(path, attribute, follow_symlinks=False)):
                        found.add(path)
        return sorted(found)


class Tree:
    """Files on disk, and what is in them."""

    def __init__(self, root, canary, names=tuple(NAMES), sizes=tuple(BOUNDARIES), long_prefix=None):
        self.root, self.canary = Path(root), canary
        self.digests = {}
        names = list(names)
        if long_prefix is not None:
            names.append(longest(long_prefix))
        for number, name in enumerate(names):
            self.write(name, 1_000 + number)
        for size in sizes:
            self.write(f"sizes/{size}.bin", size)

    def write(self, name, size):
        data = self.canary.content(size, name)
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.digests[name] = hashlib.sha256(data).hexdigest()

    def size(self, name):
        return (self.root / name).stat().st_size

    def sizes(self):
        return {name: self.size(name) for name in self.digests}

    def same_as(self, folder):
        """Every file is there with every byte, and nothing else is."""
        there = {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}
        assert there == self.digests.keys()
        for name, digest in self.digests.items():
            found = hashlib.sha256((Path(folder) / name).read_bytes()).hexdigest()
            assert found == digest, f"{name}: other bytes came back"
