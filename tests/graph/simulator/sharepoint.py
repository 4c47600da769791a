"""SharePoint's older REST API: files and folders by their server-relative URL, chunked uploads, attachments of list items."""

import hashlib
import json
import re
import time
import uuid
from dataclasses import dataclass, field
from urllib.parse import unquote
from xml.sax.saxutils import escape

from .items import server_relative
from .odata import Refused, empty, parameters, precondition, stamp
from .wire import Answer

LOCK_SECONDS = 15 * 60
DIGEST_SECONDS = 1800
SEGMENT = re.compile(r"/([^/(]+)(?:\(((?:'(?:[^']|'')*'|[^')])*)\))?")
ARGUMENT = re.compile(r"\s*(?:(@?\w+)\s*=\s*)?(?:(?:guid)?'((?:[^']|'')*)'|([^,']+))\s*(?:,|\Z)")


def literal(match):
    """What one argument means: the text between its quotes, or a bare word."""
    return match[2].replace("''", "'") if match[2] is not None else match[3].strip()


class Fault(Refused):
    """An error of SharePoint's, with its number and exception."""

    def __init__(self, status, code, message):
        super().__init__(status, code, message)

    def shaped(self, verbose):
        error = {"code": self.code, "message": {"lang": "en-US", "value": self.message}}
        return shape({"error" if verbose else "odata.error": error}, self.status, verbose)


def missing(what="File Not Found."):
    return Fault(404, "-2147024894, System.IO.FileNotFoundException", what)


def refused(message, status=400):
    return Fault(status, "-2146232832, Microsoft.SharePoint.SPException", message)


def shape(body, status, verbose):
    kind = "application/json;odata=verbose;charset=utf-8" if verbose else "application/json;odata=minimalmetadata;streaming=true;charset=utf-8"
    return Answer(status, [("Content-Type", kind)], json.dumps(body, ensure_ascii=False).encode())


def atom(answer, path):
    """The same in XML, as who does not ask for JSON gets it: a feed, an entry, a value or an error."""
    body = json.loads(answer.body)
    spaces = 'xmlns="http://www.w3.org/2005/Atom" xmlns:d="http://schemas.microsoft.com/ado/2007/08/dataservices" xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"'

    def element(name, value):
        kind = {bool: ' m:type="Edm.Boolean"', int: ' m:type="Edm.Int32"'}.get(type(value), ' m:type="Edm.Int64"' if name in ("Length", "StartUpload", "ContinueUpload") else "")
        inner = "".join(element(*pair) for pair in value.items()) if isinstance(value, dict) else escape(str(value).lower() if isinstance(value, bool) else str(value))
        return f"<d:{name}{kind}>{inner}</d:{name}>"

    def entry(values, spaces=""):
        shown = "".join(element(*pair) for pair in values.items() if "." not in pair[0])
        identity = escape(values.get("odata.id", ""))
        return f'<entry {spaces}><id>{identity}</id><title/><updated>{stamp()}</updated><author><name/></author><content type="application/xml"><m:properties>{shown}</m:properties></content></entry>'

    name = re.sub(r"\(.*", "", unquote(path).rstrip("/").rpartition("/")[2])
    if "odata.error" in body:
        error = body["odata.error"]
        kind, text = "application/xml", f'<m:error {spaces}><m:code>{escape(error["code"])}</m:code><m:message xml:lang="en-US">{escape(error["message"]["value"])}</m:message></m:error>'
    elif isinstance(body.get("value"), list):
        kind, text = "application/atom+xml;type=feed", f"<feed {spaces}>" + "".join(map(entry, body["value"])) + "</feed>"
    elif "odata.type" in body:
        kind, text = "application/atom+xml;type=entry", entry(body, spaces)
    elif set(body) == {"value"}:
        kind, text = "application/xml", element(name, body["value"]).replace(">", f" {spaces}>", 1)
    else:
        kind, text = "application/xml", element("GetContextWebInformation", body).replace(">", f" {spaces}>", 1)
    return Answer(answer.status, [("Content-Type", f"{kind};charset=utf-8")], f'<?xml version="1.0" encoding="utf-8"?>{text}'.encode())


@dataclass
class Chunks:
    """An upload in chunks; `taken`: of each chunk where it began, its digest and what was received with it."""

    identity: str
    path: object
    until: float
    stub: bool
    received: int = 0
    taken: dict = field(default_factory=dict)


CHUNKS = ("startupload", "startuploadfile", "continueupload", "finishupload", "cancelupload", "getuploadstatus")
STUBS = ("addstub", "addstubusingpath")


@dataclass
class ListItem:
    number: int
    title: str
    guid: str
    attachments: dict


class SharePoint:
    def __init__(self, tenant, store, switches):
        self.tenant, self.store, self.switches = tenant, store, switches
        self.digests, self.uploads, self.stubs, self.lists = {}, {}, set(), {}

    def serve(self, request, site, path, user):
        """`path` is behind `/_api`, raw."""
        accept = (request.header("accept") or "").replace(" ", "").lower()
        verbose = "odata=verbose" in accept
        answer = self.answer(request, site, path, verbose)
        kind = dict(answer.headers).get("Content-Type", "")
        return answer if "json" in accept or not kind.startswith("application/json") else atom(answer, path)

    def answer(self, request, site, path, verbose):
        method = request.method
        if method == "POST":
            method = (request.header("x-http-method") or "POST").upper()
        try:
            self.digest(request, method)
            if path.lower() == "/contextinfo":
                return self.context(site, verbose)
            return self.walk(request, site, path, method, verbose)
        except Fault as fault:
            return fault.shaped(verbose)

    def digest(self, request, method):
        """One that is sent must be one that was given; a bearer alone suffices too."""
        given = request.header("x-requestdigest")
        if given and method != "GET" and self.digests.get(given, 0) < time.monotonic():
            raise Fault(403, "-2130575251, Microsoft.SharePoint.SPException", "The security validation for this page is invalid.")

    def context(self, site, verbose):
        value = f"0x{uuid.uuid4().hex.upper()},{time.strftime('%d %b %Y %H:%M:%S', time.gmtime())} -0000"
        self.digests[value] = time.monotonic() + DIGEST_SECONDS
        web = f"https://{site['host']}{site['path']}"
        information = {"FormDigestTimeoutSeconds": DIGEST_SECONDS, "FormDigestValue": value, "LibraryVersion": "16.0.0.0", "SiteFullUrl": web, "WebFullUrl": web}
        if verbose:
            return shape({"d": {"GetContextWebInformation": {"__metadata": {"type": "SP.ContextWebInformation"}, **information}}}, 200, verbose)
        return shape(information, 200, verbose)

    @staticmethod
    def steps(path, query):
        """[(lower-case name, {name or number: argument})] of a path."""
        found, at = [], 0
        while at < len(path):
            match = SEGMENT.match(path, at)
            if not match:
                raise refused(f"The path can't be read at {path[at : at + 60]!r}")
            given, arguments = unquote(match[2] or ""), {}
            for number, one in enumerate(ARGUMENT.finditer(given)):
                alias = (one[3] or "").strip()
                value = literal(ARGUMENT.match(query[alias]) if alias.startswith("@") and alias in query else one)
                arguments[(one[1] or str(number)).lower()] = value
            found.append((unquote(match[1]).lower(), arguments))
            at = match.end()
        return found

    def walk(self, request, site, path, method, verbose):
        # a quote may come encoded; slashes that are part of an argument may not
        steps = self.steps(path.rstrip("/").replace("%27", "'").replace("%28", "(").replace("%29", ")"), parameters(request.query))
        name, arguments = steps[0]
        if name == "web":
            steps = steps[1:]
            if not steps:
                body = {"Title": site["name"], "Url": f"https://{site['host']}{site['path']}", "ServerRelativeUrl": site["path"] or "/", "Id": site["id"].split(",")[2]}
                return self.entity("SP.Web", f"https://{site['host']}{site['path']}/_api/Web", body, verbose)
            name, arguments = steps[0]
        if name == "currentuser":
            user = self.tenant.user(request)
            return self.entity("SP.User", "currentuser", {"Id": 9, "Title": user["displayName"], "Email": user["mail"]}, verbose)
        attached = re.search(r"/Lists/([^/]+)/Attachments/(\d+)/(.+)\Z", str(arguments.get("0", arguments.get("decodedurl", ""))))
        if name.startswith("getfilebyserverrelative") and attached:
            row = self.lists.get((site["id"], attached[1]), {}).get(int(attached[2]))
            if not row:
                raise missing()
            return self.attachments(request, site, attached[1], row, {"0": attached[3]}, steps[1:], method, verbose)
        if name in ("getfilebyserverrelativeurl", "getfilebyserverrelativepath", "getfilebyid"):
            return self.file(request, site, self.found(site, name, arguments), steps[1:], method, verbose)
        if name in ("getfolderbyserverrelativeurl", "getfolderbyserverrelativepath", "getfolderbyid"):
            folder = self.found(site, name, arguments)
            if not folder or not folder.folder:
                raise missing()
            return self.folder(request, site, folder, steps[1:], method, verbose)
        if name == "rootfolder" or (name == "lists" and len(steps) > 1 and steps[1][0] == "rootfolder"):
            return self.folder(request, site, site["drive"].root, steps[1:], method, verbose)
        if name == "defaultdocumentlibrary":
            return self.folder(request, site, site["drive"].root, steps[2:], method, verbose)
        if name == "lists":
            return self.list(request, site, arguments, steps[1:], method, verbose)
        raise refused(f"Cannot find resource for the request {name}.", 404)

    def found(self, site, name, arguments):
        wanted = arguments.get("0", arguments.get("decodedurl", ""))
        if name.endswith("byid"):
            return next((one for one in site["drive"].items.values() if one.guid == wanted.lower() and not one.deleted), None)
        return self.item(site, wanted)

    @staticmethod
    def item(site, url):
        """What is at a server-relative URL, or at one that begins with the library."""
        drive = site["drive"]
        url = re.sub(r"\Ahttps://[^/]+", "", url)
        if url.lower().startswith((site["path"] + "/").lower()):
            url = url[len(site["path"]) :]
        names = [name for name in url.split("/") if name]
        if not names or names[0].lower() != drive.place.library.lower():
            raise missing()
        return drive.walk(drive.root, names[1:])

    def entity(self, kind, uri, body, verbose, status=200):
        if verbose:
            return shape({"d": {"__metadata": {"id": uri, "uri": uri, "type": kind}, **body}}, status, verbose)
        return shape({"odata.type": kind, "odata.id": uri, "odata.editLink": uri, **body}, status, verbose)

    @staticmethod
    def values(found, verbose):
        return shape({"d": {"results": found}} if verbose else {"value": found}, 200, verbose)

    @staticmethod
    def result(name, value, verbose):
        return shape({"d": {name: value}} if verbose else {"value": value}, 200, verbose)

    def show_file(self, item):
        number = item.number
        return {
            "CheckInComment": "",
            "CheckOutType": 2,
            "ContentTag": f"{item.content_tag[3:-1]}",
            "CustomizedPageStatus": 0,
            "ETag": item.entity_tag,
            "Exists": True,
            "Length": str(item.content.size),
            "Level": 1,
            "LinkingUrl": "",
            "MajorVersion": number,
            "MinorVersion": 0,
            "Name": item.name,
            "ServerRelativeUrl": server_relative(item.drive, item),
            "TimeCreated": item.created,
            "TimeLastModified": item.modified,
            "Title": "",
            "UIVersion": 512 * number,
            "UIVersionLabel": f"{number}.0",
            "UniqueId": item.guid,
        }

    def show_folder(self, item):
        return {
            "Exists": True,
            "ItemCount": len(item.drive.children(item)),
            "Name": item.name,
            "ServerRelativeUrl": server_relative(item.drive, item),
            "TimeCreated": item.created,
            "TimeLastModified": item.modified,
            "UniqueId": item.guid,
        }

    def shown(self, item, verbose, status=200):
        host = item.drive.place.host + item.drive.place.site
        relative = server_relative(item.drive, item).replace("'", "''")
        if item.folder:
            return self.entity("SP.Folder", f"https://{host}/_api/Web/GetFolderByServerRelativeUrl('{relative}')", self.show_folder(item), verbose, status)
        return self.entity("SP.File", f"https://{host}/_api/Web/GetFileByServerRelativeUrl('{relative}')", self.show_file(item), verbose, status)

    def folder(self, request, site, folder, steps, method, verbose):
        drive = folder.drive
        if not steps:
            if method == "DELETE":
                drive.remove(folder)
                return empty(200)
            return self.shown(folder, verbose)
        name, arguments = steps[0]
        if name == "deleteobject" or name == "recycle":
            drive.remove(folder)
            return self.result("Recycle", folder.guid, verbose) if name == "recycle" else empty(200)
        if name == "files" and arguments:
            return self.file(request, site, drive.child(folder, arguments["0"]), steps[1:], method, verbose)
        if name == "files":
            if len(steps) == 1:
                return self.values([self.show_file(one) for one in drive.children(folder) if not one.folder], verbose)
            verb, arguments = steps[1]
            if verb in ("add", "addusingpath"):
                return self.add(request, drive, folder, arguments, method, verbose)
            if verb in STUBS:
                return self.stub(drive, folder, arguments, steps[2:], request, method, verbose)
            if verb == "getbyurl":
                return self.file(request, site, drive.child(folder, arguments["0"]), steps[2:], method, verbose)
        if name == "folders":
            if len(steps) == 1 and method == "GET":
                return self.values([self.show_folder(one) for one in drive.children(folder) if one.folder], verbose)
            if arguments:
                below = drive.root if folder is drive.root and arguments["0"].lower() == drive.place.library.lower() else drive.child(folder, arguments["0"])
                if not below or not below.folder:
                    raise missing()
                return self.folder(request, site, below, steps[1:], method, verbose)
            if len(steps) > 1 and steps[1][0] in ("add", "addusingpath") and method == "POST":
                given = steps[1][1]
                wanted = given.get("0") or given.get("decodedurl") or given.get("url") or ""
                names = [one for one in wanted.split("/") if one]
                return self.shown(drive.folders(folder, names[-1:]), verbose)
            if method == "POST":
                url = json.loads(request.body())["ServerRelativeUrl"]
                names = [one for one in url.removeprefix(site["path"]).split("/") if one][1:]
                return self.shown(drive.folders(drive.root, names), verbose, 201)
        raise refused(f"Cannot find resource for the request {name}.", 404)

    def add(self, request, drive, folder, arguments, method, verbose):
        if method != "POST":
            raise refused("The HTTP method is not allowed", 405)
        name = arguments.get("url", arguments.get("decodedurl", arguments.get("0", ""))).rpartition("/")[2]
        overwrite = arguments.get("overwrite", "false").lower() == "true"
        try:
            item, name = drive.place_new(folder, name, "replace" if overwrite else "fail")
        except Refused as fault:
            if fault.status == 409:
                raise Fault(400, "-2130575257, Microsoft.SharePoint.SPException", f"A file or folder with the name {name} already exists.") from fault
            raise refused(fault.message) from fault
        self.room(drive, request)
        item = item or drive.make(folder, name, folder=False)
        drive.write(item, self.received(request))
        return self.shown(item, verbose)

    @staticmethod
    def room(drive, request):
        try:
            drive.room(request.length)
        except Refused as fault:
            raise Fault(507, "-2130575169, Microsoft.SharePoint.SPException", "The site's storage is full") from fault

    def received(self, request):
        return self.store.keep(request.body_path) if request.body_path else self.store.keep(data=request.body())

    def file(self, request, site, item, steps, method, verbose):
        if not item or item.folder:
            raise missing()
        drive = item.drive
        if not steps:
            if method == "DELETE":
                precondition(request, [item.entity_tag])
                drive.remove(item)
                return empty(200)
            return self.shown(item, verbose)
        name, arguments = steps[0]
        if name == "$value":
            if method == "GET":
                return self.bytes(request, item)
            if method == "PUT":
                precondition(request, [item.entity_tag])
                self.locked(item, None)
                self.room(drive, request)
                drive.write(item, self.received(request))
                return empty(204)
            raise refused("The HTTP method is not allowed", 405)
        if name in ("openbinarystream", "openbinarystreamwithoptions"):
            return self.bytes(request, item)
        if name in ("savebinary", "savebinarystream"):
            drive.write(item, self.received(request))
            return empty(204)
        if name in CHUNKS:
            return self.chunk(request, item, name, arguments, method, verbose)
        if name in ("deleteobject", "recycle") and method == "POST":
            drive.remove(item)
            return self.result("Recycle", item.guid, verbose) if name == "recycle" else empty(200)
        if name in ("moveto", "copyto", "movetousingpath", "copytousingpath"):
            return self.elsewhere(site, item, name, arguments)
        if name == "versions":
            found = [
                {"ID": index + 1, "VersionLabel": one.id, "Size": one.content.size, "Length": str(one.content.size), "Url": f"_vti_history/{512 * (index + 1)}/{item.name}"}
                for index, one in enumerate(item.versions)
            ]
            if arguments or len(steps) > 1 and steps[1][0] == "$value":
                number = int(arguments.get("0", "1"))
                return Answer(200, [("Content-Type", "application/octet-stream")], item.versions[number - 1].content.path.read_bytes())
            return self.values(found, verbose)
        if name == "listitemallfields":
            return self.entity("SP.ListItem", item.guid, {"Id": 1, "GUID": item.guid}, verbose)
        if name == "length":
            return self.result("Length", str(item.content.size), verbose)
        if name in ("checkout", "checkin", "publish", "unpublish", "approve"):
            return empty(200)
        raise refused(f"Cannot find resource for the request {name}.", 404)

    def bytes(self, request, item):
        headers = [("Content-Type", "application/octet-stream"), ("ETag", item.entity_tag), ("Accept-Ranges", "bytes")]
        size = item.content.size
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.header("range") or "")
        if found and self.switches.download_range == "honour":
            first, last = int(found[1]), min(int(found[2] or size), size - 1)
            if first >= size:
                return Answer(416, [("Content-Range", f"bytes */{size}")])
            return Answer(206, [*headers, ("Content-Range", f"bytes {first}-{last}/{size}")], file=(item.content.path, first, last + 1))
        return Answer(200, headers, file=(item.content.path, 0, size))

    def locked(self, item, identity):
        held = self.uploads.get(item.id)
        if held and held.until < time.monotonic():
            self.end(item)
            return None
        if held and held.identity != identity:
            raise Fault(423, "-2147018894, Microsoft.SharePoint.SPFileLockException", "The file is locked for shared use by an upload.")
        return held if held and held.identity == identity else None

    def stub(self, drive, folder, arguments, steps, request, method, verbose):
        """An empty file that an upload fills; it goes again when the upload is cancelled."""
        if method != "POST":
            raise refused("The HTTP method is not allowed", 405)
        name = arguments.get("urloffile", arguments.get("decodedurl", arguments.get("0", ""))).rpartition("/")[2]
        item = drive.child(folder, name)
        if not item:
            try:
                item = drive.make(folder, drive.place_new(folder, name, "fail")[1], folder=False)
            except Refused as fault:
                raise refused(fault.message) from fault
            drive.write(item, self.store.keep())
            self.stubs.add(item.id)
        return self.chunk(request, item, *steps[0], method, verbose) if steps else self.shown(item, verbose)

    def chunk(self, request, item, name, arguments, method, verbose):
        """Chunks one after another; no total is said before the last. The same chunk again changes nothing."""
        if method != "POST" and name != "getuploadstatus":
            raise refused("The HTTP method is not allowed", 405)
        data = request.body()
        if name in ("cancelupload", "getuploadstatus") and not arguments and data:
            arguments = {key.lower(): value for key, value in json.loads(data).items()}
        try:
            identity = str(uuid.UUID(arguments.get("uploadid", arguments.get("0", ""))))
            offset = 0 if name.startswith("start") else int(arguments.get("fileoffset", arguments.get("1", "")) if name in ("continueupload", "finishupload") else 0)
        except ValueError as fault:
            raise refused("uploadId or fileOffset is missing") from fault
        held = self.locked(item, identity)
        if name.startswith("start") and not held:
            path = self.store.folder / f"chunks-{identity}.part"
            path.write_bytes(b"")
            held = self.uploads[item.id] = Chunks(identity, path, time.monotonic() + LOCK_SECONDS, item.id in self.stubs)
        if not held:
            raise refused("The upload session is not known", 404)
        if name == "cancelupload":
            self.end(item)
            if held.stub:
                item.drive.remove(item)
            return empty(200)
        if name == "getuploadstatus":
            until = stamp(time.time() + held.until - time.monotonic())
            body = {"ExpectedContentRange": f"{held.received}-", "ExpirationDateTime": until, "UploadId": identity}
            return self.entity("SP.Utilities.UploadStatus", identity, body, verbose)
        digest = hashlib.sha256(data).digest()
        if offset != held.received or (name.startswith("start") and held.taken):
            if held.taken.get(offset, (None, 0))[0] != digest or name == "finishupload":
                raise Fault(409, "-2146232832, Microsoft.SharePoint.SPException", f"The fileOffset is {offset}, expected is {held.received}.")
        else:
            self.room(item.drive, request)
            with open(held.path, "ab") as target:
                target.write(data)
            held.received += len(data)
            held.taken[offset] = (digest, held.received)
        held.until = time.monotonic() + LOCK_SECONDS
        if name == "finishupload":
            item.drive.write(item, self.store.keep(held.path))
            self.end(item)
            self.stubs.discard(item.id)
            return self.shown(item, verbose)
        if name == "startuploadfile":
            return self.shown(item, verbose)
        return self.result("StartUpload" if name == "startupload" else "ContinueUpload", str(held.taken[offset][1]), verbose)

    def end(self, item):
        self.uploads.pop(item.id).path.unlink()

    def elsewhere(self, site, item, name, arguments):
        url = arguments.get("newurl", arguments.get("strnewurl", arguments.get("decodedurl", arguments.get("0", ""))))
        overwrite = arguments.get("boverwrite", "false").lower() == "true" or arguments.get("flags", arguments.get("moveoperations")) == "1"
        folder_url, _, new = url.rpartition("/")
        folder = self.item(site, folder_url)
        if not folder or not folder.folder:
            raise missing()
        drive = item.drive
        there = drive.child(folder, new)
        if there and there is not item:
            if not overwrite:
                raise refused("The destination file already exists.")
            drive.remove(there)
        if name.startswith("move"):
            item.name, item.parent = new, folder.id
            drive.changed(item)
        else:
            drive.write(drive.make(folder, new, folder=False), self.store.keep(item.content.path))
        return empty(200)

    # lists

    def list(self, request, site, arguments, steps, method, verbose):
        if steps and steps[0][0] == "getbytitle":
            arguments, steps = steps[0][1], steps[1:]
        title = arguments.get("0", "")
        if title == site["drive"].place.library or title == "Documents":
            if steps and steps[0][0] == "rootfolder":
                return self.folder(request, site, site["drive"].root, steps[1:], method, verbose)
        rows = self.lists.setdefault((site["id"], title), {})
        if not steps:
            return self.entity("SP.List", title, {"Title": title, "ItemCount": len(rows), "ListItemEntityTypeFullName": "SP.ListItem"}, verbose)
        name, arguments = steps[0]
        if name == "items" and len(steps) > 1 and steps[1][0] == "getbyid":
            steps = steps[1:]
            arguments = steps[0][1]
        elif name not in ("items", "getitembyid"):
            raise refused(f"Cannot find resource for the request {name}.", 404)
        if not arguments:
            if method == "POST":
                asked = json.loads(request.body() or b"{}")
                number = len(rows) + 1
                rows[number] = ListItem(number, str(asked.get("Title", "")), str(uuid.uuid4()), {})
                return self.entity("SP.ListItem", f"Items({number})", self.row(rows[number]), verbose, 201)
            return self.values([self.row(one) for one in rows.values()], verbose)
        row = rows.get(int(arguments["0"]))
        if not row:
            raise missing("Item does not exist. It may have been deleted by another user.")
        if len(steps) == 1:
            return self.entity("SP.ListItem", f"Items({row.number})", self.row(row), verbose)
        if steps[1][0] != "attachmentfiles":
            raise refused(f"Cannot find resource for the request {steps[1][0]}.", 404)
        return self.attachments(request, site, title, row, steps[1][1], steps[2:], method, verbose)

    @staticmethod
    def row(item):
        return {"Id": item.number, "ID": item.number, "Title": item.title, "GUID": item.guid, "Attachments": bool(item.attachments), "Modified": stamp()}

    def attachments(self, request, site, title, row, arguments, steps, method, verbose):
        def show(name):
            url = f"{site['path']}/Lists/{title}/Attachments/{row.number}/{name}"
            return {"FileName": name, "FileNameAsPath": {"DecodedUrl": name}, "ServerRelativeUrl": url, "ServerRelativePath": {"DecodedUrl": url}}

        if not arguments and steps and steps[0][0] in ("add", "addusingpath"):
            given = steps[0][1]
            name = given.get("filename", given.get("decodedurl", given.get("0", "")))
            if name in row.attachments:
                raise Fault(409, "-2130575257, Microsoft.SharePoint.SPException", "The specified name is already in use.")
            row.attachments[name] = self.received(request)
            return self.entity("SP.Attachment", name, show(name), verbose)
        if not arguments and steps and steps[0][0] == "getbyfilename":
            arguments, steps = steps[0][1], steps[1:]
        if not arguments:
            return self.values([show(name) for name in row.attachments], verbose)
        name = arguments["0"]
        if name not in row.attachments:
            raise missing()
        if steps and steps[0][0] == "$value":
            if method == "PUT":
                row.attachments[name] = self.received(request)
                return empty(204)
            content = row.attachments[name]
            return Answer(200, [("Content-Type", "application/octet-stream")], file=(content.path, 0, content.size))
        if method == "DELETE" or (steps and steps[0][0] == "deleteobject"):
            del row.attachments[name]
            return empty(200)
        return self.entity("SP.Attachment", name, show(name), verbose)
