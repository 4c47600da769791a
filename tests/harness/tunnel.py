"""A CONNECT proxy that leads every name to this machine: for clients whose resolver does not know `*.localhost`, or that go to hosts of the
Internet and nowhere else."""

import contextlib
import socket
import threading


class Tunnel:
    def __init__(self, to=None, beside=()):
        """`to`: the port for all; without it, the one that is asked for. `beside`: names with a port of their own."""
        self.to, self.beside = to, dict(beside)
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
        name, _, port = target.decode().rpartition(":")
        server = socket.create_connection(("127.0.0.1", self.beside.get(name) or self.to or int(port)))
        client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        back = threading.Thread(target=carry, args=[server, client], daemon=True)
        back.start()
        carry(client, server)
        back.join()
        for end in (client, server):
            end.close()

    def close(self):
        self.listener.close()


def carry(source, target):
    """One direction, until its end. A reset ends the other direction too; a target that takes no more may still be answering."""
    while True:
        try:
            data = source.recv(1 << 16)
        except OSError:
            stop(source, socket.SHUT_RDWR)
            return stop(target, socket.SHUT_RDWR)
        if not data:
            return stop(target, socket.SHUT_WR)
        try:
            target.sendall(data)
        except OSError:
            return None


def stop(end, how):
    with contextlib.suppress(OSError):
        end.shutdown(how)
