"""Attachments of messages and events: small ones in JSON, large ones by a session at outlook.office.com."""

import base64
import binascii
import re
import time
import uuid
from dataclasses import dataclass

from .odata import Refused, bad, empty, parameters, read_json, select, shown, stamp
from .records import touch
from .wire import Answer

SMALL_LIMIT = 3 << 20
LARGE_LIMIT = 150 << 20
PIECE_LIMIT = 4 << 20
REQUEST_LIMIT = 4 << 20


@dataclass
class Session:
    user: dict
    kind: str
    records: object
    entity: dict
    item: dict
    expires: float
    path: object
    received: int = 0
    over: bool = False


class Attachments:
    def __init__(self, tenant, store, grants, switches):
        self.tenant, self.store, self.grants, self.switches = tenant, store, grants, switches

    def made(self, name, kind, data, inline=False, content_id=None):
        # in JSON it lies in base64: once more as it is, for whoever searches
        (self.store.folder / f"attachment-{uuid.uuid4().hex}.bin").write_bytes(data)
        return {
            "@odata.type": "#microsoft.graph.fileAttachment",
            "@odata.mediaContentType": kind,
            "id": "AAMkAD" + base64.urlsafe_b64encode(uuid.uuid4().bytes * 2).decode().strip("=") + "ABEg=",
            "lastModifiedDateTime": stamp(),
            "name": name,
            "contentType": kind,
            "size": len(data),
            "isInline": bool(inline),
            "contentId": content_id,
            "contentLocation": None,
            "contentBytes": base64.b64encode(data).decode(),
        }

    def checked(self, asked):
        if asked.get("@odata.type", "").lstrip("#") != "microsoft.graph.fileAttachment":
            raise bad("Only file attachments.", "ErrorInvalidRequest")
        if not asked.get("name") or not isinstance(asked.get("contentBytes"), str):
            raise bad("name or contentBytes is missing.", "ErrorInvalidRequest")
        try:
            data = base64.b64decode(asked["contentBytes"], validate=True)
        except (binascii.Error, ValueError) as fault:
            raise bad("contentBytes is not base64.", "RequestBodyRead") from fault
        if len(data) >= SMALL_LIMIT:
            raise Refused(413, "ErrorMessageSizeExceeded", "Attachments of 3 MB and more go by an upload session")
        return self.made(asked["name"], asked.get("contentType") or "application/octet-stream", data, asked.get("isInline"), asked.get("contentId"))

    @staticmethod
    def show(attachment):
        return dict(attachment)

    def serve(self, request, user, kind, records, entity, parts):
        query = parameters(request.query)
        held = entity["~attachments"]
        if not parts and request.method == "POST":
            held.append(self.checked(read_json(request)))
            self.changed(records, entity)
            return shown({"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#attachments/$entity", **self.show(held[-1])}, 201)
        if not parts:
            return shown({"value": [select(self.show(one), query, ["id", "@odata.type"]) for one in held]})
        if parts[0] == "createUploadSession":
            return self.open(request, user, kind, records, entity)
        found = next((one for one in held if one["id"] == parts[0]), None)
        if not found:
            raise Refused(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        if parts[1:] == ["$value"]:
            return Answer(200, [("Content-Type", found["contentType"])], base64.b64decode(found["contentBytes"]))
        if request.method == "DELETE":
            held.remove(found)
            self.changed(records, entity)
            return empty(204)
        return shown(select(self.show(found), query, ["id", "@odata.type"]))

    @staticmethod
    def changed(records, entity):
        entity["hasAttachments"] = any(not one["isInline"] for one in entity["~attachments"])
        entity.pop("~mime", None)
        records.keep(touch(entity))

    def open(self, request, user, kind, records, entity):
        if request.method != "POST":
            raise Refused(405, "ErrorInvalidRequest", request.method)
        asked = {key.lower(): value for key, value in read_json(request).items()}
        item = asked.get("attachmentitem")
        if not isinstance(item, dict) or item.get("attachmentType") != "file" or not item.get("name") or not isinstance(item.get("size"), int):
            raise bad("AttachmentItem needs attachmentType, name and size.", "ErrorInvalidParameter")
        if not self.switches.attachment_session_minimum <= item["size"] <= LARGE_LIMIT:
            raise bad("The attachment's size is none for an upload session.", "ErrorAttachmentSizeLimitExceeded")
        expires = time.time() + self.switches.session_seconds
        path = self.store.folder / f"attachment-{uuid.uuid4().hex}.part"
        path.touch()
        session = Session(user, kind, records, entity, item, expires, path)
        url = (
            f"/api/v2.0/Users('{user['id']}@{self.tenant.id}')/{kind}('{entity['id']}')"
            f"/AttachmentSessions('AAMkAD{uuid.uuid4().hex}AAA=')"
        )
        address = self.grants.issue("attachment", session, "outlook.office.com", url, "authtoken", self.switches.session_seconds)
        body = {
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#microsoft.graph.uploadSession",
            "uploadUrl": address,
            "expirationDateTime": stamp(expires)[:-1] + ".0000000Z",
            "nextExpectedRanges": ["0-"],
        }
        return shown(body, 201)

    def status(self, session):
        held = session.user["id"] + "%40" + self.tenant.id
        return {
            "@odata.context": f"https://outlook.office.com/api/v2.0/$metadata#Users('{held}')/{session.kind}/AttachmentSessions/$entity",
            "ExpirationDateTime": stamp(session.expires)[:-1] + ".0000000Z",
            "nextExpectedRanges": [str(session.received)],
        }

    def piece(self, request):
        """What comes to outlook.office.com."""
        if request.header("authorization") and self.switches.upload_authorization == "401":
            raise Refused(401, "ErrorAccessDenied", "A pre-authenticated URL takes no Authorization")
        session = self.grants.take(request, "attachment")
        if session.over:
            raise Refused(404, "ErrorItemNotFound", "The session is over")
        if request.method == "GET":
            return shown(self.status(session))
        if request.method == "DELETE":
            session.over = True
            session.path.unlink(missing_ok=True)
            return empty(204)
        if request.method != "PUT":
            raise Refused(405, "ErrorInvalidRequest", request.method)
        if (request.header("content-type") or "").lower() != "application/octet-stream":
            raise bad("Content-Type must be application/octet-stream", "ErrorInvalidRequest")
        return self.take(request, session)

    def take(self, request, session):
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", request.header("content-range") or "")
        if not found:
            raise bad("Content-Range must be `bytes first-last/total`", "ErrorInvalidRange")
        first, last, total = map(int, found.groups())
        if request.chunked:
            raise Refused(411, "ErrorLengthRequired", "Content-Length is required")
        if total != session.item["size"] or last >= total or request.length != last - first + 1:
            raise bad("Content-Range does not fit the session or the content", "ErrorInvalidRange")
        if request.length > PIECE_LIMIT:
            raise Refused(413, "ErrorRequestTooLarge", "More than 4 MB in one request")
        if first != session.received:
            raise Refused(416, "ErrorInvalidRange", "The range is not the one expected next")
        with open(session.path, "ab") as target:
            target.write(request.body())
        session.received = last + 1
        if session.received < total:
            return shown(self.status(session))
        kind = session.item.get("contentType") or "application/octet-stream"
        made = self.made(session.item["name"], kind, session.path.read_bytes(), session.item.get("isInline"), session.item.get("contentId"))
        session.entity["~attachments"].append(made)
        self.changed(session.records, session.entity)
        session.over = True
        session.path.unlink()
        owner = f"Users('{session.user['id']}@{self.tenant.id}')/{session.kind}('{session.entity['id']}')"
        return empty(201, [("Location", f"https://outlook.office.com/api/v2.0/{owner}/Attachments('{made['id']}')")])
