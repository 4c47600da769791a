"""What OData asks of every answer: errors, $select, paging, entity tags."""

import base64
import json
import re
import time
import uuid
from urllib.parse import quote, unquote

from .wire import Answer

GRAPH = "graph.microsoft.com"


class Refused(Exception):
    """An error that becomes an answer: HTTP status, Graph's code, a message."""

    def __init__(self, status, code, message, headers=(), extra=None):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers, self.extra = list(headers), extra or {}

    def answer(self):
        inner = {"date": stamp()[:-1], "request-id": str(uuid.uuid4()), "client-request-id": str(uuid.uuid4())}
        body = {"error": {"code": self.code, "message": self.message, "innerError": inner, **self.extra}}
        return shown(body, self.status, self.headers)


def not_found(what="The resource could not be found."):
    return Refused(404, "itemNotFound", what)


def bad(message, code="invalidRequest"):
    return Refused(400, code, message)


def shown(body, status=200, headers=()):
    kind = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, [("Content-Type", kind), ("request-id", str(uuid.uuid4())), *headers], data)


def empty(status, headers=()):
    return Answer(status, [("request-id", str(uuid.uuid4())), *headers])


def stamp(seconds=None):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def parameters(query):
    """{name: value}; names keep their `$`. Some clients leave the `$` away, which the services allow."""
    found = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        name = unquote(name.replace("+", " "))
        if name in ("select", "expand", "top", "filter", "orderby", "search", "skip", "skiptoken", "count"):
            name = "$" + name
        found[name] = unquote(value.replace("+", " "))
    return found


def read_json(request):
    """The JSON object of a request."""
    body = request.body()
    if not body:
        return {}
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise Refused(415, "UnsupportedMediaType", f"Content-Type {kind!r} is not JSON")
    try:
        read = json.loads(body)
    except ValueError as fault:
        raise bad(f"Unable to read JSON request payload: {fault}", "BadRequest") from fault
    if not isinstance(read, dict):
        raise bad("The JSON is no object", "BadRequest")
    return read


def select(entity, query, always=()):
    """Keeps what `$select` names, annotations of the protocol, and `always`."""
    wanted = query.get("$select")
    if not wanted:
        return entity
    names = {name.strip().split("/")[0] for name in wanted.split(",")} | set(always)
    if "content.downloadUrl" in names:
        names.add("@microsoft.graph.downloadUrl")
    return {
        name: value for name, value in entity.items() if name in names or name.startswith("@odata.") or name == "@removed"
    }


def page(values, query, default, most, link):
    """One page of values, and the link to the next; `link` makes an absolute URL of a skip token."""
    try:
        size = max(1, min(int(query.get("$top", default)), most))
        start = int(base64.urlsafe_b64decode(query["$skiptoken"])) if "$skiptoken" in query else int(query.get("$skip", 0))
    except ValueError as fault:
        raise bad(f"not a number: {fault}") from fault
    body = {"value": values[start : start + size]}
    if start + size < len(values):
        body["@odata.nextLink"] = link(base64.urlsafe_b64encode(str(start + size).encode()).decode())
    return body


def next_link(request, token, base=None):
    """The same URL with another skip token, on Graph's own host unless the API of the tenant was asked."""
    kept = [part for part in request.query.split("&") if part and not re.match(r"(\$|%24)?skip(token)?=", part)]
    kept.append("$skiptoken=" + quote(token, safe=""))
    return f"https://{base or request.host}{request.path}?" + "&".join(kept)


def precondition(request, tags):
    """412 unless If-Match and If-None-Match allow a change of what has these tags (empty: does not exist)."""

    def named(value):
        return {tag.strip().removeprefix("W/").strip('"') for tag in re.findall(r'(?:W/)?"[^"]*"|[^,\s]+', value)}

    have = {tag.removeprefix("W/").strip('"') for tag in tags}
    if_match, if_none = request.header("if-match"), request.header("if-none-match")
    failed = Refused(412, "preconditionFailed", "ETag does not match current item's value")
    if if_match and ((if_match.strip() == "*" and not have) or (if_match.strip() != "*" and not named(if_match) & have)):
        raise failed
    if if_none and ((if_none.strip() == "*" and have) or named(if_none) & have):
        raise failed
