"""A server that says bytes, whatever they are, and a program that asks it."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Generator

    Say = Callable[[socket.socket], None]


class Raw:
    """What a test sees of the server; ``says`` has what becomes of the connections in turn, the last one for ever."""

    def __init__(self, says: tuple[bytes | Say, ...], tls: ssl.SSLContext | None = None) -> None:
        self.url = ""
        self.requests = 0
        self.connections = 0
        self.says = says
        self.tls = tls

    @property
    def place(self) -> str:
        """The host and the port."""
        return self.url.partition("//")[2]

    def serve(self, connection: socket.socket, number: int) -> None:
        self.connections = number + 1
        script = self.says[min(number, len(self.says) - 1)]
        connection.settimeout(60)
        with suppress(OSError), connection:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            if callable(script):
                script(connection)
            else:
                self.read(connection)
                connection.sendall(script)
            connection.close()

    def read(self, connection: socket.socket) -> bytes:
        """Read one request, and return its head."""
        request = b""
        while b"\r\n\r\n" not in request:
            request += self._more(connection)
        head, _, body = request.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        while len(body) < size:
            body += self._more(connection)
        self.requests += 1
        return head

    def _more(self, connection: socket.socket) -> bytes:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("the client left")
        return piece


@contextmanager
def saying(*says: bytes | Say, tls: ssl.SSLContext | None = None) -> Generator[Raw]:
    server = Raw(says, tls)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        server.url = f"http{'s' if tls else ''}://127.0.0.1:{listener.getsockname()[1]}"

        def accept() -> None:
            for number in count():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=server.serve, args=(connection, number), daemon=True).start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield server
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    accepting.join(60)


def head(status: str = "200 OK", *lines: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"HTTP/{version} {status}", *lines, "", ""]).encode("latin-1")


def sized(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    """Write a reply that says how long it is."""
    return head(status, *lines, f"content-length: {len(body)}") + body


def until_left(connection: socket.socket) -> None:
    """Say nothing more, and stay until the client leaves."""
    while connection.recv(65536):
        continue
