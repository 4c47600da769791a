"""A server that takes files as Nextcloud does: WsgiDAV below `/remote.php/dav/files/USER`, and chunked uploads (second version)
below `/remote.php/dav/uploads/USER`: chunks are put into a collection, and a MOVE of its `.file` joins them in the natural order
of their names, checks `OC-Total-Length`, and removes the collection. PATCH with `X-Recalculate-Hash` gives a digest.

    nextcloud.py PORT FOLDER CERTIFICATE KEY USER PASSWORD
"""

import base64
import hashlib
import os
import re
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cheroot import wsgi
from cheroot.ssl.builtin import BuiltinSSLAdapter
from wsgidav.wsgidav_app import WsgiDAVApp

ROOT = "/remote.php/dav"
CHUNK = re.compile(r"[0-9]+(-[0-9]+)?")


class Refused(Exception):
    pass


def natural(name):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def within(folder, path):
    """A path below the folder, however it is written."""
    target = (folder / path.lstrip("/")).resolve()
    if folder != target and folder not in target.parents:
        raise Refused("403 Forbidden")
    return target


def copy_body(environ, target):
    source, coded = environ["wsgi.input"], "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "")
    left = None if coded else int(environ.get("CONTENT_LENGTH") or 0)
    with open(target, "wb") as file:
        while left is None or left > 0:
            piece = source.read(1 << 16 if left is None else min(left, 1 << 16))
            if not piece:
                break
            file.write(piece)
            left = None if left is None else left - len(piece)
    if left:
        target.unlink()
        raise Refused("400 Bad Request")


def stamp(environ, target):
    """What a client is told of a file that it wrote."""
    fields = [("OC-FileId", f"{target.stat().st_ino:08d}ocsim")]
    if wanted := environ.get("HTTP_X_OC_MTIME"):
        os.utime(target, (int(wanted), int(wanted)))
        fields.append(("X-OC-MTime", "accepted"))
    return fields


class Nextcloud:
    def __init__(self, folder, user, password):
        self.files, self.uploads = folder / "files", folder / "uploads"
        for own in (self.files, self.uploads):
            own.mkdir(exist_ok=True)
        self.credential = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.at_files, self.at_uploads = f"{ROOT}/files/{user}", f"{ROOT}/uploads/{user}"
        self.dav = WsgiDAVApp({
            "provider_mapping": {self.at_files: str(self.files)},
            "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
            "simple_dc": {"user_mapping": {"*": {user: {"password": password}}}},
            "property_manager": True,
            "lock_storage": True,
            "dir_browser": {"enable": False},
            "logging": {"enable_loggers": []},
            "verbose": 0,
        })

    def __call__(self, environ, start):
        # WSGI gives the path's bytes as Latin-1
        path = environ["PATH_INFO"].encode("latin-1").decode()
        try:
            if path.startswith(f"{self.at_uploads}/"):
                if environ.get("HTTP_AUTHORIZATION") != self.credential:
                    raise Refused("401 Unauthorized")
                status, fields = self.upload(environ, path.removeprefix(f"{self.at_uploads}/"))
                start(status, [*fields, ("Content-Length", "0")])
                return [b""]
            if environ["REQUEST_METHOD"] == "PATCH":
                start(*self.recalculate(environ, path))
                return [b""]
            if environ["REQUEST_METHOD"] == "PUT" and "HTTP_X_OC_MTIME" in environ:
                return self.put(environ, start, path)
        except Refused as refused:
            start(str(refused), [("Content-Length", "0"), ("WWW-Authenticate", 'Basic realm="sim"')])
            return [b""]
        return self.dav(environ, start)

    def put(self, environ, start, path):
        told = {}

        def capture(status, fields, *_):
            told.update(status=status, fields=fields)
            return lambda _: None

        body = list(self.dav(environ, capture))
        if told["status"].startswith("2"):
            told["fields"] += stamp(environ, within(self.files, path.removeprefix(self.at_files)))
        start(told["status"], told["fields"])
        return body

    def recalculate(self, environ, path):
        """The digest of what lies here."""
        if environ.get("HTTP_AUTHORIZATION") != self.credential:
            raise Refused("401 Unauthorized")
        kind = environ.get("HTTP_X_RECALCULATE_HASH", "").lower()
        target = within(self.files, path.removeprefix(self.at_files))
        if kind not in ("md5", "sha1", "sha256") or not target.is_file():
            raise Refused("400 Bad Request")
        digest = hashlib.new(kind, target.read_bytes()).hexdigest()
        return "204 No Content", [("OC-Checksum", f"{kind.upper()}:{digest}"), ("Content-Length", "0")]

    def upload(self, environ, path):
        method = environ["REQUEST_METHOD"]
        folder, _, member = path.rstrip("/").partition("/")
        folder = within(self.uploads, folder)
        if method == "MKCOL" and not member:
            if folder.exists():
                raise Refused("405 Method Not Allowed")
            folder.mkdir()
            return "201 Created", []
        if not folder.is_dir():
            raise Refused("404 Not Found")
        if method == "DELETE":
            shutil.rmtree(folder) if not member else within(folder, member).unlink()
            return "204 No Content", []
        if method == "PUT" and CHUNK.fullmatch(member):
            target = folder / member
            status = "204 No Content" if target.exists() else "201 Created"
            copy_body(environ, target)
            return status, [("ETag", f'"{hashlib.md5(target.read_bytes()).hexdigest()}"')]
        if method == "MOVE" and member == ".file":
            return self.join(environ, folder)
        raise Refused("403 Forbidden")

    def join(self, environ, folder):
        destination = unquote(urlsplit(environ["HTTP_DESTINATION"]).path)
        if not destination.startswith(f"{self.at_files}/"):
            raise Refused("403 Forbidden")
        target = within(self.files, destination.removeprefix(self.at_files))
        if not target.parent.is_dir():
            raise Refused("409 Conflict")
        chunks = sorted(folder.iterdir(), key=lambda chunk: natural(chunk.name))
        total = environ.get("HTTP_OC_TOTAL_LENGTH")
        if total is not None and int(total) != sum(chunk.stat().st_size for chunk in chunks):
            raise Refused("400 Bad Request")
        status = "204 No Content" if target.exists() else "201 Created"
        joined = folder / ".joined"
        with open(joined, "wb") as file:
            for chunk in chunks:
                file.write(chunk.read_bytes())
        joined.replace(target)
        shutil.rmtree(folder)
        return status, stamp(environ, target)


def main():
    port, folder, certificate, key, user, password = sys.argv[1:]
    server = wsgi.Server(("127.0.0.1", int(port)), Nextcloud(Path(folder).resolve(), user, password))
    server.ssl_adapter = BuiltinSSLAdapter(certificate, key)
    server.start()


if __name__ == "__main__":
    main()
