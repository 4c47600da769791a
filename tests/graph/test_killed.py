"""Upload sessions whose gateway is killed: at more than a hundred seeded points, over all that a session goes through.

Before each kill a few dozen sessions are brought each to its own point and halted there: the client sends no further byte, or the provider
reads, does or answers nothing more. Then the gateway gets SIGKILL, the provider goes on with what it has, and the clients go on as
Microsoft's documents say, with the gateway that was started again, with another one on the same state, or with both by turns.

Directly there is no gateway to kill: the provider breaks connections at the same points. That shows that the clients are right, and that the
search for plaintext finds it.
"""

import collections
import json
import random
import sqlite3
import threading
import time

import pytest
from cloud import GRAPH, Broken, Gate, Way, fragment, read_answer
from harness.material import Canary

UNIT = 327_680
SEED = 20_261_124
# how a session comes to its point; of each as many sessions as of any other
KINDS = (
    # the client sends no further byte: no state of this fragment is written
    "client-early",
    "client-late",
    # the last byte comes a few milliseconds before the kill: around the writing of the state, the last byte, the answer
    "race",
    # the provider has a part of the request, or all of it, and has done nothing
    "body",
    "before-change",
    # it has done what was asked, and its answer does not come, or not whole
    "after-change",
    "answer-head",
    # of the last fragment
    "race-last",
    "body-last",
    "body-trailer",
    "before-change-last",
    "after-change-last",
    # when the session is begun
    "begin",
)
# what a gateway, or a provider, that is in trouble may answer
TROUBLE = {404, 408, 409, 416, 423, 429, 500, 502, 503, 504}


class Client(threading.Thread):
    """Uploads one file in fragments, up to its point; after the kill it is asked to finish."""

    def __init__(self, way, path, data, pieces, kind, dice):
        super().__init__()
        self.way, self.path, self.data, self.kind = way, path, data, kind
        self.places = [sum(pieces[:number]) for number in range(len(pieces))]
        self.pieces, self.url = pieces, None
        last = len(pieces) - 1
        self.number = last if kind.endswith(("-last", "-trailer")) else dice.randrange(len(pieces))
        self.at_byte, self.delay = dice.random(), dice.random() * 0.03
        self.how = dice.choice(["hold", "hold-reset"])
        self.halted, self.on, self.killed = (threading.Event() for _ in range(3))
        self.refusals, self.begun = [], 0

    def begin(self, way):
        asked = {"item": {"@microsoft.graph.conflictBehavior": "replace"}}
        status, _, body = way.ask("POST", f"{GRAPH}/me/drive/root:/{self.path}:/createUploadSession", asked)
        self.begun += 1
        if status != 200:
            return self.refused(status, body)
        self.url = json.loads(body)["uploadUrl"]

    def refused(self, status, body):
        """An error that is documented, in the form of the documents."""
        assert status in TROUBLE and json.loads(body)["error"]["code"], f"{self.path}: {status} {body[:500]!r}"
        self.refusals.append(status)

    @property
    def mark(self):
        """What only this session's requests hold."""
        return self.path if self.kind == "begin" else self.url.split("guid='")[1].split("'")[0]

    def fault(self):
        at = {"begin": "after-change" if self.at_byte < 0.5 else "before-change"}.get(self.kind)
        at = at or self.kind.removesuffix("-last").removesuffix("-trailer")
        size = {"body-trailer": -1 - int(self.at_byte * 2_000), "answer-head": int(self.at_byte * 150)}
        method = "POST" if self.kind == "begin" else "PUT"
        skip = 0 if self.kind == "begin" else self.number
        reach = size.get(self.kind, 1 + int(self.at_byte * UNIT))
        self.way.cloud.fault(at, method=method, target=self.mark, skip=skip, bytes=reach, how=self.how)

    def run(self):
        try:
            if self.kind == "begin":
                self.fault()
            self.begin(self.way)
            own = self.kind.startswith(("client", "race"))
            if not own and self.kind != "begin":
                self.fault()
            for number, at in enumerate(self.places):
                if self.killed.is_set() or not self.url:
                    return
                part = self.data[at : at + self.pieces[number]]
                if own and number == self.number:
                    self.halting(part, at)
                else:
                    fragment(self.way, self.url, part, at, len(self.data))
        except (OSError, Broken):
            pass
        finally:
            # a session that is over before its point would be no point
            self.over = True

    over = False

    def halting(self, part, at):
        """Sends a fragment up to somewhere, waits, and sends the rest or leaves."""
        stop = int(self.at_byte * len(part)) if self.kind == "client-early" else len(part) - 1
        host, target = self.url.removeprefix("https://").split("/", 1)
        head = f"PUT /{target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {len(part)}\r\n"
        head += f"Content-Range: bytes {at}-{at + len(part) - 1}/{len(self.data)}\r\n\r\n"
        with self.way.connect(host) as stream:
            stream.sendall(head.encode() + part[:stop])
            self.halted.set()
            self.on.wait()
            if self.kind.startswith("race"):
                time.sleep(self.delay)
                stream.sendall(part[stop:])
                read_answer(stream, "PUT")
            self.killed.wait()

    def finish(self, ways):
        """Goes on where the session stands; where there is none it begins another. Gives the file's item."""
        for turn in range(40):
            way = ways[turn % len(ways)]
            if not self.url:
                self.begin(way)
                continue
            status, _, body = way.ask("GET", self.url, token=None)
            if status != 200:
                self.refused(status, body)
                if status == 404:
                    self.url = None
                continue
            expected = json.loads(body)["nextExpectedRanges"]
            at = int(expected[0].split("-")[0]) if expected else None
            while at is not None:
                part = self.data[at : at + self.piece(at)]
                status, _, body = fragment(way, self.url, part, at, len(self.data))
                if status in (200, 201):
                    return json.loads(body)
                at = None
                if status != 202:
                    self.refused(status, body)
                elif expected := json.loads(body)["nextExpectedRanges"]:
                    at = int(expected[0].split("-")[0])
        raise AssertionError(f"{self.path}: the client does not come to an end: {self.kind} {self.refusals}")

    def piece(self, at):
        """Up to the end of the fragment that the byte is in."""
        ends = (begin + length for begin, length in zip(self.places, self.pieces))
        return next(end for end in ends if end > at) - at

    def check(self, way):
        """Every version that the provider has of the file opens, and is the file."""
        item = way.json("GET", f"/me/drive/root:/{self.path}")
        assert item["size"] == len(self.data)
        status, _, body = way.ask("GET", item["@microsoft.graph.downloadUrl"], token=None)
        assert status == 200 and body == self.data, f"{self.path}: {status} {len(body)}"
        versions = way.json("GET", f"/me/drive/items/{item['id']}/versions")["value"][1:]
        for version in versions:
            status, headers, _ = way.ask("GET", f"{GRAPH}/me/drive/items/{item['id']}/versions/{version['id']}/content")
            assert status == 302
            status, _, body = way.ask("GET", headers["location"], token=None)
            assert status == 200 and body == self.data, f"{self.path}: version {version['id']}: {status}"
        return len(versions)


class Killing:
    """What is killed, and the ways that clients take afterwards."""

    def __init__(self, cloud, folder):
        self.gate = Gate(folder / "gate", cloud)
        self.other = self.gate.beside(folder / "beside")
        self.way, self.second = (Way("gateway", cloud, gate.port, gate.ca) for gate in (self.gate, self.other))

    def strike(self):
        self.gate.kill()

    def again(self):
        self.gate.restart()

    @property
    def choices(self):
        return [[self.way], [self.second], [self.second, self.way]]

    def stop(self):
        for part in (self.way, self.second):
            part.close()
        assert self.gate.stop() == 0 and self.other.stop() == 0


class Breaking:
    """Directly: the provider alone breaks what it halted."""

    def __init__(self, direct):
        self.way, self.choices = direct, [[direct]]

    def strike(self):
        pass

    def again(self):
        pass

    def stop(self):
        pass


@pytest.fixture
def struck(shared_direct, lenient_cloud, tmp_path, request):
    through = request.config.getoption("--through") == "gateway"
    struck = Killing(lenient_cloud, tmp_path) if through else Breaking(shared_direct)
    yield struck
    struck.stop()


@pytest.fixture
def marker():
    """Of this test alone: the search for it is to find nothing that others stored."""
    return Canary("killed")


def wait(what, condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"{what} does not come"
        time.sleep(0.02)


def round_of(struck, clients, locked=None):
    """Brings all to their points, strikes, and lets them finish."""
    cloud = struck.way.cloud
    for client in clients:
        client.start()
    own = [client for client in clients if client.kind.startswith(("client", "race"))]
    theirs = [client for client in clients if client not in own]

    def there():
        held = set(cloud.control("GET", "/held"))
        return all(client.halted.is_set() for client in own) and all(client.url or client.kind == "begin" for client in theirs) and {client.mark for client in theirs} <= held

    wait("the points of all sessions", there)
    assert not any(client.over for client in clients)
    if locked:
        locked.execute("BEGIN IMMEDIATE")
    for client in clients:
        client.on.set()
    time.sleep(0.5 if locked else 0.03)
    struck.strike()
    cloud.control("DELETE", "/faults")
    for client in clients:
        client.killed.set()
    if locked:
        locked.rollback()
    for client in clients:
        client.join(60)
    struck.again()


def made(struck, place, marker, dice, number, kind, pieces=None):
    """`pieces`: lengths of the fragments. Through the gateway any from 320 KiB on; directly whole units, but for the last."""
    if not pieces:
        pieces = [UNIT + (dice.randrange(UNIT // 4) if struck.way.through_gateway else 0) for _ in range(dice.choice([1, 1, 2]))]
        pieces.append(dice.randrange(1, UNIT))
    data = marker.content(sum(pieces), f"{number}")
    return Client(struck.way, f"{place}/{number}.bin", data, pieces, kind, dice)


def finished(struck, clients, dice):
    ways = [dice.choice(struck.choices) for _ in clients]
    for client, chosen in zip(clients, ways):
        item = client.finish(chosen)
        assert item["size"] == len(client.data)


def searched(struck, marker, shared_direct, place):
    """Nothing of what was stored is found at the provider or on the gateway's disk; and the search does find."""
    folders = [struck.way.cloud.data]
    if struck.way.through_gateway:
        folders.append(struck.gate.home)
        assert [found for folder in folders for found in marker.files_with(folder)] == []
        shared_direct.json("PUT", f"/me/drive/root:/{place}/control.bin:/content", marker.content(5_000, "control"))
    assert marker.files_with(folders[0]), "the search for plaintext finds none where there is some"


def test_uploads_outlive_kills_at_any_point(struck, shared_direct, place, marker):
    through = struck.way.through_gateway
    rounds, together = (6, 26) if through else (3, 26)
    dice, clients = random.Random(SEED), []
    for turn in range(rounds):
        begun = [made(struck, place, marker, dice, turn * together + number, KINDS[number % len(KINDS)]) for number in range(together)]
        round_of(struck, begun)
        finished(struck, begun, dice)
        clients += begun
    way = struck.choices[-1][0]
    more = sum(client.check(way) for client in clients)
    again = collections.Counter(client.kind for client in clients if client.begun > 1)
    print(f"{len(clients)} points; {sum(again.values())} sessions begun again: {dict(again)}; {more} files were there and were sent again")
    # what the provider had not done is gone on with, never begun again
    safe = [client for client in clients if client.kind.startswith("client")]
    assert len(safe) >= len(clients) // 7 and all(client.begun == 1 for client in safe)
    searched(struck, marker, shared_direct, place)


def test_no_last_byte_leaves_before_the_state_is_written(struck, shared_direct, place, marker):
    """The plaintext has ended, and the state can't be written: nothing of the fragment can have been taken."""
    if not struck.way.through_gateway:
        # no state; the clients alone
        locked = None
    else:
        locked = sqlite3.connect(struck.gate.home / "state" / "state.db", isolation_level=None)
    dice = random.Random(SEED + 1)
    kinds = ["race", "race-last"] * 6
    clients = [made(struck, place, marker, dice, number, kind) for number, kind in enumerate(kinds)]
    round_of(struck, clients, locked)
    for client in clients:
        at = client.places[client.number]
        if locked:
            stands = struck.second.json("GET", client.url, token=None)["nextExpectedRanges"]
            assert int(stands[0].split("-")[0]) == at, client.kind
    finished(struck, clients, dice)
    for client in clients:
        client.check(struck.choices[-1][0])
        assert not locked or client.begun == 1
    searched(struck, marker, shared_direct, place)


# a fragment that passes 60 MiB sealed goes up in two requests, and so does the last one with what closes the file
LONG = 191 * UNIT
MIDDLE, LAST = [638_000, LONG, 5_000], [638_000, LONG]
TWICE = [
    # of the long fragment the first request, then the second; tests/graph/killed.rs has more points
    (MIDDLE, "body", 2),
    (LAST, "after-change", 1),
    (LAST, "body-trailer", 2),
]


def test_between_the_two_requests_of_one_fragment(struck, shared_direct, place, marker):
    dice, clients = random.Random(SEED + 2), []
    if not struck.way.through_gateway:
        # the provider takes such fragments by themselves only
        sizes = [([2 * UNIT, LONG, 5_000], "after-change", 1), ([2 * UNIT, LONG], "body", 1)]
    else:
        sizes = TWICE
    for number, (pieces, kind, request) in enumerate(sizes):
        client = made(struck, place, marker, dice, number, kind, pieces)
        client.number = request
        clients.append(client)
    round_of(struck, clients)
    finished(struck, clients, dice)
    for client in clients:
        client.check(struck.choices[-1][0])
    searched(struck, marker, shared_direct, place)
