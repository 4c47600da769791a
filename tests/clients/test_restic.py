"""restic: a backup, its verification down to the last byte, its restoration, and what forgetting leaves."""

import json
import os
import subprocess

import pytest

from harness.material import MIB, Tree
from harness.servers import program


@pytest.fixture
def restic(way, tmp_path):
    bucket = way.bucket()

    def run(*arguments):
        done = subprocess.run(
            [
                program("restic", "apt-get install --no-install-recommends restic"),
                "--cacert",
                way.endpoint.ca,
                "--no-cache",
                "-r",
                f"s3:{way.endpoint.url}/{bucket}/repository",
                *arguments,
            ],
            capture_output=True,
            text=True,
            timeout=300,
            env={
                **os.environ,
                "HOME": str(tmp_path),
                "RESTIC_PASSWORD": "backup",
                "AWS_ACCESS_KEY_ID": way.endpoint.access_key,
                "AWS_SECRET_ACCESS_KEY": way.endpoint.secret_key,
                "AWS_DEFAULT_REGION": "us-east-1",
            },
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_a_backup_comes_back(restic, way, tmp_path):
    tree = Tree(tmp_path / "source", way.canary)
    tree.write("more.bin", 20 * MIB)
    restic("init")
    restic("backup", tree.root)
    second = restic("backup", "--json", tree.root).splitlines()[-1]
    assert json.loads(second)["data_blobs"] == 0, "the second backup stored something"
    restic("check", "--read-data")
    restic("restore", "latest", "--target", tmp_path / "restored")
    tree.same_as(tmp_path / "restored" / tree.root.relative_to("/"))
    restic("forget", "--keep-last", "1", "--prune")
    restic("check")
    assert len(json.loads(restic("snapshots", "--json"))) == 1
