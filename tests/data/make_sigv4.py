"""Writes sigv4.json: requests signed by botocore, with fixed keys and dates. Run with botocore installed."""
import datetime
import hashlib
import hmac
import json
import os
import sys

import botocore
import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ACCESS, SECRET, REGION = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"
NOW = datetime.datetime(2026, 11, 24, 8, 42, 48, tzinfo=datetime.timezone.utc)


def freeze():
    if hasattr(botocore.auth, "get_current_datetime"):
        botocore.auth.get_current_datetime = lambda remove_tzinfo=True: NOW.replace(tzinfo=None) if remove_tzinfo else NOW
    else:
        class Frozen(datetime.datetime):
            @classmethod
            def utcnow(cls):
                return NOW.replace(tzinfo=None)
        botocore.auth.datetime.datetime = Frozen


REQUESTS = [
    ("GET", "https://s3.example.fr/bucket/key", {}, b""),
    ("GET", "https://s3.example.fr:8443/bucket?list-type=2&prefix=a%2Fb&delimiter=%2F&max-keys=10", {}, b""),
    ("GET", "https://s3.example.fr/bucket?uploads", {}, b""),
    ("PUT", "https://bucket.s3.example.fr/a%20b%2Bc//%E2%82%AC/../%25", {"Content-Type": "text/plain", "x-amz-meta-a": "  two   spaces "}, b"hello"),
    ("PUT", "https://s3.example.fr/bucket/k?partNumber=3&uploadId=VX.-_~x%3D%3D", {"Content-MD5": "XUFAKrxLKna5cZ2REBfFkg=="}, b"hello"),
    ("DELETE", "https://s3.example.fr/bucket/k?versionId=a%20b&x-id=DeleteObject", {}, b""),
    ("HEAD", "https://s3.example.fr/bucket/~tilde_-.", {"Range": "bytes=0-9"}, b""),
    ("POST", "https://s3.example.fr/bucket?delete", {"Content-Type": "application/xml", "x-amz-checksum-crc32": "AAAAAA=="}, b"<Delete/>"),
]


def case(kind, request):
    return {
        "kind": kind,
        "method": request.method,
        "url": request.url,
        "headers": [[str(k), v.decode() if isinstance(v, bytes) else str(v)] for k, v in request.headers.items()],
    }


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def chunked(trailer):
    """Chunk signatures are beyond botocore; computed here from AWS's description."""
    form = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
    headers = {"x-amz-content-sha256": form, "x-amz-decoded-content-length": "66560", "Content-Encoding": "aws-chunked"}
    if trailer:
        headers["x-amz-trailer"] = "x-amz-checksum-crc32c"
    request = AWSRequest("PUT", "https://s3.example.fr/bucket/chunked", headers=headers, data=b"")
    signer = botocore.auth.S3SigV4Auth(Credentials(ACCESS, SECRET), "s3", REGION)
    signer.payload = lambda _request: form
    signer.add_auth(request)
    previous = request.headers["Authorization"].rsplit("Signature=", 1)[1]
    date = request.headers["X-Amz-Date"]
    scope = f"{date[:8]}/{REGION}/s3/aws4_request"
    key = ("AWS4" + SECRET).encode()
    for step in (date[:8], REGION, "s3", "aws4_request"):
        key = mac(key, step)
    empty = hashlib.sha256(b"").hexdigest()
    body = b""
    for chunk in (b"a" * 65536, b"a" * 1024, b""):
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", date, scope, previous, empty, hashlib.sha256(chunk).hexdigest()])
        previous = mac(key, text).hex()
        body += b"%x;chunk-signature=%s\r\n" % (len(chunk), previous.encode()) + chunk + (b"\r\n" if chunk or not trailer else b"")
    if trailer:
        line = "x-amz-checksum-crc32c:sOO8/Q=="
        text = "\n".join(["AWS4-HMAC-SHA256-TRAILER", date, scope, previous, hashlib.sha256((line + "\n").encode()).hexdigest()])
        body += f"{line}\r\nx-amz-trailer-signature:{mac(key, text).hex()}\r\n\r\n".encode()
    found = case("chunked-trailer" if trailer else "chunked", request)
    found["body"] = body.decode()
    return found


def form():
    request = AWSRequest("POST", "https://s3.example.fr/bucket")
    fields = {"key": "user/photo.jpg", "acl": "private"}
    request.context["s3-presign-post-fields"] = fields
    request.context["s3-presign-post-policy"] = {
        "expiration": "2026-11-24T09:42:48Z",
        "conditions": [{"bucket": "bucket"}, ["starts-with", "$key", "user/"], {"acl": "private"}, ["content-length-range", 1, 1048576]],
    }
    botocore.auth.S3SigV4PostAuth(Credentials(ACCESS, SECRET), "s3", REGION).add_auth(request)
    return {"kind": "form", "method": "POST", "url": request.url, "headers": [], "fields": list(map(list, fields.items()))}


def main():
    freeze()
    credentials = Credentials(ACCESS, SECRET)
    cases = []
    for method, url, headers, body in REQUESTS:
        request = AWSRequest(method, url, headers=headers, data=body)
        botocore.auth.S3SigV4Auth(credentials, "s3", REGION).add_auth(request)
        cases.append(case("header", request))
        request = AWSRequest(method, url, headers={k: v for k, v in headers.items() if k == "Range"})
        botocore.auth.S3SigV4QueryAuth(credentials, "s3", REGION, expires=3600).add_auth(request)
        cases.append(case("presigned", request))
    cases += [chunked(False), chunked(True), form()]
    out = {"source": f"botocore {botocore.__version__}", "access_key": ACCESS, "secret_key": SECRET, "region": REGION, "unix": int(NOW.timestamp()), "cases": cases}
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "sigv4.json"), "w") as file:
        json.dump(out, file, indent=1)
        file.write("\n")
    print(len(cases), "cases", file=sys.stderr)


main()
