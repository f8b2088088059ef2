"""The default transport on asyncio: aiohttp's connection pool, without its session's comforts."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from tako.kit.aiohttp_pool import Pool, has_ended
from tako.kit.habits import MANY
from tako.kit.transport_errors import INCOMPLETE, Route, bare, os_reason
from tako.kit.wire import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiohttp.abc import AbstractStreamWriter

    from tako.errors import TransportError
    from tako.kit.habits import Kind
    from tako.kit.proxy import Proxies, Proxy
    from tako.kit.wire import HttpRequest

PIECE = 64 * 1024
"""Bytes of a body that are sent at a time: each has ``timeout`` to go."""


class AiohttpTransport:
    """Connections of one event loop. ``max_connections=0`` sets no limit."""

    def __init__(self, *, max_connections: int, proxies: Proxies) -> None:
        self._proxies = proxies
        self._slots = asyncio.Semaphore(max_connections) if max_connections else None
        self._urls: dict[str, URL] = {}
        self._timeouts: dict[tuple[float, float], aiohttp.ClientTimeout] = {}
        self._pool = Pool()

    async def start(self) -> AiohttpTransport:
        """Tie the pool to the running loop."""
        await self._pool.start()
        return self

    async def send(self, request: HttpRequest) -> AiohttpReply:
        """Send a request; the reply's body is still to be read."""
        proxy = self._proxies(request.url)
        if self._slots is not None:
            await self._slots.acquire()
        failure: BaseException | None = None
        while failure is None:
            sending = _Sending(request, self._pool)
            try:
                response = await self._ask(request, proxy, sending)
            except (aiohttp.ClientError, OSError, ValueError) as error:
                if not sending.is_unsent:
                    failure = translated(error, Route(request, proxy), is_open=sending.is_open)
            except BaseException as error:  # noqa: BLE001 - cancelled, most often; aiohttp's frames hold the headers
                failure = error.with_traceback(None)
            else:
                sending.answered(response)
                return AiohttpReply(response, request, proxy, self._slots)
            sending.was_kept(kept=False)
        if self._slots is not None:
            self._slots.release()
        raise failure  # outside of the handler, so that what aiohttp raised does not ride along as its context

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def _ask(self, request: HttpRequest, proxy: Proxy | None, sending: _Sending) -> aiohttp.ClientResponse:
        headers: Mapping[str, str] = request.headers
        tunnel = None
        if proxy is not None and request.url.startswith("https:"):
            tunnel = proxy.headers
        elif proxy is not None:
            headers = {**headers, **proxy.headers}
        if not request.body:
            await _hear()
        async with asyncio.timeout(None) as limit:
            sending.begin(limit)
            return await self._pool.session.request(
                request.method,
                self._url(request.url),
                headers=headers,
                data=sending if request.body else None,
                allow_redirects=False,
                proxy=proxy.address if proxy is not None else None,
                proxy_headers=tunnel,
                timeout=self._timeout(request),
            )

    def _url(self, text: str) -> URL:
        """Parse a URL once, as it is: what is percent-encoded stays so."""
        url = self._urls.get(text)
        if url is None:
            if len(self._urls) > MANY:  # whoever makes a URL per call must not fill the memory
                self._urls.clear()
            url = self._urls[text] = URL(text, encoded=True)
        return url

    def _timeout(self, request: HttpRequest) -> aiohttp.ClientTimeout:
        key = (request.timeout, request.connect_timeout)
        timeout = self._timeouts.get(key)
        if timeout is None:
            if len(self._timeouts) > MANY:
                self._timeouts.clear()
            timeout = self._timeouts[key] = aiohttp.ClientTimeout(
                total=None,
                connect=request.connect_timeout,
                sock_connect=request.connect_timeout,
                sock_read=request.timeout,
            )
        return timeout


class _Sending(aiohttp.Payload):
    """A body on its way, piece by piece, with a limit of time for each, and for the reply's head when it is gone."""

    is_unsent = False
    """Whether the connection was a kept one that has ended, so that nothing of the request has left."""
    is_open = False
    """Whether there is a connection."""

    def __init__(self, request: HttpRequest, pool: Pool) -> None:
        super().__init__(request.body)
        self._connection: asyncio.BaseProtocol | None = None
        self._size = len(request.body)
        self._url = request.url
        self._kind: Kind | None = None
        self._seconds = request.timeout
        self._connecting = request.connect_timeout
        self._pool = pool
        self._limit: asyncio.Timeout | None = None

    def begin(self, limit: asyncio.Timeout) -> None:
        """Take over the limit of time for the reply's head; where there is no body, it runs from now on."""
        self._limit = limit
        if not self._size:
            self._wait(self._connecting + self._seconds * PATIENCE)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return str(self._value, encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        transport: Any = writer.transport
        view = memoryview(self._value)
        try:
            await self._begin(writer, transport, view[:PIECE])
            for at in range(PIECE, len(view), PIECE):
                self._wait(self._seconds)
                await writer.write(view[at : at + PIECE])
            if len(view) > PIECE:  # what is left may be held back, too
                await writer.drain()
        except BaseException:
            transport.abort()  # closing would wait until the server takes what is left
            raise
        self._wait(self._seconds * PATIENCE)

    async def _begin(self, writer: AbstractStreamWriter, transport: asyncio.Transport, start: memoryview) -> None:
        """Send the first piece; on a kept connection only if that has not ended."""
        self._connection = transport.get_protocol()
        last = self._pool.last_reply(self._connection)
        if last is not None:
            since, self._kind = last
            self.is_unsent = True  # while waiting, too: the end of the connection ends that
            pause = self._pool.habits.pause(since, self._kind)
            if pause > 0:
                await asyncio.sleep(pause)
            if has_ended(transport):
                raise ConnectionResetError
        self.is_open, self.is_unsent = True, False
        self._wait(self._seconds)
        await writer.write(start)
        self.is_unsent = last is not None and transport.is_closing()  # the system has refused the first byte

    def answered(self, response: aiohttp.ClientResponse) -> None:
        """Tell the pool that there is a reply."""
        self.was_kept(kept=True)
        if self._connection is not None:
            kind = self._url, response.status, response.headers.get("content-type")
            self._pool.answered(self._connection, kind, response.content)

    def was_kept(self, *, kept: bool) -> None:
        """Tell the pool whether the server had kept the connection, where it was not a new one."""
        if self._kind is not None:
            self._pool.habits.learn(self._kind, kept=kept)

    def _wait(self, seconds: float) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + seconds)


async def _hear() -> None:
    """Let the event loop see what connections have closed in the meantime, where the program kept it from looking."""
    for _ in range(4):  # a turn to read, one to close; twice, since TLS says good-bye before it goes
        await asyncio.sleep(0)


class AiohttpReply:
    """A reply of aiohttp's."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        request: HttpRequest,
        proxy: Proxy | None,
        slots: asyncio.Semaphore | None,
    ) -> None:
        self.status = response.status
        self._response = response
        self._request = request
        self._proxy = proxy
        self._slots = slots

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""
        return self._response.headers

    async def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over what comes, as it comes."""
        try:
            while data := await self._response.content.readany():
                yield data
        except (aiohttp.ClientError, OSError) as error:
            failure = translated(error, Route(self._request, self._proxy))
        else:
            return
        raise failure

    async def aclose(self) -> None:
        """Keep the connection if the body is complete, else close it."""
        self._response.close()
        if self._slots is not None:
            self._slots.release()
            self._slots = None


def translated(error: Exception, route: Route, *, is_open: bool = True) -> TransportError:
    """Say what failed in our words; ``is_open``: whether there was a connection, behind a proxy too.

    The cause is the system's error, never one of aiohttp's, which hold URLs and headers.
    """
    at_proxy = route.proxy is not None and not is_open
    if isinstance(error, aiohttp.ClientConnectorError):
        made = _unconnected(error, route)
    elif isinstance(error, aiohttp.ClientHttpProxyError):
        made = route.tunnel_refused(error.status)
    elif isinstance(error, aiohttp.ClientResponseError):
        made = route.tunnel_refused(None) if at_proxy else route.no_http()
    elif isinstance(error, TimeoutError):
        made = route.slow_connect() if isinstance(error, aiohttp.ConnectionTimeoutError) else route.silent()
    elif isinstance(error, ValueError):  # of an address, too
        made = route.unusable("its address cannot be used")
    elif isinstance(error, aiohttp.ClientPayloadError):
        made = route.broken(INCOMPLETE)
    else:
        made = route.unreachable(os_reason(error)) if at_proxy else route.broken(os_reason(error))
    made.__cause__ = bare(getattr(error, "os_error", error), made)
    return made


def _unconnected(error: aiohttp.ClientConnectorError, route: Route) -> TransportError:
    """Say why there is no connection."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return route.unknown_host()
    problem = error.os_error
    if isinstance(problem, ssl.SSLError):
        return route.no_tls(problem, at_proxy=route.is_proxy(error.host, error.port))
    return route.unreachable(os_reason(problem))
