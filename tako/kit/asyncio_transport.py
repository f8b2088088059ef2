"""The default transport on asyncio."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tako.kit.connection_pool import Pool
from tako.kit.http_transport import HttpTransport
from tako.kit.transport_errors import Route

if TYPE_CHECKING:
    from tako.kit.connection import Connection
    from tako.kit.http_transport import Target
    from tako.kit.keep_alive import ReplyKind
    from tako.kit.proxy import Proxies
    from tako.kit.wire import HttpRequest


class AsyncioTransport(HttpTransport):
    """Connections of one event loop. ``max_connections=0`` sets no limit."""

    def __init__(self, *, max_connections: int, proxies: Proxies) -> None:
        self._connections = Pool()
        slots = asyncio.Semaphore(max_connections) if max_connections else None
        super().__init__(self._connections, proxies, slots)

    async def start(self) -> AsyncioTransport:
        """Tie the pool to the running loop."""
        await self._connections.start()
        return self

    async def _start(self, request: HttpRequest, target: Target, head: bytes) -> tuple[Connection, ReplyKind | None]:
        """Begin to send on a kept connection or a new one; returns it, and what it carried before."""
        pool = self._connections
        while (connection := pool.take(target.key)) is not None:
            if connection.kind not in pool.history.kept_open_after:
                await pool.wait_for_close(connection)
            previous_kind = connection.kind
            if not connection.has_ended():
                connection.send(head, request.body, request.timeout)
                if connection.is_open:
                    return connection, previous_kind
            pool.discard(connection)  # if the system has refused the first byte, nothing of the request has left
        route = Route.of(request, target.proxy)
        connection = await pool.open(target.endpoint, target.proxy, route, request.connect_timeout)
        connection.send(head, request.body, request.timeout)
        return connection, None
