"""Section 13: what is to be done with a vector of each kind.

Each function gives what must come out, or refuses. Cases of tokens and indexes are written as docs/tokens.md says.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .blob import open_blob
from .document import read_document
from .errors import Refused
from .identities import Recipient, read_identity, read_recipient
from .keys import Context, KnownSecrets, secret_id, subsecret
from .layout import HEADER
from .objects import ObjectReader, find_trailer
from .protected import open_protected
from .ranges import range_by_header, range_by_trailer
from .records import open_record, parse_record
from .run import derive
from .source import Source
from .tokens import equality_index, field_id, open_token, seal_token

Case = dict[str, Any]
unhex = bytes.fromhex


def _object(case: Case, folder: Path) -> Case:
    expected_id = unhex(case["object"]) if "object" in case else None
    reader = ObjectReader(_sealed(case, folder), _epochs(case), expected_id)
    outcome: Case = {"plaintext": _plaintext(reader)}
    if "digests" in case["expect"]:
        outcome["digests"] = {
            name: {"value": digest.value.hex(), "composite": digest.composite} for name, digest in reader.digests.items()
        }
    return outcome


def _range(case: Case, folder: Path) -> Case:
    source, epochs = _sealed(case, folder), _epochs(case)
    a, b = case["range"]
    if case["by"] == "header":
        pieces = range_by_header(source.read(0, HEADER), source, epochs, a, b)
    else:
        trailer = find_trailer(source, epochs)
        pieces = range_by_trailer(trailer, source, epochs, a, b)
    return {"plaintext": _plaintext(pieces)}


def _blob(case: Case, _: Path) -> Case:
    place = [unhex(component) for component in case["place"]]
    blob = open_blob(unhex(case["sealed"]), _epochs(case), place)
    return {"object": blob.object_id.hex(), "plaintext": blob.plaintext.hex()}


def _document(case: Case, _: Path) -> Case:
    fields = read_document(unhex(case["document"]))
    return {"fields": [[field.kind, field.name, field.value.hex()] for field in fields]}


def _run(case: Case, _: Path) -> Case:
    given = unhex(case["subsecret"])
    if case["secret"] is not None:
        derived = subsecret(unhex(case["secret"]), "object")
        assert derived == given, f"the object subsecret is {derived.hex()}"
    keys = derive(given, unhex(case["header"]), Context(*case["context"]))
    return {"commitment": keys.commitment.hex(), "segment": keys.seal_segment(0, unhex(case["plaintext"])).hex()}


def _record(case: Case, _: Path) -> Case:
    record = parse_record(unhex(case["record"]))
    writers = [unhex(writer) for writer in case["writers"]]
    identity = read_identity(case["identity"])
    secret = open_record(record, identity, writers, Context(*case["context"]), case["kind-expected"])
    return {"secret": secret.hex(), "id": secret_id(secret).hex()}


def _identity(case: Case, _: Path) -> Case:
    return _described(read_identity(case["text"]).recipient)


def _recipient(case: Case, _: Path) -> Case:
    return _described(read_recipient(case["text"]))


def _protected(case: Case, _: Path) -> Case:
    return {"secret": open_protected(unhex(case["file"]), unhex(case["passphrase"]), case["kind-expected"]).hex()}


def _token(case: Case, _: Path) -> Case:
    secret, context = unhex(case["secret"]), _spelt_context(case)
    token = open_token(case["token"], KnownSecrets([secret], context))
    sealed = seal_token(secret, context, case["field"], unhex(case["salt"]), token.plaintext)
    return {"field": token.field.hex(), "plaintext": token.plaintext.hex(), "sealed again": sealed}


def _index(case: Case, _: Path) -> Case:
    folded = {"exact": False, "folded": True}[case["normal"]]
    index = equality_index(unhex(case["secret"]), _spelt_context(case), case["field"], case["value"], folded)
    return {"index": index}


KINDS: dict[str, Callable[[Case, Path], Case]] = {
    "object": _object,
    "range": _range,
    "blob": _blob,
    "document": _document,
    "run": _run,
    "record": _record,
    "identity": _identity,
    "recipient": _recipient,
    "protected": _protected,
    "token": _token,
    "index": _index,
}


@dataclass(frozen=True)
class Vector:
    kind: str
    about: str
    expect: Case
    case: Case
    folder: Path

    def outcome(self) -> Case:
        try:
            return KINDS[self.kind](self.case, self.folder)
        except Refused as refused:
            return {"error": refused.name}


def load(path: Path) -> Vector:
    """Fails where a member is missing or the kind is unknown."""
    case = json.loads(path.read_text(encoding="utf-8"))
    kind = path.name.split("-")[0]
    if kind not in KINDS:
        raise ValueError(f"an unknown kind: {kind}")
    if kind in ("token", "index"):
        return Vector(kind, case["comment"], _expected_of_token(kind, case), case, path.parent)
    if case["kind"] != kind:
        raise ValueError(f"a {case['kind']} by the name of a {kind}")
    return Vector(kind, case["about"], case["expect"], case, path.parent)


def _expected_of_token(kind: str, case: Case) -> Case:
    if kind == "index":
        return {"index": case["index"]}
    if case["expect"] != "opens":
        return {"error": case["expect"]}
    return {"field": field_id(case["field"]).hex(), "plaintext": case["plaintext"], "sealed again": case["token"]}


def _spelt_context(case: Case) -> Context:
    return Context(case["tenant"], case["service"], case["namespace"])


def _epochs(case: Case) -> KnownSecrets:
    return KnownSecrets([unhex(secret) for secret in case["secrets"]], Context(*case["context"]))


def _sealed(case: Case, folder: Path) -> Source:
    def stretch(of: Case) -> bytes:
        if "hex" in of:
            return unhex(of["hex"])
        file: Path = folder / "objects" / of["file"]
        return file.read_bytes()[of["from"] : of["to"]]

    return Source.of_bytes(b"".join(stretch(of) for of in case["sealed"]))


def _plaintext(pieces: Iterable[bytes]) -> Case:
    plaintext = b"".join(pieces)
    described = {"length": len(plaintext), "sha256": hashlib.sha256(plaintext).hexdigest()}
    return described | ({"hex": plaintext.hex()} if len(plaintext) <= 64 else {})


def _described(recipient: Recipient) -> Case:
    return {"recipient": recipient.text, "recipient-id": recipient.id.hex()}
