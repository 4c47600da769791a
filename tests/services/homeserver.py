"""Synapse, a Matrix homeserver, with accounts for the tests."""

import hashlib
import hmac
import json
import sqlite3
import subprocess
import sys

import urllib3
from harness.servers import Server, free_port

NAME = "home.example"
PASSWORD = "a-password-of-the-tests"
SECRET = "of-the-registration"


class Synapse:
    def __init__(self, folder, public=None):
        """`public`: the address that it tells clients; else where it listens."""
        self.folder, self.port = folder, free_port()
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self.url = f"http://127.0.0.1:{self.port}"
        self.public = public or f"{self.url}/"
        config = folder / "homeserver.yaml"
        # YAML holds JSON
        config.write_text(json.dumps(self.settings()))
        run = [sys.executable, "-m", "synapse.app.homeserver", "--config-path", config]
        subprocess.run([*run, "--generate-keys"], check=True, capture_output=True, cwd=folder)
        self.server = Server("synapse", run, self.port, folder).start(self.ready)

    def settings(self):
        unlimited = {"per_second": 10_000, "burst_count": 10_000}
        return {
            "server_name": NAME,
            "public_baseurl": self.public,
            "report_stats": False,
            "pid_file": str(self.folder / "pid"),
            "listeners": [
                {
                    "port": self.port,
                    "bind_addresses": ["127.0.0.1"],
                    "type": "http",
                    "resources": [{"names": ["client"]}],
                }
            ],
            "database": {"name": "sqlite3", "args": {"database": str(self.data / "homeserver.db")}},
            "media_store_path": str(self.data / "media"),
            "signing_key_path": str(self.folder / "signing.key"),
            "registration_shared_secret": SECRET,
            "macaroon_secret_key": "of-the-macaroons",
            "form_secret": "of-the-forms",
            "trusted_key_servers": [],
            # else the first synchronisation is answered anew for minutes
            "caches": {"sync_response_cache_duration": "0s"},
            "rc_message": unlimited,
            "rc_login": {"address": unlimited, "account": unlimited, "failed_attempts": unlimited},
            "rc_joins": {"local": unlimited, "remote": unlimited},
            "rc_invites": {"per_room": unlimited, "per_user": unlimited, "per_issuer": unlimited},
            "rc_registration": unlimited,
            "rc_room_creation": unlimited,
            "rc_media_create": unlimited,
        }

    def ready(self):
        try:
            return urllib3.request("GET", f"{self.url}/_matrix/client/versions", retries=False, timeout=5).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def account(self, name):
        """Makes one (the server's own administration, beside the protocol); gives its whole name."""
        path = f"{self.url}/_synapse/admin/v1/register"
        nonce = urllib3.request("GET", path, timeout=60).json()["nonce"]
        proof = hmac.new(SECRET.encode(), "\0".join([nonce, name, PASSWORD, "notadmin"]).encode(), hashlib.sha1)
        account = {"nonce": nonce, "username": name, "password": PASSWORD, "admin": False, "mac": proof.hexdigest()}
        answer = urllib3.request("POST", path, json=account, timeout=60)
        assert answer.status == 200, answer.data
        return answer.json()["user_id"]

    def held(self):
        """Everything that it keeps: its files' bytes, and the rows of its tables."""
        held = [path.read_bytes() for path in sorted(self.data.rglob("*")) if path.is_file()]
        with sqlite3.connect(f"file:{self.data / 'homeserver.db'}?mode=ro", uri=True) as database:
            for (table,) in database.execute("select name from sqlite_master where type = 'table'").fetchall():
                held.append(repr(database.execute(f'select * from "{table}"').fetchall()).encode())
        return b"\n".join(held)

    def stop(self):
        self.server.stop(patience=10)
