"""Nextcloud's side of a share: chunked uploads by rclone and as the desktop and web clients send them, directly and through the
gateway, against a server that joins chunks as Nextcloud does."""

import hashlib
import uuid

import pytest
import requests
from material import MIB, Tree
from providers import PASSWORD, USER, Gate, Nextcloud
from servers import program
from test_clients import RCLONE, run

MTIME = 1_700_000_000


@pytest.fixture(scope="module")
def nextcloud(run_folder, tls):
    provider = Nextcloud(run_folder / "nextcloud", tls)
    yield provider
    provider.stop()


@pytest.fixture(scope="module")
def gates(nextcloud, run_folder):
    """With clear names, and with sealed ones."""
    more = {"gateway": "", "names": 'names = "sealed"\nnames_below = "/remote.php/dav/files/*"'}
    gates = {
        name: Gate(run_folder / f"{name}-before-nextcloud", nextcloud, {"localhost": text}) for name, text in more.items()
    }
    yield gates
    for gate in gates.values():
        assert gate.stop() == 0, gate.server.output()


class End:
    """One way to the provider, in a directory of its own."""

    def __init__(self, name, server):
        self.name, self.ca, self.folder = name, server.ca, uuid.uuid4().hex[:12]
        self.dav = f"https://localhost:{server.port}/remote.php/dav"
        self.files = f"{self.dav}/files/{USER}/{self.folder}"
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.auth, self.session.verify = (USER, PASSWORD), str(server.ca)
        self.session.headers["Accept-Encoding"] = "identity"
        assert self.session.request("MKCOL", self.files).status_code == 201


@pytest.fixture(params=["direct", "gateway", "names"])
def end(request, nextcloud, gates):
    return End(request.param, {"direct": nextcloud, **gates}[request.param])


def test_rclone(end, nextcloud, canary, tmp_path):
    tree = Tree(tmp_path / "tree", canary)
    tool = program("rclone", RCLONE)
    code, hidden = run(tool, "obscure", PASSWORD)
    assert code == 0
    config = tmp_path / "rclone.conf"
    config.write_text(
        f"[share]\ntype = webdav\nurl = {end.dav}/files/{USER}\nvendor = nextcloud\nuser = {USER}\n"
        f"pass = {hidden.strip()}\nnextcloud_chunk_size = 1Mi\n"
    )
    remote = f"share:{end.folder}/tree"

    def rclone(*arguments):
        code, output = run(tool, "--config", config, "--ca-cert", end.ca, "--retries", "1", "-v", *arguments)
        assert code == 0, output
        return output

    rclone("copy", tree.root, remote)
    rclone("check", "--download", tree.root, remote)
    rclone("check", "--size-only", tree.root, remote)
    # sizes and times are the client's: nothing is copied again
    assert "There was nothing to transfer" in rclone("copy", tree.root, remote)
    # over what is there, in chunks again
    large = f"sizes/{5 * MIB + 1}.bin"
    data = (tree.root / large).read_bytes() + b"more"
    (tree.root / large).write_bytes(data)
    tree.digests[large] = hashlib.sha256(data).hexdigest()
    rclone("copy", tree.root, remote)
    rclone("copy", remote, tmp_path / "back")
    tree.same_as(tmp_path / "back")
    uploads = (nextcloud.data / "uploads").iterdir()
    assert not [*uploads], "an upload is left"
    stored = nextcloud.data / "files"
    if end.name == "direct":
        assert canary.files_with(stored / end.folder)
    elif end.name == "gateway":
        assert not canary.files_with(stored / end.folder)
    else:
        assert not [path for path in stored.rglob("*") if path.name == end.folder]


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [0, 1, 0, 2]], ids=["in-order", "any-order", "again"])
def test_chunks_of_the_desktop_client(end, nextcloud, canary, order):
    data = canary.content(2_500_000, "chunks")
    chunks = [data[at : at + 1_000_000] for at in range(0, len(data), 1_000_000)]
    upload = f"{end.dav}/uploads/{USER}/{uuid.uuid4().hex}"
    target = {"Destination": f"{end.files}/large.bin", "OC-Total-Length": str(len(data))}
    assert end.session.request("MKCOL", upload, headers=target).status_code == 201
    for number in order:
        answer = end.session.put(f"{upload}/{number + 1:05d}", data=chunks[number], headers=target)
        assert answer.status_code in (201, 204), answer.text
    more = {"X-OC-Mtime": str(MTIME), "OC-Checksum": f"SHA1:{hashlib.sha1(data).hexdigest()}"}
    answer = end.session.request("MOVE", f"{upload}/.file", headers={**target, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["x-oc-mtime"] == "accepted" and answer.headers["oc-fileid"]
    answer = end.session.get(f"{end.files}/large.bin")
    assert answer.content == data
    assert answer.headers["last-modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    answer = end.session.get(f"{end.files}/large.bin", headers={"Range": "bytes=999990-1000009"})
    assert (answer.status_code, answer.content) == (206, data[999_990:1_000_010])
    found = canary.files_with(nextcloud.data / "files")
    assert end.name == "direct" or not any(end.folder in str(path) for path in found)


def test_a_join_that_does_not_sum_up_is_refused(end, canary):
    upload = f"{end.dav}/uploads/{USER}/{uuid.uuid4().hex}"
    target = {"Destination": f"{end.files}/a.bin"}
    end.session.request("MKCOL", upload, headers=target)
    assert end.session.put(f"{upload}/1", data=canary.content(400_000, "sum")).status_code == 201
    answer = end.session.request("MOVE", f"{upload}/.file", headers={**target, "OC-Total-Length": "400001"})
    assert answer.status_code == 400
    assert end.session.get(f"{end.files}/a.bin").status_code == 404
    assert end.session.delete(upload).status_code == 204
