"""Your own httpx transports and clients, and trio. The only module that imports httpx."""

from __future__ import annotations

import re
import socket
import ssl
from abc import ABC, abstractmethod
from contextlib import suppress
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

import anyio

from tako.errors import ProviderTimeoutError, TransportError
from tako.kit.keep_alive import KeepAliveHistory
from tako.kit.tls import trusted
from tako.kit.transport_errors import CLOSED, INCOMPLETE, Route, describe_os_error
from tako.kit.wire import STALL_FACTOR

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tako.kit.keep_alive import ReplyKind
    from tako.kit.proxy import Proxies, Proxy
    from tako.kit.wire import HttpRequest

PIECE = 64 * 1024
"""Bytes of a file that are read and sent at a time."""
CLOSE_TIMEOUT = 2.0
"""Seconds that closing a connection may take; it is done even when the caller was cancelled."""


class HttpxSender(ABC):
    """What both ways of sending share."""

    def __init__(self) -> None:
        self.habits = KeepAliveHistory()
        self.last_reply: tuple[float, ReplyKind] | None = None
        """When the last reply ended, and of what kind it was."""

    async def send(self, request: HttpRequest) -> HttpxReply:
        """Send a request; the reply's body is still to be read."""
        proxy = self.proxy(request)
        route, progress = Route.of(request, proxy), _Progress(request)
        last = self.last_reply
        if last is not None and (pause := self.habits.delay(*last)) > 0:
            await anyio.sleep(pause)
        failure: BaseException
        try:
            with progress.scope:
                response = await self.handle(request, proxy, progress)
                self._learn(last, progress, is_kept=True)
                return HttpxReply(response, request, self)
            failure = route.slow_connect() if proxy is not None and not progress.is_open else route.no_answer()
        except Exception as error:  # noqa: BLE001 - any transport, any exception
            failure = translated(error, route, is_open=progress.is_open)
        except BaseException as error:  # noqa: BLE001 - cancelled, most often; httpx's frames hold the headers
            failure = error.with_traceback(None)
        self._learn(last, progress, is_kept=False)
        raise failure

    def _learn(self, last: tuple[float, ReplyKind] | None, progress: _Progress, *, is_kept: bool) -> None:
        """Remember whether a server had kept its connection, where it was not a new one."""
        if last is not None and not progress.is_new:
            self.habits.record(last[1], is_kept=is_kept)

    def proxy(self, request: HttpRequest) -> Proxy | None:
        """Return the proxy that we put a request through."""
        return None

    @abstractmethod
    async def handle(self, request: HttpRequest, proxy: Proxy | None, progress: _Progress) -> Any:
        """Send a request and return httpx's response."""


class HttpxTransport(HttpxSender):
    """Sends through an ``httpx.AsyncBaseTransport``: one that the user gave, or httpx's own."""

    def __init__(self, transport: Any | None, *, max_connections: int, proxies: Proxies) -> None:
        import httpx

        super().__init__()
        self._httpx = httpx
        self._transport = transport
        self._limits = httpx.Limits(max_connections=max_connections or None, keepalive_expiry=60.0)
        self._proxies = proxies
        self._own_transports: dict[Proxy | None, Any] = {}

    def proxy(self, request: HttpRequest) -> Proxy | None:
        """Return the proxy for a URL; a transport of the user's has its own."""
        return None if self._transport is not None else self._proxies(request.url)

    async def handle(self, request: HttpRequest, proxy: Proxy | None, progress: _Progress) -> Any:
        """Send a request and return httpx's response."""
        httpx_request = self._httpx.Request(
            request.method,
            request.url,
            **_content(request),
            extensions={"timeout": _timeouts(request), "trace": progress.trace},
        )
        transport = self._transport if self._transport is not None else self._own_transport(proxy)
        return await transport.handle_async_request(httpx_request)

    async def aclose(self) -> None:
        """Close our own transports; the user's stays open."""
        owned, self._own_transports = self._own_transports, {}
        for transport in owned.values():
            await transport.aclose()

    def _own_transport(self, proxy: Proxy | None) -> Any:
        transport = self._own_transports.get(proxy)
        if transport is None:
            httpx_proxy = None
            if proxy is not None:
                context = trusted() if proxy.address.startswith("https:") else None
                httpx_proxy = self._httpx.Proxy(proxy.address, headers=proxy.headers, ssl_context=context)
            transport = self._own_transports[proxy] = self._httpx.AsyncHTTPTransport(
                verify=trusted(), limits=self._limits, proxy=httpx_proxy, trust_env=False
            )
        return transport


class ClientTransport(HttpxSender):
    """Sends through the user's ``httpx.AsyncClient``, or one that quacks like it; it is never closed here."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self._client = client

    async def handle(self, request: HttpRequest, proxy: Proxy | None, progress: _Progress) -> Any:
        """Send a request and return httpx's response; how long to wait for a free connection is the client's to say."""
        timeouts = {**_timeouts(request), "pool": getattr(getattr(self._client, "timeout", None), "pool", None)}
        httpx_request = self._client.build_request(
            request.method,
            request.url,
            **_content(request),
            extensions={"timeout": timeouts, "trace": progress.trace},
        )
        return await self._client.send(httpx_request, stream=True, follow_redirects=False)

    async def aclose(self) -> None:
        """Leave the user's client open."""


class _Progress:
    """How far a request is, as httpcore reports it, and the limit of time for the reply's head."""

    def __init__(self, request: HttpRequest) -> None:
        self.scope = anyio.CancelScope()
        self.is_new = False
        """Whether the connection was made for this request."""
        self.is_open = False
        """Whether there is a connection, behind a proxy too."""
        self._request = request

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take note of an event."""
        step = event.partition(".")[2]
        is_tunnel = getattr(info.get("request"), "method", b"") == b"CONNECT"
        if step == "connect_tcp.started":
            self.is_new = True
        elif step == "send_request_headers.started":
            self.is_open = not is_tunnel
        elif step == "receive_response_headers.started":
            seconds = self._request.connect_timeout if is_tunnel else self._request.timeout * STALL_FACTOR
            self.scope.deadline = anyio.current_time() + seconds
        elif step == "receive_response_headers.complete":
            self.scope.deadline = inf
        elif event == "proxy.start_tls.started":
            self.is_open = True


class HttpxReply:
    """A reply of httpx's."""

    def __init__(self, response: Any, request: HttpRequest, sender: HttpxSender) -> None:
        self.status: int = response.status_code
        self._response = response
        self._request = request
        self._sender = sender

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""
        headers: Mapping[str, str] = self._response.headers
        return headers

    async def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over what comes, as it comes."""
        source = aiter(self._response.stream)
        try:
            async for data in source:
                yield data
        except GeneratorExit:
            await _abandon(source)
            raise
        except Exception as error:  # noqa: BLE001 - any transport, any exception
            failure = translated(error, Route.of(self._request, self._sender.proxy(self._request)))
        else:
            return
        raise failure

    async def aclose(self) -> None:
        """Close the reply; httpx keeps the connection if the body was read to its end."""
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await self._response.aclose()
        kind = self._request.url, self.status, self.headers.get("content-type")
        self._sender.last_reply = monotonic(), kind


async def _abandon(source: AsyncIterator[bytes]) -> None:
    """Leave a body: by an interruption of its reading, which all generators inside of it see, and end with."""
    with anyio.CancelScope() as scope, suppress(Exception):
        scope.cancel()
        async for _ in source:  # what has come already
            pass


def translated(error: Exception, route: Route, *, is_open: bool = True) -> TransportError:
    """Say what failed in our words; ``is_open``: whether there was a connection, behind a proxy too.

    Classes go by name, so that clients that quack like httpx's are understood. The cause loses its traceback, whose
    frames hold the headers.
    """
    failure = _translated(error, route, at_proxy=route.proxy is not None and not is_open)
    error.__traceback__ = error.__context__ = error.__cause__ = None
    vars(error).pop("_request", None)  # httpx keeps the request there, and with it the headers
    failure.__cause__ = error
    return failure


def _translated(error: Exception, route: Route, *, at_proxy: bool) -> TransportError:
    names = {cls.__name__ for cls in type(error).__mro__}
    root = _system_error(error)
    text = " ".join(str(error).split())
    reason = describe_os_error(root) if root is not None else text or CLOSED
    if "PoolTimeout" in names:
        failure: TransportError = ProviderTimeoutError(
            f"no connection to {route.destination} became free in the client's pool"
        )
    elif "TimeoutException" in names or isinstance(error, TimeoutError):
        failure = route.slow_connect() if "ConnectTimeout" in names or at_proxy else route.no_answer()
    elif "ProxyError" in names:
        status = re.match(r"\d{3}\b", text)
        failure = route.tunnel_refused(int(status[0]) if status else None)
    elif "ConnectError" in names and isinstance(root, ssl.SSLError):
        failure = route.tls_failed(root, at_proxy=at_proxy)
    elif isinstance(root, socket.gaierror):
        failure = route.unknown_host()
    elif "RemoteProtocolError" in names:
        failure = _protocol_error(text, route, at_proxy=at_proxy)
    elif "LocalProtocolError" in names or "UnsupportedProtocol" in names:
        failure = route.unusable(reason)
    else:
        failure = route.unreachable(reason) if "ConnectError" in names or at_proxy else route.broken(reason)
        failure.retryable = "TransportError" in names or isinstance(error, OSError)
    return failure


def _protocol_error(text: str, route: Route, *, at_proxy: bool) -> TransportError:
    """Say what of a reply was not as HTTP has it, by httpcore's text: it has one class for all of it."""
    if "disconnected" in text:
        return route.unreachable(CLOSED) if at_proxy else route.broken(CLOSED)
    if "without sending complete" in text or "incomplete" in text:
        return route.broken(INCOMPLETE)
    return route.tunnel_refused(None) if at_proxy else route.not_http()


def _system_error(error: BaseException) -> OSError | None:
    """Find the system's error underneath: the innermost that has a number."""
    system_error = None
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.errno is not None:
            system_error = inner
        several: tuple[BaseException, ...] = getattr(inner, "exceptions", ())  # one for each address
        inner = several[0] if several else inner.__cause__ or inner.__context__
    return system_error


def _content(request: HttpRequest) -> dict[str, Any]:
    """Return the body, and the headers with its length if it's read as it goes."""
    body = request.body
    if isinstance(body, bytes):
        return {"headers": request.headers, "content": body}

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), PIECE):
            yield body[start : start + PIECE]

    return {"headers": {**request.headers, "content-length": str(len(body))}, "content": pieces()}


def _timeouts(request: HttpRequest) -> dict[str, float | None]:
    return {"connect": request.connect_timeout, "read": request.timeout, "write": request.timeout, "pool": None}
