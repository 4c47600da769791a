"""A chat over WebSockets: Python's `websockets` as server and client, which offers compression, and the WebSocket that Node has
from the browsers."""

import json
import ssl
import subprocess
import threading

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect
from websockets.sync.server import serve

from servers import Server, accepts, free_port, program, sceau

SECRET = "ce que seul le ministère doit lire"
SERVICE = """
kind = "http"
name = "chat"
tenant = "interior"
service = "chat-1"
hosts = ["localhost"]
[upstream]
url = "https://localhost:PORT"
ca_file = "tls/provider.pem"
[[rule]]
name = "live"
methods = ["GET"]
path = "/live"
answer = ["websocket"]
protocols = ["chat.v1"]
[[rule.message]]
name = "say"
clear = ["$.type"]
[[rule.message.seal]]
json = "$.text"
"""

NODE = """
const [url, text] = process.argv.slice(1);
const socket = new WebSocket(url, "chat.v1");
socket.onopen = () => socket.send(JSON.stringify({type: "say", text}));
socket.onmessage = (event) => {
    console.log(event.data);
    socket.send("not what the rules name");
};
socket.onclose = (event) => console.log(JSON.stringify({code: event.code, reason: event.reason}));
socket.onerror = () => {};
"""


class Chat:
    """Hands each message to everybody and keeps it."""

    def __init__(self, tls):
        self.heard, self.there, self.lock = [], set(), threading.Lock()
        self.port = free_port()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls / "server.pem", tls / "server.key")
        self.server = serve(self.talk, "127.0.0.1", self.port, ssl=context, subprotocols=["chat.v1"])
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def talk(self, socket):
        with self.lock:
            self.there.add(socket)
        try:
            for message in socket:
                with self.lock:
                    self.heard.append(message)
                    there = list(self.there)
                for other in there:
                    other.send(message)
        finally:
            with self.lock:
                self.there.discard(socket)

    def knows(self, text):
        with self.lock:
            return any(text in json.loads(message)["text"] for message in self.heard)

    def stop(self):
        self.server.shutdown()
        self.thread.join()


@pytest.fixture
def chat(tls):
    chat = Chat(tls)
    yield chat
    chat.stop()


@pytest.fixture
def gateway(chat, tls, tmp_path):
    home, port = tmp_path / "gateway", free_port()
    init = [sceau(), "init", home, "--host", "localhost", "--bind", f"127.0.0.1:{port}"]
    subprocess.run(init, check=True, capture_output=True)
    for old in (home / "services.d").iterdir():
        old.unlink()
    (home / "tls" / "provider.pem").write_bytes((tls / "ca.pem").read_bytes())
    (home / "services.d" / "10-chat.toml").write_text(SERVICE.replace("PORT", str(chat.port)))
    server = Server("sceau", [sceau(), "run", "--config", home], port, tmp_path).start(lambda: accepts(port))
    yield f"wss://localhost:{port}/live", home / "tls" / "ca.pem"
    assert server.stop() == 0, server.output()


def opened(url, ca):
    return connect(url, ssl=ssl.create_default_context(cafile=ca), subprotocols=["chat.v1"])


def test_two_clients_read_what_the_server_does_not(chat, gateway, tls):
    with opened(*gateway) as one, opened(*gateway) as two:
        assert one.subprotocol == "chat.v1" and not one.protocol.extensions
        one.send(json.dumps({"type": "say", "text": SECRET}))
        for client in (one, two):
            assert json.loads(client.recv(30))["text"] == SECRET
        assert json.loads(chat.heard[0])["text"].startswith("sc1.")
        assert not chat.knows(SECRET)
        one.ping().wait(30)
    # what was not found there is found when it is said past the gateway
    with opened(f"wss://localhost:{chat.port}/live", tls / "ca.pem") as direct:
        direct.send(json.dumps({"type": "say", "text": SECRET}))
        direct.recv(30)
    assert chat.knows(SECRET)


def test_a_refused_message_ends_it_with_its_code(chat, gateway):
    for message, code, reason in [
        (json.dumps({"type": "say", "other": SECRET}), 1008, "rule-violated"),
        (SECRET.encode(), 1008, "rule-violated"),
        ("x" * (1 << 20) + "x", 1009, "too-large"),
    ]:
        with opened(*gateway) as client:
            with pytest.raises(ConnectionClosedError) as closed:
                client.send(message)
                client.recv(30)
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)
    assert chat.heard == []


def test_the_browsers_websocket(chat, gateway):
    url, ca = gateway
    node = [program("node", "apt-get install --no-install-recommends nodejs"), "--experimental-websocket", "-e", NODE]
    done = subprocess.run(
        [*node, url, SECRET], capture_output=True, text=True, timeout=60, env={"NODE_EXTRA_CA_CERTS": str(ca)}
    )
    said, closed = map(json.loads, done.stdout.splitlines())
    assert said["text"] == SECRET
    assert closed == {"code": 1008, "reason": "request-refused"}
    assert len(chat.heard) == 1 and not chat.knows(SECRET)
