"""The connections of blocking calls that wait for the next request, for all threads."""

from __future__ import annotations

import os
import threading
import time
import weakref
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from tako.direct_calls import waiting
from tako.kit.connection_pool import KEEP_ALIVE
from tako.kit.keep_alive import KeepAliveHistory
from tako.loop_thread import loop_thread

if TYPE_CHECKING:
    from tako.kit.blocking_connection import BlockingConnection
    from tako.kit.connection_pool import PoolKey

    IdleConnections = dict[PoolKey, list[BlockingConnection]]


class BlockingPool:
    """Connections that wait for the next request. The thread that uses one closes it if it can't be kept."""

    def __init__(self) -> None:
        self.history = KeepAliveHistory()
        self._idle: IdleConnections = {}  # the one that was used last is the last one
        self._lock = threading.RLock()  # a signal's handler may have a chat of its own
        self._is_sweeping = False
        self._finalizer = weakref.finalize(self, _close_idle, self._idle)
        _POOLS.add(self)

    async def aclose(self) -> None:
        """Close all connections that wait."""
        with self._lock:
            _close_idle(self._idle)

    def take(self, key: PoolKey) -> BlockingConnection | None:
        """Return the kept connection that was used last, None if there isn't one. It may have ended."""
        with self._lock:
            idle = self._idle.get(key)
            return idle.pop() if idle else None

    async def wait_for_close(self, connection: BlockingConnection) -> None:
        """Wait until a kept connection shows whether the server has kept it, too."""
        pause = self.history.delay(connection.since, connection.kind) if connection.kind is not None else 0.0
        try:
            await waiting(partial(time.sleep, max(0.0, pause)))
        except BaseException:
            connection.abort()
            raise

    def keep(self, key: PoolKey, connection: BlockingConnection) -> None:
        """Keep a connection for the next request."""
        if not self._finalizer.alive:  # the program ends
            connection.abort()
            return
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

    def begin_after_fork(self) -> None:
        """Begin in a forked child. The connections are the parent's, and so may the lock be."""
        self._lock = threading.RLock()
        self._is_sweeping = False
        _close_idle(self._idle)


_POOLS: weakref.WeakSet[BlockingPool] = weakref.WeakSet()


def _close_idle(idle: IdleConnections) -> None:
    for connections in idle.values():
        for connection in connections:
            connection.abort()
    idle.clear()


def _sweep_later(pool: BlockingPool) -> None:
    with suppress(RuntimeError):  # the program ends
        loop = loop_thread().loop
        loop.call_soon_threadsafe(loop.call_later, KEEP_ALIVE, _sweep, weakref.ref(pool))


def _sweep(pool: weakref.ref[BlockingPool]) -> None:
    living_pool = pool()
    if living_pool is not None:
        living_pool.sweep()


def _in_child() -> None:
    for pool in _POOLS:
        pool.begin_after_fork()


os.register_at_fork(after_in_child=_in_child)
