"""What a provider can do to the objects that it holds. The answer is a refusal, or a stream that breaks off before the
first byte of the first bad segment: never other bytes, never an end that looks clean."""

import pytest
import urllib3

import wire
from compare import status_of
from harness.material import SEGMENT
from test_multipart import FIRST, LAST, Upload

HEADER, STEP = 128, SEGMENT + 16
SIZE = 4 * SEGMENT + 1_000


class Held:
    """An object as the provider holds it, and the means to change it."""

    def __init__(self, way, bucket, key):
        self.way, self.bucket, self.key = way, bucket, key
        answer = way.store_client.get_object(Bucket=bucket, Key=key)
        self.metadata, self.bytes = answer["Metadata"], answer["Body"].read()

    def put(self, data=None, metadata=None, key=None):
        self.way.store_client.put_object(
            Bucket=self.bucket,
            Key=key or self.key,
            Body=self.bytes if data is None else data,
            Metadata=self.metadata if metadata is None else metadata,
            ContentType="application/octet-stream",
        )

    def flipped(self, at):
        data = bytearray(self.bytes)
        data[at] ^= 1
        return bytes(data)

    def read(self, key=None, headers=None):
        """Status, the bytes that came, and whether the stream ended as if it were whole."""
        try:
            answer = wire.send(
                self.way.endpoint, "GET", f"/{self.bucket}/{key or self.key}", headers, payload=wire.EMPTY
            )
        except urllib3.exceptions.ProtocolError:
            # what was good was not on its way yet when the connection was broken off
            return 0, b"", False
        came, error = wire.read(answer)
        return answer.status, came, error is None


@pytest.fixture
def single(through):
    """An object of one run."""
    bucket, data = through.bucket(), through.canary.content(SIZE, "tampering")
    through.client.put_object(Bucket=bucket, Key="a", Body=data, Metadata={"colour": "blue"})
    return Held(through, bucket, "a"), data


def assert_refused(read, data, good):
    """At most `good` bytes came, they are the right ones, and the end did not look clean."""
    status, came, clean = read
    if status >= 400:
        assert status >= 500 and not any(data[at : at + 32] in came for at in range(0, len(data) - 32, 1_000))
        return
    assert not clean, "the stream ended as if it were whole"
    assert len(came) <= good and came == data[: len(came)]


@pytest.mark.parametrize(
    "at, good",
    [
        *[(at, 0) for at in (0, 7, 8, 40, 63, 64, 127)],
        (HEADER, 0),
        (HEADER + SEGMENT, 0),
        (HEADER + STEP - 1, 0),
        (HEADER + STEP, SEGMENT),
        (HEADER + 3 * STEP + 9, 3 * SEGMENT),
        (HEADER + 4 * STEP + 999, 4 * SEGMENT),
        (HEADER + 4 * STEP + 1_015, 4 * SEGMENT),
        (-1, SIZE - 1),
        (-9, SIZE - 1),
        (-100, SIZE - 1),
        (-300, SIZE - 1),
    ],
)
def test_a_flipped_bit(single, at, good):
    held, data = single
    held.put(held.flipped(at))
    read = held.read()
    assert_refused(read, data, good)
    if good == 0:
        assert read[0] >= 500, "nothing was given out yet: the answer can say what is wrong"
    # a range that does not touch the place may be served: it is authentic
    status, came, clean = held.read(headers={"Range": f"bytes={SEGMENT + 5}-{SEGMENT + 50}"})
    assert status >= 400 or came == data[SEGMENT + 5 : SEGMENT + 51][: len(came)]


@pytest.mark.parametrize("keep", [0, 1, HEADER, HEADER + STEP, HEADER + 4 * STEP, -1, -8, -200])
def test_truncation(single, keep):
    held, data = single
    held.put(held.bytes[:keep] if keep else b"")
    assert_refused(held.read(), data, SIZE - 1)


def test_appended_bytes(single):
    held, data = single
    for more in (b"\0", b"\0" * 16, held.bytes):
        held.put(held.bytes + more)
        assert_refused(held.read(), data, SIZE - 1)


def test_segments_in_another_order(single):
    held, data = single
    first, second = (held.bytes[HEADER + n * STEP : HEADER + (n + 1) * STEP] for n in (1, 2))
    changed = held.bytes.replace(first, b"\0" * STEP).replace(second, first).replace(b"\0" * STEP, second)
    assert changed != held.bytes
    held.put(changed)
    assert_refused(held.read(), data, SEGMENT)
    status, came, _ = held.read(headers={"Range": f"bytes={SEGMENT}-{SEGMENT + 9}"})
    assert status >= 500 or came == b""


def test_two_objects_swapped(single, through):
    held, data = single
    other = through.canary.content(SIZE, "other")
    through.client.put_object(Bucket=held.bucket, Key="b", Body=other)
    second = Held(through, held.bucket, "b")
    # whole, with their metadata
    held.put(key="b")
    second.put(key="a")
    for key in "ab":
        for bytes_of in (data, other):
            assert_refused(held.read(key), bytes_of, 0)
        assert status_of(through.client.head_object, Bucket=held.bucket, Key=key) >= 500
    # the bytes only, each under its own metadata
    held.put(second.bytes)
    second.put(held.bytes)
    for key, own, alien in (("a", data, other), ("b", other, data)):
        assert_refused(held.read(key), alien, 0)
        assert_refused(held.read(key), own, 0)
        status, came, _ = held.read(key, {"Range": "bytes=10-99"})
        assert status >= 500 or came == b""


def test_a_copy_that_the_provider_makes(single, through):
    held, data = single
    held.put(key="elsewhere")
    assert_refused(held.read("elsewhere"), data, 0)
    source = {"Bucket": held.bucket, "Key": "elsewhere"}
    assert status_of(through.client.copy_object, Bucket=held.bucket, Key="c", CopySource=source) >= 500


def test_metadata_removed_or_changed(single, through):
    held, data = single
    name = sorted(held.metadata)[0]
    value = held.metadata[name]
    other = ("A" if value[20] != "A" else "B").join([value[:20], value[21:]])
    for metadata in (
        {},
        {**held.metadata, name: other},
        {**held.metadata, name: ""},
        {name: value} if len(held.metadata) > 1 else {},
    ):
        held.put(metadata=metadata)
        assert_refused(held.read(), data, 0)
        assert status_of(through.client.head_object, Bucket=held.bucket, Key="a") >= 500
    # more of it changes nothing and is not shown
    held.put(metadata={**held.metadata, "added": "by the provider"})
    assert through.client.head_object(Bucket=held.bucket, Key="a")["Metadata"] == {"colour": "blue"}
    assert held.read() == (200, data, True)


def test_plaintext_in_its_place(single, through):
    held, _ = single
    for metadata in ({}, held.metadata):
        for planted in (b"planted by the provider", b"", b"planted" * 100_000):
            held.put(planted, metadata)
            status, came, clean = held.read()
            assert status >= 500 or (came == b"" and not clean)
            assert b"planted" not in came
            if not metadata:
                assert status_of(through.client.head_object, Bucket=held.bucket, Key="a") >= 500


@pytest.fixture
def multipart(through):
    """An object of two runs, and the same with another first part."""
    bucket = through.bucket()
    parts = [through.canary.content(size, "tampering") for size in (FIRST, LAST)]
    for key, first in (("a", parts[0]), ("b", through.canary.content(FIRST, "other"))):
        upload = Upload(through, bucket, key)
        upload.part(1, first)
        upload.part(2, parts[1])
        upload.complete()
    return Held(through, bucket, "a"), Held(through, bucket, "b"), b"".join(parts)


def test_runs_of_another_object(multipart):
    held, other, data = multipart
    assert len(held.bytes) == len(other.bytes)
    run = HEADER + FIRST + 16 * (FIRST // SEGMENT + 1)
    for changed in (other.bytes[:run] + held.bytes[run:], held.bytes[:run] + other.bytes[run:], other.bytes):
        held.put(changed)
        assert_refused(held.read(), data, FIRST)
        status, came, _ = held.read(headers={"Range": "bytes=0-9"})
        assert status >= 500 or came in (b"", data[:10])


@pytest.mark.parametrize("at", [0, 64, HEADER + 5, -1, -40, -500])
def test_a_flipped_bit_in_an_object_of_parts(multipart, at):
    held, _, data = multipart
    held.put(held.flipped(at))
    assert_refused(held.read(), data, 0 if at >= 0 else len(data) - 1)


def test_a_truncated_object_of_parts(multipart):
    held, _, data = multipart
    for keep in (HEADER, HEADER + STEP, -1, -600):
        held.put(held.bytes[:keep])
        assert_refused(held.read(), data, 0)
