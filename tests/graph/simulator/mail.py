"""Outlook: messages, drafts, sending, replies, attachments."""

import base64
import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import formatdate, getaddresses
from urllib.parse import unquote

from . import markup
from .attachments import REQUEST_LIMIT, Attachments
from .odata import Refused, bad, empty, parameters, read_json, select, shown, stamp
from .records import Records, delta, listing, touch, visible
from .wire import Answer

FOLDERS = {"inbox": "Inbox", "drafts": "Drafts", "sentitems": "Sent Items", "deleteditems": "Deleted Items", "archive": "Archive", "outbox": "Outbox", "junkemail": "Junk Email"}
# only on $select
HIDDEN = {"uniqueBody", "internetMessageHeaders"}
WRITABLE = set(
    "subject body toRecipients ccRecipients bccRecipients replyTo importance categories isRead from sender flag internetMessageId "
    "internetMessageHeaders singleValueExtendedProperties inferenceClassification isDeliveryReceiptRequested isReadReceiptRequested".split()
)
SEPARATOR = '<hr tabindex="-1" style="display:inline-block; width:98%">'


class Mail:
    def __init__(self, tenant, store, grants, switches):
        self.tenant, self.store, self.switches = tenant, store, switches
        self.boxes, self.outbound = {}, 0
        self.attachments = Attachments(tenant, store, grants, switches)

    def box(self, user):
        if user["id"] not in self.boxes:
            self.boxes[user["id"]] = Records(self.store.folder, "mail", "AAMkAD")
        return self.boxes[user["id"]]

    def serve(self, request, user, rest):
        """`rest` begins with /messages, /mailFolders or /sendMail; None if it is not mail's."""
        query, parts = parameters(request.query), [unquote(part) for part in rest.strip("/").split("/")]
        parts = [part.removeprefix("microsoft.graph.").removesuffix("()") for part in parts]
        if request.length > REQUEST_LIMIT:
            raise Refused(413, "RequestBodyTooLarge", "The request is larger than 4 MB")
        if parts[0] == "sendMail" and len(parts) == 1:
            return self.send_mail(request, user)
        if parts[0] == "messages":
            return self.messages(request, user, query, parts[1:], None)
        if parts[0] == "mailFolders":
            return self.folders(request, user, query, parts[1:])
        return None

    def folders(self, request, user, query, parts):
        shown_folders = [self.folder(user, name) for name in FOLDERS]
        if not parts:
            return shown(listing(request, query, shown_folders))
        name = parts[0].lower().removeprefix("folder-")
        if name not in FOLDERS:
            raise Refused(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        if len(parts) == 1:
            return shown(select(self.folder(user, name), query, ["id"]))
        if parts[1] == "childFolders":
            return shown({"value": []})
        if parts[1] == "messages":
            return self.messages(request, user, query, parts[2:], name)
        raise bad(f"Resource not found for the segment '{parts[1]}'.", "BadRequest")

    def folder(self, user, name):
        inside = [one for one in self.box(user).entities.values() if one["~folder"] == name]
        unread = sum(not one["isRead"] for one in inside)
        return {"id": f"folder-{name}", "displayName": FOLDERS[name], "totalItemCount": len(inside), "unreadItemCount": unread, "childFolderCount": 0}

    def messages(self, request, user, query, parts, folder):
        box = self.box(user)
        if not parts:
            if request.method == "POST":
                made = self.draft(request, user, folder or "drafts")
                return shown({"@odata.context": self.context(user), **self.show(made)}, 201, [("Location", self.url(user, made))])
            inside = [one for one in box.entities.values() if folder in (None, one["~folder"])]
            if "$search" in query:
                inside = [one for one in inside if self.finds(one, query["$search"])]
            inside.sort(key=lambda one: one["receivedDateTime"], reverse=True)
            return shown({"@odata.context": self.context(user), **listing(request, query, inside, show=lambda one: self.read(request, query, one))})
        if parts[0] == "delta":
            return shown(delta(request, query, box, lambda one: folder in (None, one["~folder"]), lambda one: self.read(request, query, one)))
        message = box.get(parts[0])
        if not message or folder not in (None, message["~folder"]):
            raise Refused(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        return self.message(request, user, query, box, message, parts[1:])

    def message(self, request, user, query, box, message, parts):
        if not parts:
            if request.method == "PATCH":
                self.tag(request, message)
                self.fill(message, read_json(request))
                box.keep(touch(message))
            elif request.method == "DELETE":
                box.remove(message["id"])
                return empty(204)
            elif request.method != "GET":
                raise Refused(405, "ErrorInvalidRequest", request.method)
            return shown({"@odata.context": self.context(user), **select(self.read(request, query, message), query, ["id", "@odata.etag", "attachments"])})
        if parts[0] == "$value":
            return self.mime(request, box, message)
        if parts[0] == "attachments":
            return self.attachments.serve(request, user, "Messages", box, message, parts[1:])
        if request.method != "POST":
            raise bad(f"Resource not found for the segment '{parts[0]}'.", "BadRequest")
        verb = parts[0].lower()
        if verb == "send":
            self.deliver(user, message)
            box.remove(message["id"])
            return empty(202)
        if verb in ("copy", "move"):
            return self.elsewhere(request, box, message, verb)
        found = re.fullmatch(r"(create)?(replyall|reply|forward)", verb)
        if not found:
            raise bad(f"Resource not found for the segment '{parts[0]}'.", "BadRequest")
        answer = self.answer_to(request, user, message, found[2])
        if found[1]:
            box.add(answer)
            return shown({"@odata.context": self.context(user), **self.show(answer)}, 201)
        self.deliver(user, answer)
        return empty(202)

    def elsewhere(self, request, box, message, verb):
        target = str(read_json(request).get("destinationId", "")).lower().removeprefix("folder-")
        if target not in FOLDERS:
            raise Refused(404, "ErrorFolderNotFound", "The specified folder could not be found in the store.")
        # a moved message has another id
        made = {key: value for key, value in message.items() if key != "id"}
        made["~folder"] = target
        box.add(touch(made))
        if verb == "move":
            box.remove(message["id"])
        return shown(self.show(made), 201)

    @staticmethod
    def tag(request, entity):
        wanted = request.header("if-match")
        if wanted and wanted not in ("*", entity["@odata.etag"]):
            raise Refused(412, "ErrorIrresolvableConflict", "The change key does not match")

    def context(self, user):
        return f"https://graph.microsoft.com/v1.0/$metadata#users('{user['id']}')/messages/$entity"

    @staticmethod
    def url(user, message):
        return f"https://graph.microsoft.com/v1.0/users/{user['id']}/messages/{message['id']}"

    # what is stored

    def blank(self, user, folder):
        now = stamp()
        person = {"emailAddress": {"name": user["displayName"], "address": user["mail"]}}
        return touch(
            {
                "receivedDateTime": now,
                "sentDateTime": now,
                "hasAttachments": False,
                "internetMessageId": f"<{base64.b32encode(now.encode()).decode().strip('=')}{Records.numbers}@{self.tenant.name}.example>",
                "subject": "",
                "bodyPreview": "",
                "importance": "normal",
                "conversationId": f"AAQkAD{Records.numbers:08}",
                "isRead": True,
                "isDraft": True,
                "body": {"contentType": "text", "content": ""},
                "sender": person,
                "from": person,
                "toRecipients": [],
                "ccRecipients": [],
                "bccRecipients": [],
                "replyTo": [],
                "categories": [],
                "~folder": folder,
                "~attachments": [],
            },
            first=True,
        )

    def draft(self, request, user, folder):
        if (request.header("content-type") or "").lower().startswith("text/plain"):
            return self.box(user).add(self.from_mime(request, user, folder))
        message = self.blank(user, folder)
        self.fill(message, read_json(request))
        return self.box(user).add(message)

    def fill(self, message, asked):
        for key, value in asked.items():
            if key == "attachments":
                for one in value:
                    message["~attachments"].append(self.attachments.checked(one))
            elif key in WRITABLE:
                message[key] = value
            elif not key.startswith("@") and key not in ("id", "hasAttachments", "bodyPreview", "parentFolderId", "isDraft"):
                raise bad(f"The property '{key}' does not exist or can't be set.", "RequestBodyRead")
        body = message["body"]
        if not isinstance(body.get("content", ""), str) or str(body.get("contentType", "text")).lower() not in ("text", "html"):
            raise bad("The body is none", "RequestBodyRead")
        body = {"contentType": str(body.get("contentType", "text")).lower(), "content": body.get("content", "")}
        if body["contentType"] == "html":
            content = markup.sanitised(body["content"], markup.OUTLOOK) if self.switches.sanitise else body["content"]
            body["content"] = markup.wrapped(content)
        message["body"], message["bodyPreview"] = body, markup.preview(body)
        message["hasAttachments"] = any(not one.get("isInline") for one in message["~attachments"])
        message.pop("~mime", None)

    def show(self, message):
        return {"parentFolderId": f"folder-{message['~folder']}", **visible(message)}

    def read(self, request, query, message):
        """As this request wants it: text for HTML, uniqueBody and attachments when asked for."""
        entity = self.show(message)
        wanted = {name.strip() for name in query.get("$select", "").split(",")}
        if "uniqueBody" in wanted:
            before = message["body"]["content"].partition(SEPARATOR)
            entity["uniqueBody"] = {**message["body"], "content": before[0] + ("</body></html>" if before[1] else "")}
        for name in HIDDEN - wanted:
            entity.pop(name, None)
        if 'outlook.body-content-type="text"' in (request.header("prefer") or "").replace(" ", ""):
            for name in ("body", "uniqueBody"):
                if entity.get(name, {}).get("contentType") == "html":
                    entity[name] = {"contentType": "text", "content": markup.text_of(entity[name]["content"])}
        if re.match(r"attachments\b", query.get("$expand", "")):
            entity["attachments"] = [self.attachments.show(one) for one in message["~attachments"]]
        return entity

    @staticmethod
    def finds(message, sought):
        sought = sought.strip().strip('"').lower()
        field, colon, rest = sought.partition(":")
        body = message["body"]
        text = markup.text_of(body["content"]) if body["contentType"] == "html" else body["content"]
        fields = {"subject": message["subject"] or "", "body": text, "from": str(message["from"]), "to": str(message["toRecipients"])}
        if colon and field in fields:
            return rest.strip().strip('"') in fields[field].lower()
        return any(sought in value.lower() for value in fields.values())

    # what is sent

    def send_mail(self, request, user):
        if request.method != "POST":
            raise Refused(405, "ErrorInvalidRequest", request.method)
        if (request.header("content-type") or "").lower().startswith("text/plain"):
            self.deliver(user, self.from_mime(request, user, "drafts"))
            return empty(202)
        asked = read_json(request)
        asked = {key[:1].lower() + key[1:]: value for key, value in asked.items()}
        if not isinstance(asked.get("message"), dict):
            raise bad("The message is missing.", "ErrorInvalidParameter")
        message = self.blank(user, "drafts")
        self.fill(message, asked["message"])
        self.deliver(user, message, asked.get("saveToSentItems", True))
        return empty(202)

    def deliver(self, user, message, save=True):
        people = [one for key in ("toRecipients", "ccRecipients", "bccRecipients") for one in message[key]]
        if not people:
            raise bad("At least one recipient is not valid.", "ErrorInvalidRecipients")
        for person in people:
            address = (person.get("emailAddress") or {}).get("address", "")
            known = self.tenant.by_mail(address)
            if known:
                self.put_into(known, "inbox", message)
            else:
                # what leaves the tenant
                self.outbound += 1
                (self.store.folder / f"outbound-{self.outbound:06}.eml").write_bytes(self.to_mime(message))
        if save:
            self.put_into(user, "sentitems", message)

    def put_into(self, user, folder, message):
        copy = {key: value for key, value in message.items() if key != "id"}
        attachments = [dict(one) for one in message["~attachments"]]
        copy |= {"~folder": folder, "isDraft": False, "isRead": folder != "inbox", "~attachments": attachments}
        copy["receivedDateTime"] = copy["sentDateTime"] = stamp()
        if folder == "inbox":
            copy["bccRecipients"] = []
        self.box(user).add(touch(copy))

    def answer_to(self, request, user, message, kind):
        """Quotes the body as it is stored."""
        if (request.header("content-type") or "").lower().startswith("text/plain"):
            return self.answer_in_mime(request, user, message, kind)
        asked = read_json(request)
        asked = {key[:1].lower() + key[1:]: value for key, value in asked.items()}
        given = dict(asked.get("message") or {})
        if "comment" in asked and "body" in given:
            raise bad("Either comment or the body.", "ErrorInvalidRequest")
        answer = self.blank(user, "drafts")
        quoted = message["body"]["content"]
        if message["body"]["contentType"] == "text":
            quoted = "<pre>" + quoted.replace("&", "&amp;").replace("<", "&lt;") + "</pre>"
        inner = re.sub(r"(?is).*<body[^>]*>|</body>.*", "", quoted)
        sender = message["from"]["emailAddress"]
        head = f"<div id=\"divRplyFwdMsg\"><b>From:</b> {sender['name']} &lt;{sender['address']}&gt;<br><b>Subject:</b> {message['subject']}</div>"
        said = given.pop("body", None) or {"contentType": "html", "content": asked.get("comment", "")}
        own = said["content"] if said.get("contentType", "").lower() == "html" else said["content"].replace("<", "&lt;")
        prefix = "Fw: " if kind == "forward" else "Re: "
        subject = message["subject"] or ""
        answer["subject"] = subject if subject.startswith(prefix) else prefix + subject
        answer["conversationId"] = message["conversationId"]
        answer["body"] = {"contentType": "html", "content": f"{own}{SEPARATOR}{head}<div>{inner}</div>"}
        if kind == "forward":
            answer["toRecipients"] = asked.get("toRecipients", [])
            answer["~attachments"] = [dict(one) for one in message["~attachments"]]
        else:
            answer["toRecipients"] = message["replyTo"] or [message["from"]]
            if kind == "replyall":
                answer["ccRecipients"] = [one for one in message["toRecipients"] + message["ccRecipients"] if one.get("emailAddress", {}).get("address") != user["mail"]]
        self.fill(answer, given)
        return answer

    # MIME

    def answer_in_mime(self, request, user, message, kind):
        """As it was written, to whom it answers when it names nobody."""
        answer = self.from_mime(request, user, "drafts")
        answer["conversationId"] = message["conversationId"]
        if kind != "forward" and not answer["toRecipients"]:
            answer["toRecipients"] = message["replyTo"] or [message["from"]]
        return answer

    def mime(self, request, box, message):
        if request.method == "GET":
            return Answer(200, [("Content-Type", "text/plain")], self.to_mime(message))
        if request.method != "PUT":
            raise Refused(405, "ErrorInvalidRequest", request.method)
        data = request.body()
        if not message["isDraft"]:
            raise bad("Only drafts can be replaced", "ErrorInvalidRequest")
        self.parse(message, self.decoded(data))
        box.keep(touch(message))
        return shown(self.show(message))

    def from_mime(self, request, user, folder):
        message = self.blank(user, folder)
        self.parse(message, self.decoded(request.body()))
        return message

    @staticmethod
    def decoded(data):
        try:
            return base64.b64decode(b"".join(data.split()), validate=True)
        except ValueError as fault:
            raise bad("Invalid base64 string for MIME content.", "ErrorMimeContentInvalidBase64String") from fault

    def parse(self, message, raw):
        parsed = message_from_bytes(raw, policy=policy.default)
        best = parsed.get_body(("html", "plain"))

        def people(name):
            pairs = getaddresses([str(value) for value in parsed.get_all(name, [])])
            return [{"emailAddress": {"name": name or address, "address": address}} for name, address in pairs if address]

        asked = {"subject": str(parsed["subject"] or ""), "toRecipients": people("to"), "ccRecipients": people("cc"), "bccRecipients": people("bcc")}
        if best:
            asked["body"] = {"contentType": "html" if best.get_content_subtype() == "html" else "text", "content": best.get_content()}
        message["~attachments"] = [
            self.attachments.made(part.get_filename() or "unnamed", part.get_content_type(), part.get_payload(decode=True) or b"")
            for part in parsed.iter_attachments()
        ]
        self.fill(message, asked)
        if parsed["message-id"]:
            message["internetMessageId"] = str(parsed["message-id"])
        message["~mime"] = base64.b64encode(raw).decode()

    def to_mime(self, message):
        if "~mime" in message:
            return base64.b64decode(message["~mime"])
        mime = EmailMessage(policy=policy.SMTP)
        mime["Subject"] = re.sub(r"[\r\n]+", " ", message["subject"] or "")
        for name, key in (("From", "from"), ("To", "toRecipients"), ("Cc", "ccRecipients")):
            people = message[key] if isinstance(message[key], list) else [message[key]]
            if people:
                mime[name] = ", ".join(one["emailAddress"]["address"] for one in people)
        mime["Date"], mime["Message-ID"] = formatdate(), message["internetMessageId"]
        subtype = "html" if message["body"]["contentType"] == "html" else "plain"
        mime.set_content(message["body"]["content"], subtype=subtype, cte="base64")
        for one in message["~attachments"]:
            main, _, sub = one["contentType"].partition("/")
            mime.add_attachment(base64.b64decode(one["contentBytes"]), maintype=main, subtype=sub or "octet-stream", filename=one["name"])
        return mime.as_bytes()


