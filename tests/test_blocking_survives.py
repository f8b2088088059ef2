"""The blocking face lives on: whatever a callable or a plugin raises reaches the caller, and the next call answers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tako import ChatResponse, Conductor, Delta, hookimpl
from tako.errors import ProviderError
from tako.loop_thread import loop_thread
from tako.providers import OpenAI, PythonProvider
from tako.testing.server import reply, serve, sse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tako import Provider

    Maker = Callable[[BaseException], Callable[..., Any]]

GUARD = 30.0
ENDINGS = [SystemExit(3), KeyboardInterrupt("stop"), asyncio.CancelledError("gone")]


def within(work: Callable[[], Any]) -> Any:
    """Return what a function returns, or the exception; a call that hangs fails the test instead of the suite."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001 - it is what the tests look at
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(GUARD)
    assert outcome, "the call hangs"
    return outcome[0]


def answers() -> bool:
    """Whether another provider's calls and streams go on."""
    well = PythonProvider("well", lambda request: "ok", stream=lambda request: iter(["o", "k"]))
    texts = within(lambda: (well.blocking.chat("x").text, well.blocking.stream("x").response().text))
    return bool(texts == ("ok", "ok"))


def plain(error: BaseException) -> Callable[..., Any]:
    def call(request: Any) -> str:
        raise error

    return call


def awaited(error: BaseException) -> Callable[..., Any]:
    async def call(request: Any) -> str:
        await asyncio.sleep(0)
        raise error

    return call


def in_a_task(error: BaseException) -> Callable[..., Any]:
    async def call(request: Any) -> Any:
        return await asyncio.create_task(awaited(error)(request))

    return call


def gathered(error: BaseException) -> Callable[..., Any]:
    async def call(request: Any) -> Any:
        async with asyncio.TaskGroup() as group:
            group.create_task(awaited(error)(request))
            group.create_task(asyncio.sleep(60))

    return call


def iterated(error: BaseException) -> Callable[..., Any]:
    def stream(request: Any) -> Iterator[str]:
        yield "a"
        raise error

    return stream


def iterated_async(error: BaseException) -> Callable[..., Any]:
    async def stream(request: Any) -> AsyncIterator[str]:
        yield "a"
        raise error

    return stream


def closing(error: BaseException) -> Callable[..., Any]:
    async def stream(request: Any) -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.sleep(60)
        finally:
            raise error

    return stream


@pytest.mark.parametrize("error", ENDINGS, ids=repr)
@pytest.mark.parametrize("make", [plain, awaited, in_a_task, gathered])
def test_what_ends_a_program_reaches_the_caller_of_chat(make: Maker, error: BaseException) -> None:
    if make is gathered and isinstance(error, asyncio.CancelledError):
        pytest.skip("a task of a group that is cancelled is no failure of the group")
    bad = PythonProvider("bad", make(error))
    assert type(within(lambda: bad.blocking.chat("x"))) is type(error)
    assert type(within(lambda: bad.blocking.stream("x").response())) is type(error)
    assert answers()


@pytest.mark.parametrize("error", ENDINGS, ids=repr)
@pytest.mark.parametrize("make", [plain, iterated, iterated_async])
def test_what_ends_a_program_reaches_the_caller_of_a_stream(make: Maker, error: BaseException) -> None:
    bad = PythonProvider("bad", plain(ValueError()), stream=make(error))
    for read in (list, lambda stream: list(stream.text), lambda stream: stream.response(), next_until_it_ends):
        stream = bad.blocking.stream("x")
        assert type(within(lambda: read(stream))) is type(error)  # noqa: B023 - it is called at once
        assert within(stream.close) is None
    assert answers()


def next_until_it_ends(stream: Any) -> None:
    while True:
        next(stream)


def test_what_ends_a_program_reaches_whoever_leaves_a_stream() -> None:
    stream = PythonProvider("bad", plain(ValueError()), stream=closing(SystemExit(3))).blocking.stream("x")
    assert within(lambda: next(stream)).text == "a"
    within(stream.close)
    assert answers()


@pytest.mark.parametrize("error", ENDINGS, ids=repr)
@pytest.mark.parametrize("streams", [False, True])
def test_what_ends_a_program_reaches_the_caller_from_a_plugin(
    streams: bool, error: BaseException, register: Callable[..., None]
) -> None:
    async def chat(request: Any) -> ChatResponse:
        raise error

    async def stream(request: Any) -> AsyncIterator[Delta]:
        yield Delta("a")
        raise error

    class Plugin:
        @hookimpl
        def tako_chat(self, provider: Provider) -> Any:
            return chat if provider.model == "bad" else None

        @hookimpl
        def tako_stream(self, provider: Provider) -> Any:
            return stream if provider.model == "bad" else None

    register(Plugin(), "ending")
    face = PythonProvider("bad", lambda request: "ok", stream=lambda request: iter(["ok"])).blocking
    call = (lambda request: face.stream(request).response()) if streams else face.chat
    assert type(within(lambda: call("x"))) is type(error)
    assert answers()


class Panic(BaseException):
    """What Rust's libraries raise: no Exception."""


@pytest.mark.parametrize("error", [Panic("at the disco"), BaseExceptionGroup("all", [Panic("one")])], ids=repr)
def test_what_else_a_callable_raises_is_a_provider_error(error: BaseException) -> None:
    for failing in (plain(error), awaited(error), in_a_task(error)):
        caught = within(lambda: PythonProvider("bad", failing).blocking.chat("x"))  # noqa: B023 - it is called at once
        assert isinstance(caught, ProviderError)
        assert caught.__cause__ is error
    caught = within(PythonProvider("bad", plain(error), stream=iterated(error)).blocking.stream("x").response)
    assert isinstance(caught, ProviderError)


def test_a_group_with_what_ends_a_program_passes() -> None:
    async def call(request: Any) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(awaited(SystemExit(3)), request)

    caught = within(lambda: PythonProvider("bad", call).blocking.chat("x"))
    assert isinstance(caught, BaseExceptionGroup)
    assert caught.subgroup(SystemExit)
    assert answers()


def test_calls_that_are_under_way_are_not_touched() -> None:
    body = {"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}
    started, exited = threading.Event(), threading.Event()

    def ready() -> bool:
        started.set()
        return exited.is_set()

    with serve(reply(json=body, delay=ready)) as server:
        face = OpenAI("m", api_key="k", base_url=server.url, max_retries=0).blocking
        outcomes: list[str] = []
        waiting = threading.Thread(target=lambda: outcomes.append(face.chat("x").text))
        waiting.start()
        assert started.wait(GUARD)
        for error in ENDINGS:
            within(lambda: PythonProvider("bad", awaited(error)).blocking.chat("x"))  # noqa: B023 - called at once
        exited.set()
        waiting.join(GUARD)
    assert outcomes == ["ok"]


async def stops(request: Any) -> str:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)
    return "went on"


async def breaks(request: Any) -> str:
    loop: Any = asyncio.get_running_loop()
    os.close(loop._selector.fileno())
    await asyncio.sleep(60)
    return "never"


def test_a_callable_that_stops_the_loop_does_not_stop_it() -> None:
    assert within(lambda: PythonProvider("bad", stops).blocking.chat("x")).text == "went on"
    assert answers()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(sys.platform != "linux", reason="the selector has a file of its own on Linux alone")
def test_a_loop_that_breaks_is_replaced() -> None:
    program = """
    import asyncio, os
    from tako.providers import PythonProvider
    async def breaks(request):
        os.close(asyncio.get_running_loop()._selector.fileno())
        await asyncio.sleep(60)
    async def pieces(request):
        yield "a"
        await breaks(request)
    well = PythonProvider("well", lambda request: "ok")
    for work in (
        lambda: PythonProvider("bad", breaks).blocking.chat("x"),
        lambda: list(PythonProvider("bad", breaks, stream=pieces).blocking.stream("x")),
    ):
        assert well.blocking.chat("x").text == "ok"
        try:
            work()
        except RuntimeError as error:
            print("broke")
    assert well.blocking.chat("x").text == "ok"
    """
    done = run(program)
    assert (done.returncode, done.stdout.split()) == (0, ["broke", "broke"]), done.stderr


def test_a_stream_that_refuses_to_be_cancelled_does_not_hold_whoever_leaves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tako.blocking.MAX_STOP_SECONDS", 0.05)
    free = threading.Event()

    async def stubborn(request: Any) -> AsyncIterator[str]:
        yield "a"
        while not free.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    stream = PythonProvider("bad", plain(ValueError()), stream=stubborn).blocking.stream("x")
    assert within(lambda: next(stream)).text == "a"
    assert within(stream.close) is None
    free.set()
    assert answers()


def test_callables_that_ask_each_other_wait_for_no_place() -> None:
    inner = PythonProvider("inner", lambda request: "ok")
    all_in = threading.Barrier(40)

    def ask(request: Any) -> str:
        all_in.wait(GUARD)
        return inner.blocking.chat("x").text

    async def main() -> list[ChatResponse]:
        outer = PythonProvider("outer", ask)
        return await asyncio.gather(*(outer.chat("x") for _ in range(40)))

    assert [response.text for response in within(lambda: asyncio.run(main()))] == ["ok"] * 40


@pytest.mark.parametrize("error", ENDINGS[:2], ids=repr)
@pytest.mark.parametrize("streams", [False, True])
def test_a_worker_of_a_conductor_that_ends_the_program_ends_the_run(error: BaseException, streams: bool) -> None:
    bad = PythonProvider("bad", plain(error), stream=iterated(error) if streams else None)
    good = PythonProvider("good", lambda request: "ok")

    async def events() -> list[Any]:
        return [event async for event in Conductor({"a": bad, "b": good}).stream("x")]

    for conductor in (Conductor({"a": bad, "b": good}), Conductor({"a": good}, coordinator=bad)):
        assert type(within(lambda: loop_thread().run(conductor.run("x")))) is type(error)  # noqa: B023 - called at once
    assert type(within(lambda: loop_thread().run(events()))) is type(error)
    assert answers()


def test_two_threads_that_fork_at_once_leave_the_loop_thread_free() -> None:
    assert answers()

    def fork() -> None:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)

    threads = [threading.Thread(target=fork) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(GUARD)
    assert answers()


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=GUARD, check=False)


def test_a_forked_child_of_a_program_whose_callable_exited_has_a_face_of_its_own() -> None:
    program = """
    import os, sys
    from tako.providers import PythonProvider
    bad, good = PythonProvider("bad", lambda request: exit(3)), PythonProvider("good", lambda request: "ok")
    def both():
        try:
            bad.blocking.chat("x")
        except SystemExit as error:
            print(error.code, good.blocking.chat("x").text, flush=True)
    both()
    child = os.fork()
    if child == 0:
        both()
        sys.exit(0)
    os.waitpid(child, 0)
    both()
    """
    done = run(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3 ok\n" * 3, "")


def test_a_program_ends_by_what_its_callable_raises() -> None:
    program = """
    import sys
    from tako.providers import PythonProvider
    PythonProvider("bad", lambda request: sys.exit(int(sys.argv[1]))).blocking.chat("x")
    """
    assert (run(program, "3").returncode, run(program, "0").returncode) == (3, 0)


@pytest.mark.parametrize("call", ["asyncio.run(slow.chat('x'))", "slow.blocking.chat('x')", "list(stream)"])
def test_ctrl_c_ends_a_program_whose_callable_never_returns(call: str) -> None:
    program = f"""
    import asyncio, os, signal, threading
    from tako.providers import PythonProvider
    def never(request):
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        threading.Event().wait()
    def pieces(request):
        yield never(request)
    slow = PythonProvider("slow", never, stream=pieces)
    stream = slow.blocking.stream("x")
    try:
        {call}
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    """
    done = run(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")


def test_threads_that_wait_as_the_program_ends_end_without_a_word() -> None:
    program = """
    import asyncio, threading
    from tako.providers import PythonProvider
    begun = threading.Semaphore(0)
    async def sleep(request):
        begun.release()
        await asyncio.sleep(100)
    async def pieces(request):
        yield "a"
        await sleep(request)
    slow = PythonProvider("slow", sleep, stream=pieces)
    for work in (lambda: slow.blocking.chat("x"), lambda: list(slow.blocking.stream("x"))):
        threading.Thread(target=work, daemon=True).start()
        begun.acquire()
    """
    done = run(program)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_call_while_the_program_ends_answers_or_says_so() -> None:
    program = """
    import atexit, warnings
    warnings.simplefilter("error")
    from tako.providers import PythonProvider
    good = PythonProvider("good", lambda request: "ok")
    def last():
        try:
            print(good.blocking.chat("x").text)
        except RuntimeError as error:
            print(str(error).partition(" of ")[0])
    atexit.register(last)
    print(good.blocking.chat("x").text)
    """
    done = run(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout in ("ok\nok\n", "ok\nthe event loop\n")


def test_ctrl_c_closes_the_connection_of_every_kind_of_call() -> None:
    body = sse({"choices": [{"delta": {"content": "a"}}]}, done=False)
    with serve(reply(body, ending="hang")) as server:
        face = OpenAI("m", api_key="k", base_url=server.url, max_retries=0).blocking
        conductor = Conductor({"a": OpenAI("m", api_key="k", base_url=server.url, max_retries=0)})
        for call in (
            lambda: face.chat("x"),
            lambda: face.stream("x").response(),
            lambda: list(face.stream("x").text),
            lambda: loop_thread().run(conductor.run("x")),
        ):
            before = len(server.requests)
            hit = threading.Thread(target=interrupt, args=(lambda: len(server.requests) > before,))  # noqa: B023
            hit.start()
            with pytest.raises(KeyboardInterrupt):
                call()
            hit.join()
            until(lambda: server.open == 0)
    assert answers()


def interrupt(ready: Callable[[], bool]) -> None:
    until(ready)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it didn't come to pass in time")
