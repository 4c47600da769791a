"""Drives with their items and versions. Contents lie on disk under `stored/`, a file for each; nothing of them is elsewhere."""

import base64
import io
import os
import shutil
import time
import uuid
import zipfile
from dataclasses import dataclass, field
from mimetypes import guess_type
from pathlib import Path

from .odata import Refused, not_found, stamp
from .quickxor import QuickXor

# the sizes and names that SharePoint takes
NAME_LIMIT = 255
FORBIDDEN = set('"*:<>?/\\|')
OFFICE = (".docx", ".xlsx", ".pptx")


@dataclass
class Content:
    path: Path
    size: int
    hash: str


@dataclass
class Version:
    id: str
    modified: str
    content: Content


@dataclass
class Item:
    drive: object
    id: str
    guid: str
    name: str
    parent: str | None
    folder: bool
    created: str
    modified: str
    times: dict
    content: Content | None = None
    etag: int = 1
    ctag: int = 1
    number: int = 1
    versions: list = field(default_factory=list)
    sequence: int = 0
    deleted: bool = False
    fields: dict = field(default_factory=dict)

    @property
    def entity_tag(self):
        return f'"{{{self.guid.upper()}}},{self.etag}"'

    @property
    def content_tag(self):
        return f'"c:{{{self.guid.upper()}}},{self.ctag}"'

    @property
    def size(self):
        if self.folder:
            return sum(child.size for child in self.drive.children(self))
        return self.content.size

    @property
    def mime(self):
        return guess_type(self.name)[0] or "application/octet-stream"


@dataclass
class Place:
    """Where a drive is to be seen: the tenant's host, the site's path, the library's name in URLs."""

    host: str
    site: str
    library: str
    site_id: str


class Drive:
    def __init__(self, store, identity, kind, owner, place, name):
        self.store, self.id, self.kind, self.owner, self.place, self.name = store, identity, kind, owner, place, name
        self.items, self.sequence, self.epoch = {}, 0, uuid.uuid4().hex[:8]
        self.root = self.make(None, "root", folder=True)

    def make(self, parent, name, folder):
        guid, now = str(uuid.uuid4()), stamp()
        identity = "01" + base64.b32encode(uuid.UUID(guid).bytes + os.urandom(4)).decode()
        times = {"createdDateTime": now, "lastModifiedDateTime": now}
        item = Item(self, identity, guid, name, parent.id if parent else None, folder, now, now, times)
        self.items[identity] = item
        self.touch(item)
        return item

    def touch(self, item):
        """The change is told by delta, after those of the folders above: their sizes changed."""
        changed = [item]
        while changed[-1].parent:
            changed.append(self.items[changed[-1].parent])
        for one in reversed(changed):
            self.sequence += 1
            one.sequence = self.sequence

    def get(self, identity):
        if identity in ("root", self.root.id):
            return self.root
        item = self.items.get(identity)
        if not item or item.deleted:
            raise not_found("The resource could not be found.")
        return item

    def children(self, folder):
        return sorted(
            (item for item in self.items.values() if item.parent == folder.id and not item.deleted),
            key=lambda item: item.name.lower(),
        )

    def child(self, folder, name):
        """Names are compared without case, as SharePoint does."""
        return next((item for item in self.children(folder) if item.name.lower() == name.lower()), None)

    def walk(self, start, names):
        """The item at a path, or None."""
        for name in names:
            start = self.child(start, name) if start and start.folder else None
        return start

    def folders(self, start, names):
        """The folder at a path, made where it is missing."""
        for name in names:
            there = self.child(start, name)
            if there and not there.folder:
                raise Refused(409, "nameAlreadyExists", f"{name!r} is a file")
            start = there or self.make(start, checked(name), folder=True)
        return start

    def names(self, item):
        names = []
        while item.parent:
            names.append(item.name)
            item = self.items[item.parent]
        return names[::-1]

    def below(self, item):
        for child in self.children(item):
            yield child
            yield from self.below(child)

    def remove(self, item):
        for child in [item, *self.below(item)]:
            child.deleted = True
            self.touch(child)

    def used(self):
        return self.root.size

    def room(self, size):
        if self.used() + size > self.store.switches.quota:
            raise Refused(507, "quotaLimitReached", "Insufficient Space Available")

    def free_name(self, folder, name):
        stem, dot, extension = name.rpartition(".") if "." in name[1:] else (name, "", "")
        number = 1
        while self.child(folder, f"{stem} {number}{dot}{extension}"):
            number += 1
        return f"{stem} {number}{dot}{extension}"

    def place_new(self, folder, name, behaviour):
        """The item that is to be replaced (or None), and the name to use."""
        if not folder.folder:
            raise Refused(400, "invalidRequest", "The parent is no folder")
        there = self.child(folder, checked(name))
        if not there:
            return None, name
        if behaviour == "rename":
            return None, self.free_name(folder, name)
        if behaviour == "replace":
            if there.folder:
                raise Refused(409, "nameAlreadyExists", "A folder has this name")
            return there, there.name
        raise Refused(409, "nameAlreadyExists", "An item with the same name already exists under the parent")

    def write(self, item, content):
        """New content: a new version; the old one stays."""
        if item.content:
            item.versions.append(Version(f"{item.number}.0", item.modified, item.content))
            item.number += 1
            item.etag += 1
            item.ctag += 1
        item.content, item.modified = content, stamp()
        item.times["lastModifiedDateTime"] = item.modified
        self.touch(item)
        self.store.office(item)

    def changed(self, item):
        """Metadata changed."""
        item.etag += 1
        item.modified = stamp()
        self.touch(item)


class Store:
    def __init__(self, folder, switches):
        self.folder, self.switches = folder / "stored", switches
        self.folder.mkdir(parents=True, exist_ok=True)
        self.drives = {}
        # of Office files that will be rewritten: (when, item, content)
        self.pending = []

    def add(self, drive):
        self.drives[drive.id] = drive
        return drive

    def drive(self, identity):
        if identity not in self.drives:
            raise not_found("The drive could not be found.")
        return self.drives[identity]

    def keep(self, source=None, data=b""):
        """A content of its own: a copy of the file, or of the bytes."""
        path = self.folder / f"{uuid.uuid4().hex}.bin"
        if source:
            shutil.copyfile(source, path)
        else:
            path.write_bytes(data)
        return self.content(path)

    @staticmethod
    def content(path):
        hasher, size = QuickXor(), 0
        with open(path, "rb") as source:
            while piece := source.read(8 << 20):
                hasher.update(piece)
                size += len(piece)
        return Content(path, size, hasher.base64())

    def office(self, item):
        rule = self.switches.office_mutation
        if rule == "off" or not item.name.lower().endswith(OFFICE) or not zipfile.is_zipfile(item.content.path):
            return
        due = 0 if rule == "at-once" else time.monotonic() + float(rule)
        self.pending.append((due, item, item.content))
        self.settle()

    def settle(self):
        """Rewrites what is due, as SharePoint does with properties of documents: other bytes, size, hash, tags."""
        due = [entry for entry in self.pending if entry[0] <= time.monotonic()]
        self.pending = [entry for entry in self.pending if entry not in due]
        for _, item, content in due:
            if item.content is not content or item.deleted:
                continue
            buffer = io.BytesIO(content.path.read_bytes())
            try:
                with zipfile.ZipFile(buffer, "a") as archive:
                    archive.writestr("docProps/custom.xml", f"<Properties ContentTypeId='{uuid.uuid4()}'/>")
            except zipfile.BadZipFile:
                continue
            item.content = self.keep(data=buffer.getvalue())
            item.etag += 1
            item.ctag += 1
            item.drive.touch(item)


def checked(name):
    """A name that SharePoint takes."""
    if not name or len(name) > NAME_LIMIT or set(name) & FORBIDDEN or name.strip() != name or name.endswith("."):
        raise Refused(400, "invalidRequest", f"The provided name cannot contain this, or is too long: {name[:300]!r}")
    if any(ord(letter) < 32 for letter in name) or name.startswith("~$") or name.lower() in (".lock", "desktop.ini"):
        raise Refused(400, "invalidRequest", f"The name is reserved: {name!r}")
    return name
