"""What the JavaScript SDK does otherwise than the rest: metadata of an object, and addresses signed in advance."""

import base64
import hashlib

import pytest

from compare import deviates
from drivers import JavaScript


@pytest.fixture
def javascript(way, tmp_path):
    return JavaScript(way.endpoint, tmp_path)


def test_metadata_and_a_checksum_come_back(way, javascript):
    bucket = way.bucket()
    assert javascript.run("metadata", bucket, "a") == {
        "ContentType": "text/x-test",
        "ContentDisposition": 'attachment; filename="a b.txt"',
        "CacheControl": "max-age=7",
        "Metadata": {"colour": "blue"},
        "ContentLength": 13,
        "ChecksumSHA256": base64.b64encode(hashlib.sha256(b"with metadata").digest()).decode(),
    }


def test_presigned_addresses_work(way, javascript):
    found = javascript.run("presigned", way.bucket(), "a key/with spaces", "WHEN_REQUIRED")
    assert found == {"put": 200, "get": 200, "same": True}


def test_a_presigned_address_with_the_checksum_of_nothing_takes_nothing_else(way, javascript):
    found = javascript.run("presigned", way.bucket(), "a", "WHEN_SUPPORTED")
    if not way.through_gateway and found["put"] == 200:
        return deviates(way.store, "does not verify a checksum that stands in the query")
    assert found == {"put": 400, "get": 404, "same": False}
