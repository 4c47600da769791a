"""Entities that are JSON: kept in memory and, for whoever searches, on disk."""

import base64
import json
import os
import re

from .odata import bad, next_link, page, select, stamp


class Records:
    """One collection. Every entity lies in `stored/KIND-NUMBER.json` as it was last."""

    numbers = 0

    def __init__(self, folder, kind, prefix=""):
        self.folder, self.kind, self.prefix = folder, kind, prefix
        self.entities, self.paths, self.sequence, self.gone = {}, {}, 0, {}

    def add(self, entity, identity=None):
        identity = identity or self.prefix + base64.urlsafe_b64encode(os.urandom(30)).decode() + "AAA="
        entity["id"] = identity
        self.entities[identity] = entity
        Records.numbers += 1
        self.paths[identity] = self.folder / f"{self.kind}-{Records.numbers:06}.json"
        self.keep(entity)
        return entity

    def keep(self, entity):
        self.sequence += 1
        entity["~sequence"] = self.sequence
        self.paths[entity["id"]].write_text(json.dumps(entity, ensure_ascii=False, default=str))
        return entity

    def get(self, identity):
        return self.entities.get(identity)

    def remove(self, identity):
        self.sequence += 1
        self.gone[identity] = self.sequence
        del self.entities[identity]
        self.paths.pop(identity).unlink()


def visible(entity):
    return {key: value for key, value in entity.items() if not key.startswith("~")}


def listing(request, query, values, default=10, show=visible, most=1000):
    """A page of a collection after $filter, $orderby, $select."""
    if "$filter" in query:
        test = condition(query["$filter"])
        values = [one for one in values if test(one)]
    if "$orderby" in query:
        field, _, direction = query["$orderby"].partition(" ")
        values = sorted(values, key=lambda one: str(reach(one, field.split(",")[0])), reverse=direction.strip().startswith("desc"))
    body = page(values, query, default, most, lambda token: next_link(request, token))
    body["value"] = [select(show(one), query, ["id", "@odata.etag", "attachments"]) for one in body["value"]]
    if query.get("$count") == "true":
        body = {"@odata.count": len(values), **body}
    return body


def reach(entity, path):
    for name in path.split("/"):
        entity = entity.get(name) if isinstance(entity, dict) else None
    return entity


def condition(text):
    """Of $filter: comparisons, contains and startswith, joined by `and`."""
    tests = [single(part.strip()) for part in re.split(r"\s+and\s+(?=(?:[^']*'[^']*')*[^']*\Z)", text)]
    return lambda one: all(test(one) for test in tests)


def single(text):
    text = text.strip("()") if text.count("(") == text.count(")") and text.startswith("(") else text
    if found := re.fullmatch(r"(contains|startswith)\((?:tolower\()?([\w/]+)\)?,\s*'((?:[^']|'')*)'\)", text, re.I):
        sought = found[3].replace("''", "'").lower()
        if found[1].lower() == "contains":
            return lambda one: sought in str(reach(one, found[2]) or "").lower()
        return lambda one: str(reach(one, found[2]) or "").lower().startswith(sought)
    if found := re.fullmatch(r"([\w/]+)\s+(eq|ne|ge|gt|le|lt)\s+(?:'((?:[^']|'')*)'|(\S+))", text):
        wanted = found[3].replace("''", "'") if found[3] is not None else found[4]
        compare = {
            "eq": lambda a: a == wanted.lower(),
            "ne": lambda a: a != wanted.lower(),
            "ge": lambda a: a >= wanted.lower(),
            "gt": lambda a: a > wanted.lower(),
            "le": lambda a: a <= wanted.lower(),
            "lt": lambda a: a < wanted.lower(),
        }[found[2]]
        return lambda one: compare(plain(reach(one, found[1])))
    raise bad(f"Invalid filter clause: {text[:200]}", "BadRequest")


def plain(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value if value is not None else "null").lower()


def delta(request, query, records, keep=lambda one: True, show=visible, base=None):
    """All, then what changed since the token."""
    since = int(query.get("$deltatoken", query.get("$skiptoken", "0")).strip("'") or 0)
    values = [one for one in records.entities.values() if one["~sequence"] > since and keep(one)]
    gone = [{"id": one, "@removed": {"reason": "deleted"}} for one, when in records.gone.items() if since and when > since]
    shown = [select(show(one), query, ["id"]) for one in sorted(values, key=lambda one: one["~sequence"])]
    link = f"https://{request.host}{request.path}?$deltatoken={records.sequence}"
    return {"@odata.context": f"https://{request.host}/v1.0/$metadata#Collection(delta)", "value": shown + gone, "@odata.deltaLink": link}


def touch(entity, first=False):
    entity["lastModifiedDateTime"] = stamp()
    if first:
        entity["createdDateTime"] = entity["lastModifiedDateTime"]
    entity["changeKey"] = base64.b64encode(os.urandom(12)).decode()
    entity["@odata.etag"] = f'W/"{entity["changeKey"]}"'
    return entity
