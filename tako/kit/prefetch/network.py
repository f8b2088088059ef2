"""Resolve once, judge every answer, and dial nothing but what was judged.

The guard is an httpcore network backend: httpcore asks it for a connection to the URL's *host*, so that the name in TLS
(SNI and certificate) and in the Host header stays the host's, and the address is chosen here.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.to_thread
import httpcore

from tako.kit.prefetch.addresses import check_address
from tako.kit.prefetch.rules import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from tako.url_prefetch import Address, UrlPrefetch

MAX_TRIED = 8
"""Of a name's addresses, how many are tried. All of them are judged."""


async def resolve(host: str, port: int) -> list[str]:
    """Ask the system's resolver (files, DNS, whatever it is set up for) once; raise OSError where it knows nothing."""
    addresses = await anyio.to_thread.run_sync(_getaddrinfo, host, port, abandon_on_cancel=True)
    return list(dict.fromkeys(addresses))


def _getaddrinfo(host: str, port: int) -> list[str]:
    entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [str(sockaddr[0]) for _, _, _, _, sockaddr in entries]


class Network(NamedTuple):
    """What lies below the guard: the resolver, and the backend that opens TCP connections to addresses.

    Tests give their own, to watch what is dialled. Whatever they are, an address is judged after it was resolved and
    before it is dialled.
    """

    resolve: Callable[[str, int], Awaitable[list[str]]] = resolve
    tcp: httpcore.AsyncNetworkBackend = httpcore.AnyIOBackend()  # pyright: ignore[reportAssignmentType] - httpcore also declares a stand-in for it


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens the one connection of a hop, to an address that passed. Closes it, whatever became of it, in `aclose`."""

    def __init__(self, host: str | Address, policy: UrlPrefetch, network: Network) -> None:
        self._host = host
        self._policy = policy
        self._network = network
        self._opened: list[httpcore.AsyncNetworkStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the deadline is the fetch's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, judge, and dial the addresses in turn until one answers."""
        addresses = await self._addresses(port)
        for address in addresses:
            check_address(address, self._host, self._policy)
        tried = addresses[:MAX_TRIED]
        for index, address in enumerate(tried):
            seconds_left = anyio.current_effective_deadline() - anyio.current_time()
            remaining = len(tried) - index - 1
            share = (
                seconds_left / (remaining + 1) if remaining else None
            )  # one dead address must not cost the others their time
            with suppress(OSError, httpcore.NetworkError, httpcore.TimeoutException), anyio.fail_after(share):
                stream = await self._network.tcp.connect_tcp(str(address), port)
                self._opened.append(stream)
                return stream
        raise Refusal("connect", "no connection could be made")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore has it
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no URL leads to a socket file."""
        raise Refusal("connect", "no connection could be made")

    async def sleep(self, seconds: float) -> None:
        """Wait; httpcore asks for it between retries, of which there are none."""
        await anyio.sleep(seconds)

    async def aclose(self) -> None:
        """Close what was opened; httpcore leaves a connection behind when it is cancelled in the TLS handshake."""
        with anyio.CancelScope(shield=True):
            for stream in self._opened:
                with suppress(Exception):
                    await stream.aclose()

    async def _addresses(self, port: int) -> list[Address]:
        if not isinstance(self._host, str):
            return [self._host]
        try:
            answers = await self._network.resolve(self._host, port)
            addresses = [ip_address(answer) for answer in answers]
        except (OSError, ValueError):  # ValueError: the C library's own idea of a name, or of an address
            addresses = []
        if not addresses:
            raise Refusal("dns", "its name doesn't resolve")
        return addresses
