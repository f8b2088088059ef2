"""Opening connections: the address of a server, TCP, a proxy's tunnel, and TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohappyeyeballs
from msgspec import Struct

from tako.kit.connection import Connection
from tako.kit.incoming import EndedError, NotHttpError
from tako.kit.loops import Limit, TimeLimit
from tako.kit.request_head import request_head
from tako.kit.tls import trusted
from tako.kit.transport_errors import describe_os_error, without_context

if TYPE_CHECKING:
    from tako.errors import TransportError
    from tako.kit.proxy import Proxy
    from tako.kit.transport_errors import Route

PORTS = {"http": 80, "https": 443}
HAPPY_EYEBALLS_DELAY = 0.25
"""Seconds until the next address of a host is tried beside the one before (RFC 8305)."""
CACHE_SECONDS = 10.0
"""Seconds for which a host's addresses are remembered: many calls at once ask for them once."""
IPV6 = 6
OK = 200


class Endpoint(Struct, frozen=True):
    """Where a server listens."""

    host: str
    port: int
    tls: bool

    @classmethod
    def of(cls, url: str) -> Endpoint:
        """Read an address. Raises ValueError where it is none."""
        parts = urlsplit(url)
        if not parts.hostname or parts.scheme not in PORTS:
            raise ValueError("no address of a server")
        host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
        return cls(host, parts.port or PORTS[parts.scheme], parts.scheme == "https")

    @property
    def certificate_name(self) -> str:
        """The name that is in the server's certificate."""
        return self.host.rstrip(".")

    @property
    def bracketed_host(self) -> str:
        """The host as it stands in an address."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        """Host and port as they stand in a request."""
        usual = PORTS["https" if self.tls else "http"]
        return self.bracketed_host if self.port == usual else f"{self.bracketed_host}:{self.port}"


class RefusedError(Exception):
    """A proxy answered CONNECT with a status of its own."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


CONNECT_ERRORS = OSError, UnicodeError, NotHttpError, EndedError, RefusedError
"""What ``connect_error`` describes."""


class AddressCache:
    """Looks hosts up, once for all who ask at the same time."""

    def __init__(self) -> None:
        self._lookups: dict[tuple[str, int], tuple[float, asyncio.Task[list[Any]]]] = {}

    async def of(self, endpoint: Endpoint) -> list[Any]:
        """Return what `socket.getaddrinfo` does. Raises socket.gaierror."""
        key = endpoint.host, endpoint.port
        with suppress(ValueError):
            family = socket.AF_INET6 if ip_address(endpoint.host).version == IPV6 else socket.AF_INET
            return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", key)]
        loop = asyncio.get_running_loop()
        valid_until, lookup = self._lookups.get(key, (0.0, None))
        has_failed = lookup is not None and lookup.done() and (lookup.cancelled() or lookup.exception() is not None)
        if lookup is None or has_failed or valid_until < loop.time():
            lookup = loop.create_task(_resolve(loop, *key))
            lookup.add_done_callback(_retrieve_error)
            now = loop.time()
            self._lookups = {name: entry for name, entry in self._lookups.items() if entry[0] >= now}
            self._lookups[key] = now + CACHE_SECONDS, lookup
        return await asyncio.shield(lookup)


async def connect(
    endpoint: Endpoint, proxy: Proxy | None, addresses: AddressCache, route: Route, seconds: float
) -> Connection:
    """Open a connection, through a proxy if there is one. Raises TransportError."""
    at_proxy = proxy is not None
    try:
        async with TimeLimit(Limit(seconds)):
            if proxy is None:
                return await _open(endpoint, addresses)
            connection = await _open(Endpoint.of(proxy.address), addresses)
            at_proxy = False
            return await _tunnel(connection, endpoint, proxy, seconds) if endpoint.tls else connection
    except CONNECT_ERRORS as error:
        failure = connect_error(error, route, at_proxy=at_proxy)
    raise failure  # outside of the handler, so that the original doesn't ride along


async def open_socket(endpoint: Endpoint, addresses: AddressCache) -> socket.socket:
    """Connect a socket, which doesn't block. Raises OSError, and UnicodeError for what can't be a host's name."""
    return await aiohappyeyeballs.start_connection(  # pyright: ignore[reportUnknownMemberType] - half typed
        await addresses.of(endpoint), happy_eyeballs_delay=HAPPY_EYEBALLS_DELAY, loop=asyncio.get_running_loop()
    )


async def _open(endpoint: Endpoint, addresses: AddressCache) -> Connection:
    loop = asyncio.get_running_loop()
    sock = await open_socket(endpoint, addresses)
    _, connection = await loop.create_connection(
        partial(Connection, loop),
        sock=sock,
        ssl=trusted() if endpoint.tls else None,
        server_hostname=endpoint.certificate_name if endpoint.tls else None,
    )
    return connection


async def _tunnel(connection: Connection, endpoint: Endpoint, proxy: Proxy, seconds: float) -> Connection:
    """Have a proxy connect us, and begin TLS with the server behind it."""
    loop = asyncio.get_running_loop()
    address = f"{endpoint.bracketed_host}:{endpoint.port}"
    try:
        connection.send(request_head("CONNECT", address, {"host": address, **proxy.headers}), b"", seconds)
        await connection.answered()
        if connection.status != OK:
            raise RefusedError(connection.status)  # noqa: TRY301 - the handler is for this, too
        inner = Connection(loop)
        transport = await loop.start_tls(
            connection.transport, inner, trusted(), server_hostname=endpoint.certificate_name
        )
        if transport is None:
            raise EndedError  # noqa: TRY301 - the same
    except BaseException:
        connection.abort()
        raise
    inner.connection_made(transport)
    connection.connection_lost(None)  # TLS has its socket now: nothing of it may go on
    return inner


async def _resolve(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[Any]:
    return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _retrieve_error(lookup: asyncio.Task[Any]) -> None:
    """Look at how a task ended, so that nobody complains that no one did."""
    if not lookup.cancelled():
        lookup.exception()


def connect_error(error: Exception, route: Route, *, at_proxy: bool) -> TransportError:
    """Say why there is no connection. The cause is the system's error, which holds neither URLs nor headers."""
    if isinstance(error, TimeoutError) and error.errno is None:
        failure: TransportError = route.slow_connect()
    elif isinstance(error, (socket.gaierror, UnicodeError)):  # the latter for what can't be a host's name
        failure = route.unknown_host()
    elif isinstance(error, ssl.SSLError):
        failure = route.tls_failed(error, at_proxy=at_proxy)
    elif isinstance(error, RefusedError):
        failure = route.tunnel_refused(error.status)
    elif isinstance(error, NotHttpError):
        failure = route.tunnel_refused(None)
    else:
        failure = route.unreachable(describe_os_error(error))
    failure.__cause__ = without_context(error, failure)
    return failure
