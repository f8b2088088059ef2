"""Slow and endless answers: memory stays under twice max_bytes, time under the deadline and a second."""

from __future__ import annotations

import gzip
import socket
import time
import tracemalloc
from typing import TYPE_CHECKING

import anyio
import pytest

from tako.errors import UrlPrefetchError
from tako.kit.prefetch import Network, fetch_image
from tako.url_prefetch import UrlPrefetch

from .cases import PUBLIC, PUBLIC6
from .scripted import PNG, Scripted, answer
from .server import serving

if TYPE_CHECKING:
    from collections.abc import Callable

MEBI = 1024 * 1024
MAX_BYTES = 4 * MEBI
FULL = PNG + bytes(MAX_BYTES - len(PNG))
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"


def fetched(
    handler: Callable[[socket.socket], None], timeout: float = 10.0, backend: str = "asyncio"
) -> tuple[str, float, int]:
    """Fetch from a handler; return the rule (or "fetched"), the seconds and the peak of memory above the start."""
    policy = UrlPrefetch(allow_http=True, allow_private_ips=True, timeout=timeout, max_bytes=MAX_BYTES)

    async def run(url: str) -> str:
        try:
            await fetch_image(url, policy)
        except UrlPrefetchError as error:
            return error.rule
        return "fetched"

    with serving(handler) as server:
        tracemalloc.start()
        started = time.monotonic()
        verdict = anyio.run(run, f"http://127.0.0.1:{server.port}/", backend=backend)
        seconds = time.monotonic() - started
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return verdict, seconds, peak


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """Import what is imported at the first fetch, so that it is not counted."""
    assert fetched(repeating(answer(), b"", 0))[0] == "fetched"


def repeating(first: bytes, again: bytes, times: int, pause: float = 0) -> Callable[[socket.socket], None]:
    """Send one thing, and another again and again."""

    def handler(connection: socket.socket) -> None:
        connection.sendall(first)
        for _ in range(times):
            time.sleep(pause)
            connection.sendall(again)

    return handler


ENDLESS = {
    "a body of 1 GB": (repeating(HEADERS + b"\r\n" + PNG, bytes(MEBI), 1000), "length"),
    "1 GB declared": (repeating(HEADERS + b"Content-Length: 1000000000\r\n\r\n" + PNG, bytes(MEBI), 1000), "length"),
    "1 GB in chunks": (
        repeating(
            HEADERS + b"Transfer-Encoding: chunked\r\n\r\n53\r\n%b\r\n" % PNG, b"100000\r\n%b\r\n" % bytes(MEBI), 1000
        ),
        "length",
    ),
    "a gzip bomb": (
        repeating(HEADERS + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(FULL), gzip.compress(bytes(MEBI)), 1000),
        "coding",
    ),
    "headers without end": (repeating(HEADERS, b"X-A: %b\r\n" % bytes(b"a" * 8000), 20000), "protocol"),
    "a header without end": (repeating(HEADERS + b"X-A: ", b"a" * MEBI, 1000), "protocol"),
    "trailers without end": (
        repeating(
            HEADERS + b"Transfer-Encoding: chunked\r\n\r\n53\r\n%b\r\n0\r\n" % PNG,
            b"X-A: %b\r\n" % (b"a" * 8000),
            20000,
        ),
        "protocol",
    ),
    "a chunk extension without end": (
        repeating(HEADERS + b"Transfer-Encoding: chunked\r\n\r\n53;a=", b"a" * MEBI, 1000),
        "protocol",
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_endless_answer_costs_less_than_twice_max_bytes(name: str) -> None:
    handler, rule = ENDLESS[name]
    verdict, seconds, peak = fetched(handler)
    assert verdict == rule
    assert peak < 2 * MAX_BYTES
    assert seconds < 5


def test_the_largest_image_costs_less_than_twice_its_size() -> None:
    verdict, _, peak = fetched(repeating(answer(FULL), b"", 0))
    assert verdict == "fetched"
    assert peak < 2 * MAX_BYTES


SLOW = {
    "silence": repeating(b"", b"", 3, pause=1),
    "headers byte by byte": repeating(b"HTTP/1.1 200 OK\r\nX-A: ", b"a", 30, pause=0.1),
    "a body byte by byte": repeating(HEADERS + b"\r\n" + PNG, b"a", 30, pause=0.1),
    "chunks byte by byte": repeating(
        HEADERS + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n\x89\r\n"[:1], 30, pause=0.1
    ),
    "100 Continue for ever": repeating(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 30, pause=0.1),
    "a redirect, then silence": repeating(b"HTTP/1.1 302 Found\r\nLocation: ", b"", 30, pause=0.1),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_answer_ends_with_the_deadline(name: str) -> None:
    backend = "trio" if name == "silence" else "asyncio"
    verdict, seconds, _ = fetched(SLOW[name], timeout=0.3, backend=backend)
    assert verdict == "timeout"
    assert 0.2 < seconds < 1.3


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_silence_in_the_tls_handshake_ends_with_the_deadline(backend: str) -> None:
    policy = UrlPrefetch(allow_private_ips=True, timeout=0.3)

    async def run(url: str) -> None:
        await fetch_image(url, policy)

    with serving(lambda _connection: time.sleep(1)) as server:
        started = time.monotonic()
        with pytest.raises(UrlPrefetchError, match="timeout"):
            anyio.run(run, f"https://127.0.0.1:{server.port}/", backend=backend)
        assert time.monotonic() - started < 1.3


def test_a_resolver_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_args: object, **_options: object) -> None:
        time.sleep(2)

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    async def run() -> None:
        await fetch_image("https://images.example/", UrlPrefetch(timeout=0.2))

    started = time.monotonic()
    with pytest.raises(UrlPrefetchError) as caught:
        anyio.run(run)
    assert caught.value.rule == "timeout"
    assert caught.value.option == "timeout"
    assert time.monotonic() - started < 1.2


def test_all_hops_and_lookups_share_one_deadline() -> None:
    async def slow(host: str, port: int) -> list[str]:
        await anyio.sleep(0.1)
        return [PUBLIC]

    world = Scripted(answers=[b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"])

    async def run() -> None:
        await fetch_image("https://images.example/", UrlPrefetch(timeout=0.25), network=Network(slow, world))

    with pytest.raises(UrlPrefetchError) as caught:
        anyio.run(run)
    assert caught.value.rule == "timeout"
    assert len(world.dialled) == 2


def test_a_silent_address_leaves_time_for_the_next() -> None:
    world = Scripted({"images.example": [PUBLIC, PUBLIC6]}, silent=[PUBLIC])

    async def run() -> str:
        return (await fetch_image("https://images.example/", UrlPrefetch(timeout=0.4), network=world.network)).mime

    started = time.monotonic()
    assert anyio.run(run) == "image/png"
    assert time.monotonic() - started < 0.4
    assert [each.address for each in world.dialled] == [PUBLIC, PUBLIC6]


def test_silent_addresses_end_with_the_deadline() -> None:
    world = Scripted({"images.example": [PUBLIC, PUBLIC6]}, silent=[PUBLIC, PUBLIC6])

    async def run() -> None:
        await fetch_image("https://images.example/", UrlPrefetch(timeout=0.2), network=world.network)

    with pytest.raises(UrlPrefetchError) as caught:
        anyio.run(run)
    assert caught.value.rule == "timeout"
