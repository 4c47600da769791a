"""The npm package @microsoft/microsoft-graph-client."""

import json
from pathlib import Path

import pytest
from harness.material import MIB
from harness.servers import program

DRIVER = Path(__file__).parent / "js"


@pytest.mark.usefixtures("fronted")
def test_microsoft_graph_client(way, place, canary, tmp_path, kept):
    node = program("node", "apt-get install nodejs")
    assert (DRIVER / "node_modules" / "@microsoft").exists(), f"the client is missing; install it: npm ci --prefix {DRIVER}"
    size = 12 * MIB + 7
    source, text = tmp_path / "source", canary.text.decode()
    source.write_bytes(canary.content(size, "npm"))
    done = way.run(node, DRIVER / "driver.mjs", way.port, place, source, tmp_path / "back", text)
    seen = json.loads(done.stdout)
    assert seen["simple"] == 100_000 and seen["large"] == size
    assert seen["names"] == [["large.bin", size], ["renamed.bin", 100_000]]
    assert seen["batch"] == {"1": 200, "2": 404, "3": 424}
    assert seen["mail"] == [text, text] and seen["chat"] == text
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    kept()
