"""The transport of blocking calls: HTTP/1.1 over connections that all threads share."""

from __future__ import annotations

import ssl
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from tako.direct_calls import waiting
from tako.kit.blocking_connection import WOULD_BLOCK, BlockingConnection
from tako.kit.blocking_pool import BlockingPool
from tako.kit.connecting import CONNECT_ERRORS, AddressCache, connect_error, open_socket
from tako.kit.http_transport import HttpTransport
from tako.kit.loops import Limit, TimeLimit
from tako.kit.polling import poller
from tako.kit.tls import trusted
from tako.kit.transport_errors import Route
from tako.loop_thread import loop_thread

if TYPE_CHECKING:
    import socket

    from tako.kit.connecting import Endpoint
    from tako.kit.http_transport import Target
    from tako.kit.keep_alive import ReplyKind
    from tako.kit.proxy import Proxies
    from tako.kit.wire import HttpRequest


class BlockingTransport(HttpTransport):
    """Connections of all threads, for requests that need no proxy and fit into one ``PIECE``."""

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
        connection = await _open(target.endpoint, Route.of(request, None), request.connect_timeout)
        await connection.send(head, request.body, request.timeout)
        return connection, None


async def _open(endpoint: Endpoint, route: Route, seconds: float) -> BlockingConnection:
    """Open a connection. Raises TransportError. The background loop looks the host up and connects."""
    limit = Limit(seconds)
    context = trusted() if endpoint.tls else None
    try:
        sock = await _connect(endpoint, limit)
        if context is not None:
            sock = await _begin_tls(sock, context, endpoint.certificate_name, limit)
        return BlockingConnection(sock)
    except CONNECT_ERRORS as error:
        failure = connect_error(error, route, at_proxy=False)
    raise failure  # outside of the handler, so that the original doesn't ride along


async def _connect(endpoint: Endpoint, limit: Limit) -> socket.socket:
    opened: list[socket.socket] = []
    try:
        error = await waiting(lambda: loop_thread().run(_try_to_connect(endpoint, limit, opened)))
    except BaseException:  # the caller leaves
        for sock in opened:
            sock.close()
        raise
    if error is not None:
        raise error
    return opened[0]


async def _try_to_connect(endpoint: Endpoint, limit: Limit, opened: list[socket.socket]) -> Exception | None:
    """Connect a socket, or return why there's none: what a blocking call waits for doesn't raise."""
    try:
        async with TimeLimit(limit):
            opened.append(await open_socket(endpoint, AddressCache()))
    except CONNECT_ERRORS as error:
        return error
    return None


async def _begin_tls(sock: socket.socket, context: ssl.SSLContext, name: str, limit: Limit) -> ssl.SSLSocket:
    """Shake hands over a connected socket that doesn't block."""
    tls = context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)
    try:
        while True:
            try:
                tls.do_handshake()
            except WOULD_BLOCK as error:
                wait = poller(tls.fileno(), is_to_send=isinstance(error, ssl.SSLWantWriteError))
                if not await waiting(partial(wait, limit.until - monotonic())) and limit.is_over():
                    raise TimeoutError from None
            except ssl.SSLEOFError:
                raise ConnectionResetError from None
            else:
                return tls
    except BaseException:
        tls.close()
        raise
