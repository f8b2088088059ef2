"""Kept connections: one that has ended is never used, and no request is sent twice that may have been read."""

from __future__ import annotations

import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

from tako.errors import TransportError
from tako.kit.keep_alive import CLOSE_DELAY, MAX_REMEMBERED, KeepAliveHistory
from tako.testing.dialects import COMPLETIONS
from tako.testing.script import Script
from tako.testing.waiting import until

from .raw import head, saying, sized
from .ways import LOOP_WAYS, WAYS, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tako.providers import OpenAI

    from .raw import Raw

SCRIPT = Script(text="Hello there.")
DOCUMENT = msgspec.json.encode(COMPLETIONS.whole(SCRIPT))
FULL_REPLY = sized(DOCUMENT, "content-type: application/json", "connection: keep-alive")
EVENTS = b"".join(COMPLETIONS.events(SCRIPT))
STREAM = head("200 OK", "content-type: text/event-stream", "transfer-encoding: chunked", "keep-alive: timeout=5") + (
    b"%x\r\n%s\r\n0\r\n\r\n" % (len(EVENTS), EVENTS)
)


def closing(server: list[Raw], reply: bytes, closed: threading.Event) -> Callable[[socket.socket], None]:
    """Answer one request, and close with the last byte, without a word about it."""

    def once(connection: socket.socket) -> None:
        closed.clear()
        server[0].read(connection)
        if hasattr(socket, "TCP_CORK"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # the end goes with the last bytes
        connection.sendall(reply)
        connection.shutdown(socket.SHUT_WR)
        closed.set()
        while connection.recv(65536):
            pass

    return once


def streamed(reply: bytes) -> bool:
    return reply is STREAM


async def ask(provider: OpenAI, script: bytes) -> str:
    reply = await (provider.stream("hi").response() if streamed(script) else provider.chat("hi"))
    return str(reply.text)


@pytest.mark.parametrize("busy", [False, True], ids=["at once", "after a while that the loop was kept from looking"])
@pytest.mark.parametrize("reply", [FULL_REPLY, STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize("way", WAYS)
def test_a_server_that_closes_with_its_last_byte_costs_no_call(way: str, reply: bytes, busy: bool) -> None:
    async def main(provider: OpenAI) -> None:
        for _ in range(10):
            assert await ask(provider, reply) == SCRIPT.text
            if busy:
                until(closed.is_set)
                time.sleep(0.002)  # noqa: ASYNC251 - the event loop sees nothing of it

    closed, servers = threading.Event(), list[Any]()
    with saying(closing(servers, reply, closed)) as server:
        servers.append(server)
        run(way, server.url, main)
    assert (server.requests, server.connections) == (10, 10)


@pytest.mark.parametrize("way", LOOP_WAYS)
def test_many_kept_connections_may_have_ended_at_once(way: str) -> None:
    async def main(provider: OpenAI) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(ask, provider, FULL_REPLY)
        gone.set()
        until(lambda: closed.acquire(blocking=False) and len(ended) == 8)
        assert await ask(provider, FULL_REPLY) == SCRIPT.text

    def once(connection: socket.socket) -> None:
        server.read(connection)
        if not gone.is_set():
            together.wait()
        connection.sendall(FULL_REPLY)
        gone.wait(60)
        connection.close()
        ended.append(1)
        closed.release()

    together, gone, closed, ended = threading.Barrier(8), threading.Event(), threading.Semaphore(0), list[int]()
    with saying(once) as server:
        run(way, server.url, main)
    assert server.requests == 9


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("way", WAYS)
def test_a_request_that_was_read_is_not_sent_again(way: str, end: str) -> None:
    def once(connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(FULL_REPLY)
        server.read(connection)
        if end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def main(provider: OpenAI) -> None:
        assert await ask(provider, FULL_REPLY) == SCRIPT.text
        with pytest.raises(TransportError) as caught:
            await ask(provider, FULL_REPLY)
        assert caught.value.retryable

    with saying(once) as server:
        run(way, server.url, main)
    assert server.requests == 2


def test_what_a_server_says_out_of_turn_is_no_answer_to_the_next_request() -> None:
    def once(connection: socket.socket) -> None:
        server.read(connection)
        connection.sendall(FULL_REPLY)
        connection.sendall(head("408 Request Timeout", "content-length: 0"))
        has_spoken.set()
        server.read(connection)

    async def main(provider: OpenAI) -> None:
        assert await ask(provider, FULL_REPLY) == SCRIPT.text
        until(has_spoken.is_set)
        assert await ask(provider, FULL_REPLY) == SCRIPT.text

    has_spoken = threading.Event()
    with saying(once, FULL_REPLY) as server:
        run("asyncio", server.url, main)
    assert server.requests == 2


def test_connections_rest_for_a_moment_until_a_server_is_known_to_keep_them() -> None:
    habits, kind = KeepAliveHistory(), ("https://acme.example/chat", 200, "text/event-stream")
    now = time.monotonic()
    assert 0 < habits.delay(now, kind) <= CLOSE_DELAY
    assert habits.delay(now - 1, kind) < 0
    habits.record(kind, is_kept=True)
    assert habits.delay(now, kind) == 0
    assert habits.delay(now, (*kind[:2], "application/json")) > 0
    habits.record(kind, is_kept=False)
    assert habits.delay(now, kind) > 0


@pytest.mark.parametrize("way", LOOP_WAYS)
def test_a_server_that_keeps_its_connections_is_asked_on_one(way: str) -> None:
    def in_turn(connection: socket.socket) -> None:
        while True:
            for reply in (FULL_REPLY, STREAM):
                server.read(connection)
                connection.sendall(reply)

    async def main(provider: OpenAI) -> None:
        for _ in range(3):
            assert [await ask(provider, reply) for reply in (FULL_REPLY, STREAM)] == [SCRIPT.text] * 2

    with saying(in_turn) as server:
        run(way, server.url, main)
    assert (server.requests, server.connections) == (6, 1)


def answers_in_two_pieces(
    server: list[Raw], number: list[int], wants_rest: threading.Event
) -> Callable[[socket.socket], None]:
    """Answer each request on a connection with a first piece, and with its number when the client asks for the rest."""

    def serve(connection: socket.socket) -> None:
        while True:
            server[0].read(connection)
            number[0] += 1
            events = [*COMPLETIONS.events(Script(text="first"))]
            first = b"".join(events[:2])
            rest = b"".join(events[1:]).replace(b"first", b" number %d" % number[0])
            connection.sendall(head("200 OK", "content-type: text/event-stream", "transfer-encoding: chunked"))
            connection.sendall(b"%x\r\n%s\r\n" % (len(first), first))
            wants_rest.wait(5)
            wants_rest.clear()
            connection.sendall(b"%x\r\n%s\r\n0\r\n\r\n" % (len(rest), rest))

    return serve


@pytest.mark.parametrize("way", WAYS)
def test_what_a_stream_left_unread_is_not_in_the_next_reply(way: str) -> None:
    async def main(provider: OpenAI) -> None:
        async with provider.stream("hi") as stream:
            await anext(stream)
            wants_rest.set()
            await anyio.sleep(0.1)  # so that all of it is there, unread
        wants_rest.set()
        assert (await provider.stream("hi").response()).text == "first number 2"

    servers: list[Raw] = []
    wants_rest = threading.Event()
    with saying(answers_in_two_pieces(servers, [0], wants_rest)) as server:
        servers.append(server)
        run(way, server.url, main)


def test_a_full_memory_of_servers_is_emptied_and_new_ones_are_still_remembered() -> None:
    history = KeepAliveHistory()
    kinds = [(f"https://acme.example/{n}", 200, "application/json") for n in range(2 * MAX_REMEMBERED)]
    for kind in kinds:
        history.record(kind, is_kept=True)
        assert history.delay(time.monotonic(), kind) == 0
    assert len(history.kept_open_after) <= MAX_REMEMBERED
