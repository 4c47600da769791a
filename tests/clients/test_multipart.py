"""Multipart uploads: in any order, of any sizes, interrupted, resumed, retried, copied from elsewhere."""

import base64
import hashlib

import pytest

from compare import code_of, compare
from harness.material import MIB

FIRST, SECOND, LAST = 5 * MIB + 123, 6 * MIB + 1, 1_234_567


class Upload:
    """One upload and the parts that it was given."""

    def __init__(self, way, bucket, key="object.bin", **settings):
        self.client, self.place = way.client, {"Bucket": bucket, "Key": key}
        self.id = self.client.create_multipart_upload(**self.place, **settings)["UploadId"]
        self.place["UploadId"] = self.id
        self.parts = {}

    def part(self, number, data, **settings):
        answer = self.client.upload_part(**self.place, PartNumber=number, Body=data, **settings)
        self.parts[number] = {"PartNumber": number, "ETag": answer["ETag"]}
        return answer

    def listed(self, **settings):
        return self.client.list_parts(**self.place, **settings)

    def complete(self, numbers=None, **settings):
        chosen = [self.parts[number] for number in (numbers or sorted(self.parts))]
        return self.client.complete_multipart_upload(**self.place, MultipartUpload={"Parts": chosen}, **settings)

    def abort(self):
        self.client.abort_multipart_upload(**self.place)


@pytest.fixture
def bucket(through):
    return through.bucket()


@pytest.fixture(scope="session")
def data(sealed_canary):
    return (
        sealed_canary.content(FIRST, "first"),
        sealed_canary.content(SECOND, "second"),
        sealed_canary.content(LAST, "last"),
    )


def stored(through, bucket, key="object.bin"):
    return through.client.get_object(Bucket=bucket, Key=key)["Body"].read()


def test_parts_come_in_any_order_and_of_any_size(through, bucket, data):
    upload = Upload(through, bucket)
    for number in (7, 2, 5):
        upload.part(number, data[(2, 5, 7).index(number)])
    result = upload.complete()
    assert stored(through, bucket) == b"".join(data)
    head = through.client.head_object(Bucket=bucket, Key="object.bin")
    entry = through.client.list_objects_v2(Bucket=bucket)["Contents"][0]
    assert result["ETag"] == head["ETag"] == entry["ETag"]
    assert head["ContentLength"] == entry["Size"] == FIRST + SECOND + LAST
    through.assert_sealed(bucket)


def test_the_tag_is_s3s_own_when_every_part_had_a_verified_md5(through, bucket, data):
    upload = Upload(through, bucket)
    for number, part in enumerate(data, 1):
        upload.part(number, part, ContentMD5=base64.b64encode(hashlib.md5(part).digest()).decode())
    digests = b"".join(hashlib.md5(part).digest() for part in data)
    expected = f'"{hashlib.md5(digests).hexdigest()}-3"'
    assert [part["ETag"].strip('"') for part in upload.listed()["Parts"]] == [
        hashlib.md5(part).hexdigest() for part in data
    ]
    assert upload.complete()["ETag"] == expected
    assert through.client.head_object(Bucket=bucket, Key="object.bin")["ETag"] == expected
    assert through.client.list_objects(Bucket=bucket)["Contents"][0]["ETag"] == expected
    assert through.client.get_object(Bucket=bucket, Key="object.bin", IfMatch=expected)["ETag"] == expected


def test_a_part_is_sent_again(through, bucket, data):
    upload = Upload(through, bucket)
    upload.part(1, data[1])
    upload.part(1, data[0])
    upload.part(2, b"small at first")
    upload.part(2, data[1])
    upload.part(3, data[1])
    upload.part(3, data[2])
    assert [part["Size"] for part in upload.listed()["Parts"]] == [FIRST, SECOND, LAST]
    upload.complete()
    assert stored(through, bucket) == b"".join(data)


def test_a_retry_with_the_same_bytes_counts_once(through, bucket, data):
    upload = Upload(through, bucket)
    for _ in range(2):
        upload.part(1, data[0])
        upload.part(2, data[2])
    assert [part["Size"] for part in upload.listed()["Parts"]] == [FIRST, LAST]
    upload.complete()
    assert stored(through, bucket) == data[0] + data[2]


def test_one_part_alone(through, bucket, data):
    for key, part in (("empty", b""), ("short", b"short"), ("long", data[0])):
        upload = Upload(through, bucket, key)
        upload.part(1, part)
        upload.complete()
        assert stored(through, bucket, key) == part


def test_only_the_parts_that_are_named_count(through, bucket, data):
    upload = Upload(through, bucket)
    for number, part in ((1, data[0]), (2, data[1]), (3, data[1]), (4, data[2])):
        upload.part(number, part)
    upload.complete([1, 3])
    assert stored(through, bucket) == data[0] + data[1]


def test_an_upload_is_found_and_resumed(through, bucket, data):
    upload = Upload(through, bucket, "a/key with +.bin")
    upload.part(1, data[0])
    found = through.client.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [(entry["Key"], entry["UploadId"]) for entry in found] == [("a/key with +.bin", upload.id)]
    parts = through.client.list_parts(Bucket=bucket, Key="a/key with +.bin", UploadId=found[0]["UploadId"])["Parts"]
    upload.parts = {part["PartNumber"]: {"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts}
    upload.part(2, data[2])
    upload.complete()
    assert stored(through, bucket, "a/key with +.bin") == data[0] + data[2]
    assert not through.client.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_parts_are_listed_page_by_page(through, bucket, data):
    upload = Upload(through, bucket)
    for number, part in enumerate(data, 1):
        upload.part(number, part)
    first = upload.listed(MaxParts=2)
    assert [part["PartNumber"] for part in first["Parts"]] == [1, 2] and first["IsTruncated"]
    rest = upload.listed(MaxParts=2, PartNumberMarker=int(first["NextPartNumberMarker"]))
    assert [part["PartNumber"] for part in rest["Parts"]] == [3] and not rest["IsTruncated"]
    upload.abort()


def test_an_aborted_upload_is_gone(through, bucket, data):
    upload = Upload(through, bucket)
    upload.part(1, data[0])
    upload.part(2, b"short")
    upload.abort()
    assert code_of(upload.complete) == "NoSuchUpload"
    assert code_of(upload.part, 3, b"late") == "NoSuchUpload"
    assert code_of(upload.listed) == "NoSuchUpload"
    assert through.client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_complete_is_retried(through, bucket, data):
    upload = Upload(through, bucket)
    upload.part(1, data[0])
    upload.part(2, data[2])
    first, again = upload.complete(), upload.complete()
    assert first["ETag"] == again["ETag"]
    assert stored(through, bucket) == data[0] + data[2]


def test_a_completion_that_is_refused_changes_nothing(through, bucket, data):
    upload = Upload(through, bucket)
    upload.part(1, b"too short for any but the last")
    upload.part(2, data[0])
    assert code_of(upload.complete) == "EntityTooSmall"
    upload.parts[3] = {"PartNumber": 3, "ETag": '"0123456789abcdef0123456789abcdef"'}
    assert code_of(upload.complete, [2, 3]) == "InvalidPart"
    assert code_of(upload.complete, [2, 1]) == "InvalidPartOrder"
    assert code_of(upload.complete, [2], MpuObjectSize=FIRST + 1) == "InvalidRequest"
    upload.complete([2], MpuObjectSize=FIRST)
    assert stored(through, bucket) == data[0]


def test_the_upload_belongs_to_its_key(through, bucket, data):
    upload = Upload(through, bucket)
    other = {**upload.place, "Key": "other.bin"}
    assert code_of(through.client.upload_part, **other, PartNumber=1, Body=b"x") == "NoSuchUpload"
    forged = {**upload.place, "UploadId": upload.id[:-2] + "xx"}
    assert code_of(through.client.upload_part, **forged, PartNumber=1, Body=b"x") == "NoSuchUpload"
    for number in (0, 10_001):
        assert code_of(upload.part, number, b"x") == "InvalidArgument"


def test_the_last_part_number(through, bucket, data):
    """The trailer can't follow part 10,000 as a part of its own."""
    upload = Upload(through, bucket)
    upload.part(9_999, data[0])
    upload.part(10_000, data[1])
    upload.complete()
    assert stored(through, bucket) == data[0] + data[1]


def test_metadata_of_an_upload(through, bucket, data):
    upload = Upload(through, bucket, Metadata={"colour": through.canary.text.decode()}, ContentType="text/x-test")
    upload.part(1, data[0])
    upload.complete()
    head = through.client.head_object(Bucket=bucket, Key="object.bin")
    assert (head["Metadata"], head["ContentType"]) == ({"colour": through.canary.text.decode()}, "text/x-test")
    through.assert_sealed(bucket)


def test_parts_are_copied(through, bucket, data):
    through.client.put_object(Bucket=bucket, Key="source one.bin", Body=data[1])
    upload = Upload(through, bucket, "source-of-parts.bin")
    upload.part(1, data[0])
    upload.part(2, data[2])
    upload.complete()
    target = Upload(through, bucket)
    sources = [
        ("source one.bin", None, data[1]),
        (
            "source-of-parts.bin",
            (FIRST - 65_537, FIRST + 1_000_000),
            (data[0] + data[2])[FIRST - 65_537 : FIRST + 1_000_001],
        ),
    ]
    for number, (key, span, _) in enumerate(sources, 1):
        settings = {"CopySourceRange": f"bytes={span[0]}-{span[1]}"} if span else {}
        answer = through.client.upload_part_copy(
            **target.place,
            PartNumber=number,
            CopySource={"Bucket": bucket, "Key": key},
            **settings,
        )
        target.parts[number] = {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}
    target.complete()
    assert stored(through, bucket) == b"".join(part for _, _, part in sources)
    beyond = {"CopySource": {"Bucket": bucket, "Key": "source one.bin"}, "CopySourceRange": f"bytes=0-{SECOND}"}
    assert code_of(through.client.upload_part_copy, **Upload(through, bucket).place, PartNumber=1, **beyond) in (
        "InvalidRange",
        "InvalidArgument",
    )


@pytest.mark.parametrize(
    "algorithm, kind",
    [
        ("CRC32", "FULL_OBJECT"),
        ("CRC64NVME", "FULL_OBJECT"),
        ("CRC32C", "COMPOSITE"),
        ("SHA256", "COMPOSITE"),
    ],
)
def test_the_checksum_of_the_whole(through, bucket, data, algorithm, kind):
    from test_checksums import VALUES, value

    field = f"Checksum{algorithm}"
    upload = Upload(through, bucket, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    for number, part in enumerate(data, 1):
        assert upload.part(number, part, ChecksumAlgorithm=algorithm)[field] == value(algorithm, part)
        upload.parts[number][field] = value(algorithm, part)
    if kind == "COMPOSITE":
        expected = value(algorithm, b"".join(VALUES[algorithm](part) for part in data)) + "-3"
    else:
        expected = value(algorithm, b"".join(data))
    upload.parts[1][field], right = value(algorithm, b"other"), upload.parts[1][field]
    assert code_of(upload.complete) in ("InvalidPart", "BadDigest")
    upload.parts[1][field] = right
    assert upload.complete()[field] == expected
    head = through.client.head_object(Bucket=bucket, Key="object.bin", ChecksumMode="ENABLED")
    assert (head[field], head["ChecksumType"]) == (expected, kind)
    got = through.client.get_object(Bucket=bucket, Key="object.bin", ChecksumMode="ENABLED")
    assert got["Body"].read() == b"".join(data)


def test_a_part_by_its_number(through, bucket, data):
    upload = Upload(through, bucket)
    for number, part in enumerate(data, 1):
        upload.part(number, part)
    upload.complete()
    for number, part in enumerate(data, 1):
        got = through.client.get_object(Bucket=bucket, Key="object.bin", PartNumber=number)
        assert got["Body"].read() == part and got["PartsCount"] == 3
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
        assert through.client.head_object(Bucket=bucket, Key="object.bin", PartNumber=number)["ContentLength"] == len(
            part
        )
    assert code_of(through.client.get_object, Bucket=bucket, Key="object.bin", PartNumber=4) == "InvalidPartNumber"
    attributes = through.client.get_object_attributes(
        Bucket=bucket,
        Key="object.bin",
        ObjectAttributes=["ObjectParts", "ObjectSize", "ETag"],
    )
    assert attributes["ObjectSize"] == FIRST + SECOND + LAST
    assert attributes["ObjectParts"]["TotalPartsCount"] == 3


def test_uploads_are_listed_as_the_store_lists_them(direct, through):
    def steps(way, bucket):
        uploads = [Upload(way, bucket, key) for key in ("b/1", "a/1", "a/2", "c")]
        listed = [entry["Key"] for entry in way.client.list_multipart_uploads(Bucket=bucket)["Uploads"]]
        under = way.client.list_multipart_uploads(Bucket=bucket, Prefix="a/")["Uploads"]
        for upload in uploads:
            upload.abort()
        return listed, [entry["Key"] for entry in under]

    compare(direct, through, steps, (["a/1", "a/2", "b/1", "c"], ["a/1", "a/2"]))
