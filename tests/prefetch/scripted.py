"""A network under the guard: a resolver by table, and connections in memory that record what was dialled."""

# ruff: noqa: ASYNC109 - the timeouts are in the signatures of httpcore
from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import httpcore

from tako.kit.prefetch import Network

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Mapping, Sequence

CANARY = b"CANARY-9d1f"
PNG = b"\x89PNG\r\n\x1a\n" + CANARY + bytes(64)
JPEG = b"\xff\xd8\xff\xe0" + CANARY + bytes(64)
GIF = b"GIF89a" + CANARY + bytes(64)
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8 " + CANARY + bytes(64)


def answer(
    body: bytes = PNG, *headers: str, status: str = "200 OK", type: str | None = "image/png", length: bool = True
) -> bytes:
    """Write an HTTP/1.1 answer."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if type is not None:
        lines.append(f"Content-Type: {type}")
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def redirect(*locations: str, status: int = 302) -> bytes:
    """Write a redirect."""
    lines = [f"Location: {location}" for location in locations]
    return answer(CANARY, *lines, "Set-Cookie: a=CANARY-9d1f", status=f"{status} Moved", type=None)


class Dialled(NamedTuple):
    """One TCP connection that the guard asked for."""

    address: str
    port: int


class Scripted(httpcore.AsyncNetworkBackend):
    """Answers the n-th connection with the n-th of ``answers`` (the last one again after that).

    ``dns`` maps a name to its addresses, or to several lists of them: one for each lookup. ``dead`` addresses refuse
    connections; ``silent`` ones never answer. ``stalls``: a connection stays open when all is said.
    """

    def __init__(
        self,
        dns: Mapping[str, Sequence[str] | Sequence[Sequence[str]]] | None = None,
        answers: Sequence[bytes | Sequence[bytes]] = (),
        dead: Iterable[str] = (),
        silent: Iterable[str] = (),
        stalls: bool = False,
    ) -> None:
        self.dns = dns or {}
        self.answers = answers or (answer(),)
        self.dead = frozenset(dead)
        self.silent = frozenset(silent)
        self.stalls = stalls
        self.dialled: list[Dialled] = []
        self.lookups: list[str] = []
        self.streams: list[ScriptedStream] = []

    @property
    def network(self) -> Network:
        return Network(self.resolve, self)

    async def resolve(self, host: str, port: int) -> list[str]:
        nth = self.lookups.count(host)
        self.lookups.append(host)
        if host not in self.dns:
            raise socket.gaierror(socket.EAI_NONAME, "CANARY-9d1f: no such name")
        answers: Sequence[Any] = self.dns[host]
        if answers and not isinstance(answers[0], str):
            answers = answers[min(nth, len(answers) - 1)]
        return [str(address) for address in answers]

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        self.dialled.append(Dialled(host, port))
        if host in self.dead:
            raise httpcore.ConnectError(f"CANARY-9d1f: {host} refused")
        if host in self.silent:
            await anyio.sleep_forever()
        script = self.answers[min(len(self.streams), len(self.answers) - 1)]
        stream = ScriptedStream([script] if isinstance(script, bytes) else list(script), stalls=self.stalls)
        self.streams.append(stream)
        return stream


class ScriptedStream(httpcore.AsyncNetworkStream):
    """A connection that says its lines whatever it is asked, then ends (or does not)."""

    def __init__(self, script: list[bytes], *, stalls: bool = False) -> None:
        self.script = script
        self.stalls = stalls
        self.request = b""
        self.tls_name: str | None = None
        self.closed = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self.closed:
            raise httpcore.ReadError("CANARY-9d1f: closed")
        if not self.script and self.stalls:
            await anyio.sleep_forever()
        if not self.script:
            return b""
        piece, rest = self.script[0][:max_bytes], self.script[0][max_bytes:]
        self.script[:1] = [rest] if rest else []
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.request += buffer

    async def aclose(self) -> None:
        self.closed = True

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        assert ssl_context.check_hostname
        self.tls_name = server_hostname
        return self

    def get_extra_info(self, info: str) -> Any:
        return None
