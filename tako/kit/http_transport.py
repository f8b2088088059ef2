"""HTTP/1.1 over tako's own pools of connections: what the transports of asyncio and of blocking calls share."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from tako.kit.connecting import Endpoint
from tako.kit.connection_pool import PoolKey
from tako.kit.incoming import EndedError, NotHttpError
from tako.kit.keep_alive import MAX_REMEMBERED
from tako.kit.proxy import Proxy
from tako.kit.request_head import HeadWriter
from tako.kit.transport_errors import CLOSED, INCOMPLETE, Route, describe_os_error, without_context

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from tako.errors import TransportError
    from tako.kit.incoming import Incoming
    from tako.kit.keep_alive import KeepAliveHistory, ReplyKind
    from tako.kit.proxy import Proxies
    from tako.kit.wire import HttpRequest

BEFORE_PATH = re.compile(r"^[^:]*://[^/?]*")
"""What stands before a URL's path."""


class Target(Struct, frozen=True):
    """What a URL means: where its requests go, and what they say of it."""

    endpoint: Endpoint
    proxy: Proxy | None
    key: PoolKey
    head: HeadWriter
    """Knows the path, the host, and what the proxy is to know."""

    @classmethod
    def of(cls, url: str, proxy: Proxy | None) -> Target:
        """Read a URL as it is: what is percent-encoded stays so. Raises ValueError where it is none."""
        endpoint = Endpoint.of(url)
        path = BEFORE_PATH.sub("", url.partition("#")[0])
        if not path.startswith("/"):
            path = f"/{path}"  # what begins with the query, or is empty
        if not path.isascii() or not path.isprintable() or " " in path:
            raise ValueError("a path that HTTP can't carry")
        headers = {"host": endpoint.authority, "accept": "*/*"}
        if proxy is not None and not endpoint.tls:
            path, headers = f"http://{endpoint.authority}{path}", {**headers, **proxy.headers}
        return cls(endpoint, proxy, (endpoint, proxy.address if proxy is not None else None), HeadWriter(path, headers))


class ConnectionPool(Protocol):
    """The connections of a transport."""

    history: KeepAliveHistory

    def keep(self, key: PoolKey, connection: Any) -> None:
        """Keep a connection for the next request."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class HttpTransport(ABC):
    """Sends requests over the connections of a pool. ``slots`` limits how many are in use at once."""

    def __init__(self, pool: ConnectionPool, proxies: Proxies, slots: asyncio.Semaphore | None = None) -> None:
        self._pool = pool
        self._proxies = proxies if proxies.may_apply else None
        self._slots = slots
        self._targets: dict[str, Target] = {}

    async def send(self, request: HttpRequest) -> Reply:
        """Send a request; the reply's body is still to be read."""
        proxy = self._proxies(request.url) if self._proxies is not None else None
        if self._slots is not None:
            await self._slots.acquire()
        try:
            return await self._exchange(request, proxy)
        except BaseException as error:  # noqa: BLE001 - cancelled, too; its frames hold the headers
            failure = error.with_traceback(None)
        if self._slots is not None:
            self._slots.release()
        raise failure

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def _exchange(self, request: HttpRequest, proxy: Proxy | None) -> Reply:
        try:
            target = self._target(request.url, proxy)
            head = target.head.write(request)
        except ValueError as error:
            failure: Exception = Route.of(request, proxy).unusable(f"its address or a header can't be used: {error}")
        else:
            pool, history = self._pool, self._pool.history
            connection, previous_kind = await self._start(request, target, head)
            try:
                await connection.answered()
            except (OSError, NotHttpError, EndedError) as error:
                failure = transport_error(error, Route.of(request, proxy), CLOSED)
            except BaseException:
                connection.abort()
                raise
            else:
                connection.kind = request.url, connection.status, connection.headers.get("content-type")
                if previous_kind is not None and previous_kind not in history.kept_open_after:
                    history.record(previous_kind, is_kept=True)
                return Reply(connection, request, target, pool, self._slots)
            connection.abort()
            if previous_kind is not None:
                history.record(previous_kind, is_kept=False)
        raise failure

    @abstractmethod
    async def _start(self, request: HttpRequest, target: Target, head: bytes) -> tuple[Incoming, ReplyKind | None]:
        """Begin to send on a kept connection or a new one; returns it, and what it carried before."""

    def _target(self, url: str, proxy: Proxy | None) -> Target:
        target = self._targets.get(url)
        if target is None or target.proxy is not proxy:
            if len(self._targets) > MAX_REMEMBERED:  # whoever makes a URL per call must not fill the memory
                self._targets.clear()
            target = self._targets[url] = Target.of(url, proxy)
        return target


class Reply:
    """A reply, whose body is read from its connection."""

    def __init__(
        self,
        connection: Incoming,
        request: HttpRequest,
        target: Target,
        pool: ConnectionPool,
        slots: asyncio.Semaphore | None,
    ) -> None:
        self.status = connection.status
        self.headers: Mapping[str, str] = connection.headers
        self.connection: Incoming | None = connection
        """None once it may carry another request."""
        self._url, self._timeouts = request.url, (request.timeout, request.connect_timeout)  # the body may be large
        self._target = target
        self._pool = pool
        self._slots = slots

    def pieces(self) -> Body:
        """Iterate over what comes, as it comes."""
        return Body(self)

    @property
    def route(self) -> Route:
        """What an error says of the request."""
        return Route(self._url, self._target.proxy, *self._timeouts)

    async def aclose(self) -> None:
        """Keep the connection if the body is complete, else close it."""
        connection, self.connection = self.connection, None
        if connection is None:
            return
        if connection.is_reusable:
            self._pool.keep(self._target.key, connection)
        else:
            connection.abort()
        if self._slots is not None:
            self._slots.release()


class Body:
    """The body of a reply as an iterator. The code that has the reply closes it."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come. A reader that sees this needn't wait for the end."""
        connection = self._reply.connection
        return connection is None or (connection.ended and not connection.pieces)

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        """Wait for the next piece of the body. Raises TransportError, and StopAsyncIteration at its end."""
        connection = self._reply.connection
        if connection is None:
            raise StopAsyncIteration
        try:
            data = connection.take() if connection.pieces else await connection.read()
        except (OSError, NotHttpError, EndedError) as error:
            failure = transport_error(error, self._reply.route, INCOMPLETE)
        else:
            if data:
                return data
            raise StopAsyncIteration
        raise failure


def transport_error(error: Exception, route: Route, ended: str) -> TransportError:
    """Say what failed in our words; ``ended`` is what is said of a connection that closed.

    The cause is the system's error, which holds neither URLs nor headers.
    """
    if isinstance(error, TimeoutError) and error.errno is None:
        failure: TransportError = route.no_answer()
    elif isinstance(error, NotHttpError):
        failure = route.not_http()
    else:
        failure = route.broken(describe_os_error(error) if isinstance(error, OSError) else ended)
    failure.__cause__ = without_context(error, failure)
    return failure
