"""Which host and path is answered by what."""

import base64
import re
import sys
import traceback
from urllib.parse import quote, unquote

from . import batch
from .agenda import Agenda
from .files import Files
from .grants import Grants
from .items import show_drive
from .mail import Mail
from .odata import GRAPH, Refused, bad, not_found, parameters, select, shown
from .sharepoint import SharePoint
from .store import Store
from .teams import Teams
from .tenant import Tenant, must_be_user
from .uploads import Uploads
from .wire import Answer

OUTLOOK, LOGIN = "outlook.office.com", "login.microsoftonline.com"


class Application:
    def __init__(self, folder, name, people, switches):
        self.switches, self.server = switches, None
        self.store = Store(folder, switches)
        self.tenant = Tenant(self.store, name, people)
        self.grants = Grants(switches, self.violation)
        self.uploads = Uploads(self.store, self.grants, switches)
        self.files = Files(self.tenant, self.store, self.grants, self.uploads, switches)
        self.mail = Mail(self.tenant, self.store, self.grants, switches)
        self.teams = Teams(self.tenant, self.store, switches)
        self.agenda = Agenda(self.tenant, self.store, self.mail.attachments, switches)
        self.rest = SharePoint(self.tenant, self.store, switches)
        self.hosts = {
            GRAPH: self.graph,
            self.tenant.host: self.sharepoint,
            self.tenant.personal: self.sharepoint,
            OUTLOOK: self.mail.attachments.piece,
            LOGIN: self.tenant.sign_in,
        }

    def violation(self, request, why):
        self.server.violation(request, why)

    def __call__(self, request):
        try:
            host = request.host.removesuffix(":443")
            if host not in self.hosts:
                self.violation(request, f"the host {host!r} is none that is served here")
                raise Refused(421, "misdirectedRequest", f"no such host: {host}")
            if self.switches.strict_sni and request.secure and request.sni != host:
                self.violation(request, f"SNI is {request.sni!r}, Host {host!r}")
                raise Refused(421, "misdirectedRequest", "SNI and Host differ")
            return self.hosts[host](request)
        except Refused as refused:
            return refused.answer()
        except Exception:
            # a fault of the simulator's own is never taken for one of the services
            traceback.print_exc(file=sys.stderr)
            self.violation(request, "the simulator failed: " + traceback.format_exc(limit=-3))
            return Answer(500, [("Content-Type", "text/plain")], b"the simulator failed")

    def graph(self, request):
        found = re.match(r"/(v1\.0|beta)(/.*)?\Z", request.path)
        if not found:
            raise bad("Invalid version", "BadRequest")
        # the SDKs of today write two slashes behind the version
        rest = re.sub(r"\A//+", "/", found[2] or "/")
        if rest == "/$batch":
            self.tenant.user(request)
            return batch.serve(request, self.inner)
        return self.api(request, rest, self.tenant.user(request), found[1])

    def inner(self, request):
        try:
            return self.graph(request)
        except Refused as refused:
            return refused.answer()

    def api(self, request, rest, user, version):
        """The API behind its version, on either host."""
        first, second, behind = self.split(rest)
        if first == "me":
            return self.of_user(request, must_be_user(user), rest[len("/me") :], version)
        if first == "users" and second:
            return self.of_user(request, self.tenant.find_user(second), behind, version)
        if first == "users":
            return shown({"value": [self.tenant.show_user(one) for one in self.tenant.users.values()]})
        if first == "drives" and second:
            return self.files.serve(request, self.store.drive(unquote(second)), behind)
        if first == "drive":
            drive = user["drive"] if user else next(iter(self.store.drives.values()))
            return self.files.serve(request, drive, rest[len("/drive") :])
        if first == "groups" and second:
            return self.of_group(request, self.tenant.find_group(second), behind)
        if first == "sites":
            return self.of_site(request, rest[len("/sites") :])
        if first in ("teams", "chats"):
            return self.teams.serve(request, user, rest)
        if first == "planner":
            return self.agenda.planner(request, rest)
        if first == "shares" and second:
            return self.share(request, unquote(second), behind)
        raise bad(f"Resource not found for the segment '{first}'.", "BadRequest")

    @staticmethod
    def split(rest):
        parts = rest.split("/")
        first, second = parts[1], parts[2] if len(parts) > 2 else ""
        return first, second, rest[len(first) + len(second) + 2 :]

    def of_user(self, request, user, rest, version):
        if rest in ("", "/"):
            return shown(select(self.tenant.show_user(user), parameters(request.query)))
        if rest == "/drives":
            return shown({"value": [show_drive(user["drive"])]})
        if re.match(r"/drive(/|\Z)", rest):
            return self.files.serve(request, user["drive"], rest[len("/drive") :])
        if re.match(r"/(chats|teams)(/|\Z)", rest):
            return self.teams.serve(request, user, rest)
        if rest == "/joinedTeams":
            return shown({"value": [{"id": one["id"], "displayName": one["displayName"]} for one in self.tenant.groups.values()]})
        answer = self.mail.serve(request, user, rest) or self.agenda.serve(request, user, rest)
        if answer:
            return answer
        raise bad(f"Resource not found for the segment '{rest[1:40]}'.", "BadRequest")

    def of_group(self, request, group, rest):
        if rest in ("", "/"):
            return shown({"id": group["id"], "displayName": group["displayName"]})
        if re.match(r"/drive(/|\Z)", rest):
            return self.files.serve(request, group["site"]["drive"], rest[len("/drive") :])
        if rest == "/drives":
            return shown({"value": [show_drive(group["site"]["drive"])]})
        if rest == "/sites/root":
            return shown(self.tenant.show_site(group["site"]))
        raise bad(f"Resource not found for the segment '{rest[1:40]}'.", "BadRequest")

    def of_site(self, request, rest):
        """`/{id}`, `/root`, `/{host}:/{path}[:...]`, `?search=`."""
        if rest in ("", "/"):
            return shown({"value": [self.tenant.show_site(one) for one in self.tenant.sites.values()]})
        by_path = re.match(r"/([^/:]+):(/[^:]*)(?::(.*))?\Z", rest)
        if by_path:
            site, left = self.tenant.site_at(unquote(by_path[1]), unquote(by_path[2]).rstrip("/"))
            if left:
                raise not_found("The site could not be found.")
            rest = by_path[3] or ""
        else:
            name = unquote(rest.split("/")[1])
            rest = "/" + "/".join(rest.split("/")[2:])
            site = self.tenant.sites.get(name)
            if name in ("root", self.tenant.host):
                site = self.tenant.site_at(self.tenant.host, "")[0]
        if not site:
            raise not_found("The site could not be found.")
        if rest in ("", "/"):
            return shown(self.tenant.show_site(site))
        if rest == "/drives":
            return shown({"value": [show_drive(site["drive"])]})
        if re.match(r"/drives/", rest):
            drive, _, behind = rest[len("/drives/") :].partition("/")
            return self.files.serve(request, self.store.drive(unquote(drive)), "/" + behind if behind else "")
        if re.match(r"/drive(/|\Z)", rest):
            return self.files.serve(request, site["drive"], rest[len("/drive") :])
        raise bad(f"Resource not found for the segment '{rest[1:40]}'.", "BadRequest")

    def share(self, request, share, rest):
        """A share is the item's web URL in base64url."""
        try:
            url = base64.urlsafe_b64decode(share.removeprefix("u!") + "=" * (-len(share.removeprefix("u!")) % 4)).decode()
        except ValueError as fault:
            raise bad("The sharing token is not valid") from fault
        found = re.match(r"https://([^/]+)(/.*)", url)
        if not found:
            raise bad("The sharing token is not valid")
        site, left = self.tenant.site_at(found[1], unquote(found[2]))
        names = [name for name in left.split("/") if name][1:]
        item = site["drive"].walk(site["drive"].root, names)
        if not item:
            raise not_found("The share could not be found.")
        if rest in ("", "/"):
            return shown({"id": share, "name": item.name, "webUrl": url})
        rest = re.sub(r"\A/(driveItem|root)(?=/|\Z)", f"/items/{item.id}", rest)
        return self.files.serve(request, site["drive"], rest)

    def sharepoint(self, request):
        path = request.path
        if "/_layouts/15/download.aspx" in path:
            return self.files.download(request)
        if re.search(r"/_api/v2\.[01]/drives/[^/]+/items/[^/]+/uploadSession\Z", path):
            return self.uploads.serve(request)
        if found := re.fullmatch(r"/_api/v2\.[01]/monitor/([0-9a-f-]+)", path):
            return self.files.monitor(request, found[1])
        found = re.match(r"(.*?)/_api/(v2\.[01])(/.*)\Z", path)
        if found:
            user = self.tenant.user(request)
            site, left = self.tenant.site_at(request.host, unquote(found[1]))
            if left:
                raise not_found("The site could not be found.")
            rest = found[3]
            if re.match(r"/drive(/|\Z)", rest):
                return self.files.serve(request, site["drive"], rest[len("/drive") :])
            return self.api(request, rest, user, found[2])
        if found := re.match(r"(.*?)/_api/(web|contextinfo|lists|site|\$batch)(?=[/?(]|\Z)", path, re.I):
            user = self.tenant.user(request)
            site, left = self.tenant.site_at(request.host, unquote(found[1]))
            if left:
                raise not_found("The site could not be found.")
            return self.rest.serve(request, site, path[len(found[1]) + len("/_api") :], user)
        raise not_found(f"Nothing is at {quote(path)[:200]}")
