"""A real server on loopback, and the way to it: addresses that passed the guard are dialled there instead."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpcore

from tako.kit.prefetch import Network

from .cases import PUBLIC

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Generator


class Server:
    """Runs ``handler`` for each connection in a thread; keeps what was asked and which TLS names were."""

    def __init__(self, handler: Callable[[socket.socket], None], tls: ssl.SSLContext | None) -> None:
        self.port = 0
        self.accepted = 0
        self.requests: list[bytes] = []
        self.names: list[str | None] = []
        self._handler = handler
        self._tls = tls
        if tls:
            tls.sni_callback = lambda _socket, name, _context: self.names.append(name)

    def run(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(20)
        with suppress(OSError), connection:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                request = b""
                while b"\r\n\r\n" not in request and (piece := connection.recv(65536)):
                    request += piece
                self.requests.append(request)
                self._handler(connection)


@contextmanager
def serving(handler: Callable[[socket.socket], None], tls: ssl.SSLContext | None = None) -> Generator[Server]:
    """Serve on a free port of 127.0.0.1."""
    server = Server(handler, tls)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, args=(listener,), daemon=True)
        thread.start()
        yield server
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


class Rerouted(httpcore.AsyncNetworkBackend):
    """Notes what the guard dials, and connects to the loopback server in its stead."""

    def __init__(self, server: Server) -> None:
        self.dialled: list[str] = []
        self._port = server.port
        self._tcp: Any = httpcore.AnyIOBackend()

    @property
    def network(self) -> Network:
        return Network(self.resolve, self)

    async def resolve(self, host: str, port: int) -> list[str]:
        return [PUBLIC]

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        self.dialled.append(host)
        stream: httpcore.AsyncNetworkStream = await self._tcp.connect_tcp("127.0.0.1", self._port)
        return stream
