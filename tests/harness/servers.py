"""Processes that serve, each stopped by its own pid; certificates; the gateway in a directory of its own."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".work"


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


def certificates(folder, *names):
    """An authority, and one certificate for localhost and further names."""

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
        "/CN=CA of the tests",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    openssl("req", *curve, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    (folder / "server.ext").write_text(
        f"subjectAltName={','.join(f'DNS:{name}' for name in ('localhost', *names))}\n"
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


def furnish(home, port, services, authority=None):
    """A directory that `sceau init` made, for a gateway on the port with these services: {name of the file: text}. `authority`: of
    their servers, as `tls/upstream-ca.pem`."""
    init = [sceau(), "init", home, "--host", "localhost", "--bind", f"127.0.0.1:{port}"]
    subprocess.run(init, check=True, capture_output=True)
    for old in (home / "services.d").iterdir():
        old.unlink()
    for name, text in services.items():
        (home / "services.d" / name).write_text(text)
    if authority:
        shutil.copy(authority, home / "tls" / "upstream-ca.pem")
    return home
