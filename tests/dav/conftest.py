"""WebDAV providers, and the gateway before them."""

import uuid

import pytest

from harness.material import Canary
from providers import PROVIDERS, Gate, Way

pytest_plugins = ["harness.fixtures"]


def pytest_addoption(parser):
    parser.addoption("--provider", choices=[*PROVIDERS], action="append", help="only this provider (may be repeated)")


def pytest_generate_tests(metafunc):
    if "provider" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("provider") or [*PROVIDERS]
        metafunc.parametrize("provider", chosen, indirect=True, scope="session")


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
