"""Event loops that stand still, and machines that sleep: what came meanwhile isn't too late."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import pytest

from tako.errors import ProviderTimeoutError
from tako.kit.loops import Limit, TimeLimit
from tako.loop_thread import loop_thread
from tako.providers import OpenAI

from .raw import saying, sized
from .signals import interrupting
from .test_tls import serving

if TYPE_CHECKING:
    import socket

    import trustme

    from .raw import Raw

OK = sized(b'{"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}', "content-type: application/json")
LIMITS = (0.1, 1.0, 5.0)
"""Seconds, in turn: a busy machine may need the longer ones."""


def stand_still(loop: asyncio.AbstractEventLoop, turns: int, seconds: float) -> None:
    """Block an event loop, as programs do, after some of its turns."""
    if turns:
        loop.call_soon(stand_still, loop, turns - 1, seconds)
    else:
        time.sleep(seconds)


def impatient_provider(server: Raw, connect_timeout: float, *, is_tls: bool = False) -> OpenAI:
    url = f"http{'s' * is_tls}://{server.place.replace('127.0.0.1', 'localhost')}"
    return OpenAI("m", api="chat", api_key="k", base_url=url, connect_timeout=connect_timeout, max_retries=0)


@pytest.mark.parametrize("turns", range(1, 5))
@pytest.mark.parametrize("is_tls", [False, True])
def test_connecting_goes_on_after_the_event_loop_stood_still(is_tls: bool, turns: int, authority: trustme.CA) -> None:
    async def main(limit: float) -> str:
        stand_still(asyncio.get_running_loop(), turns, 2 * limit)
        async with impatient_provider(server, limit, is_tls=is_tls) as one:
            return (await one.chat("hi")).text

    with saying(*[OK] * len(LIMITS), tls=serving(authority) if is_tls else None) as server:
        for limit in LIMITS:
            with suppress(ProviderTimeoutError):
                assert asyncio.run(main(limit)) == "ok"
                return
    raise AssertionError("it never connected")


def test_a_blocking_call_connects_although_the_background_loop_stands_still_again_and_again() -> None:
    loop = loop_thread().loop
    has_answer = threading.Event()

    def stand_still_each_turn(seconds: float) -> None:
        if not has_answer.is_set():
            time.sleep(seconds)
            loop.call_soon(stand_still_each_turn, seconds)

    with saying(OK) as server:
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


def test_a_blocking_call_begins_tls_although_a_signals_handler_takes_its_time(authority: trustme.CA) -> None:
    is_interrupted = threading.Event()

    def answer_meanwhile(connection: socket.socket) -> None:
        is_interrupted.wait(60)
        with serving(authority).wrap_socket(connection, server_side=True) as encrypted:
            server.read(encrypted)
            encrypted.sendall(OK)

    def take_time(*_: object) -> None:
        is_interrupted.set()
        time.sleep(2 * limit)

    previous = signal.signal(signal.SIGUSR1, take_time)
    try:
        for limit in LIMITS:
            is_interrupted.clear()
            with saying(answer_meanwhile) as server, suppress(ProviderTimeoutError):
                with interrupting(lambda: server.connections > 0):
                    assert impatient_provider(server, limit, is_tls=True).blocking.chat("hi").text == "ok"
                return
    finally:
        signal.signal(signal.SIGUSR1, previous)
    raise AssertionError("it never connected")


@pytest.mark.parametrize(("late", "seconds"), [(0.02, 1), (3, 3), (60, 10)])
def test_there_is_more_time_once_if_nobody_looked_at_the_clock(late: float, seconds: float) -> None:
    limit = Limit(10)
    before = time.monotonic()
    limit.until = before - late
    assert not limit.is_over()
    after = time.monotonic()  # the machine may have been busy meanwhile
    assert before + seconds <= limit.until <= after + seconds + (after - before)
    limit.until = before - late
    assert limit.is_over()


def test_there_is_no_more_time_if_the_clock_was_looked_at_in_time() -> None:
    limit = Limit(10)
    assert limit.is_over()
    assert limit.until <= time.monotonic() + 10


def test_a_limit_that_was_kept_is_forgotten() -> None:
    heard: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
        async with TimeLimit(Limit(0.01)):
            pass
        await asyncio.sleep(0.03)

    asyncio.run(main())
    assert heard == []


def test_a_large_body_goes_on_after_the_event_loop_stood_still() -> None:
    def read_late(connection: socket.socket) -> None:
        time.sleep(0.8 * limit)
        server.read(connection)
        connection.sendall(OK)

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.4 * limit, time.sleep, 1.6 * limit)
        async with OpenAI("m", api="chat", api_key="k", base_url=server.url, timeout=limit, max_retries=0) as one:
            assert (await one.chat("x" * 8_000_000)).text == "ok"  # more than the sockets hold

    for limit in LIMITS:  # noqa: B007 - the server's script uses it
        with saying(read_late) as server, suppress(ProviderTimeoutError):
            asyncio.run(main())
            return
    raise AssertionError("the body was never sent")


def test_a_loop_that_stands_still_again_and_again_has_a_limit_all_the_same() -> None:
    async def main() -> int:
        turns = 0
        with suppress(TimeoutError):
            async with TimeLimit(Limit(0.05)):
                while turns < 20:
                    turns += 1
                    time.sleep(0.2)  # noqa: ASYNC251
                    await asyncio.sleep(0)
        return turns

    assert asyncio.run(main()) < 10
