"""`sceau seal-tree` on real servers: an estate that lay there before is sealed where it lies, and nothing of it is lost."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import uuid
from urllib.parse import quote, unquote

import pytest
import requests
from harness.material import BOUNDARIES, NAMES, Canary
from providers import PASSWORD, USER
from harness.servers import sceau
from tampering import Cut, Tampering

MAGIC = b"\xd3SC1"
MARK = ".sceau-n1"


class Estate:
    """A directory at the provider, asked directly and through the gateway, and the command before a proxy."""

    def __init__(self, provider, gate, home, proxy, host):
        self.provider, self.gate, self.home, self.proxy, self.host = provider, gate, home, proxy, host
        self.root = uuid.uuid4().hex[:12]
        self.direct = self.session(provider.ca)
        self.through = self.session(gate.ca)
        self.put_directory("")

    @staticmethod
    def session(ca):
        session = requests.Session()
        session.trust_env = False
        session.auth, session.verify = (USER, PASSWORD), str(ca)
        session.headers["Accept-Encoding"] = "identity"
        return session

    def url(self, path, through=False):
        host, port = (self.host, self.gate.port) if through else ("localhost", self.provider.port)
        return f"https://{host}:{port}/{self.root}" + (f"/{quote(path)}" if path else "")

    def put_directory(self, path, through=False):
        session = self.through if through else self.direct
        assert session.request("MKCOL", self.url(path, through)).status_code in (201, 405)

    def put(self, path, data, through=False):
        parts = path.split("/")
        for depth in range(0, len(parts)):
            self.put_directory("/".join(parts[:depth]), through)
        session = self.through if through else self.direct
        assert session.put(self.url(path, through), data=data).status_code in (201, 204)

    def get(self, path):
        answer = self.direct.get(self.url(path))
        return answer.content if answer.status_code == 200 else None

    def reads(self, path, data):
        """Through the gateway it is what it was."""
        answer = self.through.get(self.url(path, True))
        assert answer.status_code == 200, (path, answer.text)
        assert hashlib.sha256(answer.content).digest() == hashlib.sha256(data).digest(), path

    @property
    def stored(self):
        return self.provider.data / self.root

    def start(self, *options, path="", **more):
        target = f"https://{self.host}/{self.root}" + (f"/{quote(path)}" if path else "")
        command = [sceau(), "seal-tree", target, "--config", self.home, "--user", USER, "--json", *options]
        environment = {**os.environ, "SCEAU_PASSWORD": PASSWORD, **more}
        return subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )

    def run(self, *options, exits=0, path=""):
        child = self.start(*options, path=path)
        out, err = child.communicate(timeout=240)
        assert child.returncode == exits, (child.returncode, out, err)
        assert "panicked" not in err
        return json.loads(out)

    def leftovers(self):
        return [str(path) for path in self.stored.rglob("*") if MARK in path.name]


@pytest.fixture(scope="session")
def proxy(provider):
    proxy = Tampering(provider)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def home(gate, provider, proxy, run_folder):
    """The gateway's configuration and its keys, with the proxy in the provider's place."""
    ours, theirs = run_folder / f"proxied-{provider.name}", run_folder / f"before-{provider.name}" / "gateway"
    shutil.copytree(theirs, ours, ignore=shutil.ignore_patterns("keys", "state"))
    (ours / "keys").symlink_to(theirs / "keys")
    for service in (ours / "services.d").iterdir():
        service.write_text(service.read_text().replace(f"localhost:{provider.port}", f"localhost:{proxy.port}"))
    return ours


@pytest.fixture
def canary():
    """Of one test: what others left unsealed is none of it."""
    return Canary("estate")


@pytest.fixture
def estate(provider, gate, home, proxy):
    proxy.reset()
    yield Estate(provider, gate, home, proxy, "localhost")
    proxy.reset()


@pytest.fixture
def named(provider, gate, home, proxy):
    proxy.reset()
    yield Estate(provider, gate, home, proxy, "names.localhost")
    proxy.reset()


def tree(provider, canary):
    # WsgiDAV cuts a destination off at a semicolon: test_a_destination_that_is_misread
    names = [name for name in NAMES if provider.name != "wsgidav" or ";" not in name]
    files = {name: canary.content(1_000 + number, name) for number, name in enumerate(names)}
    files |= {f"sizes/{size}.bin": canary.content(size, "size") for size in BOUNDARIES}
    return files


def test_a_tree_is_sealed_where_it_lies(estate, canary):
    files = tree(estate.provider, canary)
    for path, data in files.items():
        estate.put(path, data)
    already = canary.content(70_000, "already")
    estate.put("deep/already.bin", already, through=True)
    foreign = canary.content(5_000, "foreign")
    answer = estate.through.put(f"https://legacy.localhost:{estate.gate.port}/{estate.root}/foreign.bin", data=foreign)
    assert answer.status_code in (201, 204)
    other = estate.get("foreign.bin")
    before = {str(path): path.read_bytes() for path in estate.stored.rglob("*") if path.is_file()}
    # the control: what must not be found afterwards is found now
    assert len(canary.files_with(estate.stored)) == sum(len(data) >= len(canary.text) for data in files.values())

    said = estate.run("--dry-run", exits=7)
    assert (said["files"], said["bytes"]) == (len(files), sum(map(len, files.values())))
    assert {item["file"] for item in said["to_seal"]} == {f"/{estate.root}/{path}" for path in files}
    assert said["already"] == 1 and [item["class"] for item in said["left"]] == ["foreign"]
    assert before == {str(path): path.read_bytes() for path in estate.stored.rglob("*") if path.is_file()}

    said = estate.run(exits=7)
    assert (said["files"], said["bytes"]) == (len(files), sum(map(len, files.values()))), said
    assert said["already"] == 1
    assert [(item["file"], item["class"]) for item in said["left"]] == [(f"/{estate.root}/foreign.bin", "foreign")]
    assert said["conditions_honoured"] == (estate.provider.name == "apache")
    assert "Older versions" in said["remains"]
    for path, data in {**files, "deep/already.bin": already}.items():
        estate.reads(path, data)
    assert estate.get("foreign.bin") == other
    assert not canary.files_with(estate.stored)
    assert not estate.leftovers()

    again = estate.run(exits=7)
    assert (again["files"], again["already"]) == (0, len(files) + 1)


def test_one_file_and_times(estate, canary):
    """Where the provider lets it, a file keeps the time of its last change."""
    data = canary.content(1_000, "one")
    for name in ("one", "two"):
        estate.put(name, data)
        os.utime(estate.stored / name, (1_500_000_000, 1_500_000_000))
    said = estate.run(path="one")
    assert said["files"] == 1 and estate.get("two") == data
    estate.reads("one", data)
    kept = int((estate.stored / "one").stat().st_mtime) == 1_500_000_000
    assert said["times_lost"] == int(not kept)


def names_below(folder):
    return {part for path in folder.rglob("*") for part in path.relative_to(folder).parts}


def test_names_are_sealed_too(named, canary):
    files = tree(named.provider, canary)
    for path, data in files.items():
        named.put(path, data)
    clear = names_below(named.stored)
    others = set(named.provider.data.rglob("*")) - set(named.stored.rglob("*"))
    assert {"plain.txt", "sizes", "deep"} <= clear
    # somebody made a directory of the same name through the gateway, and a file in it
    named.put("sizes/later.bin", b"later", through=True)
    dry = named.run("--dry-run")
    assert dry["files"] == len(files)
    said = named.run()
    assert said["files"] == len(files)
    for path, data in {**files, "sizes/later.bin": b"later"}.items():
        named.reads(path, data)
    assert not canary.files_with(named.provider.data)
    assert not named.stored.exists(), "its own name is sealed too"
    new = {path.name for path in set(named.provider.data.rglob("*")) - others}
    assert len(new) > len(clear) and not new & clear
    again = named.run()
    assert (again["files"], again["renamed"], again["already"]) == (0, 0, len(files) + 1)


def test_long_names_are_sealed_too(named, canary):
    """Too long to be sealed in place: a digest stands there, and a file beside it tells any gateway the name."""
    directory, name = "é" * 80, "f" * 200 + ".txt"
    data, before = canary.content(2_000, "long"), set(named.provider.data.rglob("*"))
    named.put(f"{directory}/{name}", data)
    said = named.run()
    assert (said["files"], said["left"]) == (1, [])
    named.reads(f"{directory}/{name}", data)
    for path, member in (("", directory), (directory, name)):
        listing = named.through.request("PROPFIND", named.url(path, True), headers={"Depth": "1"})
        assert f"/{quote(member)}" in listing.text, listing.text
    assert not canary.files_with(named.provider.data)
    new = {path.name for path in set(named.provider.data.rglob("*")) - before}
    assert sorted(name[:2] for name in new) == ["n1", "n2", "n2", "n3", "n3"]
    again = named.run()
    assert (again["files"], again["renamed"], again["left"]) == (0, 0, [])


def test_a_name_that_is_taken(named, canary):
    """A file that was made under the same name through the gateway stays, and so does the old one, sealed."""
    old, new = canary.content(2_000, "old"), canary.content(3_000, "new")
    before = set(named.provider.data.rglob("a"))
    named.put("d/a", old)
    named.put("d/a", new, through=True)
    said = named.run(exits=1)
    assert [item["class"] for item in said["left"]] == ["name-taken"]
    named.reads("d/a", new)
    assert not canary.files_with(named.provider.data)
    sealed = [path for path in named.provider.data.rglob("a") if path.is_file() and path not in before]
    assert len(sealed) == 1 and sealed[0].read_bytes().startswith(MAGIC)


SMALL = {"empty": 0, "d/one": 70_000, "d/e/two": 131_072, "three é": 10}


def killed(estate, number, late):
    """Runs the command and kills it as its nth request comes, or before it is answered. Says whether it came so far."""
    child = None

    def kill(request, *_):
        if request["number"] == number:
            child.send_signal(signal.SIGKILL)
            child.wait()
            raise Cut

    estate.proxy.reset()
    setattr(estate.proxy, "after" if late else "before", kill)
    child = estate.start("--jobs", "2")
    child.communicate(timeout=60)
    estate.proxy.reset()
    assert child.returncode in (0, -9)
    return child.returncode == -9


@pytest.mark.parametrize("sealed_names", [False, True], ids=["clear", "sealed"])
def test_killed_anywhere_it_is_completed_by_another_run(provider, gate, home, proxy, canary, sealed_names):
    host = "names.localhost" if sealed_names else "localhost"
    files = {path: canary.content(size, path) for path, size in SMALL.items()}
    # every request of a run: `tests/webdav/estate.rs`
    numbers = range(1 + len(provider.name) % 3, 45, 15)
    kills = 0
    for number in numbers:
        for late in (False, True):
            estate = Estate(provider, gate, home, proxy, host)
            for path, data in files.items():
                estate.put(path, data)
            kills += killed(estate, number, late)
            if not sealed_names:
                # wherever it was killed each file is there, whole, in clear or sealed
                for path, data in files.items():
                    found = estate.get(path)
                    assert found == data or found.startswith(MAGIC), (number, late, path)
            said = estate.run()
            for path, data in files.items():
                estate.reads(path, data)
            assert not said["left"]
            assert not [path for path in provider.data.rglob(f"*{MARK}*")], (number, late)
            assert not canary.files_with(provider.data), (number, late)
    assert kills > len(numbers)


@pytest.mark.parametrize("sealed_names", [False, True], ids=["clear", "sealed"])
def test_a_destination_that_is_misread(provider, gate, home, proxy, canary, sealed_names):
    """No other file is replaced in place of one whose name the provider misreads."""
    proxy.reset()
    estate = Estate(provider, gate, home, proxy, "names.localhost" if sealed_names else "localhost")
    one, other = canary.content(2_000, "one"), canary.content(3_000, "other")
    estate.put("report;v2.txt", one)
    estate.put("report", other)
    misread = provider.name == "wsgidav" and not sealed_names
    said = estate.run(exits=6 if provider.name == "wsgidav" else 0)
    classes = [item["class"] for item in said["left"]]
    if provider.name == "wsgidav":
        assert classes == ["destination-misread"]
        estate.reads("report", other)
        held = [path.read_bytes() for path in provider.data.rglob("report;v2.txt")]
        assert held.count(one) == 1
    else:
        assert not classes
        estate.reads("report", other)
        estate.reads("report;v2.txt", one)


def hook(estate, when, method, chosen, act):
    """Calls `act(request, answer)` for the first request of the method that is chosen."""
    fired = []

    def called(request, *answer):
        if request["method"] == method and chosen(request) and not fired:
            fired.append(request)
            act(request, *answer)

    setattr(estate.proxy, when, called)
    return fired


def of_temporary(request):
    """Not one of those that try the provider out."""
    name = unquote(request["path"]).rsplit("/", 1)[1]
    return MARK in name and not name.startswith(MARK)


def back(estate, path, seconds):
    """As if it had been written before."""
    stored = estate.stored / path
    os.utime(stored, (stored.stat().st_mtime - seconds,) * 2)


@pytest.mark.parametrize("old", [False, True], ids=["just-written", "old"])
@pytest.mark.parametrize("length", [2_000, 3_000])
def test_a_file_that_changes_meanwhile_is_not_lost(estate, canary, old, length):
    """Just before it is replaced where the provider honours conditions, and as it is verified where it does not."""
    first, second = canary.content(2_000, "first"), canary.content(length, "second")
    estate.put("d/a", first)
    if old:
        back(estate, "d/a", 3600)
    change = lambda *_: estate.put("d/a", second)
    late = estate.provider.name == "apache"
    fired = hook(estate, "before", "MOVE" if late else "GET", of_temporary, change)
    said = estate.run(exits=1)
    assert fired and [item["class"] for item in said["left"]] == ["changed"]
    assert estate.get("d/a") == second and not estate.leftovers()
    estate.proxy.reset()
    assert estate.run()["files"] == 1
    estate.reads("d/a", second)


def test_a_file_that_goes_meanwhile_does_not_come_back(estate, canary):
    estate.put("d/a", canary.content(2_000, "gone"))
    remove = lambda *_: estate.direct.delete(estate.url("d/a"))
    fired = hook(estate, "before", "GET", of_temporary, remove)
    estate.run(exits=1)
    assert fired and estate.get("d/a") is None and not estate.leftovers()


@pytest.mark.parametrize("place", [2, 40, 127, 200, 70_000, -300, -1])
def test_a_provider_that_damages_what_it_stores_keeps_the_original(estate, canary, place):
    data = canary.content(140_000, "flip")
    estate.put("a", data)

    def flip(request):
        body = bytearray(request["body"])
        body[place] ^= 1
        request["body"] = bytes(body)

    fired = hook(estate, "before", "PUT", of_temporary, flip)
    said = estate.run(exits=7)
    assert fired and [item["class"] for item in said["left"]] == ["verification-failed"]
    assert estate.get("a") == data and not estate.leftovers()


def test_a_provider_that_mixes_its_files_up_keeps_the_originals(estate, canary):
    """A sealed form that opens, and is another file's."""
    files = {name: canary.content(2_000, name) for name in ("a", "b")}
    for name, data in files.items():
        estate.put(name, data)
    bodies = []

    def swap(request):
        if request["method"] == "PUT" and of_temporary(request):
            bodies.append(request["body"])
            request["body"] = bodies[0]

    estate.proxy.before = swap
    said = estate.run("--jobs", "1", exits=7)
    assert [item["class"] for item in said["left"]] == ["verification-failed"]
    assert len(bodies) == 2 and sum(estate.get(name) == data for name, data in files.items()) == 1


def test_a_server_that_dies_between_removing_and_moving(estate, canary):
    """Apache and others remove what a MOVE replaces, then move: what was to take the place is found by its name."""
    data = canary.content(100_000, "dies")
    estate.put("d/a é", data)

    def die(request):
        estate.direct.delete(estate.url("d/a é"))
        raise Cut

    fired = hook(estate, "before", "MOVE", of_temporary, die)
    said = estate.run(exits=6)
    assert fired and said["left"] and len(estate.leftovers()) == 1
    assert estate.get("d/a é") is None
    estate.proxy.reset()
    said = estate.run()
    assert said["recovered"] == 1 and not estate.leftovers()
    estate.reads("d/a é", data)


def test_a_move_that_is_not_made(estate, canary):
    """The provider says that it replaced the file."""
    data = canary.content(2_000, "says")
    estate.put("a", data)

    def say(request):
        request["headers"].replace_header("Destination", request["headers"]["Destination"] + "-elsewhere")

    fired = hook(estate, "before", "MOVE", of_temporary, say)
    said = estate.run(exits=6)
    assert fired and said["files"] == 0 and [item["class"] for item in said["left"]] == ["not-replaced"]
    assert estate.get("a") == data


def test_an_interrupt_ends_after_the_files_in_hand(estate, canary):
    files = {f"{number}": canary.content(2_000, number) for number in range(6)}
    for path, data in files.items():
        estate.put(path, data)
    child = None
    fired = hook(estate, "before", "PUT", of_temporary, lambda *_: child.send_signal(signal.SIGINT))
    child = estate.start("--jobs", "1")
    out, err = child.communicate(timeout=60)
    assert child.returncode == 1 and fired, err
    said = json.loads(out)
    assert said["stopped"] and said["files"] == 1 and not estate.leftovers()
    assert estate.run()["files"] == 5
    for path, data in files.items():
        estate.reads(path, data)


def test_a_locked_file_stays_and_the_others_go_on(estate, canary):
    files = {name: canary.content(2_000, name) for name in ("a", "b")}
    for path, data in files.items():
        estate.put(path, data)
    info = '<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>'
    answer = estate.direct.request("LOCK", estate.url("a"), data=info, headers={"Timeout": "Second-600"})
    assert answer.status_code == 200
    said = estate.run(exits=6)
    assert [item["file"] for item in said["left"]] == [f"/{estate.root}/a"] and "423" in said["left"][0]["error"]
    assert estate.get("a") == files["a"] and not estate.leftovers()
    estate.reads("b", files["b"])
    token = answer.headers["lock-token"]
    assert estate.direct.request("UNLOCK", estate.url("a"), headers={"Lock-Token": token}).status_code == 204
    assert estate.run()["files"] == 1
    estate.reads("a", files["a"])


def test_a_user_s_file_is_taken_for_no_temporary(estate, canary):
    """Nothing is removed by the look of its name."""
    data = canary.content(2_000, "look")
    names = ["a.sceau-n1", "a.sceau-0123456789abcdef", ".sceau-" + "n1" + "0" * 52]
    for name in names:
        estate.put(name, data)
    estate.put("a", data)
    said = estate.run()
    assert said["files"] == 4 and said["leftovers_removed"] == said["recovered"] == 0
    for name in [*names, "a"]:
        estate.reads(name, data)


def test_what_the_command_line_refuses(estate):
    def exits(code, *arguments):
        done = subprocess.run([sceau(), "seal-tree", *arguments], capture_output=True, text=True, env={**os.environ, "SCEAU_PASSWORD": PASSWORD})
        assert done.returncode == code, (arguments, done.stderr)
        return done.stderr

    config = ["--config", str(estate.home)]
    assert "nowhere" in exits(2, "https://nowhere.example/", *config)
    assert "--user" in exits(2, f"https://{USER}:{PASSWORD}@localhost/", *config)
    assert "Nothing is there" in exits(2, f"https://localhost/{estate.root}/not-there", *config, "--user", USER)
    assert "401" in exits(6, f"https://localhost/{estate.root}", *config)
    assert "401" in exits(6, f"https://localhost/{estate.root}", *config, "--user", "mallory")
