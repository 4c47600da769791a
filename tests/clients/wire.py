"""Requests below the level of a client library: signed by botocore, framed by us, answers as they come."""

import contextlib
import datetime
import hashlib
from urllib.parse import urlsplit

import botocore.auth
import botocore.crt.auth
import urllib3
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from stores import REGION

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@contextlib.contextmanager
def clock(seconds):
    """Signatures made inside are dated so many seconds from now."""
    real = botocore.auth.get_current_datetime

    def shifted(*arguments, **settings):
        return real(*arguments, **settings) + datetime.timedelta(seconds=seconds)

    # with awscrt installed botocore signs by that
    for signing in (botocore.auth, botocore.crt.auth):
        signing.get_current_datetime = shifted
    try:
        yield
    finally:
        for signing in (botocore.auth, botocore.crt.auth):
            signing.get_current_datetime = real


def pool(endpoint):
    host = urlsplit(endpoint.url)
    return urllib3.HTTPSConnectionPool(host.hostname, host.port, ca_certs=str(endpoint.ca), retries=False, timeout=30)


class Signer(botocore.auth.S3SigV4Auth):
    """Signs the payload's hash that it is told."""

    def __init__(self, payload, *arguments):
        super().__init__(*arguments)
        self.told = payload

    def payload(self, request):
        return self.told


def signed(endpoint, method, target, headers, payload, secret=None, region=REGION):
    """A request with its signature in the head, and what signed it."""
    request = AWSRequest(method, endpoint.url + target, headers=headers)
    signer = Signer(payload, Credentials(endpoint.access_key, secret or endpoint.secret_key), "s3", region)
    signer.add_auth(request)
    return request, signer


def send(endpoint, method, target, headers=None, body=b"", payload="UNSIGNED-PAYLOAD", **signing):
    """A signed request. `target` is the path with its query, sent as it stands."""
    request, _ = signed(endpoint, method, target, headers or {}, payload, **signing)
    return plain(endpoint, method, target, dict(request.headers.items()), body)


def signature(request):
    return request.headers["Authorization"].rpartition("Signature=")[2]


def chunk_signature(request, signer, previous, piece):
    """The signature of a chunk that follows the one with the signature `previous`."""
    parts = [
        "AWS4-HMAC-SHA256-PAYLOAD",
        request.context["timestamp"],
        signer.credential_scope(request),
        previous,
        EMPTY,
        hashlib.sha256(piece).hexdigest(),
    ]
    return signer.signature("\n".join(parts), request)


def plain(endpoint, method, target, headers=None, body=b""):
    """A request as it stands; the answer's body is read by whoever looks at it."""
    return pool(endpoint).urlopen(method, target, headers=headers, body=body, preload_content=False, redirect=False)


def read(answer):
    """The bytes that came, and the error that they ended with, if any."""
    came = bytearray()
    try:
        for piece in answer.stream(1 << 16, decode_content=False):
            came += piece
    except urllib3.exceptions.HTTPError as error:
        return bytes(came), error
    return bytes(came), None


def code(answer):
    """S3's code in an answer's document."""
    document = answer.read().decode()
    return document.partition("<Code>")[2].partition("</Code>")[0]


def chunked(pieces, trailers):
    """aws-chunked without signatures."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return body + b"0\r\n" + b"".join(f"{name}:{value}\r\n".encode() for name, value in trailers.items()) + b"\r\n"
