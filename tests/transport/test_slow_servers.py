"""Servers that go on and on: no reply, no refusal and no stream is waited for without end."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tako.errors import AuthenticationError, ProviderTimeoutError, TakoError, TransportError
from tako.kit.body import PROGRESS_BYTES, StallTimer
from tako.providers import OpenAI

from .raw import head, saying, sized
from .ways import OURS, ask

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

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
    answer = sized(b'{"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}', JSON)
    for seconds in (SHORT, 1, 10):
        with saying(dripping(HEAD_OF_A_REPLY, b" "), answer) as server, suppress(ProviderTimeoutError):
            assert ask(way, server.url, timeout=seconds, max_connections=1, max_retries=1).text == "ok"
            return
    raise AssertionError("the answer never came")
