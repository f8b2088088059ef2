"""The connections of one event loop: which may be used again, and what ends with the loop."""

from __future__ import annotations

import asyncio
import weakref
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

from tako.kit.connecting import AddressCache, Endpoint, connect
from tako.kit.keep_alive import KeepAliveHistory

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tako.kit.connection import Connection
    from tako.kit.proxy import Proxy
    from tako.kit.transport_errors import Route

KEEP_ALIVE = 60.0
"""Seconds after which an idle connection is closed. All are checked once in that time, so it may last twice as long."""

PoolKey = tuple[Endpoint, str | None]
"""To whom a connection leads, and through which proxy."""


class Pool:
    """Connections that are open, and those among them that wait for the next request."""

    def __init__(self) -> None:
        self.history = KeepAliveHistory()
        self._addresses = AddressCache()
        self._idle: dict[PoolKey, list[Connection]] = {}  # the one that was used last is the last one
        self._open: set[Connection] = set()
        self._sweeping = False
        self._lifetime = _until_the_loop_ends(self._open)

    async def start(self) -> None:
        """Tie the pool to the running loop: it closes with `aclose`, with the loop, or when nobody holds it."""
        await anext(self._lifetime)
        weakref.finalize(self, _forget, asyncio.get_running_loop(), self._open, self._lifetime)

    async def aclose(self) -> None:
        """Close all connections, and wait until they are closed."""
        await self._lifetime.aclose()

    def take(self, key: PoolKey) -> Connection | None:
        """Return the kept connection that was used last, None if there isn't one. It may have ended."""
        idle = self._idle.get(key)
        return idle.pop() if idle else None

    async def open(self, endpoint: Endpoint, proxy: Proxy | None, route: Route, seconds: float) -> Connection:
        """Open a connection. Raises TransportError."""
        connection = await connect(endpoint, proxy, self._addresses, route, seconds)
        self._open.add(connection)
        all_open = self._open  # the callback doesn't hold the pool, which may be forgotten
        connection.closed.add_done_callback(lambda _: all_open.discard(connection))
        return connection

    def keep(self, key: PoolKey, connection: Connection) -> None:
        """Keep a connection for the next request."""
        loop = asyncio.get_running_loop()
        connection.since = monotonic()
        self._idle.setdefault(key, []).append(connection)
        if not self._sweeping:
            self._sweeping = True
            self._sweep_later(loop)

    def discard(self, connection: Connection) -> None:
        """Close a kept connection that turned out to have ended."""
        connection.abort()
        if connection.kind is not None:
            self.history.record(connection.kind, is_kept=False)

    async def wait_for_close(self, connection: Connection) -> None:
        """Wait until a kept connection shows whether the server has kept it, too."""
        pause = self.history.delay(connection.since, connection.kind) if connection.kind is not None else 0.0
        try:
            await asyncio.sleep(max(0.0, pause))
        except BaseException:
            connection.abort()
            raise

    def sweep(self) -> None:
        """Close connections that were idle for long, and look again later if there are others."""
        loop = asyncio.get_running_loop()
        for key, idle in [*self._idle.items()]:
            expired = [connection for connection in idle if monotonic() - connection.since >= KEEP_ALIVE]
            for connection in expired:
                idle.remove(connection)
                connection.abort()
            if not idle:
                del self._idle[key]
        self._sweeping = bool(self._idle)
        if self._sweeping:
            self._sweep_later(loop)

    def _sweep_later(self, loop: asyncio.AbstractEventLoop) -> None:
        itself: weakref.ref[Pool] = weakref.ref(self)  # a timer must not hold a pool that is forgotten
        loop.call_later(KEEP_ALIVE, _sweep, itself)


def _sweep(pool: weakref.ref[Pool]) -> None:
    living_pool = pool()
    if living_pool is not None:
        living_pool.sweep()


async def _until_the_loop_ends(connections: set[Connection]) -> AsyncGenerator[None, None]:
    """Close a pool when asyncio shuts its generators down, so that nobody has to remember `aclose`."""
    try:
        yield
    finally:
        closing = [*connections]
        for connection in closing:
            connection.abort()
        for connection in closing:
            await connection.closed


def _forget(
    loop: asyncio.AbstractEventLoop, connections: set[Connection], lifetime: AsyncGenerator[None, None]
) -> None:
    """Close a pool that nobody holds any more, in whichever thread; a task for it might outlive the loop."""
    remaining = [*connections]
    connections.clear()
    with suppress(StopIteration, RuntimeError):
        lifetime.aclose().send(None)  # without connections it has nothing to wait for

    def drop() -> None:
        for connection in remaining:
            connection.abort()

    with suppress(RuntimeError):  # the loop is closed, and the connections close as they're freed
        loop.call_soon_threadsafe(drop)
