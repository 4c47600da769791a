"""Pre-authenticated URLs. Each is known by its bytes: one that comes back otherwise encoded is refused, as tempauth's signature would.

One thing is taken for the same: browsers, and Microsoft's own client for JavaScript, write `'` in a query as `%27` and have no choice in it.
"""

import base64
import os
import time
from dataclasses import dataclass
from urllib.parse import unquote

from .odata import Refused


@dataclass
class Grant:
    kind: str
    target: object
    expires: float


class Grants:
    def __init__(self, switches, violation):
        self.switches, self.violation = switches, violation
        self.issued = {}

    def issue(self, kind, target, host, path, parameter="tempauth", seconds=None, tail=""):
        """The absolute URL."""
        token = "v1." + base64.urlsafe_b64encode(os.urandom(48)).decode() + "." + base64.urlsafe_b64encode(os.urandom(18)).decode()
        token += "%3D%3D"
        if self.switches.tempauth_form == "odd":
            token += "%2e%7Ea%2fb~c%2Bd%c3%a9'(e)!*,;:@%25f"
        url = f"{path}{'&' if '?' in path else '?'}{parameter}={token}{tail}"
        lasts = self.switches.download_seconds if seconds is None else seconds
        self.issued[host, quotes(url)] = Grant(kind, target, time.monotonic() + lasts)
        return f"https://{host}{url}"

    def take(self, request, kind):
        """What the URL was issued for. 401 for one that was not, or was issued with other bytes; an expired one too."""
        found = self.issued.get((request.host, quotes(request.target)))
        if not found or found.kind != kind:
            same = [
                target
                for host, target in self.issued
                if host == request.host and loosely(target) == loosely(request.target)
            ]
            if same:
                self.violation(request, f"a pre-authenticated URL came back with other bytes; issued: {same[0]}")
            raise Refused(401, "unauthenticated", "The tempauth of this URL is not valid")
        if kind != "upload" and time.monotonic() > found.expires:
            raise Refused(401, "unauthenticated", "The tempauth of this URL has expired")
        return found.target


def quotes(target):
    return target.replace("%27", "'")


def loosely(target):
    path, _, query = target.partition("?")
    return unquote(path).lower(), sorted(unquote(part).lower() for part in query.split("&"))
