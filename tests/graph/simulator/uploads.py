"""Upload sessions of drives: fragments one after another to a pre-authenticated URL of the tenant's host."""

import re
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from .items import context, show
from .odata import Refused, bad, empty, precondition, read_json, shown, stamp

ALIGNMENT = 327_680
# one request carries less than this
FRAGMENT_LIMIT = 60 << 20
UNSIZED = {"size", "fileSize"}


@dataclass
class Session:
    id: str
    drive: object
    folder: object
    name: str
    item: object
    behaviour: str
    deferred: bool
    declared: int | None
    fields: dict
    path: Path
    expires: float
    received: int = 0
    total: int | None = None
    url: str = ""
    over: bool = False


class Uploads:
    def __init__(self, store, grants, switches):
        self.store, self.grants, self.switches = store, grants, switches
        self.sessions = {}

    def create(self, request, drive, folder, name, item):
        """`item` is the one that the URL names, or None; then `folder` and `name` say where the new one goes."""
        asked = read_json(request)
        unknown = set(asked) - {"item", "deferCommit", "@odata.type"}
        # the SDKs send the settings of `item` beside it, which is allowed
        properties = dict(asked.get("item") or {})
        for key in sorted(unknown):
            properties.setdefault(key, asked[key])
        for key, value in list(properties.items()):
            if key.startswith("@name.conflictBehavior"):
                properties["@microsoft.graph.conflictBehavior"] = value
        behaviour = properties.get("@microsoft.graph.conflictBehavior", "replace")
        if behaviour not in ("fail", "replace", "rename"):
            raise bad(f"conflictBehavior {behaviour!r}")
        if item is None and properties.get("name", name) != name:
            raise bad("The name of the URL and that of the body differ")
        if item is not None and item.folder:
            raise bad("The item is a folder")
        declared = properties.get("fileSize")
        if declared is not None and (not isinstance(declared, int) or declared < 0):
            raise bad("fileSize is no size")
        if item is None:
            there = drive.child(folder, name)
            precondition(request, [there.entity_tag, there.content_tag] if there else [])
            drive.place_new(folder, name, behaviour)
        else:
            precondition(request, [item.entity_tag, item.content_tag])
        if declared is not None:
            drive.room(declared)
        session = self.open(drive, folder, name, item, behaviour, bool(asked.get("deferCommit")), declared, properties)
        body = {
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#microsoft.graph.uploadSession",
            **self.status(session),
            "uploadUrl": session.url,
        }
        return shown(body)

    def open(self, drive, folder, name, item, behaviour, deferred, declared, properties):
        identity = str(uuid.uuid4())
        path = self.store.folder / f"session-{identity}.part"
        path.touch()
        expires = time.time() + self.switches.session_seconds
        fields = {key: properties[key] for key in ("fileSystemInfo", "description") if key in properties}
        session = Session(identity, drive, folder, name, item, behaviour, deferred, declared, fields, path, expires)
        place = drive.place
        named = item.id if item else "01" + uuid.uuid4().hex.upper()
        overwrite = behaviour == "replace"
        url = (
            f"{place.site}/_api/v2.0/drives/{drive.id}/items/{named}/uploadSession?guid='{identity}'"
            f"&overwrite={overwrite}&rename={behaviour == 'rename'}&dc=0"
        )
        session.url = self.grants.issue("upload", session, place.host, url)
        self.sessions[identity] = session
        return session

    def status(self, session):
        total = session.total if session.total is not None else session.declared
        if session.total is not None and session.received == session.total:
            ranges = []
        elif self.switches.ranges_form == "closed" and total:
            ranges = [f"{session.received}-{total - 1}"]
        else:
            ranges = [f"{session.received}-"]
        return {"expirationDateTime": stamp(session.expires)[:-1] + ".000Z", "nextExpectedRanges": ranges}

    def serve(self, request):
        if request.method in ("PUT", "POST") and request.header("authorization") and self.switches.upload_authorization == "401":
            raise Refused(401, "unauthenticated", "A pre-authenticated URL takes no Authorization")
        session = self.grants.take(request, "upload")
        if session.over or time.time() > session.expires:
            raise Refused(404, "itemNotFound", "The upload session was not found")
        if request.method == "GET":
            return shown(self.status(session))
        if request.method == "DELETE":
            self.close(session)
            return empty(204)
        if request.method == "PUT":
            return self.fragment(request, session)
        if request.method == "POST":
            if request.length:
                raise bad("The commit of an upload session has no content")
            if session.total is None or session.received != session.total:
                raise bad("The upload session is not complete")
            return self.commit(session, session.folder, session.name, session.behaviour)
        raise Refused(405, "notAllowed", request.method)

    def close(self, session):
        session.over = True
        session.path.unlink(missing_ok=True)

    def fragment(self, request, session):
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", request.header("content-range") or "")
        if not found:
            raise bad("Content-Range must be `bytes first-last/total`", "invalidRange")
        first, last, total = map(int, found.groups())
        if request.chunked:
            raise Refused(411, "lengthRequired", "A fragment says its Content-Length")
        length = last - first + 1
        if length < 1 or last >= total or request.length != length:
            raise bad("Content-Range and Content-Length do not fit", "invalidRange")
        if length >= FRAGMENT_LIMIT:
            raise Refused(413, "requestEntityTooLarge", "A fragment is smaller than 60 MiB")
        known = session.total if session.total is not None else session.declared
        if known is not None and known != total:
            raise bad("The total length differs from what was declared before", "invalidRange")
        if first != session.received:
            detail = "fragmentOverlap" if first < session.received else "fragmentOutOfOrder"
            raise Refused(416, "invalidRange", "The fragment is not the one expected next", extra={"innererror": {"code": detail}})
        if last + 1 != total and length % ALIGNMENT and self.switches.fragment_rule == "reject":
            raise bad("The fragment is no multiple of 327,680 bytes", "invalidRange")
        with open(session.path, "r+b") as target, open(request.body_path, "rb") as source:
            target.truncate(first)
            target.seek(first)
            while piece := source.read(1 << 20):
                target.write(piece)
        session.total, session.received = total, last + 1
        if session.received < total or session.deferred:
            return shown(self.status(session), 202)
        return self.commit(session, session.folder, session.name, session.behaviour)

    def commit(self, session, folder, name, behaviour):
        """The session becomes a file. What stands in the way leaves the session as it is."""
        drive, item = session.drive, session.item
        drive.room(session.total)
        if item is None:
            item, name = drive.place_new(folder, name, behaviour)
        elif item.deleted:
            raise Refused(404, "itemNotFound", "The item was deleted meanwhile")
        new = item is None
        if new:
            item = drive.make(folder, name, folder=False)
        drive.write(item, self.store.keep(session.path))
        item.times |= (session.fields.get("fileSystemInfo") or {}) if isinstance(session.fields.get("fileSystemInfo"), dict) else {}
        if "description" in session.fields:
            item.fields["description"] = session.fields["description"]
        self.close(session)
        return shown({"@odata.context": context(drive), **show(item, self.grants)}, 201 if new else 200)

    def recover(self, request, drive, folder, name, asked):
        """PUT of metadata with `@microsoft.graph.sourceUrl`: commits a session that failed at its end."""
        url = asked["@microsoft.graph.sourceUrl"]
        session = next((one for one in self.sessions.values() if one.url == url), None)
        if session is None or session.over or session.drive is not drive:
            raise Refused(404, "itemNotFound", "The source is no upload session")
        if session.total is None or session.received != session.total:
            raise bad("The upload session is not complete")
        there = drive.child(folder, name)
        precondition(request, [there.entity_tag, there.content_tag] if there else [])
        session.item = None
        return self.commit(session, folder, name, asked.get("@microsoft.graph.conflictBehavior", "fail"))
