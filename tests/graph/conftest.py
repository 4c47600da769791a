"""The simulated cloud, and the way to it that `--through` names."""

import os
import uuid

import pytest

from cloud import FRONTED, HOSTS, LOGIN, Cloud, Gate, Way
from harness.material import Canary
from recorder import Recorder

pytest_plugins = ["harness.fixtures"]

# variables that would change what the clients do
CHANGING = ("RCLONE_", "CURL_", "SSL_CERT", "REQUESTS_", "NODE_EXTRA", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "AZURE_")
for name in [name for name in os.environ if name.upper().startswith(CHANGING)]:
    os.environ.pop(name)


def pytest_addoption(parser):
    parser.addoption("--through", choices=["direct", "gateway"], default="direct", help="the way from the clients to the cloud")


@pytest.fixture(scope="session")
def host_names():
    return HOSTS


@pytest.fixture(scope="session")
def shared_cloud(run_folder, tls):
    cloud = Cloud(run_folder / "cloud", tls)
    yield cloud
    cloud.stop()


@pytest.fixture
def cloud(shared_cloud):
    """With the switches as they are at the start, and no fault; what no correct client sends fails the test."""
    shared_cloud.reset()
    before = len(shared_cloud.violations())
    yield shared_cloud
    shared_cloud.reset()
    assert shared_cloud.violations()[before:] == []


@pytest.fixture
def lenient_cloud(shared_cloud):
    """For tests that send what no correct client sends."""
    shared_cloud.reset()
    yield shared_cloud
    shared_cloud.reset()


@pytest.fixture(scope="session")
def shared_direct(shared_cloud):
    way = Way("direct", shared_cloud, shared_cloud.port, shared_cloud.ca)
    yield way
    way.close()


@pytest.fixture
def direct(shared_direct, lenient_cloud):
    """Always the simulator itself."""
    return shared_direct


@pytest.fixture(scope="session")
def shared_way(request, run_folder, tls, shared_cloud, shared_direct):
    if request.config.getoption("--through") == "direct":
        return shared_direct
    gate = Gate(run_folder / "gate", shared_cloud)
    recorder = Recorder(gate.port, gate.ca, tls)
    way = Way("gateway", shared_cloud, recorder.port, shared_cloud.ca, recorder)
    request.addfinalizer(gate.stop)
    request.addfinalizer(recorder.close)
    request.addfinalizer(way.close)
    return way


@pytest.fixture
def way(shared_way, cloud):
    """The way that the clients take in this run."""
    if shared_way.recorder:
        shared_way.recorder.clear()
    return shared_way


@pytest.fixture
def fronted(way):
    """Every address in an answer that the test's clients were given leads to a host that the gateway stands before."""
    yield
    if way.recorder:
        hosts = way.recorder.hosts()
        assert hosts, "no answer leads anywhere, which no client would be content with"
        # where people sign in again, and where a message's `webUrl` shows it to them; neither serves anything that is sealed
        assert hosts - {LOGIN, "teams.microsoft.com"} <= set(FRONTED)


@pytest.fixture(scope="session")
def canary():
    """In everything that the clients store."""
    return Canary("graph")


@pytest.fixture
def place():
    """A folder of the test's own."""
    return f"test-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def kept(way, canary):
    """Called when all was stored: through the gateway the provider holds none of it, directly the same search finds it."""

    def check(size=None):
        """`size`: of what was stored; the canary does not fit into all."""
        found = canary.files_with(way.cloud.data)
        if way.through_gateway:
            assert not found, f"plaintext at the provider: {found[:5]}"
        elif size is None or size > 1_000:
            assert found, "the search for plaintext finds none where there is some"

    return check
