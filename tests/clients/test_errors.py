"""What is refused, with S3's own codes."""

import base64
import hashlib
import socket
import ssl
from dataclasses import replace

import pytest

import wire
from compare import code_of
from conftest import s3


@pytest.fixture
def bucket(through):
    return through.bucket()


def test_credentials(through, bucket):
    wrong = s3(replace(through.endpoint, secret_key="wrong"))
    assert code_of(wrong.list_objects_v2, Bucket=bucket) == "SignatureDoesNotMatch"
    assert code_of(wrong.put_object, Bucket=bucket, Key="a", Body=b"body") == "SignatureDoesNotMatch"
    unknown = s3(replace(through.endpoint, access_key="NOBODY"))
    assert code_of(unknown.list_objects_v2, Bucket=bucket) == "InvalidAccessKeyId"
    upstreams = s3(replace(through.store.endpoint, url=through.endpoint.url, ca=through.endpoint.ca))
    assert code_of(upstreams.list_objects_v2, Bucket=bucket) == "InvalidAccessKeyId"
    assert through.client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("seconds, code", [(-1_000, "RequestTimeTooSkewed"), (1_000, "RequestTimeTooSkewed"), (-800, ""), (800, "")])
def test_clocks(through, bucket, seconds, code):
    with wire.clock(seconds):
        answer = wire.send(through.endpoint, "GET", f"/{bucket}?list-type=2", payload=wire.EMPTY)
    assert wire.code(answer) == code


@pytest.mark.parametrize("method, target, code", [
    ("GET", "?unknown=1", "NotImplemented"), ("GET", "?list-type=2&unknown=1", "NotImplemented"), ("GET", "?website=", "AccessDenied"),
    ("PUT", "?replication=", "AccessDenied"), ("GET", "?inventory=", "AccessDenied"), ("POST", "?", "NotImplemented"),
    ("GET", "/a?torrent=", "AccessDenied"), ("POST", "/a?select=&select-type=2", "AccessDenied"), ("PATCH", "/a", "MethodNotAllowed"),
    ("PUT", "/a?partNumber=1", "NotImplemented"), ("GET", "/a?partNumber=x", "InvalidArgument"), ("PUT", "/a?renameObject=", "AccessDenied"),
])
def test_operations_that_are_not_served(through, bucket, method, target, code):
    answer = wire.send(through.endpoint, method, f"/{bucket}{target}", payload=wire.EMPTY)
    assert wire.code(answer) == code, answer.status


@pytest.mark.parametrize("name, value", [
    ("x-amz-server-side-encryption-customer-algorithm", "AES256"), ("x-amz-write-offset-bytes", "0"),
    ("x-amz-website-redirect-location", "/"), ("x-amz-mfa", "serial 123456"),
])
def test_fields_that_are_not_served(through, bucket, name, value):
    answer = wire.send(through.endpoint, "PUT", f"/{bucket}/a", {name: value}, b"body")
    assert (answer.status, wire.code(answer)) == (501, "NotImplemented")
    assert through.client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("document", [
    b"", b"<", b"<Delete>", b"<Other/>", b"<Delete><Object></Object></Delete>", b"\xff\xfe<Delete/>",
    b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><Delete><Object><Key>&x;</Key></Object></Delete>",
    b"<Delete>" + b"<Object><Key>a</Key></Object>" * 1_001 + b"</Delete>",
], ids=range(8))
def test_malformed_documents(through, bucket, document):
    md5 = base64.b64encode(hashlib.md5(document).digest()).decode()
    answer = wire.send(through.endpoint, "POST", f"/{bucket}?delete=", {"Content-MD5": md5}, document)
    assert answer.status == 400
    assert wire.code(answer) in ("MalformedXML", "MissingRequestBodyError", "UserKeyMustBeSpecified")


def talk(endpoint, request):
    """Raw bytes over TLS; all that comes back until the gateway closes or falls silent."""
    context = ssl.create_default_context(cafile=str(endpoint.ca))
    with socket.create_connection(("127.0.0.1", endpoint.port), 10) as plain, context.wrap_socket(plain, server_hostname="localhost") as tls:
        tls.sendall(request)
        tls.settimeout(10)
        came = b""
        while piece := tls.recv(65_536):
            came += piece
            if b"\r\n\r\n" in came and b"onnection: close" not in came:
                break
        return came


@pytest.mark.parametrize("request_head", [
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n",
    b"PUT /bucket/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"PUT /bucket/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"PUT /bucket/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n",
    b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GARBAGE\r\n\r\n",
], ids=range(9))
def test_ambiguous_requests_are_refused(gateway, request_head):
    answer = talk(gateway.endpoint, request_head)
    assert answer == b"" or int(answer.split()[1]) in (400, 403, 404, 405, 421, 501, 505), answer


def test_a_refusal_before_the_body_is_seen(through, bucket):
    """A client that waits for 100 is told no; one that sends at once is told no, too."""
    wrong = s3(replace(through.endpoint, secret_key="wrong"))
    assert code_of(wrong.put_object, Bucket=bucket, Key="a", Body=b"x" * 3_000_000) == "SignatureDoesNotMatch"
    answer = wire.send(through.endpoint, "PUT", f"/{bucket}/a", body=b"x" * 200_000, secret="wrong")
    assert answer.status == 403


def test_virtual_host_addresses(through):
    virtual = through.virtual()
    client = s3(virtual.endpoint, s3={"addressing_style": "virtual"})
    bucket = virtual.bucket()
    data = virtual.canary.content(80_000, "virtual")
    client.put_object(Bucket=bucket, Key="a/ü +.bin", Body=data)
    for by in (client, virtual.client):
        assert by.get_object(Bucket=bucket, Key="a/ü +.bin")["Body"].read() == data
        assert [entry["Key"] for entry in by.list_objects_v2(Bucket=bucket)["Contents"]] == ["a/ü +.bin"]
    virtual.assert_sealed(bucket)
