"""How drives and their items are shown."""

from urllib.parse import quote

from .odata import GRAPH, stamp

EMPTY = "AAAAAAAAAAAAAAAAAAAAAAAAAAA="


def identity(user):
    return {"user": {"email": user["mail"], "id": user["id"], "displayName": user["displayName"]}}


def web_url(drive, item=None):
    names = [drive.place.library, *(drive.names(item) if item else [])]
    return f"https://{drive.place.host}{drive.place.site}/" + "/".join(quote(name) for name in names)


def server_relative(drive, item):
    return "/".join([drive.place.site, drive.place.library, *drive.names(item)])


def reference(drive, item):
    parent = drive.items[item.parent] if item.parent else None
    shown = {"driveType": drive.kind, "driveId": drive.id}
    if parent:
        names = drive.names(parent)
        shown["id"] = parent.id
        shown["name"] = parent.name if parent.parent else drive.place.library
        shown["path"] = f"/drives/{drive.id}/root:" + "".join("/" + quote(name) for name in names)
    shown["siteId"] = drive.place.site_id
    return shown


def file_facet(content, mime, switches):
    hashes = {"quickXorHash": content.hash}
    if content.size == 0 and switches.empty_hash == "absent":
        hashes = {}
    return {"hashes": hashes, "mimeType": mime}


def show(item, grants, wanted=()):
    """A driveItem with the properties that are given by default. `wanted`: what $select names."""
    drive = item.drive
    user = identity(drive.owner)
    shown = {}
    if not item.folder and (not wanted or {"@microsoft.graph.downloadUrl", "content.downloadUrl"} & set(wanted)):
        shown["@microsoft.graph.downloadUrl"] = download_url(item, grants)
    shown |= {
        "createdDateTime": item.created,
        "eTag": item.entity_tag,
        "id": item.id,
        "lastModifiedDateTime": item.modified,
        "name": item.name,
        "webUrl": web_url(drive, item),
        "cTag": item.content_tag,
        "size": item.size,
        "createdBy": user,
        "lastModifiedBy": user,
        "parentReference": reference(drive, item),
        "fileSystemInfo": dict(item.times),
    }
    if item.folder:
        shown["folder"] = {"childCount": len(drive.children(item))}
    else:
        shown["file"] = file_facet(item.content, item.mime, drive.store.switches)
    if not item.parent:
        shown["root"] = {}
    return shown | item.fields


def download_url(item, grants, version=None):
    """A URL of the tenant's host that gives the bytes without Authorization."""
    place = item.drive.place
    path = f"{place.site}/_layouts/15/download.aspx?UniqueId={item.guid}&Translate=false"
    return grants.issue("download", (item, version), place.host, path, tail="&ApiVersion=2.0")


def changed(item, grants, switches, wanted):
    """As delta shows it: without cTag, without the parent's path, and of what is gone little more than the id."""
    shown = show(item, grants, wanted)
    shown["parentReference"].pop("path", None)
    if not switches.delta_ctag:
        shown.pop("cTag")
    if item.deleted:
        keep = ("id", "parentReference", "file", "folder", "size", "lastModifiedDateTime")
        shown = {name: shown[name] for name in keep if name in shown}
        shown["deleted"] = {"state": "deleted"}
        if "file" in shown:
            shown["file"] = {}
    return shown


def show_drive(drive):
    used, total = drive.used(), drive.store.switches.quota
    return {
        "createdDateTime": drive.root.created,
        "description": "",
        "id": drive.id,
        "lastModifiedDateTime": drive.root.modified,
        "name": drive.name,
        "webUrl": web_url(drive),
        "driveType": drive.kind,
        "createdBy": {"user": {"displayName": "System Account"}},
        "owner": identity(drive.owner),
        "quota": {"deleted": 0, "remaining": max(0, total - used), "state": "normal", "total": total, "used": used},
    }


def context(drive, what="items/$entity"):
    return f"https://{GRAPH}/v1.0/$metadata#drives('{quote(drive.id)}')/{what}"


def show_version(version, drive, switches, mime):
    return {
        "id": version.id,
        "lastModifiedDateTime": version.modified or stamp(),
        "lastModifiedBy": identity(drive.owner),
        "size": version.content.size,
    }
