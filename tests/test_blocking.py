"""The blocking face: inside a running loop, in many threads, left early, after a fork, at the end of the program."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tako import Capabilities, ChatResponse, Delta, End, Message, Provider
from tako.blocking import MAX_AHEAD
from tako.errors import AuthenticationError, ProviderError, StreamTruncatedError, TakoError
from tako.providers import OpenAI
from tako.testing.server import Server, reply, serve, sse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    Vendor = Callable[..., type[Provider]]

ANSWER = reply(json={"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]})
TEXTS = ["a", "b", "c"]
STREAM = reply(
    sse(
        *[{"choices": [{"delta": {"content": text}}]} for text in TEXTS],
        {"choices": [{"delta": {}, "finish_reason": "stop"}]},
    )
)
HANGING = reply(sse({"choices": [{"delta": {"content": "a"}}]}, done=False), ending="hang")


def provider(server: Server, **options: Any) -> OpenAI:
    return OpenAI("m", api_key="k", base_url=server.url, **{"max_retries": 0, **options})


def until(condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it didn't come to pass in time")


def test_it_answers_and_streams() -> None:
    with serve(ANSWER, STREAM) as server:
        face = provider(server).blocking
        assert face.chat("hi").text == "ok"
        stream = face.stream("hi")
        assert [chunk.kind for chunk in stream] == ["delta"] * 3 + ["end"]
        assert stream.response().text == stream.partial.text == "abc"
        face.close()
        until(lambda: server.open == 0)


def test_it_works_inside_a_running_loop() -> None:
    async def main() -> str:
        return face.chat("hi").text + "".join(face.stream("hi").text)

    with serve(ANSWER, STREAM) as server:
        face = provider(server).blocking
        assert asyncio.run(main()) == "okabc"


def test_it_is_refused_on_its_own_thread(vendor: Vendor) -> None:
    def tako_chat(provider: Provider) -> Any:
        async def chat(request: Any) -> ChatResponse:
            return provider.blocking.chat("again")

        return chat

    with pytest.raises(ProviderError, match="on its own loop thread; await the provider there"):
        vendor(tako_chat=tako_chat)("m").blocking.chat("hi")


def test_several_threads_use_it_at_once() -> None:
    replies: list[Any] = []

    def work() -> None:
        replies.extend("".join(shared_provider.blocking.stream("hi").text) for _ in range(10))

    with serve(STREAM) as server:
        shared_provider = provider(server)
        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert replies == ["abc"] * 60


def test_errors_come_out_as_they_are() -> None:
    with serve(reply(json={"error": {"message": "no"}}, status=401)) as server:
        for work in (
            provider(server).blocking.chat,
            lambda request: provider(server).blocking.stream(request).response(),
        ):
            with pytest.raises(AuthenticationError):
                work("hi")
    with serve(reply(sse({"choices": [{"delta": {"content": "a"}}]}, done=False))) as server:
        stream = provider(server).blocking.stream("hi")
        with pytest.raises(StreamTruncatedError) as caught:
            list(stream)
        assert caught.value.partial == stream.partial


def test_leaving_a_stream_early_closes_its_connection() -> None:
    with serve(HANGING) as server:
        with provider(server).blocking.stream("hi") as stream:
            assert next(stream) == Delta("a")
        until(lambda: server.open == 0)
        assert stream.partial.text == "a"
        with pytest.raises(TakoError, match="left before its end"):
            stream.response()


def test_a_loop_that_is_left_closes_it_too() -> None:
    with serve(HANGING) as server:
        for _ in provider(server).blocking.stream("hi"):
            break
        until(lambda: server.open == 0)


def test_a_stream_that_is_collected_on_the_loop_thread_is_closed_there(vendor: Vendor) -> None:
    def tako_chat() -> Any:
        async def chat(request: Any) -> ChatResponse:
            held.clear()
            gc.collect()
            return ChatResponse(Message.assistant("freed"))

        return chat

    held: list[Any] = []
    with serve(HANGING) as server:
        stream = provider(server).blocking.stream("hi")
        next(stream)
        held.append(stream)
        del stream
        assert vendor(tako_chat=tako_chat)("m").blocking.chat("hi").text == "freed"
        until(lambda: server.open == 0)


def test_a_stream_that_nobody_reads_sends_nothing() -> None:
    with serve(HANGING) as server:
        with provider(server).blocking.stream("hi"):
            pass
        assert server.requests == []


def test_the_response_reads_what_has_not_been_read() -> None:
    with serve(STREAM) as server:
        stream = provider(server).blocking.stream("hi")
        assert next(stream) == Delta("a")
        assert stream.response().text == "abc"
        assert list(stream) == []


def test_a_slow_reader_holds_the_stream_back(vendor: Vendor) -> None:
    produced: list[int] = []

    def tako_stream() -> Any:
        async def stream(request: Any) -> AsyncGenerator[Any, None]:
            for i in range(MAX_AHEAD * 10):
                produced.append(i)
                yield Delta(".")
            yield End()

        return stream

    async def never(request: Any) -> ChatResponse:
        raise AssertionError

    cls = vendor(tako_chat=lambda: never, tako_stream=tako_stream)
    stream = cls("m", capabilities=Capabilities()).blocking.stream("hi")
    next(stream)
    time.sleep(0.2)
    assert len(produced) <= MAX_AHEAD + 1
    assert stream.response().text == "." * MAX_AHEAD * 10


@pytest.mark.parametrize("streamed", [False, True])
def test_ctrl_c_cancels_the_call_and_closes_its_connection(streamed: bool) -> None:
    with serve(reply(json={}, delay=60)) as server:
        face = provider(server).blocking
        timer = threading.Timer(0.3, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            face.stream("hi").response() if streamed else face.chat("hi")
        timer.join()
        until(lambda: server.open == 0)


ENDS = """
    import sys
    from tako.providers import OpenAI
    provider = OpenAI("m", api_key="k", base_url=sys.argv[1])
    stream = provider.blocking.stream("hi")
    print(next(stream).text)
"""

FORKS = """
    import os, sys
    from tako.providers import OpenAI
    provider = OpenAI("m", api_key="k", base_url=sys.argv[1])
    stream = provider.blocking.stream("hi")
    assert next(stream).text == "a"
    child = os.fork()
    if child == 0:
        try:
            stream.response()
        except RuntimeError as error:
            print(error, flush=True)
        stream.close()
        del stream
        print(provider.blocking.stream("hi").partial.text == "", flush=True)
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
"""


@pytest.mark.parametrize(("program", "output"), [(ENDS, "a\n"), (FORKS, "forked from, and stays there\nTrue\n")])
def test_a_program_that_ends_in_the_middle_of_a_stream_ends_quietly(program: str, output: str) -> None:
    with serve(HANGING) as server:
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                "-W",
                "ignore::DeprecationWarning",
                "-c",
                textwrap.dedent(program),
                server.url,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(output)
