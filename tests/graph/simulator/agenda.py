"""Events, contacts, To-Do and Planner: entities with a text in them."""

from urllib.parse import unquote

from . import markup
from .odata import Refused, bad, empty, parameters, read_json, select, shown
from .records import Records, delta, listing, touch, visible


class Agenda:
    def __init__(self, tenant, store, attachments, switches):
        self.tenant, self.store, self.attachments, self.switches = tenant, store, attachments, switches
        self.collections = {}
        self.plans = self.collection("planner", "plans", "")
        self.tasks = self.collection("planner", "tasks", "")
        self.details = self.collection("planner", "details", "")

    def collection(self, owner, kind, prefix="AAMkAD"):
        key = owner, kind
        if key not in self.collections:
            self.collections[key] = Records(self.store.folder, kind, prefix)
        return self.collections[key]

    def serve(self, request, user, rest):
        """What is behind a user; None if it is not of these."""
        query, parts = parameters(request.query), [unquote(part) for part in rest.strip("/").split("/")]
        parts = [part.removeprefix("microsoft.graph.").removesuffix("()") for part in parts]
        if parts[0] in ("calendar", "calendars", "calendarView", "events"):
            return self.calendar(request, user, query, parts)
        if parts[0] in ("contacts", "contactFolders"):
            parts = parts[2:] if parts[0] == "contactFolders" else parts
            return self.plain(request, query, self.collection(user["id"], "contacts"), parts[1:]) if parts else shown({"value": []})
        if parts[:2] == ["todo", "lists"]:
            return self.todo(request, user, query, parts[2:])
        if parts[:2] == ["planner", "tasks"]:
            return shown(listing(request, query, list(self.tasks.entities.values())))
        return None

    def plain(self, request, query, records, parts, prepare=lambda entity: None, deeper=None):
        """A collection, or one entity of it."""
        if not parts:
            if request.method == "GET":
                return shown(listing(request, query, list(records.entities.values())))
            if request.method != "POST":
                raise Refused(405, "BadRequest", request.method)
            entity = {**read_json(request), "~attachments": []}
            prepare(entity)
            return shown(visible(records.add(touch(entity, first=True))), 201)
        if parts[0] == "delta":
            return shown(delta(request, query, records))
        entity = records.get(parts[0])
        if not entity:
            raise Refused(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        if len(parts) > 1:
            if not deeper:
                raise bad(f"Resource not found for the segment '{parts[1]}'.", "BadRequest")
            return deeper(entity, parts[1:])
        if request.method == "DELETE":
            records.remove(entity["id"])
            return empty(204)
        if request.method == "PATCH":
            wanted = request.header("if-match")
            if wanted and wanted not in ("*", entity["@odata.etag"]):
                raise Refused(412, "ErrorIrresolvableConflict", "The change key does not match")
            entity.update({key: value for key, value in read_json(request).items() if not key.startswith("@")})
            prepare(entity)
            records.keep(touch(entity))
        elif request.method != "GET":
            raise Refused(405, "BadRequest", request.method)
        return shown(select(visible(entity), query, ["id", "@odata.etag"]))

    def text(self, entity):
        body = entity.get("body")
        if not isinstance(body, dict):
            return
        body = {"contentType": str(body.get("contentType", "text")).lower(), "content": body.get("content") or ""}
        if body["contentType"] == "html":
            content = markup.sanitised(body["content"], markup.OUTLOOK) if self.switches.sanitise else body["content"]
            body["content"] = markup.wrapped(content)
        entity["body"], entity["bodyPreview"] = body, markup.preview(body)

    def calendar(self, request, user, query, parts):
        records = self.collection(user["id"], "events")
        if parts[0] == "calendars":
            if len(parts) < 3:
                return shown({"value": [{"id": "calendar", "name": "Calendar", "isDefaultCalendar": True}]})
            parts = parts[2:]
        elif parts[0] == "calendar":
            if len(parts) == 1:
                return shown({"id": "calendar", "name": "Calendar", "isDefaultCalendar": True})
            parts = parts[1:]

        def deeper(entity, rest):
            if rest[0] == "attachments":
                return self.attachments.serve(request, user, "Events", records, entity, rest[1:])
            if rest[0] in ("accept", "decline", "tentativelyAccept", "cancel", "forward", "dismissReminder", "snoozeReminder"):
                return empty(202)
            if rest[0] == "instances":
                return shown({"value": []})
            raise bad(f"Resource not found for the segment '{rest[0]}'.", "BadRequest")

        def prepare(entity):
            self.text(entity)
            for key in ("start", "end"):
                if not isinstance(entity.get(key), dict):
                    raise bad(f"The event has no {key}", "ErrorPropertyValidationFailure")

        return self.plain(request, query, records, parts[1:], prepare, deeper)

    def todo(self, request, user, query, parts):
        lists = self.collection(user["id"], "todo-lists")
        if not lists.entities:
            lists.add(touch({"displayName": "Tasks", "isOwner": True, "wellknownListName": "defaultList"}, first=True))

        def deeper(held, rest):
            if rest[0] != "tasks":
                raise bad(f"Resource not found for the segment '{rest[0]}'.", "BadRequest")
            tasks = self.collection(user["id"], f"todo-{held['id']}-tasks"[:60])

            def below(task, left):
                if left[0] not in ("checklistItems", "linkedResources"):
                    raise bad(f"Resource not found for the segment '{left[0]}'.", "BadRequest")
                return self.plain(request, query, self.collection(task["id"], left[0], ""), left[1:])

            def task_text(task):
                body = task.get("body")
                if isinstance(body, dict):
                    task["body"] = {"content": body.get("content") or "", "contentType": str(body.get("contentType", "text")).lower()}
                task.setdefault("status", "notStarted")

            return self.plain(request, query, tasks, rest[1:], task_text, below)

        return self.plain(request, query, lists, parts, deeper=deeper)

    def planner(self, request, rest):
        query, parts = parameters(request.query), [unquote(part) for part in rest.strip("/").split("/")][1:]
        if parts and parts[0] == "plans":
            if len(parts) == 3 and parts[2] == "tasks":
                return shown(listing(request, query, [one for one in self.tasks.entities.values() if one.get("planId") == parts[1]]))
            return self.guarded(request, query, self.plans, parts[1:])
        if not parts or parts[0] != "tasks":
            raise bad("Resource not found for the segment.", "BadRequest")
        if len(parts) == 3 and parts[2] == "details":
            held = self.details.get(parts[1])
            if not held and self.tasks.get(parts[1]):
                held = self.details.add(touch({"description": "", "references": {}, "checklist": {}}), parts[1])
            return self.guarded(request, query, self.details, [parts[1]])
        return self.guarded(request, query, self.tasks, parts[1:])

    def guarded(self, request, query, records, parts):
        """Planner's changes need If-Match; they answer 204 unless the representation is preferred."""
        if not parts:
            return self.plain(request, query, records, parts)
        entity = records.get(parts[0])
        if not entity:
            raise Refused(404, "NotFound", "The requested item is not found.")
        if request.method in ("PATCH", "DELETE"):
            wanted = request.header("if-match")
            if not wanted:
                raise bad("The If-Match header must be specified for this request.", "BadRequest")
            if wanted != entity["@odata.etag"]:
                raise Refused(412, "PreconditionFailed", "The ETag is not the current one")
        answer = self.plain(request, query, records, parts)
        if request.method == "PATCH" and "return=representation" not in (request.header("prefer") or ""):
            return empty(204)
        return answer


