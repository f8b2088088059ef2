"""Users' own httpx transports and clients, and trio. The only module that imports httpx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from tako.errors import ProviderTimeoutError, TransportError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tako.kit.keys import Secret
    from tako.kit.wire import HttpRequest

CLOSING = 2.0
"""Seconds that closing a connection may take; it is done even when the caller was cancelled."""


class HttpxTransport:
    """Sends through an ``httpx.AsyncBaseTransport``: one that the user gave, or httpx's own."""

    def __init__(self, transport: Any | None, *, max_connections: int, proxy: Secret | None, trust_env: bool) -> None:
        import httpx

        self._owned = transport is None
        self._make = httpx.Request
        if transport is None:
            limits = httpx.Limits(max_connections=max_connections or None, keepalive_expiry=60.0)
            transport = httpx.AsyncHTTPTransport(
                limits=limits, proxy=proxy.reveal() if proxy else None, trust_env=trust_env
            )
        self._transport = transport

    async def send(self, request: HttpRequest) -> HttpxReply:
        """Send a request; the reply's body is still to be read."""
        made = self._make(
            request.method,
            request.url,
            headers=request.headers,
            content=request.body,
            extensions={"timeout": _timeouts(request)},
        )
        try:
            response = await self._transport.handle_async_request(made)
        except Exception as error:  # noqa: BLE001 - any transport, any exception
            failure: BaseException = translated(error, request)
        except BaseException as error:  # noqa: BLE001 - cancelled, most often; httpx's frames hold the headers
            failure = error.with_traceback(None)
        else:
            return HttpxReply(response, request)
        raise failure

    async def aclose(self) -> None:
        """Close our own transport; the user's stays open."""
        if self._owned:
            await self._transport.aclose()


class ClientTransport:
    """Sends through the user's ``httpx.AsyncClient``, or one that quacks like it; it is never closed here."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def send(self, request: HttpRequest) -> HttpxReply:
        """Send a request; the reply's body is still to be read."""
        made = self._client.build_request(
            request.method,
            request.url,
            headers=request.headers,
            content=request.body,
            extensions={"timeout": _timeouts(request)},
        )
        try:
            response = await self._client.send(made, stream=True, follow_redirects=False)
        except Exception as error:  # noqa: BLE001 - any client, any exception
            failure: BaseException = translated(error, request)
        except BaseException as error:  # noqa: BLE001 - cancelled, most often; httpx's frames hold the headers
            failure = error.with_traceback(None)
        else:
            return HttpxReply(response, request)
        raise failure

    async def aclose(self) -> None:
        """Leave the user's client open."""


class HttpxReply:
    """A reply of httpx's."""

    def __init__(self, response: Any, request: HttpRequest) -> None:
        self.status: int = response.status_code
        self._response = response
        self._request = request

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""
        headers: Mapping[str, str] = self._response.headers
        return headers

    async def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over what comes, as it comes."""
        try:
            async for data in self._response.stream:
                yield data
        except Exception as error:  # noqa: BLE001 - any transport, any exception
            failure = translated(error, self._request)
        else:
            return
        raise failure

    async def aclose(self) -> None:
        """Close the reply; httpx keeps the connection if the body was read to its end."""
        with anyio.move_on_after(CLOSING, shield=True):
            await self._response.aclose()


def translated(error: Exception, request: HttpRequest) -> TransportError:
    """Say what failed in our words. Classes go by name, so that clients that quack like httpx's are understood."""
    host = request.url.split("/", 3)[2]
    names = [cls.__name__ for cls in type(error).__mro__]
    reason = " ".join(str(error).split()) or names[0]
    made: TransportError
    if "ConnectTimeout" in names:
        text = f"connecting to {host} took longer than connect_timeout={request.connect_timeout:g} s"
        made = ProviderTimeoutError(text)
    elif "PoolTimeout" in names:
        made = ProviderTimeoutError(f"no connection to {host} became free in the client's pool")
    elif "TimeoutException" in names or isinstance(error, TimeoutError):
        made = ProviderTimeoutError(f"nothing came from {host} for timeout={request.timeout:g} s")
    elif "ConnectError" in names:
        made = TransportError(f"cannot connect to {host}: {reason}")
    else:
        made = TransportError(f"the connection to {host} broke: {reason}")
        made.retryable = "TransportError" in names or isinstance(error, OSError)
    error.__traceback__ = error.__context__ = error.__cause__ = None
    vars(error).pop("_request", None)  # httpx keeps the request there, and with it the headers
    made.__cause__ = error
    return made


def _timeouts(request: HttpRequest) -> dict[str, float | None]:
    return {"connect": request.connect_timeout, "read": request.timeout, "write": request.timeout, "pool": None}
