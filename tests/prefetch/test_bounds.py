"""Slow and endless answers: memory stays under twice max_bytes, and the deadline is kept."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
from itertools import repeat
from typing import TYPE_CHECKING

import anyio
import pytest

from tako.errors import UrlPrefetchError
from tako.kit.prefetch import Network, fetch_image
from tako.url_prefetch import UrlPrefetch

from .cases import PUBLIC, PUBLIC6
from .clock import run
from .scripted import PNG, Scripted, answer
from .server import serving

if TYPE_CHECKING:
    from collections.abc import Callable

MEBI = 1024 * 1024
MAX_BYTES = 4 * MEBI
FULL = PNG + bytes(MAX_BYTES - len(PNG))
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"


def fetched(
    handler: Callable[[socket.socket], None], timeout: float = 120.0, backend: str = "asyncio"
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


def repeating(first: bytes, again: bytes, times: int) -> Callable[[socket.socket], None]:
    """Send one thing, and another again and again."""

    def handler(connection: socket.socket) -> None:
        connection.sendall(first)
        for piece in repeat(again, times):
            connection.sendall(piece)

    return handler


def dripping(first: bytes, again: bytes = b"") -> Callable[[socket.socket], None]:
    """Send one thing, and another every tenth of a second until the client leaves."""

    def handler(connection: socket.socket) -> None:
        connection.sendall(first)
        connection.settimeout(0.1)
        while True:
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
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
    verdict, _, peak = fetched(handler)
    assert verdict == rule
    assert peak < 2 * MAX_BYTES


def test_the_largest_image_costs_less_than_twice_its_size() -> None:
    verdict, _, peak = fetched(repeating(answer(FULL), b"", 0))
    assert verdict == "fetched"
    assert peak < 2 * MAX_BYTES


SLOW = {
    "silence": dripping(b""),
    "headers byte by byte": dripping(b"HTTP/1.1 200 OK\r\nX-A: ", b"a"),
    "a body byte by byte": dripping(HEADERS + b"\r\n" + PNG, b"a"),
    "chunks byte by byte": dripping(HEADERS + b"Transfer-Encoding: chunked\r\n\r\n", b"1"),
    "100 Continue for ever": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a redirect, then silence": dripping(b"HTTP/1.1 302 Found\r\nLocation: "),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_answer_ends_with_the_deadline(name: str) -> None:
    backend = "trio" if name == "silence" else "asyncio"
    verdict, seconds, _ = fetched(SLOW[name], timeout=0.3, backend=backend)
    assert verdict == "timeout"
    assert seconds > 0.2


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_silence_in_the_tls_handshake_ends_with_the_deadline(backend: str) -> None:
    policy = UrlPrefetch(allow_private_ips=True, timeout=0.3)

    async def main(url: str) -> None:
        with pytest.raises(UrlPrefetchError, match="timeout"):
            await fetch_image(url, policy)

    with serving(dripping(b"")) as server:
        anyio.run(main, f"https://127.0.0.1:{server.port}/", backend=backend)
    assert server.accepted == 1


def test_a_resolver_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    called, released, ended = threading.Event(), threading.Event(), threading.Event()

    def hang(*_args: object, **_options: object) -> None:
        called.set()
        released.wait(60)
        ended.set()

    async def main() -> None:
        for seconds in (0.2, 2, 20):
            with pytest.raises(UrlPrefetchError) as caught:
                await fetch_image("https://images.example/", UrlPrefetch(timeout=seconds))
            assert (caught.value.rule, caught.value.option) == ("timeout", "timeout")
            if called.is_set():  # if not, its thread has not come round to it yet
                break
        assert not ended.is_set()
        released.set()

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    anyio.run(main)
    assert ended.wait(60)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_all_hops_and_lookups_share_one_deadline(backend: str) -> None:
    async def slow(host: str, port: int) -> list[str]:
        await anyio.sleep(1)
        return [PUBLIC]

    world = Scripted(answers=[b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"])

    async def main() -> float:
        with pytest.raises(UrlPrefetchError) as caught:
            await fetch_image("https://images.example/", UrlPrefetch(timeout=2.5), network=Network(slow, world))
        assert caught.value.rule == "timeout"
        return anyio.current_time()

    assert run(main, backend=backend) == 2.5
    assert len(world.dialled) == 2


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_silent_address_leaves_time_for_the_next(backend: str) -> None:
    world = Scripted({"images.example": [PUBLIC, PUBLIC6]}, silent=[PUBLIC])

    async def main() -> tuple[str, float]:
        image = await fetch_image("https://images.example/", UrlPrefetch(timeout=4), network=world.network)
        return image.mime, anyio.current_time()

    assert run(main, backend=backend) == ("image/png", 2.0)
    assert [each.address for each in world.dialled] == [PUBLIC, PUBLIC6]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_silent_addresses_end_with_the_deadline(backend: str) -> None:
    world = Scripted({"images.example": [PUBLIC, PUBLIC6]}, silent=[PUBLIC, PUBLIC6])

    async def main() -> float:
        with pytest.raises(UrlPrefetchError) as caught:
            await fetch_image("https://images.example/", UrlPrefetch(timeout=4), network=world.network)
        assert caught.value.rule == "timeout"
        return anyio.current_time()

    assert run(main, backend=backend) == 4.0
