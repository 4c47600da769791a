"""Teams: messages of channels and chats, replies, hosted contents."""

import base64
import binascii
import re
import uuid
from urllib.parse import unquote

from . import markup
from .odata import Refused, bad, empty, parameters, read_json, select, shown, stamp
from .records import Records, delta, listing, touch, visible
from .wire import Answer

# of what one post says, markup and cards included
POST_LIMIT = 28 << 10
# most of what a page holds
MOST = 50
WRITABLE = {"body", "subject", "summary", "importance", "mentions", "attachments", "hostedContents", "messageType", "locale", "policyViolation"}
READ_ONLY = {"from", "createdDateTime", "id", "etag", "replyToId", "chatId", "channelIdentity", "reactions", "webUrl"}


class Teams:
    def __init__(self, tenant, store, switches):
        self.tenant, self.store, self.switches = tenant, store, switches
        self.threads, self.chats, self.channels = {}, {}, {}
        for group in tenant.groups.values():
            self.channels[group["id"]] = {}
            self.channel(group["id"], "General")
        people = list(tenant.users.values())
        if len(people) > 1:
            self.chat("oneOnOne", people[:2], f"19:{people[0]['id']}_{people[1]['id']}@unq.gbl.spaces")

    def channel(self, team, name):
        identity = f"19:{uuid.uuid5(uuid.NAMESPACE_URL, team + name).hex}@thread.tacv2"
        channel = {"id": identity, "displayName": name, "createdDateTime": stamp(), "membershipType": "standard"}
        self.channels[team][identity] = channel
        return channel

    def chat(self, kind, people, identity=None, topic=None):
        identity = identity or f"19:{uuid.uuid4().hex}@thread.v2"
        self.chats[identity] = {"id": identity, "chatType": kind, "topic": topic, "createdDateTime": stamp(), "~members": [one["id"] for one in people]}
        return self.chats[identity]

    def thread(self, identity):
        if identity not in self.threads:
            self.threads[identity] = Records(self.store.folder, "chat", "")
        return self.threads[identity]

    def serve(self, request, user, rest):
        """`rest` begins with /teams or /chats."""
        query, parts = parameters(request.query), [unquote(part) for part in rest.strip("/").split("/")]
        parts = [part.removeprefix("microsoft.graph.").removesuffix("()") for part in parts]
        if parts[0] == "teams":
            return self.team(request, user, query, parts[1:])
        if parts[1:] and parts[1] == "getAllMessages":
            return self.everything(request, query, user)
        if len(parts) == 1:
            return self.all_chats(request, user, query)
        chat = self.chats.get(parts[1])
        if not chat or (user and user["id"] not in chat["~members"]):
            raise Refused(404, "NotFound", "The chat could not be found.")
        if len(parts) == 2:
            return shown(select(visible(chat), query))
        if parts[2] == "members":
            return shown({"value": [{"id": one, "userId": one, "roles": ["owner"]} for one in chat["~members"]]})
        if parts[2] != "messages":
            raise bad(f"Resource not found for the segment '{parts[2]}'.", "BadRequest")
        return self.messages(request, user, query, f"chats/{chat['id']}", {"chatId": chat["id"]}, parts[3:])

    def all_chats(self, request, user, query):
        if request.method == "GET":
            mine = [one for one in self.chats.values() if not user or user["id"] in one["~members"]]
            return shown(listing(request, query, mine))
        asked = read_json(request)
        people = []
        for member in asked.get("members", []):
            found = re.search(r"users\('([^']+)'\)", member.get("user@odata.bind", ""))
            people.append(self.tenant.find_user(found[1] if found else ""))
        if len(people) < 2:
            raise bad("A chat needs members", "BadRequest")
        return shown(visible(self.chat(asked.get("chatType", "group"), people, topic=asked.get("topic"))), 201)

    def everything(self, request, query, user):
        found = []
        for identity, chat in self.chats.items():
            if not user or user["id"] in chat["~members"]:
                found += self.thread(f"chats/{identity}").entities.values()
        return shown(listing(request, query, found))

    def team(self, request, user, query, parts):
        group = self.tenant.find_group(parts[0])
        channels = self.channels[group["id"]]
        if len(parts) == 1:
            return shown({"id": group["id"], "displayName": group["displayName"]})
        if parts[1] not in ("channels", "allChannels"):
            raise bad(f"Resource not found for the segment '{parts[1]}'.", "BadRequest")
        if len(parts) == 2:
            if request.method == "POST":
                return shown(self.channel(group["id"], read_json(request)["displayName"]), 201)
            return shown(listing(request, query, list(channels.values())))
        channel = channels.get(parts[2])
        if not channel:
            raise Refused(404, "NotFound", "The channel could not be found.")
        if len(parts) == 3:
            return shown(select(channel, query))
        if parts[3] == "filesFolder":
            from .items import show

            drive = group["site"]["drive"]
            return shown(show(drive.folders(drive.root, [channel["displayName"]]), None))
        if parts[3] != "messages":
            raise bad(f"Resource not found for the segment '{parts[3]}'.", "BadRequest")
        place = {"channelIdentity": {"teamId": group["id"], "channelId": channel["id"]}}
        return self.messages(request, user, query, f"teams/{group['id']}/channels/{channel['id']}", place, parts[4:])

    def messages(self, request, user, query, path, place, parts):
        thread = self.thread(path)
        if not parts:
            if request.method == "POST":
                return self.post(request, user, thread, path, place, None)
            self.top(query)
            roots = [one for one in thread.entities.values() if not one["replyToId"]]
            return shown({"@odata.context": f"https://graph.microsoft.com/v1.0/$metadata#{path}/messages", **listing(request, query, self.newest(roots), 20)})
        if parts[0] == "delta":
            return shown(delta(request, query, thread, lambda one: not one["replyToId"], visible))
        message = thread.get(parts[0])
        if not message:
            raise Refused(404, "NotFound", "The message could not be found.")
        if len(parts) > 1 and parts[1] == "replies":
            if len(parts) == 2:
                if request.method == "POST":
                    return self.post(request, user, thread, path, place, message["id"])
                self.top(query)
                replies = [one for one in thread.entities.values() if one["replyToId"] == message["id"]]
                return shown(listing(request, query, self.newest(replies), 20))
            reply = thread.get(parts[2])
            if not reply or reply["replyToId"] != message["id"]:
                raise Refused(404, "NotFound", "The reply could not be found.")
            message, parts = reply, parts[2:]
        return self.message(request, user, query, thread, path, message, parts[1:])

    @staticmethod
    def newest(messages):
        return sorted(messages, key=lambda one: one["~sequence"], reverse=True)

    @staticmethod
    def top(query):
        if "$top" in query and not 1 <= int(query["$top"]) <= MOST:
            raise bad(f"$top is at most {MOST}", "BadRequest")

    def message(self, request, user, query, thread, path, message, parts):
        if not parts:
            if request.method == "GET":
                return shown(select(visible(message), query, ["id"]))
            if request.method != "PATCH":
                raise Refused(405, "BadRequest", request.method)
            if not user or message["from"]["user"]["id"] != user["id"]:
                raise Refused(403, "Forbidden", "Only the sender changes a message.")
            asked = read_json(request)
            self.fill(message, asked, path)
            message["lastEditedDateTime"] = stamp()
            thread.keep(self.touched(message))
            return empty(204)
        if parts[0] == "hostedContents":
            return self.hosted(request, message, parts[1:])
        if parts[0] in ("softDelete", "undoSoftDelete") and request.method == "POST":
            message["deletedDateTime"] = stamp() if parts[0] == "softDelete" else None
            if parts[0] == "softDelete":
                message["~kept"], message["body"] = message["body"], {"contentType": "html", "content": ""}
            else:
                message["body"] = message.pop("~kept", message["body"])
            thread.keep(self.touched(message))
            return empty(204)
        if parts[0] in ("setReaction", "unsetReaction"):
            return empty(204)
        raise bad(f"Resource not found for the segment '{parts[0]}'.", "BadRequest")

    @staticmethod
    def touched(message):
        touch(message)
        message["etag"] = str(int(message.get("etag") or 0) + 1)
        message.pop("changeKey", None)
        message.pop("@odata.etag", None)
        return message

    def post(self, request, user, thread, path, place, reply_to):
        if not user:
            raise Refused(403, "Forbidden", "Applications post only while they migrate.")
        asked = read_json(request)
        identity = str(1_790_000_000_000 + Records.numbers)
        sender = {"user": {"id": user["id"], "displayName": user["displayName"], "userIdentityType": "aadUser", "tenantId": self.tenant.id}}
        message = {
            "@odata.context": f"https://graph.microsoft.com/v1.0/$metadata#{path}/messages/$entity",
            "id": identity,
            "replyToId": reply_to,
            "etag": identity,
            "messageType": "message",
            "createdDateTime": stamp(),
            "lastEditedDateTime": None,
            "deletedDateTime": None,
            "subject": None,
            "summary": None,
            "chatId": None,
            "importance": "normal",
            "locale": "en-us",
            "webUrl": f"https://teams.microsoft.com/l/message/{identity}",
            "channelIdentity": None,
            "policyViolation": None,
            "from": {"application": None, "device": None, **sender},
            "body": None,
            "attachments": [],
            "mentions": [],
            "reactions": [],
            **place,
        }
        self.fill(message, asked, path)
        if not isinstance(asked.get("body"), dict):
            raise bad("The body is missing.", "BadRequest")
        thread.add(self.touched(message), identity)
        return shown(visible(message), 201)

    def fill(self, message, asked, path):
        for key in asked:
            if key not in WRITABLE and key not in READ_ONLY and not key.startswith("@"):
                raise bad(f"The property '{key}' does not exist on type 'microsoft.graph.chatMessage'.", "BadRequest")
        said = asked.get("body", message["body"])
        if not isinstance(said, dict) or not isinstance(said.get("content"), str):
            raise bad("The body is missing.", "BadRequest")
        body = {"contentType": str(said.get("contentType", "text")).lower(), "content": said["content"]}
        if body["contentType"] not in ("text", "html"):
            raise bad("contentType is text or html", "BadRequest")
        attachments = asked.get("attachments", message["attachments"])
        mentions = asked.get("mentions", message["mentions"])
        self.measured(body, asked, attachments)
        self.marked(body, mentions, attachments)
        hosted = self.kept_contents(asked.get("hostedContents", []))
        for number, (identity, _, _) in hosted.items():
            where = f"https://graph.microsoft.com/v1.0/{path}/messages/{message['id']}/hostedContents/{identity}/$value"
            body["content"] = body["content"].replace(f"../hostedContents/{number}/$value", where)
        if body["contentType"] == "html" and self.switches.sanitise:
            body["content"] = markup.sanitised(body["content"], markup.TEAMS)
        for key in WRITABLE - {"hostedContents"}:
            if key in asked:
                message[key] = asked[key]
        message["body"], message["attachments"], message["mentions"] = body, attachments, mentions
        message.setdefault("~hosted", {}).update({identity: [kind, base64.b64encode(data).decode()] for identity, kind, data in hosted.values()})

    @staticmethod
    def measured(body, asked, attachments):
        parts = [body["content"], asked.get("subject") or "", asked.get("summary") or "", *((one.get("content") or "") for one in attachments)]
        if sum(len(part.encode()) for part in parts) > POST_LIMIT:
            raise Refused(413, "RequestEntityTooLarge", "Message size exceeds the limit of 28 KB.")

    @staticmethod
    def marked(body, mentions, attachments):
        """Mentions and attachments have their marks in the HTML, and the marks theirs."""
        if (mentions or attachments) and body["contentType"] != "html":
            raise bad("Mentions and attachments need the contentType html.", "BadRequest")
        if body["contentType"] != "html":
            return
        marks = set(re.findall(r"<at\s+id=[\"']?(\d+)[\"']?\s*>", body["content"]))
        named = {str(one.get("id")) for one in mentions}
        if marks != named:
            raise bad("The mentions and the at elements of the body differ.", "InvalidRequest")
        marks = set(re.findall(r"<attachment\s+id=[\"']?([^\"'\s>]+)[\"']?\s*/?>", body["content"]))
        named = {str(one.get("id")) for one in attachments}
        if marks != named:
            raise bad("The attachments and the attachment elements of the body differ.", "InvalidRequest")

    def kept_contents(self, asked):
        """{temporary id: (id, kind, bytes)}"""
        kept = {}
        for one in asked:
            number, kind = one.get("@microsoft.graph.temporaryId"), one.get("contentType", "")
            try:
                data = base64.b64decode(one.get("contentBytes", ""), validate=True)
            except (binascii.Error, ValueError) as fault:
                raise bad("contentBytes is not base64.", "BadRequest") from fault
            if not number or not data:
                raise bad("A hosted content needs a temporary id and bytes.", "BadRequest")
            pictures = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8")
            if self.switches.hosted_images_only and (not kind.startswith("image/") or not data.startswith(pictures)):
                raise bad("Hosted contents are images.", "BadRequest")
            identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().strip("=")
            (self.store.folder / f"hosted-{identity}.bin").write_bytes(data)
            kept[number] = (identity, kind, data)
        return kept

    @staticmethod
    def hosted(request, message, parts):
        held = message.get("~hosted", {})
        if not parts:
            return shown({"value": [{"id": one, "contentType": None, "contentBytes": None} for one in held]})
        if parts[0] not in held:
            raise Refused(404, "NotFound", "The hosted content could not be found.")
        kind, data = held[parts[0]]
        if parts[1:] == ["$value"]:
            return Answer(200, [("Content-Type", kind)], base64.b64decode(data))
        return shown({"id": parts[0], "contentType": kind, "contentBytes": None})
