"""Who and what there is: users, groups, sites, their drives, and the tokens that stand for them."""

import base64
import json
import os
import time
import uuid
from urllib.parse import unquote

from .odata import Refused, bad, not_found, parameters, shown
from .store import Drive, Place

LIBRARY = "Shared Documents"
CHALLENGE = (
    'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
    'client_id="00000003-0000-0000-c000-000000000000"'
)


def drive_id(*parts):
    return "b!" + base64.urlsafe_b64encode(b"".join(uuid.uuid5(uuid.NAMESPACE_URL, part).bytes for part in parts)).decode().rstrip("=")


class Tenant:
    def __init__(self, store, name, people):
        self.store, self.name = store, name
        self.host, self.personal = f"{name}.sharepoint.com", f"{name}-my.sharepoint.com"
        self.id = str(uuid.uuid5(uuid.NAMESPACE_DNS, self.host))
        self.users, self.groups, self.sites, self.tokens = {}, {}, {}, {}
        for person in people:
            self.add_user(person)
        self.add_site("", "root")
        site = self.add_site("/sites/Team", "Team")
        group = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.host}/group"))
        self.groups[group] = {"id": group, "displayName": "Team", "site": site}
        # revoked tokens are answered with a claims challenge
        self.challenged = set()

    def add_user(self, name):
        identity = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.host}/{name}"))
        mail = f"{name}@{self.name}.onmicrosoft.com"
        user = {
            "id": identity,
            "displayName": name.capitalize(),
            "givenName": name.capitalize(),
            "surname": "Example",
            "mail": mail,
            "userPrincipalName": mail,
        }
        site = "/personal/" + mail.replace("@", "_").replace(".", "_")
        site_id = f"{self.personal},{uuid.uuid5(uuid.NAMESPACE_URL, site)},{uuid.uuid5(uuid.NAMESPACE_URL, site + '/web')}"
        place = Place(self.personal, site, "Documents", site_id)
        self.sites[site_id] = {"id": site_id, "path": site, "host": self.personal, "name": mail}
        user["drive"] = self.store.add(Drive(self.store, drive_id(self.personal, site), "business", user, place, "OneDrive"))
        self.sites[site_id]["drive"] = user["drive"]
        self.users[identity] = user
        self.tokens[f"token-of-{name}"] = user

    def add_site(self, path, name):
        webs = uuid.uuid5(uuid.NAMESPACE_URL, self.host + path), uuid.uuid5(uuid.NAMESPACE_URL, self.host + path + "/web")
        site_id = f"{self.host},{webs[0]},{webs[1]}"
        owner = next(iter(self.users.values()))
        place = Place(self.host, path, LIBRARY, site_id)
        drive = Drive(self.store, drive_id(self.host, path), "documentLibrary", owner, place, "Documents")
        self.sites[site_id] = {"id": site_id, "path": path, "host": self.host, "name": name, "drive": self.store.add(drive)}
        return self.sites[site_id]

    def user(self, request):
        """Whom the bearer stands for; None for an application."""
        scheme, _, token = (request.header("authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Refused(401, "InvalidAuthenticationToken", "Access token is empty.", [("WWW-Authenticate", CHALLENGE)])
        token = token.strip()
        if token in self.challenged:
            claims = base64.b64encode(b'{"access_token":{"nbf":{"essential":true,"value":"1"}}}').decode()
            challenge = f'{CHALLENGE}, error="insufficient_claims", claims="{claims}"'
            raise Refused(401, "InvalidAuthenticationToken", "Continuous access evaluation.", [("WWW-Authenticate", challenge)])
        if token not in self.tokens:
            raise Refused(401, "InvalidAuthenticationToken", "The token is not known.", [("WWW-Authenticate", f'{CHALLENGE}, error="invalid_token"')])
        return self.tokens[token]

    def find_user(self, name):
        name = unquote(name)
        for user in self.users.values():
            if name.lower() in (user["id"], user["userPrincipalName"].lower()):
                return user
        raise Refused(404, "Request_ResourceNotFound", f"Resource '{name}' does not exist.")

    def by_mail(self, address):
        return next((user for user in self.users.values() if user["mail"].lower() == address.lower()), None)

    def find_group(self, name):
        group = self.groups.get(unquote(name))
        if not group:
            raise Refused(404, "Request_ResourceNotFound", f"Resource '{name}' does not exist.")
        return group

    def site_at(self, host, path):
        """The site whose path the URL's path begins with, the longest one; and what comes behind it."""
        lowered = path.lower()
        for site in sorted(self.sites.values(), key=lambda one: -len(one["path"])):
            begins = site["path"].lower()
            if site["host"] == host and (lowered + "/").startswith(begins + "/"):
                return site, path[len(begins) :]
        raise not_found("The site could not be found.")

    @staticmethod
    def show_user(user):
        shown_user = {key: value for key, value in user.items() if key != "drive"}
        return {"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users/$entity", **shown_user}

    @staticmethod
    def show_site(site):
        return {
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#sites/$entity",
            "id": site["id"],
            "name": site["path"].rpartition("/")[2],
            "displayName": site["name"],
            "webUrl": f"https://{site['host']}{site['path']}",
            "siteCollection": {"hostname": site["host"]},
        }

    def sign_in(self, request):
        """The token endpoint: codes and refresh tokens name a user, client credentials the application."""
        path = request.path.lower()
        if path.endswith("/.well-known/openid-configuration") or "/discovery/instance" in path:
            return self.discovery(path)
        if request.method != "POST" or not path.endswith(("/oauth2/v2.0/token", "/oauth2/token")):
            raise Refused(404, "invalid_request", "AADSTS90002: no such endpoint")
        asked = parameters(request.body().decode())
        grant = asked.get("grant_type")
        if grant == "client_credentials":
            user = None
        elif grant in ("refresh_token", "authorization_code", "password"):
            secret = asked.get("refresh_token") or asked.get("code") or asked.get("username") or ""
            user = next((one for one in self.users.values() if one["givenName"].lower() in secret.lower()), None)
            if not user:
                return shown({"error": "invalid_grant", "error_description": "AADSTS70000: the grant names nobody"}, 400)
        else:
            return shown({"error": "unsupported_grant_type", "error_description": "AADSTS70003"}, 400)
        token = "eyJ0eXAiOiJKV1QifQ." + base64.urlsafe_b64encode(os.urandom(60)).decode().rstrip("=") + ".c2ln"
        self.tokens[token] = user
        body = {"token_type": "Bearer", "scope": asked.get("scope", ""), "expires_in": 3600, "ext_expires_in": 3600, "access_token": token}
        if user:
            body["refresh_token"] = f"refresh-{user['givenName'].lower()}-{uuid.uuid4().hex}"
            claims = {"sub": user["id"], "tid": self.id, "preferred_username": user["mail"], "exp": int(time.time()) + 3600, "aud": asked.get("client_id", "")}
            packed = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
            body["id_token"] = f"eyJhbGciOiJub25lIn0.{packed}."
        return shown(body)

    def discovery(self, path):
        authority = f"https://login.microsoftonline.com/{path.split('/')[1] or 'common'}"
        return shown(
            {
                "tenant_discovery_endpoint": f"{authority}/v2.0/.well-known/openid-configuration",
                "metadata": [],
                "token_endpoint": f"{authority}/oauth2/v2.0/token",
                "authorization_endpoint": f"{authority}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{authority}/oauth2/v2.0/devicecode",
                "issuer": f"{authority}/v2.0",
            }
        )


def must_be_user(user):
    if user is None:
        raise bad("/me request is only valid with delegated authentication flow.", "BadRequest")
    return user
