"""More than one process, and processes that die: what was acknowledged is there, what was not leaves nothing."""

import socket
import ssl
import threading
import time

import pytest
from botocore.exceptions import BotoCoreError, ClientError

import wire
from compare import status_of
from conftest import Way
from harness.material import MIB
from stores import Gateway
from test_multipart import FIRST, LAST, SECOND, Upload


@pytest.fixture
def own_gateway(store, tmp_path):
    """A gateway that a test may kill."""
    gateway = Gateway(tmp_path / "own", store).start()
    yield gateway
    gateway.stop()


def test_parts_through_two_processes(store, gateway, through, tmp_path):
    """Two gateways on the same keys and the same state are one."""
    second = Gateway(tmp_path / "second", store, home=gateway.home).start()
    try:
        other = Way("gateway", store, second.endpoint, through.canary)
        bucket = through.bucket()
        parts = [through.canary.content(size, "two") for size in (FIRST, SECOND, LAST)]
        upload = Upload(through, bucket, Metadata={"colour": "blue"})
        for number, part in enumerate(parts, 1):
            upload.client = (through, other)[number % 2].client
            upload.part(number, part)
        # a retry through the other process: the last attempt counts
        upload.part(2, parts[1])
        assert [part["Size"] for part in upload.listed()["Parts"]] == [FIRST, SECOND, LAST]
        upload.client = other.client
        tag = upload.complete()["ETag"]
        upload.client = through.client
        assert upload.complete()["ETag"] == tag
        for way in (through, other):
            got = way.client.get_object(Bucket=bucket, Key="object.bin")
            assert (got["ETag"], got["Metadata"], got["Body"].read()) == (tag, {"colour": "blue"}, b"".join(parts))
        through.assert_sealed(bucket)
    finally:
        assert second.stop() == 0, second.server.output()


def test_an_upload_outlives_a_kill(store, own_gateway, sealed_canary):
    way = Way("gateway", store, own_gateway.endpoint, sealed_canary)
    bucket = way.bucket()
    parts = [sealed_canary.content(size, "kill") for size in (FIRST, SECOND, LAST)]
    way.client.put_object(Bucket=bucket, Key="before.bin", Body=b"acknowledged")
    upload = Upload(way, bucket)
    upload.part(1, parts[0])
    upload.part(3, parts[2])
    ended = []

    def cut_short(key):
        try:
            way.client.put_object(
                Bucket=bucket, Key=key, Body=Slow(sealed_canary.content(20 * MIB, "cut")), ContentLength=20 * MIB
            )
            ended.append("acknowledged")
        except (ClientError, BotoCoreError):
            ended.append("failed")

    writers = [threading.Thread(target=cut_short, args=[key]) for key in ("new.bin", "before.bin")]
    for writer in writers:
        writer.start()
    Slow.started.acquire()
    Slow.started.acquire()
    own_gateway.server.kill()
    for writer in writers:
        writer.join()
    assert ended == ["failed", "failed"]
    assert sealed_canary.files_with(own_gateway.home) == [], "plaintext on the gateway's disk"

    own_gateway.restart()
    assert [part["PartNumber"] for part in upload.listed()["Parts"]] == [1, 3]
    upload.part(2, parts[1])
    upload.complete()
    assert way.client.get_object(Bucket=bucket, Key="object.bin")["Body"].read() == b"".join(parts)
    assert way.client.get_object(Bucket=bucket, Key="before.bin")["Body"].read() == b"acknowledged"
    assert status_of(way.client.head_object, Bucket=bucket, Key="new.bin") == 404


class Slow:
    """A body that halts in the middle until its connection is gone."""

    started = threading.Semaphore(0)

    def __init__(self, data):
        self.data, self.at = data, 0

    def read(self, size=-1):
        if self.at > len(self.data) // 2:
            self.started.release()
            time.sleep(3)
        size = len(self.data) if size < 0 else size
        piece = self.data[self.at : self.at + min(size, 64 * 1024)]
        self.at += len(piece)
        return piece

    def tell(self):
        return self.at

    def seek(self, at, whence=0):
        self.at = at + (0, self.at, len(self.data))[whence]


@pytest.mark.parametrize("end", ["reset", "close_notify"])
@pytest.mark.parametrize("sent", [0, 70_000, 999_999])
def test_a_client_that_breaks_off_changes_nothing(through, end, sent):
    """However it ends: there are stores that keep what came before a clean end of TLS as the object."""
    bucket, data = through.bucket(), through.canary.content(MIB, "broken")
    through.client.put_object(Bucket=bucket, Key="a", Body=b"the object that is there")
    target = f"/{bucket}/a"
    request, _ = wire.signed(through.endpoint, "PUT", target, {"Content-Length": str(MIB)}, "UNSIGNED-PAYLOAD")
    head = f"PUT {target} HTTP/1.1\r\nHost: localhost:{through.endpoint.port}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in request.headers.items()) + "\r\n"
    context = ssl.create_default_context(cafile=str(through.endpoint.ca))
    connection = context.wrap_socket(
        socket.create_connection(("127.0.0.1", through.endpoint.port)), server_hostname="localhost"
    )
    connection.sendall(head.encode() + data[:sent])
    time.sleep(0.2)
    if end == "close_notify":
        connection.settimeout(1)
        try:
            connection.unwrap()
        except OSError:
            pass
    connection.close()
    time.sleep(0.5)
    assert through.client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"the object that is there"
    assert len(through.store_client.list_objects_v2(Bucket=bucket)["Contents"]) == 1


def test_a_shutdown_lets_requests_end(store, own_gateway, sealed_canary):
    way = Way("gateway", store, own_gateway.endpoint, sealed_canary)
    bucket, data = way.bucket(), sealed_canary.content(8 * MIB, "drain")
    way.client.put_object(Bucket=bucket, Key="a", Body=data)
    body = way.client.get_object(Bucket=bucket, Key="a")["Body"]
    came = body.read(100_000)
    stopped = []
    stopper = threading.Thread(target=lambda: stopped.append(own_gateway.stop()))
    stopper.start()
    time.sleep(0.5)
    assert came + body.read() == data
    stopper.join()
    assert stopped == [0]


def test_the_state_may_be_lost(store, own_gateway, sealed_canary):
    """Unfinished uploads and tags go with it; every stored object still opens."""
    way = Way("gateway", store, own_gateway.endpoint, sealed_canary)
    bucket, parts = way.bucket(), [sealed_canary.content(size, "state") for size in (FIRST, LAST)]
    upload = Upload(way, bucket)
    for number, part in enumerate(parts, 1):
        upload.part(number, part)
    upload.complete()
    way.client.put_object(Bucket=bucket, Key="single", Body=parts[1], Metadata={"colour": "blue"})
    unfinished = Upload(way, bucket, "unfinished")
    own_gateway.stop()
    for path in sorted((own_gateway.home / "state").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    own_gateway.restart()
    assert way.client.get_object(Bucket=bucket, Key="object.bin")["Body"].read() == b"".join(parts)
    got = way.client.get_object(Bucket=bucket, Key="single")
    assert (got["Metadata"], got["Body"].read()) == ({"colour": "blue"}, parts[1])
    head = way.client.head_object(Bucket=bucket, Key="object.bin")
    assert way.client.list_objects_v2(Bucket=bucket)["Contents"][0]["ETag"] == head["ETag"]
    with pytest.raises(ClientError):
        unfinished.part(1, b"late")
    unfinished.abort()
