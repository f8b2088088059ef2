"""The default transport on asyncio: aiohttp's connection pool, without its session's comforts."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from time import monotonic
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from tako.errors import ConfigurationError, ProviderTimeoutError, TransportError
from tako.kit.tls import tls_context
from tako.kit.wire import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from aiohttp.abc import AbstractStreamWriter

    from tako.kit.keys import Secret
    from tako.kit.wire import HttpRequest

KEEP_ALIVE = 60.0
"""Seconds that an idle connection is kept."""
HEADER_LIMIT = 64 * 1024
"""Bytes of one header line; aiohttp's own 8 KB refuses replies that vendors do send."""
PIECE = 64 * 1024
"""Bytes of a body that are sent at a time: each has ``timeout`` to go."""
REST = 0.05
"""Seconds after which a connection may have been closed by a server that got tired of waiting."""


class AiohttpTransport:
    """Connections of one event loop. ``max_connections=0`` sets no limit."""

    def __init__(self, *, max_connections: int, proxy: Secret | None, trust_env: bool) -> None:
        self._proxy = proxy
        self._pooled = max_connections > 0
        self._urls: dict[str, URL] = {}
        self._timeouts: dict[tuple[float, float], aiohttp.ClientTimeout] = {}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=max_connections,
                ssl=_tls(),
                keepalive_timeout=KEEP_ALIVE,
                resolver=aiohttp.ThreadedResolver(),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=trust_env,
            max_line_size=HEADER_LIMIT,
            max_field_size=HEADER_LIMIT,
        )
        self._lifetime = _until_the_loop_ends(self._session)
        self._used = 0.0

    async def start(self) -> AiohttpTransport:
        """Tie the pool to the running loop: it closes with `aclose`, with the loop, or when nobody holds it."""
        await anext(self._lifetime)
        weakref.finalize(self, _close_soon, asyncio.get_running_loop(), self._lifetime).atexit = False
        return self

    async def send(self, request: HttpRequest) -> AiohttpReply:
        """Send a request; the reply's body is still to be read."""
        if monotonic() - self._used > REST:
            await _hear()
        body = _Body(request.body, request.timeout) if request.body else None
        try:
            async with asyncio.timeout(None) as limit:
                if body is not None:
                    body.limit = limit
                response = await self._session.request(
                    request.method,
                    self._url(request.url),
                    headers=request.headers,
                    data=body,
                    allow_redirects=False,
                    proxy=self._proxy.reveal() if self._proxy else None,
                    timeout=self._timeout(request),
                )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure: BaseException = translated(error, request)
        except BaseException as error:  # noqa: BLE001 - cancelled, most often; aiohttp's frames hold the headers
            failure = error.with_traceback(None)
        else:
            self._used = monotonic()
            return AiohttpReply(response, request)
        finally:
            if body is not None:
                body.limit = None
        raise failure  # outside of the handler, so that what aiohttp raised does not ride along as its context

    async def aclose(self) -> None:
        """Close all connections."""
        await self._lifetime.aclose()

    def _url(self, text: str) -> URL:
        """Parse a URL once, as it is: what is percent-encoded stays so."""
        url = self._urls.get(text)
        if url is None:
            if len(self._urls) > 1000:  # noqa: PLR2004 - whoever makes a URL per call must not fill the memory
                self._urls.clear()
            url = self._urls[text] = URL(text, encoded=True)
        return url

    def _timeout(self, request: HttpRequest) -> aiohttp.ClientTimeout:
        key = (request.timeout, request.connect_timeout)
        timeout = self._timeouts.get(key)
        if timeout is None:
            timeout = self._timeouts[key] = aiohttp.ClientTimeout(
                total=None,
                # waiting for a slot of a limited pool is no fault of the network
                connect=None if self._pooled else request.connect_timeout,
                sock_connect=request.connect_timeout,
                sock_read=request.timeout,
            )
        return timeout


class _Body(aiohttp.Payload):
    """A body to send piece by piece, with a limit of time for each, and for the reply's head when it is gone."""

    limit: asyncio.Timeout | None = None
    """None once the reply's head is there, which may be before all of the body is gone."""

    def __init__(self, body: bytes, seconds: float) -> None:
        super().__init__(body)
        self._size = len(body)
        self._seconds = seconds

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return str(self._value, encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        view = memoryview(self._value)
        transport = getattr(writer, "transport", None)
        try:
            for at in range(0, len(view), PIECE):
                self._wait(self._seconds)
                await writer.write(view[at : at + PIECE])
            if len(view) > PIECE:  # what is left may be held back, too
                await writer.drain()
        except BaseException:
            if transport is not None:
                transport.abort()  # closing would wait until the server takes what is left
            raise
        self._wait(self._seconds * PATIENCE)

    def _wait(self, seconds: float) -> None:
        if self.limit is not None:
            self.limit.reschedule(asyncio.get_running_loop().time() + seconds)


async def _hear() -> None:
    """Let the event loop see what connections have closed in the meantime, where the program kept it from looking."""
    for _ in range(4):  # a turn to read, one to close; twice, since TLS says good-bye before it goes
        await asyncio.sleep(0)


class AiohttpReply:
    """A reply of aiohttp's."""

    def __init__(self, response: aiohttp.ClientResponse, request: HttpRequest) -> None:
        self.status = response.status
        self._response = response
        self._request = request

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
            failure = translated(error, self._request)
        else:
            return
        raise failure

    async def aclose(self) -> None:
        """Keep the connection if the body is complete, else close it."""
        self._response.close()


def _tls() -> ssl.SSLContext:
    try:
        return tls_context()
    except OSError as error:
        raise ConfigurationError(
            f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR name cannot be read: {error}"
        ) from error


async def _until_the_loop_ends(session: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    """Close a pool when asyncio shuts its generators down, so that nobody has to remember `aclose`."""
    try:
        yield
    finally:
        await session.close()


def _close_soon(loop: asyncio.AbstractEventLoop, lifetime: AsyncGenerator[None, None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(lambda: loop.create_task(_close(lifetime)))


async def _close(lifetime: AsyncGenerator[None, None]) -> None:
    await lifetime.aclose()


def translated(error: Exception, request: HttpRequest) -> TransportError:
    """Say what failed in our words. The cause loses its traceback, whose frames hold the headers."""
    host = request.url.split("/", 3)[2]
    made: TransportError
    if isinstance(error, (aiohttp.ServerTimeoutError, TimeoutError)):
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            text = f"connecting to {host} took longer than connect_timeout={request.connect_timeout:g} s"
        else:
            text = f"nothing came from {host} for timeout={request.timeout:g} s"
        made = ProviderTimeoutError(text)
    elif isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError)):
        made = TransportError(f"TLS with {host} failed: {_reason(error)}")
    elif isinstance(error, aiohttp.ClientConnectorDNSError):
        made = TransportError(f"the host {host} cannot be found; check the base URL")
    elif isinstance(error, aiohttp.ClientConnectorError):
        made = TransportError(f"cannot connect to {host}: {_reason(error)}")
    elif isinstance(error, (aiohttp.InvalidURL, ValueError)):
        made = TransportError(f"{host} cannot be asked: {_reason(error)}")
        made.retryable = False
    else:
        made = TransportError(f"the connection to {host} broke: {_reason(error)}")
    if not isinstance(error, aiohttp.ClientResponseError):  # that one carries the request's headers
        error.__traceback__ = error.__context__ = error.__cause__ = None
        made.__cause__ = error
    return made


def _reason(error: Exception) -> str:
    reason = getattr(error, "os_error", None) or error
    if isinstance(reason, aiohttp.ServerDisconnectedError):  # its text may be the head of a reply as far as it came
        return "the server closed it"
    text = getattr(reason, "strerror", None) or getattr(reason, "message", None) or str(reason)
    return " ".join(str(text).split()) or type(error).__name__
