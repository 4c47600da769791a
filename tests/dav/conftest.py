"""WebDAV providers, and the gateway before them."""

import os
import shutil
import socket
import sys
import tempfile
import uuid
from pathlib import Path

import pytest

sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "clients"))

from material import Canary
from providers import PROVIDERS, Gate, Way
from servers import WORK, certificates


# variables that would change what the clients do
for name in [name for name in os.environ if name.startswith(("RCLONE_", "CURL_CA")) or name in ("SSL_CERT_FILE", "SSL_CERT_DIR")]:
    os.environ.pop(name)


resolve = socket.getaddrinfo


def local(host, *arguments, **settings):
    """Every name under `localhost` is this machine; not all systems know."""
    if isinstance(host, str) and host.endswith(".localhost"):
        host = "127.0.0.1"
    return resolve(host, *arguments, **settings)


socket.getaddrinfo = local


def pytest_addoption(parser):
    parser.addoption("--provider", choices=[*PROVIDERS], action="append", help="only this provider (may be repeated)")


def pytest_generate_tests(metafunc):
    if "provider" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("provider") or [*PROVIDERS]
        metafunc.parametrize("provider", chosen, indirect=True, scope="session")


@pytest.fixture(scope="session")
def run_folder(request):
    """Of this run; stays when a test failed, with the servers' logs in it."""
    WORK.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="dav-", dir=WORK))
    # a provider may run as another user
    folder.chmod(0o755)
    yield folder
    if request.session.testsfailed:
        print(f"\nthe servers' logs are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def tls(run_folder):
    folder = run_folder / "tls"
    folder.mkdir()
    certificates(folder)
    return folder


@pytest.fixture(scope="session")
def provider(request, run_folder, tls):
    provider = PROVIDERS[request.param](run_folder / request.param, tls)
    yield provider
    provider.stop()


@pytest.fixture(scope="session")
def plain_provider(provider, run_folder, tls):
    """The same without TLS, for clients that can't do it: servers take the URLs of such a client for another host's."""
    plain = type(provider)(run_folder / f"plain-{provider.name}", tls, plain=True)
    yield plain
    plain.stop()


@pytest.fixture(scope="session")
def gate(provider, run_folder):
    gate = Gate(run_folder / f"before-{provider.name}", provider)
    yield gate
    assert gate.stop() == 0, gate.server.output()


@pytest.fixture(scope="session")
def canary():
    """In everything that goes through the gateway."""
    return Canary("sealed")


@pytest.fixture(params=["direct", "gateway"])
def way(request, provider, gate):
    """Each test runs twice: against the provider directly, and through the gateway, in a directory of its own."""
    ends = {"direct": (provider.port, provider.ca), "gateway": (gate.port, gate.ca)}
    port, ca = ends[request.param]
    return Way(request.param, provider, port, ca, f"{request.param}-{uuid.uuid4().hex[:12]}")
