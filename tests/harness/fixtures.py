"""Fixtures of every suite, and the process as all need it."""

import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from harness.servers import WORK, certificates

# variables that would change what the clients do
for name in list(os.environ):
    if name.startswith(("AWS_", "CURL_CA", "RCLONE_", "RESTIC_", "SSL_CERT_")):
        os.environ.pop(name)

resolve = socket.getaddrinfo


def local(host, *arguments, **settings):
    """Every name under `localhost` is this machine; not all systems know."""
    if isinstance(host, str) and host.endswith(".localhost"):
        host = "127.0.0.1"
    return resolve(host, *arguments, **settings)


socket.getaddrinfo = local


@pytest.fixture(scope="session")
def run_folder(request):
    """Of this run; stays when a test failed, with the servers' logs in it."""
    WORK.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{request.config.rootpath.name}-", dir=WORK))
    # a server may run as another user
    folder.chmod(0o755)
    yield folder
    if request.session.testsfailed:
        print(f"\nthe servers' logs are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def host_names():
    """That the servers' certificate names beside localhost; a suite may have its own."""
    return ()


@pytest.fixture(scope="session")
def tls(run_folder, host_names):
    folder = run_folder / "tls"
    folder.mkdir()
    certificates(folder, *host_names)
    return folder
