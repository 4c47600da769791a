"""Each client does what people do with it, directly and through the gateway: a tree of awkward names and of all sizes
at boundaries, a second synchronisation that transfers nothing, ranges, an object in parts, copies, deletions."""

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from compare import deviates
from drivers import DRIVERS
from harness.material import LARGE, NAMES, Tree

PREFIX = "tree/"


@dataclass
class Material:
    tree: Tree
    # without the names that a URL-decoding changes
    plain: Tree
    large: Path


@pytest.fixture(scope="session")
def materials(run_folder, sealed_canary, clear_canary):
    """Made once, for each way with its canary."""
    made = {}
    plain = [name for name in NAMES if not {"%", "+"} & set(name)]
    for way, canary in (("gateway", sealed_canary), ("direct", clear_canary)):
        folder = run_folder / f"material-{way}"
        made[way] = Material(
            Tree(folder / "tree", canary, long_prefix=PREFIX),
            Tree(folder / "plain", canary, plain),
            folder / "large.bin",
        )
        made[way].large.write_bytes(canary.content(LARGE, "large"))
    return made


def encodes_listings(client, bucket):
    """Whether the store heeds `encoding-type=url`."""
    return client.list_objects_v2(Bucket=bucket, EncodingType="url").get("EncodingType") == "url"


@pytest.mark.parametrize("driver", DRIVERS, ids=lambda driver: driver.name)
def test_a_client_goes_on_working(way, driver, materials, tmp_path):
    way = way.virtual() if driver.virtual else way
    client = driver(way.endpoint, tmp_path)
    try:
        exercise(client, way, materials, tmp_path)
    finally:
        client.close()


def exercise(client, way, materials, tmp_path):
    bucket = way.bucket()
    tree, large = materials[way.name].tree, materials[way.name].large
    if client.decodes_listings and not encodes_listings(way.store_client, bucket):
        deviates(
            way.store, "does not heed encoding-type=url in listings: names with % and + are left out for", client.name
        )
        tree = materials[way.name].plain

    assert client.sync(tree.root, bucket, PREFIX) == len(tree.digests)
    assert client.sync(tree.root, bucket, PREFIX) == 0, "the second synchronisation transferred something"
    assert_listed(way, bucket, tree)
    client.download(bucket, PREFIX, tmp_path / "back")
    tree.same_as(tmp_path / "back")

    client.put(large, bucket, "large.bin")
    assert way.client.head_object(Bucket=bucket, Key="large.bin")["ContentLength"] == LARGE
    client.copy(bucket, "large.bin", "copies/a copy.bin")
    client.remove(bucket, "large.bin")
    client.get(bucket, "copies/a copy.bin", tmp_path / "copy.bin")
    assert digest(tmp_path / "copy.bin") == digest(large)
    if client.ranges:
        assert_ranges(client, bucket, "copies/a copy.bin", large.read_bytes())

    assert_same_tags(way.client, bucket)
    way.assert_sealed(bucket)

    client.clear(bucket, PREFIX)
    client.remove(bucket, "copies/a copy.bin")
    assert way.client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    way.client.delete_bucket(Bucket=bucket)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_listed(way, bucket, tree):
    """Names and sizes of the plaintext, in the order of keys."""
    entries = way.client.list_objects_v2(Bucket=bucket, Prefix=PREFIX)["Contents"]
    keys = [entry["Key"] for entry in entries]
    assert {entry["Key"].removeprefix(PREFIX): entry["Size"] for entry in entries} == tree.sizes()
    assert keys == sorted(keys, key=str.encode) or not way.through_gateway or way.store.name == "versitygw"


def assert_ranges(client, bucket, key, data):
    chance = random.Random(key)
    for _ in range(3):
        first = chance.randrange(len(data))
        last = min(len(data) - 1, first + chance.randrange(300_000))
        assert client.range(bucket, key, first, last) == data[first : last + 1]


def assert_same_tags(client, bucket):
    """An object has one entity tag, wherever it is shown."""
    for entry in client.list_objects_v2(Bucket=bucket)["Contents"]:
        head = client.head_object(Bucket=bucket, Key=entry["Key"])
        got = client.get_object(Bucket=bucket, Key=entry["Key"], Range="bytes=0-0") if entry["Size"] else head
        assert entry["ETag"] == head["ETag"] == got["ETag"], entry["Key"]
