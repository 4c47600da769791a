"""Every checksum that a client can send is verified over what it sent, before anything is stored, and given back."""

import base64
import hashlib

import pytest
from awscrt import checksums

import wire
from compare import code_of, status_of

DATA = b"123456789" * 30_000
VALUES = {
    "CRC32": lambda data: checksums.crc32(data).to_bytes(4, "big"),
    "CRC32C": lambda data: checksums.crc32c(data).to_bytes(4, "big"),
    "CRC64NVME": lambda data: checksums.crc64nvme(data).to_bytes(8, "big"),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}


def value(algorithm, data=DATA):
    return base64.b64encode(VALUES[algorithm](data)).decode()


@pytest.fixture
def bucket(through):
    return through.bucket()


def assert_absent(through, bucket, key):
    assert status_of(through.store_client.head_object, Bucket=bucket, Key=key) == 404, "something was stored"


@pytest.mark.parametrize("algorithm", VALUES)
@pytest.mark.parametrize("place", ["header", "trailer"])
def test_a_checksum_is_given_back(through, bucket, algorithm, place):
    field = f"Checksum{algorithm}"
    sent = {field: value(algorithm)} if place == "header" else {"ChecksumAlgorithm": algorithm}
    stored = through.client.put_object(Bucket=bucket, Key="a", Body=DATA, **sent)
    assert stored[field] == value(algorithm)
    head = through.client.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert (head[field], head["ChecksumType"]) == (value(algorithm), "FULL_OBJECT")
    got = through.client.get_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert got["Body"].read() == DATA
    assert got.get(field, value(algorithm)) == value(algorithm)
    attributes = through.client.get_object_attributes(Bucket=bucket, Key="a", ObjectAttributes=["Checksum", "ObjectSize"])
    assert attributes["Checksum"][field] == value(algorithm)
    assert attributes["ObjectSize"] == len(DATA)


@pytest.mark.parametrize("algorithm", VALUES)
def test_a_wrong_checksum_in_the_head_is_refused(through, bucket, algorithm):
    wrong = {f"Checksum{algorithm}": value(algorithm, b"other")}
    assert code_of(through.client.put_object, Bucket=bucket, Key="a", Body=DATA, **wrong) == "BadDigest"
    assert_absent(through, bucket, "a")


def put_chunked(way, bucket, trailer, body, length=len(DATA), more=None):
    headers = {"Content-Encoding": "aws-chunked", "x-amz-decoded-content-length": str(length), "x-amz-trailer": trailer}
    target = f"/{bucket}/a"
    answer = wire.send(
        way.endpoint, "PUT", target, {**headers, **(more or {})}, body, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    )
    return answer


@pytest.mark.parametrize("algorithm", VALUES)
def test_a_wrong_checksum_in_the_trailer_is_refused(through, bucket, algorithm):
    name = f"x-amz-checksum-{algorithm.lower()}"
    answer = put_chunked(through, bucket, name, wire.chunked([DATA], {name: value(algorithm, b"other")}))
    assert (answer.status, wire.code(answer)) == (400, "BadDigest")
    assert_absent(through, bucket, "a")
    answer = put_chunked(through, bucket, name, wire.chunked([DATA], {name: value(algorithm)}))
    assert answer.status == 200, wire.code(answer)


@pytest.mark.parametrize("fault, body, length", [
    ("a trailer that was announced and is absent", wire.chunked([DATA], {}), len(DATA)),
    ("another trailer than was announced", wire.chunked([DATA], {"x-amz-checksum-sha1": value("SHA1")}), len(DATA)),
    ("fewer bytes than declared", wire.chunked([DATA], {"x-amz-checksum-crc32": value("CRC32")}), len(DATA) + 1),
    ("more bytes than declared", wire.chunked([DATA], {"x-amz-checksum-crc32": value("CRC32")}), len(DATA) - 1),
    ("no end", wire.chunked([DATA], {})[:-5], len(DATA)),
    ("a length that is no number", b"zz\r\n" + DATA + b"\r\n0\r\n\r\n", len(DATA)),
    ("a length that overflows", b"ffffffffffffffffff\r\n" + DATA + b"\r\n0\r\n\r\n", len(DATA)),
], ids=lambda part: part.replace(" ", "-") if isinstance(part, str) else "")
def test_faulty_framing_is_refused(through, bucket, fault, body, length):
    answer = put_chunked(through, bucket, "x-amz-checksum-crc32", body, length)
    assert answer.status == 400, fault
    assert_absent(through, bucket, "a")


def test_content_md5(through, bucket):
    digest = base64.b64encode(hashlib.md5(DATA).digest()).decode()
    through.client.put_object(Bucket=bucket, Key="good", Body=DATA, ContentMD5=digest)
    other = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    assert code_of(through.client.put_object, Bucket=bucket, Key="a", Body=DATA, ContentMD5=other) == "BadDigest"
    assert code_of(through.client.put_object, Bucket=bucket, Key="a", Body=DATA, ContentMD5="short") == "InvalidDigest"
    assert_absent(through, bucket, "a")


def test_the_hash_that_is_signed_is_verified(through, bucket):
    good, bad = hashlib.sha256(DATA).hexdigest(), hashlib.sha256(b"other").hexdigest()
    answer = wire.send(through.endpoint, "PUT", f"/{bucket}/a", body=DATA, payload=bad)
    assert (answer.status, wire.code(answer)) == (400, "XAmzContentSHA256Mismatch")
    assert_absent(through, bucket, "a")
    answer = wire.send(through.endpoint, "PUT", f"/{bucket}/a", body=DATA, payload=good)
    assert answer.status == 200, wire.code(answer)


def test_an_unknown_checksum_is_not_taken_for_none(through, bucket):
    answer = wire.send(through.endpoint, "PUT", f"/{bucket}/a", {"x-amz-checksum-xxhash64": "AAAAAAAAAAA="}, DATA)
    assert answer.status in (400, 501)
    assert_absent(through, bucket, "a")


def test_signed_chunks(through, bucket):
    """Each chunk carries a signature that follows from the one before; a changed chunk ends the chain."""
    for fault, status in ((None, 200), ("data", 403), ("order", 403)):
        pieces = [DATA[:131_072], DATA[131_072:], b""]
        request, body = signed_chunks(through, f"/{bucket}/{fault}", pieces, fault)
        answer = wire.plain(through.endpoint, "PUT", f"/{bucket}/{fault}", request, body)
        assert answer.status == status, (fault, answer.read())
        if fault:
            assert wire.code(answer) == "SignatureDoesNotMatch"
            assert_absent(through, bucket, fault)
    assert through.client.get_object(Bucket=bucket, Key="None")["Body"].read() == DATA


def signed_chunks(way, target, pieces, fault):
    # a chunk: its length in hexadecimal, `;chunk-signature=` and 64 digits, two line ends
    length = sum(len(piece) + len(f"{len(piece):x}") + 17 + 64 + 4 for piece in pieces)
    headers = {
        "Content-Encoding": "aws-chunked", "x-amz-decoded-content-length": str(sum(map(len, pieces))), "Content-Length": str(length),
    }
    request, signer = wire.signed(way.endpoint, "PUT", target, headers, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
    previous = wire.signature(request)
    framed = []
    for piece in pieces:
        previous = wire.chunk_signature(request, signer, previous, piece)
        framed.append(b"%x;chunk-signature=%s\r\n" % (len(piece), previous.encode()) + piece + b"\r\n")
    if fault == "data":
        framed[1] = framed[1][:-3] + b"!\r\n"
    if fault == "order":
        framed[0], framed[1] = framed[1], framed[0]
    return dict(request.headers.items()), b"".join(framed)
