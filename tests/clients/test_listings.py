"""Listings V1, V2 and of versions: sizes and tags of the plaintext, page by page, with prefixes and delimiters."""

import pytest
from botocore.exceptions import PaginationError

from compare import compare, deviates, status_of

KEYS = ["a", "b/1", "b/2", "b/c/3", "d e", "f+g", "h%20i", "ü", "z/&<>"]


@pytest.fixture(scope="session")
def listed(direct, through):
    """The same keys by both ways, in buckets that no test changes."""
    buckets = {}
    for way in (direct, through):
        buckets[way.name] = way.bucket()
        for number, key in enumerate(KEYS):
            way.client.put_object(Bucket=buckets[way.name], Key=key, Body=b"x" * number)
    return buckets


SIZES = {key: number for number, key in enumerate(KEYS)}


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2", "list_object_versions"])
@pytest.mark.parametrize("page", [1, 2, 1_000])
def test_every_page(direct, through, listed, operation, page):
    def entries(way):
        pages = way.client.get_paginator(operation).paginate(Bucket=listed[way.name], PaginationConfig={"PageSize": page})
        try:
            return [entry for part in pages for entry in part.get("Contents", []) + part.get("Versions", [])]
        except PaginationError:
            return []

    found = entries(through)
    sizes = [(entry["Key"], entry["Size"]) for entry in found]
    if sizes != [(key, SIZES[key]) for key in sorted(KEYS, key=str.encode)]:
        assert sizes == [(entry["Key"], entry["Size"]) for entry in entries(direct)]
        return deviates(direct.store, f"does not page {operation} as S3 does")
    for entry in found:
        assert entry["ETag"] == through.client.head_object(Bucket=listed["gateway"], Key=entry["Key"])["ETag"]


@pytest.mark.parametrize("settings", [
    {"Delimiter": "/"}, {"Prefix": "b/"}, {"Prefix": "b/", "Delimiter": "/"}, {"Prefix": "missing"}, {"EncodingType": "url"},
    {"Delimiter": "/", "MaxKeys": 2}, {"StartAfter": "b/2"}, {"FetchOwner": True}, {"MaxKeys": 0},
], ids=str)
def test_as_the_store_lists(direct, through, listed, settings):
    def steps(way, _):
        answer = way.client.list_objects_v2(Bucket=listed[way.name], **settings)
        entries = [(entry["Key"], entry["Size"], "Owner" in entry) for entry in answer.get("Contents", [])]
        prefixes = [entry["Prefix"] for entry in answer.get("CommonPrefixes", [])]
        return entries, prefixes, answer["KeyCount"], answer["IsTruncated"], answer.get("EncodingType")

    assert steps(through, None) == steps(direct, None)


def test_objects_that_were_written_around_the_gateway(through):
    """They are listed, since sizes alone prove nothing; they do not open."""
    bucket = through.bucket()
    through.store_client.put_object(Bucket=bucket, Key="alien", Body=b"plain")
    assert [entry["Key"] for entry in through.client.list_objects_v2(Bucket=bucket)["Contents"]] == ["alien"]
    assert status_of(through.client.get_object, Bucket=bucket, Key="alien") >= 500
    assert status_of(through.client.head_object, Bucket=bucket, Key="alien") >= 500


def test_buckets(direct, through):
    def steps(way, bucket):
        names = [entry["Name"] for entry in way.client.list_buckets()["Buckets"]]
        way.client.head_bucket(Bucket=bucket)
        way.client.get_bucket_location(Bucket=bucket)
        way.client.delete_bucket(Bucket=bucket)
        return bucket in names, bucket in [entry["Name"] for entry in way.client.list_buckets()["Buckets"]]

    compare(direct, through, steps, (True, False))
