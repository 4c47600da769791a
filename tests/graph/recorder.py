"""What clients are answered, in clear: between them and the gateway, it ends TLS on both sides and keeps every byte on the way down."""

import asyncio
import re
import ssl
import threading
from dataclasses import dataclass, field

import hpack
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, HeadersFrame

# as plain text, in JSON that escapes slashes, and as a value in a query
ADDRESS = re.compile(rb"https?(?::|%3a)(?:/|\\/|%2f){2}([a-z0-9.-]+)", re.I)


@dataclass
class Kept:
    """What came down one connection."""

    http2: bool
    raw: bytearray = field(default_factory=bytearray)

    def text(self):
        """Heads and bodies without what frames them."""
        if self.http2:
            return unframed(bytes(self.raw))
        assert not re.search(rb"\r\ncontent-encoding: (?!identity)", self.raw, re.I), "a coded answer can't be searched"
        return re.sub(rb"\r\n[0-9a-f]{1,8}\r\n", b"", bytes(self.raw), flags=re.I)


def unframed(raw):
    decoder, streams, block = hpack.Decoder(), {}, b""
    decoder.max_allowed_table_size = 1 << 16
    while len(raw) >= 9:
        frame, length = Frame.parse_frame_header(memoryview(raw[:9]))
        if len(raw) < 9 + length:
            break
        frame.parse_body(memoryview(raw[9 : 9 + length]))
        raw = raw[9 + length :]
        said = streams.setdefault(frame.stream_id, bytearray())
        if isinstance(frame, DataFrame):
            said += frame.data
        elif isinstance(frame, (HeadersFrame, ContinuationFrame)):
            block += frame.data
            if "END_HEADERS" in frame.flags:
                for name, value in decoder.decode(block, raw=True):
                    said += name + b": " + value + b"\n"
                block = b""
    return b"\n\n".join(bytes(said) for said in streams.values())


class Recorder:
    """Listens on `port`; leads to the port `to`, whose certificates `ca` has signed. `tls`: a folder with one of its own for all hosts."""

    def __init__(self, to, ca, tls):
        self.to, self.kept = to, []
        self.ca = str(ca)
        self.before = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.before.load_cert_chain(tls / "server.pem", tls / "server.key")
        self.before.set_alpn_protocols(["h2", "http/1.1"])
        self.before.sni_callback = lambda end, name, _: setattr(end, "asked_for", name)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        serving = asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.before)
        self.server = asyncio.run_coroutine_threadsafe(serving, self.loop).result(30)
        self.port = self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        end = writer.get_extra_info("ssl_object")
        http2 = end.selected_alpn_protocol() == "h2"
        context = ssl.create_default_context(cafile=self.ca)
        context.set_alpn_protocols(["h2" if http2 else "http/1.1"])
        try:
            down, up = await asyncio.open_connection("127.0.0.1", self.to, ssl=context, server_hostname=end.asked_for)
        except OSError:
            return writer.transport.abort()
        kept = Kept(http2)
        self.kept.append(kept)
        await asyncio.gather(carry(reader, up), carry(down, writer, kept.raw))
        return None

    async def end(self):
        self.server.close()
        carrying = asyncio.all_tasks() - {asyncio.current_task()}
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)

    def clear(self):
        self.kept.clear()

    def hosts(self):
        """To which the answers since the last call lead."""
        kept, self.kept = self.kept, []
        return {name.decode().lower() for one in kept for name in ADDRESS.findall(one.text())}

    def close(self):
        asyncio.run_coroutine_threadsafe(self.end(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


async def carry(source, target, kept=None):
    """One direction until its end, which ends the connection: nothing of HTTP goes on over half of one."""
    try:
        while data := await source.read(1 << 16):
            if kept is not None:
                kept += data
            target.write(data)
            await target.drain()
        target.close()
    except (OSError, asyncio.IncompleteReadError):
        target.transport.abort()
