"""A proxy before a provider that a test can make fail: it sees each request, and may change it, or what it is answered."""

import http.client
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Cut(Exception):
    """The connection is to be cut, with no answer."""


class Tampering:
    """TLS on both sides. `before(request)` and `after(request, answer)` are the test's; a request is numbered from 1."""

    def __init__(self, provider):
        self.provider = provider
        self.count, self.lock = 0, threading.Lock()
        self.reset()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self):
                try:
                    self.raw_requestline = self.rfile.readline(65_537)
                    if not self.raw_requestline or not self.parse_request():
                        self.close_connection = True
                        return
                    outer.serve(self)
                except (OSError, Cut, http.client.HTTPException):
                    self.close_connection = True

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*provider.certificate)
        # the handshake is the connection's own thread's
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.client = ssl.create_default_context(cafile=str(provider.ca))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(self):
        self.count = 0
        self.before = self.after = lambda *_: None

    def serve(self, handler):
        length = handler.headers.get("content-length")
        body = handler.rfile.read(int(length)) if length else b""
        if length and len(body) < int(length):
            raise Cut
        with self.lock:
            self.count += 1
            request = {"number": self.count, "method": handler.command, "path": handler.path, "body": body, "headers": handler.headers}
        self.before(request)
        connection = http.client.HTTPSConnection("localhost", self.provider.port, context=self.client, timeout=60)
        try:
            connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                if name.lower() not in HOP:
                    connection.putheader(name, value)
            if length:
                connection.putheader("Content-Length", str(len(request["body"])))
            connection.endheaders(request["body"] if length else None)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        kept = {"status": answer.status, "headers": answer.getheaders(), "body": data}
        self.after(request, kept)
        handler.send_response_only(kept["status"])
        stated = answer.getheader("content-length")
        for name, value in kept["headers"]:
            if name.lower() not in HOP:
                handler.send_header(name, value)
        bodiless = handler.command == "HEAD" or kept["status"] in (204, 304)
        if not bodiless:
            handler.send_header("Content-Length", str(len(kept["body"])))
        elif stated:
            handler.send_header("Content-Length", stated)
        handler.end_headers()
        if not bodiless:
            handler.wfile.write(kept["body"])

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
