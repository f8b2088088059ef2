"""The transport of blocking calls: HTTP/1.1 over a pool of connections that all threads share."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
import time
import weakref
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from tako.direct_calls import waiting
from tako.kit.blocking_connection import WOULD_BLOCK, BlockingConnection
from tako.kit.connecting import CONNECT_ERRORS, AddressCache, connect_error, open_socket
from tako.kit.connection_pool import KEEP_ALIVE
from tako.kit.http_transport import HttpTransport
from tako.kit.keep_alive import KeepAliveHistory
from tako.kit.polling import poller
from tako.kit.tls import trusted
from tako.kit.transport_errors import Route
from tako.loop_thread import loop_thread

if TYPE_CHECKING:
    import socket
    from collections.abc import Coroutine

    from tako.kit.connecting import Endpoint
    from tako.kit.connection_pool import PoolKey
    from tako.kit.http_transport import Target
    from tako.kit.keep_alive import ReplyKind
    from tako.kit.proxy import Proxies
    from tako.kit.wire import HttpRequest

T = TypeVar("T")


class BlockingTransport(HttpTransport):
    """Connections of all threads, without proxies. A request fits into one ``PIECE``: its sending isn't interrupted."""

    def __init__(self, proxies: Proxies) -> None:
        self._connections = BlockingPool()
        super().__init__(self._connections, proxies)

    async def _start(
        self, request: HttpRequest, target: Target, head: bytes
    ) -> tuple[BlockingConnection, ReplyKind | None]:
        pool = self._connections
        while (connection := pool.take(target.key)) is not None:
            if connection.kind not in pool.history.kept_open_after:
                await pool.wait_for_close(connection)
            previous_kind = connection.kind
            if not connection.has_ended():
                await connection.send(head, request.body, request.timeout)
                if not connection.was_refused:
                    return connection, previous_kind
            pool.discard(connection)
        connection = await pool.open(target.endpoint, Route.of(request, None), request.connect_timeout)
        await connection.send(head, request.body, request.timeout)
        return connection, None


class BlockingPool:
    """Connections that wait for the next request, of whichever thread."""

    def __init__(self) -> None:
        self.history = KeepAliveHistory()
        self._idle: dict[PoolKey, list[BlockingConnection]] = {}  # the one that was used last is the last one
        self._is_sweeping = False
        self._begin()
        weakref.finalize(self, _close_idle, self._idle)  # one that's in use is closed by its thread

    async def aclose(self) -> None:
        """Close all connections."""
        with self._lock:
            _close_idle(self._idle)

    def take(self, key: PoolKey) -> BlockingConnection | None:
        """Return the kept connection that was used last, None if there isn't one. It may have ended."""
        if self._process != os.getpid():  # a fork: the connections are the parent's
            _close_idle(self._idle)
            self._begin()
        with self._lock:
            idle = self._idle.get(key)
            return idle.pop() if idle else None

    async def wait_for_close(self, connection: BlockingConnection) -> None:
        """Wait until a kept connection shows whether the server has kept it, too."""
        pause = self.history.delay(connection.since, connection.kind) if connection.kind is not None else 0.0
        await waiting(partial(time.sleep, max(0.0, pause)))

    async def open(self, endpoint: Endpoint, route: Route, seconds: float) -> BlockingConnection:
        """Open a connection. Raises TransportError. The background loop looks the host up and connects."""
        until = monotonic() + seconds
        try:
            sock = await self._connect(endpoint, seconds)
            return BlockingConnection(
                await _begin_tls(sock, endpoint.certificate_name, until) if endpoint.tls else sock
            )
        except CONNECT_ERRORS as error:
            failure = connect_error(error, route, at_proxy=False)
        raise failure  # outside of the handler, so that the original doesn't ride along

    def keep(self, key: PoolKey, connection: BlockingConnection) -> None:
        """Keep a connection for the next request."""
        connection.since = monotonic()
        with self._lock:
            self._idle.setdefault(key, []).append(connection)
            is_first, self._is_sweeping = not self._is_sweeping, True
        if is_first:
            _sweep_later(self)

    def discard(self, connection: BlockingConnection) -> None:
        """Close a kept connection that turned out to have ended."""
        connection.abort()
        if connection.kind is not None:
            self.history.record(connection.kind, is_kept=False)

    def sweep(self) -> None:
        """Close connections that were idle for long, and look again later if there are others."""
        with self._lock:
            for key, idle in [*self._idle.items()]:
                while idle and monotonic() - idle[0].since >= KEEP_ALIVE:
                    idle.pop(0).abort()
                if not idle:
                    del self._idle[key]
            self._is_sweeping = bool(self._idle)
        if self._is_sweeping:
            _sweep_later(self)

    def _begin(self) -> None:
        """Begin in this process."""
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._addresses = AddressCache()
        self._is_sweeping = False

    async def _connect(self, endpoint: Endpoint, seconds: float) -> socket.socket:
        opening = _within(open_socket(endpoint, self._addresses), seconds)
        result = await waiting(partial(loop_thread().run, opening))
        if isinstance(result, Exception):
            raise result
        return result


async def _within(work: Coroutine[Any, Any, T], seconds: float) -> T | Exception:
    """Return the result of a coroutine, or the error why there's none: what waits in a blocking call doesn't raise."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except CONNECT_ERRORS as error:
        return error


async def _begin_tls(sock: socket.socket, name: str, until: float) -> ssl.SSLSocket:
    """Shake hands over a connected socket that doesn't block."""
    tls = trusted().wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
    try:
        while True:
            try:
                tls.do_handshake()
            except WOULD_BLOCK as error:
                wait = poller(tls.fileno(), is_to_send=isinstance(error, ssl.SSLWantWriteError))
                if not await waiting(partial(wait, until - monotonic())):
                    raise TimeoutError from None
            else:
                return tls
    except BaseException:
        tls.close()
        raise


def _close_idle(idle: dict[PoolKey, list[BlockingConnection]]) -> None:
    for connections in idle.values():
        for connection in connections:
            connection.abort()
    idle.clear()


def _sweep_later(pool: BlockingPool) -> None:
    loop = loop_thread().loop
    with suppress(RuntimeError):  # the program ends
        loop.call_soon_threadsafe(loop.call_later, KEEP_ALIVE, _sweep, weakref.ref(pool))


def _sweep(pool: weakref.ref[BlockingPool]) -> None:
    living_pool = pool()
    if living_pool is not None:
        living_pool.sweep()
