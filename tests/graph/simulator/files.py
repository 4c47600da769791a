"""The driveItem API, the same on Graph's host and on the tenant's."""

import base64
import json
import re
import time
import uuid
from urllib.parse import quote, unquote

from . import items
from .items import context, show, show_drive
from .odata import (
    Refused,
    bad,
    empty,
    next_link,
    not_found,
    page,
    parameters,
    precondition,
    read_json,
    select,
    shown,
    stamp,
)
from .store import Version
from .wire import Answer

SIMPLE_LIMIT = 250 << 20
HIGHEST_PAGE = 999


class Files:
    """`find(drive, rest)`: `rest` is the raw path behind the drive."""

    def __init__(self, tenant, store, grants, uploads, switches):
        self.tenant, self.store, self.grants, self.uploads, self.switches = tenant, store, grants, uploads, switches
        self.monitors = {}

    def serve(self, request, drive, rest):
        self.store.settle()
        query = parameters(request.query)
        if rest in ("", "/"):
            self.only(request, "GET")
            return shown({"@odata.context": context(drive, "$entity"), **select(show_drive(drive), query)})
        if found := re.fullmatch(r"/(recent|sharedWithMe|following)(\(\))?", rest):
            self.only(request, "GET")
            return shown({"value": []})
        if re.match(r"/(root/)?(microsoft\.graph\.)?delta\b", rest):
            return self.delta(request, drive, drive.root, query, rest)
        if rest.startswith(("/search(", "/microsoft.graph.search(")):
            return self.search(request, drive.root, query, rest)
        start, names, action = self.address(drive, rest)
        return self.act(request, drive, start, names, action, query)

    @staticmethod
    def only(request, *methods):
        if request.method not in methods:
            raise Refused(405, "notAllowed", f"{request.method} is not allowed here", [("Allow", ", ".join(methods))])

    @staticmethod
    def address(drive, rest):
        """(item at which the path starts, names below it or None, action)."""
        # neither is ever part of a name, and clients encode both
        rest = re.sub("%2f", "/", re.sub("%3a", ":", rest, flags=re.I), flags=re.I)
        found = re.match(r"/(?:root|items/[^/:]+|special/[^/:]+)", rest)
        if not found:
            raise bad(f"Resource not found for the segment {rest[:100]!r}", "BadRequest")
        kind, _, identity = found[0][1:].partition("/")
        start = drive.get(unquote(identity)) if kind == "items" else drive.root
        if kind == "special":
            start = drive.folders(drive.root, [unquote(identity).capitalize()])
        rest = rest[found.end() :]
        if not rest.startswith(":"):
            return start, None, rest.strip("/")
        path, colon, action = rest[1:].partition(":")
        names = [unquote(name) for name in path.split("/") if name]
        return start, names, action.strip("/")

    def act(self, request, drive, start, names, action, query):
        name, argument = action.partition("(")[::2] if action.endswith(")") else (action, "")
        name = name.removeprefix("microsoft.graph.").removeprefix("oneDrive.")
        if request.method == "PUT" and name in ("", "content"):
            return self.put(request, drive, start, names, name, query)
        if name in ("createUploadSession", "upload.createSession"):
            self.only(request, "POST")
            item = drive.walk(start, names or [])
            if names and not item:
                return self.uploads.create(request, drive, self.parent(drive, start, names), names[-1], None)
            if names:
                return self.uploads.create(request, drive, drive.items[item.parent], names[-1], None)
            return self.uploads.create(request, drive, None, item.name, item)
        item = drive.walk(start, names or [])
        if not item:
            raise not_found("The resource could not be found.")
        verbs = {
            "": self.item,
            "content": self.content,
            "contentStream": self.content,
            "children": self.children,
            "delta": lambda *_: self.delta(request, drive, item, query, argument and f"({argument}"),
            "search": lambda *_: self.search(request, item, query, f"({argument}"),
            "copy": self.copy,
            "versions": self.versions,
            "permissions": self.permissions,
            "createLink": self.link,
            "invite": lambda *_: shown({"value": []}),
            "thumbnails": lambda *_: shown({"value": []}),
            "permanentDelete": self.permanent,
            "checkout": lambda *_: empty(204),
            "checkin": lambda *_: empty(204),
            "preview": lambda *_: shown({"getUrl": f"https://{drive.place.host}/_layouts/15/embed.aspx?UniqueId={item.guid}"}),
        }
        if name in verbs:
            return verbs[name](request, drive, item, query)
        if found := re.fullmatch(r"versions/([^/]+)(/content|/restoreVersion|/microsoft\.graph\.restoreVersion)?", action):
            return self.version(request, drive, item, query, unquote(found[1]), (found[2] or "").rpartition("/")[2])
        raise bad(f"Resource not found for the segment '{action[:80]}'.", "BadRequest")

    def parent(self, drive, start, names):
        """The folder of a path; SharePoint makes those that are missing when a file is written."""
        return drive.folders(start, names[:-1])

    def put(self, request, drive, start, names, name, query):
        if name == "":
            return self.put_item(request, drive, start, names, query)
        if request.length > SIMPLE_LIMIT:
            raise Refused(413, "requestEntityTooLarge", "More than 250 MB go by an upload session")
        if request.header("content-range"):
            raise bad("Content-Range belongs to upload sessions")
        behaviour = query.get("@microsoft.graph.conflictBehavior", query.get("@name.conflictBehavior", "replace"))
        if behaviour not in ("fail", "replace", "rename"):
            raise bad(f"conflictBehavior {behaviour!r}")
        item = drive.walk(start, names or [])
        if item and item.folder:
            raise Refused(409 if names else 400, "nameAlreadyExists" if names else "invalidRequest", "The item is a folder")
        precondition(request, [item.entity_tag, item.content_tag] if item else [])
        drive.room(request.length)
        folder = wanted = None
        if names:
            folder = self.parent(drive, start, names)
            item, wanted = drive.place_new(folder, names[-1], behaviour)
        new = item is None
        content = self.store.keep(request.body_path) if request.body_path else self.store.keep(data=request.body())
        if new:
            item = drive.make(folder, wanted, folder=False)
        drive.write(item, content)
        return shown({"@odata.context": context(drive), **select(show(item, self.grants), query)}, 201 if new else 200)

    def put_item(self, request, drive, start, names, query):
        """Metadata to a path: a folder, or the commit of an upload session."""
        asked = read_json(request)
        if not names:
            raise bad("PUT of an item needs its path")
        if "@microsoft.graph.sourceUrl" in asked:
            there = drive.walk(start, names)
            wanted = asked.get("name", names[-1])
            # the documents name the parent's path, the examples of clients that of the file
            folder = there if there and there.folder else self.parent(drive, start, names)
            return self.uploads.recover(request, drive, folder, wanted, asked)
        if "folder" not in asked:
            raise bad("Neither a folder nor a source")
        folder = self.parent(drive, start, names)
        return self.make_folder(drive, folder, names[-1], asked)

    def make_folder(self, drive, folder, name, asked):
        behaviour = asked.get("@microsoft.graph.conflictBehavior", asked.get("@name.conflictBehavior", "fail"))
        there = drive.child(folder, name)
        if there and behaviour == "replace" and there.folder:
            return shown({"@odata.context": context(drive), **show(there, self.grants)}, 200)
        _, name = drive.place_new(folder, name, "fail" if behaviour == "replace" else behaviour)
        item = drive.make(folder, name, folder=True)
        if isinstance(asked.get("fileSystemInfo"), dict):
            item.times |= asked["fileSystemInfo"]
        return shown({"@odata.context": context(drive), **show(item, self.grants)}, 201)

    def item(self, request, drive, item, query):
        self.only(request, "GET", "PATCH", "DELETE")
        if request.method == "GET":
            if request.header("if-none-match") in (item.entity_tag, item.content_tag):
                return empty(304, [("ETag", item.entity_tag)])
            return shown(self.expanded(request, drive, item, query))
        precondition(request, [item.entity_tag, item.content_tag])
        if request.method == "PATCH":
            return self.patch(request, drive, item, query)
        if not item.parent:
            raise bad("The root can't be deleted")
        drive.remove(item)
        return empty(204)

    def permanent(self, request, drive, item, query):
        self.only(request, "POST")
        drive.remove(item)
        return empty(204)

    def expanded(self, request, drive, item, query):
        wanted = [name for name in query.get("$select", "").split(",") if name]
        body = select(show(item, self.grants, wanted), query)
        expand = query.get("$expand", "")
        if re.match(r"children\b", expand):
            inner = re.search(r"\$?select=([^;)]*)", expand)
            asked = {"$select": inner[1]} if inner else {}
            body["children"] = [select(show(child, self.grants), asked) for child in drive.children(item)]
        if re.search(r"\bthumbnails\b", expand):
            body["thumbnails"] = []
        return {"@odata.context": context(drive), **body}

    def patch(self, request, drive, item, query):
        asked = read_json(request)
        target = drive.items[item.parent] if item.parent else None
        reference = asked.get("parentReference") or {}
        if reference.get("driveId", drive.id) != drive.id:
            raise Refused(400, "invalidRequest", "Moves between drives go by copy")
        if "id" in reference:
            target = drive.get(reference["id"])
        elif "path" in reference:
            path = unquote(reference["path"].partition("root:")[2])
            target = drive.walk(drive.root, [name for name in path.split("/") if name])
        if item.parent and (not target or not target.folder):
            raise not_found("The destination could not be found.")
        above = target
        while above:
            if above is item:
                raise bad("A folder can't be moved into itself")
            above = drive.items.get(above.parent)
        name = asked.get("name", item.name)
        if item.parent and (name != item.name or target.id != item.parent):
            there = drive.child(target, name)
            if there and there is not item:
                behaviour = asked.get("@microsoft.graph.conflictBehavior", "fail")
                there, name = drive.place_new(target, name, behaviour)
                if there:
                    drive.remove(there)
            from .store import checked

            item.name, item.parent = checked(name), target.id
        if isinstance(asked.get("fileSystemInfo"), dict):
            item.times |= asked["fileSystemInfo"]
            if self.switches.metadata_versions and not item.folder:
                item.versions.append(Version(f"{item.number}.0", item.modified, item.content))
                item.number += 1
        for key in ("description",):
            if key in asked:
                item.fields[key] = asked[key]
        drive.changed(item)
        return shown({"@odata.context": context(drive), **select(show(item, self.grants), query)})

    def children(self, request, drive, item, query):
        self.only(request, "GET", "POST")
        if request.method == "POST":
            asked = read_json(request)
            if "name" not in asked:
                raise bad("The name is missing")
            if "folder" in asked:
                return self.make_folder(drive, item, asked["name"], asked)
            if "file" not in asked:
                raise bad("Neither folder nor file")
            there, name = drive.place_new(item, asked["name"], asked.get("@microsoft.graph.conflictBehavior", "fail"))
            made = there or drive.make(item, name, folder=False)
            drive.write(made, self.store.keep())
            return shown({"@odata.context": context(drive), **show(made, self.grants)}, 201)
        wanted = [name for name in query.get("$select", "").split(",") if name]
        values = [select(show(child, self.grants, wanted), query) for child in self.sorted(drive.children(item), query)]
        body = page(values, query, self.switches.page, HIGHEST_PAGE, lambda token: next_link(request, token))
        return shown({"@odata.context": context(drive, "items"), "@odata.count": len(values), **body})

    @staticmethod
    def sorted(found, query):
        order = query.get("$orderby", "name").split(",")[0].split()
        keys = {"name": lambda one: one.name.lower(), "size": lambda one: one.size, "lastModifiedDateTime": lambda one: one.modified}
        if order[0] not in keys:
            raise bad(f"can't order by {order[0]!r}")
        return sorted(found, key=keys[order[0]], reverse=order[1:] == ["desc"])

    def content(self, request, drive, item, query):
        self.only(request, "GET", "HEAD")
        if item.folder:
            raise bad("A folder has no content")
        if "format" in query:
            return empty(302, [("Location", f"https://{drive.place.host}/_layouts/15/convert.aspx?UniqueId={item.guid}")])
        if request.header("if-none-match") in (item.entity_tag, item.content_tag):
            return empty(304, [("ETag", item.entity_tag)])
        if request.path.endswith("contentStream"):
            return self.bytes(request, item.content, item)
        return empty(302, [("Location", items.download_url(item, self.grants))])

    def download(self, request):
        """What a pre-authenticated URL gives."""
        self.only(request, "GET", "HEAD")
        item, version = self.grants.take(request, "download")
        if item.deleted:
            raise not_found("The file is gone")
        self.store.settle()
        return self.bytes(request, version.content if version else item.content, item)

    def bytes(self, request, content, item):
        tag = f'"{{{item.guid.upper()}}},{item.ctag}"'
        when = time.strptime(item.modified, "%Y-%m-%dT%H:%M:%SZ")
        headers = [
            ("Content-Type", item.mime),
            ("Content-Disposition", f"attachment; filename*=UTF-8''{quote(item.name)}; filename=\"{quote(item.name)}\""),
            ("ETag", tag),
            ("Last-Modified", time.strftime("%a, %d %b %Y %H:%M:%S GMT", when)),
            ("Cache-Control", "private"),
        ]
        if request.header("if-none-match") == tag:
            return empty(304, [("ETag", tag)])
        honoured = self.switches.download_range == "honour"
        if honoured:
            headers.append(("Accept-Ranges", "bytes"))
        wanted = request.header("range") if honoured else None
        if wanted and request.header("if-range", tag) != tag:
            wanted = None
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", wanted or "")
        if not found or found[0] == "bytes=-":
            return Answer(200, headers, file=(content.path, 0, content.size))
        if found[1]:
            first, last = int(found[1]), min(int(found[2] or content.size), content.size - 1)
        else:
            first, last = max(0, content.size - int(found[2])), content.size - 1
        if found[1] and found[2] and int(found[2]) < int(found[1]):
            return Answer(200, headers, file=(content.path, 0, content.size))
        if first >= content.size or last < first:
            return Answer(416, [("Content-Range", f"bytes */{content.size}"), ("Content-Type", "text/html")], b"")
        headers.append(("Content-Range", f"bytes {first}-{last}/{content.size}"))
        return Answer(206, headers, file=(content.path, first, last + 1))

    def delta(self, request, drive, start, query, rest):
        self.only(request, "GET")
        found = re.search(r"\(token='([^']*)'\)", rest or "")
        token = unquote(found[1]) if found else query.get("token", query.get("$deltatoken"))
        cursor = {"epoch": drive.epoch, "since": 0, "first": True}
        base = f"https://{request.host}" + re.sub(r"\(.*", "", request.path)
        if token == "latest":
            cursor = {"epoch": drive.epoch, "since": drive.sequence, "first": False}
        elif token:
            cursor = self.cursor(drive, token, base)
        fresh = cursor["first"]
        changed = sorted((one for one in drive.items.values() if one.sequence > cursor["since"]), key=lambda one: one.sequence)
        if start.parent:
            inside = {start.id, *(one.id for one in drive.below(start))}
            changed = [one for one in changed if one.id in inside or one.deleted]
        changed = [one for one in changed if not (fresh and one.deleted)]
        size = min(int(query.get("$top", self.switches.page)), HIGHEST_PAGE)
        some, more = changed[:size], len(changed) > size
        wanted = [name for name in query.get("$select", "").split(",") if name]
        values = [select(items.changed(one, self.grants, self.switches, wanted), query, ["deleted", "id"]) for one in some]
        since = some[-1].sequence if more else drive.sequence
        link = {"epoch": drive.epoch, "since": since, "first": fresh and more}
        kept = "".join(f"&{key}={quote(query[key], safe=',')}" for key in ("$select", "$top", "$expand") if key in query)
        url = f"{base}?token={base64.urlsafe_b64encode(json.dumps(link).encode()).decode().rstrip('=')}{kept}"
        body = {"@odata.context": context(drive, "items"), "value": values}
        body["@odata.nextLink" if more else "@odata.deltaLink"] = url
        return shown(body)

    @staticmethod
    def cursor(drive, token, base):
        """A token of ours; a moment in time gives all, which is allowed; one of a former epoch must start again."""
        if re.match(r"\d{4}-\d\d-\d\dT", token):
            return {"epoch": drive.epoch, "since": 0, "first": False}
        try:
            cursor = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        except ValueError as fault:
            raise bad("The delta token is not valid") from fault
        if cursor["epoch"] != drive.epoch:
            raise Refused(410, "resyncChangesApplyDifferences", "Resync required.", [("Location", base)])
        return cursor

    def search(self, request, start, query, rest):
        """Finds names, and text in what is stored."""
        self.only(request, "GET")
        found = re.search(r"\(q=(?:'|%27)(.*)(?:'|%27)\)", rest)
        if not found:
            raise bad("search needs q")
        sought = unquote(found[1]).replace("''", "'").strip("{}").lower()
        hits = []
        for item in start.drive.below(start):
            if sought in item.name.lower() or (item.content and sought.encode() in item.content.path.read_bytes().lower()):
                hits.append(item)
        values = [select(show(item, self.grants), query) for item in hits]
        body = page(values, query, self.switches.page, HIGHEST_PAGE, lambda token: next_link(request, token))
        return shown({"@odata.context": context(start.drive, "items"), **body})

    def copy(self, request, drive, item, query):
        self.only(request, "POST")
        asked = read_json(request)
        reference = asked.get("parentReference") or {}
        target = self.store.drive(reference.get("driveId", drive.id))
        if "id" in reference:
            folder = target.get(reference["id"])
        elif "path" in reference:
            path = unquote(reference["path"].partition("root:")[2])
            folder = target.walk(target.root, [name for name in path.split("/") if name])
        else:
            folder = drive.items[item.parent]
        if not folder or not folder.folder:
            raise not_found("The destination could not be found.")
        behaviour = asked.get("@microsoft.graph.conflictBehavior", query.get("@microsoft.graph.conflictBehavior", "fail"))
        name = asked.get("name", item.name)
        monitor = {"due": time.monotonic() + self.switches.copy_seconds, "work": (target, item, folder, name, behaviour), "answer": None}
        identity = str(uuid.uuid4())
        self.monitors[identity] = monitor
        if not self.switches.copy_seconds:
            self.finish(monitor)
        return empty(202, [("Location", f"https://{target.place.host}/_api/v2.0/monitor/{identity}")])

    def finish(self, monitor):
        target, item, folder, name, behaviour = monitor["work"]
        try:
            there, name = target.place_new(folder, name, behaviour)
            if there:
                target.remove(there)
            made = self.duplicate(target, item, folder, name)
            monitor["answer"] = {"percentageComplete": 100.0, "status": "completed", "resourceId": made.id}
        except Refused as fault:
            monitor["answer"] = {"status": "failed", "error": {"code": fault.code, "message": fault.message}}

    def duplicate(self, target, item, folder, name):
        """Raw bytes are copied: what was sealed stays as it is under another id."""
        made = target.make(folder, name, folder=item.folder)
        made.times = dict(item.times)
        if item.folder:
            for child in item.drive.children(item):
                self.duplicate(target, child, made, child.name)
        else:
            target.write(made, self.store.keep(item.content.path))
        return made

    def monitor(self, request, identity):
        self.only(request, "GET")
        monitor = self.monitors.get(identity)
        if not monitor:
            raise not_found("The operation is not known")
        if monitor["answer"] is None and monitor["due"] <= time.monotonic():
            self.finish(monitor)
        if monitor["answer"] is None:
            return shown({"percentageComplete": 50.0, "status": "inProgress"}, 202)
        return shown(monitor["answer"])

    @staticmethod
    def all_versions(item):
        """The newest first; the current one counts."""
        current = Version(f"{item.number}.0", item.modified, item.content)
        return [current, *reversed(item.versions)]

    def versions(self, request, drive, item, query):
        self.only(request, "GET")
        if item.folder:
            raise bad("Folders have no versions")
        values = [items.show_version(one, drive, self.switches, item.mime) for one in self.all_versions(item)]
        return shown({"@odata.context": context(drive, "items/versions"), "value": [select(one, query) for one in values]})

    def version(self, request, drive, item, query, identity, action):
        version = next((one for one in self.all_versions(item) if one.id == identity), None)
        if not version:
            raise not_found("The version could not be found.")
        if action == "content":
            self.only(request, "GET")
            if version.id == f"{item.number}.0":
                raise bad("The content of the current version is that of the item")
            return empty(302, [("Location", items.download_url(item, self.grants, version))])
        if action.endswith("restoreVersion"):
            self.only(request, "POST")
            drive.write(item, version.content)
            return empty(204)
        self.only(request, "GET", "DELETE")
        if request.method == "DELETE":
            item.versions = [one for one in item.versions if one.id != identity]
            return empty(204)
        return shown(select(items.show_version(version, drive, self.switches, item.mime), query))

    def permissions(self, request, drive, item, query):
        self.only(request, "GET")
        owner = {"id": "owner", "roles": ["owner"], "grantedToV2": items.identity(drive.owner)}
        return shown({"value": [owner]})

    def link(self, request, drive, item, query):
        self.only(request, "POST")
        asked = read_json(request)
        url = items.web_url(drive, item)
        share = "u!" + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
        link = {"type": asked.get("type", "view"), "scope": asked.get("scope", "organization"), "webUrl": url}
        return shown({"id": share, "roles": ["read"], "shareId": share, "link": link, "createdDateTime": stamp()}, 201)
