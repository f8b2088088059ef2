"""Blocking chats: without an event loop, in any thread, in forked processes, to the end of a program."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import textwrap
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from tako.direct_calls import run_directly
from tako.errors import ProviderTimeoutError
from tako.kit.blocking_connection import BlockingConnection
from tako.kit.blocking_pool import BlockingPool
from tako.kit.connecting import Endpoint
from tako.kit.connection_pool import KEEP_ALIVE
from tako.kit.wire import PIECE
from tako.loop_thread import loop_thread
from tako.providers import OpenAI
from tako.testing.server import reply, serve
from tako.testing.waiting import until

from .raw import saying, sized
from .script import ANSWER, provider
from .signals import AlarmError, interrupting

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable


GUARD = 30.0
SLOW = reply(json={}, delay=60)


def test_a_kept_connection_needs_no_event_loop() -> None:
    with serve(ANSWER) as server:
        face = provider(server).blocking
        assert face.chat("hi").text == "ok"
        resume = loop_thread().park()
        assert resume is not None
        try:
            assert [face.chat("hi").text for _ in range(3)] == ["ok"] * 3
        finally:
            resume()
        assert (len(server.requests), server.connections) == (4, 1)


def test_threads_share_connections() -> None:
    with serve(ANSWER) as server:
        face = provider(server).blocking
        texts: list[str] = []

        def work() -> None:
            texts.extend(face.chat("hi").text for _ in range(10))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(GUARD)
        assert texts == ["ok"] * 80
        assert server.connections <= 8
        face.close()
        until(lambda: server.open == 0)


def test_tls_connections_are_kept_too(trusted_tls: ssl.SSLContext) -> None:
    def twice(connection: socket.socket) -> None:
        for _ in range(2):
            server.read(connection)
            connection.sendall(sized(DOCUMENT, "content-type: application/json"))

    with saying(twice, tls=trusted_tls) as server:
        face = OpenAI("m", api_key="k", base_url=server.url.replace("127.0.0.1", "localhost"), max_retries=0).blocking
        assert [face.chat("hi").text for _ in range(2)] == ["ok"] * 2
    assert server.connections == 1


DOCUMENT = b'{"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}'


@pytest.mark.parametrize(
    "error", [AlarmError("late"), TimeoutError("late"), ConnectionError("late"), SystemExit(3)], ids=repr
)
def test_an_exception_of_a_signals_handler_reaches_the_caller(
    error: BaseException, raising: Callable[[BaseException], None]
) -> None:
    raising(error)
    with serve(SLOW) as server:
        with interrupting(lambda: len(server.requests) == 1), pytest.raises(type(error)) as caught:
            provider(server, max_retries=2).blocking.chat("hi")
        assert caught.value is error
        until(lambda: server.open == 0)
        assert len(server.requests) == 1


def test_an_exception_while_a_reply_is_read_is_that_exception() -> None:
    class Interrupted(BlockingConnection):
        def on_body(self, data: bytes) -> None:
            raise KeyboardInterrupt

    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Interrupted(ours)
        run_directly(connection.send(b"GET / HTTP/1.1\r\n\r\n", b"", 1.0))
        start = sized(b"a")
        with pytest.raises(KeyboardInterrupt):
            connection.receive(memoryview(start))


def test_a_call_within_a_call_does_not_touch_its_reply() -> None:
    class Nested(BlockingConnection):
        def on_headers_complete(self) -> None:
            assert provider(server).blocking.chat("hi").text == "ok"
            super().on_headers_complete()

    body = b"mine" * 100
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.sendall(sized(body))

    async def read(connection: BlockingConnection) -> bytes:
        await connection.send(b"GET / HTTP/1.1\r\n\r\n", b"", GUARD)
        await connection.answered()
        return await connection.read()

    with serve(ANSWER) as server, ours, theirs:
        assert run_directly(read(Nested(ours))) == body


def test_an_answer_that_comes_while_a_request_is_sent_is_read() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.sendall(sized(b"too large", status="413 X"))

    async def read(connection: BlockingConnection) -> tuple[int, bytes, bool]:
        await connection.send(b"POST / HTTP/1.1\r\n\r\n", bytes(1 << 24), GUARD)
        await connection.answered()
        return connection.status, await connection.read(), connection.is_reusable

    with ours, theirs:
        assert run_directly(read(BlockingConnection(ours))) == (413, b"too large", False)


def test_a_call_that_is_left_while_it_sends_closes_its_connection(raising: Callable[[BaseException], None]) -> None:
    raising(AlarmError("late"))
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    connection = BlockingConnection(ours)

    with ours, theirs:
        with interrupting(lambda: bool(theirs.recv(1, socket.MSG_PEEK))), pytest.raises(AlarmError):
            run_directly(connection.send(b"POST / HTTP/1.1\r\n\r\n", bytes(1 << 24), GUARD))
        until(lambda: not connection.is_open)


def test_a_forked_child_has_connections_of_its_own() -> None:
    with serve(ANSWER) as server:
        face = provider(server).blocking
        assert face.chat("hi").text == "ok"
        child = os.fork()
        if child == 0:
            os._exit(0 if [face.chat("hi").text for _ in range(2)] == ["ok"] * 2 else 1)
        _, status = os.waitpid(child, 0)
        assert status == 0
        assert face.chat("hi").text == "ok"
        assert server.connections == 2


def test_a_provider_that_is_forgotten_leaves_no_connection() -> None:
    with serve(ANSWER) as server:
        assert provider(server).blocking.chat("hi").text == "ok"
        gc.collect()
        until(lambda: server.open == 0)


def test_a_connection_that_is_idle_for_long_is_closed() -> None:
    pool, (ours, theirs) = BlockingPool(), socket.socketpair()
    with theirs:
        connection = BlockingConnection(ours)
        pool.keep((Endpoint("localhost", 80, tls=False), None), connection)
        pool.sweep()
        assert connection.is_open
        connection.since = monotonic() - KEEP_ALIVE
        pool.sweep()
        assert not connection.is_open
        assert theirs.recv(1) == b""


LARGE = "x" * (PIECE + 1)


@pytest.mark.parametrize("options", [{"max_connections": 1}, {"trust_env": True}, {"deadline": GUARD}], ids=str)
def test_options_that_need_an_event_loop_have_one(options: dict[str, Any]) -> None:
    with serve(ANSWER) as server:
        face = provider(server, **options).blocking
        assert [face.chat("hi").text for _ in range(2)] == ["ok"] * 2
        assert server.connections == 1
        face.close()


def test_a_large_request_and_a_retry_go_on_with_an_event_loop() -> None:
    later = reply(status=429, headers={"retry-after": "0"})
    with serve(reply(status=503), later, ANSWER) as server:
        face = provider(server, max_retries=2).blocking
        assert face.chat(LARGE).text == "ok"
        assert face.chat("hi").text == "ok"
        assert LARGE.encode() in server.requests[0].body
    with serve(later, ANSWER) as server:
        assert provider(server, max_retries=2).blocking.chat("hi").text == "ok"


def test_a_deadline_ends_a_blocking_call() -> None:
    with serve(SLOW) as server:
        with pytest.raises(ProviderTimeoutError, match="deadline"):
            provider(server).blocking.chat("hi", deadline=0.1)
        until(lambda: server.open == 0)


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=GUARD, check=False)


CALLS = """
    import sys
    from tako.providers import OpenAI
    print(OpenAI("m", api_key="k", base_url=sys.argv[1]).blocking.chat("hi").text)
    provider = OpenAI("m", api_key="k", base_url=sys.argv[1])
    print(provider.blocking.chat("hi").text)
"""
WAITS = """
    import sys, threading, time
    from tako.providers import OpenAI
    provider = OpenAI("m", api_key="k", base_url=sys.argv[1])
    print(provider.blocking.chat("hi").text)
    threading.Thread(target=provider.blocking.chat, args=["hi"], daemon=True).start()
    time.sleep(0.3)
    print("ends")
"""


@pytest.mark.parametrize(("program", "output"), [(CALLS, "ok\nok\n"), (WAITS, "ok\nends\n")])
def test_a_program_ends_without_a_word(program: str, output: str) -> None:
    with serve(ANSWER, ANSWER if program is CALLS else SLOW) as server:
        done = run(program, server.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, output, "")
