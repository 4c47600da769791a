"""abraunegg's onedrive 2.4.23. It goes to Microsoft's hosts and trusts the system's authorities: a mount namespace of its own gives it ours."""

import hashlib
import os

import pytest
from cloud import GRAPH
from harness.material import MIB, Tree
from harness.servers import program

pytestmark = pytest.mark.usefixtures("fronted")

NAMES = ["plain.txt", "with spaces in it.txt", "plus+and+plus.bin", "ümläut/éàç/文件-ファイル.bin", "a&b=c;d,e@f$h!i.bin", "deep/a/b/c/leaf.bin"]
SIZES = (1, 65_536, 65_537, 4 * MIB, 4 * MIB + 1, 10 * MIB + 1)
# over HTTP/2 its libcurl sends more of a file than the fragment that it announced, which is malformed (RFC 9113 section 8.1.1)
ONE = 'force_http_11 = "true"\n'
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


class Onedrive:
    """Synchronises the whole drive of a user whom no other test has."""

    def __init__(self, way, folder):
        self.way = way
        self.settings, self.folder = folder / "settings", folder / "OneDrive"
        for made in (self.settings, self.folder):
            made.mkdir(parents=True)
        (self.settings / "refresh_token").write_text("refresh-alex")
        (self.settings / "config").write_text(f'sync_dir = "{self.folder}"\ncheck_nosync = "false"\nclassify_as_big_delete = "1000"\n{ONE}')

    def __call__(self, *arguments, check=True):
        tool = program("onedrive", "apt-get install --no-install-recommends onedrive")
        alone = [] if os.geteuid() == 0 else ["--map-root-user"]
        script = f'mount --bind "$0" {AUTHORITIES} && exec "$@"'
        command = ["unshare", "--mount", *alone, "sh", "-c", script, self.way.ca, tool]
        command += ["--confdir", self.settings, "--verbose", *arguments]
        done = self.way.run(*command, check=False, HOME=str(self.settings))
        said = done.stdout + done.stderr
        assert not check or (done.returncode == 0 and "ERROR" not in said), f"{done.returncode}\n{said[-6000:]}"
        return said


@pytest.fixture
def onedrive(way, direct, tmp_path):
    # documented to be left away; this client needs it
    way.cloud.switch(delta_path=True)
    for item in direct.json("GET", "/me/drive/root/children", token="token-of-alex")["value"]:
        direct.ask("DELETE", f"{GRAPH}/me/drive/items/{item['id']}", token="token-of-alex")
    return Onedrive(way, tmp_path / "one")


@pytest.fixture
def second(way, tmp_path):
    return Onedrive(way, tmp_path / "two")


def test_a_tree_goes_up_and_comes_back_elsewhere(onedrive, second, canary, kept):
    tree = Tree(onedrive.folder, canary, NAMES, SIZES)
    onedrive("--synchronize")
    tree.same_as(onedrive.folder)
    second("--synchronize", "--download-only")
    tree.same_as(second.folder)
    kept()


def test_nothing_is_carried_twice(onedrive, way, canary):
    Tree(onedrive.folder, canary, NAMES, (65_537, 4 * MIB + 1))
    onedrive("--synchronize")
    before = way.cloud.last_request()
    onedrive("--synchronize")
    carried = [one for one in way.cloud.requests(before) if one["method"] == "PUT" or "download.aspx" in one["target"]]
    assert carried == []


def test_changes_go_both_ways(onedrive, second, canary):
    tree = Tree(onedrive.folder, canary, NAMES, (1, 4 * MIB + 1))
    onedrive("--synchronize")
    second("--synchronize")
    theirs = Tree(second.folder, canary, [], [])
    theirs.digests = dict(tree.digests)
    theirs.write("plain.txt", 7_000)
    theirs.write(f"sizes/{4 * MIB + 1}.bin", 5 * MIB)
    (second.folder / "plus+and+plus.bin").unlink()
    del theirs.digests["plus+and+plus.bin"]
    second("--synchronize")
    onedrive("--synchronize")
    theirs.same_as(onedrive.folder)


def test_resync(onedrive, canary):
    tree = Tree(onedrive.folder, canary, NAMES, (65_537, 4 * MIB + 1))
    onedrive("--synchronize")
    onedrive("--synchronize", "--resync", "--resync-auth")
    tree.same_as(onedrive.folder)


def test_an_interrupted_upload_goes_on(onedrive, way, canary):
    data = canary.content(25 * MIB, "onedrive")
    (onedrive.folder / "large.bin").write_bytes(data)
    way.cloud.fault("body", method="PUT", target="uploadSession", skip=1, bytes=3_000_000)
    onedrive("--synchronize", check=False)
    onedrive("--synchronize")
    stored = way.json("GET", "/me/drive/root:/large.bin", token="token-of-alex")
    assert stored["size"] == len(data)
    assert hashlib.sha256((onedrive.folder / "large.bin").read_bytes()).digest() == hashlib.sha256(data).digest()
