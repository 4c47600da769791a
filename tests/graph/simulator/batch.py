"""`$batch`: up to 20 requests in one; the answers come in another order."""

import base64
import json
import re

from .odata import Refused, bad, read_json, shown
from .wire import Request

MOST = 20


def serve(request, dispatch):
    """`dispatch` answers one inner request."""
    if request.method != "POST":
        raise Refused(405, "notAllowed", "$batch takes POST")
    asked = read_json(request).get("requests")
    if not isinstance(asked, list) or not asked:
        raise bad("Invalid batch payload format.", "BadRequest")
    if len(asked) > MOST:
        raise bad(f"Number of batch request steps exceeds the maximum value of {MOST}.", "MaximumValueExceeded")
    identities = [one.get("id") for one in asked]
    if len({str(one).lower() for one in identities}) != len(asked) or not all(isinstance(one, str) and one for one in identities):
        raise bad("Each batch request step needs an id of its own.", "BadRequest")
    answers, done = [], {}
    for one in ordered(asked):
        failed = [name for name in one.get("dependsOn", []) if done[name] >= 400]
        if failed:
            body = {"error": {"code": "FailedDependency", "message": f"{failed[0]} failed"}}
            answer = {"id": one["id"], "status": 424, "headers": {"Content-Type": "application/json"}, "body": body}
        else:
            answer = step(request, one, dispatch)
        done[one["id"]] = answer["status"]
        answers.append(answer)
    return shown({"responses": answers[::-1]})


def ordered(asked):
    """As dependsOn has it."""
    left, known = list(asked), set()
    names = {one["id"] for one in asked}
    while left:
        ready = [one for one in left if set(one.get("dependsOn", [])) <= known]
        if not ready or any(not set(one.get("dependsOn", [])) <= names for one in left):
            raise bad("dependsOn names what is not there, or goes round in a circle.", "BadRequest")
        for one in ready:
            yield one
            known.add(one["id"])
            left.remove(one)


def step(outer, one, dispatch):
    method, url = one.get("method"), one.get("url")
    if not isinstance(method, str) or not isinstance(url, str) or re.match(r"[a-z]+:", url):
        raise bad("A batch request step needs a method and a relative url.", "BadRequest")
    given = one.get("headers") or {}
    headers = [("Host", outer.host), ("Authorization", outer.header("authorization") or "")]
    headers = [pair for pair in headers if pair[0].lower() not in {name.lower() for name in given}] + list(given.items())
    body = one.get("body")
    kind = next((value for name, value in given.items() if name.lower() == "content-type"), "")
    if body is not None and not kind:
        raise bad("A batch request step with a body needs a Content-Type.", "BadRequest")
    if isinstance(body, str):
        inner = base64.urlsafe_b64decode(body.replace("+", "-").replace("/", "_") + "=" * (-len(body) % 4))
    else:
        inner = b"" if body is None else json.dumps(body).encode()
    version = outer.path.split("/")[1]
    target = "/" + version + "/" + url.lstrip("/").replace(" ", "%20")
    answer = dispatch(Request(outer.number, method.upper(), target, headers, outer.sni, outer.secure, None, len(inner), inner=inner))
    shown_headers = {name: value for name, value in answer.headers if name.lower() != "request-id"}
    result = {"id": one["id"], "status": answer.status, "headers": shown_headers}
    data = b"".join(answer.pieces())
    if data:
        is_json = "json" in shown_headers.get("Content-Type", "")
        result["body"] = json.loads(data) if is_json else base64.b64encode(data).decode()
    return result
