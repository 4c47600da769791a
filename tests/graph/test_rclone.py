"""rclone with its onedrive backend, business."""

import json
import os
import subprocess

import pytest
from harness.material import MIB, NAMES, Tree
from harness.servers import program

pytestmark = pytest.mark.usefixtures("fronted")

# SharePoint trims these off, or refuses them; rclone writes them otherwise, which other tests of rclone see to
SIZES = (0, 1, 65_535, 65_536, 65_537, 327_679, 327_680, 327_681, 10 * MIB, 10 * MIB + 1)


class Rclone:
    def __init__(self, way, folder, place, **settings):
        self.way, self.folder, self.place = way, folder, place
        tenant = way.cloud.control("GET", "/tenant")
        drive = next(user["drive"] for user in tenant["users"] if user["givenName"] == "Adele")
        token = json.dumps({"access_token": "token-of-adele", "token_type": "Bearer", "refresh_token": "refresh-adele", "expiry": "2099-01-01T00:00:00Z"})
        options = {"type": "onedrive", "drive_type": "business", "drive_id": drive, "token": token, **settings}
        self.config = folder / "rclone.conf"
        self.config.write_text("[cloud]\n" + "".join(f"{name} = {value}\n" for name, value in options.items()))

    def __call__(self, *arguments, check=True):
        tool = program("rclone", "tests/run --install")
        command = [tool, "--config", self.config, "--ca-cert", self.way.ca, "--retries", "2", "--low-level-retries", "6", "-v", *arguments]
        return self.way.run(*command, folder=self.folder, check=check)

    def at(self, path=""):
        return f"cloud:{self.place}/{path}".rstrip("/")


@pytest.fixture
def rclone(way, tmp_path, place):
    return Rclone(way, tmp_path, place)


@pytest.fixture
def tree(tmp_path, canary):
    return Tree(tmp_path / "tree", canary, NAMES, SIZES)


def moved(said):
    """How many files a run carried."""
    return sum(": Copied (" in line for line in said.stderr.splitlines())


def test_a_tree_goes_up_twice_and_comes_back(rclone, tree, tmp_path, kept):
    assert moved(rclone("sync", tree.root, rclone.at())) == len(tree.digests)
    assert moved(rclone("sync", tree.root, rclone.at())) == 0
    rclone("check", tree.root, rclone.at())
    rclone("check", "--download", tree.root, rclone.at())
    rclone("copy", rclone.at(), tmp_path / "back")
    tree.same_as(tmp_path / "back")
    kept()


def test_hashes_and_sizes_are_those_of_the_files(rclone, tree):
    rclone("copy", tree.root, rclone.at())
    listed = json.loads(rclone("lsjson", "-R", "--hash", "--files-only", rclone.at()).stdout)
    assert {one["Path"]: one["Size"] for one in listed} == tree.sizes()
    local = rclone("hashsum", "quickxor", "--base64", tree.root / "sizes").stdout
    there = rclone("hashsum", "quickxor", "--base64", rclone.at("sizes")).stdout
    assert sorted(local.splitlines()) == sorted(there.splitlines()) != []


def test_a_changed_file_alone_goes_up(rclone, tree, tmp_path):
    rclone("sync", tree.root, rclone.at())
    tree.write("plain.txt", 5_000)
    (tree.root / ".hidden").unlink()
    del tree.digests[".hidden"]
    assert moved(rclone("sync", tree.root, rclone.at())) == 1
    rclone("copy", rclone.at(), tmp_path / "back")
    tree.same_as(tmp_path / "back")


def test_server_side_copy_and_move(rclone, tree, tmp_path):
    rclone("copy", tree.root / "sizes", rclone.at("a"))
    rclone("copy", rclone.at("a"), rclone.at("b"))
    rclone("moveto", rclone.at("b/65536.bin"), rclone.at("c/renamed.bin"))
    rclone("moveto", rclone.at("a"), rclone.at("d"))
    rclone("check", "--one-way", rclone.at("b"), rclone.at("d"))
    rclone("check", tree.root / "sizes", rclone.at("d"))
    rclone("copyto", rclone.at("c/renamed.bin"), tmp_path / "renamed")
    assert (tmp_path / "renamed").read_bytes() == (tree.root / "sizes/65536.bin").read_bytes()


def test_ranges(rclone, tree):
    rclone("copy", tree.root / "sizes", rclone.at("a"))
    whole = (tree.root / "sizes/327681.bin").read_bytes()
    tool = program("rclone", "tests/run --install")
    for first, count in ((0, 1), (65_535, 2), (327_680, 1), (100, 70_000)):
        done = subprocess.run(
            [tool, "--config", rclone.config, "--ca-cert", rclone.way.ca, "cat", "--offset", str(first), "--count", str(count), rclone.at("a/327681.bin")],
            capture_output=True,
            env={**os.environ, **rclone.way.environment},
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == whole[first : first + count]


def test_old_versions_are_cleaned_up(rclone, way, tree):
    rclone("copy", tree.root / "plain.txt", rclone.at())
    tree.write("plain.txt", 4_000)
    rclone("copy", tree.root / "plain.txt", rclone.at())
    url = f"/me/drive/root:/{rclone.place}/plain.txt:/versions"
    assert len(way.json("GET", url)["value"]) > 1
    rclone("cleanup", rclone.at())
    assert len(way.json("GET", url)["value"]) == 1


def test_about_links_and_removal(rclone, tree):
    rclone("copy", tree.root / "sizes", rclone.at("a"))
    assert json.loads(rclone("about", "--json", "cloud:").stdout)["used"] > 0
    assert rclone("link", rclone.at("a/1.bin")).stdout.startswith("https://")
    rclone("deletefile", rclone.at("a/1.bin"))
    rclone("purge", rclone.at("a"))
    assert rclone("lsf", rclone.at("a"), check=False).returncode != 0


def test_stream_of_unknown_length(rclone, way, tmp_path, canary):
    data = canary.content(11 * MIB, "stream")
    (tmp_path / "source").write_bytes(data)
    tool = program("rclone", "tests/run --install")
    way.run("sh", "-c", f"cat source | {tool} --config {rclone.config} --ca-cert {way.ca} rcat {rclone.at('streamed')}", folder=tmp_path)
    rclone("copyto", rclone.at("streamed"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


def test_through_the_hosts_of_the_tenant(way, tmp_path, place, tree):
    """`tenant_url`: nothing goes to graph.microsoft.com."""
    url = "https://contoso-my.sharepoint.com/personal/adele_contoso_onmicrosoft_com/_api"
    tenant = Rclone(way, tmp_path, place, tenant_url=url)
    before = way.cloud.last_request()
    tenant("copy", tree.root / "sizes", tenant.at("a"))
    tenant("check", tree.root / "sizes", tenant.at("a"))
    hosts = {one["host"] for one in way.cloud.requests(before)}
    assert hosts == {"contoso-my.sharepoint.com"}


@pytest.mark.parametrize("form", ["open", "closed"])
@pytest.mark.parametrize("at", ["head", "body", "before-change", "after-change", "answer-head", "status", "status-after-change"])
def test_uploads_outlive_faults(rclone, way, tmp_path, canary, at, form):
    """Of the second of three fragments."""
    way.cloud.switch(ranges_form=form)
    data = canary.content(25 * MIB, at)
    (tmp_path / "large.bin").write_bytes(data)
    way.cloud.fault(at, method="PUT", target="uploadSession", skip=1, bytes=10 if at == "answer-head" else 3_000_000, status=503)
    rclone("copy", tmp_path / "large.bin", rclone.at())
    rclone("copyto", rclone.at("large.bin"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


def test_downloads_outlive_faults(rclone, way, tmp_path, canary):
    data = canary.content(5 * MIB, "down")
    (tmp_path / "file.bin").write_bytes(data)
    rclone("copy", tmp_path / "file.bin", rclone.at())
    way.cloud.fault("answer-body", target="download.aspx", bytes=1_000_000)
    rclone("copyto", rclone.at("file.bin"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == data


def test_too_many_requests(rclone, way, tree, tmp_path):
    way.cloud.fault("status", host="graph.microsoft.com", status=429, retry_after="1", times=2)
    rclone("copy", tree.root / "sizes", rclone.at("a"))
    rclone("check", tree.root / "sizes", rclone.at("a"))
