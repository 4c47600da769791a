#!/usr/bin/env python3
"""Opens an object that the gateway sealed: sealed bytes, records and an identity are enough (docs/format.md).

Tenant, service and namespace come from the epoch's record. Exit codes: 0 opened and whole, 1 refused, 2 usage.
"""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sceau_format.errors import Refused
from sceau_format.identities import Identity, read_identity
from sceau_format.keyring import Keyring, read_bundle, read_directory, read_records
from sceau_format.objects import ObjectReader
from sceau_format.protected import open_protected, read_passphrase
from sceau_format.source import Source


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    keys = arguments.add_mutually_exclusive_group(required=True)
    keys.add_argument("--keys", type=Path, metavar="DIR", help="a key directory")
    keys.add_argument("--records", type=Path, metavar="PATH", help="a directory of records, or one; signatures go unchecked")
    keys.add_argument("--bundle", type=Path, metavar="FILE", help="a recovery bundle")
    arguments.add_argument("--identity", type=Path, metavar="FILE", required=True, help="a protected identity")
    arguments.add_argument("--passphrase-file", type=Path, metavar="FILE", required=True, help="holds the identity's passphrase")
    arguments.add_argument("-o", "--out", type=Path, metavar="OUT", help="the new file; otherwise standard output")
    arguments.add_argument("file", type=Path, metavar="FILE", help="the sealed object")
    given = arguments.parse_args()
    try:
        identity = read_protected_identity(given.identity, given.passphrase_file)
        keyring = find_keyring(given, identity)
        for record in keyring.left_out:
            print(f"left out: {record}", file=sys.stderr)
        with given.file.open("rb") as file, output(given.out) as out:
            for piece in ObjectReader(Source(file), keyring.epochs()):
                out.write(piece)
    except (Refused, OSError) as error:
        print(f"{given.file}: {error}", file=sys.stderr)
        return 1
    return 0


def read_protected_identity(file: Path, passphrase_file: Path) -> Identity:
    text = open_protected(file.read_bytes(), read_passphrase(passphrase_file), "identity")
    return read_identity(text.decode(errors="replace"))


def find_keyring(given: argparse.Namespace, identity: Identity) -> Keyring:
    if given.keys:
        return Keyring(read_directory(given.keys), identity)
    if given.bundle:
        return Keyring(read_bundle(given.bundle.read_bytes()), identity)
    print("the writers are not known: signatures of records go unchecked", file=sys.stderr)
    return Keyring(read_records(given.records), identity, signed=False)


@contextlib.contextmanager
def output(path: Path | None) -> Iterator[BinaryIO]:
    """A file bears its name only once it is whole."""
    if path is None:
        yield sys.stdout.buffer
        return
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
