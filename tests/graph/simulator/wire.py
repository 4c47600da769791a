"""HTTP/1.1 over TLS, strict in what it reads: every request is logged byte for byte, and faults strike between any two of its bytes."""

import asyncio
import gzip
import json
import re
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

HEAD_LIMIT = 65_536
PIECE = 1 << 16
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
TARGET = re.compile(rb"/[!-~]*\Z")


class Malformed(Exception):
    """What came is not HTTP as RFC 9112 has it."""


class Struck(Exception):
    """A fault ended the connection."""


@dataclass
class Request:
    """One request as it came. `target` is byte for byte what stood in the request line."""

    number: int
    method: str
    target: str
    headers: list
    sni: str | None
    secure: bool
    body_path: Path | None = None
    length: int = 0
    chunked: bool = False
    # of `$batch`: the parts of one request have bodies of their own
    inner: bytes | None = None
    facts: dict = field(default_factory=dict)

    @property
    def path(self):
        return self.target.partition("?")[0]

    @property
    def query(self):
        return self.target.partition("?")[2]

    def header(self, name, default=None):
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(found) if found else default

    @property
    def host(self):
        return (self.header("host") or "").lower()

    def body(self):
        if self.inner is not None:
            return self.inner
        return self.body_path.read_bytes() if self.body_path else b""


@dataclass
class Answer:
    """What goes back. `file` is (path, first byte, byte after the last) of a file on disk."""

    status: int
    headers: list = field(default_factory=list)
    body: bytes = b""
    file: tuple | None = None

    @property
    def length(self):
        return self.file[2] - self.file[1] if self.file else len(self.body)

    def pieces(self):
        if not self.file:
            if self.body:
                yield self.body
            return
        path, first, end = self.file
        with open(path, "rb") as source:
            source.seek(first)
            while first < end:
                piece = source.read(min(PIECE, end - first))
                first += len(piece)
                yield piece


class Connection:
    """One connection: requests one after another, until one of both ends it."""

    def __init__(self, server, reader, writer, sni):
        self.server, self.reader, self.writer, self.sni = server, reader, writer, sni

    async def serve(self):
        try:
            await self.strike(self.server.faults.on_connect())
            while await self.exchange():
                pass
        except (ConnectionError, asyncio.IncompleteReadError, Struck, ssl.SSLError):
            pass
        finally:
            self.writer.close()

    async def exchange(self):
        """One request and its answer; says whether another may follow."""
        try:
            raw = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as end:
            if end.partial:
                self.server.violation(None, f"a head that ends after {len(end.partial)} bytes")
            return False
        except asyncio.LimitOverrunError:
            await self.refuse(None, 431, "the head is too long")
            return False
        request = None
        try:
            request = self.parse(raw)
            answer = await self.answer(request)
        except Malformed as fault:
            await self.refuse(request, 400, str(fault))
            return False
        keep = "close" not in (request.header("connection") or "").lower() and not request.facts.get("close")
        await self.send(request, answer, keep)
        return keep

    async def answer(self, request):
        fault = request.facts["fault"] = self.server.faults.on_request(request)
        await self.strike(fault, "head")
        if fault and fault.at == "early-status":
            request.facts["close"] = True
            return fault.answer()
        await self.read_body(request, fault)
        await self.strike(fault, "before-change")
        if fault and fault.at == "delay":
            await asyncio.sleep(fault.seconds)
        if fault and fault.at == "status":
            return fault.answer()
        answer = self.server.handle(request)
        await self.strike(fault, "after-change")
        if fault and fault.at == "status-after-change":
            return fault.answer()
        return answer

    def parse(self, raw):
        number = self.server.next_number()
        (self.server.log / f"{number:06}.head").write_bytes(raw)
        lines = raw[:-4].split(b"\r\n")
        parts = lines[0].split(b" ")
        if len(parts) != 3 or parts[2] != b"HTTP/1.1" or not TOKEN.match(parts[0]) or not TARGET.match(parts[1]):
            raise Malformed(f"the request line is {lines[0][:200]!r}")
        headers = []
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if not colon or not TOKEN.match(name) or re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", value):
                raise Malformed(f"the field line {line[:200]!r}")
            headers.append((name.decode("ascii"), value.strip(b" \t").decode("latin-1")))
        request = Request(number, parts[0].decode(), parts[1].decode("ascii"), headers, self.sni, self.server.secure)
        if sum(name.lower() == "host" for name, _ in headers) != 1:
            raise Malformed("not one Host field")
        return request

    async def read_body(self, request, fault):
        lengths = [value for name, value in request.headers if name.lower() == "content-length"]
        coding = request.header("transfer-encoding")
        if coding and (lengths or coding.lower() != "chunked"):
            raise Malformed("Transfer-Encoding beside Content-Length, or another than chunked")
        if len(lengths) > 1 or any(not re.fullmatch(r"[0-9]+", value) for value in lengths):
            raise Malformed("not one Content-Length in digits")
        if not coding and not lengths:
            return
        if (request.header("expect") or "").lower() == "100-continue":
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await self.writer.drain()
        request.body_path = self.server.log / f"{request.number:06}.body"
        request.chunked = bool(coding)
        due = fault.bytes if fault else 0
        if due < 0 and lengths:
            due += int(lengths[0])
        with open(request.body_path, "wb") as log:
            async for piece in self.chunks() if coding else self.counted(int(lengths[0])):
                log.write(piece)
                request.length += len(piece)
                if fault and fault.at == "body" and request.length >= due:
                    log.flush()
                    await self.strike(fault, "body")
        # a body shorter than where the fault was to strike is struck at its end
        await self.strike(fault, "body")

    async def counted(self, left):
        while left:
            piece = await self.reader.read(min(PIECE, left))
            if not piece:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
            yield piece

    async def chunks(self):
        while True:
            line = (await self.reader.readuntil(b"\r\n"))[:-2]
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}(;.*)?", line):
                raise Malformed(f"the chunk size {line[:60]!r}")
            left = int(line.partition(b";")[0], 16)
            if not left:
                break
            async for piece in self.counted(left):
                yield piece
            if await self.reader.readexactly(2) != b"\r\n":
                raise Malformed("a chunk does not end where its size says")
        while await self.reader.readuntil(b"\r\n") != b"\r\n":
            pass

    async def strike(self, fault, at="connect"):
        """Ends the connection if this is where the fault strikes: by a reset, or as if all had been said. Or halts it."""
        if not fault or fault.at != at:
            return
        if fault.how.startswith("hold"):
            await fault.hold()
            if fault.how == "hold":
                return
        transport = self.writer.transport
        if fault.how.endswith("reset"):
            raw = transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
        raise Struck(at)

    async def refuse(self, request, status, why):
        self.server.violation(request, why)
        body = json.dumps({"error": {"code": "badRequest", "message": why}}).encode()
        answer = Answer(status, [("Content-Type", "application/json")], body)
        await self.send(request, answer, keep=False)

    async def send(self, request, answer, keep):
        fault = request.facts.get("fault") if request else None
        head_only = bool(request) and request.method == "HEAD"
        head, framed = self.head(request, answer, keep)
        if request:
            self.server.record(request, answer, head)
        if fault and fault.at == "answer-head":
            self.writer.write(head[: fault.bytes])
            await self.writer.drain()
            await self.strike(fault, "answer-head")
        self.writer.write(head)
        sent = 0
        for piece in () if head_only else answer.pieces():
            if fault and fault.at == "answer-body" and sent + len(piece) > fault.bytes:
                self.writer.write(self.chunk(piece[: fault.bytes - sent], framed))
                await self.writer.drain()
                await self.strike(fault, "answer-body")
            self.writer.write(self.chunk(piece, framed))
            sent += len(piece)
            await self.writer.drain()
        if framed and not head_only:
            self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    @staticmethod
    def chunk(piece, framed):
        return b"%x\r\n%b\r\n" % (len(piece), piece) if framed and piece else piece

    def head(self, request, answer, keep):
        """The head, and whether the body goes in chunks. Graph sends JSON in chunks, and packed to those who take it."""
        headers = list(answer.headers)
        names = {name.lower(): value for name, value in headers}
        switches = self.server.switches
        is_json = names.get("content-type", "").startswith("application/json") and answer.status not in (204, 304)
        if is_json and request and switches.gzip and "gzip" in (request.header("accept-encoding") or ""):
            answer.body = gzip.compress(answer.body, 1)
            headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
        framed = is_json and switches.json_framing == "chunked"
        if framed:
            headers.append(("Transfer-Encoding", "chunked"))
        elif answer.status not in (204, 304):
            headers.append(("Content-Length", str(answer.length)))
        headers.append(("Date", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())))
        if not keep:
            headers.append(("Connection", "close"))
        try:
            reason = HTTPStatus(answer.status).phrase
        except ValueError:
            reason = ""
        lines = [f"HTTP/1.1 {answer.status} {reason}", *(f"{name}: {value}" for name, value in headers)]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n", framed


class Server:
    """Listens, logs, and asks `application` for answers. The log: NNNNNN.head, NNNNNN.body, requests.jsonl, violations.jsonl."""

    def __init__(self, application, log, switches, faults, secure=True):
        self.application, self.log, self.switches, self.faults, self.secure = application, log, switches, faults, secure
        log.mkdir(parents=True, exist_ok=True)
        self.number = 0

    def next_number(self):
        self.number += 1
        return self.number

    def violation(self, request, why):
        """What no correct client sends. Tests look at these."""
        where = f"{request.method} https://{request.host}{request.target}" if request else None
        entry = {"request": request.number if request else None, "where": where, "why": why}
        with open(self.log / "violations.jsonl", "a") as log:
            log.write(json.dumps(entry) + "\n")

    def record(self, request, answer, head):
        (self.log / f"{request.number:06}.answer").write_bytes(head)
        fault = request.facts.get("fault")
        entry = {
            "request": request.number,
            "host": request.host,
            "sni": request.sni,
            "method": request.method,
            "target": request.target,
            "length": request.length,
            "status": answer.status,
            "fault": fault.at if fault else None,
        }
        with open(self.log / "requests.jsonl", "a") as log:
            log.write(json.dumps(entry) + "\n")

    def handle(self, request):
        return self.application(request)

    async def listen(self, address, port, context=None):
        async def connected(reader, writer):
            tls = writer.get_extra_info("ssl_object")
            await Connection(self, reader, writer, getattr(tls, "asked_for", None)).serve()

        if context:
            context.sni_callback = lambda tls, name, _: setattr(tls, "asked_for", name)
        return await asyncio.start_server(connected, address, port, ssl=context, limit=HEAD_LIMIT)
