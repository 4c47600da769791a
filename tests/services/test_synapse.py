"""Synapse with nio, a Matrix client library, and curl: directly, and through the gateway by the sample's rules."""

import asyncio
import io
import json
import os
import ssl
import subprocess
import urllib.parse
import uuid

import nio
import pytest
from harness.material import Canary
from sample import Gateway
from harness.servers import program
from homeserver import PASSWORD, Synapse

SAMPLE = "70-synapse.toml.disabled"
MIB = 1 << 20
# reading the stored texts as something else than text must not hide them
AROUND = "« {} » \"cité\" \\ é😀\nfin"


class Member:
    """A person with nio, which is asked for one thing after the other."""

    def __init__(self, way, account, loop):
        self.way, self.loop = way, loop
        # nio keeps what it has seen of each room, as an application does
        self.client = nio.AsyncClient(way.url, account, ssl=way.tls, config=nio.AsyncClientConfig(max_timeouts=1))
        self.do("login", PASSWORD)
        self.account = account

    def ask(self, method, *arguments, **settings):
        """The answer, which may be an error."""
        return self.loop.run_until_complete(getattr(self.client, method)(*arguments, **settings))

    def do(self, method, *arguments, **settings):
        answer = self.ask(method, *arguments, **settings)
        assert not isinstance(answer, nio.ErrorResponse), answer
        return answer

    def send(self, room, content, kind="m.room.message"):
        return self.do("room_send", room, kind, content).event_id

    def say(self, room, text, **more):
        return self.send(room, {"msgtype": "m.text", "body": text, **more})

    def events(self, room):
        """What /sync brings of the room, from the beginning: {event id: its source}."""
        self.client.next_batch = None
        answer = self.do("sync", full_state=True, sync_filter={"room": {"timeline": {"limit": 100}}})
        return {event.event_id: event.source for event in answer.rooms.join[room].timeline.events}

    def content(self, room, event):
        return self.events(room)[event]["content"]


class Way:
    """Directly to Synapse, or through the gateway; with accounts and a canary of its own."""

    def __init__(self, name, url, ca, synapse, loop):
        self.name, self.url, self.ca, self.synapse, self.loop = name, url, ca, synapse, loop
        self.through_gateway = name == "gateway"
        self.tls = ca and ssl.create_default_context(cafile=str(ca))
        self.canary = Canary(name)
        self.text = AROUND.format(self.canary.text.decode())
        self.alice, self.bob = self.person("alice"), self.person("bob")

    def person(self, name):
        return Member(self, self.synapse.account(f"{name}-{uuid.uuid4().hex[:8]}"), self.loop)

    def room(self, *others, **settings):
        """A room of Alice's in which the others are."""
        room = self.alice.do("room_create", invite=[other.account for other in others], **settings).room_id
        for other in others:
            other.do("join", room)
        return room

    def curl(self, *arguments, member=None):
        """Status, head and body of what nio has no call for."""
        member = member or self.alice
        *options, path = arguments
        trust = ["--cacert", self.ca] if self.ca else []
        command = [program("curl", "apt-get install --no-install-recommends curl"), "--silent", "--show-error", "--noproxy", "*",
                   "--include", "--header", f"Authorization: Bearer {member.client.access_token}", *trust, *options, self.url + path]
        done = subprocess.run(command, capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 100"):
            head, _, body = body.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) if ": " in line else (line, "") for line in lines)
        return int(first.split()[1]), fields, body

    def upload(self, content, name=None, kind="application/pdf"):
        source = io.BytesIO(content)
        answer, keys = self.loop.run_until_complete(
            self.alice.client.upload(source, content_type=kind, filename=name, filesize=len(content))
        )
        assert isinstance(answer, nio.UploadResponse), answer
        assert keys is None
        return answer.content_uri


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def synapse(run_folder):
    synapse = Synapse(run_folder / "synapse")
    yield synapse
    synapse.stop()


@pytest.fixture(scope="module")
def direct(synapse, loop):
    way = Way("direct", synapse.url, None, synapse, loop)
    yield way
    close(way)


@pytest.fixture(scope="module")
def through(synapse, run_folder, loop):
    folder = run_folder / "before-synapse"
    folder.mkdir()
    gateway = Gateway(folder, SAMPLE, {"https://matrix.example.net": synapse.url, '"matrix.example.fr"': '"localhost"'})
    way = Way("gateway", gateway.url, gateway.ca, synapse, loop)
    yield way
    close(way)
    assert gateway.stop() == 0, gateway.server.output()


def close(way):
    for member in (way.alice, way.bob):
        way.loop.run_until_complete(member.client.close())


@pytest.fixture(params=["direct", "gateway"])
def way(request):
    return request.getfixturevalue({"direct": "direct", "gateway": "through"}[request.param])


def login(url, ca, account):
    trust = ["--cacert", ca] if ca else []
    said = {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": account}, "password": PASSWORD}
    command = ["curl", "--silent", "--noproxy", "*", *trust, "--json", json.dumps(said), f"{url}/_matrix/client/v3/login"]
    return json.loads(subprocess.run(command, capture_output=True, timeout=60, check=True).stdout)


def test_a_login_leads_back_to_where_it_was_asked(way):
    answer = login(way.url, way.ca, way.alice.account)
    assert answer["well_known"]["m.homeserver"]["base_url"] == f"{way.url}/"


def test_a_login_that_leads_past_the_gateway_is_refused(run_folder):
    folder = run_folder / "leading-away"
    folder.mkdir()
    synapse = Synapse(folder / "synapse", public="https://elsewhere.example/")
    gateway = Gateway(folder, SAMPLE, {"https://matrix.example.net": synapse.url, '"matrix.example.fr"': '"localhost"'})
    account = synapse.account("dora")
    answer = login(synapse.url, None, account)
    assert answer["well_known"]["m.homeserver"]["base_url"] == "https://elsewhere.example/"
    answer = login(gateway.url, gateway.ca, account)
    assert answer["errcode"] == "FR.SCEAU.upstream-invalid" and "access_token" not in answer, answer
    assert gateway.stop() == 0, gateway.server.output()
    synapse.stop()


def sealed(way, value, original):
    """What the server must hold in place of a value."""
    return value.startswith("sc1.") if way.through_gateway else value == original


def at_the_server(way, room, event):
    """The event as the server's own API gives it, past the gateway."""
    path = f"{way.synapse.url}/_matrix/client/v3/rooms/{room}/event/{urllib.parse.quote(event)}"
    done = subprocess.run(["curl", "--silent", "--noproxy", "*", "--header", f"Authorization: Bearer {way.alice.client.access_token}", path], capture_output=True)
    return json.loads(done.stdout)["content"]


def test_messages_reach_the_other_and_are_sealed_at_the_server(way):
    room = way.room(way.bob, name=f"Cellule {way.text}", topic=f"Sujet {way.text}")
    rich = {"format": "org.matrix.custom.html", "formatted_body": f"<b>{way.text}</b>"}
    event = way.alice.say(room, way.text, **rich)
    assert way.bob.content(room, event) == {"msgtype": "m.text", "body": way.text, **rich}
    stored = at_the_server(way, room, event)
    assert sealed(way, stored["body"], way.text) and sealed(way, stored["formatted_body"], rich["formatted_body"])
    assert stored["msgtype"] == "m.text"
    seen = way.bob.client.rooms[room]
    assert (seen.name, seen.topic) == (f"Cellule {way.text}", f"Sujet {way.text}")
    # Synapse writes a topic twice
    topic = way.bob.do("room_get_state_event", room, "m.room.topic").content
    assert topic["m.topic"]["m.text"][0]["body"] == f"Sujet {way.text}"


def test_rooms_are_named_anew(way):
    room = way.room(way.bob)
    for kind, member in (("m.room.name", "name"), ("m.room.topic", "topic")):
        way.alice.do("room_put_state", room, kind, {member: f"{member} {way.text}"})
        assert way.bob.do("room_get_state_event", room, kind).content[member] == f"{member} {way.text}"
    invited = way.person("carol")
    way.alice.do("room_invite", room, invited.account)
    answer = invited.do("sync")
    names = [event.name for event in answer.rooms.invite[room].invite_state if isinstance(event, nio.InviteNameEvent)]
    assert names == [f"name {way.text}"]
    way.loop.run_until_complete(invited.client.close())


def test_an_edit_replaces_text_and_fallback(way):
    room = way.room(way.bob)
    event = way.alice.say(room, "d'abord")
    edit = way.alice.send(
        room,
        {
            "msgtype": "m.text",
            "body": f"* {way.text}",
            "m.new_content": {"msgtype": "m.text", "body": way.text, "format": "org.matrix.custom.html", "formatted_body": f"<i>{way.text}</i>"},
            "m.relates_to": {"rel_type": "m.replace", "event_id": event},
        },
    )
    events = way.bob.events(room)
    assert events[edit]["content"]["m.new_content"]["body"] == way.text
    assert events[edit]["content"]["body"] == f"* {way.text}"
    assert events[edit]["content"]["m.new_content"]["formatted_body"] == f"<i>{way.text}</i>"
    # servers show edits beside what they replace
    bundled = way.bob.do("room_get_event", room, event).event.source["unsigned"]["m.relations"]["m.replace"]
    assert bundled["content"]["m.new_content"]["body"] == way.text


def test_a_reply_quotes_and_a_thread_goes_on(way):
    room = way.room(way.bob)
    event = way.alice.say(room, way.text)
    quoted = f"> <{way.alice.account}> {way.text}\n\nbien reçu {way.text}"
    content = {
        "msgtype": "m.text",
        "body": quoted,
        "format": "org.matrix.custom.html",
        "formatted_body": f"<mx-reply><blockquote>{way.text}</blockquote></mx-reply>bien reçu",
        "m.mentions": {"user_ids": [way.alice.account]},
        "m.relates_to": {"m.in_reply_to": {"event_id": event}},
    }
    reply = way.bob.send(room, content)
    assert way.alice.content(room, reply) == content
    thread = {"rel_type": "m.thread", "event_id": event, "is_falling_back": True, "m.in_reply_to": {"event_id": reply}}
    answer = way.bob.say(room, f"fil {way.text}", **{"m.relates_to": thread})
    status, _, body = way.curl(f"/_matrix/client/v1/rooms/{room}/relations/{urllib.parse.quote(event)}/m.thread")
    assert status == 200 and [e["content"]["body"] for e in json.loads(body)["chunk"]] == [f"fil {way.text}"], body
    assert way.alice.content(room, answer)["m.relates_to"] == thread


def test_reactions_and_redactions(way):
    room = way.room(way.bob)
    event = way.alice.say(room, way.text)
    reaction = {"m.relates_to": {"rel_type": "m.annotation", "event_id": event, "key": "👍"}}
    given = way.bob.send(room, reaction, "m.reaction")
    assert way.alice.content(room, given) == reaction
    again = way.bob.ask("room_send", room, "m.reaction", reaction)
    assert again.status_code == "M_DUPLICATE_ANNOTATION", again
    way.alice.do("room_redact", room, event, reason=f"erreur {way.text}")
    redacted = way.bob.events(room)[event]
    assert redacted["content"] == {} and redacted["unsigned"]["redacted_because"]["content"]["reason"] == f"erreur {way.text}"


def test_who_joins_later_reads_the_history(way):
    room = way.room(way.bob)
    texts = [f"{number} {way.text}" for number in range(30)]
    sent = [way.alice.say(room, text) for text in texts]
    late = way.person("late")
    way.bob.do("room_invite", room, late.account)
    late.do("join", room)
    token, read = late.do("sync", sync_filter={"room": {"timeline": {"limit": 1}}}).rooms.join[room].timeline.prev_batch, []
    while token:
        page = late.do("room_messages", room, token, limit=10)
        read += [event.body for event in page.chunk if isinstance(event, nio.RoomMessageText)]
        token = page.end
    assert read == texts[::-1]
    around = late.do("room_context", room, sent[15], limit=4)
    assert around.event.body == texts[15]
    assert [event.body for event in around.events_before] == texts[14:12:-1]
    assert late.do("room_get_event", room, sent[3]).event.body == texts[3]
    way.loop.run_until_complete(late.client.close())


def test_what_a_client_does_besides(way):
    room = way.room(way.bob)
    event = way.alice.say(room, way.text)
    way.bob.do("room_typing", room)
    way.bob.do("update_receipt_marker", room, event)
    way.bob.do("room_read_markers", room, event, event)
    assert way.bob.do("get_profile", way.alice.account).displayname.startswith("alice")
    way.alice.do("set_displayname", "Alice")
    assert {user.user_id for user in way.bob.do("joined_members", room).members} == {way.alice.account, way.bob.account}
    assert room in way.bob.do("joined_rooms").rooms
    assert way.bob.do("upload_filter", room={"timeline": {"limit": 3}}).filter_id
    way.alice.do("room_kick", room, way.bob.account, reason=f"dehors {way.text}")
    members = way.alice.do("room_get_state_event", room, "m.room.member", way.bob.account)
    assert members.content["reason"] == f"dehors {way.text}"
    way.alice.do("room_leave", room)
    way.alice.do("room_forget", room)
    someone = way.person("someone")
    someone.do("logout")
    way.loop.run_until_complete(someone.client.close())


@pytest.mark.parametrize("size", [0, 1, 65_536, 5 * MIB])
def test_files_come_back(way, size):
    content = way.canary.content(size, "file")
    name = f"plan « secret » {way.canary.text.decode()}.pdf"
    address = way.upload(content, name)
    answer = way.bob.do("download", address)
    assert answer.body == content
    assert answer.filename == name
    room = way.room(way.bob)
    said = {
        "msgtype": "m.file",
        "body": way.text,
        "filename": name,
        "url": address,
        "info": {"mimetype": "application/pdf", "size": size},
    }
    assert way.bob.content(room, way.alice.send(room, said)) == said


def test_names_of_files_with_every_character(way):
    for name in ("plan.pdf", "a b.pdf", 'a "b";c.pdf', "plan é.pdf", "100%.pdf", "a'b(c).pdf"):
        assert way.bob.do("download", way.upload(b"x", name)).filename == name


def test_a_range_is_the_whole_file(way):
    """Synapse ignores ranges; an answer of status 200 is the whole file (RFC 9110, section 14.2)."""
    content = os.urandom(200_000)
    server, file = way.upload(content).removeprefix("mxc://").split("/")
    path = f"/_matrix/client/v1/media/download/{server}/{file}"
    status, head, body = way.curl("--range", "70000-140000", path)
    assert (status, body) == (200, content)
    assert int(head["content-length"]) == len(body)


def test_a_message_that_does_not_fit_is_refused_with_what_clients_show(way):
    room = way.room()
    fits = "é" * 20_000
    assert way.alice.content(room, way.alice.say(room, fits))["body"] == fits
    refused = way.alice.ask("room_send", room, "m.room.message", {"msgtype": "m.text", "body": "é" * 35_000})
    if way.through_gateway:
        assert refused.status_code == "FR.SCEAU.field-too-long"
        assert "holds 70000 bytes; sealed, it has room for" in refused.message
    else:
        assert refused.status_code == "M_TOO_LARGE"


def test_the_servers_search_finds_no_text(way):
    room = way.room()
    way.alice.say(room, f"aiguille {way.text}")
    query = {"search_categories": {"room_events": {"search_term": "aiguille", "filter": {"rooms": [room]}}}}
    asked = ["--request", "POST", "--json", json.dumps(query), "/_matrix/client/v3/search"]
    status, _, body = way.curl(*asked)
    if not way.through_gateway:
        assert status == 200 and json.loads(body)["search_categories"]["room_events"]["count"] == 1
        return
    assert status == 501 and json.loads(body)["errcode"] == "FR.SCEAU.operation-unknown"
    # asked past the gateway it has nothing to find
    token = way.alice.client.access_token
    past = subprocess.run(
        ["curl", "--silent", "--noproxy", "*", "--header", f"Authorization: Bearer {token}", *asked[:-1], way.synapse.url + asked[-1]],
        capture_output=True, check=True,
    )
    assert json.loads(past.stdout)["search_categories"]["room_events"]["count"] == 0


def test_what_no_rule_names_does_not_reach_the_server(through):
    room = through.room()
    member, put = through.alice, ["--request", "PUT", "--json"]
    message = {"msgtype": "m.text", "body": "x"}
    server, file = through.upload(b"x").removeprefix("mxc://").split("/")
    send = f"/_matrix/client/v3/rooms/{room}/send"
    refused = [
        ([f"/_matrix/client/v1/media/thumbnail/{server}/{file}?width=9&height=9"], 501, "operation-unknown"),
        ([f"/_matrix/client/v1/media/download/{server}/{file}/plan-secret.pdf"], 501, "operation-unknown"),
        (["/_matrix/client/v1/media/preview_url?url=https://example.fr"], 501, "operation-unknown"),
        ([*put, json.dumps({"algorithm": "x", "ciphertext": "x"}), f"{send}/m.room.encrypted/1"], 501, "operation-unknown"),
        ([*put, json.dumps({**message, "note": "secret"}), f"{send}/m.room.message/1"], 403, "rule-violated"),
        ([*put, json.dumps({**message, "m.relates_to": {"key": "secret"}}), f"{send}/m.room.message/2"], 403, "rule-violated"),
        ([*put, json.dumps({**message, "Body": "secret"}), f"{send}/m.room.message/3"], 403, "rule-violated"),
        ([*put, json.dumps({**message, "body": {"x": "secret"}}), f"{send}/m.room.message/4"], 403, "rule-violated"),
        ([*put, json.dumps({"algorithm": "m.megolm.v1.aes-sha2"}), f"/_matrix/client/v3/rooms/{room}/state/m.room.encryption"], 501, "operation-unknown"),
        (["--json", json.dumps({"room_alias_name": "secret"}), "/_matrix/client/v3/createRoom"], 403, "rule-violated"),
        ([f"/_matrix/client/v3/sync?access_token={member.client.access_token}"], 403, "rule-violated"),
        ([f"/_matrix/client/v3/rooms/{room}/messages?dir=b&search=secret"], 403, "rule-violated"),
        (["/.well-known/matrix/client"], 501, "operation-unknown"),
    ]
    for arguments, status, code in refused:
        answered, _, body = through.curl(*arguments)
        assert (answered, json.loads(body)["errcode"]) == (status, f"FR.SCEAU.{code}"), (arguments, body)
    kinds = {event["type"] for event in member.events(room).values()}
    assert not kinds & {"m.room.message", "m.room.encrypted", "m.room.encryption"}


def test_the_servers_disk_holds_no_plaintext(direct, through, synapse):
    for way in (direct, through):
        room = way.room(way.bob, name=way.text, topic=way.text)
        way.alice.say(room, way.text)
        way.upload(way.canary.content(100_000, "leak"), f"{way.text}.txt")
    held = synapse.held()
    # what finds the one would find the other
    assert direct.canary.found_in(held)
    assert not through.canary.found_in(held)
