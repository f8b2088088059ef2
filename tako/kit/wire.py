"""What a request and a reply are to a transport: the interface between tako and HTTP libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from tako.files import LocalFile
    from tako.kit.http import HttpProvider


STALL_FACTOR = 5
"""How many times ``timeout`` a server may go on with what says nothing: keep-alives, or interim replies (1xx)."""
PIECE = 64 * 1024
"""Bytes of a body that are sent at a time. The server has ``timeout`` to take each piece."""


class HttpHeaders(dict[str, str]):
    """Headers to send. Its repr shows names alone, since values may be keys."""

    def __repr__(self) -> str:
        return f"HttpHeaders({', '.join(self)})"


class FileBody:
    """A body that is read from a file while it's sent: what goes before the file, the file, and what goes after it.

    It's sliced as bytes are, a piece at a time.
    """

    def __init__(self, head: bytes, file: LocalFile, tail: bytes = b"") -> None:
        self._head = head
        self._file = file
        self._tail = tail

    def __len__(self) -> int:
        return len(self._head) + self._file.size + len(self._tail)

    def __getitem__(self, piece: slice) -> bytes:
        at, end, _ = piece.indices(len(self))
        start = len(self._head)
        rest = start + self._file.size
        inside = (
            self._file.read(max(at - start, 0), min(end, rest) - max(at, start)) if at < rest and end > start else b""
        )
        return self._head[at:end] + inside + self._tail[max(at - rest, 0) : max(end - rest, 0)]

    def __repr__(self) -> str:
        return f"<{self._file.name}, {len(self)} bytes>"


Body = bytes | FileBody


class HttpRequest(Struct, frozen=True):
    """A request to send. Times are in seconds: ``timeout`` is the longest silence, connecting has its own limit.

    ``has_own_headers``: some headers are of this request alone, such as its signature, so they aren't remembered.
    """

    method: str
    url: str
    headers: HttpHeaders
    body: Body
    timeout: float
    connect_timeout: float
    has_own_headers: bool = False

    def __repr__(self) -> str:
        shown = repr(self.url)[1:-1]  # an address may hide its keys
        return f"<{self.method} {shown.partition('?')[0]}>"


class HttpReply(Protocol):
    """A reply whose body has not been read."""

    status: int

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; looked up in any case."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """Iterate over the raw body as it comes; raises TransportError where the connection breaks."""
        ...

    async def aclose(self) -> None:
        """Let go: the connection is kept if the body was read to its end, and closed at once if not."""
        ...


class Transport(Protocol):
    """Sends requests. It follows no redirects, keeps no cookies and adds no credentials."""

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send and return as soon as the reply's headers are there; raises TransportError."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


AROUND: list[Callable[[Transport, HttpProvider], Transport]] = []
"""What stands around the transports of all providers of this process, the last one outermost: recorders, and tests.

Each is asked for every request and returns the transport to send it through; ``aclose`` is never called on that.
"""
