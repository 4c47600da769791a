"""What a client may rely on, directly and through the gateway; and what the provider then holds."""

import uuid
import xml.etree.ElementTree as tree
from urllib.parse import quote, unquote

import pytest
import requests
from material import BOUNDARIES, MIB, NAMES


def listed(answer):
    """{path: length or None} of a multistatus."""
    assert answer.status_code == 207
    found = {}
    for response in tree.fromstring(answer.content).iter("{DAV:}response"):
        length = response.find(".//{DAV:}getcontentlength")
        text = None if length is None else length.text
        found[unquote(response.find("{DAV:}href").text)] = int(text) if text else None
    return found


def test_sizes(way, canary):
    sizes = [*BOUNDARIES, 8 * MIB + 7]
    for size in sizes:
        data = canary.content(size, "sizes")
        assert way.ask("PUT", f"/{size}", data=data).status_code in (201, 204)
        answer = way.ask("GET", f"/{size}")
        assert answer.status_code == 200 and answer.content == data
        # Apache leaves it out where there is nothing
        assert way.ask("HEAD", f"/{size}").headers.get("content-length", "0") == str(size)
    found = listed(way.ask("PROPFIND", "/", headers={"Depth": "1"}))
    for size in sizes:
        assert found[f"/{way.folder}/{size}"] == size
    sealed = not canary.files_with(way.stored)
    assert sealed == way.through_gateway, "the canary is found where it must not be, or not where it is"


def test_ranges(way, canary):
    data = canary.content(400_000, "ranges")
    way.ask("PUT", "/a", data=data)
    way.ask("PUT", "/chunked", data=iter([data[:100_000], data[100_000:]]))
    for path in ("/a", "/chunked"):
        for field, part in (
            ("0-0", data[:1]), ("65535-65536", data[65_535:65_537]), ("-7", data[-7:]), ("399990-", data[-10:]),
            ("100000-299999", data[100_000:300_000]),
        ):
            answer = way.ask("GET", path, headers={"Range": f"bytes={field}"})
            assert answer.status_code == 206 and answer.content == part, field
            assert answer.headers["content-range"].endswith("/400000")
        assert way.ask("GET", path, headers={"Range": "bytes=400000-"}).status_code == 416


@pytest.mark.parametrize("name", NAMES)
def test_names(way, canary, name):
    path = "/" + quote(name)
    parts = name.split("/")
    for depth in range(1, len(parts)):
        way.ask("MKCOL", "/" + quote("/".join(parts[:depth])))
    data = canary.content(1_000, name)
    assert way.ask("PUT", path, data=data).status_code in (201, 204)
    assert way.ask("GET", path).content == data
    found = listed(way.ask("PROPFIND", path, headers={"Depth": "0"}))
    assert found == {f"/{way.folder}/{name}": 1_000}


def test_copies_moves_and_collections(way, canary):
    data = canary.content(100_000, "moves")
    assert way.ask("MKCOL", "/d").status_code == 201
    way.ask("PUT", "/d/a", data=data)
    to = lambda path: {"Destination": way.url + path}
    assert way.ask("COPY", "/d/a", headers=to("/d/b")).status_code == 201
    assert way.ask("MOVE", "/d", headers=to("/e")).status_code == 201
    assert way.ask("GET", "/e/a").content == data
    assert way.ask("GET", "/e/b").content == data
    assert way.ask("COPY", "/e", headers=to("/f")).status_code == 201
    assert way.ask("COPY", "/e/a", headers={**to("/e/b"), "Overwrite": "F"}).status_code == 412
    found = listed(way.ask("PROPFIND", "/", headers={"Depth": "infinity"}))
    files = {path for path, length in found.items() if length == 100_000}
    assert files == {f"/{way.folder}/{path}" for path in ("e/a", "e/b", "f/a", "f/b")}
    assert way.ask("DELETE", "/e").status_code == 204
    assert way.ask("GET", "/e/a").status_code == 404


def test_locks(way):
    info = '<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype><owner>me</owner></lockinfo>'
    answer = way.ask("LOCK", "/new", data=info, headers={"Timeout": "Second-60"})
    # Apache says 200
    assert answer.status_code in (200, 201)
    token = answer.headers["lock-token"]
    assert way.name == "direct" or f":{way.provider.port}" not in answer.text
    answer = way.ask("GET", "/new")
    # RFC 4918 wants an empty file; Apache makes none, so the gateway does
    assert (answer.status_code, answer.content) == (200, b"") or way.name == "direct"
    assert way.ask("PUT", "/new", data=b"without").status_code == 423
    held = {"If": f"<{way.url}/new> ({token})"}
    assert way.ask("PUT", "/new", data=b"with", headers=held).status_code in (201, 204)
    assert way.ask("UNLOCK", "/new", headers={"Lock-Token": token}).status_code == 204
    assert way.ask("PUT", "/new", data=b"after").status_code in (201, 204)
    assert way.ask("GET", "/new").content == b"after"


def test_conditions(way):
    """rclone ignores them on writes: there the gateway looks itself."""
    heeds = way.through_gateway or way.provider.name != "rclone"
    way.ask("PUT", "/a", data=b"first")
    for field in ({"If-None-Match": "*"}, {"If-Match": '"other"'}):
        assert (way.ask("PUT", "/a", data=b"second", headers=field).status_code == 412) == heeds
    assert way.ask("GET", "/a").content == (b"first" if heeds else b"second")
    tag = way.ask("HEAD", "/a").headers["etag"]
    assert way.ask("GET", "/a", headers={"If-None-Match": tag}).status_code == 304


def test_partial_writes_are_refused(way):
    """Apache writes into the file, rclone takes the part for the whole, WsgiDAV refuses."""
    if not way.through_gateway:
        return
    way.ask("PUT", "/a", data=b"first")
    assert way.ask("PUT", "/a", data=b"x", headers={"Content-Range": "bytes 0-0/5"}).status_code == 400
    assert way.ask("PATCH", "/a", data=b"x").status_code == 403
    assert way.ask("GET", "/a").content == b"first"


def test_damage_is_refused(way, canary):
    if not way.through_gateway:
        return
    data = canary.content(200_000, "damage")
    way.ask("PUT", "/a", data=data)
    stored = way.stored / "a"
    good = stored.read_bytes()
    for at in (5, 100, 130, 70_000, len(good) - 300, len(good) - 1):
        stored.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
        with pytest.raises((AssertionError, requests.RequestException)):
            answer = way.ask("GET", "/a")
            assert answer.status_code == 200 and answer.content == data
    stored.write_bytes(good)
    assert way.ask("GET", "/a").content == data


def test_what_lies_there_unsealed(way, gate):
    if not way.through_gateway:
        return
    (way.stored / "old").write_bytes(b"from before")
    assert f"/{way.folder}/old" in listed(way.ask("PROPFIND", "/", headers={"Depth": "1"}))
    answer = way.ask("GET", "/old")
    assert answer.status_code == 403 and "object-unsealed" in answer.text and "before" not in answer.text
    answer = way.session.get(f"https://legacy.localhost:{gate.port}/{way.folder}/old")
    assert (answer.status_code, answer.content) == (200, b"from before")


def test_sealed_names(way, gate, canary):
    """The provider moves a directory whose name it does not know."""
    if not way.through_gateway:
        return
    root = f"https://names.localhost:{gate.port}/{uuid.uuid4().hex}"
    ask = lambda method, path, **settings: way.session.request(method, root + path, **settings)
    data = canary.content(1_000, "names")
    for path in ("", "/Entwurf ü"):
        assert ask("MKCOL", path).status_code == 201
    assert ask("PUT", "/Entwurf ü/geheim.txt", data=data).status_code in (201, 204)
    target = {"Destination": root + quote("/Ende")}
    assert ask("MOVE", "/Entwurf ü", headers=target).status_code == 201
    assert ask("GET", "/Ende/geheim.txt").content == data
    found = listed(ask("PROPFIND", "/Ende/", headers={"Depth": "1"}))
    assert {path.rsplit("/", 1)[1]: length for path, length in found.items() if length} == {"geheim.txt": 1_000}
    names = " ".join(str(path) for path in way.provider.data.rglob("*"))
    assert not any(name in names for name in ("Entwurf", "geheim", "Ende", root.rsplit("/", 1)[1]))


def test_long_sealed_names(way, gate, canary):
    """Names too long to be sealed in place, in a directory that has one too, and that the provider moves."""
    if not way.through_gateway:
        return
    root = f"https://names.localhost:{gate.port}/{uuid.uuid4().hex}"
    ask = lambda method, path, **settings: way.session.request(method, root + path, **settings)
    data = canary.content(1_000, "names")
    folder, file = "Vermerk " * 25, "é" * 120 + ".pdf"
    for path in ("", f"/{quote(folder)}"):
        assert ask("MKCOL", path).status_code == 201
    path = f"/{quote(folder)}/{quote(file)}"
    assert ask("PUT", path, data=data).status_code in (201, 204)
    found = listed(ask("PROPFIND", "/", headers={"Depth": "infinity"}))
    assert found[f"{unquote(requests.utils.urlparse(root).path)}/{folder}/{file}"] == 1_000
    # the directory, the file in it, and nothing of the gateway's own
    assert len(found) == 3
    moved = "/" + quote("anders " * 25)
    assert ask("MOVE", f"/{quote(folder)}", headers={"Destination": root + moved}).status_code == 201
    assert ask("GET", f"{moved}/{quote(file)}").content == data
    found = listed(ask("PROPFIND", f"{moved}/", headers={"Depth": "1"}))
    assert {path.rsplit("/", 1)[1]: length for path, length in found.items() if length} == {file: 1_000}
    # what is left has its file beside it, and nothing else
    top = next(path for path in way.provider.data.iterdir() if any(name.name.startswith("n2") for name in path.rglob("*")))
    assert sorted(path.name[:2] for path in top.iterdir() if not path.name.startswith(".")) == ["n2", "n3"]
    assert ask("DELETE", f"{moved}/{quote(file)}").status_code == 204
    assert not [path for path in top.rglob("*") if path.is_file() and ".DAV" not in path.parts and path.parent != top]
    assert ask("PUT", "/" + "n" * 800, data=b"x").status_code == 414
