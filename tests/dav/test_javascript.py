"""The npm `webdav` client."""

import json
import os
import subprocess
from pathlib import Path

from providers import PASSWORD, USER
from harness.servers import program

DRIVER = Path(__file__).parent / "js"


def test_npm_webdav(way, canary, tmp_path):
    node = program("node", "apt-get install nodejs")
    assert (DRIVER / "node_modules" / "webdav").exists(), f"webdav is missing; install it: npm ci --prefix {DRIVER}"
    source = tmp_path / "source"
    source.write_bytes(canary.content(700_000, "npm"))
    done = subprocess.run(
        [node, DRIVER / "driver.mjs", way.url, USER, PASSWORD, source, tmp_path / "back"], capture_output=True, text=True, timeout=120,
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(way.ca)},
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen == {"size": 700_000, "part": 10, "names": ["a", "b"], "exists": False}
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
