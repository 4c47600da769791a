"""`python -m simulator --port 8443 --cert server.pem --key server.key --data DIR`, started in tests/graph."""

import argparse
import asyncio
import json
import signal
import ssl
from pathlib import Path

from .application import Application
from .control import Control
from .faults import Faults, Switches
from .wire import Server


def arguments():
    parser = argparse.ArgumentParser(prog="simulator", description="Microsoft 365, as far as the tests need it.")
    parser.add_argument("--port", type=int, required=True, help="TLS, all hosts (0: any)")
    parser.add_argument("--control-port", type=int, default=0, help="the tests' own way in, without TLS (0: any)")
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--data", type=Path, required=True, help="stored bytes and the log of requests come here")
    parser.add_argument("--tenant", default="contoso", help="TENANT.sharepoint.com and TENANT-my.sharepoint.com")
    parser.add_argument("--people", default="adele,alex", help="their bearer tokens are token-of-NAME")
    parser.add_argument("--switch", action="append", default=[], metavar="NAME=VALUE")
    return parser.parse_args()


async def run(options):
    switches = Switches()
    switches.change(dict(one.split("=", 1) for one in options.switch))
    faults = Faults()
    application = Application(options.data, options.tenant, options.people.split(","), switches)
    server = application.server = Server(application, options.data / "requests", switches, faults)
    control = Server(Control(application, faults, server), options.data / "control", switches, Faults(), secure=False)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.cert, options.key)
    context.set_alpn_protocols(["http/1.1"])
    listening = await server.listen("127.0.0.1", options.port, context)
    controlled = await control.listen("127.0.0.1", options.control_port)
    port, control_port = (one.sockets[0].getsockname()[1] for one in (listening, controlled))
    ready = {"port": port, "control": control_port, "hosts": list(application.hosts)}
    (options.data / "ready.json").write_text(json.dumps(ready))
    print(json.dumps(ready), flush=True)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(run(arguments()))
