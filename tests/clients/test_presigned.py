"""Requests that carry their authority in the address, or in the fields of a form."""

from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

import wire
from compare import status_of


@pytest.fixture
def bucket(through):
    return through.bucket()


def address(way, operation, seconds=60, **settings):
    return way.client.generate_presigned_url(operation, Params=settings, ExpiresIn=seconds)


def fetch(way, method, url, headers=None, body=None):
    target = url.removeprefix(way.endpoint.url)
    assert target.startswith("/")
    return wire.plain(way.endpoint, method, target, headers, body)


def test_put_get_and_head(through, bucket):
    place = {"Bucket": bucket, "Key": "a key/with +%.txt"}
    data = through.canary.content(70_000, "presigned")
    assert fetch(through, "PUT", address(through, "put_object", **place), body=data).status == 200
    answer = fetch(through, "GET", address(through, "get_object", **place))
    assert (answer.status, answer.read()) == (200, data)
    answer = fetch(through, "HEAD", address(through, "head_object", **place))
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(data)))
    answer = fetch(through, "GET", address(through, "get_object", **place), {"Range": "bytes=7-9"})
    assert (answer.status, answer.read()) == (206, data[7:10])
    assert fetch(through, "DELETE", address(through, "delete_object", **place)).status == 204
    assert status_of(through.client.head_object, **place) == 404


def test_metadata_in_the_address_is_sealed(through, bucket):
    """SDKs move such fields from the head into the query; what stays signed in the head must come in the head."""
    canary = through.canary.text.decode()
    url = address(through, "put_object", Bucket=bucket, Key="a", Metadata={"secret": canary})
    signed = parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"][0].split(";")
    head = {"x-amz-meta-secret": canary} if "x-amz-meta-secret" in signed else {}
    assert fetch(through, "PUT", url, head, b"body").status == 200
    assert through.client.head_object(Bucket=bucket, Key="a")["Metadata"] == {"secret": canary}
    through.assert_sealed(bucket)


def test_what_is_expired_or_changed_is_refused(through, bucket):
    place = {"Bucket": bucket, "Key": "a"}
    through.client.put_object(**place, Body=b"body")
    with wire.clock(-120):
        expired = address(through, "get_object", **place)
    with wire.clock(1_200):
        early = address(through, "get_object", **place)
    good = address(through, "get_object", **place)
    assert fetch(through, "GET", good).status == 200
    for why, method, url in [
        ("expired", "GET", expired), ("not yet valid", "GET", early), ("method", "PUT", good), ("key", "GET", good.replace("/a?", "/b?")),
        ("signature", "GET", good[:-1] + ("0" if good[-1] != "0" else "1")), ("query", "GET", good + "&versionId=x"),
        ("expiry", "GET", good.replace("X-Amz-Expires=60", "X-Amz-Expires=600")),
        ("too long", "GET", address(through, "get_object", 604_801, **place)),
        ("nothing", "GET", f"{through.endpoint.url}/{bucket}/a"),
    ]:
        answer = fetch(through, method, url, body=b"" if method == "PUT" else None)
        assert answer.status in (400, 403), why
        assert b"body" != answer.read()


def form(way, post, data, name="picture.png", extra=None, drop=()):
    fields = {key: value for key, value in post["fields"].items() if key not in drop} | (extra or {})
    body, kind = urllib3.encode_multipart_formdata([*fields.items(), ("file", (name, data, "image/png"))])
    target = post["url"].removeprefix(way.endpoint.url)
    return wire.plain(way.endpoint, "POST", target, {"Content-Type": kind}, body)


def test_a_form_uploads(through, bucket):
    data = through.canary.content(300_000, "form")
    post = through.client.generate_presigned_post(
        bucket, "uploads/${filename}", {"Content-Type": "image/png", "x-amz-meta-secret": through.canary.text.decode()},
        [["starts-with", "$key", "uploads/"], {"Content-Type": "image/png"}, ["content-length-range", 300_000, 300_000],
         ["starts-with", "$x-amz-meta-secret", ""]],
    )
    answer = form(through, post, data)
    assert answer.status in (200, 201, 204), answer.read()
    got = through.client.get_object(Bucket=bucket, Key="uploads/picture.png")
    assert (got["ContentType"], got["Metadata"]) == ("image/png", {"secret": through.canary.text.decode()})
    assert got["Body"].read() == data
    through.assert_sealed(bucket)


def test_a_form_that_breaks_its_policy_stores_nothing(through, bucket):
    post = through.client.generate_presigned_post(
        bucket, "a", {"success_action_status": "201"}, [["content-length-range", 1, 10], {"success_action_status": "201"}],
    )
    assert form(through, post, b"x" * 11).status == 400
    assert form(through, post, b"").status == 400
    assert form(through, post, b"fits", extra={"key": "b"}).status == 403
    assert form(through, post, b"fits", extra={"acl": "public-read"}).status == 403
    assert form(through, post, b"fits", drop=("success_action_status",)).status == 403
    assert form(through, post, b"fits", extra={"x-amz-signature": "0" * 64}).status == 403
    assert form(through, post, b"fits", drop=("policy",)).status in (400, 403)
    assert through.client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    old = through.client.generate_presigned_post(bucket, "a", ExpiresIn=-60)
    assert form(through, old, b"fits").status == 403
    assert through.client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert form(through, post, b"fits").status == 201
