#!/usr/bin/env python3
"""The second implementation against tests/vectors/, and with --binary against what the gateway's own binary seals.

The last line is `N passed, M failed`; the exit code is 1 unless something passed and nothing failed.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from binary import results as sealed_by
from sceau_format.vectors import load

VECTORS = Path(__file__).resolve().parent.parent / "vectors"

Result = tuple[str, str | None]
"""What was tried, and what is wrong with it."""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--vectors", type=Path, default=VECTORS, metavar="DIR")
    arguments.add_argument("--binary", type=Path, metavar="PATH", help="sceau, whose objects are to be opened as well")
    given = arguments.parse_args()

    passed = failed = 0
    for name, fault in results(given.vectors, given.binary):
        if fault is None:
            passed += 1
        else:
            failed += 1
            print(f"{name}: {fault}")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


def results(folder: Path, binary: Path | None) -> Iterator[Result]:
    for path in sorted(folder.glob("*.json")):
        yield path.name, fault_of(path)
    if binary is not None:
        try:
            yield from sealed_by(binary)
        except Exception as error:
            yield str(binary), f"{type(error).__name__}: {error}"


def fault_of(path: Path) -> str | None:
    # a vector that can't be read, or that breaks the reader, is a failure like another
    try:
        vector = load(path)
        outcome = vector.outcome()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if outcome == vector.expect:
        return None
    return f"{vector.about}: expected {short(vector.expect)}, came to {short(outcome)}"


def short(outcome: object) -> str:
    text = json.dumps(outcome)
    return text if len(text) <= 200 else text[:200] + "…"


if __name__ == "__main__":
    sys.exit(main())
