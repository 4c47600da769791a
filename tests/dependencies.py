"""Holds every crate that is built against deny.toml: its licence, its source, and whether it is banned.

Does without a network what `cargo deny check bans licenses sources` does; advisories need their database.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def licensed(expression, allowed):
    """Whether an SPDX expression can be met by the licences that are allowed."""
    if not expression:
        return False
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def either():
        found = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            # no short circuit: the tokens must be read
            found = both() or found
        return found

    def both():
        found = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            found = one() and found
        return found

    def one():
        if (token := tokens.pop(0)) == "(":
            found = either()
            tokens.pop(0)
            return found
        if tokens and tokens[0] == "WITH":
            token = f"{token} WITH {tokens[1]}"
            del tokens[:2]
        return token in allowed

    return either()


def crates(targets):
    """What is built for the targets, dependencies of the tests included: {name and version: licence}."""
    found = {}
    for target in targets:
        command = ["cargo", "tree", "--locked", "--target", target, "--edges", "normal,build,dev", "--prefix", "none"]
        tree = subprocess.run([*command, "--format", "{p}|{l}"], cwd=ROOT, check=True, capture_output=True, text=True)
        for line in tree.stdout.splitlines():
            crate, licence = line.removesuffix(" (*)").rsplit("|", 1)
            found[crate.removesuffix(" (proc-macro)")] = licence
    return found


def main():
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    allowed = set(rules["licenses"]["allow"])
    banned = {ban["crate"]: ban["reason"] for ban in rules["bans"]["deny"]}
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    elsewhere = {package["name"] for package in lock["package"] if not package.get("source", "").endswith("crates.io-index")}
    failed, used = 0, crates(rules["graph"]["targets"])
    for crate, licence in used.items():
        name = crate.split()[0]
        faults = []
        if not licensed(licence, allowed):
            faults.append(f"licence {licence!r}")
        if name in banned:
            faults.append(f"banned: {banned[name]}")
        if name in elsewhere and name != "sceau":
            faults.append("from another source than crates.io")
        for fault in faults:
            print(f"{crate}: {fault}")
        failed += bool(faults)
    print(f"{len(used) - failed} passed, {failed} failed")
    return 1 if failed or not used else 0


def self_test():
    """What must be refused is refused."""
    assert licensed("MIT OR Apache-2.0", {"MIT"}) and licensed("(MIT OR X) AND Y", {"MIT", "Y"})
    assert licensed("Apache-2.0 WITH LLVM-exception", {"Apache-2.0 WITH LLVM-exception"})
    assert not licensed("MIT AND GPL-3.0", {"MIT"}) and not licensed("GPL-3.0", {"MIT"})
    assert not licensed("Apache-2.0 WITH LLVM-exception", {"Apache-2.0"})


if __name__ == "__main__":
    self_test()
    sys.exit(main())
