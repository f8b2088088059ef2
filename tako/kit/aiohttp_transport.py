"""The default transport on asyncio: aiohttp's connection pool, without its session's comforts."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from tako.kit.aiohttp_pool import Pool
from tako.kit.habits import MANY
from tako.kit.transport_errors import INCOMPLETE, Route, bare, os_reason
from tako.kit.wire import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from aiohttp.abc import AbstractStreamWriter

    from tako.errors import TransportError
    from tako.kit.aiohttp_pool import Line
    from tako.kit.habits import Kind
    from tako.kit.proxy import Proxies, Proxy
    from tako.kit.wire import HttpRequest

PIECE = 64 * 1024
"""Bytes of a body that are sent at a time: each has ``timeout`` to go."""


class AiohttpTransport:
    """Connections of one event loop. ``max_connections=0`` sets no limit."""

    def __init__(self, *, max_connections: int, proxies: Proxies) -> None:
        self._proxies = proxies if proxies.any else None
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
        proxy = self._proxies(request.url) if self._proxies is not None else None
        options = self._options(request, proxy)
        if self._slots is not None:
            await self._slots.acquire()
        failure: BaseException | None = None
        while failure is None:
            sending = _Sending(request, self._pool)
            try:
                async with asyncio.timeout(None) as sending.limit:
                    if not request.body:
                        sending.without_body()
                    response = await self._pool.session.request(
                        request.method, self._url(request.url), data=sending if request.body else None, **options
                    )
            except (aiohttp.ClientError, OSError, ValueError) as error:
                if not sending.is_unsent:
                    failure = translated(error, Route(request, proxy), is_open=sending.is_open)
            except BaseException as error:  # noqa: BLE001 - cancelled, most often; aiohttp's frames hold the headers
                failure = error.with_traceback(None)
            else:
                sending.answered(response)
                return AiohttpReply(response, request, proxy, self._slots)
            sending.failed()
        if self._slots is not None:
            self._slots.release()
        raise failure  # outside of the handler, so that what aiohttp raised does not ride along as its context

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    def _options(self, request: HttpRequest, proxy: Proxy | None) -> dict[str, Any]:
        options: dict[str, Any] = {
            "headers": request.headers,
            "allow_redirects": False,
            "timeout": self._timeout(request),
        }
        if proxy is not None and request.url.startswith("https:"):
            options |= {"proxy": proxy.address, "proxy_headers": proxy.headers}
        elif proxy is not None:
            options |= {"proxy": proxy.address, "headers": {**request.headers, **proxy.headers}}
        return options

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

    limit: asyncio.Timeout | None = None
    """None once the reply's head is there, which may be before all of the body is gone."""
    is_open = False
    """Whether there is a connection."""
    is_unsent = False
    """Whether the connection was a kept one that has ended, so that nothing of the request has left."""

    def __init__(self, request: HttpRequest, pool: Pool) -> None:
        super().__init__(request.body)
        self._size = len(request.body)
        self._request = request
        self._pool = pool
        self._line: Line | None = None
        self._after: Kind | None = None
        """The kind of the last reply on a connection that was kept."""

    def without_body(self) -> None:
        """Do for a request without a body, which is never written, what can be done before."""
        self._wait(self._request.connect_timeout)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return str(self._value, encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        out: Any = writer
        transport: asyncio.Transport = out.transport
        view: Any = memoryview(self._value) if isinstance(self._value, bytes) else self._value
        line = self._line = self._pool.line(transport)
        self._after = line.kind
        try:
            if self._after is not None and line.has_ended(transport.get_protocol()):  # since it was chosen
                self.is_unsent = True
                raise ConnectionResetError  # noqa: TRY301 - the handler is for this, too
            await out.write(view[:PIECE], drain=False)
            if transport.is_closing():  # the system has refused the first byte
                raise ConnectionResetError  # noqa: TRY301 - the handler is for this, too
            self.is_open = True
            for at in range(PIECE, len(view) + PIECE, PIECE) if len(view) > PIECE else ():
                async with asyncio.timeout(self._request.timeout):
                    await out.drain()
                await out.write(view[at : at + PIECE], drain=False)
        except BaseException:
            transport.abort()  # closing would wait until the server takes what is left
            raise
        self._wait()

    def answered(self, response: aiohttp.ClientResponse) -> None:
        """Remember the reply, and that the server had kept the connection."""
        self.limit = None
        habits = self._pool.habits
        if self._after is not None and self._after not in habits.kept_after:
            habits.learn(self._after, kept=True)
        line, transport = self._line, response.connection and response.connection.transport
        if transport is not None:  # the body is still to come
            line = line or self._pool.line(transport)
            line.reply = weakref.ref(response)
        if line is None:
            return
        line.kind = self._request.url, response.status, response.headers.get("content-type")
        if line.kind not in habits.kept_after:
            line.rest()
            response.content.on_eof(line.rest)

    def failed(self) -> None:
        """Remember that the server had not kept the connection, where it was not a new one."""
        self.limit = None
        if self._after is not None:
            self._pool.habits.learn(self._after, kept=False)

    def _wait(self, more: float = 0.0) -> None:
        """Let the time run that a reply's head has."""
        if self.limit is not None:
            seconds = self._request.timeout * PATIENCE + more
            self.limit.reschedule(asyncio.get_running_loop().time() + seconds)


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
