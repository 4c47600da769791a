"""Stores, the gateway before them, and buckets at both."""

import os
import uuid

import boto3
import pytest
from botocore.config import Config

from compare import DEVIATIONS
from harness.material import Canary
from stores import REGION, STORES, VIRTUAL, Gateway

pytest_plugins = ["harness.fixtures"]
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


def pytest_addoption(parser):
    parser.addoption("--store", choices=[*STORES], action="append", help="only this store (may be repeated)")


def pytest_generate_tests(metafunc):
    if "store" in metafunc.fixturenames:
        metafunc.parametrize("store", metafunc.config.getoption("store") or [*STORES], indirect=True, scope="session")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What is marked `last` comes after the others; pytest then groups by store."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


def pytest_terminal_summary(terminalreporter):
    if DEVIATIONS:
        terminalreporter.section("what the stores do otherwise than S3, without the gateway too")
        for deviation in DEVIATIONS:
            terminalreporter.line(deviation)


@pytest.fixture(scope="session")
def host_names():
    return VIRTUAL, f"*.{VIRTUAL}"


@pytest.fixture(scope="session")
def store(request, run_folder, tls):
    store = STORES[request.param](run_folder / request.param, tls)
    yield store
    store.stop()


@pytest.fixture(scope="session")
def gateway(store, run_folder):
    gateway = Gateway(run_folder / f"before-{store.name}", store).start()
    yield gateway
    assert gateway.stop() == 0, gateway.server.output()


@pytest.fixture(scope="session")
def sealed_canary():
    """In everything that goes through the gateway."""
    return Canary("sealed")


@pytest.fixture(scope="session")
def clear_canary():
    """In everything that goes to a store directly: what finds it would find the other, too."""
    return Canary("clear")


class Way:
    """One way to a store: directly, or through the gateway. `store_client` sees what the provider sees."""

    def __init__(self, name, store, endpoint, canary):
        self.name, self.store, self.endpoint, self.canary = name, store, endpoint, canary
        self.through_gateway = name == "gateway"
        self.client = s3(endpoint)
        self.store_client = s3(store.endpoint)

    def virtual(self):
        """The same by the name before which buckets stand: another of the gateway's services."""
        return Way(self.name, self.store, self.endpoint.virtual(), self.canary)

    def bucket(self, **settings):
        name = f"{self.name}-{uuid.uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=name, **settings)
        return name

    def provider_holds(self, bucket):
        """What the provider's own API gives: {key: (head, bytes)}."""
        held = {}
        for page in self.store_client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for entry in page.get("Contents", []):
                answer = self.store_client.get_object(Bucket=bucket, Key=entry["Key"])
                held[entry["Key"]] = (answer, answer["Body"].read())
        return held

    def assert_sealed(self, bucket):
        """Nothing that the provider holds of the bucket has the canary in it. Directly it does: the search works."""
        held = self.provider_holds(bucket)
        assert held, "nothing was stored"
        found = [
            key
            for key, (answer, data) in held.items()
            if self.canary.found_in(data) or self.canary.found_in(repr(answer).encode())
        ]
        if self.through_gateway:
            assert not found, f"plaintext at the provider: {found}"
        else:
            assert found, "the search for plaintext finds none where there is some"


def s3(endpoint, **settings):
    """A boto3 client that fails at once instead of retrying."""
    settings = {
        "retries": {"max_attempts": 0, "mode": "standard"},
        "connect_timeout": 5,
        "read_timeout": 60,
        "signature_version": "s3v4",
        **settings,
    }
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint.url,
        aws_access_key_id=endpoint.access_key,
        aws_secret_access_key=endpoint.secret_key,
        region_name=REGION,
        verify=str(endpoint.ca),
        config=Config(**settings),
    )


@pytest.fixture(scope="session")
def direct(store, clear_canary):
    return Way("direct", store, store.endpoint, clear_canary)


@pytest.fixture(scope="session")
def through(store, gateway, sealed_canary):
    return Way("gateway", store, gateway.endpoint, sealed_canary)


@pytest.fixture(scope="session")
def strict(store, gateway, sealed_canary):
    """Another tenant's service, whose policy lets nothing pass in clear."""
    return Way("gateway", store, gateway.at("strict.localhost"), sealed_canary)


@pytest.fixture(scope="session")
def md5_tags(store, gateway, sealed_canary):
    """A service that shows a verified MD5 as the entity tag."""
    return Way("gateway", store, gateway.at("md5.localhost"), sealed_canary)


@pytest.fixture(params=["direct", "gateway"])
def way(request, store):
    return request.getfixturevalue({"direct": "direct", "gateway": "through"}[request.param])
