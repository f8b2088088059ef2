"""Servers that go on and on: no reply, no refusal and no stream is waited for without end."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from tako.errors import AuthenticationError, ProviderTimeoutError, TakoError, TransportError
from tako.kit.body import PROGRESS_BYTES, StallTimer
from tako.kit.loops import TimeLimit
from tako.loop_thread import loop_thread
from tako.providers import OpenAI

from .raw import head, saying, sized
from .test_tls import serving
from .ways import OURS, ask

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    import trustme

JSON, EVENTS = "content-type: application/json", "content-type: text/event-stream"
SHORT = 0.05
CHUNKED = "transfer-encoding: chunked"


def dripping(start: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    """Send a beginning, and then drops for as long as the client stays."""

    def say(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(start)
        while True:
            connection.sendall(drop)
            time.sleep(0.01)

    return say


OK = sized(b'{"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}', JSON)
HEAD_OF_A_REPLY = head("200 OK", JSON, "content-length: 99999999")


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (HEAD_OF_A_REPLY, b" "),
        (HEAD_OF_A_REPLY + b'{"id": "', b"x"),
        (head("200 OK", JSON, CHUNKED), b"1\r\n\n\r\n"),
        (head("200 OK", JSON), b" "),
        (b"HTTP/1.1 200 OK\r\n", b"x-header: a\r\n"),
        (b"HTTP/1.1 200 OK\r\nx-header: ", b"a"),
        (b"", head("102 Processing")),
    ],
    ids=["blanks", "letters", "chunks", "no length", "headers", "one header", "interim replies"],
)
@pytest.mark.parametrize("way", OURS)
def test_a_reply_that_drips_is_a_timeout(way: str, start: bytes, drop: bytes) -> None:
    with saying(dripping(start, drop)) as server, pytest.raises(TransportError) as caught:
        ask(way, server.url, timeout=SHORT)
    # a hundred headers are too many for some libraries, which is an end as well
    assert isinstance(caught.value, ProviderTimeoutError) or drop.startswith(b"x-header")
    assert caught.value.retryable


@pytest.mark.parametrize("way", ["asyncio", "blocking"])
def test_interim_replies_without_pause_are_a_timeout(way: str) -> None:
    def flood(connection: socket.socket) -> None:
        while True:
            connection.sendall(head("102 Processing") * 1000)

    with saying(flood) as server, pytest.raises(ProviderTimeoutError):
        ask(way, server.url, timeout=SHORT)


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (head("200 OK", EVENTS, CHUNKED), b"3\r\n:\n\n\r\n"),
        (head("200 OK", EVENTS, CHUNKED) + b"6\r\ndata: \r\n", b"1\r\nx\r\n"),
        (head("200 OK", JSON, CHUNKED), b"1\r\n \r\n"),
    ],
    ids=["keep-alives", "one event", "blanks"],
)
@pytest.mark.parametrize("way", OURS)
def test_a_stream_that_drips_is_a_timeout(way: str, start: bytes, drop: bytes) -> None:
    with saying(dripping(start, drop)) as server, pytest.raises(ProviderTimeoutError):
        ask(way, server.url, streamed=True, timeout=SHORT)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("way", ["transport", "client"])
def test_what_drips_through_a_users_transport_ends_too(way: str, streamed: bool) -> None:
    for start, drop in ((HEAD_OF_A_REPLY, b" "), (b"", head("102 Processing"))):
        with saying(dripping(start, drop)) as server, pytest.raises(ProviderTimeoutError):
            ask(way, server.url, streamed, timeout=SHORT)


@pytest.mark.parametrize(("drop", "streamed"), [(b" ", False), (b"x", True)])
@pytest.mark.parametrize("way", OURS)
def test_a_refusal_that_drips_is_a_refusal(way: str, drop: bytes, streamed: bool) -> None:
    start = head("401 X", JSON, "content-length: 99999999") + b'{"error": {"message": "who'
    for seconds in (SHORT, 1, 10):
        with saying(dripping(start, drop)) as server, pytest.raises(TakoError) as caught:
            ask(way, server.url, streamed, timeout=seconds)
        if type(caught.value) is AuthenticationError:  # if not, the machine took longer to bring even the status
            return
    raise caught.value


def test_a_reply_may_take_its_time_as_long_as_it_moves_on() -> None:
    patience = StallTimer(0.0)
    for _ in range(3):
        patience.count(b"w" * PROGRESS_BYTES)
    patience = StallTimer(0.0)
    time.sleep(0.001)
    with pytest.raises(ProviderTimeoutError):
        patience.count(b" " * PROGRESS_BYTES)
    with pytest.raises(ProviderTimeoutError):
        patience.count(b"w")


def test_a_question_without_a_body_is_not_waited_for_without_end_either() -> None:
    async def main() -> None:
        options: dict[str, Any] = {"timeout": SHORT, "connect_timeout": SHORT, "max_retries": 0}
        async with OpenAI("m", api_key="k", base_url=server.url, **options) as one:
            with pytest.raises(ProviderTimeoutError):
                await one.fetch(f"{server.url}/models", b"", method="GET")

    with saying(dripping(b"HTTP/1.1 200 OK\r\nx-header: ", b"a")) as server:
        asyncio.run(main())


@pytest.mark.parametrize("way", OURS)
def test_a_slow_call_frees_its_slot_of_a_limited_pool(way: str) -> None:
    for seconds in (SHORT, 1, 10):
        with saying(dripping(HEAD_OF_A_REPLY, b" "), OK) as server, suppress(ProviderTimeoutError):
            assert ask(way, server.url, timeout=seconds, max_connections=1, max_retries=1).text == "ok"
            return
    raise AssertionError("the answer never came")


LIMITS = (0.1, 1.0, 5.0)
"""Seconds, in turn: a busy machine may need the longer ones."""


def stand_still(loop: asyncio.AbstractEventLoop, turns: int, seconds: float) -> None:
    """Block an event loop, as programs do, after some of its turns."""
    if turns:
        loop.call_soon(stand_still, loop, turns - 1, seconds)
    else:
        time.sleep(seconds)


@pytest.mark.parametrize("turns", range(1, 5))
@pytest.mark.parametrize("is_tls", [False, True])
def test_connecting_goes_on_after_the_event_loop_stood_still(is_tls: bool, turns: int, authority: trustme.CA) -> None:
    async def main(limit: float) -> str:
        stand_still(asyncio.get_running_loop(), turns, 2 * limit)
        async with impatient_provider(server, limit) as one:
            return (await one.chat("hi")).text

    with saying(*[OK] * len(LIMITS), tls=serving(authority) if is_tls else None) as server:
        for limit in LIMITS:
            with suppress(ProviderTimeoutError):
                assert asyncio.run(main(limit)) == "ok"
                return
    raise AssertionError("it never connected")


@pytest.mark.parametrize("is_tls", [False, True])
def test_a_blocking_call_connects_although_the_background_loop_stands_still_again_and_again(
    is_tls: bool, authority: trustme.CA
) -> None:
    loop = loop_thread().loop
    has_answer = threading.Event()

    def stand_still_each_turn(seconds: float) -> None:
        if not has_answer.is_set():
            time.sleep(seconds)
            loop.call_soon(stand_still_each_turn, seconds)

    with saying(*[OK] * len(LIMITS), tls=serving(authority) if is_tls else None) as server:
        for limit in LIMITS:
            has_answer.clear()
            loop.call_soon_threadsafe(stand_still_each_turn, limit / 4)
            with suppress(ProviderTimeoutError), closing(impatient_provider(server, limit).blocking) as one:
                try:
                    assert one.chat("hi").text == "ok"
                finally:
                    has_answer.set()
                return
    raise AssertionError("it never connected")


def impatient_provider(server: Any, connect_timeout: float) -> OpenAI:
    url = server.url.replace("127.0.0.1", "localhost")
    return OpenAI("m", api="chat", api_key="k", base_url=url, connect_timeout=connect_timeout, max_retries=0)


def test_a_large_body_goes_on_after_the_event_loop_stood_still() -> None:
    def read_late(connection: socket.socket) -> None:
        head, _, body = connection.recv(1 << 20).partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        time.sleep(0.8 * limit)
        while (length := length - len(body)) > 0:
            body = connection.recv(1 << 20)
        connection.sendall(OK)

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.4 * limit, time.sleep, 1.6 * limit)
        async with OpenAI("m", api="chat", api_key="k", base_url=server.url, timeout=limit, max_retries=0) as one:
            assert (await one.chat("x" * 20_000_000)).text == "ok"

    for limit in LIMITS:  # noqa: B007 - the server's script uses it
        with saying(read_late) as server, suppress(ProviderTimeoutError):
            asyncio.run(main())
            return
    raise AssertionError("the body was never sent")


def test_a_loop_that_stands_still_again_and_again_has_a_limit_all_the_same() -> None:
    async def main() -> int:
        turns = 0
        with suppress(TimeoutError):
            async with TimeLimit(0.05):
                while turns < 20:
                    turns += 1
                    time.sleep(0.2)  # noqa: ASYNC251
                    await asyncio.sleep(0)
        return turns

    assert asyncio.run(main()) < 10
