"""The tests' own way in, on a port of its own without TLS: switches, faults, what was stored."""

import json
import re

from .odata import bad, empty, shown
from .wire import Answer


class Control:
    def __init__(self, application, faults, server):
        self.application, self.faults, self.server = application, faults, server

    def __call__(self, request):
        try:
            return self.serve(request)
        except (ValueError, TypeError, KeyError) as fault:
            return shown({"error": {"code": "control", "message": str(fault)}}, 400)

    def serve(self, request):
        body = json.loads(request.body() or b"null")
        asked = f"{request.method} {request.path}"
        if asked == "GET /switches":
            return shown(self.application.switches.shown())
        if asked == "POST /switches":
            self.application.switches.change(body)
            return shown(self.application.switches.shown())
        if asked == "POST /faults":
            self.faults.order(body)
            return empty(204)
        if asked == "POST /chance":
            self.faults.seed(**body)
            return empty(204)
        if asked == "GET /held":
            return shown(self.faults.held())
        if asked == "DELETE /faults":
            self.faults.clear()
            return empty(204)
        if asked == "GET /tenant":
            return shown(self.tenant())
        if asked == "GET /items":
            return shown(self.items())
        if asked == "GET /violations":
            return shown(self.lines("violations.jsonl"))
        if asked == "GET /requests":
            after = int(request.query.partition("=")[2] or 0)
            return shown([one for one in self.lines("requests.jsonl") if one["request"] > after])
        if asked == "POST /deltas/expire":
            for drive in self.application.store.drives.values():
                drive.epoch += "x"
            return empty(204)
        if asked == "POST /sessions/lose":
            for session in self.application.uploads.sessions.values():
                session.over = True
            return empty(204)
        if asked == "POST /challenge":
            self.application.tenant.challenged = set(body)
            return empty(204)
        return Answer(404, [("Content-Type", "text/plain")], b"no such thing\n")

    def lines(self, name):
        path = self.server.log / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def tenant(self):
        tenant = self.application.tenant
        return {
            "id": tenant.id,
            "hosts": list(self.application.hosts),
            "tokens": {name: user["id"] for name, user in tenant.tokens.items() if user and re.match("token-of-", name)},
            "users": [{**tenant.show_user(user), "drive": user["drive"].id} for user in tenant.users.values()],
            "groups": [{"id": one["id"], "drive": one["site"]["drive"].id} for one in tenant.groups.values()],
            "sites": [{**tenant.show_site(one), "drive": one["drive"].id} for one in tenant.sites.values()],
        }

    def items(self):
        """Every file with where its bytes lie, older versions too."""
        found = []
        for drive in self.application.store.drives.values():
            for item in drive.items.values():
                if item.content and not item.deleted:
                    found.append(
                        {
                            "drive": drive.id,
                            "id": item.id,
                            "path": "/".join(drive.names(item)),
                            "size": item.content.size,
                            "hash": item.content.hash,
                            "stored": str(item.content.path),
                            "versions": [str(version.content.path) for version in item.versions],
                        }
                    )
        return found
