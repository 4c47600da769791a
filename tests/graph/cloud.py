"""The simulator as a process, and the ways to it: directly, or through the gateway."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import urllib.request
from copy import copy
from pathlib import Path
from urllib.parse import urlsplit

from harness.servers import Server, accepts, free_port, sceau
from harness.tunnel import Tunnel

FRONTED = ("graph.microsoft.com", "contoso.sharepoint.com", "contoso-my.sharepoint.com", "outlook.office.com")
LOGIN = "login.microsoftonline.com"
HOSTS = (*FRONTED, LOGIN)
GRAPH = "https://graph.microsoft.com/v1.0"
SIMULATOR = Path(__file__).parent


class Cloud:
    """What is stored lies under `data`."""

    def __init__(self, folder, tls):
        self.folder, self.ca, self.data = folder, tls / "ca.pem", folder / "data"
        self.data.mkdir(parents=True)
        self.port, self.control_port = free_port(), free_port()
        command = [sys.executable, "-m", "simulator", "--port", self.port, "--control-port", self.control_port]
        command += ["--cert", tls / "server.pem", "--key", tls / "server.key", "--data", self.data]
        self.server = Server("simulator", command, self.port, folder, {"PYTHONPATH": str(SIMULATOR)})
        self.server.start(lambda: (self.data / "ready.json").exists() and accepts(self.port))
        self.defaults = self.control("GET", "/switches")

    def control(self, method, path, body=None):
        """The tests' own way in."""
        data = None if body is None else json.dumps(body).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(f"http://127.0.0.1:{self.control_port}{path}", data, method=method)
        with opener.open(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def switch(self, **switches):
        return self.control("POST", "/switches", switches)

    def fault(self, at, **fault):
        self.control("POST", "/faults", [{"at": at, **fault}])

    def reset(self):
        self.control("POST", "/switches", self.defaults)
        self.control("DELETE", "/faults")
        self.control("POST", "/challenge", [])

    def violations(self):
        return self.control("GET", "/violations")

    def last_request(self):
        return max((one["request"] for one in self.control("GET", "/requests")), default=0)

    def requests(self, after=0):
        return self.control("GET", f"/requests?after={after}")

    def stored(self, path):
        """The entry of the file at a path of any drive."""
        return next((one for one in self.control("GET", "/items") if one["path"] == path), None)

    def stop(self):
        self.server.stop(patience=2)


class Way:
    """One way to the cloud: where clients that think they talk to Microsoft's hosts get to, and whom they trust."""

    def __init__(self, name, cloud, port, ca, recorder=None):
        self.name, self.cloud, self.port, self.ca, self.recorder = name, cloud, port, ca, recorder
        self.through_gateway = name == "gateway"
        # accounts are asked for past the gateway
        self.tunnel = Tunnel(to=port, beside={LOGIN: cloud.port})
        self.proxy = f"http://127.0.0.1:{self.tunnel.port}"

    def close(self):
        self.tunnel.close()

    @property
    def environment(self):
        """For clients that heed proxies and authorities in the environment."""
        return {
            "HTTPS_PROXY": self.proxy,
            "https_proxy": self.proxy,
            "SSL_CERT_FILE": str(self.ca),
            "REQUESTS_CA_BUNDLE": str(self.ca),
            "CURL_CA_BUNDLE": str(self.ca),
            "NODE_EXTRA_CA_CERTS": str(self.ca),
        }

    def run(self, *command, folder=None, check=True, timeout=240, **environment):
        """A client as a process; gives what it printed."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, **self.environment, **environment},
            timeout=timeout,
        )
        said = f"{done.stdout[-3000:]}\n{done.stderr[-4000:]}"
        assert not check or done.returncode == 0, f"{' '.join(map(str, command))} ended with {done.returncode}:\n{said}"
        return done

    def ask(self, method, url, body=b"", token="token-of-adele", **headers):
        """One request byte for byte as it is given: no client of ours touches the URL. (status, headers, body)"""
        parts = urlsplit(url)
        target = url.split(parts.netloc, 1)[1] or "/"
        fields = {"Host": parts.netloc, "Connection": "close"}
        if token:
            fields["Authorization"] = f"Bearer {token}"
        if isinstance(body, dict):
            body = json.dumps(body).encode()
            fields["Content-Type"] = "application/json"
        if body or method in ("PUT", "POST", "PATCH"):
            fields["Content-Length"] = str(len(body))
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "\r\n".join([f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())])
        with self.connect(parts.netloc) as stream:
            stream.sendall(head.encode("latin-1") + b"\r\n\r\n")
            if body:
                stream.sendall(body)
            return read_answer(stream, method)

    def connect(self, host):
        context = ssl.create_default_context(cafile=str(self.ca))
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 60), server_hostname=host)

    def json(self, method, url, body=b"", **headers):
        """The JSON of an answer that must be a success."""
        status, _, data = self.ask(method, url if "://" in url else GRAPH + url, body, **headers)
        assert status < 300, f"{method} {url}: {status} {data[:600]!r}"
        return json.loads(data) if data else None


ROLES = {"graph.microsoft.com": "graph", "outlook.office.com": "outlook"}


class Gate:
    """The gateway in a directory that `sceau init` made. It knows the real hosts by their addresses: their names lead to it."""

    def __init__(self, folder, cloud):
        folder.mkdir()
        self.port = free_port()
        self.home = home = folder / "gateway"
        bind = f"127.0.0.1:{self.port}"
        subprocess.run([sceau(), "init", home, "--host", "graph.microsoft.com", "--bind", bind], check=True, capture_output=True)
        for old in (home / "services.d").iterdir():
            old.unlink()
        shutil.copy(cloud.ca, home / "tls" / "provider-ca.pem")
        tables = [
            f'[[host]]\nname = "{host}"\nrole = "{ROLES.get(host, "sharepoint")}"\nconnect = "127.0.0.1:{cloud.port}"\n' for host in FRONTED
        ]
        (home / "services.d" / "80-m365.toml").write_text(f"""
kind = "graph"
name = "m365"
tenant = "tests"
service = "m365"
hosts = {json.dumps(FRONTED)}
contact = "tests@example.fr"
domains = ["contoso.com", "contoso.onmicrosoft.com"]

[upstream]
ca_file = "tls/provider-ca.pem"

{"".join(tables)}
[policy]
allow = ["directory", "properties", "search", "sharing"]
""")
        self.ca = home / "tls" / "ca.pem"
        self.serve(home / "gateway.toml", folder)

    def serve(self, config, folder):
        self.server = Server("sceau", [sceau(), "run", "--config", config], self.port, folder)
        self.restart()

    def beside(self, folder):
        """Another process on the same keys and the same state."""
        folder.mkdir()
        other = copy(self)
        other.port = free_port()
        own = self.home / f"gateway-{other.port}.toml"
        text = (self.home / "gateway.toml").read_text()
        bound = next(line for line in text.splitlines() if line.startswith("bind = "))
        own.write_text(text.replace(bound, f'bind = "127.0.0.1:{other.port}"'))
        other.serve(own, folder)
        return other

    def kill(self):
        self.server.kill()

    def restart(self):
        self.server.start(lambda: accepts(self.port))

    def stop(self):
        return self.server.stop()


class Broken(Exception):
    """The answer ended before it was whole."""


def read_answer(stream, method):
    pieces = []
    try:
        while more := stream.recv(1 << 16):
            pieces.append(more)
    except (ConnectionResetError, ssl.SSLError):
        pass
    data = b"".join(pieces)
    while data.startswith(b"HTTP/1.1 1"):
        data = data.partition(b"\r\n\r\n")[2]
    head, ended, body = data.partition(b"\r\n\r\n")
    if not ended:
        raise Broken(f"no head, {len(data)} bytes")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    if headers.get("transfer-encoding") == "chunked":
        body = unchunked(body)
    elif method != "HEAD" and len(body) != int(headers.get("content-length", len(body))):
        raise Broken(f"{len(body)} bytes of {headers['content-length']}")
    return int(lines[0].split()[1]), headers, body


def unchunked(data):
    whole = b""
    while True:
        size, found, data = data.partition(b"\r\n")
        if not found:
            raise Broken("the chunks do not end")
        length = int(size, 16)
        if not length:
            return whole
        if len(data) < length + 2:
            raise Broken("a chunk is cut")
        whole, data = whole + data[:length], data[length + 2 :]


def upload(way, path, data, piece=10 * 327_680, item=None, **headers):
    """By an upload session, as a client does; the last answer."""
    session = way.json("POST", f"/me/drive/root:/{path}:/createUploadSession", {"item": item or {"@microsoft.graph.conflictBehavior": "replace"}}, **headers)
    for at in range(0, len(data), piece):
        part = data[at : at + piece]
        answer = fragment(way, session["uploadUrl"], part, at, len(data))
    return answer


def fragment(way, url, part, at, total, **headers):
    return way.ask("PUT", url, part, token=None, Content_Range=f"bytes {at}-{at + len(part) - 1}/{total}", **headers)
