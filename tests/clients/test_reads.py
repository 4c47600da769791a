"""Reading: ranges of every form, conditions, parts by number, headers that one request overrules."""

import datetime
import random

import pytest

import wire
from compare import code_of, compare, outcome, status_of
from harness.material import BOUNDARIES, SEGMENT

SIZE = 5 * SEGMENT + 77


@pytest.fixture(scope="session")
def reads(through):
    """A bucket with one object, which no test changes."""
    bucket, data = through.bucket(), through.canary.content(SIZE, "reads")
    through.client.put_object(Bucket=bucket, Key="a", Body=data)
    through.client.put_object(Bucket=bucket, Key="empty", Body=b"")
    return bucket, data


def edges():
    points = sorted({0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, SIZE - 2, SIZE - 1})
    return [(first, last) for first in points for last in points if first <= last]


def test_closed_ranges(through, reads):
    bucket, data = reads
    chance = random.Random(1)
    for first, last in edges() + [tuple(sorted(chance.sample(range(SIZE), 2))) for _ in range(20)]:
        got = through.client.get_object(Bucket=bucket, Key="a", Range=f"bytes={first}-{last}")
        assert got["Body"].read() == data[first : last + 1], (first, last)
        assert got["ContentRange"] == f"bytes {first}-{last}/{SIZE}"
        assert got["ContentLength"] == last + 1 - first


@pytest.mark.parametrize(
    "text, first, last",
    [
        ("bytes=0-", 0, SIZE - 1),
        (f"bytes={SEGMENT}-", SEGMENT, SIZE - 1),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
        ("bytes=-1", SIZE - 1, SIZE - 1),
        (f"bytes=-{SEGMENT}", SIZE - SEGMENT, SIZE - 1),
        (f"bytes=-{SIZE}", 0, SIZE - 1),
        (f"bytes=-{SIZE + 9}", 0, SIZE - 1),
        (f"bytes=5-{SIZE + 999}", 5, SIZE - 1),
    ],
)
def test_open_ranges(through, reads, text, first, last):
    bucket, data = reads
    got = through.client.get_object(Bucket=bucket, Key="a", Range=text)
    assert got["Body"].read() == data[first : last + 1]
    assert got["ContentRange"] == f"bytes {first}-{last}/{SIZE}"
    head = through.client.head_object(Bucket=bucket, Key="a", Range=text)
    assert (head["ContentLength"], head["ContentRange"]) == (last + 1 - first, got["ContentRange"])


@pytest.mark.parametrize("text", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=-0"])
def test_ranges_beyond_the_end(through, reads, text):
    bucket, _ = reads
    assert code_of(through.client.get_object, Bucket=bucket, Key="a", Range=text) == "InvalidRange"
    assert status_of(through.client.get_object, Bucket=bucket, Key="empty", Range="bytes=0-0") == 416


@pytest.mark.parametrize("text", ["bytes=0-1,3-4", "bytes=5-2", "bytes=a-b", "octets=0-1", "bytes"])
def test_what_is_no_single_range_is_the_whole(through, reads, text):
    bucket, data = reads
    got = through.client.get_object(Bucket=bucket, Key="a", Range=text)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert got["Body"].read() == data


def test_objects_of_all_sizes(through):
    bucket = through.bucket()
    for size in BOUNDARIES:
        data = through.canary.content(size, "sizes")
        through.client.put_object(Bucket=bucket, Key=str(size), Body=data)
        got = through.client.get_object(Bucket=bucket, Key=str(size))
        assert (got["ContentLength"], got["Body"].read()) == (size, data)
        if size:
            tail = through.client.get_object(Bucket=bucket, Key=str(size), Range="bytes=-3")
            assert tail["Body"].read() == data[-3:]
    sizes = {entry["Key"]: entry["Size"] for entry in through.client.list_objects_v2(Bucket=bucket)["Contents"]}
    assert sizes == {str(size): size for size in BOUNDARIES}


def test_conditions(through, reads):
    bucket, data = reads
    head = through.client.head_object(Bucket=bucket, Key="a")
    tag, modified = head["ETag"], head["LastModified"]
    hour = datetime.timedelta(hours=1)
    for read in (through.client.get_object, through.client.head_object):
        for holds in (
            {"IfMatch": tag},
            {"IfMatch": "*"},
            {"IfNoneMatch": '"other"'},
            {"IfModifiedSince": modified - hour},
            {"IfUnmodifiedSince": modified},
            {"IfMatch": tag, "IfUnmodifiedSince": modified - hour},
        ):
            assert read(Bucket=bucket, Key="a", **holds)["ETag"] == tag, holds
        for fails in ({"IfMatch": '"other"'}, {"IfUnmodifiedSince": modified - hour}):
            assert status_of(read, Bucket=bucket, Key="a", **fails) == 412, fails
        for same in ({"IfNoneMatch": tag}, {"IfNoneMatch": "*"}, {"IfModifiedSince": modified}):
            assert status_of(read, Bucket=bucket, Key="a", **same) == 304, same


def test_if_range(through, reads):
    bucket, data = reads
    tag = through.client.head_object(Bucket=bucket, Key="a")["ETag"]
    for condition, status in ((tag, 206), ('"other"', 200)):
        answer = wire.send(through.endpoint, "GET", f"/{bucket}/a", {"Range": "bytes=3-9", "If-Range": condition})
        assert answer.status == status
        assert answer.read() == (data[3:10] if status == 206 else data)


def test_fields_that_one_answer_overrules(through, reads):
    bucket, _ = reads
    got = through.client.get_object(
        Bucket=bucket,
        Key="a",
        ResponseContentType="text/x-other",
        ResponseContentDisposition="attachment",
        ResponseCacheControl="no-store",
    )
    assert (got["ContentType"], got["ContentDisposition"], got["CacheControl"]) == (
        "text/x-other",
        "attachment",
        "no-store",
    )


def test_the_only_part_of_a_single_put(through, reads):
    bucket, data = reads
    assert through.client.get_object(Bucket=bucket, Key="a", PartNumber=1)["Body"].read() == data
    assert code_of(through.client.get_object, Bucket=bucket, Key="a", PartNumber=2) == "InvalidPartNumber"


def test_what_is_not_there(direct, through):
    def steps(way, bucket):
        missing = dict(Bucket=bucket, Key="missing")
        no_bucket = dict(Bucket="no-such-bucket-anywhere", Key="a")
        return [
            outcome(lambda: way.client.get_object(**missing)),
            outcome(lambda: way.client.head_object(**missing)),
            outcome(lambda: way.client.get_object(**missing, Range="bytes=0-1")),
            outcome(lambda: way.client.get_object(**no_bucket)),
            outcome(lambda: way.client.get_object_attributes(**missing, ObjectAttributes=["ETag"])),
        ]

    compare(
        direct,
        through,
        steps,
        [
            ("NoSuchKey", 404),
            ("404", 404),
            ("NoSuchKey", 404),
            ("NoSuchBucket", 404),
            ("NoSuchKey", 404),
        ],
    )
