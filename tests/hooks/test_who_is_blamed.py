"""Whose fault an exception during a call is: the same from chat and stream, async and blocking, Conductor and map."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

import tako
from tako import (
    ChatRequest,
    ChatResponse,
    ConfigurationError,
    Delta,
    End,
    Message,
    PluginError,
    Translator,
    hookimpl,
)
from tako.errors import ProviderError, RateLimitError
from tako.hooks.failures import passes_through

from .builders import able, ask, listen, plugin, saying, streaming

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tako import Provider

    Vendor = Callable[..., type[Provider]]
    Register = Callable[..., None]


class PanicException(BaseException):
    """What pyo3 raises is no Exception either."""


def raising(error: BaseException, when: str = "before") -> Any:
    """A general plugin whose chat and stream raise, before or after what they wrap."""

    @hookimpl(wrapper=True)
    def tako_chat() -> Any:
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            if when == "before":
                raise error
            await inner(request)
            raise error

        return chat

    @hookimpl(wrapper=True)
    def tako_stream() -> Any:
        inner = yield

        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            if when == "before":
                raise error
            async with aclosing(inner(request)) as chunks:
                async for chunk in chunks:
                    if when == "at the end" and chunk.kind == "end":
                        raise error
                    yield chunk
                    if when == "after a chunk":
                        raise error

        return stream

    return plugin(tako_chat=tako_chat, tako_stream=tako_stream)


def every_way(provider: Provider) -> dict[str, Any]:
    """Ask in every way there is; what comes of it, by way."""

    async def conduct() -> None:
        result = await tako.Conductor({"worker": provider}).run("hi")
        raise result.steps[0].results[0].error or AssertionError

    async def raising() -> None:
        await tako.Conductor({"worker": provider}).ask("worker", "hi")

    ways: dict[str, Callable[[], Any]] = {
        "chat": lambda: ask(provider),
        "stream": lambda: listen(provider),
        "blocking chat": lambda: provider.blocking.chat("hi"),
        "blocking stream": lambda: provider.blocking.stream("hi").response(),
        "Conductor": lambda: asyncio.run(conduct()),
        "Conductor.ask": lambda: asyncio.run(raising()),
    }
    errors: dict[str, Any] = {}
    for way, call in ways.items():
        try:
            errors[way] = call()
        except BaseException as error:  # noqa: BLE001 - whatever it is
            errors[way] = error
    return errors


def sound(vendor: Vendor) -> Provider:
    return vendor(tako_chat=saying("ok"), tako_stream=streaming("o", "k"), tako_capabilities=able)("m")


@pytest.mark.parametrize("when", ["before", "after a chunk", "at the end"])
@pytest.mark.parametrize(
    "error", [ValueError("it slipped"), PanicException("it panicked"), StopIteration(1), GeneratorExit()], ids=repr
)
def test_what_a_general_plugin_raises_is_a_plugin_error_that_names_it(
    error: BaseException, when: str, vendor: Vendor, register: Register
) -> None:
    register(raising(error, when), "faulty")
    for way, raised in every_way(sound(vendor)).items():
        assert type(raised) is PluginError, (way, raised)
        assert str(raised).startswith("acme:m: plugin 'faulty' failed in tako_"), way
        assert error in (raised.__cause__, getattr(raised.__cause__, "__cause__", None)), way


def test_so_it_is_with_tako_map(vendor: Vendor, register: Register) -> None:
    from tako_map import run

    async def main() -> list[Any]:
        return [result.error async for result in run([{"it": "a"}], sound(vendor), prompt="{it}")]

    register(raising(ValueError("it slipped")), "faulty")
    [error] = asyncio.run(main())
    assert type(error) is PluginError
    assert str(error) == "acme:m: plugin 'faulty' failed in tako_chat: ValueError: it slipped"


def test_a_tako_error_that_it_raises_on_purpose_passes_as_it_is(vendor: Vendor, register: Register) -> None:
    refusal = ConfigurationError("not on Sundays")
    register(raising(refusal), "picky")
    for way, error in every_way(sound(vendor)).items():
        assert error is refusal, way


@pytest.mark.parametrize(
    "error", [ValueError("it slipped"), PanicException("it panicked"), GeneratorExit("it left")], ids=repr
)
def test_what_a_providers_own_code_raises_is_a_provider_error_that_names_provider_and_model(
    error: BaseException, vendor: Vendor, register: Register
) -> None:
    def tako_chat() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            raise error

        return chat

    def tako_stream() -> Any:
        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            yield Delta("o")
            raise error

        return stream

    seen: list[BaseException] = []

    @hookimpl(wrapper=True)
    def watching() -> Any:
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except ProviderError as failure:
                seen.append(failure)
                raise

        return chat

    provider = vendor(tako_chat=tako_chat, tako_stream=tako_stream, tako_capabilities=able)("m")
    for way, raised in every_way(provider).items():
        assert type(raised) is ProviderError, (way, raised)
        assert (raised.provider, raised.model, raised.__cause__) == ("acme", "m", error), way
    register(plugin(tako_chat=watching), "watching")
    with pytest.raises(ProviderError, match=f"^acme:other: the provider failed: {type(error).__name__}: it"):
        ask(provider, ChatRequest([Message.user("hi")], model="other"))
    assert seen[0].__cause__ is error  # plugins see it named, too


@pytest.mark.parametrize("error", [PanicException("it panicked"), GeneratorExit()], ids=repr)
@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_what_a_callable_raises_is_a_provider_error_that_names_provider_and_model(
    error: BaseException, *, is_async: bool
) -> None:
    def chat(request: ChatRequest) -> str:
        raise error

    async def async_chat(request: ChatRequest) -> str:
        raise error

    async def stream(request: ChatRequest) -> AsyncGenerator[str, None]:
        yield "a"
        raise error

    mine = (async_chat, stream) if is_async else (chat, None)
    for way, raised in every_way(tako.providers.PythonProvider("mine", mine[0], stream=mine[1])).items():
        assert type(raised) is ProviderError, (way, raised)
        assert (raised.provider, raised.model) == ("python", "mine"), way


def test_closing_a_call_that_waits_is_nobodys_failure(vendor: Vendor, register: Register) -> None:
    """As a loop does that ends while somebody still waits: what is closed raises nothing."""

    def stuck_stream() -> Any:
        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            yield Delta("a")
            await asyncio.Event().wait()

        return stream

    @hookimpl(wrapper=True)
    def around() -> Any:
        inner = yield
        return partial(inner)

    register(plugin(tako_chat=around, tako_stream=around), "around")
    provider = vendor(tako_chat=_stuck, tako_stream=stuck_stream, tako_capabilities=able)("m")

    async def callable_chat(request: ChatRequest) -> str:
        await asyncio.Event().wait()
        return ""

    async def main() -> None:
        waiting = [provider.chat("hi"), provider.stream("hi").response()]
        waiting.append(tako.providers.PythonProvider("mine", callable_chat).chat("hi"))
        for call in waiting:
            with suppress(StopIteration):
                call.send(None)
            call.close()  # raises what comes out of it

    asyncio.run(main())


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
def test_the_end_of_the_program_and_cancellation_pass_as_themselves(
    error: BaseException, vendor: Vendor, register: Register
) -> None:
    register(raising(error), "ending")
    provider = sound(vendor)
    for call in (lambda: ask(provider), lambda: listen(provider), lambda: provider.blocking.chat("hi")):
        with pytest.raises(type(error)):
            call()


def test_on_trio_cancellation_passes_and_mistakes_have_a_name(vendor: Vendor, register: Register) -> None:
    register(raising(ValueError("it slipped")), "faulty")
    provider = sound(vendor)
    stuck = vendor(tako_chat=_stuck, tako_capabilities=able)("m")

    async def main() -> None:
        with pytest.raises(PluginError, match="'faulty'"):
            await provider.chat("hi")
        tako.unregister("faulty")
        register(plugin(tako_chat=_passing), "passing")
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(stuck.chat, "hi")
                await anyio.lowlevel.checkpoint()
                scope.cancel()
        assert scope.cancelled_caught

    anyio.run(main, backend="trio")


def _stuck() -> Any:
    async def chat(request: ChatRequest) -> ChatResponse:
        await anyio.sleep_forever()
        raise AssertionError

    return chat


@hookimpl(wrapper=True)
def _passing() -> Any:
    inner = yield

    async def chat(request: ChatRequest) -> ChatResponse:
        return await inner(request)

    return chat


def test_of_several_plugins_the_one_that_fails_is_named_and_those_outside_see_a_plugin_error(
    vendor: Vendor, register: Register
) -> None:
    seen: list[str] = []

    @hookimpl(wrapper=True)
    def rescuing() -> Any:
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except PluginError as error:
                seen.append(str(error))
                return ChatResponse(Message.assistant("rescued"))

        return chat

    register(plugin(tako_chat=_passing), "first")
    register(raising(ValueError("it slipped")), "second")
    register(plugin(tako_chat=_passing), "third")
    with pytest.raises(PluginError, match="plugin 'second' failed"):
        ask(sound(vendor))
    register(plugin(tako_chat=rescuing), "fourth")
    assert ask(sound(vendor)) == "rescued"
    assert seen == ["acme:m: plugin 'second' failed in tako_chat: ValueError: it slipped"]


def test_an_override_is_named_like_a_wrapper(vendor: Vendor, register: Register) -> None:
    def tako_chat() -> Any:
        def chat(request: ChatRequest) -> Any:
            raise ValueError("before there is anything to await")

        return chat

    register(plugin(tako_chat=tako_chat), "mine")
    with pytest.raises(PluginError, match="plugin 'mine' failed in tako_chat: ValueError"):
        ask(sound(vendor))


def test_a_translator_is_named_and_the_providers_own_is_the_providers(vendor: Vendor, register: Register) -> None:
    def refuse(part: Any, *rest: Any) -> Any:
        raise ValueError(f"cannot do {part}")

    def encoding(translator: Translator) -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            return ChatResponse(Message.assistant(translator.encode(request.messages[0].text, None)))  # type: ignore[arg-type]

        return chat

    @hookimpl(wrapper=True)
    def passing() -> Any:
        inner = yield

        def encode(part: Any, context: Any) -> Any:
            return inner.encode(part, context)

        return Translator(encode, inner.decode)

    @hookimpl(wrapper=True)
    def failing() -> Any:
        inner = yield
        return Translator(refuse, inner.decode)

    register(plugin(tako_translator=passing), "passing")
    with pytest.raises(ProviderError, match=r"^acme:m: the provider failed: ValueError: cannot do hi"):
        ask(vendor(tako_chat=encoding, tako_translator=lambda: Translator(refuse, refuse))("m"))
    register(plugin(tako_translator=failing), "failing")
    with pytest.raises(PluginError, match="plugin 'failing' failed in tako_translator: ValueError: cannot do hi"):
        ask(vendor(tako_chat=encoding)("m"))


WRONG: dict[str, Any] = {
    "an answer that is none": lambda request: _coroutine("text"),
    "nothing": lambda request: _coroutine(None),
    "no coroutine": lambda request: ChatResponse(Message.assistant("x")),
}


async def _coroutine(value: Any) -> Any:
    return value


@pytest.mark.parametrize("kind", WRONG)
def test_a_chat_function_that_is_wrong_is_named(kind: str, vendor: Vendor, register: Register) -> None:
    def tako_chat() -> Any:
        return WRONG[kind]

    with pytest.raises(
        PluginError, match=r"^acme:m: (tako_chat must return an async|the function of tako_chat returned)"
    ):
        ask(vendor(tako_chat=tako_chat)("m"))
    register(plugin(tako_chat=_passing), "innocent")
    with pytest.raises(
        PluginError, match=r"^acme:m: (tako_chat must return an async|the function of tako_chat returned)"
    ):
        ask(vendor(tako_chat=tako_chat)("m"))
    register(plugin(tako_chat=tako_chat), "guilty")
    with pytest.raises(PluginError, match=r"^acme:m: plugin 'guilty' failed in tako_chat: "):
        ask(sound(vendor))


@pytest.mark.parametrize("chunks", [["text"], [None], [Delta("a"), End(), Delta("b")], [End(), End()]], ids=repr)
def test_chunks_that_are_wrong_are_named(chunks: list[Any], vendor: Vendor, register: Register) -> None:
    @hookimpl(wrapper=True)
    def tako_stream() -> Any:
        yield

        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            for chunk in chunks:
                yield chunk

        return stream

    register(plugin(tako_stream=tako_stream), "guilty")
    with pytest.raises(PluginError, match=r"^acme:m: plugin 'guilty' failed in tako_stream: "):
        listen(sound(vendor))


def test_a_plugin_that_hands_on_no_request_is_named(vendor: Vendor, register: Register) -> None:
    @hookimpl(wrapper=True)
    def tako_chat() -> Any:
        inner = yield
        return lambda request: inner([Message.user("hi")])

    register(plugin(tako_chat=tako_chat), "mistaken")
    with pytest.raises(
        PluginError, match=r"'mistaken' failed in tako_chat: TypeError: inner takes a ChatRequest, not a list"
    ):
        ask(sound(vendor))


def test_what_is_raised_while_a_stream_is_left_is_named_and_the_rest_is_closed(
    vendor: Vendor, register: Register
) -> None:
    closed: list[str] = []

    def own() -> Any:
        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            try:
                yield Delta("a")
                yield End()
            finally:
                closed.append("provider")

        return stream

    @hookimpl(wrapper=True)
    def tako_stream() -> Any:
        inner = yield

        async def stream(request: ChatRequest) -> AsyncGenerator[Any, None]:
            async with aclosing(inner(request)) as chunks:
                try:
                    async for chunk in chunks:
                        yield chunk
                finally:
                    raise ValueError("the books don't balance")

        return stream

    register(plugin(tako_stream=tako_stream), "books")
    provider = vendor(tako_chat=saying("x"), tako_stream=own, tako_capabilities=able)("m")

    async def leave() -> None:
        stream = provider.stream("hi")
        await anext(stream)
        await stream.aclose()

    with pytest.raises(PluginError, match="plugin 'books' failed in tako_stream: ValueError: the books"):
        asyncio.run(leave())
    assert closed == ["provider"]


def test_a_plugin_that_swallows_a_cancellation_keeps_nobody_waiting(vendor: Vendor, register: Register) -> None:
    """Whoever cancels gets back control, and the next call is a call like any other."""

    @hookimpl(wrapper=True)
    def tako_chat() -> Any:
        inner = yield

        async def chat(request: ChatRequest) -> ChatResponse:
            try:
                return await inner(request)
            except asyncio.CancelledError:
                return ChatResponse(Message.assistant("never mind"))

        return chat

    register(plugin(tako_chat=tako_chat), "stubborn")
    provider = vendor(tako_chat=_stuck)("m")

    async def main() -> str:
        task = asyncio.create_task(provider.chat("hi"))
        await asyncio.sleep(0)
        task.cancel()
        return (await task).text

    assert asyncio.run(main()) == "never mind"
    assert ask(sound(vendor)) == "ok"


def test_groups_of_exceptions_pass_only_if_the_end_of_the_program_is_among_them() -> None:
    assert passes_through(BaseExceptionGroup("", [SystemExit(1), ValueError()]))
    assert passes_through(BaseExceptionGroup("", [BaseExceptionGroup("", [asyncio.CancelledError()])]))
    assert not passes_through(BaseExceptionGroup("", [PanicException(), RateLimitError("busy")]))
    assert not passes_through(ExceptionGroup("", [RateLimitError("busy")]))


def test_a_plugin_that_declines_or_returns_inner_is_not_in_a_call_at_all(vendor: Vendor, register: Register) -> None:
    @hookimpl(wrapper=True)
    def wrapping() -> Any:
        return (yield)

    def declining() -> Any:
        return None

    frames: list[int] = []

    def deep() -> Any:
        async def chat(request: ChatRequest) -> ChatResponse:
            import inspect

            frames.append(len(inspect.stack()))
            return ChatResponse(Message.assistant("ok"))

        return chat

    provider = vendor(tako_chat=deep, tako_capabilities=able)("m")
    ask(provider)
    for i in range(10):
        register(plugin(tako_chat=wrapping, tako_stream=wrapping, tako_translator=wrapping), f"returns inner {i}")
        register(plugin(tako_chat=declining, tako_stream=declining, tako_translator=declining), f"declines {i}")
    ask(provider)
    assert len(set(frames)) == 1
