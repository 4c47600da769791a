"""A CONNECT proxy that leads every name to this machine: for clients whose resolver does not know `*.localhost`, or that go to hosts of the
Internet and nowhere else."""

import contextlib
import socket
import threading


class Tunnel:
    def __init__(self, to=None):
        """`to`: the port for all; without it, the one that is asked for."""
        self.to = to
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.connect, args=[client], daemon=True).start()

    def connect(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            if not (more := client.recv(4_096)):
                return client.close()
            head += more
        method, target, _ = head.split(b" ", 2)
        assert method == b"CONNECT"
        server = socket.create_connection(("127.0.0.1", self.to or int(target.rsplit(b":", 1)[1])))
        client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        threading.Thread(target=carry, args=[server, client], daemon=True).start()
        carry(client, server)

    def close(self):
        self.listener.close()


def carry(source, target):
    """One direction, until its end or a reset. Closing would not wake who reads from the target just then."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
